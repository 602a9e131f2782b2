"""Stage 2: the values of a manifest become a pack of the right shape, or a list of every misfit.

Unknown keys are refused everywhere but under `metadata`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ValidationError

from taskrunner.compiler.manifest.flat_form import COMMON_KEYS, Nesting, written_path
from taskrunner.compiler.manifest.keys import keys_at
from taskrunner.compiler.manifest.shape_messages import message
from taskrunner.compiler.manifest.shapes import Pack
from taskrunner.compiler.problems import MAX_PROBLEMS, Problem, invalid

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from taskrunner.compiler.manifest.source import Source
    from taskrunner.model.json_path import Path


@dataclass(frozen=True, slots=True)
class Manifest:
    """A pack of the right shape, and the source in which its author finds a problem's line."""

    pack: Pack
    source: Source

    def refuse(self, problems: Iterable[Problem], code: str = "invalid_pack") -> None:
        """Report the *problems* that a later stage found, in the order of their lines.

        Raises:
            InvalidPackError: there is at least one.
        """
        written = [
            Problem(written_path(problem.path, self.source.value), problem.message)
            for problem in problems
        ]
        if not written:
            return
        written.sort(key=lambda problem: self.source.line(problem.path))
        # Cut before rendering: a path may have keys of parameters, which can be of any length.
        reported = written[: MAX_PROBLEMS + 1]
        raise invalid((self.source.diagnostic(*problem) for problem in reported), code)


def parse(source: Source) -> Manifest:
    """Check the shape of *source*.

    Raises:
        InvalidPackError: with every misfit, in the order of their lines.
    """
    if not isinstance(source.value, dict):
        text = "a manifest is a mapping of keys; it starts with apiVersion and kind"
        raise invalid([source.diagnostic((), text)])
    nesting = Nesting(source.value)
    problems = [Problem(written_path(path, source.value), text) for path, text in nesting.problems]
    pack = None
    try:
        pack = Pack.model_validate(nesting.manifest)
    except ValidationError as error:
        problems += _misfits(error, nesting, source)
    if problems or pack is None:
        located = [(source.line(problem.path), source.diagnostic(*problem)) for problem in problems]
        raise invalid(diagnostic for _, diagnostic in sorted(located))
    return Manifest(pack, source)


def _misfits(error: ValidationError, nesting: Nesting, source: Source) -> Iterator[Problem]:
    for detail in error.errors(include_url=False):
        path = tuple(detail["loc"])
        if any(path[:length] in nesting.settled for length in range(len(path) + 1)):
            continue
        written = written_path(path, source.value)
        yield Problem(written, message(detail, written, _known_keys(path, written)))


def _known_keys(path: Path, written: Path) -> set[str]:
    keys = keys_at(path[:-1])
    is_flat = len(written) < len(path)
    return keys | COMMON_KEYS if is_flat else keys
