"""The layout of the one table: its items, their keys, attributes and indexes.

Everything of a run is one partition, `T#<tenant>#R#<run id>`. Its items sort as

    A#<approval id>  an approval: approval_id, decisions, verdict, version; while it is open also
                     tenant_open_approvals, opened_sort, summary, run_list, created_sort. With the
                     scope `gate` there is one for each gate, `A#<approval id>#<step path>`
    B#<step path>    a block that a failure has stopped, while the run goes on after it
    D                what approvers are shown of the run, if it has gates: brief (JSON text)
    F#<name>#<path>  an artifact: the fields of `Artifact`, and the step and attempt that wrote it;
                     the path is that step's, and absent for one that the run's end added
    G#<step path>    a gate: approval_id (its approval's key without `A#`), notified, heard (how
                     many decisions its journal holds), opened_sort and summary as of its approval;
                     expired_by once it has expired; task_token while it waits
    I#<kind>         the run in the list of its pack, of its version or of its requester, or of the
                     approved runs of its pack: run_list, created_sort
    J#<chunk>        a chunk of the journal, numbered from 0: entries, ids, used_ms, used_before_ms;
                     fence (the run's outcome) once the run has ended
    R                the run: the fields of `Run`, outcome, ended_at, status_reason (JSON text, why
                     it failed or was cancelled), settled (once the artifacts of a failed run are
                     final), and the indexes' attributes
    S#<step path>    the end of a step's last attempt: path, attempt, status, final, and either
                     outputs (JSON text) or claim (the key of an object that holds that text)
    T#<step path>    the step's job in a pool of workers: attempt, pool, labels, offered_at,
                     waits_since, losses;
                     run_list and created_sort while it waits; lease (the fields of `Lease`) from
                     when a worker takes it; done once the attempt's end is recorded; task_token
                     until its machine was answered
    W#<step path>    a watch: due when the gate there, or the run if the path is empty, breaches an
                     objective of the pack's `slo`

One query backwards from `R` therefore reads the run and the end of its journal. No key may sort
between the two. All these items have `expires_at`, the table's time to live.

A run, an approval, a gate, a block, a job or a watch that the reconciler must look at has due,
due_at and due_looks, which are the kind, the time and the number of looks; see `model.due_work`.

Outside the runs there are

    C#<client id> / C           a client of the token issuer: tenants, grants
    G#<group> / G               a group of people: tenants, scopes, grants
    I#<arn> / I                 an AWS principal: tenants, scopes, grants
    M / M                       the last count of state machines: in_account, warn_from, counted_at
    T#<tenant>#K#<digest> / K   an Idempotency-Key of a creator: run_id, expires_at
    T#<tenant>#P / <pool>#<number>  the workers of a pool with the same labels: labels,
                                labels_digest, seen_at, expires_at
    T#<tenant>#P#<pool> / <digest>  where workers with certain labels go on in a pool of many jobs:
                                go_on_after, expires_at
    T#<tenant>#Q#<pack> / Q     a pack with maxQueueDepth: unfinished_runs
    T#<tenant>#E#<environment>  CURRENT, D#<deployment> and H#<revision>; see `releases`
"""

from __future__ import annotations

import hashlib
import json
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from taskrunner.model.run import Run

# Index: partition attribute, sort attribute.
RUNS_BY_TENANT: Final = "runs-by-tenant"  # tenant_runs, created_sort
OPEN_APPROVALS: Final = "open-approvals"  # tenant_open_approvals, opened_sort
UNFINISHED_RUNS: Final = "unfinished-runs"  # unfinished, created_sort
DUE_WORK: Final = "due-work"  # due, due_at; it holds due_looks too
RUN_LISTS: Final = "run-lists"  # run_list, created_sort; it holds keys only

# These attributes list an approval as open. A decided one, or one of an ended run, has none.
OPEN_APPROVAL: Final = (
    "tenant_open_approvals",
    "opened_sort",
    "summary",
    "run_list",
    "created_sort",
)
# These make an item due work for the reconciler.
DUE: Final = ("due", "due_at", "due_looks")

RUN: Final = "R"
APPROVALS: Final = "A#"
BLOCKS: Final = "B#"
BRIEF: Final = "D"
LISTINGS: Final = "I#"
ARTIFACTS: Final = "F#"
GATES: Final = "G#"
JOBS: Final = "T#"
CHUNKS: Final = "J#"
OUTCOMES: Final = "S#"
WATCHES: Final = "W#"
LAST_CHUNK: Final = f"{CHUNKS}~"  # sorts after every chunk


class ListKind(StrEnum):
    """The lists of runs by what they have in common, and the jobs that wait in a pool."""

    APPROVAL = "approval"
    STATUS = "status"
    PACK = "pack"
    VERSION = "version"
    REQUESTER = "requester"
    APPROVED = "approved"
    POOL = "pool"


class Key(NamedTuple):
    """The key of an item: its partition, and its place there."""

    pk: str
    sk: str


# The key of the last count of the account's state machines.
MACHINE_COUNT: Final = Key("M", "M")


def run_partition(tenant: str, run_id: str) -> str:
    """Return the partition key of a run."""
    return f"T#{tenant}#R#{run_id}"


def created_sort(run: Run) -> str:
    """Return the place of *run* in lists of runs."""
    return f"{run.created_at}#{run.run_id}"


def run_list(tenant: str, kind: ListKind, *values: str) -> str:
    """Return the partition of *tenant*'s runs or jobs with *values*, in the index of run lists.

    A digest stands for the values, because a requester's name can be longer than a key.
    """
    text = json.dumps(values)  # ASCII, with lone surrogates escaped
    return f"{tenant}#{kind}#{hashlib.sha256(text.encode()).hexdigest()}"


def tenant_and_run_id(partition: str) -> tuple[str, str]:
    """Return the tenant and the run id of a run's partition key; neither has a `#`."""
    _, tenant, _, run_id = partition.split("#")
    return tenant, run_id


def partition_of(run: Run) -> str:
    """Return the partition key of *run*."""
    return run_partition(run.tenant, run.run_id)


def run_key(run: Run) -> Key:
    """Return the key of *run*'s own item."""
    return Key(partition_of(run), RUN)


def approval_key(partition: str, name: str) -> Key:
    """Return the key of an approval's record in a run's partition, by `ApprovalRecord.name`."""
    return Key(partition, f"{APPROVALS}{name}")


def watch_key(partition: str, step_path: str) -> Key:
    """Return the key of the watch over a gate, or with an empty path over the run."""
    return Key(partition, f"{WATCHES}{step_path}")


def block_key(partition: str, step_path: str) -> Key:
    """Return the key of a stopped block in a run's partition."""
    return Key(partition, f"{BLOCKS}{step_path}")


def listing_key(partition: str, kind: ListKind) -> Key:
    """Return the key of the item that lists a run by *kind*."""
    return Key(partition, f"{LISTINGS}{kind}")


def brief_key(partition: str) -> Key:
    """Return the key of what approvers are shown of a run."""
    return Key(partition, BRIEF)


def artifact_key(partition: str, name: str, step_path: str | None) -> Key:
    """Return the key of an artifact in a run's partition; no name contains the separator."""
    return Key(partition, f"{ARTIFACTS}{name}" + ("" if step_path is None else f"#{step_path}"))


def gate_key(partition: str, step_path: str) -> Key:
    """Return the key of a gate in a run's partition."""
    return Key(partition, f"{GATES}{step_path}")


def job_key(partition: str, step_path: str) -> Key:
    """Return the key of a step's job in a run's partition."""
    return Key(partition, f"{JOBS}{step_path}")


def outcome_key(partition: str, step_path: str) -> Key:
    """Return the key of a step's outcome in a run's partition."""
    return Key(partition, f"{OUTCOMES}{step_path}")


def chunk_key(partition: str, number: int) -> Key:
    """Return the key of a journal chunk in a run's partition."""
    return Key(partition, f"{CHUNKS}{number:09d}")


def chunk_number(sk: str) -> int:
    """Return the number of the journal chunk with the sort key *sk*."""
    return int(sk.removeprefix(CHUNKS))


def queue_key(run: Run) -> Key:
    """Return the key of the counter of unfinished runs of *run*'s pack."""
    return Key(f"T#{run.tenant}#Q#{run.pack_name}", "Q")


def pool_kind_key(tenant: str, pool: str, number: int) -> Key:
    """Return the key of a kind of workers of a pool, which has a fixed number of such items."""
    return Key(f"T#{tenant}#P", f"{pool}#{number:02d}")


def pool_position_key(tenant: str, pool: str, digest: str) -> Key:
    """Return the key of a place in a pool's jobs, for workers whose labels have *digest*."""
    return Key(f"T#{tenant}#P#{pool}", digest)


def idempotency_key_key(tenant: str, creator: str, idempotency_key: str) -> Key:
    """Return the key of the item for an Idempotency-Key of *creator*."""
    digest = hashlib.sha256(f"{creator}\x00{idempotency_key}".encode()).hexdigest()
    return Key(f"T#{tenant}#K#{digest}", "K")


def client_key(client_id: str) -> Key:
    """Return the key of a client of the token issuer."""
    return Key(f"C#{client_id}", "C")


def group_key(name: str) -> Key:
    """Return the key of a group of people."""
    return Key(f"G#{name}", "G")


def principal_key(arn: str) -> Key:
    """Return the key of an AWS principal."""
    return Key(f"I#{arn}", "I")
