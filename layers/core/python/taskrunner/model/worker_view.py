"""The wait of a step for a worker, and the loss of one, as the API shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.run import WorkerLoss
    from taskrunner.model.worker_wait import WorkerWait


def worker_wait(wait: WorkerWait) -> JsonObject:
    """Return the API's WorkerWait."""
    view: JsonObject = {"cause": wait.cause.value, "message": wait.message}
    if wait.labels:
        view["labels"] = dict(wait.labels)
    if wait.last_seen_at is not None:
        view["lastSeenAt"] = wait.last_seen_at
    return view


def worker_loss(loss: WorkerLoss) -> JsonObject:
    """Return the API's WorkerLoss."""
    if loss.is_given_back:
        how = "was given back: worker {} of pool {} was stopped"
    else:
        how = "was lost: worker {} of pool {} stopped answering"
    view: JsonObject = {
        "attempt": loss.attempt,
        "worker": loss.worker,
        "pool": loss.pool,
        "lostAt": loss.lost_at,
        "message": f"attempt {loss.attempt} {how.format(loss.worker, loss.pool)}; offered again",
    }
    return view if loss.started_at is None else view | {"startedAt": loss.started_at}
