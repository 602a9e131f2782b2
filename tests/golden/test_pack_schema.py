"""The schema of packs for editors, pack.v1.json, says what the shapes of the compiler say."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import jsonschema_rs
import pytest

from taskrunner.compiler.manifest import schema as shape_stage
from taskrunner.compiler.manifest import source
from taskrunner.errors import InvalidPackError
from tests.golden import cases, pack_schema
from tests.golden.cases import BAD, GOOD, Case
from tests.template import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# docs/schemas/ has a link to it.
FILE = ROOT / "cli/taskrunner_cli/pack.v1.json"
EXAMPLES = sorted([*ROOT.glob("examples/*.yaml"), *ROOT.glob("examples/workflows/*/pack.yaml")])
_WRONG: Final[tuple[Any, ...]] = ([], {"x": 1}, 10**12, -(10**12), "", True)
VALIDATOR = jsonschema_rs.Draft202012Validator(pack_schema.schema())


def test_the_file_is_up_to_date(assert_golden: Callable[[Path, str], None]) -> None:
    assert_golden(FILE, pack_schema.text())
    assert (ROOT / "docs/schemas/pack.v1.json").samefile(FILE)


def test_is_a_valid_schema() -> None:
    jsonschema_rs.meta.validate(pack_schema.schema())


@pytest.mark.parametrize("case", GOOD, ids=cases.name)
def test_takes_every_good_pack(case: Case) -> None:
    assert _mistakes(source.read(case.manifest).value) == []


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_takes_every_example(path: Path) -> None:
    assert _mistakes(source.read(path.read_text(encoding="utf-8")).value) == []


def test_refuses_every_bad_pack_that_the_shapes_refuse() -> None:
    refused = [case for case in BAD if _shapes_refuse_text(case.manifest)]

    assert len(refused) > 10  # else this would show nothing
    taken = [c.name for c in refused if not _mistakes(source.read(c.manifest).value)]
    assert taken == []


@pytest.mark.parametrize("case", GOOD, ids=cases.name)
def test_refuses_a_good_pack_with_any_one_part_spoilt_as_the_shapes_do(case: Case) -> None:
    """The schema comes first, because it answers in a tenth of the shapes' time."""
    read = source.read(case.manifest)
    for place, spoilt in _spoilt(read.value):
        if VALIDATOR.is_valid(spoilt):
            assert not _shapes_refuse(replace(read, value=spoilt)), place


def test_describes_every_key() -> None:
    bare = [
        f"{name}.{key}"
        for name, part in [*pack_schema.schema()["$defs"].items(), ("", pack_schema.schema())]
        for key, value in part.get("properties", {}).items()
        if not value.get("description")
    ]

    assert bare == []


def _mistakes(value: Any) -> list[str]:  # noqa: ANN401 - any value
    return [f"{error.instance_path}: {error.message}" for error in VALIDATOR.iter_errors(value)]


def _shapes_refuse_text(manifest: str) -> bool:
    try:
        read = source.read(manifest)
    except InvalidPackError:
        return False  # not YAML, of which a schema says nothing
    return not read.problems and _shapes_refuse(read)


def _shapes_refuse(read: source.Source) -> bool:
    try:
        return bool(shape_stage.parse(read).misfits)
    except InvalidPackError:
        return True


def _spoilt(value: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - any value
    """Yield *value* with one part of another type, out of bounds, or with an unknown key."""
    for path in _paths(value):
        for wrong in _WRONG:
            yield f"{path}={wrong!r}", _with(value, path, wrong)
        if isinstance(part := _part(value, path), dict):
            yield f"{path}+unknownKey", _with(value, path, {**part, "unknownKey": 1})


def _with(value: Any, path: tuple[Any, ...], part: Any) -> Any:  # noqa: ANN401 - any value
    """Return *value* with another *part* at *path*, and the same parts everywhere else."""
    if not path:
        return part
    copied = copy.copy(value)
    copied[path[0]] = _with(value[path[0]], path[1:], part)
    return copied


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:  # noqa: ANN401 - any value
    children = value.items() if isinstance(value, dict) else ()
    for key, child in enumerate(value) if isinstance(value, list) else children:
        yield (*path, key)
        yield from _paths(child, (*path, key))


def _part(value: Any, path: tuple[Any, ...]) -> Any:  # noqa: ANN401 - any value
    for key in path:
        value = value[key]
    return value
