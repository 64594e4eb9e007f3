"""Errors of file formats, destinations and the state store."""

from __future__ import annotations

from rivet.errors.base import RivetError


class FormatError(RivetError):
    """A value or a type cannot be written in the chosen file format."""

    code = "RIVET_FORMAT_ERROR"


class DestinationError(RivetError):
    """The destination refused a write, and trying again would give the same."""

    code = "RIVET_DESTINATION_ERROR"


class DestinationAuthError(DestinationError):
    """The destination refused the credentials or the right to write."""

    code = "RIVET_DESTINATION_AUTH"


class ObjectExistsError(DestinationError):
    """An object that must be new is already there; it was left as it is."""

    code = "RIVET_DESTINATION_OBJECT_EXISTS"


class DestinationUnavailableError(DestinationError):
    """The destination cannot be reached now, or is out of room for the moment."""

    code = "RIVET_DESTINATION_UNAVAILABLE"
    exit_code = 2
    retryable = True


class DestinationTimeoutError(DestinationUnavailableError):
    """A call to the destination hangs; what it was to write is not part of any run."""

    code = "RIVET_DESTINATION_TIMEOUT"


class StateError(RivetError):
    """The state store cannot be read or written; nothing was read from the source."""

    code = "RIVET_STATE_ERROR"


class StateVersionError(StateError):
    """The state store was made by a newer Rivet, or by another program."""

    code = "RIVET_STATE_VERSION"
    exit_code = 5


class StateDamagedError(StateError):
    """What the state store holds is not what a Rivet wrote; nothing was done by it."""

    code = "RIVET_STATE_DAMAGED"
    exit_code = 5


class StateLostError(StateError):
    """The destination holds runs that the state knows nothing of; a person decides how to go on."""

    code = "RIVET_STATE_LOST"
    exit_code = 5


class StateLockedError(StateError):
    """Another process holds the state store longer than the wait allows."""

    code = "RIVET_STATE_LOCKED"
    exit_code = 2
    retryable = True
