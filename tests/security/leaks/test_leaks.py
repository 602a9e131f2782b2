"""Known secrets are sent through everything, and then looked for in everything that is kept."""

from __future__ import annotations

import traceback
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taskrunner.errors import TryAgainError
from tests.machine.deployment import published
from tests.machine.runs import TENANT, ended, start
from tests.security.leaks import places
from tests.security.leaks.packs import (
    NOT_EVALUATED,
    Step,
    forms,
    manifest,
    overridden,
    runs,
    some_steps,
)
from tests.security.leaks.scene import scene
from tests.security.leaks.spellings import SECRETS, found_in

# These secrets go every way.
EVERY_WAY = {"plain", "signs", "document"}
# The others go the ways on which it matters what a secret is made of.
MOST_TELLING = (
    "fail",
    "scan",
    "build",
    "http-",
    "lambda-",
    "policy-denies",
    "policy-broken",
    "way-fails",
    "way-names",
    "way-writes",
)
# A machine that moto executes is parsed for each run, so a run of a few steps is quickest.
_STEPS_OF_A_RUN = 20


@pytest.mark.parametrize("name", sorted(SECRETS))
def test_a_secret_is_found_nowhere_after_it_went_everywhere(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with scene() as stage:
        everywhere = runs(name, "whole", stage.port)
        ways = [way for way in everywhere if name in EVERY_WAY or way.startswith(MOST_TELLING)]
        steps: list[Step] = [{"id": way} | everywhere[way] for way in ways]
        # A step fails at its first value that cannot be evaluated, so each of those has its own.
        steps += [
            {"id": f"form-{number}"} | runs(name, form, stage.port)["noop"]
            for number, form in enumerate(sorted(NOT_EVALUATED))
        ]
        evaluated = {form: text for form, text in forms(name).items() if form not in NOT_EVALUATED}
        steps.append({"id": "forms", "run": {"uses": "builtin:noop", "with": evaluated}})

        states = [
            stage.run(steps[at : at + _STEPS_OF_A_RUN])
            for at in range(0, len(steps), _STEPS_OF_A_RUN)
        ]

        assert {state["status"] for state in states} == {"succeeded"}
        assert states[-1]["steps"][-1]["stepId"] == "forms"
        assert states[-1]["steps"][-1]["status"] == "Succeeded"
        printed = "".join(capfd.readouterr()).encode("utf-8", "surrogatepass")
        assert stage.leaks([name], *(state["runId"] for state in states)) == []
        assert found_in([("printed", printed)], SECRETS) == []
        # The secret was there: functions received it, and its mask is in what was kept.
        assert any(payload.get("value") == SECRETS[name] for payload in stage.functions.received)
        assert b"***" in b"".join(text for _, text in places.kept(stage.engine))
        assert stage.secrets.reads == {("run_step", TENANT)}


@settings(
    max_examples=8,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(data=st.data())
def test_no_generated_pack_leaks(data: st.DataObject) -> None:
    with scene() as stage:
        steps = data.draw(some_steps(stage.port))

        state = stage.run(steps)

        assert stage.leaks(SECRETS, state["runId"]) == []


def test_no_notification_holds_a_secret_that_a_policy_received() -> None:
    with scene() as stage:
        gates = [{"id": f"gate-{name}"} | overridden(name) for name in sorted(SECRETS)]
        pack = manifest([{"id": "all", "parallel": {"steps": gates}}], stage.port)
        run_id = start(stage.ana, pack)
        stage.engine.until(lambda: len(published()) == len(SECRETS), "not every gate was published")

        assert stage.leaks(SECRETS, run_id) == []

        received = {payload["value"] for payload in stage.functions.received}
        assert received == set(SECRETS.values())
        plan_hash = stage.ana("GET", f"runs/{run_id}").json["planHash"]
        decision = {"decision": "rejected", "planHash": plan_hash}
        bob = stage.engine.client(subject="bob")
        assert bob("POST", f"runs/{run_id}/approvals/exception", decision).status == 200
        ended(stage.ana, run_id)


class Idle:
    """Machines that start and do nothing."""

    def name(self, *_: object) -> str:
        return "idle"

    def start(self, *_: object) -> None:
        return


class Broken:
    """Functions whose every call fails with a message that holds its payload."""

    def __init__(self, error: type[Exception]) -> None:
        self._error = error

    def invoke(self, name: str, payload: object) -> Any:  # noqa: ANN401
        raise self._error(f"{name} broke over {payload}")


@pytest.mark.parametrize("error", [RuntimeError, TryAgainError, KeyError, UnicodeError])
@pytest.mark.parametrize("kind", ["lambda-echo", "policy-echo"])
def test_an_unexpected_error_is_raised_without_the_secret(
    kind: str, error: type[Exception]
) -> None:
    with scene() as stage:
        world = stage.engine.world
        # Without a machine, because that would retry the call for minutes.
        world.__dict__ |= {"functions": Broken(error), "machines": Idle()}
        step = {"id": "s"} | runs("signs", "whole", stage.port)[kind]
        run_id = start(stage.ana, manifest([step], stage.port))
        event = {"tenant": TENANT, "run": run_id, "step": "s", "path": ""}
        event |= {"ask": "policy"} if kind.startswith("policy") else {}

        with pytest.raises(Exception, match="broke over") as caught:
            stage.engine.invoke("run_step", event)

        shown = "".join(traceback.format_exception(caught.value))
        assert found_in([("error", f"{caught.value!r}{shown}".encode())], SECRETS) == []
        assert isinstance(caught.value, TryAgainError) == (error is TryAgainError)
