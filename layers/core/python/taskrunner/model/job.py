"""Jobs: attempts of `worker:<pool>` steps, which workers anywhere take from their pool.

Attempts of `states:<name>` steps are jobs as well (`model.machine_call`).

A job waits in its pool until a worker leases it. The lease has a secret, so that nobody else can
report for this attempt, and ends unless the worker renews it. A job whose lease has ended goes back
to its pool, a few times.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from contextlib import suppress
from dataclasses import field
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from taskrunner.errors import NotFoundError
from taskrunner.model import step_path
from taskrunner.model.run import RUN_ID
from taskrunner.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

POOL_PREFIX: Final = "worker:"
POOL_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
WORKER_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
# A worker renews its lease every 10 s, so it may miss three renewals.
HEARTBEAT_S: Final = 10
LEASE_S: Final = 45
# The worker ends an attempt at its time limit, and has this long to report it.
REPORTING: Final = timedelta(seconds=30)
# How long a job waits for a worker at a time, and how often it may be lost with one.
LONGEST_WAIT: Final = timedelta(hours=24)
MAX_LOSSES: Final = 3
# The output of an attempt that is recorded in the log, in bytes of UTF-8.
MAX_OUTPUT_BYTES: Final = 64 * 1024
# The sort key of a job's item, which the path is part of, has at most 1,024 bytes.
_LONGEST_PATH: Final = 1000
_LABELS_DIGITS: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A worker's right to run a job until *expires_at*; times are RFC 3339 text.

    *secret_digest* is the SHA-256 of the lease's secret, as hex digits. *client* is the subject of
    the worker's token, and *worker* the name that the worker gives itself. At *stop_at* the attempt
    has used all of its time.
    *output_bytes* is how much output was recorded, up to number *output_sequence*. *labels* are
    those of the worker; leases of earlier releases have None.
    """

    secret_digest: str
    client: str
    worker: str
    leased_at: str
    expires_at: str
    stop_at: str
    output_bytes: int = 0
    output_sequence: int = 0
    labels: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """The attempt of a step that is offered to *pool*, to workers that have all of *labels*.

    *offered_at* orders the pool's jobs; a lost job keeps its place, and waits anew since
    *waits_since*. *losses* is how often a worker was lost with it. *lease* is None while the job
    waits. *is_done* says that the end of the attempt is recorded.
    """

    tenant: str
    run_id: str
    step_path: str
    attempt: int
    pool: str
    offered_at: str
    waits_since: str
    labels: Mapping[str, str] = field(default_factory=dict)
    losses: int = 0
    lease: Lease | None = None
    is_done: bool = False

    def is_leased_by(self, secret: str) -> bool:
        """Return whether *secret* is that of the job's lease."""
        return self.lease is not None and self.lease.secret_digest == digest(secret)

    def suits(self, labels: Mapping[str, str]) -> bool:
        """Return whether a worker with *labels* may take the job."""
        return has_labels(labels, self.labels)


class JobName(NamedTuple):
    """The names of a job, which the id of its lease consists of."""

    tenant: str
    run_id: str
    step_path: str
    attempt: int


def lease_id(job: Job) -> str:
    """Return the id of the lease of *job*: its names, as base64url without padding."""
    names = [job.tenant, job.run_id, job.step_path, job.attempt]
    return base64.urlsafe_b64encode(json.dumps(names).encode()).decode().rstrip("=")


def job_name(lease_id: str) -> JobName:
    """Return the names of the job whose lease has that id.

    Raises:
        NotFoundError: no lease has such an id.
    """
    try:
        text = base64.urlsafe_b64decode(lease_id + "=" * (-len(lease_id) % 4))
        names = json.loads(text)
    except (ValueError, RecursionError):
        raise NotFoundError("the lease") from None
    match names:
        case [str() as tenant, str() as run_id, str() as path, int() as attempt] if (
            RUN_ID.fullmatch(run_id) and _is_step_path(path)
        ):
            return JobName(tenant, run_id, path, attempt)
        case _:
            raise NotFoundError("the lease")


def _is_step_path(text: str) -> bool:
    with suppress(ValueError):
        step_path.parse(text)
        return len(text) <= _LONGEST_PATH
    return False


def digest(secret: str) -> str:
    """Return the SHA-256 of a lease's secret, as hex digits."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def has_labels(offered: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Return whether a worker that offers some labels has all those that a job wants."""
    return all(offered.get(name) == value for name, value in wanted.items())


def labels_digest(labels: Mapping[str, str]) -> str:
    """Return a digest of *labels*, which stands for them in keys; `-` for none."""
    if not labels:
        return "-"
    return hashlib.sha256(labels_text(labels).encode()).hexdigest()[:_LABELS_DIGITS]


def labels_text(labels: Mapping[str, str]) -> str:
    """Return *labels* as text, such as `arch=arm64,gpu=h100`; no label has a `,` or a `=`."""
    return ",".join(f"{name}={value}" for name, value in sorted(labels.items()))


def labels_from_text(text: str) -> dict[str, str]:
    """Return the labels that `labels_text` wrote; others are left out."""
    pairs = (part.partition("=") for part in text.split(","))
    return {name: value for name, is_pair, value in pairs if is_pair}


def pool_of(reference: str) -> str | None:
    """Return the pool in `worker:<pool>`, or None when *reference* has another form."""
    name = reference.removeprefix(POOL_PREFIX)
    is_pool = name != reference and POOL_NAME.fullmatch(name) is not None
    return name if is_pool else None
