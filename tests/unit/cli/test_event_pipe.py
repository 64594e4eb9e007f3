"""The events of a child on its standard output: the latest totals are never lost."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys

PROGRAM = """
import os, sys, time
from rivet.cli.child import EventPipe
from rivet.events import ChunkStarted, Progress
pipe = EventPipe()
for done in range(5000):
    pipe.emit(Progress("a", chunks_done=done, rows=done * 10))
sys.stderr.write("full\\n")
sys.stderr.flush()
sys.stdin.read()
pipe.emit(ChunkStarted("a", "r", 0, 1))
"""


def test_while_nobody_reads_the_latest_totals_wait():
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdin=subprocess.PIPE,
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        os.close(writer)
        assert child.stderr.readline() == "full\n"
        child.stdin.close()
        with os.fdopen(reader) as lines:
            told = [json.loads(line) for line in lines]
    assert len(told) < 200
    assert [one["type"] for one in told[-2:]] == ["progress", "chunk_started"]
    assert (told[-2]["chunks_done"], told[-2]["rows"]) == (4999, 49990)
    places = [one["chunks_done"] for one in told[:-1]]
    assert places == sorted(set(places))
