"""The port Artifacts: the list is the run's, the files are their own."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from taskrunner.model.artifact import Artifact, ArtifactStatus, ArtifactType
from taskrunner.model.journal import Event
from taskrunner.model.run import RunStatus, StepOutcome, StepStatus
from tests.contract.ports import CREATED, a_run, an_entry

if TYPE_CHECKING:
    from pathlib import Path

    from taskrunner.usecases.ports import Head
    from tests.contract.ports import Ports


def begun(world: Ports) -> Head:
    run = a_run()
    world.runs.create(run, [CREATED])
    return world.runs.head(run.tenant, run.run_id)


def a_file(name: str = "report") -> Artifact:
    return Artifact(
        name=name,
        type=ArtifactType.FILE,
        status=ArtifactStatus.CAPTURED,
        source_path=f"/output/{name}.json",
        captured_at="2025-12-06T12:00:00.000Z",
        media_type="application/json",
    )


def test_a_stored_file_knows_where_and_what_it_is(world: Ports, tmp_path: Path) -> None:
    head = begun(world)
    (tmp_path / "report.json").write_bytes(b'{"a": 1}')

    stored = world.artifacts.store("acme", head.run.run_id, a_file(), tmp_path / "report.json")

    assert stored.stored_path == f"runs/{head.run.run_id}/artifacts/report"
    assert stored.size_bytes == 8
    assert stored.sha256 == sha256(b'{"a": 1}').hexdigest()
    assert (stored.name, stored.media_type) == ("report", "application/json")


def test_executors_read_a_stored_file_by_its_name(world: Ports, tmp_path: Path) -> None:
    head = begun(world)
    (tmp_path / "report.json").write_bytes(b"\x00\xff")

    world.artifacts.store("acme", head.run.run_id, a_file(), tmp_path / "report.json")

    contents = world.artifacts.contents("acme", head.run.run_id)
    assert contents.read("report") == b"\x00\xff"
    assert contents.read("other") is None
    assert world.artifacts.contents("globex", head.run.run_id).read("report") is None
    assert world.artifacts.contents("acme", "another-run").read("report") is None


def test_the_list_has_what_steps_and_the_end_recorded_by_name(world: Ports) -> None:
    head = begun(world)
    outcome = StepOutcome(path="scan", attempt=1, status=StepStatus.SUCCEEDED)
    value = Artifact(
        name="a-value",
        type=ArtifactType.OBJECT,
        status=ArtifactStatus.FAILED,
        notes="no value",
        expression_json="{}",
    )

    world.runs.record_step(head, outcome, [], [a_file("report"), a_file("log")])
    world.runs.end(head, RunStatus.SUCCEEDED, [an_entry("run.ended", Event.RUN_COMPLETED)], [value])

    listed = world.artifacts.list("acme", head.run.run_id)
    assert listed == [value, a_file("log"), a_file("report")]


def test_a_later_file_of_a_name_replaces_the_earlier(world: Ports) -> None:
    head = begun(world)
    for attempt in (1, 2):
        outcome = StepOutcome(path="scan", attempt=attempt, status=StepStatus.FAILED)
        world.runs.record_step(head, outcome, [], [a_file()])

    assert len(world.artifacts.list("acme", head.run.run_id)) == 1


def test_a_run_without_artifacts_has_an_empty_list(world: Ports) -> None:
    assert world.artifacts.list("acme", begun(world).run.run_id) == []


def test_a_download_leads_to_the_stored_path(world: Ports, tmp_path: Path) -> None:
    head = begun(world)
    (tmp_path / "report.json").write_bytes(b"{}")
    stored = world.artifacts.store("acme", head.run.run_id, a_file(), tmp_path / "report.json")

    url = world.artifacts.download_url("acme", stored)

    assert f"acme/{stored.stored_path}" in url
