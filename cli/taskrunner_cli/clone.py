"""Finds the clone of the repository, which the local stack and the demo work with."""

from pathlib import Path
from typing import Final

from taskrunner_cli.errors import NoCloneError

_MARKS: Final = ("template.yaml", "layers/core/python", "statemachine")


def find_clone() -> Path:
    """Return the clone around the current folder, or the one that this package is installed from.

    Raises:
        NoCloneError: neither is a clone.

    """
    current = Path.cwd()
    for folder in (current, *current.parents, *Path(__file__).resolve().parents):
        if all((folder / mark).exists() for mark in _MARKS):
            return folder
    raise NoCloneError(
        f"this command needs a clone of the TaskRunner repository, and {current} is not in one",
        cure="clone the repository, run make setup in it, and repeat the command there",
    )
