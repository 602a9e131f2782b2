"""GET runs, their state, logs and artifacts, and the open approvals. Changes nothing."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from taskrunner import bootstrap
from taskrunner.adapters import http_accept, http_api, http_filters
from taskrunner.adapters.http_api import Operation
from taskrunner.adapters.http_response import (
    Response,
    json_response,
    redirect_response,
    text_response,
)
from taskrunner.errors import InvalidRequestError
from taskrunner.usecases import read_run, read_step
from taskrunner.usecases.read_state import read_state

if TYPE_CHECKING:
    from taskrunner.adapters.http_request import Request
    from taskrunner.model.json_types import JsonObject
    from taskrunner.ports import World

_RUNS = "/v1/task-runner/runs"
_PAGE = ("limit", "cursor")
_LOG_TYPES = ("application/x-ndjson", "text/plain")
_PAGE_SIZE, _MAX_PAGE_SIZE, _MAX_LOG_LINES = 50, 100, 1000

bootstrap.make_before_snapshot(
    "approvals", "artifacts", "clock", "links", "plans", "principals", "runs"
)


class _Reader:
    """The routes over one world."""

    def __init__(self, world: World) -> None:
        self._world = world

    def runs(self, request: Request) -> Response:
        tenant, (limit, cursor) = request.tenant(), _page(request)
        filters = http_filters.run_filters(request)
        return json_response(200, read_run.list_runs(tenant, limit, cursor, filters, self._world))

    def approvals(self, request: Request) -> Response:
        tenant, (limit, cursor) = request.tenant(), _page(request)
        page = read_run.list_approvals(tenant, limit, cursor, request.caller, self._world)
        return json_response(200, page)

    def run(self, request: Request) -> Response:
        query = http_filters.state_query(request, _PAGE_SIZE, _MAX_PAGE_SIZE)
        tag, state = read_state(request.tenant(), request.run_id(), query, self._world)
        if state is None:
            return Response(status=304, headers={"ETag": tag})
        return json_response(200, state, {"ETag": tag})

    def plan(self, request: Request) -> Response:
        # Only this route and that of an approval compile a plan, and the compiler's import is slow.
        from taskrunner.usecases.read_plan import read_plan  # noqa: PLC0415

        tenant, run_id = request.tenant(), request.run_id()
        compare_to = request.parameter("compareTo")
        return _tagged_response(request, read_plan(tenant, run_id, compare_to, self._world))

    def approval(self, request: Request) -> Response:
        from taskrunner.usecases.read_approval import read_approval  # noqa: PLC0415 - as above

        tenant, run_id, approval_id = (
            request.tenant(),
            request.run_id(),
            request.path["approvalId"],
        )
        view = read_approval(
            tenant,
            run_id,
            approval_id,
            request.caller,
            self._world,
            gate_path=http_filters.text(request, "stepId"),
        )
        return json_response(200, view)

    def step(self, request: Request) -> Response:
        tenant, run_id, path = request.tenant(), request.run_id(), request.path["stepId"]
        return json_response(200, read_step.run_step_state(tenant, run_id, path, self._world))

    def log(self, request: Request) -> Response:
        limit, cursor = request.limit(_MAX_LOG_LINES), request.parameter("cursor")
        tail, before = request.limit(_MAX_LOG_LINES, "tail"), request.parameter("before")
        tenant, run_id = request.tenant(), request.run_id()
        if tail is None and before is None:
            text, next_cursor = read_run.run_log(tenant, run_id, cursor, limit, self._world)
        elif tail is None:
            raise InvalidRequestError("invalid_request", "before is only sent together with tail")
        elif limit is None and cursor is None:
            end = read_run.run_log_end(tenant, run_id, tail, self._world, before=before)
            text, next_cursor = end
        else:
            message = "tail reads from the log's end; send it without cursor and limit"
            raise InvalidRequestError("invalid_request", message)
        headers = {} if next_cursor is None else {"X-TaskRunner-Cursor": next_cursor}
        media_type = http_accept.media_type(request.headers.get("accept"), _LOG_TYPES)
        return text_response(media_type, text, headers)

    def artifacts(self, request: Request) -> Response:
        return json_response(
            200, read_run.run_artifacts(request.tenant(), request.run_id(), self._world)
        )

    def artifact(self, request: Request) -> Response:
        redirect, content = _flag(request, "redirect"), _flag(request, "content")
        tenant, run_id, name = request.tenant(), request.run_id(), request.path["name"]
        if content or redirect is False:
            with_content = content is True
            found = read_run.artifact_link(
                tenant, run_id, name, self._world, with_content=with_content
            )
            return json_response(200, found)
        return redirect_response(read_run.artifact_url(tenant, run_id, name, self._world))


def _tagged_response(request: Request, document: JsonObject) -> Response:
    """Respond with a document and the strong ETag of its bytes, or 304 to a client that has it."""
    response = json_response(200, document)
    tag = f'"{hashlib.sha256(response.body.encode()).hexdigest()[:32]}"'
    if http_filters.tags_of(request) & {tag, "*"}:
        return Response(status=304, headers={"ETag": tag})
    return replace(response, headers={**response.headers, "ETag": tag})


def _flag(request: Request, name: str) -> bool | None:
    """Return a parameter that is true or false, and None if it is absent."""
    value = request.parameter(name)
    if value not in {None, "true", "false"}:
        message = f"{name} is {value!r}, but must be true or false"
        raise InvalidRequestError("invalid_request", message)
    return None if value is None else value == "true"


def _page(request: Request) -> tuple[int, str | None]:
    return request.limit(_MAX_PAGE_SIZE) or _PAGE_SIZE, request.parameter("cursor")


@bootstrap.observed
def handler(
    event: dict[str, Any], _context: object, *, world: World | None = None
) -> dict[str, Any]:
    """Answer API Gateway's proxy event."""
    world = world or bootstrap.aws()
    reader = _Reader(world)
    routes = {
        ("GET", _RUNS): Operation(reader.runs, query=(*_PAGE, *http_filters.RUN_FILTERS)),
        ("GET", f"{_RUNS}/{{runId}}"): Operation(reader.run, query=http_filters.STATE_PARAMETERS),
        ("GET", f"{_RUNS}/{{runId}}/plan"): Operation(reader.plan, query=("compareTo",)),
        ("GET", f"{_RUNS}/{{runId}}/steps/{{stepId}}"): Operation(reader.step),
        ("GET", f"{_RUNS}/{{runId}}/approvals/{{approvalId}}"): Operation(
            reader.approval, query=("stepId",)
        ),
        ("GET", f"{_RUNS}/{{runId}}/logs"): Operation(reader.log, query=(*_PAGE, "tail", "before")),
        ("GET", f"{_RUNS}/{{runId}}/artifacts"): Operation(reader.artifacts),
        ("GET", f"{_RUNS}/{{runId}}/artifacts/{{name}}"): Operation(
            reader.artifact, query=("redirect", "content")
        ),
        ("GET", "/v1/task-runner/approvals"): Operation(reader.approvals, query=_PAGE),
    }
    return http_api.serve(event, routes, world.principals)
