"""The API's operations, a method for each."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar, cast
from urllib.parse import quote

import httpx

from taskrunner_cli.api.answers import Answer, read_document, read_log
from taskrunner_cli.api.documents import (
    ApprovalPage,
    Artifact,
    CancelAnswer,
    DecisionAnswer,
    LogEntry,
    OpenApproval,
    RunPage,
    RunPlan,
    RunState,
    Simulation,
    Step,
    StepDetail,
)
from taskrunner_cli.api.download import Advance, Download, download
from taskrunner_cli.api.http_client import unexpected_answer
from taskrunner_cli.api.profiles import Profile
from taskrunner_cli.api.requests import Decision, NewRun, Rerun
from taskrunner_cli.api.retries import Notify, Patience
from taskrunner_cli.api.transport import Call, Transport
from taskrunner_cli.errors import RefusedError, UnreachableError, UsageError
from taskrunner_cli.json_types import JsonObject, JsonValue
from taskrunner_cli.ports.clock import Clock
from taskrunner_cli.ports.randomness import Randomness

_Document = TypeVar("_Document")
_Page: TypeAlias = dict[str, Any]
_ROOT: Final = "/v1/task-runner"
_LARGEST_PAGE: Final = 100
_CURSOR_HEADER: Final = "X-TaskRunner-Cursor"
_MAX_SHOWN_MISFITS: Final = 5
_DOT_SEGMENTS: Final = frozenset({"", ".", ".."})


@dataclass(frozen=True, slots=True)
class LogPage:
    """Some entries of a log, and the cursor after the last of them."""

    entries: list[Answer[LogEntry]]
    cursor: str | None


class Client:
    """The API as one caller sees it.

    Every method raises `RefusedError` if the service answers with an error or not as the API does,
    and `UnreachableError` if it does not answer. Close the client at the end.

    Args:
        profile: the API's address, and the caller.
        clock: the time.
        randomness: spreads repeated requests, and makes idempotency keys.
        notify: shows why the caller waits, and what an answer's view leaves out.
        patience: how long to wait for the service.

    """

    def __init__(
        self,
        profile: Profile,
        clock: Clock,
        randomness: Randomness,
        notify: Notify,
        patience: Patience,
    ) -> None:
        self._transport = Transport(profile, clock, randomness, notify, patience)
        self._randomness = randomness
        self._notify = notify
        self._reported_misfits: set[str] = set()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def simulate(
        self, manifest: str, inputs: JsonObject, compare_to: str = ""
    ) -> Answer[Simulation]:
        """Plan a pack without running it, and compare the plan with another one if named."""
        comparison = {"compareTo": compare_to} if compare_to else {}
        body: JsonObject = {"manifest": manifest, "inputs": inputs, **comparison}
        return self._read(self._post("/simulations", body, is_repeatable=True), Simulation)

    def create(self, new_run: NewRun) -> Answer[RunState]:
        """Create a run and return its first state; the request always has an idempotency key."""
        return self._create("/runs", new_run.body(), new_run.idempotency_key)

    def rerun(self, run_id: str, new_run: Rerun) -> Answer[RunState]:
        """Run the pack of a run again and return the new run's first state; as `create`."""
        path = f"{_run_path(run_id)}/rerun"
        return self._create(path, new_run.body(), new_run.idempotency_key)

    def _create(self, path: str, body: JsonObject, given_key: str) -> Answer[RunState]:
        key = given_key or self._randomness.key()
        try:
            answer = self._post(path, body, {"Idempotency-Key": key}, is_repeatable=True)
        except UnreachableError as error:
            # The run may exist. Only a request with the same key finds out without making another.
            if error.may_have_begun:
                error.cure = f"repeat the command with --idempotency-key {key}: it makes one run"
            raise
        return self._read(answer, RunState)

    def run(self, run_id: str) -> Answer[RunState]:
        """Return a run's state."""
        return self._read(self._get(_run_path(run_id)), RunState)

    def run_after(self, run_id: str, position: str, wait_s: int) -> Answer[RunState] | None:
        """Return a run's state once its log has grown after *position*.

        None if it has not within *wait_s* seconds. The request is not repeated: a service that
        cannot hold it has to be asked in another way.
        """
        query: dict[str, str | int | None] = {"since": position, "wait": wait_s}
        call = Call(method="GET", path=_ROOT + _run_path(run_id), query=query, is_tried_once=True)
        answer = self._transport.send(call)
        if answer.status_code == httpx.codes.NOT_MODIFIED:
            return None
        return self._read(answer, RunState)

    def children(self, run_id: str, parent_id: str) -> Iterator[Step]:
        """Yield the steps directly in a block, of all its iterations."""
        cursor: str | None = None
        cursors = {cursor}
        while True:
            query: dict[str, str | int | None] = {"parent": parent_id, "limit": _LARGEST_PAGE}
            query["cursor"] = cursor
            page = self._read(self._get(_run_path(run_id), query), RunState).view
            yield from page["steps"]
            cursor = page.get("nextCursor")
            if not cursor or cursor in cursors:
                return
            cursors.add(cursor)

    def runs(
        self, limit: int, cursor: str | None = None, filters: Mapping[str, str] | None = None
    ) -> Answer[RunPage]:
        """Return up to *limit* runs after *cursor*, read in as many pages as needed.

        *filters* are parameters of the query.
        """
        return self._list("runs", RunPage, limit, cursor, filters)

    def plan(self, run_id: str, compare_to: str) -> Answer[RunPlan]:
        """Return the plan of a run, compared with another one."""
        return self._read(
            self._get(f"{_run_path(run_id)}/plan", {"compareTo": compare_to}), RunPlan
        )

    def approval(
        self, run_id: str, approval_id: str, step_id: str | None = None
    ) -> Answer[OpenApproval]:
        """Return an approval of a run with its decisions, and its first gates or the one named."""
        filters = {} if step_id is None else {"stepId": step_id}
        return self._read(self._get(_approval_path(run_id, approval_id), filters), OpenApproval)

    def approvals(self, limit: int, cursor: str | None = None) -> Answer[ApprovalPage]:
        """Return up to *limit* open approvals after *cursor*, read in as many pages as needed."""
        return self._list("approvals", ApprovalPage, limit, cursor)

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

    def log_end(self, run_id: str, count: int) -> LogPage | None:
        """Return the last *count* entries of the log, or None if the service cannot.

        An older service may ignore *count* and send the log's beginning. The cursor continues after
        the entries in either case.
        """
        try:
            return self._log_page(run_id, None, tail=count)
        except RefusedError as error:
            if error.status != httpx.codes.BAD_REQUEST:
                raise
            return None

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

    def artifacts(self, run_id: str) -> Answer[list[Artifact]]:
        """Return the artifacts that a run captured."""
        return self._read(self._get(f"{_run_path(run_id)}/artifacts"), list[Artifact])

    def step(self, run_id: str, step_id: str) -> Answer[StepDetail]:
        """Return one step of a run with its attempts and its outputs."""
        path = f"{_run_path(run_id)}/steps/{_segment(step_id, 'step')}"
        return self._read(self._get(path), StepDetail)

    def download(
        self, run_id: str, name: str, path: Path, advance: Advance = lambda _: None
    ) -> Download:
        """Save an artifact as *path*, calling *advance* with the bytes of each part.

        Raises:
            UsageError: *path* cannot be written.

        """
        answer = self._get(f"{_run_path(run_id)}/artifacts/{_segment(name, 'artifact')}")
        if not answer.has_redirect_location:
            raise unexpected_answer(answer, "without a redirect to the artifact")
        try:
            url = answer.request.url.join(answer.headers["Location"])
        except httpx.InvalidURL:
            raise unexpected_answer(answer, "with a Location that is not an address") from None
        if url.scheme not in {"http", "https"}:
            raise unexpected_answer(answer, "with a Location that is not an HTTP address")
        return download(url, path, advance)

    def decide(self, run_id: str, approval_id: str, decision: Decision) -> Answer[DecisionAnswer]:
        """Approve or reject a gate."""
        path = _approval_path(run_id, approval_id)
        return self._read(self._post(path, decision.body()), DecisionAnswer)

    def cancel(self, run_id: str) -> Answer[CancelAnswer]:
        """Cancel a run."""
        return self._read(self._post(f"{_run_path(run_id)}/cancel"), CancelAnswer)

    def _list(
        self,
        name: str,
        kind: type[_Document],
        limit: int,
        cursor: str | None,
        filters: Mapping[str, str] | None = None,
    ) -> Answer[_Document]:
        """Return pages of the list *name* as one page; its cursor is that of the last one."""
        documents: list[JsonValue] = []
        views: list[object] = []
        cursors = {cursor}
        while True:
            size = min(limit - len(documents), _LARGEST_PAGE)
            query = {**(filters or {}), "limit": size, "cursor": cursor}
            page = self._read(self._get(f"/{name}", query), kind)
            document, view = cast("_Page", page.document), cast("_Page", page.view)
            documents += document[name]
            views += view[name]
            cursor = cast("str | None", view.get("nextCursor"))
            if not cursor or cursor in cursors or len(documents) >= limit:
                break
            cursors.add(cursor)
        rest = {"nextCursor": cursor} if cursor else {}
        whole = {name: views, **rest}
        return Answer({**document, name: documents, **rest}, cast("_Document", whole))

    def _log_page(self, run_id: str, cursor: str | None, tail: int | None = None) -> LogPage:
        """Read the entries after *cursor*, or the *tail*: as many as the service sends at once."""
        answer = self._send_log_request(run_id, cursor, tail)
        entries = read_log(answer)
        last_cursor = entries[-1].view.get("cursor") if entries else None
        return LogPage(entries, answer.headers.get(_CURSOR_HEADER) or last_cursor or cursor)

    def _send_log_request(
        self, run_id: str, cursor: str | None, tail: int | None = None
    ) -> httpx.Response:
        return self._get(f"{_run_path(run_id)}/logs", {"cursor": cursor, "tail": tail})

    def _get(
        self, path: str, query: Mapping[str, str | int | None] | None = None
    ) -> httpx.Response:
        return self._transport.send(Call(method="GET", path=_ROOT + path, query=query or {}))

    def _post(
        self,
        path: str,
        body: JsonObject | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        is_repeatable: bool = False,
    ) -> httpx.Response:
        return self._transport.send(
            Call(
                method="POST",
                path=_ROOT + path,
                body=body,
                headers=headers or {},
                is_repeatable=is_repeatable,
            )
        )

    def _read(self, response: httpx.Response, kind: type[_Document]) -> Answer[_Document]:
        """Return the answer as a document, and say once what its view leaves out."""
        answer = read_document(response, kind)
        for misfit in answer.misfits[:_MAX_SHOWN_MISFITS]:
            if misfit not in self._reported_misfits:
                self._reported_misfits.add(misfit)
                self._notify(f"not shown, because {misfit}; --output json prints it")
        return answer


def _run_path(run_id: str) -> str:
    return f"/runs/{_segment(run_id, 'run')}"


def _approval_path(run_id: str, approval_id: str) -> str:
    return f"{_run_path(run_id)}/approvals/{_segment(approval_id, 'approval')}"


def _segment(name: str, kind: str) -> str:
    """Return *name*, the id of a *kind* of thing, as one segment of a path.

    Text that UTF-8 cannot encode names nothing.

    Raises:
        UsageError: no path can have such a segment.

    """
    if name in _DOT_SEGMENTS:
        raise UsageError(f"{name!r} is not the id of any {kind}")
    return quote(name, safe="", errors="replace")
