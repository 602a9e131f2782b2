"""One run, to which everything happens in any order: hypothesis chooses what comes next."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from taskrunner.adapters.machine_events import has_failed, has_timed_out, step_reference
from tests.faults import called_machines, invariants, worker_rules
from tests.faults.call_packs import MACHINES
from tests.faults.faults import AT_A_CALL
from tests.faults.play import RUN_ID, Follower
from tests.faults.reconciler import PERIOD_S, reconcile
from tests.faults.scenarios import FUNCTIONS, SCENARIOS, SECRETS
from tests.faults.service import TENANT, service
from tests.faults.worker_rules import WorkerRules

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.faults import Fault

_PACKS = (
    "approvals", "cancelled", "rejected", "failed beside a gate", "attempts",
    "contained, and all lanes joined", "finally after success",
    "finally after a failure beside a gate", "worker fails", "map of workers",
    "worker beside a failure", "worker contained", "finally after a stopped worker",
    "machine fails", "machine out of time", "machine beside a failure", "machine contained",
)  # fmt: skip
# The environments in which `run_step` is invoked: a cold one, or one of a few warm ones.
_ENVIRONMENTS = st.sampled_from([0, None, 1])
_KEY = {"Idempotency-Key": "key-1"}
_PASSES = 40
# The same few examples each time. With TASKRUNNER_FAULT_EXAMPLES in the environment it is as many
# other ones, and an example that fails is made smaller; `make faults` sets it.
_MORE = os.environ.get("TASKRUNNER_FAULT_EXAMPLES")


class AnyOrder(WorkerRules):
    """Every rule is one thing that may happen: to the machine, by people, by the platform."""

    @initialize(pack=st.sampled_from(_PACKS), joins_all=st.booleans())
    def create(self, pack: str, *, joins_all: bool) -> None:
        self.begin(SCENARIOS[pack].manifest, joins_all=joins_all)

    def begin(self, manifest: str, *, joins_all: bool) -> None:
        self.service.begin()
        self.service.deploy_called(MACHINES)
        self.service.states.joins_all = joins_all
        self.follower = Follower(self.service)
        self.answers: list[invariants.Answered] = []
        self.begin_workers()
        self.body = {"manifest": manifest, "inputs": {}, "runId": RUN_ID}
        created = self.service.request("ana", "POST", "runs", self.body, headers=_KEY)
        assert created.status == 201, created.body
        self.plan_hash = created.json["planHash"]
        record = invariants.Record(self.service, RUN_ID)
        self.approvals = [approval.id for approval in record.plan.approvals]

    # --- the machine --------------------------------------------------------------------------

    @precondition(lambda self: self.service.states.ready())
    @rule(number=st.integers(0, 3), environment=_ENVIRONMENTS)
    def go_on(self, number: int, environment: int | None) -> None:
        """One of the lanes goes on: which one is not the product's to choose."""
        self.service.warm = environment
        ready = self.service.states.ready()
        self.service.states.run(ready[number % len(ready)])
        self.follow()

    @precondition(lambda self: self.service.states.ready())
    @rule(call=st.integers(1, 12), fault=st.sampled_from(AT_A_CALL), environment=_ENVIRONMENTS)
    def go_on_with_a_fault(self, call: int, fault: Any, environment: int | None) -> None:  # noqa: ANN401
        """A lane goes on, and a call of its function goes wrong."""
        self.service.warm = environment
        self.service.aws.next_fault = (call, fault)
        self.service.states.run(self.service.states.ready()[0])
        self.service.aws.next_fault = None
        self.follow()

    @precondition(lambda self: self.service.calls)
    @rule(number=st.integers(0, 3), environment=_ENVIRONMENTS)
    def repeat(self, number: int, environment: int | None) -> None:
        """A function is called once more as it was called last for a step."""
        self.service.warm = environment
        last = {_identity(call): call for call in self.service.calls}
        function, payload = list(last.values())[-1 - number % len(last)]
        self.service.repeat(function, payload)
        self.follow()

    @rule()
    def let_time_pass(self) -> None:
        """The next pause or timeout ends, if the reconciler does not come before."""
        timer = self.service.states.next_timer()
        soon = self.service.clock.now() + timedelta(seconds=PERIOD_S)
        if timer is not None and self.service.clock.now() < timer < soon:
            self.service.clock.time = timer
        self.follow()

    @rule()
    def expire(self) -> None:
        """The gate that has the least time has waited for as long as it may."""
        timer = self.service.states.next_timer()
        if timer is not None:
            self.service.clock.time = max(timer, self.service.clock.now())
        self.follow()

    @rule(is_same=st.booleans())
    def create_again(self, *, is_same: bool) -> None:
        """The request is repeated, or its key is used for another one."""
        body = self.body if is_same else self.body | {"runId": "run-2"}
        again = self.service.request("ana", "POST", "runs", body, headers=_KEY)
        assert again.status == (201 if is_same else 409), again.body
        if is_same:
            assert again.json["planHash"] == self.plan_hash
        self.follow()

    # --- people -------------------------------------------------------------------------------

    @rule(
        number=st.integers(0, 1),
        subject=st.sampled_from(["bob", "eve"]),
        decision=st.sampled_from(["approved", "rejected"]),
    )
    def decide(self, number: int, subject: str, decision: str) -> None:
        if self.approvals:
            self.decide_one(self.approvals[number % len(self.approvals)], subject, decision)

    def decide_one(self, approval: str, subject: str, decision: str) -> None:
        path = f"runs/{RUN_ID}/approvals/{approval}"
        body = {"decision": decision, "planHash": self.plan_hash}
        answer = self.service.request(subject, "POST", path, body)
        assert answer.status in {200, 409}, answer.body
        if answer.status == 200:
            resumed = answer.json["resumed"]
            self.answers.append(invariants.Answered(approval, subject, decision, resumed))
        self.follow()

    @rule(really=st.integers(0, 5))
    def cancel(self, really: int) -> None:
        """Seldom, because nothing happens to a cancelled run."""
        if really > 0:
            return
        answer = self.service.request("bob", "POST", f"runs/{RUN_ID}/cancel")
        assert answer.status in {202, 409}, answer.body
        self.follow()

    # --- the platform -------------------------------------------------------------------------

    @rule()
    def reconcile(self) -> None:
        self.service.clock.advance(PERIOD_S)
        reconcile(self.service)
        self.follow()

    @rule()
    def report(self) -> None:
        """EventBridge reports an execution that has ended; or it never does."""
        self.service.collect_events()
        for event in self.service.due_events()[:1]:
            self.service.deliver_event(event)
        self.follow()

    # --- what must hold -----------------------------------------------------------------------

    def follow(self) -> None:
        """Read on, as a follower of the log does at any time."""
        self.follower.read()

    def teardown(self) -> None:
        """Let everything come to its end, and look at all that is recorded."""
        if not hasattr(self, "follower"):
            return
        for _ in range(_PASSES):
            self._come_to_rest()
            record = invariants.Record(self.service, RUN_ID)
            if not list(invariants.problems_at_the_end(self.service, record)):
                break
            self.service.clock.advance(PERIOD_S)
            reconcile(self.service)
        self.follow()
        record = invariants.Record(self.service, RUN_ID)
        served = self.service.request("ana", "GET", f"runs/{RUN_ID}").json
        found = [
            *invariants.problems(self.service, record, self.follower.lines),
            *invariants.problems_at_the_end(self.service, record),
            *invariants.answer_problems(record, self.answers),
            *invariants.served_problems(record, served),
            *worker_rules.problems(record, self.ended),
            *called_machines.problems(self.service, record),
        ]
        assert not found, "\n".join(found)

    def _come_to_rest(self) -> None:
        """Let lanes go on until they wait for people, and these decide.

        Lambda delivers the events that it has accepted. EventBridge may never have sent one.
        """
        for event in self.service.due_events():
            self.service.deliver_event(event)
        while ready := self.service.states.ready():
            self.service.states.run(ready[0])
            self.follow()
        self.work_off()
        world = self.service.world()
        record = invariants.Record(self.service, RUN_ID)
        for approval in record.plan.approvals:
            found = world.approvals.get(TENANT, RUN_ID, approval.id)
            if found.was_opened and found.verdict is None and record.run.outcome is None:
                for subject in ("bob", "eve"):
                    self.decide_one(approval.id, subject, "approved")
        timer = self.service.states.next_timer()
        if timer is not None and timer < self.service.clock.now() + timedelta(seconds=PERIOD_S):
            self.service.clock.time = max(timer, self.service.clock.now())


def _identity(call: tuple[str, dict[str, Any]]) -> tuple[object, ...]:
    function, payload = call
    if "place" not in payload:
        return (function,)
    path = step_reference(payload).path if "step" in payload else ""
    return function, path, payload.get("ask"), has_timed_out(payload), has_failed(payload)


@pytest.fixture(autouse=True, scope="module")
def _service() -> Iterator[None]:
    with service(SECRETS, FUNCTIONS) as AnyOrder.service:
        yield


_SETTINGS = settings(
    max_examples=int(_MORE or 20),
    stateful_step_count=25,
    derandomize=_MORE is None,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate] if _MORE is None else list(Phase),
    suppress_health_check=list(HealthCheck),
)
TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = _SETTINGS
_ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["go on", "repeat", "go on", "break", "cancel", "reconcile"]),
        _ENVIRONMENTS,
        st.integers(0, 4),
        st.sampled_from(AT_A_CALL),
    ),
    min_size=10,
    max_size=30,
)


# The event of a step comes late and once more to an environment that has run the one before.
_LATE = [("go on", 1), ("go on", 0), ("go on", 0), ("repeat", 1)]


@_SETTINGS
@given(actions=_ACTIONS)
@example(actions=[(kind, environment, 0, AT_A_CALL[0]) for kind, environment in _LATE])
def test_steps_in_warm_environments(actions: list[tuple[str, int | None, int, Fault]]) -> None:
    """Steps follow each other, so that many are begun from memory, or refused."""
    order = AnyOrder()
    order.begin(SCENARIOS["warm chain"].manifest, joins_all=False)
    for kind, environment, number, fault in actions:
        if kind == "cancel" and number == 0:
            order.cancel(0)
        elif kind == "reconcile" and number == 0:
            order.reconcile()
        elif kind == "repeat" and order.service.calls:
            order.repeat(number, environment)
        elif not order.service.states.ready():
            order.let_time_pass()
        elif kind == "break" and number > 0:
            order.go_on_with_a_fault(number % 4 + 1, fault, environment)
        else:
            order.go_on(number, environment)
    order.teardown()
