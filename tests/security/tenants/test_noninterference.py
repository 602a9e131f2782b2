"""A tenant is answered as if it were alone, whatever others do.

The strongest form of the claim: two tenants do random things under the same names, then a third
does, alone, what the first did. Its answers are the same ones, letter by letter.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taskrunner.errors import TaskRunnerError
from tests.security.tenants.deployment import Answer, a_pack, deployment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.security.tenants.deployment import Deployment

RUN_IDS = ("run-1", "run-2")
_serial = itertools.count(1)


@dataclass(frozen=True)
class Act:
    """One act of a tenant, and how far the clock moves before it."""

    kind: str
    run_id: str
    key: str
    subject: str
    verdict: str
    pack: str


acts = st.builds(
    Act,
    kind=st.sampled_from(
        ["create", "create", "gate", "gate", "capture", "decide", "cancel", "expire", "read"]
    ),
    run_id=st.sampled_from(RUN_IDS),
    key=st.sampled_from(["", "key-1"]),
    subject=st.sampled_from(["ana", "bob"]),
    verdict=st.sampled_from(["approved", "rejected", "expired"]),
    pack=st.sampled_from(["any", "other"]),
)


@pytest.fixture(name="made", scope="module")
def _made() -> Iterator[Deployment]:
    with deployment() as made:
        yield made


_EXECUTION = re.compile(r'("executionArn":"[^"]*:[\w-]+-)[0-9a-f]+(?=")')


def does(made: Deployment, tenant: str, act: Act) -> list[tuple[int, str, str, str]]:
    """Return the answer, and all that the tenant reads afterwards, without its name.

    The name of a run's execution ends with a hash of the tenant and the run.
    """
    answers = [*_done(made, tenant, act)]
    paths = ["runs", "approvals"]
    for run_id in RUN_IDS:
        paths += [f"runs/{run_id}", f"runs/{run_id}/logs", f"runs/{run_id}/artifacts"]
    answers += [made.request(tenant, "GET", path) for path in paths]
    bodies = [_EXECUTION.sub(r"\1<hash>", answer.body) for answer in answers]
    return [
        (answer.status, body.replace(tenant, "<tenant>"), "", "")
        for answer, body in zip(answers, bodies, strict=True)
    ]


def _done(made: Deployment, tenant: str, act: Act) -> Iterator[Answer]:
    run = f"runs/{act.run_id}"
    who: dict[str, Any] = {"subject": act.subject, "scopes": "admin"}
    match act.kind:
        case "create":
            headers = {"Idempotency-Key": act.key} if act.key else {}
            body = {"manifest": a_pack(act.pack), "runId": act.run_id}
            yield made.request(tenant, "POST", "runs", body, headers=headers, **who)
        case "decide":
            state = made.request(tenant, "GET", run)
            body = {"decision": act.verdict, "planHash": "sha256:" + "0" * 64}
            if state.status == 200:
                body["planHash"] = state.json["planHash"]
            for approval in ("review-of-any", "review-of-other"):
                yield made.request(tenant, "POST", f"{run}/approvals/{approval}", body, **who)
        case "cancel":
            yield made.request(tenant, "POST", f"{run}/cancel", **who)
        case "gate" | "capture" | "expire" as machines:
            yield _said(made, tenant, act.run_id, machines)


def _said(made: Deployment, tenant: str, run_id: str, does: str) -> Answer:
    """Return a machine's answer for the tenant, or the error that it gets."""
    try:
        match does:
            case "gate":
                made.gate(tenant, run_id)
            case "expire":
                made.gate_expires(tenant, run_id)
            case _:
                made.capture(tenant, run_id, "report", "a report")
    except TaskRunnerError as error:
        return Answer(0, {}, f"{type(error).__name__}: {error}", [])
    return Answer(0, {}, "", [])


@settings(
    max_examples=8,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(script=st.lists(st.tuples(st.booleans(), acts), min_size=4, max_size=10))
def test_acts_of_other_tenants_change_nothing(
    made: Deployment, script: list[tuple[bool, Act]]
) -> None:
    number = next(_serial)
    first, second, alone = (f"{name}-{number:04d}" for name in ("one", "two", "sol"))

    among_others = []
    for is_first, act in script:
        answers = does(made, first if is_first else second, act)
        among_others += answers if is_first else []
    by_itself = [
        answer for is_first, act in script if is_first for answer in does(made, alone, act)
    ]

    assert among_others == by_itself
    assert made.strange == []


def test_every_execution_and_machine_call_was_of_one_tenant(made: Deployment) -> None:
    """All that the property above has done: no call to AWS reached into another tenant."""
    assert made.calls
    assert made.strange == []
    assert made.executions
    assert len(set(made.executions.values())) == len(made.executions)
