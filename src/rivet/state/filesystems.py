"""Which filesystem a folder is on: a write-ahead log and file locks need a local one."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_NETWORK: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ncpfs", "fuse.sshfs", "fuse.s3fs"}
)
_MOUNTS: Final = Path("/proc/self/mounts")


def network_filesystem(folder: Path, *, mounts: Path = _MOUNTS) -> str | None:
    """Return the type of the network filesystem a folder is on; None for a local or unknown one.

    Args:
        folder: It need not exist yet.
        mounts: The mount table, as the kernel writes it: device, mount point, type, options.

    Source:
        proc(5), `/proc/pid/mounts`; fstab(5) for the octal escapes of blanks.
    """
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    resolved = folder.resolve()
    best, kind = -1, ""
    for line in lines:
        fields = line.split(" ")
        if len(fields) < 3:  # noqa: PLR2004
            continue
        point = Path(fields[1].replace("\\040", " ").replace("\\011", "\t"))
        if resolved.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), fields[2]
    return kind if kind in _NETWORK else None
