"""Names for the files that steps wrote.

A step's own files get the declared names, and unique ones if they have none. In the list of the
run's artifacts, a name that several steps use is followed by the path of the step.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from itertools import chain, count
from typing import TYPE_CHECKING, Final

from taskrunner.model import step_path
from taskrunner.model.artifact import EVIDENCE_BUNDLE
from taskrunner.model.plan import FileOutput

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from taskrunner.model.artifact import Artifact
    from taskrunner.model.plan import Output
    from taskrunner.model.plan_order import PlanOrder

FILES_LEFT_OUT: Final = "files-left-out"
_MAX_NAME: Final = 100
_MAX_QUALIFIED: Final = 200
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
    """Return a name for each of *paths* of one step, in their order.

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
            name = _first_free(chain((short, whole), _numbered(whole)), taken)
        names.append(name)
    return names


def qualified_name(artifact: Artifact) -> str:
    """Return the name with the path of its step: `report.scans-0.scan` for `scans[0]::scan`."""
    if artifact.step_path is None:
        return artifact.name
    place = artifact.step_path.replace("[", "-").replace("]::", ".")
    name = f"{artifact.name}.{place}"
    if len(name) <= _MAX_QUALIFIED:
        return name
    return f"{artifact.name}.{hashlib.sha256(place.encode()).hexdigest()[:12]}"


def own_name(artifact: Artifact) -> str:
    """Return the name that an artifact has when no other step wrote one of its name.

    That of an iteration is always qualified, because other iterations will write the same.
    """
    is_iterated = artifact.step_path is not None and step_path.is_iterated(artifact.step_path)
    return qualified_name(artifact) if is_iterated else artifact.name


def distinct_names(artifacts: Iterable[Artifact], order: PlanOrder) -> dict[str, Artifact]:
    """Return the artifacts of a run by distinct names, in the order of the plan.

    The last in the plan of several steps that wrote one name has it, as if the steps had run one
    after another. The others have their qualified names. Which of them was the last to run makes no
    difference.
    """

    def place(item: Artifact) -> tuple[bool, tuple[int, ...]]:
        path = item.step_path
        return path is None, () if path is None else order.place(path)

    ordered = sorted(artifacts, key=place)
    names = {own_name(item): item for item in ordered if own_name(item) == item.name}
    taken = set(names)
    distinct: dict[str, Artifact] = {}
    for item in ordered:
        name = item.name
        if names.get(name) is not item:
            qualified = qualified_name(item)
            name = _first_free(chain((qualified,), _numbered(qualified)), taken)
        distinct[name] = item
    return distinct


def _first_free(names: Iterable[str], taken: set[str]) -> str:
    """Return the first of *names* that is not *taken*, which it is now."""
    name = next(free for free in names if free not in taken)
    taken.add(name)
    return name


def _numbered(name: str) -> Iterator[str]:
    return (f"{name}-{number}" for number in count(2))


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
