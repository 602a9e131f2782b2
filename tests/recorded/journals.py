"""The files of recorded journals: a folder for each release, a file for each pack of packs/."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Final

_HERE: Final = Path(__file__).parent
JOURNALS: Final = _HERE / "journals"
PACKS: Final = sorted((_HERE / "packs").glob("*.yaml"))


def current_release() -> str:
    """The release that the code is of, such as `0.1`: a patch does not change what is stored."""
    return ".".join(version("taskrunner").split(".")[:2])


def recorded(release: str) -> list[Path]:
    """The journals that *release* recorded."""
    return sorted((JOURNALS / release).glob("*.json"))


def releases() -> list[str]:
    """Every release that has recorded journals."""
    return sorted(path.name for path in JOURNALS.iterdir())
