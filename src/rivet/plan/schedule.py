"""How many exports of an invocation run at once, and in which order they begin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_EXPORTS_PER_CPU: Final = 2


def max_concurrent(  # noqa: PLR0913 - every bound there is
    requested: int | None,
    *,
    exports: int,
    cpu_count: int,
    max_connections: int | None,
    max_memory_mb: int | None,
    memory_each_mb: int,
    memory_base_mb: int,
) -> int:
    """Return the most exports that may run at the same time.

    A budget always wins over a number that was asked for. One export runs even where the budget
    is too small for it: a run that never begins helps nobody.

    Args:
        requested: What the user asked for; None is twice the processors, since an export waits
            for its server about half of the time.
        exports: How many there are to run.
        cpu_count: Processors this process may use.
        max_connections: The most connections to the source; an export holds one.
        max_memory_mb: The most memory of the whole invocation, in MiB.
        memory_each_mb: What one export takes of it, in MiB.
        memory_base_mb: What is taken of it besides, in MiB.

    Returns:
        At least 1, at most `exports` where there are any.
    """
    limits = [exports, _EXPORTS_PER_CPU * cpu_count if requested is None else requested]
    if max_connections is not None:
        limits.append(max_connections)
    if max_memory_mb is not None:
        limits.append((max_memory_mb - memory_base_mb) // memory_each_mb)
    return max(min(limits), 1)


def launch_order(names: Sequence[str], estimates: Mapping[str, int | None]) -> tuple[str, ...]:
    """Return the names in the order to begin them: the last to begin should be short.

    Unknown sizes come first, because one of them may be the longest; then the largest first. What
    is equal stays in the order of the configuration.

    Args:
        names: In configuration order.
        estimates: Name to a size, in one unit for all; a missing name is unknown.
    """
    sizes = [estimates.get(name) for name in names]
    unknown = [name for name, size in zip(names, sizes, strict=True) if size is None]
    known = [(name, size) for name, size in zip(names, sizes, strict=True) if size is not None]
    known.sort(key=lambda item: -item[1])
    return (*unknown, *(name for name, _ in known))
