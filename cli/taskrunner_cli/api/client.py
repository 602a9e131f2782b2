"""The API, one method per operation, in the words of the contract."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar, cast
from urllib.parse import quote

import httpx

from taskrunner_cli.api.documents import (
    ApprovalPage,
    Artifact,
    CancelAnswer,
    Decision,
    DecisionAnswer,
    LogEntry,
    RunPage,
    RunState,
    Simulation,
)
from taskrunner_cli.api.download import Download, fetch
from taskrunner_cli.api.profiles import Connection
from taskrunner_cli.api.transport import Transport
from taskrunner_cli.errors import RefusedError, UnreachableError
from taskrunner_cli.ports.clock import Clock

_ROOT: Final = "/v1/task-runner"
_PAGE: Final = 100
_CURSOR_HEADER: Final = "X-TaskRunner-Cursor"

_Document = TypeVar("_Document")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRun:
    """What `POST /runs` takes; empty text means: leave it to the service."""

    manifest: str
    inputs: Mapping[str, Any] = field(default_factory=dict)
    run_id: str = ""
    tenant_id: str = ""
    expect_plan_hash: str = ""
    idempotency_key: str = ""

    def body(self) -> dict[str, Any]:
        """Return the request's body, without what was left empty."""
        optional = {
            "runId": self.run_id,
            "tenantId": self.tenant_id,
            "expectPlanHash": self.expect_plan_hash,
        }
        given = {name: value for name, value in optional.items() if value}
        return {"manifest": self.manifest, "inputs": dict(self.inputs), **given}


@dataclass(frozen=True, slots=True)
class LogPage:
    """Some lines of a log and the position after the last of them."""

    entries: list[LogEntry]
    cursor: str | None


class Client:
    """The service as seen by one caller; close it in the end."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self.connection = connection
        self._transport = Transport(connection, clock)

    def close(self) -> None:
        """Let go of the connections."""
        self._transport.close()

    def simulate(self, manifest: str, inputs: Mapping[str, Any]) -> Simulation:
        """Plan a pack without running it."""
        body = {"manifest": manifest, "inputs": dict(inputs)}
        answer = self._transport.send("POST", f"{_ROOT}/simulations", body=body)
        return _checked(answer, Simulation)

    def create(self, new: NewRun) -> RunState:
        """Create a run and return its first state."""
        headers = {"Idempotency-Key": new.idempotency_key} if new.idempotency_key else None
        path = f"{_ROOT}/runs"
        answer = self._transport.send("POST", path, body=new.body(), headers=headers)
        return _checked(answer, RunState)

    def run(self, run_id: str) -> RunState:
        """Read a run's state."""
        return _checked(self._transport.send("GET", _run(run_id)), RunState)

    def runs(self, limit: int, cursor: str | None = None) -> RunPage:
        """List up to *limit* runs from *cursor* on, over as many pages as that takes."""
        page: RunPage = {"runs": []}
        while len(page["runs"]) < limit:
            query = {"limit": min(limit - len(page["runs"]), _PAGE), "cursor": cursor}
            answer = self._transport.send("GET", f"{_ROOT}/runs", query=query)
            part = _checked(answer, RunPage)
            page["runs"] += part["runs"]
            cursor = part.get("nextCursor")
            if not cursor:
                return page
        return {**page, "nextCursor": cursor} if cursor else page

    def approvals(self, limit: int, cursor: str | None = None) -> ApprovalPage:
        """List up to *limit* open approvals from *cursor* on, over as many pages as that takes."""
        page: ApprovalPage = {"approvals": []}
        while len(page["approvals"]) < limit:
            query = {"limit": min(limit - len(page["approvals"]), _PAGE), "cursor": cursor}
            answer = self._transport.send("GET", f"{_ROOT}/approvals", query=query)
            part = _checked(answer, ApprovalPage)
            page["approvals"] += part["approvals"]
            cursor = part.get("nextCursor")
            if not cursor:
                return page
        return {**page, "nextCursor": cursor} if cursor else page

    def log_page(self, run_id: str, cursor: str | None = None) -> LogPage:
        """Read the lines after *cursor*, as many as the service sends at once."""
        answer = self._transport.send("GET", f"{_run(run_id)}/logs", query={"cursor": cursor})
        entries = [_log_entry(line) for line in answer.text.split("\n") if line.strip()]
        last = entries[-1].get("cursor") if entries else None
        return LogPage(entries, answer.headers.get(_CURSOR_HEADER) or last or cursor)

    def log_pages(self, run_id: str, cursor: str | None = None) -> Iterator[LogPage]:
        """Read from *cursor* to the present end of the log.

        Ends at an empty page. A cursor that does not move ends it too: a service that knows no
        cursors sends the whole log each time, and would be read for ever.
        """
        while (page := self.log_page(run_id, cursor)).entries:
            yield page
            if page.cursor == cursor:
                return
            cursor = page.cursor

    def raw_log(self, run_id: str) -> Iterator[bytes]:
        """Read the whole log in the very bytes that are served, which is what evidence covers."""
        cursor = None
        while True:
            answer = self._transport.send("GET", f"{_run(run_id)}/logs", query={"cursor": cursor})
            following = answer.headers.get(_CURSOR_HEADER)
            if answer.content:
                yield answer.content
            if not answer.content or following in {None, cursor}:
                return
            cursor = following

    def artifacts(self, run_id: str) -> list[Artifact]:
        """List what a run captured."""
        answer = self._transport.send("GET", f"{_run(run_id)}/artifacts")
        listed = _document(answer)
        if not isinstance(listed, list):
            raise _unexpected(answer, "a list of artifacts")
        return cast("list[Artifact]", listed)

    def download(self, run_id: str, name: str, path: Path) -> Download:
        """Save an artifact as *path*; what it points to is fetched without our token."""
        answer = self._transport.send("GET", f"{_run(run_id)}/artifacts/{_segment(name)}")
        if not answer.has_redirect_location:
            raise _unexpected(answer, "a redirect to the artifact")
        return fetch(answer.url.join(answer.headers["Location"]), path)

    def decide(  # noqa: PLR0913 -- the fields of the contract's request, all by name
        self,
        run_id: str,
        approval_id: str,
        decision: Decision,
        *,
        plan_hash: str,
        summary: str = "",
        actor: str = "",
    ) -> DecisionAnswer:
        """Approve or reject a gate of the plan with *plan_hash*."""
        body = {"decision": decision, "planHash": plan_hash, "actorId": actor, "summary": summary}
        path = f"{_run(run_id)}/approvals/{_segment(approval_id)}"
        given = {name: value for name, value in body.items() if value}
        return _checked(self._transport.send("POST", path, body=given), DecisionAnswer)

    def cancel(self, run_id: str) -> CancelAnswer:
        """Cancel a run."""
        return _checked(self._transport.send("POST", f"{_run(run_id)}/cancel"), CancelAnswer)


def _run(run_id: str) -> str:
    """The path of a run."""
    return f"{_ROOT}/runs/{_segment(run_id)}"


def _segment(name: str) -> str:
    """One segment of a path, whatever was typed; what is no text names nothing that there is."""
    return quote(name, safe="", errors="replace")


def _checked(answer: httpx.Response, kind: type[_Document]) -> _Document:
    """Return the answer's document, provided that it has what *kind* requires."""
    document = _document(answer)
    required: frozenset[str] = getattr(kind, "__required_keys__", frozenset())
    if not isinstance(document, dict) or not required <= document.keys():
        raise _unexpected(answer, f"a document with {', '.join(sorted(required))}")
    return cast("_Document", document)


def _document(answer: httpx.Response) -> Any:  # noqa: ANN401 -- any JSON
    """The answer's document; None when it has none."""
    try:
        return answer.json()
    except (ValueError, RecursionError):
        return None


def _log_entry(line: str) -> LogEntry:
    """One line of NDJSON as an entry."""
    try:
        entry = json.loads(line)
    except ValueError as error:
        raise UnreachableError(
            "the log broke off in the middle of a line", code="broken"
        ) from error
    return cast("LogEntry", entry)


def _unexpected(answer: httpx.Response, wanted: str) -> RefusedError:
    """The error for an answer that the contract does not know."""
    return RefusedError(
        f"{answer.request.method} {answer.request.url.path} answered HTTP {answer.status_code}"
        f" without {wanted}",
        status=answer.status_code,
        code="unexpected_answer",
        cure="is this address a TaskRunner API?",
    )
