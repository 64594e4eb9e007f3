from rivet.wire.pgcopy cimport CopyDecoder

cdef extern from "poll.h" nogil:
    cdef struct pollfd:
        int fd
        short events
        short revents
    int POLLIN
    int poll(pollfd* entries, unsigned long count, int timeout_ms)

ctypedef int (*GetCopyData)(void*, char**, int) noexcept nogil
ctypedef void (*FreeMemory)(void*) noexcept nogil
ctypedef int (*ConsumeInput)(void*) noexcept nogil

cdef class Pump:
    cdef CopyDecoder _decoder
    cdef void* _connection
    cdef GetCopyData _get_copy_data
    cdef FreeMemory _free_memory
    cdef ConsumeInput _consume_input
    cdef int _descriptor
    cdef int _patience_ms
    cdef Py_ssize_t _turn_bytes
    cdef Py_ssize_t _expected_bytes
    cdef char* _message
    cdef Py_ssize_t _size
    cdef readonly Py_ssize_t wire_bytes

    cdef int _drive(self, Py_ssize_t max_rows, Py_ssize_t max_bytes) noexcept nogil
    cdef int _await_input(self, bint is_idle) noexcept nogil
    cdef int _drop(self) noexcept nogil
