"""A hostile case, and the ways to write its pack."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from tests.packs import pack

FULL: Final = 250 * 1024  # bytes; just below the most that a manifest may have
NOOP: Final = "- {id: one, run: {uses: builtin:noop}}"


@dataclass(frozen=True)
class Case:
    """A manifest and inputs. Unless it is *refused*, with that *code*, the pack only looks bad."""

    name: str
    manifest: str = field(repr=False)
    inputs: dict[str, Any] = field(default_factory=dict, repr=False)
    refused: bool = True
    code: str = "invalid_pack"

    def __str__(self) -> str:
        return self.name


def filled(line: str, room_bytes: int = FULL) -> str:
    """Repeat *line* until *room_bytes* are full, with each copy's number in the place of `%d`."""
    count = room_bytes // (len(line) + 8)
    return "\n".join(line.replace("%d", str(number)) for number in range(count))


def filled_with_steps(line: str, **more: str) -> Case:
    """A pack whose steps are *line*, repeated until the manifest is full."""
    return Case("", pack(filled(line), **more))
