"""Every recipe of docs/cookbook.md, run to its end in each way that the page describes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from tests.machine.runs import TENANT, decide, ended, log, outputs, start, statuses
from tests.machine.workers import Worker, worker_client
from tests.template import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tests.machine.client import Client
    from tests.machine.engine import Engine

    Functions = Mapping[str, Callable[[dict[str, Any]], Any]]

PAGE = (ROOT / "docs/cookbook.md").read_text(encoding="utf-8")
RECIPES = {
    int(number): text
    for number, text in re.findall(
        r"^## (\d+)\. .*?```yaml\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE
    )
}
TOKEN = "correct-horse-battery"


@dataclass(frozen=True)
class Way:
    """A way in which a recipe may go, and the steps and statuses that show it.

    *approvers* decide the approval of that name one after another. A worker reports *completion* of
    the only job.
    """

    recipe: int
    run_status: str
    steps: Mapping[str, str]
    inputs: Mapping[str, Any] = field(default_factory=dict)
    functions: Callable[[], Functions] = dict
    approval: str = ""
    approvers: Sequence[str] = ("bob",)
    secrets: Mapping[str, str] = field(default_factory=dict)
    completion: Mapping[str, Any] = field(default_factory=dict)


def failing_for(*values: str) -> Callable[[dict[str, Any]], Any]:
    """An executor function that raises an error if a parameter is one of *values*."""

    def function(payload: dict[str, Any]) -> Any:  # noqa: ANN401 - any JSON
        if set(payload["with"].values()) & set(values):
            message = "it does not answer"
            raise RuntimeError(message)
        return {"version": payload["with"].get("release")}

    return function


def failing_unless(payload: dict[str, Any], *, digest: str) -> Any:  # noqa: ANN401 - any JSON
    """Answer like a smoke test that only the release of *digest* passes."""
    return failing_for(*{payload["with"]["digest"]} - {digest})(payload)


def succeeding_at(call: int, good: Any, bad: Any) -> Callable[[dict[str, Any]], Any]:  # noqa: ANN401
    """An executor function that answers *good* from its call of that number on."""
    calls = count(1)
    return lambda _: good if next(calls) >= call else bad


WAYS = {
    "clean-image": Way(
        1,
        "succeeded",
        {"clean": "Succeeded", "ship": "Succeeded"},
        {"image": "registry.example.com/app:v1.2.3@sha256:" + "0" * 64},
    ),
    "doubtful-image": Way(
        1, "succeeded", {"clean": "Succeeded", "ship": "Succeeded"}, approval="exception"
    ),
    "for-test": Way(
        2,
        "succeeded",
        {"ask-managers": "Skipped branch-not-taken", "ship": "Succeeded"},
        {"environment": "test"},
    ),
    "for-production": Way(
        2,
        "succeeded",
        {"ask-managers": "Succeeded", "ask-team": "Skipped branch-not-taken"},
        {"environment": "production"},
        approval="two-managers",
        approvers=("bob", "carol"),
    ),
    "all-keys": Way(
        3,
        "succeeded",
        {"rotations[2]::rotate": "Succeeded", "all-rotated": "Succeeded"},
        functions=lambda: {"rotate-key": lambda _: {"rotated": True}},
    ),
    "a-key-is-left": Way(
        3,
        "failed",
        {
            "rotations[1]::rotate": "Failed executor-error",
            "rotations[2]::rotate": "Succeeded",
            "all-rotated": "Failed executor-error",
        },
        functions=lambda: {"rotate-key": failing_for("search")},
    ),
    "all-regions": Way(
        4,
        "succeeded",
        {"rollout[2]::healthy": "Succeeded"},
        functions=lambda: {"deploy-region": failing_for(), "check-region": failing_for()},
    ),
    "a-bad-region": Way(
        4,
        "failed",
        {
            "rollout[1]::healthy": "Failed executor-error",
            "rollout[2]::deploy": "Skipped run-failed",
        },
        functions=lambda: {
            "deploy-region": failing_for(),
            "check-region": failing_for("eu-west-1"),
        },
    ),
    "ready-at-last": Way(
        5,
        "succeeded",
        {"waiting[2]::probe": "Succeeded", "is-ready": "Succeeded"},
        functions=lambda: {"database-status": succeeding_at(3, {"ready": True}, {"ready": False})},
    ),
    "never-ready": Way(
        5,
        "failed",
        {"waiting[9]::probe": "Succeeded", "is-ready": "Failed executor-error"},
        functions=lambda: {"database-status": lambda _: {"ready": False}},
    ),
    "good-canary": Way(
        6, "succeeded", {"to-production": "Succeeded", "proof": "Succeeded"}, approval="promote"
    ),
    "window-opens": Way(
        7,
        "succeeded",
        {"window": "Succeeded", "ship": "Succeeded"},
        functions=lambda: {
            "change-window": succeeding_at(
                2, {"passed": True}, {"passed": False, "failures": [{"id": "w", "message": "no"}]}
            )
        },
    ),
    "good-checks": Way(
        8,
        "succeeded",
        {"verdict": "Succeeded"},
        functions=lambda: {"check-licences": failing_for(), "run-tests": failing_for()},
    ),
    "a-bad-check": Way(
        8,
        "failed",
        {
            "image": "Failed executor-error",
            "licences": "Succeeded",
            "tests": "Succeeded",
            "verdict": "Failed executor-error",
        },
        {"image": "localhost:80/app"},
        functions=lambda: {"check-licences": failing_for(), "run-tests": failing_for()},
    ),
    "good-deployment": Way(
        9,
        "succeeded",
        {"smoke-test": "Succeeded", "roll-back": "Skipped condition-false"},
        functions=lambda: {"smoke-test": failing_for()},
    ),
    "with-token": Way(
        10,
        "succeeded",
        {"notify": "Succeeded"},
        functions=lambda: {"chat": lambda payload: {"sent": payload["with"]["authorization"]}},
        secrets={"chat-token": TOKEN},
    ),
    "good-tests": Way(
        11,
        "succeeded",
        {"tests": "Succeeded", "ship": "Succeeded"},
        completion={"status": "succeeded", "outputs": {"passed": 312}},
    ),
    "no-tests": Way(
        11,
        "succeeded",
        {"tests": "Succeeded", "ship": "Skipped condition-false"},
        completion={"status": "succeeded", "outputs": {"passed": 0}},
    ),
    "bad-tests": Way(
        11,
        "failed",
        {"tests": "Failed executor-error", "ship": "Skipped run-failed"},
        completion={"status": "failed", "reason": "executor-error", "message": "exit status 2"},
    ),
}


def test_every_recipe_is_run() -> None:
    assert sorted(RECIPES) == sorted({way.recipe for way in WAYS.values()})


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_recipe_runs_as_the_page_says(engine: Engine, ana: Client, way: Way) -> None:
    engine.functions.update(way.functions())
    for name, value in way.secrets.items():
        engine.store_secret(TENANT, name, value)

    run_id = start(ana, RECIPES[way.recipe], way.inputs)
    if way.approval:
        for approver in way.approvers:
            assert decide(engine.client(subject=approver), run_id, way.approval).status == 200
    if way.completion:
        assert Worker(worker_client(engine)).take().complete(**way.completion).status == 200
    state = ended(ana, run_id)

    assert state["status"] == way.run_status, state["reason"]
    assert way.steps.items() <= statuses(state).items()
    assert TOKEN not in str([state, log(ana, run_id)])


def test_a_failed_smoke_test_brings_the_release_before_back(engine: Engine, ana: Client) -> None:
    engine.functions["smoke-test"] = lambda _: {}
    good = ended(ana, start(ana, RECIPES[9], {"page": "good"}))
    tested = outputs(ana, good, "deploy")["digest"]

    engine.functions["smoke-test"] = lambda payload: failing_unless(payload, digest=tested)
    bad = ended(ana, start(ana, RECIPES[9], {"page": "bad"}))

    assert statuses(bad)["smoke-test"] == "Failed executor-error"
    assert outputs(ana, bad, "roll-back")["digest"] == tested
    assert bad["status"] == "failed"


def test_the_worker_of_the_recipe_gets_the_bundle_as_a_file(engine: Engine, ana: Client) -> None:
    run_id = start(ana, RECIPES[11])
    work = Worker(worker_client(engine)).take()
    work.complete(outputs={"passed": 1})
    ended(ana, run_id)

    assert [artifact["fileName"] for artifact in work.lease["artifacts"]] == ["bundle.zip"]
    assert "artifacts/bundle.zip" in work.lease["with"]["script"]
