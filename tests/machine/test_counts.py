"""A run's requests to AWS: the calls of a step, and the same cost for each iteration.

One environment of each function serves the run, as the second run of a pack finds it on AWS.
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import get_ident
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from tests.machine.runs import execution_of, run
from tests.packs import pack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.machine.client import Client
    from tests.machine.engine import Engine

STEPS = 20
ITERATIONS = 24
SOME = 8  # in which two chunks of the journal are filled
STEP = "- {{id: s{}, run: {{uses: builtin:noop}}}}"
LOOP = f"""
- id: loop
  loop:
    items: {{range: {{start: 1, end: {ITERATIONS}}}}}
    until: steps.turn.outputs.n == `0`
    body: [{{id: turn, run: {{uses: builtin:noop, with: {{n: "{{{{ item }}}}"}}}}}}]
"""
# Its value depends on all iterations before.
CARRYING = f"""
- id: loop
  loop:
    items: {{range: {{start: 1, end: {ITERATIONS}}}}}
    outputs: "{{sum: sum([previous.sum || `1000`, item])}}"
    body: [{{id: turn, run: {{uses: builtin:noop, with: {{n: "{{{{ previous.sum }}}}"}}}}}}]
"""


@dataclass
class Invocation:
    """The requests of one invocation of a function to AWS, and the bytes that it has read."""

    function: str
    calls: Counter[str] = field(default_factory=Counter)
    read_bytes: int = 0


class Meter:
    """Counts what each invocation asks of AWS, by its thread: the test calls AWS as well."""

    def __init__(self, engine: Engine) -> None:
        self.invocations: list[Invocation] = []
        self._current: dict[int, Invocation] = {}
        events = boto3.DEFAULT_SESSION.events
        events.register("after-call", self._count)
        engine.around = self._around

    @contextmanager
    def _around(self, function: str) -> Iterator[None]:
        invocation = Invocation(function)
        self._current[get_ident()] = invocation
        try:
            yield
        finally:
            del self._current[get_ident()]
            self.invocations.append(invocation)

    def _count(self, http_response: Any, model: Any, **_: object) -> None:  # noqa: ANN401 - boto3's
        invocation = self._current.get(get_ident())
        if invocation is not None:
            invocation.calls[model.name] += 1
            invocation.read_bytes += len(http_response.content)

    def of(self, function: str) -> list[Invocation]:
        return [each for each in self.invocations if each.function == function]


@pytest.fixture(name="meter")
def _meter(engine: Engine) -> Meter:
    return Meter(engine)


def test_a_step_of_a_run_that_is_remembered_makes_two_calls(meter: Meter, ana: Client) -> None:
    """It records the start and the end. Only the first step reads the run."""
    state = run(ana, pack("\n".join(STEP.format(number) for number in range(STEPS))))

    assert state["status"] == "succeeded"
    first, *others = meter.of("run_step")
    assert first.calls.total() <= 5
    expected = Counter({"UpdateItem": 1, "TransactWriteItems": 1})
    assert [each.calls for each in others] == [expected] * (STEPS - 1)


def test_the_end_of_a_run_without_approvals_makes_seven_calls(
    meter: Meter, engine: Engine, ana: Client
) -> None:
    """It reads run, journal and artifacts, records the end, and signs and records the evidence."""
    for _ in range(2):  # the first one reads the public key
        state = run(ana, pack(STEP.format(0)))
        assert state["status"] == "succeeded"
        execution_of(engine, state["runId"])  # the function goes on after the run's end

    [_, settled] = meter.of("settle_run")
    assert settled.calls == {"Query": 3, "TransactWriteItems": 2, "Sign": 1, "PutObject": 1}


@pytest.mark.parametrize("loop", [LOOP, CARRYING], ids=["until", "previous"])
def test_an_iteration_costs_as_much_as_any_other(meter: Meter, ana: Client, loop: str) -> None:
    state = run(ana, pack(loop))

    assert state["status"] == "succeeded"
    for function in ("run_step", "decide_flow"):
        # Without the question before the loop, and that of the first iteration, which has no
        # `previous`.
        invocations = meter.of(function)[2:-1]
        assert len(invocations) >= ITERATIONS - 3
        first, last = invocations[:SOME], invocations[-SOME:]
        assert calls(last) == calls(first)
        # The texts have one more digit in each number, and some chunks are nearly full.
        assert read(last) <= 1.15 * read(first)


def calls(invocations: list[Invocation]) -> Counter[str]:
    return sum((each.calls for each in invocations), Counter())


def read(invocations: list[Invocation]) -> int:
    return sum(each.read_bytes for each in invocations)
