"""Stage 2: the values of a manifest become a pack of the right shape, and a list of every misfit.

Unknown keys are refused everywhere but under `metadata`. A manifest that does not have the right
shape is repaired, so that the next stages can report what else is wrong with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from taskrunner.compiler.manifest.flat_form import COMMON_KEYS, Nesting, written_path
from taskrunner.compiler.manifest.keys import keys_at, meant_key
from taskrunner.compiler.manifest.repair import Repaired, repair, step_path
from taskrunner.compiler.manifest.shape_messages import message
from taskrunner.compiler.manifest.shapes import Pack
from taskrunner.compiler.problems import MAX_PROBLEMS, Problem, invalid
from taskrunner.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pydantic_core import ErrorDetails

    from taskrunner.compiler.manifest.source import Source
    from taskrunner.errors import Diagnostic
    from taskrunner.model.json_path import JsonPath

_MAX_REPAIRS: Final = 6


@dataclass(frozen=True, slots=True)
class Manifest:
    """A pack of the right shape, and the source in which its author finds a problem's line.

    *misfits* are the problems so far, each with its line. With any of them, the pack is *repaired*.
    """

    pack: Pack
    source: Source
    repaired: Repaired
    misfits: tuple[tuple[int, Problem], ...] = ()

    def refuse(
        self,
        problems: Iterable[Problem],
        code: str = "invalid_pack",
        others: Sequence[Diagnostic] = (),
    ) -> None:
        """Report all problems so far and the *problems* of a later stage, in order of their lines.

        *others* are reported after them, because they have no line. Nothing is reported twice, or
        at a place that was repaired for another problem.

        Raises:
            InvalidPackError: there is at least one.
        """
        located = list(self.misfits)
        for problem in problems:
            if not self.repaired.hides(problem.path):
                path = written_path(problem.path, self.source.value)
                located.append((self.source.line(path), Problem(path, problem.message)))
        if not located and not others:
            return
        located.sort(key=lambda entry: entry[0])
        # Cut before rendering: a path may have keys of parameters, which can be of any length.
        reported = located[: MAX_PROBLEMS + 1]
        diagnostics = [self.source.diagnostic(*problem, line) for line, problem in reported]
        raise invalid([*diagnostics, *others], code)

    def without(self, paths: Iterable[JsonPath]) -> Manifest | None:
        """Return the manifest with whole steps repaired where *paths* are, if that can be done."""
        start = _with_kinds(repair(self.repaired, [step_path(path) for path in paths]))
        pack, _, repaired = _fitted(start)
        return None if pack is None else Manifest(pack, self.source, repaired)


def parse(source: Source) -> Manifest:
    """Check the shape of *source*.

    Raises:
        InvalidPackError: it has so many misfits that no shape can be seen in it.
    """
    if not isinstance(source.value, dict):
        text = "a manifest is a mapping of keys; it starts with apiVersion and kind"
        raise invalid([source.diagnostic((), text)])
    nesting = Nesting(source.value)
    settled = [*nesting.settled, *(problem.path for _, problem in source.problems)]
    problems = [Problem(written_path(path, source.value), text) for path, text in nesting.problems]
    start = Repaired(nesting.manifest)
    pack, error, repaired = _fitted(_with_kinds(repair(start, settled)) if settled else start)
    if error is not None:
        problems += _misfits(_reported(error), settled, source)
    located = sorted((source.line(problem.path), problem) for problem in problems)
    manifest_problems = tuple(sorted([*source.problems, *located], key=lambda entry: entry[0]))
    if pack is None:
        raise invalid(source.diagnostic(*problem, line) for line, problem in manifest_problems)
    return Manifest(pack, source, repaired, manifest_problems)


def _fitted(repaired: Repaired) -> tuple[Pack | None, ValidationError | None, Repaired]:
    """Return the pack of *repaired* after repairs, the first error, and all that was repaired."""
    first = None
    for _ in range(_MAX_REPAIRS):
        try:
            return Pack.model_validate(repaired.manifest), first, repaired
        except ValidationError as error:
            first = first or error
            mistakes = [tuple(detail["loc"]) for detail in error.errors(include_url=False)]
            repaired = _with_kinds(repair(repaired, mistakes))
    return None, first, repaired


def _with_kinds(repaired: Repaired) -> Repaired:
    """Return *repaired* with the steps repaired too that a repair has left without a kind."""
    kindless = Nesting(repaired.manifest).settled
    return repair(repaired, kindless) if kindless else repaired


def _reported(error: ValidationError) -> Iterator[ErrorDetails]:
    """Yield the details of *error*, without the key that is missing since it is misspelt."""
    details = error.errors(include_url=False)
    unknown: dict[JsonPath, list[str]] = {}
    for detail in details:
        *parent, key = detail["loc"]
        if detail["type"] == "extra_forbidden":
            unknown.setdefault(tuple(parent), []).append(str(key))
    for detail in details:
        *parent, key = detail["loc"]
        misspelt = unknown.get(tuple(parent), ()) if detail["type"] == "missing" else ()
        known = keys_at(tuple(parent))
        if not any(meant_key(wrong, known) == key for wrong in misspelt):
            yield detail


def _misfits(
    details: Iterable[ErrorDetails], settled: Sequence[JsonPath], source: Source
) -> Iterator[Problem]:
    for detail in details:
        path = tuple(detail["loc"])
        if any(path[: len(place)] == place for place in settled):
            continue
        written = written_path(path, source.value)
        given = source.numbers.get(written)
        yield Problem(written, message(detail, written, _known_keys(path, written), given))


def _known_keys(path: JsonPath, written: JsonPath) -> frozenset[str]:
    keys = keys_at(path[:-1])
    is_flat_step = len(written) < len(path) and step_path(written) == written[:-1]
    return keys | COMMON_KEYS if is_flat_step else keys
