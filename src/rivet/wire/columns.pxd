from rivet.wire.native cimport Column

cdef class ColumnBuffers:
    cdef Column* columns
    cdef readonly Py_ssize_t width
    cdef Py_ssize_t total
    cdef Py_ssize_t room
    cdef object _fields
    cdef object _schema
    cdef list _specs
    cdef list _buffers
    cdef list _row_hints
    cdef list _byte_hints

    cdef int make_room(self) except -1
    cdef int _open(self) except -1
    cdef int _resize_rows(self, Py_ssize_t index, Py_ssize_t rows) except -1
    cdef int _resize_data(self, Py_ssize_t index, Py_ssize_t room) except -1
    cdef Py_ssize_t used_bytes(self, Py_ssize_t rows) noexcept nogil
    cdef void settle(self, bint is_kept) noexcept nogil
