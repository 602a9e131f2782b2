"""Where the world is put together: the only reader of the environment, the only maker of clients.

Each port is built when it is first asked for, so that a function pays for the clients it uses.
"""

from __future__ import annotations

import os
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from taskrunner.adapters.clock import RandomIds, SystemClock

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskrunner.adapters.approvals import DynamoApprovals
    from taskrunner.adapters.artifacts import StoredArtifacts
    from taskrunner.adapters.bucket import Bucket
    from taskrunner.adapters.executions import Executions
    from taskrunner.adapters.identity import Authority
    from taskrunner.adapters.plans import BucketPlans
    from taskrunner.adapters.principals import Principals
    from taskrunner.adapters.runs import DynamoRuns
    from taskrunner.adapters.sandbox import ForkedSandbox
    from taskrunner.adapters.table import Table
    from taskrunner.adapters.workshop import StoredWorkshop

_DAY_S = 86400


class AwsWorld:
    """`usecases.world.World` over AWS, as the function's environment describes it."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Read nothing yet: a missing variable hurts only who needs it."""
        self._environment = environment

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

        return BucketPlans(self._bucket)

    @cached_property
    def runs(self) -> DynamoRuns:
        """See the port."""
        from taskrunner.adapters.artifacts import ArtifactItems  # noqa: PLC0415
        from taskrunner.adapters.claims import Claims  # noqa: PLC0415
        from taskrunner.adapters.runs import DynamoRuns  # noqa: PLC0415

        retention_s = int(self._environment.get("RETENTION_DAYS", "30")) * _DAY_S
        return DynamoRuns(self._table, Claims(self._bucket), ArtifactItems(), retention_s)

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

        return StoredArtifacts(self._table, self._bucket, ArtifactItems())

    @cached_property
    def workshop(self) -> StoredWorkshop:
        """See the port."""
        from taskrunner.adapters.workshop import StoredWorkshop  # noqa: PLC0415

        return StoredWorkshop(self._table, self._bucket, self.clock)

    @cached_property
    def sandbox(self) -> ForkedSandbox:
        """See the port."""
        from taskrunner.adapters.sandbox import ForkedSandbox  # noqa: PLC0415

        return ForkedSandbox()

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


def _client(service: str) -> Any:  # noqa: ANN401 - boto3 has no static types
    import boto3  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415

    # Path addresses work wherever the endpoint is; a call that hangs is worse than one that fails.
    settings = {"addressing_style": "path"} if service == "s3" else {}
    config = Config(
        connect_timeout=3,
        read_timeout=20,
        retries={"mode": "standard", "max_attempts": 5},
        s3=settings or None,
        signature_version="s3v4" if service == "s3" else None,
    )
    return boto3.client(service, config=config)


@cache
def aws() -> AwsWorld:
    """The world of this process."""
    return AwsWorld(os.environ)
