"""Which form of the wire kernel runs: compiled, or the same sources interpreted.

`RIVET_KERNEL=interpreted` forces the sources where the compiled modules are there too. The package
`rivet.wire.interpreted` always is the interpreted form, so that one process can compare both.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec

__all__ = ["Kind", "install", "kernel_kind", "load"]

Kind = Literal["compiled", "interpreted"]

_HERE: Final = Path(__file__).parent
_PACKAGE: Final = "rivet.wire"
_INTERPRETED: Final = "rivet.wire.interpreted"
_MODULES: Final = frozenset(path.stem for path in _HERE.glob("*.pxd")) - {"native"} | {"plain"}


class _SourceFinder:
    """Finds the kernel's modules as `.py` files, whatever lies beside them."""

    def __init__(self, package: str) -> None:
        self.package = package

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        del path, target
        package, _, module = name.rpartition(".")
        if package != self.package or module not in _MODULES:
            return None
        return importlib.util.spec_from_file_location(name, _HERE / f"{module}.py")


def install() -> None:
    """Obey `RIVET_KERNEL`; `rivet.wire` calls it once, before any module of the kernel loads."""
    package = ModuleType(_INTERPRETED)
    package.__path__ = []
    sys.modules[_INTERPRETED] = package
    sys.meta_path.insert(0, _SourceFinder(_INTERPRETED))
    if os.environ.get("RIVET_KERNEL") == "interpreted":
        sys.meta_path.insert(0, _SourceFinder(_PACKAGE))


def kernel_kind() -> Kind:
    """Return the form in use, without loading it."""
    spec = importlib.util.find_spec(f"{_PACKAGE}.pgcopy")
    is_source = spec is None or (spec.origin or "").endswith(".py")
    return "interpreted" if is_source else "compiled"


def load(kind: Kind | None = None, module: str = "pgcopy") -> ModuleType:
    """Return a module with a protocol's decoder, in the given form or the one in use.

    Raises:
        ImportError: The compiled form was asked for and is not here.
    """
    if kind == "interpreted":
        return importlib.import_module(f"{_INTERPRETED}.{module}")
    if kind == "compiled" and kernel_kind() != "compiled":
        msg = "the compiled kernel is not here"
        raise ImportError(msg)
    return importlib.import_module(f"{_PACKAGE}.{module}")
