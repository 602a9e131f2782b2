"""Writes files that only their owner can read."""

import os
import tempfile
from pathlib import Path

from taskrunner_cli.errors import UsageError


def write_private(path: Path, text: str) -> None:
    """Write *text* as *path*, atomically and with the mode 0600.

    Raises:
        UsageError: *path* cannot be written.

    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # mkstemp makes the file with the mode 0600 before there is anything in it.
        handle, partial = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            Path(partial).replace(path)
        finally:
            Path(partial).unlink(missing_ok=True)
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot write {path}: {error}") from error
