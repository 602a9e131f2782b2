"""Known secrets are sent through everything, and then looked for in everything that is kept."""

from __future__ import annotations

import logging
import sys
import traceback
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taskrunner.errors import TryAgainError
from taskrunner.sandbox.launcher import ForkedSandbox
from tests.machine.deployment import published
from tests.machine.engine import engine as made_engine
from tests.machine.runs import ended, start
from tests.security.leaks import echoing, planted
from tests.security.leaks.packs import forms, manifest, overridden, runs, some_steps
from tests.security.leaks.planted import SECRETS, TENANT, Watch

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from types import FrameType

    from tests.machine.client import Client
    from tests.machine.engine import Engine

THROUGH_ALL = {"plain", "signs", "document"}
# The others go where what they are made of makes a difference.
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


@dataclass
class Spy:
    """Stands before the port of secrets, and tells which function asked for which."""

    secrets: Any
    asked: set[tuple[str, str]] = field(default_factory=set)

    def values(self, tenant: str, names: Collection[str]) -> dict[str, str]:
        frame: FrameType | None = sys._getframe()
        while frame is not None and not frame.f_code.co_filename.endswith("app.py"):
            frame = frame.f_back
        handler = "" if frame is None else frame.f_code.co_filename.split("/")[-2]
        self.asked.add((handler, tenant))
        found: dict[str, str] = self.secrets.values(tenant, names)
        return found


@dataclass
class Scene:
    """A deployment with secrets in it, and all who want to let them out."""

    engine: Engine
    port: int
    watch: Watch
    functions: echoing.Functions
    spy: Spy

    @property
    def ana(self) -> Client:
        return self.engine.client(subject="ana")

    def run(self, steps: list[dict[str, Any]]) -> dict[str, Any]:
        """The state at the end of a run of *steps*, by a machine."""
        return ended(self.ana, start(self.ana, manifest(steps, self.port)))

    def leaks(self, names: Iterable[str], *run_ids: str) -> list[str]:
        """Where any of the secrets *names* stands."""
        self.engine.rest()
        places = dict(planted.kept(self.engine))
        for run_id in run_ids:
            places |= {f"{run_id} {place}": text for place, text in self.told(run_id)}
        places["log"] = "\n".join(self.watch.lines).encode("utf-8", "surrogatepass")
        return planted.found_in(places.items(), names)

    def told(self, run_id: str) -> Iterator[tuple[str, bytes]]:
        return planted.answers(self.ana, run_id)


@contextmanager
def scene() -> Iterator[Scene]:
    watch, root = Watch(), logging.getLogger()
    level = root.level
    root.addHandler(watch)
    root.setLevel(logging.DEBUG)
    try:
        with made_engine() as engine, echoing.server() as port:
            functions = echoing.Functions()
            engine.functions |= functions.all()
            for name, value in SECRETS.items():
                engine.store_secret(TENANT, name, value)
                engine.store_secret("other-tenant", name, f"not for you {name}")
            spy = Spy(engine.world.secrets)
            sandbox = ForkedSandbox("tests.security.leaks.treacherous")
            engine.world.__dict__ |= {"secrets": spy, "sandbox": sandbox}
            # Moto is AWS here, and what that writes down is not ours.
            logging.getLogger("moto").setLevel(logging.INFO)
            watch.lines.clear()
            yield Scene(engine, port, watch, functions, spy)
            sandbox.close()
    finally:
        root.setLevel(level)
        root.removeHandler(watch)


@pytest.mark.parametrize("name", sorted(SECRETS))
def test_a_secret_is_found_nowhere_after_it_went_everywhere(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with scene() as made:
        everywhere = runs(name, "whole", made.port)
        ways = [way for way in everywhere if name in THROUGH_ALL or way.startswith(MOST_TELLING)]
        steps = [{"id": way} | everywhere[way] for way in ways]
        steps += [
            {"id": f"form-{number}"} | runs(name, form, made.port)["noop"]
            for number, form in enumerate(forms(name))
        ]

        # In runs of few steps, since moto copies a run's whole journal with each entry.
        states = [made.run(steps[at : at + 20]) for at in range(0, len(steps), 20)]

        assert {state["status"] for state in states} == {"succeeded"}
        told = planted.found_in(
            [("printed", "".join(capfd.readouterr()).encode("utf-8", "surrogatepass"))], SECRETS
        )
        assert [*made.leaks([name], *(state["runId"] for state in states)), *told] == []
        # It was there, though: functions were given it, and what came back says so by its mask.
        assert any(given.get("value") == SECRETS[name] for given in made.functions.given)
        assert b"***" in b"".join(text for _, text in planted.kept(made.engine))
        assert made.spy.asked == {("run_step", TENANT)}


@settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(data=st.data())
def test_no_generated_pack_leaks(data: st.DataObject) -> None:
    with scene() as made:
        steps = data.draw(some_steps(made.port))

        state = made.run(steps)

        assert made.leaks(SECRETS, state["runId"]) == []


def test_approvers_are_told_of_no_secret_that_a_policy_was_given() -> None:
    with scene() as made:
        asked = [{"id": f"asked-{name}"} | overridden(name) for name in sorted(SECRETS)]
        pack = manifest([{"id": "all", "parallel": {"steps": asked}}], made.port)
        run_id = start(made.ana, pack)
        made.engine.until(
            lambda: len(published()) == len(SECRETS), "approvers were told of all gates"
        )

        assert made.leaks(SECRETS, run_id) == []

        assert {given["value"] for given in made.functions.given} == set(SECRETS.values())
        plan_hash = made.ana("GET", f"runs/{run_id}").json["planHash"]
        decision = {"decision": "rejected", "planHash": plan_hash}
        bob = made.engine.client(subject="bob")
        assert bob("POST", f"runs/{run_id}/approvals/exception", decision).status == 200
        ended(made.ana, run_id)


class Idle:
    """Machines that are started and do nothing."""

    def name(self, *_: object) -> str:
        return "idle"

    def start(self, *_: object) -> None:
        return


class Treacherous:
    """A port of which every service breaks with a text that holds what it was given."""

    def __init__(self, error: type[Exception]) -> None:
        self._error = error

    def invoke(self, name: str, payload: object) -> Any:  # noqa: ANN401
        raise self._error(f"{name} broke over {payload}")


@pytest.mark.parametrize("error", [RuntimeError, TryAgainError, KeyError, UnicodeError])
@pytest.mark.parametrize("kind", ["lambda-echo", "policy-echo"])
def test_what_nobody_foresaw_is_raised_without_the_secret(
    kind: str, error: type[Exception]
) -> None:
    with scene() as made:
        name = "signs"
        world = made.engine.world
        # No machine runs: it would try again for minutes.
        world.__dict__ |= {"functions": Treacherous(error), "machines": Idle()}
        step = {"id": "s"} | runs(name, "whole", made.port)[kind]
        run_id = start(made.ana, manifest([step], made.port))
        event = {"tenant": TENANT, "run": run_id, "step": "s", "path": ""}
        event |= {"ask": "policy"} if kind.startswith("policy") else {}

        with pytest.raises(Exception, match="broke over") as caught:
            made.engine.invoke("run_step", event)

        shown = "".join(traceback.format_exception(caught.value))
        places = [("error", f"{caught.value!r}{shown}".encode())]
        assert planted.found_in(places, SECRETS) == []
        assert isinstance(caught.value, TryAgainError) == (error is TryAgainError)
