"""Make the picture of the README, docs/images/run.svg, from a real run of this very build.

A private PostgreSQL gets the shop of `rivet demo`; the README's configuration exports its largest
table in a terminal, and the picture is what stood there. `make picture` runs this.
"""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyte
from rich.console import Console
from rich.terminal_theme import DIMMED_MONOKAI
from rich.text import Text

from rivet.scaffold.demo import make_demo

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT: Final = Path(__file__).parents[1]
PICTURE: Final = _ROOT / "docs" / "images" / "run.svg"
_COLUMNS: Final = 100
_LINES: Final = 60
_TABLE: Final = "order_lines"
_URL: Final = re.compile(r"^  url: *['\"]?([^'\"\n]+)", re.MULTILINE)


def main() -> None:
    """Run, and write the picture."""
    with (
        tempfile.TemporaryDirectory(prefix="rivet-") as scratch,
        make_demo(Path(scratch) / "demo", "postgresql") as shop,
        tempfile.TemporaryDirectory(prefix="shop-") as folder,
    ):
        found = _URL.search(shop.config.read_text(encoding="utf-8"))
        if found is None:
            msg = "the demo's configuration names no URL"
            raise SystemExit(msg)
        (Path(folder) / "rivet.yaml").write_text(_configuration(), encoding="utf-8")
        environment = {**os.environ, "DATABASE_URL": found[1], "TERM": "xterm-256color"}
        environment |= {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        lines: list[Text] = []
        for command in ("rivet run --validate", "rivet files"):
            lines.append(Text(f"$ {command}", style="bold"))
            lines += _shown(command.split(), Path(folder), environment)
    console = Console(record=True, width=_COLUMNS, file=io.StringIO(), force_terminal=True)
    for line in lines:
        console.print(line, soft_wrap=True)
    console.save_svg(str(PICTURE), title="rivet", theme=DIMMED_MONOKAI)
    print(f"{PICTURE.relative_to(_ROOT)}: {len(lines)} lines")


def _configuration() -> str:
    readme = (_ROOT / "README.md").read_text(encoding="utf-8")
    block = readme.split("```yaml\n")[1].split("```")[0]
    return block.replace("public.orders", f"public.{_TABLE}").replace(
        "name: orders", f"name: {_TABLE}"
    )


def _shown(command: list[str], folder: Path, environment: dict[str, str]) -> Iterator[Text]:
    """Run a command in a terminal and return what stands there at its end."""
    master, slave = pty.openpty()
    screen = pyte.Screen(_COLUMNS, _LINES)
    stream = pyte.ByteStream(screen)
    size = {"COLUMNS": str(_COLUMNS), "LINES": str(_LINES)}
    with subprocess.Popen(
        command,
        cwd=folder,
        env={**environment, **size},
        stdin=subprocess.DEVNULL,
        stdout=slave,
        stderr=slave,
    ) as process:
        os.close(slave)
        try:
            while data := os.read(master, 65536):
                stream.feed(data)
        except OSError:  # the other end is closed
            pass
        if process.wait() != 0:
            msg = "\n".join(screen.display)
            raise SystemExit(msg)
    os.close(master)
    last = max(number for number, line in enumerate(screen.display) if line.strip())
    for number in range(last + 1):
        line = Text()
        for column in range(_COLUMNS):
            cell = screen.buffer[number][column]
            colour = "" if cell.fg == "default" else cell.fg.replace("brown", "yellow")
            line.append(cell.data, style=f"{'bold ' if cell.bold else ''}{colour}".strip())
        line.rstrip()
        yield line


if __name__ == "__main__":
    main()
