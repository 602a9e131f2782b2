"""The workers of a scenario: they take jobs, report about them, and repeat what got no answer.

They run nothing. A step's `Script` says how its attempts end. Time passes for them as for the rest:
a worker that waits renews its leases every ten seconds.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

import boto3

from taskrunner.adapters.table_layout import JOBS
from taskrunner.model import step_path, timestamp
from tests.faults.aws import FunctionDiedError, NotBegunError
from tests.faults.service import TENANT
from tests.faults.stored import items
from tests.machine.deployment import BUCKET

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.faults.service import Service
    from tests.faults.worker_packs import Script
    from tests.machine.client import Answer

POOL: Final = "linux"
# A worker that got no answer, or 5xx, asks again this often at most.
_REQUESTS: Final = 4
_LOST: Final = frozenset({404, 409})
_CONTENT: Final = b"<testsuite/>"
_FILE: Final = {
    "path": "reports/junit.xml",
    "sizeBytes": len(_CONTENT),
    "sha256": hashlib.sha256(_CONTENT).hexdigest(),
    "mediaType": "text/xml",
}


@dataclass(eq=False)
class Held:
    """A job that a worker has: its lease, and what it has done about it."""

    lease: dict[str, Any]
    script: Script
    beat_at: datetime
    has_reported: bool = False
    has_uploaded: bool = False
    is_stopped: bool = False
    gives_back: bool = False

    @property
    def path(self) -> str:
        path: str = self.lease["stepId"]
        return path


class LostError(Exception):
    """The worker is gone, or its job is."""


@dataclass
class Workers:
    """All workers of the pool, which end attempts as *scripts* say, by the ids of steps."""

    service: Service
    run_id: str
    scripts: Mapping[str, Script]
    held: list[Held] = field(default_factory=list)
    # The ends of leases that nobody has given up, by step path and attempt.
    _valid_until: dict[tuple[str, int], str] = field(default_factory=dict)
    _lost: dict[str, int] = field(default_factory=dict)

    def act(self) -> bool:
        """Let one worker make its next request, if there is one to make."""
        for held in self.held:
            if self._is_due(held):
                self._report(held)
                return True
        return self._poll()

    def next_at(self) -> datetime | None:
        """Return when the next worker renews its lease."""
        return min((held.beat_at for held in self.held), default=None)

    def _is_due(self, held: Held) -> bool:
        return self._may_end(held) or held.beat_at <= self.service.clock.now()

    def _may_end(self, held: Held) -> bool:
        if held.is_stopped or not held.has_reported or not held.script.after:
            return True
        entries = self.service.world().runs.journal(TENANT, self.run_id)
        return {placed.entry.id for placed in entries}.issuperset(held.script.after)

    # --- jobs ---------------------------------------------------------------------------------

    def _poll(self) -> bool:
        """Take a job, if one is listed; return whether anything has changed."""
        before = _listed()
        if not before:
            return False
        try:
            answer = self._ask("worker/leases", {"pool": POOL, "worker": "build-7"})
        except LostError:
            return True
        if answer.status == 200:
            self._take(answer.json)
        return answer.status == 200 or _listed() != before

    def _take(self, lease: dict[str, Any]) -> None:
        key, now = (lease["stepId"], lease["attempt"]), self.service.clock.now()
        valid_until = self._valid_until.get(key)
        assert valid_until is None or valid_until <= timestamp.to_text(now), f"{key} has two leases"
        self._valid_until[key] = lease["expiresAt"]
        script = self.scripts[step_path.parse(lease["stepId"]).step_id]
        lost = self._lost.get(lease["stepId"], 0)
        if lost < script.losses:
            self._lost[lease["stepId"]] = lost + 1
        else:
            self.held.append(Held(lease, script, now, gives_back=lost < _lost_at_most(script)))

    def _report(self, held: Held) -> None:
        try:
            if held.is_stopped:
                self._complete(held, {"status": "failed", "reason": "stopped"})
            elif not held.has_reported or not self._may_end(held):
                self._beat(held)
            elif held.gives_back:
                self._give_back(held)
            elif held.script.has_file and not held.has_uploaded:
                self._upload(held)
            else:
                self._complete(held, _end(held))
        except LostError:
            self.held.remove(held)

    def _beat(self, held: Held) -> None:
        output = [{"sequence": 1, "stream": "stdout", "text": f"running {held.path}\n"}]
        answer = self._tell(held, "heartbeat", {"output": output}).json
        held.has_reported, held.is_stopped = True, answer["action"] == "stop"
        held.beat_at = self.service.clock.now() + timedelta(seconds=held.lease["heartbeatSeconds"])
        self._valid_until[held.path, held.lease["attempt"]] = answer["expiresAt"]

    def _upload(self, held: Held) -> None:
        address = self._tell(held, "artifacts", _FILE).json
        key = unquote(urlsplit(address["url"]).path).removeprefix(f"/{BUCKET}").lstrip("/")
        boto3.client("s3").put_object(Bucket=BUCKET, Key=key, Body=_CONTENT)
        held.has_uploaded = True

    def _give_back(self, held: Held) -> None:
        self._lost[held.path] = self._lost.get(held.path, 0) + 1
        # Another worker may have the job before this one has its answer.
        del self._valid_until[held.path, held.lease["attempt"]]
        self._complete(held, {"status": "failed", "reason": "stopped"})

    def _complete(self, held: Held, end: dict[str, Any]) -> None:
        output = [{"sequence": 2, "stream": "stderr", "text": "done\n"}]
        self._tell(held, "completion", {**end, "output": output})
        self._valid_until.pop((held.path, held.lease["attempt"]), None)
        self.held.remove(held)

    # --- requests -----------------------------------------------------------------------------

    def _tell(self, held: Held, what: str, body: dict[str, Any]) -> Answer:
        """Report about a job.

        Raises:
            LostError: somebody else has the job, or its worker is gone.
        """
        path = f"worker/leases/{held.lease['leaseId']}/{what}"
        answer = self._ask(path, {"secret": held.lease["secret"], **body})
        if answer.status in _LOST:
            raise LostError
        return answer

    def _ask(self, path: str, body: dict[str, Any]) -> Answer:
        for _ in range(_REQUESTS):
            try:
                answer = self.service.work(path, body)
            except (FunctionDiedError, NotBegunError):
                if self.service.aws.is_caller_gone():
                    raise LostError from None
                continue
            if answer.status < 500:
                assert answer.status < 300 or answer.status in _LOST, answer.body
                return answer
        raise AssertionError("a worker's request fails again and again")


def _lost_at_most(script: Script) -> int:
    """Return how many workers of a step are lost, or give its job back."""
    return script.losses + script.stopped


def _end(held: Held) -> dict[str, Any]:
    if held.lease["attempt"] in held.script.failing:
        return {"status": "failed", "reason": "executor-error", "message": "exit status 2"}
    files = {"artifacts": [_FILE]} if held.has_uploaded else {}
    return {"status": "succeeded", "outputs": {"path": held.path}, **files}


def _listed() -> list[str]:
    """Return the jobs that wait in the pool."""
    jobs = [item for item in items() if item["sk"].startswith(JOBS) and "run_list" in item]
    return [job["sk"] for job in jobs if job["pool"] == POOL]
