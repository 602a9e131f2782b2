"""The names of artifacts that a step reads, and that no step before it can have written.

Functions and workers write files with names that only the run shows. Before the first of them, the
files are those of built-in executors, whose names are known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from taskrunner import executors
from taskrunner.compiler.manifest.step_shapes import LoopShape, RunShape, walk
from taskrunner.executors.work import BUNDLE_FILE
from taskrunner.expressions import templates
from taskrunner.model.artifact_names import FILES_LEFT_OUT, artifact_names, declared_names
from taskrunner.model.job import pool_of
from taskrunner.model.machine_call import machine_of
from taskrunner.model.plan import FileOutput
from taskrunner.model.wording import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from taskrunner.compiler.manifest.shapes import OutputShape
    from taskrunner.compiler.manifest.step_shapes import StepShape
    from taskrunner.model.json_path import JsonPath

_BUILD: Final = "builtin:build"
# The files of built-in executors; the others write none. The executors have these names too, in
# modules that the compiler does not import.
BUILTIN_FILES: Final = {
    _BUILD: BUNDLE_FILE,
    "builtin:http": "response-body",
    "builtin:scanner": "scan-report.json",
}


def problems(
    steps: Mapping[JsonPath, StepShape], outputs: Sequence[OutputShape]
) -> Iterator[tuple[JsonPath, str]]:
    """Yield each name in `artifacts` of the *steps* that nothing before its step can have written.

    *steps* are in the order of the pack. A step before another one in the pack counts as earlier,
    even if it runs beside it. In a loop, every step of the loop does, because of the iteration
    before.
    """
    declared = [
        FileOutput(name=shape.name, path=shape.path) for shape in outputs if shape.path is not None
    ]
    written: set[str] = set()
    for path, step in steps.items():
        earlier: Iterable[StepShape] = (step,)
        if isinstance(step.body, LoopShape):
            earlier = (inner for _, inner in walk(step.body.body, path))
        elif isinstance(step.body, RunShape):
            yield from _unknown(step.body, path, written)
        for writer in earlier:
            names = _written_by(writer, declared)
            if names is None:
                return
            written |= names


def _unknown(run: RunShape, path: JsonPath, written: set[str]) -> Iterator[tuple[JsonPath, str]]:
    """Yield the names in the step's `artifacts` that are not *written*."""
    parameters = run.parameters
    names = parameters.get("artifacts") if isinstance(parameters, dict) else None
    if not isinstance(names, list) or not (run.uses == _BUILD or pool_of(run.uses) is not None):
        return
    for index, name in enumerate(names):
        if not isinstance(name, str) or next(templates.texts(name), None) is not None:
            continue
        if name == FILES_LEFT_OUT or any(_names(name, known) for known in written):
            continue
        hint = nearest(name, sorted(written)) if written else "; none of them writes a file"
        message = f"no step before this one can write an artifact '{name}'{hint}"
        yield (*path, "run", "with", "artifacts", index), message


def _names(name: str, known: str) -> bool:
    """Return whether *name* is the name *known*, or that with the path of a step."""
    return name == known or name.startswith(f"{known}.")


def _written_by(step: StepShape, declared: Sequence[FileOutput]) -> set[str] | None:
    """Return the names of the files that *step* can write; None if only the run shows them."""
    run = step.body
    if not isinstance(run, RunShape) or machine_of(run.uses) is not None:
        return set()
    if run.uses not in executors.references():
        return None
    file = BUILTIN_FILES.get(run.uses)
    if file is None:
        return set()
    return set(artifact_names([file], declared_names([file], declared), declared))
