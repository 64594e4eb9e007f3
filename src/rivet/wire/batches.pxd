from rivet.wire.columns cimport ColumnBuffers
from rivet.wire.native cimport Column

cdef class BatchDecoder:
    cdef ColumnBuffers _columns
    cdef Column* _first
    cdef list _fields
    cdef Py_ssize_t _width
    cdef Py_ssize_t _row
    cdef Py_ssize_t _rows_before
    cdef Py_ssize_t _max_value_bytes
    cdef Py_ssize_t _position
    cdef Py_ssize_t _needed
    cdef Py_ssize_t _failed_field
    cdef int _stage
    cdef int _first_stage
    cdef bint _counts_nulls
    cdef object _failure
    cdef str _stream

    cdef int make_room(self) except -1
    cdef object refuse(self, int status)
    cdef void settle(self, bint is_kept) noexcept nogil
