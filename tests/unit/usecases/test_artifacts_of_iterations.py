"""Artifacts that several steps or iterations write to one path: their names, and who reads them.

Nothing that a run ends with may depend on which of them was the last to run.
"""

from __future__ import annotations

from io import BytesIO
from itertools import permutations
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile

import pytest

from taskrunner.errors import NotFoundError, StepFailedError
from taskrunner.usecases import read_run
from taskrunner.usecases.settle_run import settle_run
from tests.packs import pack
from tests.unit.usecases.scenarios import TENANT, a_world, evidence_of, step

if TYPE_CHECKING:
    from tests.fakes.world import MemoryWorld

ITEMS = (0, 1, 10)
ORDERS = list(permutations(ITEMS))
_IMAGES = [f"registry.example.com/app:v{number}" for number in range(11)]
SCANS = pack(
    f"""
    - id: scans
      map:
        items: {{static: {_IMAGES}}}
        steps:
          - {{id: scan, run: {{uses: builtin:scanner, with: {{target: "{{{{ item }}}}"}}}}}}
          - {{id: zip, run: {{uses: builtin:build, with: {{artifacts: [scan-report]}}}}}}
    - {{id: all, run: {{uses: builtin:build, with: {{artifacts: [scan-report]}}}}}}
    - {{id: ship, run: {{uses: builtin:deploy}}}}
    """,
    spec="outputs: [{name: scan-report, type: file, path: /output/scan-report.json}]",
)


def scanned(order: tuple[int, ...] = ITEMS) -> MemoryWorld:
    """A world whose run-7 has scanned three items, in that order."""
    world = a_world(SCANS)
    for number in order:
        step(world, "scan", iteration=f"scans[{number}]::")
    return world


def artifacts(world: MemoryWorld) -> dict[str, dict[str, Any]]:
    return {
        artifact["name"]: artifact for artifact in read_run.run_artifacts(TENANT, "run-7", world)
    }


def bundle(world: MemoryWorld, digest: str) -> dict[str, bytes]:
    """The files in a bundle that was built."""
    zipped = next(
        content
        for (_, path), content in world.artifacts.files.items()
        if f"/{digest.removeprefix('sha256:')}/" in path
    )
    with ZipFile(BytesIO(zipped)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def outputs(world: MemoryWorld, path: str) -> Any:  # noqa: ANN401 - any JSON
    return world.runs.outcomes(TENANT, "run-7", [path])[path].outputs


def test_each_iteration_has_an_artifact_of_its_own() -> None:
    world = scanned()

    listed = artifacts(world)

    assert {name: one["stepId"] for name, one in listed.items()} == {
        "scan-report.scans-0.scan": "scans[0]::scan",
        "scan-report.scans-1.scan": "scans[1]::scan",
        "scan-report.scans-10.scan": "scans[10]::scan",
    }
    assert {artifact["sourcePath"] for artifact in listed.values()} == {"/output/scan-report.json"}
    urls = {read_run.artifact_url(TENANT, "run-7", name, world) for name in listed}
    assert len(urls) == len(listed)
    with pytest.raises(NotFoundError):
        read_run.artifact_url(TENANT, "run-7", "scan-report", world)


def test_an_output_that_only_iterations_wrote_is_not_missing_at_the_end() -> None:
    world = scanned()

    settle_run(TENANT, "run-7", None, world)

    assert sorted(artifacts(world)) == [
        "evidence-bundle",
        "scan-report.scans-0.scan",
        "scan-report.scans-1.scan",
        "scan-report.scans-10.scan",
    ]
    subjects = [subject["name"] for subject in evidence_of(world)["subject"]]
    assert subjects[2:] == [f"artifacts/{name}" for name in sorted(artifacts(world))[1:]]


@pytest.mark.parametrize("order", ORDERS)
def test_a_build_takes_the_files_of_all_iterations_whatever_ran_last(
    order: tuple[int, ...],
) -> None:
    world = scanned(order)

    step(world, "all")

    built = outputs(world, "all")
    assert built["files"] == [f"artifacts/scan-report.scans-{n}.scan" for n in ITEMS]
    for name, content in bundle(world, built["digest"]).items():
        assert f"app:v{name.split('-')[2].split('.')[0]}".encode() in content
    expected = scanned()
    step(expected, "all")
    assert built["digest"] == outputs(expected, "all")["digest"]


@pytest.mark.parametrize("order", ORDERS)
def test_an_iteration_reads_its_own_files_and_not_those_of_others(order: tuple[int, ...]) -> None:
    world = scanned(order)

    step(world, "zip", iteration="scans[1]::")

    assert outputs(world, "scans[1]::zip")["files"] == ["artifacts/scan-report.scans-1.scan"]


@pytest.mark.parametrize("order", ORDERS)
def test_a_deployment_takes_the_bundle_that_is_last_in_the_plan(order: tuple[int, ...]) -> None:
    world = scanned()
    for number in order:
        step(world, "zip", iteration=f"scans[{number}]::")

    step(world, "ship")

    assert outputs(world, "ship")["digest"] == outputs(world, "scans[10]::zip")["digest"]


def test_a_step_does_not_read_what_lanes_beside_it_have_written() -> None:
    world = a_world(
        pack(
            """
            - id: both
              parallel:
                steps:
                  - {id: one, run: {uses: builtin:scanner, with: {target: "example.com/a:v1"}}}
                  - {id: two, run: {uses: builtin:build, with: {artifacts: [scan-report]}}}
            """
        )
    )
    step(world, "one")

    with pytest.raises(StepFailedError):
        step(world, "two")

    failed, run_failed = [placed.entry for placed in world.runs.journal(TENANT, "run-7")][-2:]
    assert run_failed.event == "run.failed"
    assert "no artifact 'scan-report'" in failed.message


TWO_STEPS = pack(
    """
    - {id: one, run: {uses: builtin:scanner, with: {target: "example.com/one:v1"}}}
    - {id: two, when: "steps.one.outputs.high != `9`",
       run: {uses: builtin:scanner, with: {target: "example.com/two:v1"}}}
    - {id: all, run: {uses: builtin:build, with: {artifacts: [scan-report]}}}
    """
)


@pytest.mark.parametrize("order", [("one", "two"), ("two", "one")])
def test_of_two_steps_that_wrote_one_path_the_last_in_the_plan_has_the_name(
    order: tuple[str, ...],
) -> None:
    world = a_world(TWO_STEPS)
    for step_id in order:
        step(world, step_id)

    step(world, "all")

    assert {name: one["stepId"] for name, one in artifacts(world).items()} == {
        "bundle": "all",
        "scan-report": "two",
        "scan-report.one": "one",
    }
    files = bundle(world, outputs(world, "all")["digest"])
    assert b"example.com/two" in files["artifacts/scan-report"]
    assert b"example.com/one" in files["artifacts/scan-report.one"]
    assert len(files) == 2


def test_a_step_keeps_the_name_when_no_other_wrote_it() -> None:
    world = a_world(TWO_STEPS)

    step(world, "one")

    assert list(artifacts(world)) == ["scan-report"]
