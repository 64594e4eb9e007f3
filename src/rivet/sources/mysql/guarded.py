"""The driver's connection with every answer of the server bounded: its time, its bytes, its form.

The driver takes what it is sent at its word. What it receives goes through here first: a packet may
be as large as its kind ever is, an answer may have so many columns, rows and bytes, and what is no
packet of the protocol is an error of the connection, which is closed. See docs/adr/0028.
"""

from __future__ import annotations

import struct
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, NoReturn

from pymysql import err
from pymysql.connections import Connection, MySQLResult
from pymysql.constants import CLIENT, COMMAND, CR
from pymysql.protocol import FieldDescriptorPacket, MysqlPacket
from typing_extensions import override

from rivet.errors import RivetError
from rivet.redact import redact
from rivet.sources.mysql.bounded import reach
from rivet.sources.mysql.login import log_in, start_tls

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

    from rivet.sources.mysql.bounded import BoundedSocket, Way

__all__ = ["GuardedConnection", "server_error"]

_WHOLE: Final = 0xFFFFFF
_LOGIN_BYTES: Final = 64 * 1024
_COLUMN_BYTES: Final = 8 * 1024
_PACKET_BYTES: Final = 16 * 1024 * 1024
_ANSWER_BYTES: Final = 32 * 1024 * 1024
_ERROR_BYTES: Final = 8 * 1024
_SHOWN_BYTES: Final = 2 * 1024
_CELL_BYTES: Final = 100  # what an object takes besides its text
_MOST_COLUMNS: Final = 4096
_ERROR, _LOCAL_FILE = 0xFF, 0xFB
_PREPARED_BYTES: Final = 9
_NEEDED: Final = CLIENT.PROTOCOL_41 | CLIENT.SECURE_CONNECTION
_SALT_BYTES: Final = 20


class GuardedConnection(Connection):  # type: ignore[misc]
    """A connection of the driver; made without contact, `connect` has it reach the server.

    Args:
        way: How the server is reached.
        tls: What protects the connection; None for nothing.
        needs_tls: A server without TLS is refused.
        server_public_key: The key (PEM) that the password may be encrypted with.
        options: The driver's.

    Attributes:
        line: The socket.
        is_private: Nobody else can read what is sent.
    """

    line: BoundedSocket
    user: Any

    def __init__(
        self,
        way: Way,
        *,
        tls: ssl.SSLContext | None,
        needs_tls: bool,
        server_public_key: bytes | None,
        **options: Any,  # noqa: ANN401 - the driver's
    ) -> None:
        # TLS and the key are dealt with here, see `login.py`.
        super().__init__(defer_connect=True, ssl_disabled=True, local_infile=False, **options)
        self.host = way.host
        self.tls, self.needs_tls = tls, needs_tls
        self.server_public_key = server_public_key
        self.is_private = way.path is not None
        self._way = way

    @property
    def place(self) -> str:
        """Where the server is."""
        return self._way.path or f"{self._way.host}:{self._way.port}"

    @property
    def auth_plugin(self) -> str:
        """The method to log in that the server proposes."""
        return str(self._auth_plugin_name)

    @override
    def connect(self, sock: object = None) -> None:
        """Reach the server and log in, all of it within the time for connecting.

        Raises:
            OSError: It cannot be reached, does not answer in time, or hung up.
            pymysql.Error: It refuses, or what it says is no part of the protocol.
            SourceAuthError: It asks for what may not be answered.
        """
        self._closed = False
        try:
            self.line = reach(self._way)
            self._sock = self._rfile = self.line
            self._next_seq_id = 0
            with self._parsing():
                self._get_server_information()
            log_in(self, start_tls(self))
            self._secure = self.is_private
            self.query(f"SET NAMES {self.charset}")
            self.autocommit(self.autocommit_mode)
        except BaseException:
            self._force_close()
            raise

    @override
    def _get_server_information(self) -> None:
        super()._get_server_information()
        missing = _NEEDED & ~self.server_capabilities
        if self.protocol_version != 10 or missing or len(self.salt) < _SALT_BYTES:  # noqa: PLR2004
            refuse("a greeting that is none of MySQL 5.7 or newer")

    def login_packet(self) -> bytes:
        """Return the server's next message of a login, which is not empty."""
        return self._payload(_LOGIN_BYTES)

    @override
    def write_packet(self, payload: bytes) -> None:
        self.line.expect(is_next=True)
        super().write_packet(payload)

    @override
    def _write_bytes(self, data: bytes) -> None:
        try:
            self.line.send(data)
        except BaseException:
            self._force_close()
            raise

    @override
    def _execute_command(self, command: int, sql: str | bytes) -> None:
        if self._sock is not None:
            self.line.expect()
        super()._execute_command(command, sql)

    @override
    def _read_packet(self, packet_type: type[MysqlPacket] = MysqlPacket) -> MysqlPacket:
        limit = _COLUMN_BYTES if packet_type is FieldDescriptorPacket else _PACKET_BYTES
        return packet_type(self._payload(limit), self.encoding)

    def _payload(self, limit: int) -> bytes:
        """Return what is in the next packet, or in several that belong together.

        Raises:
            pymysql.Error: The server's own error, or what cannot be a packet here.
            OSError: It does not come.
        """
        pieces: list[bytes] = []
        size, length = 0, _WHOLE
        try:
            while length == _WHOLE:
                low, high, number = struct.unpack("<HBB", self.line.read(4))
                length = low + (high << 16)
                first = self.line.read(min(length, _ERROR_BYTES))
                is_error = not pieces and first[:1] == b"\xff"
                # A server that shuts down sends its error with the number zero.
                if number != self._next_seq_id and not (is_error and number == 0):
                    refuse(f"packet {number} where {self._next_seq_id} was due")
                self._next_seq_id = (number + 1) % 256
                size += length
                if is_error and length > len(first):
                    _raise_cut(first[1:], length - len(first))
                if size > limit:
                    refuse(f"more than the {limit:,} bytes that can be in such a packet")
                pieces += [first, self.line.read(length - len(first))]
        except BaseException:
            self._force_close()
            raise
        payload = b"".join(pieces)
        if not payload:
            self._force_close()
            refuse("an empty packet")
        if payload[0] == _ERROR:
            if self._result is not None:
                self._result.unbuffered_active = False
            raise server_error(payload[1:])
        return payload

    @override
    def _read_query_result(self, unbuffered: bool = False) -> int:
        self._result = None
        result = _GuardedResult(self)
        with self._parsing():
            if unbuffered:
                result.init_unbuffered_query()
            else:
                result.read()
            if result.has_next:
                refuse("more than one result")
        self._result = result
        if result.server_status is not None:
            self.server_status = result.server_status
        count: Any = result.affected_rows
        return int(count or 0)

    def described(self, sql: str) -> list[FieldDescriptorPacket]:
        """Let the server prepare a statement and return its columns; the statement is let go of.

        Source:
            MySQL internals manual, "COM_STMT_PREPARE Response".
        """
        self._execute_command(COMMAND.COM_STMT_PREPARE, sql)
        fields: list[FieldDescriptorPacket] = []
        with self._parsing():
            head = self._payload(_LOGIN_BYTES)
            if head[0] != 0 or len(head) < _PREPARED_BYTES:
                refuse("no prepared statement")
            statement, columns, parameters = struct.unpack_from("<IHH", head, 1)
            for count in (parameters, columns):
                if count > _MOST_COLUMNS:
                    refuse(f"{count:,} columns")
                fields = [self._column() for _ in range(count)]
                if count and not self._read_packet().is_eof_packet():
                    refuse("more columns than it said")
        self._execute_command(COMMAND.COM_STMT_CLOSE, struct.pack("<I", statement))
        return fields

    def _column(self) -> FieldDescriptorPacket:
        return self._read_packet(FieldDescriptorPacket)

    @contextmanager
    def _parsing(self) -> Iterator[None]:
        """Turn what the driver stumbles over into the error that it is, and hang up."""
        try:
            yield
        except (RivetError, OSError):
            raise
        except err.MySQLError as error:
            if error.args[:1] == (CR.CR_MALFORMED_PACKET,):
                self._force_close()
            raise
        except Exception as error:  # noqa: BLE001 - an assertion, an index, a number
            self._force_close()
            refuse(f"what is no packet ({type(error).__name__})", error)

    @override
    def close(self) -> None:
        """Say goodbye and hang up, whoever listens. Safe to call twice."""
        if self._sock is not None:
            self.line.bid_farewell()
            with suppress(err.Error, OSError):
                super().close()
        self._force_close()


class _GuardedResult(MySQLResult):  # type: ignore[misc]
    """An answer that is as large as answers are, whole, and of one form."""

    connection: Any
    affected_rows: Any

    @override
    def init_unbuffered_query(self) -> None:
        self._read_head()
        self.unbuffered_active = True

    @override
    def read(self) -> None:
        try:
            packet = self.connection._read_packet()  # noqa: SLF001
            if packet.is_ok_packet():
                self._read_ok_packet(packet)
            else:
                self._read_columns(packet)
                self._read_rowdata_packet()
        finally:
            self.connection = None

    def _read_head(self) -> None:
        packet = self.connection._read_packet()  # noqa: SLF001
        if packet.is_ok_packet():
            refuse("no rows to a SELECT")
        self._read_columns(packet)

    def _read_columns(self, packet: MysqlPacket) -> None:
        if packet.get_all_data()[0] == _LOCAL_FILE:
            refuse("a request for a file of this machine")
        count = packet.read_length_encoded_integer()
        if count is None or not 0 < count <= _MOST_COLUMNS:
            refuse("a number of columns that no result has")
        self.field_count = count
        self._get_descriptions()

    @override
    def _read_rowdata_packet(self) -> None:
        rows: list[tuple[Any, ...]] = []
        size = 0
        while True:
            packet = self.connection._read_packet()  # noqa: SLF001
            if self._check_packet_is_eof(packet):
                break
            data = packet.get_all_data()
            size += len(data) + _CELL_BYTES * (self.field_count + 1)
            if size > _ANSWER_BYTES:
                refuse(f"more than {_ANSWER_BYTES >> 20} MB to a small question")
            row = self._read_row_from_packet(packet)
            if len(row) != self.field_count or packet._position != len(data):  # noqa: SLF001
                refuse("a row with another number of columns")
            rows.append(row)
        self.affected_rows = len(rows)
        self.rows = tuple(rows)

    @override
    def _finish_unbuffered_query(self) -> None:
        """Leave the rows that nobody wants where they are: there may be no end of them."""
        self.unbuffered_active = False
        if self.connection is not None:
            self.connection._force_close()  # noqa: SLF001
            self.connection = None


def server_error(payload: bytes, *, cut: int = 0) -> err.MySQLError:
    """Return the error of an error packet; the driver's own reader trusts its bytes too much.

    Args:
        payload: What stands behind its first byte.
        cut: How many more bytes there are.

    Source:
        MySQL internals manual, "ERR_Packet".
    """
    number = int.from_bytes(payload[:2], "little")
    text = payload[2:]
    if text.startswith(b"#"):
        text = text[6:]
    if cut or len(text) > _ERROR_BYTES:
        cut += max(0, len(text) - _SHOWN_BYTES)
        # Masked before it is cut: a piece of a secret is not known for one.
        said = redact(text[:_ERROR_BYTES].decode("utf-8", "replace"))[:_SHOWN_BYTES]
    else:
        said = text.decode("utf-8", "replace")
    return err.OperationalError(number, f"{said}... ({cut:,} bytes more)" if cut else said)


def _raise_cut(payload: bytes, cut: int) -> NoReturn:
    raise server_error(payload, cut=cut)


def refuse(what: str, cause: BaseException | None = None) -> NoReturn:
    """Say that the server sent what can be none of its answers.

    Raises:
        pymysql.Error: Always.
    """
    raise err.OperationalError(CR.CR_MALFORMED_PACKET, f"the server sent {what}") from cause
