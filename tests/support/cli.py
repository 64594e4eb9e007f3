"""Run the `rivet` command as its users do: a process of its own, with a clean home."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from support import warm

TIMEOUT_S = 120
_PLAINLY = [sys.executable, "-m", "rivet"]


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """Standard output, read as one JSON document."""
        return json.loads(self.stdout)

    def expect(self, code: int = 0) -> Outcome:
        """Fail the test with both outputs unless the exit code is `code`; return self."""
        if self.code != code:
            message = f"exit code {self.code}, not {code}\n--- stdout\n{self.stdout}"
            pytest.fail(f"{message}\n--- stderr\n{self.stderr}", pytrace=False)
        return self


@dataclass(frozen=True)
class Rivet:
    """The command in one working directory: `rivet("run", "-c", path)`."""

    directory: Path
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def command(self) -> list[str]:
        """The program, before its arguments."""
        return list(_PLAINLY)

    @property
    def environment(self) -> dict[str, str]:
        """What the process sees: nothing of the developer's own settings but PATH."""
        home = self.directory / ".home"
        home.mkdir(exist_ok=True)
        return {**warm.plain_environment(), "HOME": str(home), **self.variables}

    def start(self, *arguments: str | Path, **options: Any) -> subprocess.Popen[str]:
        """Start the command and return at once, for tests that kill it; wait for it yourself."""
        settings: dict[str, Any] = {
            "cwd": self.directory,
            "env": self.environment,
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "text": True,
            "encoding": "utf-8",
        }
        command = [*self.command, *(str(argument) for argument in arguments)]
        return subprocess.Popen(command, **{**settings, **options})

    def __call__(
        self,
        *arguments: str | Path,
        env: dict[str, str] | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> Outcome:
        """Run the command to its end; `env` adds variables to this run only."""
        environment = {**self.environment, **(env or {})}
        if self.command == _PLAINLY and warm.is_fit(environment):
            texts = [str(argument) for argument in arguments]
            ended = warm.server().run(texts, self.directory, environment, timeout_s)
            return Outcome(ended.code, ended.stdout, ended.stderr)
        with self.start(*arguments, env=environment) as process:
            try:
                stdout, stderr = process.communicate(timeout=timeout_s)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        return Outcome(process.returncode, stdout, stderr)


@pytest.fixture
def rivet(tmp_path: Path) -> Rivet:
    """The command, run in the test's own temporary directory."""
    return Rivet(tmp_path)
