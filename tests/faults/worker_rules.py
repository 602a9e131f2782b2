"""The rules about workers in runs to which everything happens in any order."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from tests.faults.aws import FunctionDiedError, NotBegunError
from tests.faults.faults import AT_A_CALL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.invariants import Record
    from tests.faults.service import Service
    from tests.machine.client import Answer

POOLS: Final = ("linux", "rare")
_ENDS: Final[dict[str, dict[str, Any]]] = {
    "succeeds": {"status": "succeeded", "outputs": {"n": 1}},
    "fails": {"status": "failed", "reason": "executor-error", "message": "exit status 2"},
    "stops": {"status": "failed", "reason": "stopped"},
}
# The worker has given its job up, so it does not have it any more.
_GIVEN_UP: Final = "Pending"


class Ended(NamedTuple):
    """The answer to a worker that has reported the end of an attempt."""

    path: str
    attempt: int
    status: str


class WorkerRules(RuleBasedStateMachine):
    """Workers take jobs, report about those that they have or had, and are lost.

    *leases* has every lease, also those of workers that have lost their job since. *ended* has the
    answers to those that have reported an end.
    """

    service: Service

    def begin_workers(self) -> None:
        self.leases: list[dict[str, Any]] = []
        self.ended: dict[str, Ended] = {}

    @abstractmethod
    def follow(self) -> None:
        """Read on in the log."""

    @rule(pool=st.sampled_from(POOLS))
    def take_a_job(self, pool: str) -> None:
        self._take(pool)

    @precondition(lambda self: self.leases)
    @rule(number=st.integers(0, 3), is_again=st.booleans())
    def renew(self, number: int, *, is_again: bool) -> None:
        """A worker reports, and its request may come twice."""
        lease = self.leases[-1 - number % len(self.leases)]
        output = [{"sequence": 1, "stream": "stdout", "text": "one\n"}]
        for _ in range(1 + is_again):
            answer = self._report(lease, "heartbeat", {"output": output})
            assert answer is None or answer.status in {200, 409}, answer.body

    @precondition(lambda self: self.leases)
    @rule(number=st.integers(0, 3), end=st.sampled_from(sorted(_ENDS)))
    def end_an_attempt(self, number: int, end: str) -> None:
        """A worker reports the end of an attempt: for the first time, again, or too late."""
        self._end(self.leases[-1 - number % len(self.leases)], end)

    @precondition(lambda self: self.leases)
    @rule(
        end=st.sampled_from(sorted(_ENDS)),
        call=st.integers(1, 12),
        fault=st.sampled_from(AT_A_CALL),
    )
    def end_an_attempt_with_a_fault(self, end: str, call: int, fault: Any) -> None:  # noqa: ANN401
        self.service.aws.next_fault = (call, fault)
        self._end(self.leases[-1], end)
        self.service.aws.next_fault = None

    def work_off(self) -> None:
        """Let every job that waits be taken, and end well, and so every job that a worker has."""
        for lease in self.leases:
            self._end(lease, "succeeds")
        for pool in POOLS:
            while self._take(pool):
                self._end(self.leases[-1], "succeeds")

    def _take(self, pool: str) -> bool:
        answer = self._ask("worker/leases", {"pool": pool, "worker": "build-7"})
        if answer is not None and answer.status == 200:
            self.leases.append(answer.json)
        assert answer is None or answer.status in {200, 204}, answer.body
        return answer is not None and answer.status == 200

    def _end(self, lease: dict[str, Any], end: str) -> None:
        answer = self._report(lease, "completion", _ENDS[end])
        if answer is None or answer.status == 503:
            return
        assert answer.status in {200, 409}, answer.body
        before = self.ended.get(lease["secret"])
        if answer.status == 409:
            # A later attempt may have been offered since; then its lease is not known any more.
            return
        status = answer.json["status"]
        if status == _GIVEN_UP:
            return
        now = Ended(lease["stepId"], lease["attempt"], status)
        assert before in {None, now}, f"{before} was answered before {now}"
        self.ended[lease["secret"]] = now

    def _report(self, lease: dict[str, Any], what: str, body: dict[str, Any]) -> Answer | None:
        path = f"worker/leases/{lease['leaseId']}/{what}"
        return self._ask(path, {"secret": lease["secret"], **body})

    def _ask(self, path: str, body: dict[str, Any]) -> Answer | None:
        """Make a request of a worker; None if nobody has answered it."""
        try:
            return self.service.work(path, body)
        except (FunctionDiedError, NotBegunError):
            return None
        finally:
            self.follow()


def problems(record: Record, ended: dict[str, Ended]) -> Iterator[str]:
    """Yield each end that was answered and is not recorded, or in two ways."""
    recorded = {entry.id: str(entry.event) for entry in record.entries}
    said: dict[tuple[str, int], str] = {}
    for path, attempt, status in ended.values():
        event = recorded.get(f"{path}#{attempt}#ended")
        expected = {"Succeeded": "step.completed", "Failed": "step.failed"}.get(status, event)
        if event != expected:
            yield f"a worker was answered that attempt {attempt} of {path} is {status}, not {event}"
        if said.setdefault((path, attempt), status) != status:
            yield f"two workers have ended attempt {attempt} of {path}"
