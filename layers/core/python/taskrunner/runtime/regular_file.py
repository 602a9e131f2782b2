"""Open what a step wrote, when it is a plain file and nothing that only looks like one.

A step may leave anything in its folders: a symbolic link to our own files, a pipe that nobody
writes to, a device. Opening must not follow the one nor wait for the others.
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
    """It is no plain file; the message says what it is."""


def kind(mode: int) -> str | None:
    """What a file of that mode is when it is no plain file, such as `a pipe`; else None."""
    return None if stat.S_ISREG(mode) else _KINDS.get(stat.S_IFMT(mode), "no file")


def opened(file: Path) -> BinaryIO:
    """*file* for reading in binary.

    Raises:
        NotRegularError: it is a link, a folder, a pipe, a socket or a device.
        OSError: it is not there, or may not be read.
    """
    if (other := kind(file.lstat().st_mode)) is not None:
        raise NotRegularError(f"it is {other}")
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    return os.fdopen(os.open(file, flags), "rb")
