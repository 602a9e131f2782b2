"""Every pack in packs/ is planned, simulated and compiled as recorded beside it. See README.md."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest
import rfc8785
import yaml

from taskrunner.usecases.simulate_pack import simulate_pack
from tests import packs
from tests.golden import cases, defaults
from tests.golden.cases import BAD, GOOD, WHOLE, Case
from tests.golden.layout import laid_out
from tests.golden.wiring import wiring

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def digest(document: dict[str, Any]) -> str:
    """The hash of a document as vectors/ defines it, calculated without the compiler."""
    return f"sha256:{hashlib.sha256(rfc8785.dumps(document)).hexdigest()}"


@pytest.mark.parametrize("case", GOOD, ids=cases.name)
def test_plans_and_simulates_a_pack_as_recorded(
    case: Case, assert_golden: Callable[[Path, str], None]
) -> None:
    compiled = case.compiled()
    simulation = simulate_pack(case.manifest, case.inputs)
    shape = defaults.simulation(compiled)

    plan = defaults.omitted(compiled.document, defaults.PLAN)
    shown = defaults.omitted(simulation, shape)
    expected = {
        "planHash": compiled.plan_hash,
        "definitionHash": compiled.definition_hash,
        "plan": plan,
        "simulation": shown,
    }

    assert_golden(case.path.with_suffix(".expected.json"), laid_out(expected))
    assert defaults.restored(plan, defaults.PLAN) == compiled.document
    assert defaults.restored(shown, shape) == simulation


@pytest.mark.parametrize("case", GOOD, ids=cases.name)
def test_hashes_pin_the_whole_plan_and_the_whole_machine(case: Case) -> None:
    compiled = case.compiled()

    assert compiled.plan_hash == digest(compiled.document)
    assert compiled.definition_hash == digest(compiled.definition)


@pytest.mark.parametrize(
    "case", [case for case in GOOD if case.path.with_suffix(".wiring.txt").exists()], ids=cases.name
)
def test_wires_a_machine_as_recorded(
    case: Case, assert_golden: Callable[[Path, str], None]
) -> None:
    assert_golden(case.path.with_suffix(".wiring.txt"), wiring(case.compiled().definition))


@pytest.mark.parametrize("case", [case for case in GOOD if case.name in WHOLE], ids=cases.name)
def test_compiles_a_machine_as_recorded(
    case: Case, assert_golden: Callable[[Path, str], None]
) -> None:
    assert_golden(case.path.with_suffix(".machine.json"), laid_out(case.compiled().definition))


def test_records_three_machines_whole_and_the_wiring_of_many() -> None:
    recorded = {case.name for case in GOOD if case.path.with_suffix(".machine.json").exists()}
    wired = [case.name for case in GOOD if case.path.with_suffix(".wiring.txt").exists()]

    assert recorded == set(WHOLE)
    assert len(wired) >= 25


def test_every_recorded_file_belongs_to_a_pack() -> None:
    manifests = {case.path for case in [*GOOD, *BAD]}
    recorded = [file for folder in {path.parent for path in manifests} for file in folder.iterdir()]

    orphans = {
        file.name
        for file in recorded
        if file.with_name(f"{file.name.split('.')[0]}.yaml") not in manifests
    }

    assert orphans == set()


def test_there_are_many_packs_of_both_outcomes() -> None:
    assert len(GOOD) >= 80
    assert len(BAD) >= 160


@pytest.mark.parametrize("example", [packs.deploy_app, packs.scan_deploy])
def test_the_contracts_packs_are_here_verbatim(example: Callable[[], dict[str, Any]]) -> None:
    body = example()
    name = yaml.safe_load(body["manifest"])["metadata"]["name"]

    (case,) = [case for case in GOOD if case.name == name]

    assert case.manifest == body["manifest"]
    assert case.inputs == body.get("inputs", {})
