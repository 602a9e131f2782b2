"""One play of a scenario: from the request that creates the run until nothing changes any more."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from taskrunner.errors import NotFoundError
from taskrunner.usecases.read_run import run_log
from tests.faults.aws import FunctionDiedError, NotBegunError
from tests.faults.reconciler import PERIOD_S, reconcile
from tests.faults.scenarios import Cancel, Stop
from tests.faults.service import TENANT
from tests.faults.stored import has_attribute, has_item, item
from tests.faults.stream import Stream
from tests.faults.worker import Workers

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.faults import Fault, Place
    from tests.faults.scenarios import Decide, Scenario
    from tests.faults.service import Service
    from tests.machine.client import Answer

# A caller that got no answer, or 5xx, asks again this often at most.
_REQUESTS = 4
_PASSES = 40
_LEFT_OVER = f"taskrunner_a-pack-{'0' * 32}"
RUN_ID = "run-1"


@dataclass
class Follower:
    """A reader of the run's log who reads on with the cursor; *lines* are what it has read."""

    service: Service
    lines: list[str] = field(default_factory=list)
    cursor: str | None = None

    def read(self) -> None:
        """Read on, if the run is there."""
        try:
            log = run_log(TENANT, RUN_ID, self.cursor, None, self.service.world())
        except NotFoundError:
            return
        self.lines += log.text.splitlines()
        self.cursor = log.cursor


@dataclass
class Ended:
    """The end of a play; *run* is the run's state, or None when nothing was recorded.

    *healed_s* is how long it took from the last thing that people did.
    """

    run: dict[str, Any] | None
    follower: Follower
    is_settled: bool
    healed_s: float


class Play:
    """Plays a scenario, in which *faults* strike."""

    def __init__(self, scenario: Scenario, service: Service, faults: dict[Place, Fault]) -> None:
        service.begin()
        service.states.joins_all = scenario.joins_all
        service.warm = 0 if scenario.is_warm else None
        service.deploy_called(scenario.machines)
        service.aws.faults = {place.key: fault for place, fault in faults.items()}
        self._scenario = scenario
        self._service = service
        self._follower = Follower(service)
        self._stream = Stream(service)
        self._workers = Workers(service, RUN_ID, scenario.scripts)
        self._actions = list(scenario.actions)
        self._next_pass = service.clock.now() + timedelta(seconds=PERIOD_S)
        self._acted_at = service.clock.now()
        self._read_at = 0

    def play(self) -> Ended:
        """Play until the run is settled, or until so many passes that it never will be."""
        self.create()
        passes = 0
        while passes < _PASSES:
            self._run_ready()
            if self._act() or self._workers.act():
                continue
            if self._is_settled():
                break
            passes += self._let_time_pass()
        return self._ended()

    def _ended(self) -> Ended:
        self._stream.deliver()
        settled = self._is_settled()
        healed_s = (self._service.clock.now() - self._acted_at).total_seconds()
        self._follower.read()
        run = None
        if self._exists():
            run = self._ask(lambda: self._service.request("ana", "GET", f"runs/{RUN_ID}"))
        return Ended(run, self._follower, settled, healed_s)

    # --- people -------------------------------------------------------------------------------

    def create(self) -> None:
        """Create the run, as `play` does first."""
        if self._scenario.is_planned_first:
            self._plan()
        body = {"manifest": self._scenario.manifest, "inputs": {}, "runId": RUN_ID}
        key = {"Idempotency-Key": "key-1"}
        self._ask(lambda: self._service.request("ana", "POST", "runs", body, headers=key))

    def _plan(self) -> None:
        """Open the console, read the API's document, have a token checked, simulate the pack.

        Before that, a day's removal of machines finds one.
        """
        service = self._service
        service.states.leave(_LEFT_OVER)
        self._ask(service.remove_machines)
        assert not any(arn.endswith(_LEFT_OVER) for arn in service.states.machines)
        self._ask(lambda: service.request("ana", "GET", "/console"))
        self._ask(lambda: service.request("ana", "GET", "/.well-known/openapi"))
        policy = self._ask(lambda: service.authorize("ana"))
        assert policy["principalId"] == "ana", policy
        body = {"manifest": self._scenario.manifest, "inputs": {}}
        plan = self._ask(lambda: service.request("ana", "POST", "simulations", body))
        assert plan["planHash"].startswith("sha256:"), plan

    def _act(self) -> bool:
        """Do the next thing that people do, if it is time for it and it is not recorded yet."""
        if not self._actions or not self._exists():
            return False
        action = self._actions[0]
        if isinstance(action, Cancel):
            return self._cancel(action)
        if isinstance(action, Stop):
            return self._stop()
        return self._decide(action)

    def _cancel(self, action: Cancel) -> bool:
        if "outcome" in item("R"):
            self._actions.pop(0)
            return True
        if not (self._has_recorded(action.after) if action.after else has_item("G#")):
            return False
        path = f"runs/{RUN_ID}/cancel"
        self._ask(lambda: self._service.request(action.subject, "POST", path))
        return True

    def _stop(self) -> bool:
        """Stop the execution once a gate waits. A fault may have ended the run before."""
        if "outcome" not in item("R") and not has_item("G#"):
            return False
        self._acted_at = self._service.clock.now()
        self._service.states.abort()
        self._actions.pop(0)
        return True

    def _decide(self, action: Decide) -> bool:
        run, approval = item("R"), item(f"A#{action.approval}")
        deciders = [entry["by"] for entry in approval.get("decisions", [])]
        if action.subject in deciders or "outcome" in run:
            self._actions.pop(0)
            return True
        if not approval or not self._service.announced(action.approval):
            return False
        if not self._has_recorded(action.after):
            return False
        body = {"decision": action.decision, "planHash": run["plan_hash"]}
        path = f"runs/{RUN_ID}/approvals/{action.approval}"
        self._ask(lambda: self._service.request(action.subject, "POST", path, body))
        return True

    def _has_recorded(self, entry_ids: tuple[str, ...]) -> bool:
        if not entry_ids:
            return True
        entries = self._service.world().runs.journal(TENANT, RUN_ID)
        return {placed.entry.id for placed in entries}.issuperset(entry_ids)

    def _ask(self, request: Callable[[], Answer]) -> Any:  # noqa: ANN401 - any JSON
        """Make a request, and repeat it while it is not answered, unless the caller has gone."""
        self._acted_at = self._service.clock.now()
        for _ in range(_REQUESTS):
            try:
                answer = request()
            except (FunctionDiedError, NotBegunError):
                if self._service.aws.is_caller_gone():
                    return None
                continue
            if answer.status < 500:
                assert answer.status < 300, answer.body
                is_page = "html" in answer.headers.get("Content-Type", "")
                return answer.body if is_page else answer.json
        raise AssertionError("a request fails again and again")

    def _exists(self) -> bool:
        return bool(item("R"))

    # --- machines and time --------------------------------------------------------------------

    def _run_ready(self) -> None:
        """Let machines and events go on until they wait."""
        service = self._service
        while True:
            service.collect_events()
            if events := service.due_events():
                service.deliver_event(events[0])
            elif ready := service.states.ready():
                service.states.run(ready[0])
            else:
                return
            if self._read_at != len(service.aws.places):  # else no function has been called
                self._follower.read()
                self._read_at = len(service.aws.places)

    def _let_time_pass(self) -> bool:
        """Move the clock to what happens next; return whether the reconciler has passed."""
        service = self._service
        timers = [event.due_at for event in service.events]
        others = (service.states.next_timer(), self._workers.next_at())
        timers += [timer for timer in others if timer is not None]
        if timers and min(timers) <= self._next_pass:
            service.clock.time = max(min(timers), service.clock.time)
            return False
        service.clock.time = self._next_pass
        self._next_pass += timedelta(seconds=PERIOD_S)
        reconcile(service)
        self._stream.deliver()
        self._follower.read()
        return True

    def _is_settled(self) -> bool:
        """Return whether nothing is left to do: for machines, for events, for the reconciler."""
        service = self._service
        executions = service.states.executions.values()
        return (
            not service.events
            and all(execution.status != "RUNNING" for execution in executions)
            and not has_attribute("unfinished", "due")
        )
