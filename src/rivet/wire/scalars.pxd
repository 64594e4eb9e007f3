from rivet.wire.native cimport Column, Source

cdef void put_null(Column* col, Py_ssize_t at) noexcept nogil
cdef int boolean(Column* col, Py_ssize_t at, Source src, Py_ssize_t pos, Py_ssize_t length) noexcept nogil
cdef int fixed2(Column* col, Py_ssize_t at, Source src, Py_ssize_t pos, Py_ssize_t length) noexcept nogil
cdef int fixed4(Column* col, Py_ssize_t at, Source src, Py_ssize_t pos, Py_ssize_t length) noexcept nogil
cdef int fixed8(Column* col, Py_ssize_t at, Source src, Py_ssize_t pos, Py_ssize_t length) noexcept nogil
cdef int oid(Column* col, Py_ssize_t at, Source src, Py_ssize_t pos, Py_ssize_t length) noexcept nogil
cdef int date(Column* col, Py_ssize_t at, Source src, Py_ssize_t pos, Py_ssize_t length) noexcept nogil
cdef int time(Column* col, Py_ssize_t at, Source src, Py_ssize_t pos, Py_ssize_t length) noexcept nogil
cdef int timestamp(Column* col, Py_ssize_t at, Source src, Py_ssize_t pos, Py_ssize_t length) noexcept nogil
cdef int text(Column* col, Py_ssize_t at, Source src, Py_ssize_t pos, Py_ssize_t length) noexcept nogil
cdef int raw(Column* col, Py_ssize_t at, Source src, Py_ssize_t pos, Py_ssize_t length) noexcept nogil
cdef int jsonb(Column* col, Py_ssize_t at, Source src, Py_ssize_t pos, Py_ssize_t length) noexcept nogil
cdef int uuid(Column* col, Py_ssize_t at, Source src, Py_ssize_t pos, Py_ssize_t length) noexcept nogil
cdef int text_uuid(Column* col, Py_ssize_t at, Source src, Py_ssize_t pos, Py_ssize_t length) noexcept nogil
cdef int geometry(Column* col, Py_ssize_t at, Source src, Py_ssize_t pos, Py_ssize_t length) noexcept nogil
