from rivet.wire.batches cimport BatchDecoder
from rivet.wire.native cimport Column, Source

cdef class RowDecoder(BatchDecoder):
    cdef public int sequence
    cdef int _server_status
    cdef readonly int warning_count
    cdef Py_ssize_t _unmeasured
    cdef Py_ssize_t _step
    cdef readonly bytes server_error

    cdef int _decode_view(
        self, const unsigned char[::1] view, Py_ssize_t size, Py_ssize_t max_rows, Py_ssize_t max_bytes
    ) except -1
    cdef int _decode(self, Source src, Py_ssize_t size, Py_ssize_t max_rows, Py_ssize_t max_bytes) noexcept nogil
    cdef int _decode_packet(self, Source src, Py_ssize_t pos, Py_ssize_t length) noexcept nogil
    cdef int _decode_row(self, Source src, Py_ssize_t pos, Py_ssize_t end) noexcept nogil
    cdef int _decode_large(self, const unsigned char[::1] view, Py_ssize_t size) except -1
    cdef int _decode_joined(self, const unsigned char[::1] row) except -1
