"""POST worker/leases and what follows on a lease: heartbeats, files, and the end of its job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskrunner import bootstrap
from taskrunner.adapters import http_api, worker_requests
from taskrunner.adapters.http_api import Operation
from taskrunner.adapters.http_response import Response, json_response
from taskrunner.usecases.complete_job import complete_job
from taskrunner.usecases.lease_job import lease_job
from taskrunner.usecases.renew_lease import renew_lease
from taskrunner.usecases.upload_artifact import upload_artifact

if TYPE_CHECKING:
    from taskrunner.adapters.http_request import Request
    from taskrunner.ports import World

_LEASES = "/v1/task-runner/worker/leases"
_LEASE = f"{_LEASES}/{{leaseId}}"

bootstrap.make_before_snapshot("clock", "ids", "jobs", "plans", "pools", "principals", "runs")


class _Pools:
    """The routes over one world."""

    def __init__(self, world: World) -> None:
        self._world = world

    def lease(self, request: Request) -> Response:
        job = lease_job(worker_requests.lease_request(request), self._world)
        return Response(status=204) if job is None else json_response(200, job)

    def heartbeat(self, request: Request) -> Response:
        return json_response(200, renew_lease(worker_requests.lease_report(request), self._world))

    def artifact(self, request: Request) -> Response:
        return json_response(
            200, upload_artifact(worker_requests.upload_request(request), self._world)
        )

    def completion(self, request: Request) -> Response:
        return json_response(200, complete_job(worker_requests.completion(request), self._world))


@bootstrap.observed
def handler(
    event: dict[str, Any], _context: object, *, world: World | None = None
) -> dict[str, Any]:
    """Answer API Gateway's proxy event."""
    world = world or bootstrap.aws()
    pools = _Pools(world)
    members = {
        _LEASES: (pools.lease, worker_requests.LEASE_MEMBERS),
        f"{_LEASE}/heartbeat": (pools.heartbeat, worker_requests.HEARTBEAT_MEMBERS),
        f"{_LEASE}/artifacts": (pools.artifact, worker_requests.UPLOAD_MEMBERS),
        f"{_LEASE}/completion": (pools.completion, worker_requests.COMPLETION_MEMBERS),
    }
    routes = {
        ("POST", path): Operation(answer, members=names)
        for path, (answer, names) in members.items()
    }
    return http_api.serve(event, routes, world.principals)
