"""Hostile packs by name: each is refused or planned quickly, and in bounded memory."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from tests.security.hostile import blocks, expressions, names, schemas, sizes, yaml_texts

if TYPE_CHECKING:
    from tests.security.hostile.case import Case


@cache
def cases() -> tuple[Case, ...]:
    """Every case, with its name."""
    tables = (yaml_texts, sizes, names, blocks, schemas, expressions)
    return tuple(
        replace(case, name=name) for table in tables for name, case in table.cases().items()
    )
