from rivet.wire.native cimport DecodeCell

cdef DecodeCell decoder_of(int code) noexcept
