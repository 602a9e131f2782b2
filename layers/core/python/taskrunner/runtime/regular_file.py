"""Open a file that a step wrote, if it is a regular file and not something that looks like one.

A step may leave anything in its folders: a symbolic link to a file of this function, a pipe that
nobody writes to, a device. Opening must not follow a link and must not wait for a pipe.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, BinaryIO, Final

if TYPE_CHECKING:
    from pathlib import Path

_KINDS: Final = {
    stat.S_IFLNK: "a symbolic link, which is not followed",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class NotRegularError(OSError):
    """The file is not a regular file; the message says what it is."""


def irregular_kind(mode: int) -> str | None:
    """Return what a file of that mode is, such as `a pipe`, or None when it is a regular file."""
    return None if stat.S_ISREG(mode) else _KINDS.get(stat.S_IFMT(mode), "not a file")


def open_regular(file: Path) -> BinaryIO:
    """Open *file* for reading in binary.

    Raises:
        NotRegularError: it is a link, a folder, a pipe, a socket or a device.
        OSError: it does not exist, or may not be read.
    """
    if (kind := irregular_kind(file.lstat().st_mode)) is not None:
        raise NotRegularError(f"it is {kind}")
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    return os.fdopen(os.open(file, flags), "rb")
