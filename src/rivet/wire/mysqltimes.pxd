from rivet.wire.native cimport Column, Source

cdef int text_date(Column* col, Py_ssize_t at, Source src, Py_ssize_t pos, Py_ssize_t length) noexcept nogil
cdef int text_time(Column* col, Py_ssize_t at, Source src, Py_ssize_t pos, Py_ssize_t length) noexcept nogil
cdef int text_timestamp(Column* col, Py_ssize_t at, Source src, Py_ssize_t pos, Py_ssize_t length) noexcept nogil
