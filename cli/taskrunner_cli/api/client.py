"""The API's operations, a method for each."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

import httpx

from taskrunner_cli.api.answers import (
    read_artifacts,
    read_document,
    read_log,
    unexpected_answer,
)
from taskrunner_cli.api.documents import (
    ApprovalPage,
    Artifact,
    CancelAnswer,
    DecisionAnswer,
    LogEntry,
    RunPage,
    RunState,
    Simulation,
)
from taskrunner_cli.api.download import Download, download
from taskrunner_cli.api.profiles import Profile
from taskrunner_cli.api.requests import Decision, NewRun
from taskrunner_cli.api.transport import Transport
from taskrunner_cli.json_types import JsonObject
from taskrunner_cli.ports.clock import Clock

_ROOT: Final = "/v1/task-runner"
_LARGEST_PAGE: Final = 100
_CURSOR_HEADER: Final = "X-TaskRunner-Cursor"


@dataclass(frozen=True, slots=True)
class LogPage:
    """Some entries of a log, and the cursor after the last of them."""

    entries: list[LogEntry]
    cursor: str | None


class Client:
    """The API as one caller sees it.

    Every method raises `RefusedError` if the service answers with an error, and `UnreachableError`
    if it does not answer. Close the client at the end.
    """

    def __init__(self, profile: Profile, clock: Clock) -> None:
        self._transport = Transport(profile, clock)

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def simulate(self, manifest: str, inputs: JsonObject) -> Simulation:
        """Plan a pack without running it."""
        body: JsonObject = {"manifest": manifest, "inputs": inputs}
        answer = self._transport.send("POST", f"{_ROOT}/simulations", body=body)
        return read_document(answer, Simulation)

    def create(self, new_run: NewRun) -> RunState:
        """Create a run and return its first state."""
        key = new_run.idempotency_key
        headers = {"Idempotency-Key": key} if key else None
        answer = self._transport.send("POST", f"{_ROOT}/runs", body=new_run.body(), headers=headers)
        return read_document(answer, RunState)

    def run(self, run_id: str) -> RunState:
        """Return a run's state."""
        return read_document(self._transport.send("GET", _run_path(run_id)), RunState)

    def runs(self, limit: int, cursor: str | None = None) -> RunPage:
        """Return up to *limit* runs after *cursor*, read in as many pages as needed."""
        result: RunPage = {"runs": []}
        while (missing := limit - len(result["runs"])) > 0:
            page = read_document(self._page("runs", missing, cursor), RunPage)
            result["runs"] += page["runs"]
            cursor = page.get("nextCursor")
            if not cursor:
                return result
        return {**result, "nextCursor": cursor} if cursor else result

    def approvals(self, limit: int, cursor: str | None = None) -> ApprovalPage:
        """Return up to *limit* open approvals after *cursor*, read in as many pages as needed."""
        result: ApprovalPage = {"approvals": []}
        while (missing := limit - len(result["approvals"])) > 0:
            page = read_document(self._page("approvals", missing, cursor), ApprovalPage)
            result["approvals"] += page["approvals"]
            cursor = page.get("nextCursor")
            if not cursor:
                return result
        return {**result, "nextCursor": cursor} if cursor else result

    def log_pages(self, run_id: str, cursor: str | None = None) -> Iterator[LogPage]:
        """Yield the pages of the log from *cursor* to its present end.

        The last page is the one before an empty page, or one whose cursor does not move: a service
        without cursors sends the whole log each time.
        """
        while (page := self._log_page(run_id, cursor)).entries:
            yield page
            if page.cursor == cursor:
                return
            cursor = page.cursor

    def raw_log(self, run_id: str) -> Iterator[bytes]:
        """Yield the whole log in the bytes that the API serves, which are those evidence covers."""
        cursor = None
        while True:
            answer = self._send_log_request(run_id, cursor)
            next_cursor = answer.headers.get(_CURSOR_HEADER)
            if answer.content:
                yield answer.content
            if not answer.content or next_cursor in {None, cursor}:
                return
            cursor = next_cursor

    def artifacts(self, run_id: str) -> list[Artifact]:
        """Return the artifacts that a run captured."""
        return read_artifacts(self._transport.send("GET", f"{_run_path(run_id)}/artifacts"))

    def download(self, run_id: str, name: str, path: Path) -> Download:
        """Save an artifact as *path*.

        Raises:
            UsageError: *path* cannot be written.

        """
        answer = self._transport.send("GET", f"{_run_path(run_id)}/artifacts/{_segment(name)}")
        if not answer.has_redirect_location:
            raise unexpected_answer(answer, "a redirect to the artifact")
        return download(answer.url.join(answer.headers["Location"]), path)

    def decide(self, run_id: str, approval_id: str, decision: Decision) -> DecisionAnswer:
        """Approve or reject a gate."""
        path = f"{_run_path(run_id)}/approvals/{_segment(approval_id)}"
        return read_document(
            self._transport.send("POST", path, body=decision.body()), DecisionAnswer
        )

    def cancel(self, run_id: str) -> CancelAnswer:
        """Cancel a run."""
        return read_document(
            self._transport.send("POST", f"{_run_path(run_id)}/cancel"), CancelAnswer
        )

    def _page(self, collection: str, limit: int, cursor: str | None) -> httpx.Response:
        query = {"limit": min(limit, _LARGEST_PAGE), "cursor": cursor}
        return self._transport.send("GET", f"{_ROOT}/{collection}", query=query)

    def _log_page(self, run_id: str, cursor: str | None) -> LogPage:
        """Read the entries after *cursor*, as many as the service sends in one answer."""
        answer = self._send_log_request(run_id, cursor)
        entries = read_log(answer)
        last_cursor = entries[-1].get("cursor") if entries else None
        return LogPage(entries, answer.headers.get(_CURSOR_HEADER) or last_cursor or cursor)

    def _send_log_request(self, run_id: str, cursor: str | None) -> httpx.Response:
        return self._transport.send("GET", f"{_run_path(run_id)}/logs", query={"cursor": cursor})


def _run_path(run_id: str) -> str:
    return f"{_ROOT}/runs/{_segment(run_id)}"


def _segment(name: str) -> str:
    """Return *name* as one segment of a path; text that UTF-8 cannot encode names nothing."""
    return quote(name, safe="", errors="replace")
