from rivet.wire.native cimport Column, Source

cdef int text_boolean(Column* col, Py_ssize_t at, Source src, Py_ssize_t pos, Py_ssize_t length) noexcept nogil
cdef int text_integer(Column* col, Py_ssize_t at, Source src, Py_ssize_t pos, Py_ssize_t length) noexcept nogil
cdef int text_unsigned(Column* col, Py_ssize_t at, Source src, Py_ssize_t pos, Py_ssize_t length) noexcept nogil
cdef int text_decimal(Column* col, Py_ssize_t at, Source src, Py_ssize_t pos, Py_ssize_t length) noexcept nogil
cdef int bit_boolean(Column* col, Py_ssize_t at, Source src, Py_ssize_t pos, Py_ssize_t length) noexcept nogil
cdef int bits(Column* col, Py_ssize_t at, Source src, Py_ssize_t pos, Py_ssize_t length) noexcept nogil
