"""A step says why it waits: nobody asks its pool, nobody has its labels, or all are busy."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from taskrunner.model import timestamp
from taskrunner.model.worker_wait import (
    KEPT,
    LATELY,
    MAX_KINDS,
    NOTED_EVERY,
    WaitCause,
    WorkerKind,
    why_waiting,
)
from tests.fakes.clock import NOON

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskrunner.model.worker_wait import WorkerWait


def at(seconds: float) -> str:
    return timestamp.to_text(NOON + timedelta(seconds=seconds))


def kind(seconds_ago: float = 0, pool: str = "linux", **labels: str) -> WorkerKind:
    return WorkerKind(pool=pool, labels=labels, seen_at=at(-seconds_ago))


def why(
    *kinds: WorkerKind, labels: Mapping[str, str] | None = None, waits_s: float = 60
) -> WorkerWait:
    """Return why a job of the pool linux, which has waited for so long, still waits at noon."""
    return why_waiting("linux", labels or {}, at(-waits_s), kinds, NOON)


def test_no_worker_was_ever_seen() -> None:
    wait = why(kind(pool="mac"))

    assert (wait.cause, wait.last_seen_at) == (WaitCause.NO_WORKER, None)
    assert wait.message == (
        f"no worker has asked the pool linux for work in the last {KEPT.days} days; "
        "start one, or correct the pool"
    )


def test_workers_have_gone() -> None:
    wait = why(kind(7200), kind(600, gpu="h100"), labels={"gpu": "h100"})

    assert (wait.cause, wait.last_seen_at) == (WaitCause.NO_WORKER, at(-600))
    assert wait.message == (
        "no worker has asked the pool linux for work since 2025-12-06 11:50:00 UTC; start one"
    )


def test_no_worker_has_a_label() -> None:
    wait = why(kind(gpu="a100"), kind(7200, gpu="h100"), labels={"gpu": "h100"})

    assert (wait.cause, wait.labels) == (WaitCause.LABELS, {"gpu": "h100"})
    assert wait.message == (
        "workers ask the pool linux for work, but none has the label gpu=h100; "
        "one that had was last seen at 2025-12-06 10:00:00 UTC; start one that has"
    )
    assert "one that had" not in why(kind(gpu="a100"), labels={"gpu": "h100"}).message


def test_names_the_labels_that_no_worker_has() -> None:
    wait = why(kind(gpu="h100"), labels={"gpu": "h100", "zone": "b", "arch": "arm"})

    assert "none has the labels arch=arm, zone=b;" in wait.message


def test_no_worker_has_all_labels_together() -> None:
    wait = why(kind(gpu="h100"), kind(zone="b"), labels={"gpu": "h100", "zone": "b"})

    assert wait.cause is WaitCause.LABELS
    assert "none has all of the labels gpu=h100, zone=b;" in wait.message


def test_says_that_not_all_kinds_are_noted() -> None:
    kinds = [kind(host=str(number)) for number in range(MAX_KINDS)]

    assert f"none of the {MAX_KINDS} kinds that are noted has the label gpu=h100" in (
        why(*kinds, labels={"gpu": "h100"}).message
    )


@pytest.mark.parametrize(
    ("labels", "words"),
    [({}, "pool linux are busy"), ({"gpu": "h100"}, "pool linux with the label gpu=h100 are busy")],
)
def test_all_workers_are_busy(labels: Mapping[str, str], words: str) -> None:
    wait = why(kind(60, gpu="h100", zone="b"), labels=labels)

    assert wait.cause is WaitCause.BUSY
    assert words in wait.message


def test_a_worker_that_was_not_seen_since_is_not_called_busy() -> None:
    wait = why(kind(61, gpu="h100"), kind(5), labels={"gpu": "h100"})

    assert wait.cause is WaitCause.NOT_ASKED_YET
    assert wait.message == (
        "a worker of the pool linux with the label gpu=h100 was last seen at 2025-12-06 11:58:59 "
        "UTC, before the step was offered; one takes it when it has room"
    )


def test_a_worker_that_is_noted_once_a_minute_has_not_gone() -> None:
    last_s = LATELY.total_seconds()

    assert last_s > NOTED_EVERY.total_seconds() + 15  # between two polls of an idle worker
    assert why(kind(last_s)).cause is WaitCause.NOT_ASKED_YET
    assert why(kind(last_s + 1)).cause is WaitCause.NO_WORKER


def test_names_few_of_many_labels() -> None:
    labels = {f"label-{number:02d}": "yes" for number in range(30)}

    assert "label-19=yes and 10 more" in why(kind(), labels=labels).message
