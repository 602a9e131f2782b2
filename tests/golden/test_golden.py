"""Every pack in packs/ and bad/ gives what stands beside it, byte for byte. See README.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from taskrunner.compiler.driver import compile_pack
from taskrunner.errors import InvalidPackError
from taskrunner.usecases.simulate_pack import simulate_pack
from tests import packs

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parent
GOOD = sorted((HERE / "packs").glob("*.yaml"))
BAD = sorted((HERE / "bad").glob("*.yaml"))
_INPUTS = "# inputs: "


def case(path: Path) -> str:
    return path.name.split(".")[0]


def inputs_of(path: Path, manifest: str) -> dict[str, Any]:
    """The inputs of a case: in the first line's comment, or beside it, or none."""
    beside = path.with_suffix(".inputs.json")
    if beside.exists():
        text = beside.read_text(encoding="utf-8")
    elif manifest.startswith(_INPUTS):
        text = manifest.splitlines()[0].removeprefix(_INPUTS)
    else:
        text = "{}"
    values: dict[str, Any] = json.loads(text)
    return values


def pretty(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("path", GOOD, ids=case)
def test_a_pack_is_planned_compiled_and_simulated_as_recorded(
    path: Path, assert_golden: Callable[[Path, str], None]
) -> None:
    manifest = path.read_text(encoding="utf-8")
    inputs = inputs_of(path, manifest)

    compiled = compile_pack(manifest, inputs)

    expected = {
        "planHash": compiled.plan_hash,
        "definitionHash": compiled.definition_hash,
        "plan": compiled.document,
        "simulation": simulate_pack(manifest, inputs),
    }
    assert_golden(path.with_suffix(".expected.json"), pretty(expected))


@pytest.mark.parametrize(
    "path", [path for path in GOOD if path.with_suffix(".machine.json").exists()], ids=case
)
def test_a_machine_is_compiled_as_recorded(
    path: Path, assert_golden: Callable[[Path, str], None]
) -> None:
    manifest = path.read_text(encoding="utf-8")

    compiled = compile_pack(manifest, inputs_of(path, manifest))

    assert_golden(path.with_suffix(".machine.json"), pretty(compiled.definition))


@pytest.mark.parametrize("path", BAD, ids=case)
def test_a_bad_pack_is_refused_with_every_problem(
    path: Path, assert_golden: Callable[[Path, str], None]
) -> None:
    manifest = path.read_bytes().decode()
    inputs = inputs_of(path, manifest)

    with pytest.raises(InvalidPackError) as refused:
        compile_pack(manifest, inputs)

    told = [f"{one.path}: {one.message}\n" for one in refused.value.diagnostics]
    assert all(line.count("\n") == 1 for line in told)
    assert_golden(path.with_suffix(".expected.txt"), "".join(told))


def test_every_recorded_file_has_its_pack() -> None:
    packs_there = {path.with_suffix("") for path in [*GOOD, *BAD]}
    recorded = [file for folder in ("packs", "bad") for file in (HERE / folder).iterdir()]

    without = [file for file in recorded if file.with_name(case(file)) not in packs_there]

    assert without == []


def test_both_outcomes_are_covered_widely() -> None:
    assert len(GOOD) >= 60
    assert len(BAD) >= 80


def test_three_machines_are_recorded() -> None:
    machines = {case(file) for file in (HERE / "packs").glob("*.machine.json")}

    assert machines >= {"deploy-app", "scan-deploy", "when-retries-and-a-gate-last"}


@pytest.mark.parametrize("example", [packs.deploy_app, packs.scan_deploy])
def test_the_contracts_packs_are_here_verbatim(example: Callable[[], dict[str, Any]]) -> None:
    body = example()
    name = yaml.safe_load(body["manifest"])["metadata"]["name"]

    ours = HERE / "packs" / f"{name}.yaml"

    assert ours.read_text(encoding="utf-8") == body["manifest"]
    assert inputs_of(ours, body["manifest"]) == body.get("inputs", {})
