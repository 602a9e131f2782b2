"""The world over AWS: the only reader of the environment, and the only maker of AWS clients.

Each port is built when it is first used, so that a function pays only for the clients that it uses.
"""

from __future__ import annotations

import logging
import os
import threading
from datetime import timedelta
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Final

from taskrunner.adapters import cold_start, invocations, logs, snapshots
from taskrunner.adapters.clock import RandomIds, SystemClock
from taskrunner.adapters.metrics import EmbeddedMetrics
from taskrunner.model.ceilings import ANYTHING, Ceilings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from taskrunner.adapters.approvals import DynamoApprovals
    from taskrunner.adapters.artifacts import StoredArtifacts
    from taskrunner.adapters.bucket import Bucket
    from taskrunner.adapters.called_machines import StepFunctionsCalledMachines
    from taskrunner.adapters.due_work import DynamoDueWork
    from taskrunner.adapters.events import BusEvents
    from taskrunner.adapters.evidence import KmsEvidence
    from taskrunner.adapters.execution_links import AwsExecutionLinks
    from taskrunner.adapters.executions import StepFunctionsMachines
    from taskrunner.adapters.functions import LambdaFunctions
    from taskrunner.adapters.identity import TokenAuthenticator
    from taskrunner.adapters.images import EcrRegistries
    from taskrunner.adapters.jobs import DynamoJobs
    from taskrunner.adapters.journal_chunks import JournalChunks
    from taskrunner.adapters.machine_counts import StoredMachineCounts
    from taskrunner.adapters.machine_inventory import StepFunctionsInventory
    from taskrunner.adapters.network import CheckedNetworks
    from taskrunner.adapters.notifications import SnsNotifications
    from taskrunner.adapters.overrides import LambdaOverrides
    from taskrunner.adapters.plans import BucketPlans
    from taskrunner.adapters.pools import DynamoPools
    from taskrunner.adapters.principals import Principals
    from taskrunner.adapters.releases import StoredReleases
    from taskrunner.adapters.retention import Retention
    from taskrunner.adapters.runs import DynamoRuns
    from taskrunner.adapters.secrets import ManagedSecrets
    from taskrunner.adapters.settlements import LambdaSettlements
    from taskrunner.adapters.table import Table
    from taskrunner.ports.clock import Clock
    from taskrunner.ports.logs import Logs
    from taskrunner.sandbox.launcher import ForkedSandbox

cold_start.begin(os.environ)

_DAY_S: Final = 86400
# At DEBUG these loggers write requests and responses, including secrets. At INFO they say at each
# cold start where it found its credentials. Lambda's settings can change the level of the root
# logger, so these have a level of their own.
_VERBOSE_LOGGERS: Final = ("boto3", "botocore", "s3transfer", "urllib3")


class AwsWorld:
    """`ports.world.World` over AWS, configured by the function's *environment*."""

    def __init__(self, environment: Mapping[str, str], session: Any = None) -> None:  # noqa: ANN401 - botocore has no static types
        """Read nothing yet: a missing variable fails only the port that needs it.

        *session* makes the clients; None stands for a session of botocore's own.
        """
        self.environment = environment
        self._given_session = session
        self._making_client = threading.Lock()
        self._lazy_clients: list[_LazyClient] = []

    def make_clients(self) -> None:
        """Make the clients of the ports that have been built, before their first calls do."""
        for client in self._lazy_clients:
            client.make_client()

    @cached_property
    def ceilings(self) -> Ceilings:
        """The deployment's limits for packs. A variable that is not set does not limit."""

        def limit(name: str) -> int | None:
            value = self.environment.get(name)
            return int(value) if value else None

        egress = self.environment.get("ALLOWED_EGRESS", ANYTHING)
        return Ceilings(
            memory_limit_mib=limit("MAX_MEMORY_MIB"),
            cpu_limit_millicores=limit("MAX_CPU_MILLICORES"),
            quota_s=limit("MAX_QUOTA_SECONDS"),
            egress=tuple(filter(None, (entry.strip() for entry in egress.split(",")))),
        )

    @cached_property
    def clock(self) -> Clock:
        """See the port."""
        return SystemClock()

    @cached_property
    def ids(self) -> RandomIds:
        """See the port."""
        return RandomIds()

    @cached_property
    def plans(self) -> BucketPlans:
        """See the port."""
        from taskrunner.adapters.plans import BucketPlans  # noqa: PLC0415

        return BucketPlans(self._bucket, self._retention)

    @cached_property
    def runs(self) -> DynamoRuns:
        """See the port."""
        from taskrunner.adapters.large_texts import LargeTexts  # noqa: PLC0415
        from taskrunner.adapters.runs import DynamoRuns  # noqa: PLC0415
        from taskrunner.adapters.step_outcomes import StepOutcomes  # noqa: PLC0415

        large_texts = LargeTexts(self._bucket, self._retention)
        outcomes = StepOutcomes(self._table, large_texts, self._retention)
        return DynamoRuns(self._table, self._journal, outcomes, self._retention)

    @cached_property
    def approvals(self) -> DynamoApprovals:
        """See the port."""
        from taskrunner.adapters.approvals import DynamoApprovals  # noqa: PLC0415
        from taskrunner.adapters.task_tokens import TaskTokens  # noqa: PLC0415

        tokens = TaskTokens(self._step_functions)
        return DynamoApprovals(self._table, self._journal, tokens, self._retention)

    @cached_property
    def jobs(self) -> DynamoJobs:
        """See the port."""
        from taskrunner.adapters.jobs import DynamoJobs  # noqa: PLC0415
        from taskrunner.adapters.task_tokens import TaskTokens  # noqa: PLC0415

        tokens = TaskTokens(self._step_functions)
        return DynamoJobs(self._table, self._journal, tokens, self._retention)

    @cached_property
    def pools(self) -> DynamoPools:
        """See the port."""
        from taskrunner.adapters.pools import DynamoPools  # noqa: PLC0415

        return DynamoPools(self._table)

    @cached_property
    def artifacts(self) -> StoredArtifacts:
        """See the port."""
        from taskrunner.adapters.artifacts import StoredArtifacts  # noqa: PLC0415

        return StoredArtifacts(self._table, self._bucket, self._retention)

    @cached_property
    def evidence(self) -> KmsEvidence:
        """See the port."""
        from taskrunner.adapters.evidence import KmsEvidence  # noqa: PLC0415

        key_arn = self.environment["EVIDENCE_KEY_ARN"]
        return KmsEvidence(self._client("kms"), key_arn, self._bucket, self._retention)

    @cached_property
    def releases(self) -> StoredReleases:
        """See the port."""
        from taskrunner.adapters.releases import StoredReleases  # noqa: PLC0415

        return StoredReleases(self._table, self._bucket, self.clock)

    @cached_property
    def sandbox(self) -> ForkedSandbox:
        """See the port."""
        from taskrunner.sandbox.launcher import ForkedSandbox  # noqa: PLC0415

        return ForkedSandbox()

    @cached_property
    def networks(self) -> CheckedNetworks:
        """See the port."""
        from taskrunner.adapters.network import CheckedNetworks  # noqa: PLC0415

        # At this address Lambda hands out the events of all runs, and takes their results.
        _, _, port = self.environment.get("AWS_LAMBDA_RUNTIME_API", "").rpartition(":")
        return CheckedNetworks(closed_ports=[int(port)] if port.isdecimal() else [])

    @cached_property
    def registries(self) -> EcrRegistries:
        """See the port."""
        from taskrunner.adapters.images import EcrRegistries  # noqa: PLC0415

        return EcrRegistries(lambda region: self._client("ecr", region_name=region))

    @cached_property
    def secrets(self) -> ManagedSecrets:
        """See the port."""
        from taskrunner.adapters.secrets import ManagedSecrets  # noqa: PLC0415

        prefix = self.environment["SECRET_PREFIX"]
        return ManagedSecrets(self._client("secretsmanager"), prefix, self._wall_clock_s)

    @cached_property
    def notifications(self) -> SnsNotifications:
        """See the port."""
        from taskrunner.adapters.notifications import (  # noqa: PLC0415
            ATTEMPTS,
            CONNECT_TIMEOUT_S,
            READ_TIMEOUT_S,
            SnsNotifications,
        )

        client = self._client(
            "sns",
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=READ_TIMEOUT_S,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        )
        return SnsNotifications(client, self.environment["APPROVAL_TOPIC_ARN"])

    @cached_property
    def functions(self) -> LambdaFunctions:
        """See the port."""
        from taskrunner.adapters.functions import READ_TIMEOUT_S, LambdaFunctions  # noqa: PLC0415
        from taskrunner.adapters.keep_alive import with_keep_alive  # noqa: PLC0415

        # A timed-out invoke may have run, so it is never retried.
        once = {"mode": "standard", "total_max_attempts": 1}
        client = _LazyClient(
            lambda: with_keep_alive(
                self._made_client("lambda", read_timeout=READ_TIMEOUT_S, retries=once)
            )
        )
        return LambdaFunctions(client, self.environment["EXECUTOR_PREFIX"], self._wall_clock_s)

    @cached_property
    def events(self) -> BusEvents:
        """See the port."""
        from taskrunner.adapters.events import BusEvents  # noqa: PLC0415

        return BusEvents(self._client("events"), self.environment["EVENT_BUS"])

    @property
    def logs(self) -> Logs:
        """See the port."""
        return logs

    @cached_property
    def metrics(self) -> EmbeddedMetrics:
        """See the port."""
        # A failure is counted by functions that have no other use for the stack's name.
        return EmbeddedMetrics(self.environment.get("MACHINE_PREFIX", "unknown"), self.clock)

    @cached_property
    def due_work(self) -> DynamoDueWork:
        """See the port."""
        from taskrunner.adapters.due_work import DynamoDueWork  # noqa: PLC0415

        return DynamoDueWork(self._table)

    @cached_property
    def settlements(self) -> LambdaSettlements:
        """See the port."""
        from taskrunner.adapters.settlements import LambdaSettlements  # noqa: PLC0415

        return LambdaSettlements(self._client("lambda"), self.environment["SETTLE_RUN_FUNCTION"])

    @cached_property
    def overrides(self) -> LambdaOverrides:
        """See the port."""
        from taskrunner.adapters.overrides import READ_TIMEOUT_S, LambdaOverrides  # noqa: PLC0415

        client = self._client("lambda", read_timeout=READ_TIMEOUT_S)
        return LambdaOverrides(client, self.environment["OPEN_GATE_FUNCTION"])

    @cached_property
    def machines(self) -> StepFunctionsMachines:
        """See the port."""
        from taskrunner.adapters.executions import StepFunctionsMachines  # noqa: PLC0415

        return StepFunctionsMachines(
            self._step_functions,
            self.environment["PACK_RUN_MACHINE_ARN"],
            self.environment["MACHINE_PREFIX"],
        )

    @cached_property
    def called_machines(self) -> StepFunctionsCalledMachines:
        """See the port."""
        from taskrunner.adapters.called_machines import (  # noqa: PLC0415
            StepFunctionsCalledMachines,
        )

        return StepFunctionsCalledMachines(
            self._step_functions, self.environment["CALLED_MACHINE_PREFIX_ARN"]
        )

    @cached_property
    def links(self) -> AwsExecutionLinks:
        """See the port. Only an emulator has an endpoint of its own."""
        from taskrunner.adapters.execution_links import AwsExecutionLinks  # noqa: PLC0415

        is_emulator = bool(self.environment.get("AWS_ENDPOINT_URL"))
        return AwsExecutionLinks(
            self.environment["PACK_RUN_MACHINE_ARN"],
            self.environment["CALLED_MACHINE_PREFIX_ARN"],
            has_console=not is_emulator,
        )

    @cached_property
    def inventory(self) -> StepFunctionsInventory:
        """See the port."""
        from taskrunner.adapters.machine_inventory import StepFunctionsInventory  # noqa: PLC0415

        return StepFunctionsInventory(
            self._step_functions,
            self.environment["MACHINE_PREFIX"],
            timedelta(days=int(self.environment["MACHINE_RETENTION_DAYS"])),
            int(self.environment["MACHINE_WARNING_COUNT"]),
            self.clock.sleep,
        )

    @cached_property
    def machine_counts(self) -> StoredMachineCounts:
        """See the port."""
        from taskrunner.adapters.machine_counts import StoredMachineCounts  # noqa: PLC0415

        return StoredMachineCounts(self._table)

    @cached_property
    def authority(self) -> TokenAuthenticator:
        """The authority that checks bearer tokens, for the authorizer."""
        from taskrunner.adapters.identity import TokenAuthenticator, TokenSettings  # noqa: PLC0415
        from taskrunner.adapters.issuer_keys import IssuerKeys  # noqa: PLC0415

        environment = self.environment
        settings = TokenSettings(
            issuer=environment["ISSUER"],
            jwks_url=environment["JWKS_URL"],
            algorithms=tuple((environment.get("ALGORITHMS") or "RS256").split()),
            audience=environment.get("AUDIENCE") or None,
            tenant_claim=environment.get("TENANT_CLAIM") or None,
            grants_claim=environment.get("GRANTS_CLAIM") or None,
            groups_claim=environment.get("GROUPS_CLAIM") or None,
            user_claim=environment.get("USER_CLAIM") or None,
            default_tenant=environment.get("DEFAULT_TENANT") or None,
        )
        keys = IssuerKeys(settings.jwks_url, settings.algorithms, self._wall_clock_s)
        return TokenAuthenticator(settings, self._table, keys)

    @cached_property
    def principals(self) -> Principals | None:
        """The AWS principals, in a deployment that admits signed requests instead of tokens."""
        if self.environment.get("AUTHORIZATION") != "AWS_IAM":
            return None
        from taskrunner.adapters.principals import Principals  # noqa: PLC0415

        return Principals(self._table)

    def _wall_clock_s(self) -> float:
        """Return the time, which goes on while Lambda freezes the environment."""
        return self.clock.now().timestamp()

    @cached_property
    def _retention(self) -> Retention:
        from taskrunner.adapters.retention import Retention  # noqa: PLC0415

        return Retention(int(self.environment.get("RETENTION_DAYS", "30")) * _DAY_S)

    @cached_property
    def _journal(self) -> JournalChunks:
        from taskrunner.adapters.journal_chunks import JournalChunks  # noqa: PLC0415

        return JournalChunks(self._table, self._retention)

    @cached_property
    def _table(self) -> Table:
        from taskrunner.adapters.table import Table  # noqa: PLC0415

        return Table(self._client("dynamodb"), self.environment["TABLE_NAME"])

    @cached_property
    def _bucket(self) -> Bucket:
        from taskrunner.adapters.bucket import Bucket  # noqa: PLC0415

        return Bucket(self._client("s3"), self.environment["BUCKET_NAME"])

    @cached_property
    def _step_functions(self) -> Any:  # noqa: ANN401 - botocore has no static types
        return self._client("stepfunctions")

    @cached_property
    def _session(self) -> Any:  # noqa: ANN401 - botocore has no static types
        """Botocore's session. boto3 would add an eighth to a cold start, and nothing uses it."""
        for name in _VERBOSE_LOGGERS:
            logging.getLogger(name).setLevel(logging.WARNING)
        if self._given_session is not None:
            return self._given_session
        from taskrunner.adapters import botocore_session  # noqa: PLC0415

        if cold_start.is_function(os.environ):
            botocore_session.leave_out_unused_modules()
        return botocore_session.make()

    def _client(self, service: str, **settings: Any) -> Any:  # noqa: ANN401 - botocore has no static types
        """Return a client that is made on its first use."""
        client = _LazyClient(lambda: self._made_client(service, **settings))
        self._lazy_clients.append(client)
        return client

    def _made_client(self, service: str, region_name: str | None = None, **settings: Any) -> Any:  # noqa: ANN401 - botocore has no static types
        # The reconciler's threads share this world, and a session makes one client at a time.
        with self._making_client:
            # Made first: botocore.config would import modules that the session leaves out.
            session = self._session
            config = self._config(service, settings)
            return session.create_client(service, region_name=region_name, config=config)

    def _config(self, service: str, settings: Mapping[str, Any]) -> Any:  # noqa: ANN401 - botocore has no static types
        import botocore  # noqa: PLC0415
        from botocore.config import Config  # noqa: PLC0415

        defaults = {
            # A call that fails is better than one that hangs.
            "connect_timeout": 3,
            "read_timeout": 20,
            "retries": {"mode": "standard", "max_attempts": 5},
            # DynamoDB checks all of a request itself. An empty key of S3 would mean its bucket.
            "parameter_validation": service != "dynamodb",
            # Botocore's own is put together again for each call, in 0.2 ms.
            "user_agent": f"taskrunner botocore/{botocore.__version__}",
            # Path addresses work with any endpoint, the emulator's too.
            "s3": {"addressing_style": "path"} if service == "s3" else None,
            "signature_version": "s3v4" if service == "s3" else None,
        }
        return Config(**{**defaults, **settings})


class _LazyClient:
    """A client that is made on its first use.

    Making a client reads and parses the model of its service, and few events use every client.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make

    @cached_property
    def _client(self) -> Any:  # noqa: ANN401 - botocore has no static types
        return self._make()

    def make_client(self) -> None:
        """Make the client, unless it has been made."""
        self._client  # noqa: B018 - a cached property

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - botocore has no static types
        return getattr(self._client, name)


@cache
def aws() -> AwsWorld:
    """Return the world of this process."""
    return AwsWorld(os.environ)


def make_before_snapshot(*ports: str) -> None:
    """Let a snapshot of this process contain *ports* and their clients, if Lambda takes one."""

    def make() -> None:
        for port in ports:
            getattr(aws(), port)
        aws().make_clients()

    snapshots.register(make, os.environ)


def observed(handler: invocations.Handler) -> invocations.Handler:
    """Let the log and the metrics show what happens to a function's *handler*.

    This is the last thing that a function's import does. Lambda has made its own handler of the
    log by now, which writes text.
    """
    cold_start.end(os.environ)
    if cold_start.is_function(os.environ):
        logs.write_lines(os.environ.get("LOG_LEVEL", "INFO"))
    return invocations.observed(handler, os.environ, lambda: aws().metrics)
