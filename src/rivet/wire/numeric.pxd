from rivet.wire.native cimport Column, Source

cdef int decimal(Column* col, Py_ssize_t at, Source src, Py_ssize_t pos, Py_ssize_t length) noexcept nogil
cdef void store_word(Column* col, Py_ssize_t at, long long word) noexcept nogil
cdef void scale_up(unsigned long long* limbs, unsigned long long factor, unsigned long long addend) noexcept nogil
cdef void store_limbs(Column* col, Py_ssize_t at, unsigned long long* limbs, bint is_negative) noexcept nogil
