from rivet.wire.batches cimport BatchDecoder
from rivet.wire.native cimport Column, Source

cdef class CopyDecoder(BatchDecoder):
    cdef list _pieces
    cdef Py_ssize_t _held

    cdef int decode(self, Source src, Py_ssize_t size) noexcept nogil
    cdef int _decode_view(self, const unsigned char[::1] chunk) except -1
    cdef int _decode_header(self, Source src, Py_ssize_t size) noexcept nogil
    cdef int _decode_row(self, Source src, Py_ssize_t size) noexcept nogil
