"""Uploading overlaps with encoding, within bounds, and nothing waits for ever for a sink."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from rivet.errors import DestinationError, DestinationTimeoutError
from rivet.execution.worker.enrich import Enricher
from rivet.execution.worker.observe import Observations
from rivet.execution.worker.parts import Flow, PartWriter
from rivet.execution.worker.upload import QUEUE_BYTES
from rivet.formats import load_format
from rivet.model.chunk import Chunk, Claim
from rivet.model.output import Compression, OutputPlan, WriterOptions
from rivet.model.plan import ReadTuning
from support.children import wait_until
from support.sinks import Gate, watched

if TYPE_CHECKING:
    from collections.abc import Iterator

MEBIBYTE = 1024 * 1024
AT = datetime(2026, 11, 30, tzinfo=UTC)
PLAIN = WriterOptions(compression=Compression.NONE)
ROWS = [f"{number:04}".ljust(1023, "x") for number in range(1024)]
BATCH = pa.record_batch({"a": ROWS})
"""A mebibyte of CSV, and as much of Parquet."""


class Stream:
    """So many batches; knows how many were taken, and whether it was closed."""

    def __init__(self, count: int) -> None:
        self.left = count
        self.taken = 0
        self.is_closed = False

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        while self.taken < self.left:
            self.taken += 1
            yield BATCH

    def close(self) -> None:
        self.is_closed = True


class Written:
    """The parts that a writer gives, written on a thread of their own."""

    def __init__(
        self,
        destination,
        batches: int,
        max_file_bytes: int | None = None,
        file_format: str = "csv",
        read_ahead_bytes: int = QUEUE_BYTES,
    ) -> None:
        self.stream = Stream(batches)
        self.read_ahead_bytes = read_ahead_bytes
        self.writer = PartWriter(
            Claim("run", "t", Chunk(0), 1),
            file_format=load_format(file_format),
            output=OutputPlan("csv", PLAIN, max_file_bytes=max_file_bytes),
            enricher=Enricher(BATCH.schema, OutputPlan("csv", PLAIN), AT),
            observations=Observations(),
            destination=destination,
        )
        self.encoded = 0
        self.parts: list = []
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._write, daemon=True)
        self.thread.start()

    def _write(self) -> None:
        def on_batch(_flow: Flow) -> None:
            self.encoded += 1

        try:
            tuning = ReadTuning("t", 1024, MEBIBYTE, read_ahead_bytes=self.read_ahead_bytes)
            for part in self.writer.write(self.stream, tuning, on_batch):
                part.sink.publish()
                self.parts.append(part)
        except BaseException as error:  # noqa: BLE001 - looked at by the test
            self.error = error
        finally:
            self.writer.drop_unpublished()

    def over(self) -> Written:
        self.thread.join(20)
        assert not self.thread.is_alive()
        assert self.stream.is_closed
        return self


@pytest.mark.parametrize(("call", "nth"), [("create", 2), ("write", 2), ("prepare", 1)])
def test_encoding_goes_on_while_a_sink_is_slow(tmp_path, call, nth) -> None:
    gate = Gate((call, "before"), nth)
    written = Written(watched(tmp_path, gate), 12, 2 * MEBIBYTE)
    assert gate.reached.wait(20), written.error
    wait_until(lambda: written.encoded >= 10, 30)
    assert gate.seen[call, "after"] == nth - 1
    gate.opened.set()
    written.over()
    assert written.error is None
    assert [part.ordinal for part in written.parts] == list(range(len(written.parts)))
    assert sum(part.stats.rows for part in written.parts) == 12 * 1024
    files = sorted(tmp_path.glob("*.csv"))
    assert [file.name for file in files] == [part.name for part in written.parts]
    assert b"".join(file.read_bytes() for file in files).count(b"x\n") == 12 * 1024


@pytest.mark.parametrize("bound", [4, QUEUE_BYTES // MEBIBYTE])
def test_what_waits_for_a_sink_is_bounded(tmp_path, bound) -> None:
    gate = Gate(("write", "before"))
    destination = watched(tmp_path, gate)
    written = Written(destination, 64, read_ahead_bytes=bound * MEBIBYTE)
    wait_until(lambda: written.encoded >= bound - 1)
    written.thread.join(0.3)
    assert written.encoded <= bound + 1
    assert written.stream.taken <= 2 * bound + 4
    gate.opened.set()
    written.over()
    assert sum(part.stats.rows for part in written.parts) == 64 * 1024


@pytest.mark.parametrize("error", [DestinationTimeoutError, KeyboardInterrupt])
@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_who_waits_for_room_in_the_middle_of_a_row_group_is_told(
    tmp_path, file_format, error
) -> None:
    gate = Gate(("write", "before"))
    destination = watched(tmp_path, gate)
    written = Written(destination, 80, None, file_format)
    assert gate.reached.wait(20), written.error
    if error is KeyboardInterrupt:
        destination.limits.interrupted = lambda: True
    else:
        destination.limits.timeout_s = 0.2
    written.over()
    assert isinstance(written.error, error)
    gate.opened.set()
    wait_until(lambda: not any(path.is_file() for path in Path(tmp_path).rglob("*")))


@pytest.mark.parametrize("call", ["create", "write", "prepare", "publish"])
def test_what_a_sink_raises_is_raised_as_it_is(tmp_path, call) -> None:
    refused, seen = DestinationError("no", code="RIVET_DESTINATION_FULL"), Counter()

    def watch(name: str, when: str) -> None:
        seen[name, when] += 1
        if name == call and seen[name, "before"] == 2:
            raise refused

    written = Written(watched(tmp_path, watch), 40, 2 * MEBIBYTE).over()
    assert written.error is refused
    assert written.encoded < 40
    assert not list(tmp_path.rglob(".*.tmp/.*"))


@pytest.mark.parametrize("call", ["create", "write", "prepare", "publish", "abort"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_call_that_hangs_is_left_behind_and_taken_back(tmp_path, call, when) -> None:
    gate = Gate((call, when))

    def watch(name: str, at: str) -> None:
        gate(name, at)
        if call == "abort" and name == "prepare":
            raise DestinationError("no")

    destination = watched(tmp_path, watch)
    destination.limits.timeout_s = 0.3
    written = Written(destination, 3, 2 * MEBIBYTE).over()
    if call == "abort":
        assert str(written.error) == "no"
    else:
        assert isinstance(written.error, DestinationTimeoutError)
        assert "took longer than 0.3 s" in written.error.message
        assert written.error.error_code == "RIVET_DESTINATION_TIMEOUT"
    assert destination.limits.has_hung
    gate.opened.set()
    wait_until(lambda: not any(path.is_file() for path in Path(tmp_path).rglob("*")))
    wait_until(lambda: all(one.name != "rivet-upload" for one in threading.enumerate()))


def test_who_asks_to_stop_is_not_kept_waiting(tmp_path) -> None:
    gate = Gate(("prepare", "before"))
    asked = threading.Event()
    destination = watched(tmp_path, gate)
    destination.limits.interrupted = asked.is_set
    written = Written(destination, 3, 2 * MEBIBYTE)
    assert gate.reached.wait(20), written.error
    asked.set()
    written.over()
    assert isinstance(written.error, KeyboardInterrupt)
    gate.opened.set()
    wait_until(lambda: not any(path.is_file() for path in Path(tmp_path).rglob("*")))
