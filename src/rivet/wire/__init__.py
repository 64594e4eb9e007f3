"""Bytes of a database protocol to Arrow; see `kernel` for its two forms."""

from rivet.wire.kernel import install

install()
