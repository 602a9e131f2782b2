"""The port Artifacts: the list is the run's, the files are their own."""

from __future__ import annotations

import os
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from taskrunner.model.artifact import Artifact, ArtifactStatus, ArtifactType
from taskrunner.model.journal import Event
from taskrunner.model.run import RunStatus, StepOutcome, StepStatus
from taskrunner.runtime.regular_file import NotRegularError
from tests.contract.ports import CREATED, a_run, an_entry

if TYPE_CHECKING:
    from pathlib import Path

    from taskrunner.model.run import Run
    from taskrunner.ports import Head
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

    stored = world.artifacts.store(head.run, a_file(), tmp_path / "report.json")

    digest = sha256(b'{"a": 1}').hexdigest()
    assert stored.stored_path == f"runs/{head.run.run_id}/artifacts/{digest}/report"
    assert stored.size_bytes == 8
    assert stored.sha256 == digest
    assert (stored.name, stored.media_type) == ("report", "application/json")


def captured(world: Ports, head: Head, folder: Path, attempt: int = 1, **files: bytes) -> None:
    """An attempt of the step `scan` ends, having stored *files* by their names."""
    stored = []
    for name, content in files.items():
        (folder / name).write_bytes(content)
        stored.append(world.artifacts.store(head.run, a_file(name), folder / name))
    outcome = StepOutcome(path="scan", attempt=attempt, status=StepStatus.FAILED)
    world.runs.record_step(head, outcome, [], stored)


def fetched(world: Ports, run: Run, name: str, into: Path) -> bytes | None:
    found = world.artifacts.contents(run.tenant, run.run_id).fetch(name, into)
    assert into.exists() == found
    return into.read_bytes() if found else None


def names(world: Ports, head: Head) -> list[str]:
    return [one.name for one in world.artifacts.list(head.run.tenant, head.run.run_id)]


def test_executors_get_a_recorded_file_by_its_name(world: Ports, tmp_path: Path) -> None:
    head = begun(world)

    captured(world, head, tmp_path, report=b"\x00\xff")

    other_run = begun(world).run
    assert fetched(world, head.run, "report", tmp_path / "a") == b"\x00\xff"
    assert fetched(world, head.run, "other", tmp_path / "b") is None
    assert fetched(world, replace(head.run, tenant="globex"), "report", tmp_path / "c") is None
    assert fetched(world, other_run, "report", tmp_path / "d") is None


def test_a_fetched_file_replaces_what_is_there(world: Ports, tmp_path: Path) -> None:
    head = begun(world)
    captured(world, head, tmp_path, report=b"short")
    (tmp_path / "into").write_bytes(b"something longer")

    assert fetched(world, head.run, "report", tmp_path / "into") == b"short"


def test_a_file_that_was_stored_and_not_recorded_is_none_of_the_runs(
    world: Ports, tmp_path: Path
) -> None:
    head = begun(world)
    (tmp_path / "report.json").write_bytes(b"{}")

    world.artifacts.store(head.run, a_file(), tmp_path / "report.json")

    assert fetched(world, head.run, "report", tmp_path / "into") is None


def test_what_is_stored_later_does_not_take_the_place_of_what_is_recorded(
    world: Ports, tmp_path: Path
) -> None:
    """Of two calls that make one attempt, the slower one; a step that ends after its run."""
    head = begun(world)
    captured(world, head, tmp_path, report=b"recorded")
    (tmp_path / "late").write_bytes(b"refused!")

    world.artifacts.store(head.run, a_file(), tmp_path / "late")

    assert fetched(world, head.run, "report", tmp_path / "into") == b"recorded"


def test_only_a_plain_file_is_stored(world: Ports, tmp_path: Path) -> None:
    head = begun(world)
    (tmp_path / "link").symlink_to("/etc/hostname")
    os.mkfifo(tmp_path / "pipe")

    for name in ("link", "pipe", "."):
        with pytest.raises(NotRegularError):
            world.artifacts.store(head.run, a_file(), tmp_path / name)


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


def test_what_a_retry_does_not_write_again_is_gone(world: Ports, tmp_path: Path) -> None:
    head = begun(world)
    captured(world, head, tmp_path, report=b"1", log=b"1")

    captured(world, head, tmp_path, attempt=2, report=b"2")

    assert names(world, head) == ["report"]
    assert fetched(world, head.run, "report", tmp_path / "a") == b"2"
    assert fetched(world, head.run, "log", tmp_path / "b") is None


def test_a_retry_that_writes_nothing_leaves_nothing(world: Ports, tmp_path: Path) -> None:
    head = begun(world)
    captured(world, head, tmp_path, report=b"1")

    captured(world, head, tmp_path, attempt=2)

    assert names(world, head) == []


def test_a_retry_leaves_alone_what_other_steps_wrote(world: Ports, tmp_path: Path) -> None:
    head = begun(world)
    captured(world, head, tmp_path, report=b"1", log=b"1")
    other = StepOutcome(path="other", attempt=1, status=StepStatus.SUCCEEDED)
    world.runs.record_step(head, other, [], [a_file("log"), a_file("of-the-other")])

    captured(world, head, tmp_path, attempt=2, report=b"2")

    assert names(world, head) == ["log", "of-the-other", "report"]


def test_what_comes_after_the_end_replaces_nothing(world: Ports, tmp_path: Path) -> None:
    head = begun(world)
    captured(world, head, tmp_path, report=b"1")
    world.runs.end(head, RunStatus.CANCELLED, [an_entry("run.ended", Event.RUN_CANCELLED)])

    captured(world, head, tmp_path, attempt=2, other=b"2")

    assert names(world, head) == ["report"]


def test_a_run_without_artifacts_has_an_empty_list(world: Ports) -> None:
    assert world.artifacts.list("acme", begun(world).run.run_id) == []


def test_a_download_leads_to_the_stored_path(world: Ports, tmp_path: Path) -> None:
    head = begun(world)
    (tmp_path / "report.json").write_bytes(b"{}")
    stored = world.artifacts.store(head.run, a_file(), tmp_path / "report.json")

    url = world.artifacts.download_url("acme", stored)

    assert f"acme/{stored.stored_path}" in url
