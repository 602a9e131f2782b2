"""The id of a lease names a job, and nothing else that is sent as an id is one."""

from __future__ import annotations

import base64
import json
from string import ascii_letters, digits

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrunner.errors import NotFoundError
from taskrunner.model.job import Job, job_name, lease_id, pool_of


def a_job(step_path: str = "outer[1]::tests", attempt: int = 2) -> Job:
    return Job(
        tenant="acme",
        run_id="run-7",
        step_path=step_path,
        attempt=attempt,
        pool="linux",
        offered_at="2025-12-06T12:00:00.000Z",
        waits_since="2025-12-06T12:00:00.000Z",
    )


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def test_the_id_of_a_lease_names_its_job() -> None:
    assert job_name(lease_id(a_job())) == ("acme", "run-7", "outer[1]::tests", 2)


@pytest.mark.parametrize(
    "names",
    [
        5,
        None,
        {},
        [],
        ["acme", "run-7", "tests"],
        ["acme", "run-7", "tests", 1, 1],
        ["acme", "run-7", "tests", "1"],
        ["acme", 7, "tests", 1],
        [["acme"], "run-7", "tests", 1],
        ["acme", "run-7#R#run-8", "tests", 1],
        ["acme", "\ud800", "tests", 1],
        ["acme", "run-7", "", 1],
        ["acme", "run-7", "te sts", 1],
        ["acme", "run-7", "\ud800", 1],
        ["acme", "run-7", "a" * 1001, 1],
        {"tenant": "acme", "run": "run-7", "step": "tests", "attempt": 1},
    ],
)
def test_what_names_no_job_is_not_found(names: object) -> None:
    with pytest.raises(NotFoundError):
        job_name(encoded(names))


@pytest.mark.parametrize("text", ["", "a", "____", "A" * 2048, "W1tb" * 500, "bnVsbA"])
def test_any_other_text_is_not_found(text: str) -> None:
    with pytest.raises(NotFoundError):
        job_name(text)


@given(st.text(ascii_letters + digits + "_-", min_size=1, max_size=200))
def test_no_text_makes_another_error(text: str) -> None:
    try:
        name = job_name(text)
    except NotFoundError:
        return
    assert name.run_id


@pytest.mark.parametrize(
    ("reference", "pool"),
    [
        ("worker:linux", "linux"),
        ("worker:linux-arm64", "linux-arm64"),
        ("worker:", None),
        ("worker:Linux", None),
        ("worker:a b", None),
        ("builtin:noop", None),
        ("worker:" + "a" * 63, "a" * 63),
        ("worker:" + "a" * 64, None),
    ],
)
def test_a_pool_is_named_in_the_reference_of_an_executor(reference: str, pool: str | None) -> None:
    assert pool_of(reference) == pool


def test_a_job_suits_a_worker_that_has_all_of_its_labels() -> None:
    assert a_job().suits({})
    assert a_job().suits({"gpu": "h100"})
