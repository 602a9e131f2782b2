"""Names for the files that a step wrote: the declared ones, and unique ones for all others."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from itertools import chain, count
from typing import TYPE_CHECKING, Final

from taskrunner.model.artifact import EVIDENCE_BUNDLE
from taskrunner.model.plan import FileOutput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskrunner.model.plan import Output

FILES_LEFT_OUT: Final = "files-left-out"
_MAX_NAME: Final = 100
_UNFIT: Final = re.compile(r"[^A-Za-z0-9._-]+")


def declared_names(paths: Sequence[str], outputs: Sequence[Output]) -> dict[str, str]:
    """Return the names that *outputs* declare, by those of *paths* that they name.

    Unicode can write one text in several ways. A path that is written as the output has it is
    preferred to one that is only equivalent.
    """
    canonical = {_canonical(path): path for path in reversed(paths)}
    wanted = {
        output.path.removeprefix("/output/"): output.name
        for output in outputs
        if isinstance(output, FileOutput)
    }
    exact = wanted.keys() & set(paths)
    found = {path: path if path in exact else canonical.get(_canonical(path)) for path in wanted}
    return {path: wanted[key] for key, path in found.items() if path is not None}


def artifact_names(
    paths: Sequence[str], declared: Mapping[str, str], outputs: Sequence[Output]
) -> list[str]:
    """Return a name for each of *paths*, in their order.

    It is the *declared* name, else the path without its ending, else the whole path, else the path
    with a number. No two paths share a name, and none has one that is taken: by any of *outputs*,
    by the evidence, or by the list of files left out.
    """
    taken = {output.name for output in outputs} | {EVIDENCE_BUNDLE, FILES_LEFT_OUT}
    names: list[str] = []
    for path in paths:
        name = declared.get(path)
        if name is None:
            whole = _plain(path)
            short = whole.rsplit(".", 1)[0] or whole
            numbered = (f"{whole}-{number}" for number in count(2))
            name = next(free for free in chain((short, whole), numbered) if free not in taken)
            taken.add(name)
        names.append(name)
    return names


def _canonical(path: str) -> str:
    return unicodedata.normalize("NFC", path)


def _plain(path: str) -> str:
    """*path* in the characters of a name, with a digest in place of what is too long."""
    decomposed = unicodedata.normalize("NFKD", path)
    base = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    name = _UNFIT.sub("-", base).strip("-._") or "file"
    if len(name) <= _MAX_NAME:
        return name
    digest = hashlib.sha256(path.encode(errors="replace")).hexdigest()[:12]
    return f"{name[:_MAX_NAME].rstrip('-._')}-{digest}"
