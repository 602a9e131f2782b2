"""The packs of docs/tutorial.md do what the page says, and so does that of docs/coming-from.md."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.machine.runs import decide, ended, run, start, statuses
from tests.template import ROOT

if TYPE_CHECKING:
    from tests.machine.client import Client
    from tests.machine.engine import Engine

IMAGE = "nginx:1.29.3"


def packs_of(page: str) -> list[str]:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return re.findall(r"```yaml\n(apiVersion: stellaops\.io.*?)```", text, re.DOTALL)


FIRST, SECOND = packs_of("tutorial.md")
[COMPARED] = packs_of("coming-from.md")


def test_the_first_pack_of_the_tutorial_runs(ana: Client) -> None:
    assert statuses(run(ana, FIRST, image=IMAGE)) == dict.fromkeys(
        ("scan", "bundle", "deploy"), "Succeeded"
    )


def test_the_second_pack_asks_nobody_for_staging(ana: Client) -> None:
    state = run(ana, SECOND, image=IMAGE)

    assert state["status"] == "succeeded"
    assert statuses(state)["agreement"] == "Skipped condition-false"


def test_the_second_pack_takes_the_approval_of_another_person_only(
    ana: Client, bob: Client
) -> None:
    run_id = start(ana, SECOND, {"image": IMAGE, "environment": "production"})

    own = decide(ana, run_id, "release")
    other = decide(bob, run_id, "release")

    assert (own.status, other.status) == (403, 200)
    state = ended(ana, run_id)
    assert state["status"] == "succeeded"
    assert statuses(state)["agreement"] == "Succeeded"
    names = {item["name"] for item in ana("GET", f"runs/{run_id}/artifacts").json}
    assert {"scan-report", "deployment", "bundle"} <= names


def test_the_compared_pack_runs_to_its_approval(engine: Engine, ana: Client) -> None:
    approver = engine.client(subject="bob", grants="packs.approve")
    run_id = start(ana, COMPARED)

    assert decide(approver, run_id, "release").status == 200
    assert ended(ana, run_id)["status"] == "succeeded"
