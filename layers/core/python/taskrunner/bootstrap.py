"""Where the world is put together: the only reader of the environment, the only maker of clients.

Each port is built when it is first asked for, so that a function pays for the clients it uses.
"""

from __future__ import annotations

import logging
import os
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from taskrunner.adapters.clock import RandomIds, SystemClock
from taskrunner.model.ceilings import ANYTHING, Ceilings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from taskrunner.adapters.approvals import DynamoApprovals
    from taskrunner.adapters.artifacts import StoredArtifacts
    from taskrunner.adapters.bucket import Bucket
    from taskrunner.adapters.evidence import KmsEvidence
    from taskrunner.adapters.executions import Executions
    from taskrunner.adapters.functions import LambdaFunctions
    from taskrunner.adapters.identity import Authority
    from taskrunner.adapters.images import EcrRegistries
    from taskrunner.adapters.network import CheckedNetworks
    from taskrunner.adapters.notifications import SnsNotifications
    from taskrunner.adapters.plans import BucketPlans
    from taskrunner.adapters.principals import Principals
    from taskrunner.adapters.releases import StoredReleases
    from taskrunner.adapters.retention import Retention
    from taskrunner.adapters.runs import DynamoRuns
    from taskrunner.adapters.secrets import ManagedSecrets
    from taskrunner.adapters.table import Table
    from taskrunner.sandbox.launcher import ForkedSandbox

_DAY_S = 86400
# In their debugging output stand requests and answers as they are, with secrets in them, and the
# level of the root logger is one setting of a function in the console.
_TALKATIVE = ("boto3", "botocore", "s3transfer", "urllib3")


class AwsWorld:
    """`usecases.world.World` over AWS, as the function's environment describes it."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Read nothing yet: a missing variable hurts only who needs it."""
        self._environment = environment

    @cached_property
    def ceilings(self) -> Ceilings:
        """What this deployment allows packs to ask for; what is not set is not limited."""

        def most(name: str) -> int | None:
            value = self._environment.get(name)
            return int(value) if value else None

        egress = self._environment.get("ALLOWED_EGRESS", ANYTHING)
        return Ceilings(
            memory_limit_mib=most("MAX_MEMORY_MIB"),
            cpu_limit_millicores=most("MAX_CPU_MILLICORES"),
            quota_s=most("MAX_QUOTA_SECONDS"),
            egress=tuple(filter(None, (entry.strip() for entry in egress.split(",")))),
        )

    @cached_property
    def clock(self) -> SystemClock:
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
        from taskrunner.adapters.artifacts import ArtifactItems  # noqa: PLC0415
        from taskrunner.adapters.claims import Claims  # noqa: PLC0415
        from taskrunner.adapters.runs import DynamoRuns  # noqa: PLC0415

        claims = Claims(self._bucket, self._retention)
        return DynamoRuns(self._table, claims, ArtifactItems(), self._retention)

    @cached_property
    def approvals(self) -> DynamoApprovals:
        """See the port."""
        from taskrunner.adapters.approvals import DynamoApprovals  # noqa: PLC0415
        from taskrunner.adapters.executions import Tokens  # noqa: PLC0415

        return DynamoApprovals(self._table, self.runs, Tokens(self._states))

    @cached_property
    def artifacts(self) -> StoredArtifacts:
        """See the port."""
        from taskrunner.adapters.artifacts import ArtifactItems, StoredArtifacts  # noqa: PLC0415

        return StoredArtifacts(self._table, self._bucket, ArtifactItems(), self._retention)

    @cached_property
    def evidence(self) -> KmsEvidence:
        """See the port."""
        from taskrunner.adapters.evidence import KmsEvidence  # noqa: PLC0415

        key_arn = self._environment["EVIDENCE_KEY_ARN"]
        return KmsEvidence(_client("kms"), key_arn, self._bucket, self._retention)

    @cached_property
    def releases(self) -> StoredReleases:
        """See the port."""
        from taskrunner.adapters.releases import StoredReleases  # noqa: PLC0415

        return StoredReleases(self._table, self._bucket, self.clock, self._retention)

    @cached_property
    def sandbox(self) -> ForkedSandbox:
        """See the port."""
        from taskrunner.sandbox.launcher import ForkedSandbox  # noqa: PLC0415

        return ForkedSandbox()

    @cached_property
    def networks(self) -> CheckedNetworks:
        """See the port."""
        from taskrunner.adapters.network import CheckedNetworks  # noqa: PLC0415

        # Where Lambda hands out the events of all runs, and takes their answers.
        _, _, port = self._environment.get("AWS_LAMBDA_RUNTIME_API", "").rpartition(":")
        return CheckedNetworks(closed_ports=[int(port)] if port.isdecimal() else [])

    @cached_property
    def registries(self) -> EcrRegistries:
        """See the port."""
        from taskrunner.adapters.images import EcrRegistries  # noqa: PLC0415

        return EcrRegistries(lambda region: _client("ecr", region_name=region))

    @cached_property
    def secrets(self) -> ManagedSecrets:
        """See the port."""
        from taskrunner.adapters.secrets import ManagedSecrets  # noqa: PLC0415

        return ManagedSecrets(_client("secretsmanager"), self._environment["SECRET_PREFIX"])

    @cached_property
    def notifications(self) -> SnsNotifications:
        """See the port."""
        from taskrunner.adapters.notifications import (  # noqa: PLC0415
            ATTEMPTS,
            CONNECT_TIMEOUT_S,
            READ_TIMEOUT_S,
            SnsNotifications,
        )

        client = _client(
            "sns",
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=READ_TIMEOUT_S,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        )
        return SnsNotifications(client, self._environment["APPROVAL_TOPIC_ARN"])

    @cached_property
    def functions(self) -> LambdaFunctions:
        """See the port."""
        from taskrunner.adapters.functions import READ_TIMEOUT_S, LambdaFunctions  # noqa: PLC0415

        # Whoever waits in vain has called all the same: nothing here may call a second time.
        once = {"mode": "standard", "total_max_attempts": 1}
        client = _WhenUsed(
            lambda: _client("lambda", read_timeout=READ_TIMEOUT_S, retries=once, tcp_keepalive=True)
        )
        return LambdaFunctions(client, self._environment["EXECUTOR_PREFIX"])

    @cached_property
    def machines(self) -> Executions:
        """See the port."""
        from taskrunner.adapters.executions import Executions  # noqa: PLC0415

        environment = self._environment
        prototype = environment["PACK_RUN_MACHINE_ARN"]
        return Executions(self._states, prototype, environment["MACHINE_PREFIX"])

    @cached_property
    def authority(self) -> Authority:
        """Who checks tokens."""
        from taskrunner.adapters.identity import Authority, Settings  # noqa: PLC0415

        environment = self._environment
        settings = Settings(
            issuer=environment["ISSUER"],
            jwks_url=environment["JWKS_URL"],
            algorithms=tuple((environment.get("ALGORITHMS") or "RS256").split()),
            audience=environment.get("AUDIENCE") or None,
            tenant_claim=environment.get("TENANT_CLAIM") or None,
            grants_claim=environment.get("GRANTS_CLAIM") or None,
            default_tenant=environment.get("DEFAULT_TENANT") or None,
        )
        return Authority(settings, self._table)

    @cached_property
    def _retention(self) -> Retention:
        from taskrunner.adapters.retention import Retention  # noqa: PLC0415

        return Retention(int(self._environment.get("RETENTION_DAYS", "30")) * _DAY_S)

    @cached_property
    def principals(self) -> Principals | None:
        """Who callers inside AWS are, where these are let in instead of tokens."""
        if self._environment.get("AUTHORIZATION") != "AWS_IAM":
            return None
        from taskrunner.adapters.principals import Principals  # noqa: PLC0415

        return Principals(self._table)

    @cached_property
    def _table(self) -> Table:
        from taskrunner.adapters.table import Table  # noqa: PLC0415

        return Table(_client("dynamodb"), self._environment["TABLE_NAME"])

    @cached_property
    def _bucket(self) -> Bucket:
        from taskrunner.adapters.bucket import Bucket  # noqa: PLC0415

        return Bucket(_client("s3"), self._environment["BUCKET_NAME"])

    @cached_property
    def _states(self) -> Any:  # noqa: ANN401 - boto3 has no static types
        return _client("stepfunctions")


class _WhenUsed:
    """A client that is made when something is first asked of it.

    Making one reads and parses its service's model, and a step is given what few steps use.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make

    @cached_property
    def _client(self) -> Any:  # noqa: ANN401 - boto3 has no static types
        return self._make()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - boto3 has no static types
        return getattr(self._client, name)


def _client(service: str, **more: Any) -> Any:  # noqa: ANN401 - boto3 has no static types
    import boto3  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415

    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.INFO)
    # Path addresses work wherever the endpoint is; a call that hangs is worse than one that fails.
    settings = {"addressing_style": "path"} if service == "s3" else {}
    common = {
        "connect_timeout": 3,
        "read_timeout": 20,
        "retries": {"mode": "standard", "max_attempts": 5},
        "s3": settings or None,
        "signature_version": "s3v4" if service == "s3" else None,
    }
    config = Config(**(common | more))
    return boto3.client(service, config=config)


@cache
def aws() -> AwsWorld:
    """The world of this process."""
    return AwsWorld(os.environ)
