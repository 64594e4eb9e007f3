cdef extern from * nogil:
    """
    #include <fcntl.h>
    #include <netinet/in.h>
    #include <netinet/tcp.h>
    #include <poll.h>
    #include <stdint.h>
    #include <string.h>
    #include <sys/ioctl.h>
    #include <sys/socket.h>
    #include <unistd.h>

    #define RIVET_LOOK_MS 3
    /* struct tcp_info of Linux: `tcpi_bytes_received` is there since 4.1. */
    #define RIVET_RECEIVED_AT 128

    static long long rivet_taken_bytes(int descriptor) {
    #ifdef __linux__
        unsigned char told[RIVET_RECEIVED_AT + 8];
        socklen_t size = sizeof told;
        uint64_t received;
        int unread = 0;
        if (getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, told, &size) != 0 || size < sizeof told)
            return 0;
        if (ioctl(descriptor, FIONREAD, &unread) != 0)
            return 0;
        memcpy(&received, told + RIVET_RECEIVED_AT, 8);
        return (long long)received - unread;
    #else
        (void)descriptor;
        return 0;
    #endif
    }
    static void rivet_pause(void) { poll(NULL, 0, RIVET_LOOK_MS); }
    static int rivet_doubled(int descriptor) { return fcntl(descriptor, F_DUPFD_CLOEXEC, 3); }
    static void rivet_shut_down(int descriptor) { shutdown(descriptor, SHUT_RDWR); }
    static void rivet_close(int descriptor) { close(descriptor); }
    """
    long long taken_bytes "rivet_taken_bytes"(int descriptor)
    void pause "rivet_pause"()
    int doubled "rivet_doubled"(int descriptor)
    void shut_down "rivet_shut_down"(int descriptor)
    void close_descriptor "rivet_close"(int descriptor)

cdef class Fuse:
    cdef int _descriptor
    cdef long long _ceiling
    cdef bint _is_over
    cdef bint _is_blown

    cdef int _burn(self) noexcept nogil
