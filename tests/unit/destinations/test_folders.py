"""Folders that runs side by side share: made, and removed by who fails, between any two steps."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from rivet.destinations.folders import make_folder
from rivet.destinations.local import Options
from rivet.destinations.local import open as open_local
from rivet.errors import DestinationError


def _removed_before(target: Path) -> None:
    target.parent.rmdir()


def _made_and_removed(target: Path) -> None:
    target.rmdir()
    target.parent.rmdir()


@pytest.mark.parametrize(
    ("before", "after", "is_made_anew"),
    [
        (_removed_before, None, False),
        (_removed_before, None, True),
        (None, _made_and_removed, False),
    ],
)
def test_another_run_removes_it_meanwhile(tmp_path, monkeypatch, before, after, is_made_anew):
    target, real, left = tmp_path / "out" / "deep", Path.mkdir, [3]

    def mkdir(path: Path, *arguments: object, **options: object) -> None:
        is_disturbed = path == target and left[0] > 0
        if is_disturbed:
            left[0] -= 1
            if before:
                before(path)
        try:
            real(path, *arguments, **options)
        finally:
            if is_disturbed and after:
                after(path)
            if is_disturbed and is_made_anew:
                real(path.parent)

    monkeypatch.setattr(Path, "mkdir", mkdir)
    make_folder(target)
    assert (target.is_dir(), left) == (True, [0])


def test_many_that_come_to_nothing_leave_nothing(tmp_path):
    failures: list[DestinationError] = []

    def fail_again_and_again(number: int) -> None:
        for _ in range(100):
            for path in (f"out/deep/{number}", "shared/by all"):
                try:
                    opened = open_local(Options(path=path), base_dir=tmp_path)
                    assert [one for one in opened.walk() if "." not in one.name] == []
                    opened.create("part")  # its staging folder, never a part
                    opened.close()
                except DestinationError as error:
                    failures.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=fail_again_and_again, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert failures == []
    assert list(tmp_path.iterdir()) == []
