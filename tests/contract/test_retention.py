"""The tags of the objects that adapters write, and the expiry of their items."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from taskrunner.model.run import StepOutcome, StepStatus
from tests.contract.ports import BUCKET, RETENTION, TABLE, aws, client, moto
from tests.contract.samples import CREATED, a_file, a_run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from taskrunner.model.run import Run

DAY_S = 86400


@pytest.fixture(name="s3", autouse=True)
def _s3() -> Iterator[None]:
    with moto():
        yield


def tags_of_written_objects(run: Run, folder: Path) -> dict[str, str]:
    """Let *run* write an object of each kind, and return the tags by kind."""
    world = aws()
    (folder / "file").write_text("content")
    world.plans.put(run.tenant, run.plan_hash, {"inputs": {}}, run.longest_s)
    world.runs.create(run, [CREATED])
    world.releases.bundles(run.tenant).put(folder / "file")
    stored = world.artifacts.store(run, a_file(), folder / "file")
    outcome = StepOutcome(
        path="scan", attempt=1, status=StepStatus.SUCCEEDED, outputs={"large": "x" * 9000}
    )
    world.runs.record_step(world.runs.snapshot(run.tenant, run.run_id), outcome, [], [stored])
    s3 = client("s3")
    keys = [found["Key"] for found in s3.list_objects_v2(Bucket=BUCKET)["Contents"]]
    tags = {key: s3.get_object_tagging(Bucket=BUCKET, Key=key)["TagSet"] for key in keys}
    of_tenant, of_run = f"{run.tenant}/", f"runs/{run.run_id}/"
    return {
        key.removeprefix(of_tenant).removeprefix(of_run).partition("/")[0]: ",".join(
            f"{tag['Key']}={tag['Value']}" for tag in tag_set
        )
        for key, tag_set in tags.items()
    }


@pytest.mark.parametrize(
    ("longest_s", "tag"), [(7 * DAY_S, "retention=run"), (8 * DAY_S, "retention=long-run")]
)
def test_tags_every_object_by_the_longest_duration_of_its_run(
    tmp_path: Path, longest_s: int, tag: str
) -> None:
    run = replace(a_run(), longest_s=longest_s)

    assert tags_of_written_objects(run, tmp_path) == {
        "plans": tag,
        "claims": tag,
        "artifacts": tag,
        "bundles": "",  # an environment may still need it
    }


def test_writes_a_plan_again_for_each_run() -> None:
    world = aws()
    for _ in range(2):
        world.plans.put("acme", "sha256:aa", {"inputs": {}}, 60)
        stored = client("s3").head_object(Bucket=BUCKET, Key="acme/plans/sha256-aa.json")
        client("s3").delete_object(Bucket=BUCKET, Key="acme/plans/sha256-aa.json")

    assert stored["ContentType"] == "application/json"


def test_all_items_of_a_run_expire_together() -> None:
    world, run = aws(), a_run()
    world.runs.create(run, [CREATED])
    world.approvals.record_notified(run, "review")

    items = client("dynamodb").scan(TableName=TABLE)["Items"]

    expiries = {
        item["sk"]["S"]: item.get("expires_at")
        for item in items
        if item["pk"]["S"].endswith(run.run_id)
    }
    assert expiries.keys() >= {"R", "G#review"}
    assert [*expiries.values()] == [{"N": str(RETENTION.expires_at(run))}] * len(expiries)
