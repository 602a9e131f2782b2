"""The runs in which faults are injected: a pack, and what people do to its run.

Together the packs have every kind of step, approval gates and overrides, retries, files, secrets,
functions and called machines. Their runs succeed, fail, are cancelled, rejected and left to expire.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tests.faults import call_packs, worker_packs
from tests.faults.faults import Fault
from tests.faults.worker_packs import Script
from tests.packs import pack

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.faults.call_packs import Definitions


class Decide(NamedTuple):
    """*subject* decides an approval once approvers have been notified of it.

    *after* are the ids of entries that must be in the journal by then. So what a decision lets
    begin comes after them, whatever a fault delays.
    """

    approval: str
    subject: str = "bob"
    decision: str = "approved"
    after: tuple[str, ...] = ()


class Cancel(NamedTuple):
    """Somebody cancels the run as soon as its first gate waits, or its journal has *after*."""

    subject: str = "bob"
    after: tuple[str, ...] = ()


class Stop(NamedTuple):
    """An operator stops the run's execution as soon as its first gate waits."""


Action = Decide | Cancel | Stop


class Abandoned(NamedTuple):
    """A fault that strikes in every play of a scenario, so that the reconciler has work to do.

    It is at the first call of *operation* that *function* makes.
    """

    scenario: str
    function: str
    operation: str
    fault: Fault


@dataclass(frozen=True)
class Scenario:
    """A pack, what people do to its run, and what went wrong before, if anything.

    *scripts* say how workers end the attempts of its steps, by the steps' ids.
    *machines* are the definitions of the machines that its steps call, by the names in packs.
    With *is_warm* one environment runs all of its steps, unless it dies.
    With *is_planned_first* its requester reads the API's document, and simulates the pack.
    With *joins_all* the engine stops no lane beside a failed one; see `step_functions`.
    """

    name: str
    manifest: str
    actions: tuple[Action, ...] = ()
    scripts: Mapping[str, Script] = field(default_factory=dict)
    machines: Definitions = field(default_factory=dict)
    abandoned: Abandoned | None = None
    joins_all: bool = False
    is_warm: bool = False
    is_planned_first: bool = False


SECRETS: Final = {"token": "correct-horse-battery"}
FUNCTIONS: Final[dict[str, Callable[[dict[str, Any]], Any]]] = {
    "echo": lambda payload: {"attempt": payload["attempt"]},
    "window": lambda payload: {"passed": payload["attempt"] > 1, "failures": ["not yet"]},
}

_EVERY_BLOCK: Final = pack(
    """
    - {id: first, run: {uses: builtin:noop, with: {n: 1, list: [1, 2]}}}
    - {id: seldom, when: "steps.first.outputs.n == `2`", run: {uses: builtin:noop}}
    - id: either
      conditional:
        branches:
          - condition: steps.first.outputs.n == `1`
            steps: [{id: yes-1, run: {uses: builtin:noop}}]
        else: [{id: no-1, run: {uses: builtin:noop}}]
    - id: turns
      loop:
        items: {range: {start: 1, end: 9}}
        until: steps.turn.outputs.n == `2`
        outputs: "{n: steps.turn.outputs.n, before: previous.n}"
        body: [{id: turn, run: {uses: builtin:noop, with: {n: "{{ item }}"}}}]
    - id: each
      map:
        items: steps.first.outputs.list
        steps: [{id: leaf, run: {uses: builtin:noop, with: {n: "{{ item }}"}}}]
    - id: both
      parallel:
        maxParallel: 1
        steps:
          - {id: left, run: {uses: builtin:noop}}
          - {id: right, run: {uses: builtin:noop}}
    - id: ask
      gate:
        policy: {policy: small, with: {n: "{{ steps.first.outputs.n }}"}, failureAction: warn}
    """,
    spec="""
    slo: {maxQueueDepth: 3}
    policies: [{id: small, version: "1", rules: [{id: r, require: "with.n < `1`"}]}]
    outputs: [{name: total, type: object, expression: steps.each.outputs}]
    """,
    name="every-block",
)
_APPROVALS: Final = pack(
    """
    - {id: build, run: {uses: builtin:noop, with: {n: 3}}}
    - {id: review, gate: {approval: {id: security}}}
    - {id: ready, gate: {policy: {policy: window, retries: {count: 1}}}}
    - id: rules
      gate:
        policy:
          policy: small
          with: {n: "{{ steps.build.outputs.n }}", token: "{{ secrets.token }}"}
          failureAction: requestOverride
          override: {approval: owner}
    - {id: ship, run: {uses: builtin:noop}}
    """,
    spec="""
    secrets: [{name: token}]
    approvals:
      - {id: security, grants: [packs.approve], minApprovals: 2}
      - {id: owner, distinctFromRequester: true}
    policies:
      - {id: window, version: "3", uses: "lambda:window"}
      - {id: small, version: "1", rules: [{id: r, require: "with.n < `1`"}]}
    """,
    name="approvals",
)
_ATTEMPTS: Final = pack(
    """
    - id: flaky
      retries: {maxAttempts: 3, backoffSeconds: 2}
      run: {uses: builtin:fail, with: {message: not yet, attempts: 1}}
    - {id: hopeless, continueOnError: true, run: {uses: builtin:fail, with: {message: no luck}}}
    - {id: call, run: {uses: "lambda:echo", with: {token: "{{ secrets.token }}"}}}
    - {id: scan, run: {uses: builtin:scanner, with: {target: "registry.example.com/app:v1"}}}
    """,
    spec="""
    secrets: [{name: token}]
    outputs: [{name: scan-report, type: file, path: /output/scan-report.json}]
    """,
    name="attempts",
)
_LANES: Final = pack(
    """
    - id: lanes
      parallel:
        steps:
          - {id: review, gate: {approval: {id: security}}}
          - {id: quick, run: {uses: builtin:noop}}
    - {id: ship, run: {uses: builtin:noop}}
    """,
    spec="""
    slo: {runP95Seconds: 90, approvalP95Seconds: 40}
    approvals: [{id: security, expiresAfterSeconds: 120}]
    """,
    name="lanes",
)
_ITEMS: Final = pack(
    """
    - id: each
      map:
        items: "[`1`, `2`]"
        steps:
          - {id: review, gate: {approval: {id: security}}}
          - {id: ship, run: {uses: builtin:noop}}
    - {id: after, run: {uses: builtin:noop}}
    """,
    spec="approvals: [{id: security}]",
    name="items",
)
_FAILING: Final = pack(
    """
    - id: lanes
      parallel:
        steps:
          - {id: review, gate: {approval: {id: security}}}
          - id: chain
            loop:
              items: {static: [1, 2]}
              body: [{id: link, run: {uses: builtin:noop}}]
          - {id: broken, run: {uses: builtin:fail, with: {message: no luck}}}
    - {id: after, run: {uses: builtin:noop}}
    """,
    spec="approvals: [{id: security}]",
    name="failing",
)

_CONTAINED: Final = pack(
    """
    - id: outer
      continueOnError: true
      parallel:
        steps:
          - id: lanes
            parallel:
              steps:
                - {id: review, gate: {approval: {id: security}}}
                - {id: broken, run: {uses: builtin:fail, with: {message: no luck}}}
    - {id: after, run: {uses: builtin:noop}}
    """,
    spec="approvals: [{id: security}]",
    name="contained",
)
_FINALLY: Final = """
finally:
  - id: undo
    when: run.outcome == 'failed'
    run: {uses: builtin:noop, with: {step: "{{ run.failedStep }}", why: "{{ run.failureReason }}"}}
  - {id: notify, run: {uses: builtin:noop, with: {after: "{{ steps.after.status }}"}}}
"""
_WITH_FINALLY: Final = pack(
    """
    - {id: review, gate: {approval: {id: security}}}
    - {id: after, run: {uses: builtin:noop}}
    """,
    spec="approvals: [{id: security, expiresAfterSeconds: 120}]" + _FINALLY,
    name="with-finally",
)
_FAILING_WITH_FINALLY: Final = pack(
    """
    - id: lanes
      parallel:
        steps:
          - {id: review, gate: {approval: {id: security}}}
          - {id: quick, run: {uses: builtin:noop}}
          - {id: broken, run: {uses: builtin:fail, with: {message: no luck}}}
    - {id: after, run: {uses: builtin:noop}}
    """,
    spec="approvals: [{id: security}]" + _FINALLY,
    name="failing-with-finally",
)
# A decision orders the lanes: `broken` begins when `review` waits and `link` has begun.
_CONTAINED_LANES: Final = pack(
    """
    - id: outer
      continueOnError: true
      parallel:
        steps:
          - id: lanes
            parallel:
              steps:
                - id: held
                  loop:
                    items: {static: [1]}
                    body:
                      - {id: review, gate: {approval: {id: security}}}
                      - {id: ship, run: {uses: builtin:noop}}
                - id: chain
                  loop:
                    items: {static: [1]}
                    body: [{id: link, run: {uses: builtin:noop}}]
                - id: started
                  loop:
                    items: {static: [1]}
                    body:
                      - {id: start, gate: {approval: {id: owner}}}
                      - {id: broken, run: {uses: builtin:fail, with: {message: no luck}}}
    - {id: after, run: {uses: builtin:noop}}
    """,
    spec="approvals: [{id: security}, {id: owner}]",
    name="contained-lanes",
)
_FAILING_AT_ITS_END: Final = pack(
    """
    - id: each
      map:
        items: {static: [1, 2]}
        failFast: false
        step: {id: leaf, run: {uses: builtin:assert, with: {that: "{{ item != `1` }}"}}}
    - {id: after, run: {uses: builtin:noop}}
    """,
    name="failing-at-its-end",
)
# The fourth start begins a chunk of the journal. Those in lanes require that no failure stops them.
_CHAIN: Final = pack(
    """
    - {id: first, run: {uses: builtin:noop, with: {n: 1}}}
    - {id: second, run: {uses: builtin:noop, with: {n: "{{ steps.first.outputs.n }}"}}}
    - {id: third, run: {uses: builtin:noop}}
    - {id: fourth, run: {uses: builtin:noop}}
    - id: outer
      continueOnError: true
      parallel:
        steps:
          - id: lanes
            parallel:
              maxParallel: 1
              steps:
                - {id: left, run: {uses: builtin:noop}}
                - {id: broken, run: {uses: builtin:fail, with: {message: no luck}}}
    - {id: last, run: {uses: builtin:noop}}
    """,
    name="chain",
)
_PLAIN: Final = pack("- {id: only, run: {uses: builtin:noop}}", name="plain")


def _on_workers(
    name: str,
    manifest: str,
    scripts: Mapping[str, Script],
    *actions: Action,
    joins_all: bool = False,
) -> Scenario:
    return Scenario(name, manifest, actions, scripts, joins_all=joins_all)


def _calling(name: str, manifest: str, *actions: Action, joins_all: bool = False) -> Scenario:
    return Scenario(name, manifest, actions, machines=call_packs.MACHINES, joins_all=joins_all)


_WHOLE: Final = (
    Scenario("every block", _EVERY_BLOCK),
    Scenario(
        "approvals",
        _APPROVALS,
        (Decide("security"), Decide("security", "eve"), Decide("owner")),
    ),
    Scenario("attempts", _ATTEMPTS),
    Scenario("cancelled", _LANES, (Cancel(),)),
    Scenario("expired", _LANES),
    Scenario("rejected", _ITEMS, (Decide("security", decision="rejected"),)),
    Scenario("failed beside a gate", _FAILING),
    Scenario("failed, and all lanes joined", _FAILING, joins_all=True),
    Scenario("contained, and all lanes joined", _CONTAINED, joins_all=True),
    Scenario("finally after success", _WITH_FINALLY, (Decide("security"),)),
    Scenario("finally after a stopped execution", _WITH_FINALLY, (Stop(),)),
    Scenario("finally after a failure beside a gate", _FAILING_WITH_FINALLY),
    Scenario(
        "contained beside a gate",
        _CONTAINED_LANES,
        (Decide("owner", after=("held[0]::review#awaiting", "chain[0]::link#1#started")),),
    ),
    Scenario("failed at the end of a block", _FAILING_AT_ITS_END),
    Scenario("warm chain", _CHAIN, is_warm=True),
    Scenario("warm attempts", _ATTEMPTS, is_warm=True),
    Scenario("planned first", _PLAIN, is_planned_first=True),
    _on_workers("worker succeeds", worker_packs.ON_A_WORKER, {"tests": Script(has_file=True)}),
    _on_workers("worker fails", worker_packs.RETRIED, {"tests": Script(failing=(1,))}),
    _on_workers("worker is lost", worker_packs.RETRIED, {"tests": Script(losses=1)}),
    _on_workers("worker gives back", worker_packs.RETRIED, {"tests": Script(stopped=1)}),
    _on_workers("map of workers", worker_packs.MAPPED, {"leaf": Script()}),
    _on_workers(
        "worker cancelled",
        worker_packs.RETRIED,
        {"tests": worker_packs.LONG},
        Cancel(after=("tests#1#started",)),
    ),
    _on_workers("worker beside a failure", worker_packs.BESIDE_A_FAILURE, worker_packs.BESIDE),
    _on_workers(
        "worker beside a failure, and all lanes joined",
        worker_packs.BESIDE_A_FAILURE,
        worker_packs.BESIDE,
        joins_all=True,
    ),
    _on_workers("worker contained", worker_packs.CONTAINED, worker_packs.BESIDE),
    _on_workers(
        "worker contained, and all lanes joined",
        worker_packs.CONTAINED,
        worker_packs.BESIDE,
        joins_all=True,
    ),
    _on_workers("finally after a stopped worker", worker_packs.FINALLY, worker_packs.BESIDE),
    _calling("machine succeeds", call_packs.CALLING),
    _calling("machine fails", call_packs.RETRIED),
    _calling("machine is missing", call_packs.MISSING),
    _calling("machine out of time", call_packs.LONG),
    _calling("machine cancelled", call_packs.LONG, Cancel(after=("load#1#started",))),
    _calling("machine beside a failure", call_packs.BESIDE_A_FAILURE),
    _calling(
        "machine beside a failure, and all lanes joined",
        call_packs.BESIDE_A_FAILURE,
        joins_all=True,
    ),
    _calling("machine contained", call_packs.CONTAINED),
)


def _left(name: str, scenario: str, function: str, operation: str, fault: Fault) -> Scenario:
    whole = next(candidate for candidate in _WHOLE if candidate.name == scenario)
    abandoned = Abandoned(scenario, function, operation, fault)
    return replace(whole, name=name, abandoned=abandoned)


_GONE: Final = Fault.CALLER_GONE
_RECORD: Final = "dynamodb.TransactWriteItems"
SCENARIOS: Final = {
    scenario.name: scenario
    for scenario in (
        *_WHOLE,
        _left("created and left", "cancelled", "create_run", _RECORD, _GONE),
        _left("decided and left", "rejected", "decide_approval", _RECORD, _GONE),
        _left("cancelled and left", "cancelled", "cancel_run", _RECORD, _GONE),
        _left("called and left", "machine cancelled", "cancel_run", _RECORD, _GONE),
        _left("not announced", "rejected", "open_gate", "sns.Publish", Fault.THROTTLED),
    )
}
# Those with many calls.
LONG: Final = frozenset({"every block"})
