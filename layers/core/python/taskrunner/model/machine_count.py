"""A count of the account's state machines, and what the API says near AWS's quota of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from taskrunner.model.json_types import JsonObject

# The codes of warnings, which are wire format.
NEAR: Final = "machine_quota_near"
REACHED: Final = "machine_quota_reached"
_CURE: Final = (
    "An operator can lower MachineRetentionDays, delete unused machines, or ask AWS for a higher "
    "quota; see docs/operations.md#machinequotaalarm"
)


class MachineCount(NamedTuple):
    """The account has *in_account* machines in its Region at *counted_at*, an RFC 3339 time.

    From *warn_from* machines on, the deployment warns.
    """

    in_account: int
    warn_from: int
    counted_at: str

    @property
    def is_near_the_quota(self) -> bool:
        """Whether the deployment warns."""
        return self.in_account >= self.warn_from


def near_quota(count: MachineCount) -> JsonObject:
    """Return the API's warning to the creator of a run for which a machine was made."""
    message = (
        f"the AWS account nears its quota of state machines: it had {count.in_account} at "
        f"{count.counted_at}, and this deployment warns from {count.warn_from} on. At the quota, "
        f"runs of pack versions that have no machine are refused with 503 {REACHED}; runs of "
        f"versions in use go on. {_CURE}"
    )
    return {"code": NEAR, "message": message}


def at_quota() -> JsonObject:
    """Return the API's warning to the creator of a run that AWS has refused a machine for."""
    message = (
        "the run is recorded and waits: its pack version needs a new state machine, and the AWS "
        f"account has as many as AWS allows. The run starts once there is room. {_CURE}"
    )
    return {"code": REACHED, "message": message}
