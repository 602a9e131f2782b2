"""GET runs, their state, logs and artifacts, and the open approvals. Reads and changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskrunner import bootstrap
from taskrunner.adapters import http_api
from taskrunner.adapters.http_api import Request, answer, redirect, text_answer
from taskrunner.usecases import read_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskrunner.ports import World

_RUNS = "/v1/task-runner/runs"
_PAGE, _MOST, _MOST_LINES = 50, 100, 1000


class _Reader:
    """The routes over one world."""

    def __init__(self, world: World) -> None:
        self._world = world

    def runs(self, request: Request) -> dict[str, Any]:
        return self._list(request, read_run.list_runs)

    def approvals(self, request: Request) -> dict[str, Any]:
        return self._list(request, read_run.list_approvals)

    def _list(self, request: Request, read: Callable[..., Any]) -> dict[str, Any]:
        limit = request.limit(_PAGE, _MOST)
        return answer(200, read(request.tenant(), limit, request.query.get("cursor"), self._world))

    def run(self, request: Request) -> dict[str, Any]:
        state = read_run.run_state(request.tenant(), request.run_id(), self._world)
        return answer(200, state)

    def log(self, request: Request) -> dict[str, Any]:
        limit, cursor = request.limit(None, _MOST_LINES), request.query.get("cursor")
        tenant, run_id = request.tenant(), request.run_id()
        text, following = read_run.run_log(tenant, run_id, cursor, limit, self._world)
        headers = {} if following is None else {"X-TaskRunner-Cursor": following}
        return text_answer("application/x-ndjson", text, headers)

    def artifacts(self, request: Request) -> dict[str, Any]:
        listed = read_run.run_artifacts(request.tenant(), request.run_id(), self._world)
        return answer(200, listed)

    def artifact(self, request: Request) -> dict[str, Any]:
        tenant, run_id, name = request.tenant(), request.run_id(), request.path["name"]
        return redirect(read_run.artifact_url(tenant, run_id, name, self._world))


def handler(
    event: dict[str, Any], _context: object, *, world: World | None = None
) -> dict[str, Any]:
    """Answer API Gateway's proxy event."""
    world = world or bootstrap.aws()
    reader = _Reader(world)
    routes = {
        ("GET", _RUNS): reader.runs,
        ("GET", f"{_RUNS}/{{runId}}"): reader.run,
        ("GET", f"{_RUNS}/{{runId}}/logs"): reader.log,
        ("GET", f"{_RUNS}/{{runId}}/artifacts"): reader.artifacts,
        ("GET", f"{_RUNS}/{{runId}}/artifacts/{{name}}"): reader.artifact,
        ("GET", "/v1/task-runner/approvals"): reader.approvals,
    }
    return http_api.serve(event, routes, world.principals)
