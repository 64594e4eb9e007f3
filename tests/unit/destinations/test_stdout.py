"""Standard output as a destination, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import sys
from rivet.destinations import stdout
from rivet.errors import RivetError
destination = stdout.open(stdout.Options())
size, parts = int(sys.argv[1]), int(sys.argv[2])
try:
    for number in range(parts):
        sink = destination.create(f"part{number}")
        sink.write(b"x" * size)
        sink.publish()
        assert not sink.path.exists()
except RivetError as error:
    print(error.error_code, error.message, file=sys.stderr)
    sys.exit(error.exit_status)
finally:
    destination.close()
"""


def run(size: int, parts: int, **more) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", CODE, str(size), str(parts)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **more,
    )


def test_the_bytes_come_out_as_they_are() -> None:
    out, err = run(3_000_000, 1).communicate()
    assert (len(out), set(out), err) == (3_000_000, {ord("x")}, b"")


def test_a_second_file_is_refused() -> None:
    process = run(10, 2)
    out, err = process.communicate()
    assert process.returncode == 1
    assert out == b"x" * 10
    assert err.startswith(b"RIVET_DESTINATION_STDOUT_SPLIT")


def test_a_reader_that_goes_away_is_one_plain_error() -> None:
    process = run(5_000_000, 1)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.read(10)
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 1
    assert err.count(b"\n") == 1
    assert err.startswith(b"RIVET_DESTINATION_BROKEN_PIPE")
