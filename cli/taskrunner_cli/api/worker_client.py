"""The worker's operations of the API, a method for each; several threads may call them.

No request is repeated here: a worker knows until when repeating makes sense, which is as long as it
holds the lease.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, TypeVar, cast
from urllib.parse import quote

import httpx

from taskrunner_cli.api.answers import read_document
from taskrunner_cli.api.http_client import unexpected_answer
from taskrunner_cli.api.profiles import Profile
from taskrunner_cli.api.retries import Notify, Patience
from taskrunner_cli.api.transport import Call, Transport
from taskrunner_cli.api.worker_documents import (
    Completion,
    CompletionAnswer,
    HeartbeatAnswer,
    Lease,
    OutputFile,
    OutputItem,
    UploadAddress,
)
from taskrunner_cli.json_types import JsonObject
from taskrunner_cli.ports.clock import Clock
from taskrunner_cli.ports.randomness import Randomness

_Document = TypeVar("_Document")
_ROOT: Final = "/v1/task-runner/worker/leases"
_POLL_SLACK_S: Final = 15.0
_TIMEOUT_S: Final = 10.0
_DATE_STEP_S: Final = 1.0  # the header `Date` has whole seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseRequest:
    """A worker that looks for a job of a pool."""

    pool: str
    worker: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Leased:
    """A lease, and until when it holds by this machine's monotonic clock."""

    lease: Lease
    expires_at_s: float


@dataclass(frozen=True, slots=True)
class Beat:
    """The answer to a heartbeat, and until when the lease holds by the monotonic clock."""

    answer: HeartbeatAnswer
    expires_at_s: float


class WorkerClient:
    """The API as a worker sees it.

    Every method raises `RefusedError` if the service answers with an error or not as the API does,
    and `UnreachableError` if it does not answer. Close the client at the end.
    """

    def __init__(
        self,
        profile: Profile,
        clock: Clock,
        randomness: Randomness,
        notify: Notify,
        patience: Patience,
    ) -> None:
        self.profile: Final = profile
        self._transport = Transport(profile, clock, randomness, notify, patience)
        self._clock = clock

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def lease(self, request: LeaseRequest, wait_s: int) -> Leased | None:
        """Return a job's lease; None if there was no job within *wait_s* seconds."""
        body: JsonObject = {
            "pool": request.pool,
            "worker": request.worker,
            "labels": request.labels,
            "waitSeconds": wait_s,
        }
        response = self._post("", body, wait_s + _POLL_SLACK_S)
        if response.status_code == httpx.codes.NO_CONTENT:
            return None
        received_s = self._clock.monotonic()  # the request may have waited before the lease began
        lease = self._read(response, Lease)
        return Leased(lease, received_s + self._valid_s(response, lease["expiresAt"]))

    def heartbeat(
        self, lease: Lease, output: Sequence[OutputItem], timeout_s: float = _TIMEOUT_S
    ) -> Beat:
        """Renew a lease, and append output of the job."""
        items = cast("Sequence[JsonObject]", list(output))
        body: JsonObject = {"secret": lease["secret"], **({"output": items} if items else {})}
        sent_s = self._clock.monotonic()
        path = f"{_lease_path(lease)}/heartbeat"
        response = self._post(path, body, min(timeout_s, _TIMEOUT_S))
        answer = self._read(response, HeartbeatAnswer)
        return Beat(answer, sent_s + self._valid_s(response, answer["expiresAt"]))

    def upload_address(self, lease: Lease, file: OutputFile) -> UploadAddress:
        """Return the presigned address for a file of the job."""
        body: JsonObject = {"secret": lease["secret"], **cast("JsonObject", file)}
        response = self._post(f"{_lease_path(lease)}/artifacts", body, _TIMEOUT_S)
        return self._read(response, UploadAddress)

    def complete(
        self, lease: Lease, completion: Completion, timeout_s: float = _TIMEOUT_S
    ) -> CompletionAnswer:
        """End the attempt; the same completion of the same lease may be sent again."""
        body: JsonObject = {"secret": lease["secret"], **cast("JsonObject", completion)}
        path = f"{_lease_path(lease)}/completion"
        response = self._post(path, body, min(timeout_s, _TIMEOUT_S))
        return self._read(response, CompletionAnswer)

    def _post(self, path: str, body: JsonObject, timeout_s: float) -> httpx.Response:
        return self._transport.send(
            Call(
                method="POST",
                path=_ROOT + path,
                body=body,
                is_tried_once=True,
                timeout_s=timeout_s,
            )
        )

    def _read(self, response: httpx.Response, kind: type[_Document]) -> _Document:
        """Return the answer; unlike a view for people, a document for a worker must fit whole."""
        answer = read_document(response, kind)
        if answer.misfits:
            raise unexpected_answer(response, f"in which {answer.misfits[0]}")
        return answer.view

    def _valid_s(self, response: httpx.Response, expires_at: str) -> float:
        """Return how long a lease holds from now on.

        The service's own time is subtracted, so that this machine's clock may be wrong.
        """
        try:
            expires = datetime.fromisoformat(expires_at)
            now = _date(response) or self._clock.now()
            return (expires - now).total_seconds() - _DATE_STEP_S
        except (ValueError, TypeError) as error:  # TypeError: a time without a zone
            raise unexpected_answer(response, "with a lease's end that is not a time") from error


def _date(response: httpx.Response) -> datetime | None:
    """Return the answer's time (RFC 9110, section 6.6.1)."""
    try:
        return parsedate_to_datetime(response.headers["Date"]).astimezone(UTC)
    except (KeyError, ValueError, TypeError):
        return None


def _lease_path(lease: Lease) -> str:
    return f"/{quote(lease['leaseId'], safe='')}"
