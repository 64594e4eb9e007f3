from rivet.wire.columns cimport ColumnBuffers
from rivet.wire.native cimport Column, Source

cdef class CopyDecoder:
    cdef ColumnBuffers _columns
    cdef Column* _first
    cdef list _fields
    cdef list _pieces
    cdef Py_ssize_t _held
    cdef Py_ssize_t _width
    cdef Py_ssize_t _row
    cdef Py_ssize_t _rows_before
    cdef Py_ssize_t _max_value_bytes
    cdef Py_ssize_t _position
    cdef Py_ssize_t _needed
    cdef Py_ssize_t _failed_field
    cdef int _stage
    cdef bint _counts_nulls
    cdef object _failure

    cdef int decode(self, Source src, Py_ssize_t size) noexcept nogil
    cdef int _decode_view(self, const unsigned char[::1] chunk) except -1
    cdef int _decode_header(self, Source src, Py_ssize_t size) noexcept nogil
    cdef int _decode_row(self, Source src, Py_ssize_t size) noexcept nogil
    cdef void _settle(self, bint is_kept) noexcept nogil
    cdef int make_room(self) except -1
    cdef object refuse(self, int status)
