"""A worker of machine tests: it speaks the API of workers, and runs nothing; and its time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.machine.client import Answer, Client
    from tests.machine.engine import Engine

WORKER_SCOPE = "worker"


def worker_client(engine: Engine, pools: str = "linux", **who: str) -> Client:
    """Return a caller that may take jobs from *pools*."""
    return engine.client(**{"subject": "workers", "scopes": WORKER_SCOPE, "pools": pools, **who})


class LaterClock:
    """The clock of a world, which a test can put ahead."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._clock = engine, engine.world.clock
        self.ahead = timedelta()
        vars(engine.world)["clock"] = self

    def now(self) -> Any:  # noqa: ANN401 - a datetime
        return self._clock.now() + self.ahead

    def sleep(self, seconds: float) -> None:
        self._clock.sleep(seconds)

    def remove(self) -> None:
        """Let the world have its own clock again."""
        vars(self._engine.world)["clock"] = self._clock


@dataclass
class Worker:
    """A worker with a name, which takes jobs of one pool."""

    client: Client
    pool: str = "linux"
    name: str = "build-7"

    def poll(self, **body: Any) -> LeasedWork | None:  # noqa: ANN401 - members of the request
        """Take the oldest job, if one waits."""
        answer = self.client(
            "POST", "worker/leases", {"pool": self.pool, "worker": self.name, **body}
        )
        if answer.status == 204:
            return None
        assert answer.status == 200, answer.body
        return LeasedWork(self.client, answer.json)

    def take(self, **body: Any) -> LeasedWork:  # noqa: ANN401 - members of the request
        """Take the oldest job as soon as one waits."""
        found: list[LeasedWork] = []

        def is_taken() -> bool:
            found.extend(filter(None, [self.poll(**body)]))
            return bool(found)

        self.client.engine.until(is_taken, f"no job waits in {self.pool}")
        return found[0]


@dataclass
class LeasedWork:
    """A job that a worker has leased; *lease* is the service's answer."""

    client: Client
    lease: dict[str, Any]

    def heartbeat(self, *output: dict[str, Any]) -> Answer:
        return self._post("heartbeat", {"output": list(output)} if output else {})

    def upload_address(self, **file: Any) -> Answer:  # noqa: ANN401 - members of the request
        return self._post("artifacts", file)

    def complete(self, **body: Any) -> Answer:  # noqa: ANN401 - members of the request
        return self._post("completion", {"status": "succeeded", **body})

    def fail(self, reason: str = "executor-error", **body: Any) -> Answer:  # noqa: ANN401
        return self._post("completion", {"status": "failed", "reason": reason, **body})

    def _post(self, what: str, body: dict[str, Any]) -> Answer:
        path = f"worker/leases/{self.lease['leaseId']}/{what}"
        return self.client("POST", path, {"secret": self.lease["secret"], **body})
