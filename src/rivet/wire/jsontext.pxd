from rivet.wire.native cimport Column, Source

cdef int json(Column* col, Py_ssize_t at, Source src, Py_ssize_t pos, Py_ssize_t length) noexcept nogil
