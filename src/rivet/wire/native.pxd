# The kernel's C side: memory and byte order. `plain.py` is its twin for the interpreter: the two
# must offer the same names with the same meaning.

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

ctypedef const unsigned char* Source
ctypedef unsigned char* Store
ctypedef Column* ColumnRef
ctypedef int (*DecodeCell)(
    Column*, Py_ssize_t, const unsigned char*, Py_ssize_t, Py_ssize_t
) noexcept nogil

cdef enum:
    OK = 0
    SHORT = 1
    NO_ROOM = 2
    END = 3
    WAITING = 4
    LOST = 5
    LARGE = 6
    REFUSED = 7
    NOT_FINITE = 10
    OUT_OF_RANGE = 11
    DOES_NOT_FIT = 12
    BAD_SHAPE = 13
    BAD_TEXT = 14
    TOO_LARGE = 15
    BATCH_TOO_LARGE = 16
    NO_FLAG = 17
    BAD_JSON = 18
    FIELD_COUNT = 20
    BAD_WIDTH = 21
    MALFORMED = 22

cdef extern from *:
    """
    #define RIVET_SIGNATURE "PGCOPY\\n\\377\\r\\n\\0"
    #define RIVET_HOUR_US 3600000000LL
    #define RIVET_DAY_US 86400000000LL
    #define RIVET_EPOCH_SHIFT_US 946684800000000LL
    #define RIVET_MOST_NANO_US 9223372036854775LL
    """
    const char* SIGNATURE "RIVET_SIGNATURE"
    unsigned char* NOWHERE "NULL"
    const uint64_t LOW32 "0xFFFFFFFFULL"
    const int64_t HOUR_US "RIVET_HOUR_US"
    const int64_t DAY_US "RIVET_DAY_US"
    const int64_t EPOCH_SHIFT_US "RIVET_EPOCH_SHIFT_US"
    const int64_t MOST_NANO_US "RIVET_MOST_NANO_US"
    const int64_t INT32_MIN "(int64_t)INT32_MIN"
    const int64_t INT32_MAX "(int64_t)INT32_MAX"
    const int64_t INT64_MIN
    const int64_t INT64_MAX

cdef enum:
    IN_HEADER = 0
    IN_ROWS = 1
    AT_END = 2
    FAILED = 3

cdef enum:
    BITS = -1
    VARIABLE = 0
    MAX_OFFSET = 2147483647

cdef struct Column:
    DecodeCell decode
    Column* child
    unsigned char* validity
    unsigned char* offsets
    unsigned char* data
    Py_ssize_t row_room
    Py_ssize_t data_room
    Py_ssize_t wanted_rows
    Py_ssize_t wanted_bytes
    Py_ssize_t pending_nulled
    Py_ssize_t nulled
    int width
    int precision
    int scale
    bint is_list
    bint is_nano
    bint is_null_on_invalid
    bint has_nulls

cdef inline ColumnRef column_at(ColumnRef columns, Py_ssize_t index) noexcept nogil:
    return columns + index

cdef inline bint has_signature(Source src, Py_ssize_t pos) noexcept nogil:
    return memcmp(src + pos, SIGNATURE, 11) == 0

cdef inline int16_t load16(Source src, Py_ssize_t pos) noexcept nogil:
    return <int16_t>((<uint16_t>src[pos] << 8) | <uint16_t>src[pos + 1])

cdef inline int32_t load32(Source src, Py_ssize_t pos) noexcept nogil:
    return <int32_t>(
        (<uint32_t>src[pos] << 24) | (<uint32_t>src[pos + 1] << 16)
        | (<uint32_t>src[pos + 2] << 8) | <uint32_t>src[pos + 3]
    )

cdef inline int64_t load64(Source src, Py_ssize_t pos) noexcept nogil:
    return <int64_t>(
        (<uint64_t>src[pos] << 56) | (<uint64_t>src[pos + 1] << 48)
        | (<uint64_t>src[pos + 2] << 40) | (<uint64_t>src[pos + 3] << 32)
        | (<uint64_t>src[pos + 4] << 24) | (<uint64_t>src[pos + 5] << 16)
        | (<uint64_t>src[pos + 6] << 8) | <uint64_t>src[pos + 7]
    )

cdef inline void store16(Store dst, Py_ssize_t index, uint16_t value) noexcept nogil:
    (<uint16_t*>dst)[index] = value

cdef inline void store32(Store dst, Py_ssize_t index, uint32_t value) noexcept nogil:
    (<uint32_t*>dst)[index] = value

cdef inline void store64(Store dst, Py_ssize_t index, uint64_t value) noexcept nogil:
    (<uint64_t*>dst)[index] = value

cdef inline Py_ssize_t load_offset(Store offsets, Py_ssize_t index) noexcept nogil:
    return (<int32_t*>offsets)[index]

cdef inline void store_offset(Store offsets, Py_ssize_t index, Py_ssize_t value) noexcept nogil:
    (<int32_t*>offsets)[index] = <int32_t>value

cdef inline void set_bit(Store bits, Py_ssize_t index) noexcept nogil:
    bits[index >> 3] = <unsigned char>(bits[index >> 3] | (1 << (index & 7)))

cdef inline void clear_bit(Store bits, Py_ssize_t index) noexcept nogil:
    bits[index >> 3] = <unsigned char>(bits[index >> 3] & ~(1 << (index & 7)))

cdef inline void copy_bytes(
    Store dst, Py_ssize_t at, Source src, Py_ssize_t pos, Py_ssize_t length
) noexcept nogil:
    memcpy(dst + at, src + pos, <size_t>length)

cdef inline void fill_bytes(Store dst, Py_ssize_t start, Py_ssize_t stop, int byte) noexcept nogil:
    if stop > start:
        memset(dst + start, byte, <size_t>(stop - start))
