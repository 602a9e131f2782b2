"""The world of the functions: AWS, with the clock, the sandbox and the clients of a service."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from taskrunner.adapters.executions import StepFunctionsMachines
from taskrunner.adapters.identity import TokenAuthenticator, TokenSettings
from taskrunner.adapters.issuer_keys import IssuerKeys, Key
from taskrunner.adapters.table import Table
from taskrunner.bootstrap import AwsWorld
from taskrunner.errors import TryAgainError
from tests.fakes.sandbox import ThreadSandbox, executed
from tests.faults.direct_calls import direct_calls
from tests.moto_aws import session
from tests.unit.adapters.key_server import ISSUER, OURS

if TYPE_CHECKING:
    from taskrunner.executors.work import Services
    from taskrunner.sandbox.attempt import AttemptRequest, AttemptResult
    from tests.faults.service import Service


class World(AwsWorld):
    """The functions' world, with the service's clock, ids and sandbox."""

    def __init__(self, service: Service) -> None:
        super().__init__(service.environment, session())
        self._service = service

    def _made_client(
        self,
        service: str,
        region_name: str | None = None,
        **settings: Any,  # noqa: ANN401 - botocore has no static types
    ) -> Any:  # noqa: ANN401 - as above
        """Make each client once for all worlds: it has no state."""
        made, key = self._service.clients, f"{service} {region_name} {settings}"
        if key not in made:
            client = super()._made_client(service, region_name, **settings)
            made[key] = direct_calls(client, service, self._service.aws)
        return made[key]

    @cached_property
    def clock(self) -> Any:  # noqa: ANN401 - a fake
        return self._service.clock

    @cached_property
    def sandbox(self) -> Any:  # noqa: ANN401 - a fake
        return self._service.sandbox

    @cached_property
    def machines(self) -> StepFunctionsMachines:
        """Step Functions without the pause after a machine's creation."""
        settings = self.environment
        return StepFunctionsMachines(
            self._step_functions,
            settings["PACK_RUN_MACHINE_ARN"],
            settings["MACHINE_PREFIX"],
            sleep=_no_pause,
        )

    @cached_property
    def _table(self) -> Table:
        """The table without the pauses between tries."""
        return Table(self._client("dynamodb"), self.environment["TABLE_NAME"], _no_pause)

    @cached_property
    def authority(self) -> TokenAuthenticator:
        """One that has the issuer's keys already."""
        settings = TokenSettings(issuer=ISSUER, jwks_url="")
        return TokenAuthenticator(settings, self._table, FetchedKeys())


class FetchedKeys(IssuerKeys):
    """The keys of the tests' issuer."""

    def __init__(self) -> None:
        super().__init__("", ("RS256",), lambda: 0.0)

    def find(self, key_id: str) -> Key | None:
        return Key(OURS.public_key(), "RSA", "RS256") if key_id == "key-1" else None


@dataclass
class CountingSandbox(ThreadSandbox):
    """Runs executors at once; *executed* lists attempts that may have had effects.

    Without a thread of its own, an executor can be in a process that forks.
    """

    executed: list[tuple[str, str, int]] = field(default_factory=list)

    def execute(self, request: AttemptRequest, services: Services) -> AttemptResult:
        attempt = (request.run_id, request.step_path, request.attempt)
        self.executed.append(attempt)
        try:
            return super().execute(request, services)
        except TryAgainError:
            # AWS refused before the executor had an effect, so this attempt may be made again.
            self.executed.remove(attempt)
            raise

    def outcome(
        self, request: AttemptRequest, services: Services
    ) -> AttemptResult | BaseException | None:
        return executed(request, services)


def _no_pause(_seconds: float) -> None:
    """Go on at once, because nothing else happens meanwhile."""
