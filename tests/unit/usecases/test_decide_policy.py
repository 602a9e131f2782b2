"""Policies that read secrets or call a function."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from taskrunner.errors import ConflictError, StepFailedError, TryAgainError
from taskrunner.executors.function import idempotency_key
from taskrunner.executors.work import AnswerLost
from taskrunner.model.flow import Question
from taskrunner.model.run import RunStatus, StepReference
from taskrunner.usecases.decide_flow import decide_flow
from taskrunner.usecases.read_step import run_step_state
from tests.packs import pack
from tests.unit.usecases.scenarios import (
    NOON,
    TENANT,
    a_world,
    assert_recovers,
    entry_ids,
    last_of_a_step,
    stored_state,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskrunner.ports import World
    from tests.fakes.world import MemoryWorld

SECRET = "correct-horse"
RULE = '{{id: window, version: "1", rules: [{{id: r, require: "{}"}}]}}'
BY_FUNCTION = '{id: window, version: "3", uses: "lambda:window"}'


def manifest(policy: str = BY_FUNCTION, gate: str = "") -> str:
    return pack(
        f"- {{id: gate, gate: {{policy: {{policy: window{gate}}}}}}}",
        spec=f"secrets: [{{name: token}}]\npolicies: [{policy}]",
    )


def world_with(
    answer: Any = None,  # noqa: ANN401 - any JSON, or what raises
    gate: str = "",
    policy: str = BY_FUNCTION,
) -> MemoryWorld:
    world = a_world(manifest(policy, gate))
    world.secrets.stored[TENANT, "token"] = SECRET

    def window(_: Any) -> Any:  # noqa: ANN401
        if isinstance(answer, Exception):
            raise answer
        return answer

    world.functions.functions["window"] = window
    return world


def ask(world: World) -> Any:  # noqa: ANN401 - a verdict
    return decide_flow(StepReference(TENANT, "run-7", "gate"), Question.POLICY, world)["value"]


def last(world: MemoryWorld) -> tuple[str, str, str | None]:
    """The event, message and reason of the last entry about a step."""
    entry = last_of_a_step(world)
    return entry.event.value, entry.message, entry.metadata.get("reason")


class TestFunction:
    def test_is_invoked_like_an_executor_with_the_policy(self) -> None:
        world = world_with(
            {"passed": True},
            ', with: {service: shop, run: "{{ run.id }}", token: "{{ secrets.token }}"}',
        )

        assert ask(world) == "passed"
        assert world.functions.calls == [
            (
                "window",
                {
                    "run": {"id": "run-7", "tenant": TENANT},
                    "step": "gate",
                    "attempt": 1,
                    "idempotencyKey": idempotency_key(TENANT, "run-7", NOON, "gate"),
                    "with": {"service": "shop", "run": "run-7", "token": SECRET},
                    "policy": {"id": "window", "version": "3"},
                },
            )
        ]
        assert last(world) == ("step.completed", "Policy window holds", None)

    @pytest.mark.parametrize("failures", [[], ["ignored"], "ignored"])
    def test_holds_when_it_answers_passed_true(self, failures: Any) -> None:  # noqa: ANN401
        assert ask(world_with({"passed": True, "failures": failures, "more": 1})) == "passed"

    @pytest.mark.parametrize(
        ("answer", "failure"),
        [
            ({"passed": False}, "lambda:window answered passed: false"),
            ({"passed": False, "failures": None}, "lambda:window answered passed: false"),
            ({"passed": False, "failures": ["too late", "too early"]}, "too late; too early"),
            (
                {"passed": False, "failures": [{"id": "f", "message": "no"}, {"message": "x"}]},
                "f: no; x",
            ),
            (
                {"passed": False, "failures": [{}, 7, None, ""]},
                "; ".join(["a failure without a message"] * 4),
            ),
            (
                {"passed": False, "failures": "no"},
                "lambda:window answered passed: false, with failures that are not a list",
            ),
            ({}, "lambda:window answered neither passed: true nor passed: false"),
            ({"passed": "true"}, "lambda:window answered neither passed: true nor passed: false"),
            ({"passed": 1}, "lambda:window answered neither passed: true nor passed: false"),
            ({"passed": None}, "lambda:window answered neither passed: true nor passed: false"),
            ([True], "lambda:window answered neither passed: true nor passed: false"),
            (True, "lambda:window answered neither passed: true nor passed: false"),
            (None, "lambda:window answered neither passed: true nor passed: false"),
            (RuntimeError("oh"), "the function 'window' failed: RuntimeError: oh"),
        ],
    )  # fmt: skip
    def test_does_not_hold_with_any_other_answer(self, answer: Any, failure: str) -> None:  # noqa: ANN401
        world = world_with(answer)

        with pytest.raises(StepFailedError):
            ask(world)

        assert last(world) == (
            "step.failed", f"Policy window does not hold: {failure}", "policy-failed",
        )  # fmt: skip

    def test_does_not_hold_when_it_does_not_exist(self) -> None:
        world = world_with(gate=", failureAction: warn")
        world.functions.functions.clear()

        assert ask(world) == "warned"
        assert "there is no executor function 'window' in this deployment" in last(world)[1]

    def test_has_its_failures_cut_when_they_are_long(self) -> None:
        failures = [f"{number} " + "x" * 5000 for number in range(1000)]
        world = world_with({"passed": False, "failures": failures}, ", failureAction: warn")

        assert ask(world) == "warned"
        outcome = world.runs.of(TENANT, "run-7").outcomes["gate"]
        assert len(outcome.outputs["failures"]) == 20
        assert len(json.dumps(outcome.outputs)) < 25_000
        assert len(last(world)[1]) == 1000

    @pytest.mark.parametrize(
        ("gate", "verdict"),
        [
            (", failureAction: warn", "warned"),
            (", failureAction: branch, branch: [{id: b, run: {uses: builtin:noop}}]", "branch"),
            (", retries: {count: 1}", "retry"),
        ],
    )
    def test_is_followed_by_the_failure_action(self, gate: str, verdict: str) -> None:
        assert ask(world_with({"passed": False}, gate)) == verdict

    def test_is_retried_with_the_next_attempt_and_the_same_key(self) -> None:
        answers = iter([{"passed": False}, {"passed": True}])
        world = world_with(gate=", retries: {count: 1, backoffSeconds: 5}")
        world.functions.functions["window"] = lambda _: next(answers)

        assert [ask(world), ask(world), ask(world)] == ["retry", "passed", "passed"]
        assert [payload["attempt"] for _, payload in world.functions.calls] == [1, 2]
        assert len({payload["idempotencyKey"] for _, payload in world.functions.calls}) == 1

    def test_that_is_too_busy_leaves_the_policy_unevaluated(self) -> None:
        world = world_with(TryAgainError("too many calls"))
        before = stored_state(world)

        with pytest.raises(TryAgainError):
            ask(world)

        assert stored_state(world) == before

    def test_is_asked_again_under_its_number_when_its_answer_was_lost(self) -> None:
        world = world_with(AnswerLost("the connection was lost"))
        before = stored_state(world)
        with pytest.raises(TryAgainError):
            ask(world)
        assert stored_state(world) == before

        world.functions.functions["window"] = lambda _: {"passed": True}

        assert ask(world) == "passed"
        assert [payload["attempt"] for _, payload in world.functions.calls] == [1, 1]

    def test_is_not_invoked_for_a_run_that_has_ended(self) -> None:
        world = world_with({"passed": True})
        world.runs.end(
            world.runs.snapshot(TENANT, "run-7"),
            RunStatus.CANCELLED,
            [placed.entry for placed in world.runs.journal(TENANT, "run-7")],
        )

        with pytest.raises(ConflictError):
            ask(world)

        assert world.functions.calls == []


class TestSecrets:
    def test_are_looked_up_for_the_tenant_of_the_run(self) -> None:
        world = world_with({"passed": True}, ', with: {a: "{{ secrets.token }}"}')

        ask(world)

        assert world.secrets.asked == [(TENANT, "token")]

    def test_are_not_looked_up_for_a_gate_that_reads_none(self) -> None:
        world = world_with({"passed": True}, ', with: {a: "{{ run.id }}"}')

        ask(world)

        assert world.secrets.asked == []

    def test_may_be_compared_by_rules(self) -> None:
        rule = RULE.format("with.a == 'Bearer correct-horse'")
        gate = ", with: {a: \"{{ join(' ', ['Bearer', secrets.token]) }}\"}"

        assert ask(world_with(gate=gate, policy=rule)) == "passed"

    @pytest.mark.parametrize(
        "answer",
        [
            {"passed": False, "failures": [f"the token {SECRET} is wrong"]},
            {"passed": False, "failures": [{"id": SECRET, "message": f"x{SECRET}x"}]},
            {"passed": False, "failures": ["Y29ycmVjdC1ob3JzZQ=="]},
            RuntimeError(f"401 for {SECRET}"),
            {"passed": False, "failures": ["." * 990 + SECRET + "." * 100]},
        ],
    )
    def test_in_a_functions_answer_are_redacted(self, answer: Any) -> None:  # noqa: ANN401
        world = world_with(answer, ', with: {a: "{{ secrets.token }}"}, failureAction: warn')

        assert ask(world) == "warned"

        kept = repr(stored_state(world))
        assert "***" in kept
        assert SECRET[:6] not in kept
        assert "Y29ycmVjdC1ob3JzZQ" not in kept

    def test_in_an_expressions_error_are_redacted(self) -> None:
        rule = RULE.format("abs(with.a) == `1`")
        world = world_with(
            gate=', with: {a: "{{ secrets.token }}"}, failureAction: warn', policy=rule
        )

        assert ask(world) == "warned"

        assert "abs() takes a number, but found a string" in last(world)[1]
        assert SECRET not in repr(stored_state(world))

    @pytest.mark.parametrize("action", ["abort", "warn"])
    @pytest.mark.parametrize(
        ("stored", "problem"),
        [
            ({}, "there is no secret 'token'"),
            (
                {(TENANT, "token"): "1234567"},
                "the secret 'token' has 7 characters, and at least 8 are needed",
            ),
            ({("globex", "token"): SECRET}, "there is no secret 'token'"),
        ],
    )
    def test_that_cannot_be_used_fail_the_gate_with_any_failure_action(
        self, stored: dict[tuple[str, str], str], problem: str, action: str
    ) -> None:
        gate = f', with: {{a: "{{{{ secrets.token }}}}"}}, failureAction: {action}'
        world = world_with({"passed": True}, gate + ", retries: {count: 3}")
        world.secrets.stored = stored

        for _ in range(2):
            with pytest.raises(StepFailedError):
                ask(world)

        assert last(world) == (
            "step.failed", f"Policy window cannot be evaluated: {problem}", "executor-error",
        )  # fmt: skip
        assert world.functions.calls == []
        assert entry_ids(world).count("gate#1#policy") == 1

    def test_that_cannot_be_used_fail_the_gate_for_good(self) -> None:
        world = world_with({"passed": True}, ', with: {a: "{{ secrets.token }}"}')
        world.secrets.stored.clear()
        with pytest.raises(StepFailedError):
            ask(world)
        world.secrets.stored[TENANT, "token"] = SECRET

        with pytest.raises(StepFailedError):
            ask(world)


@pytest.mark.parametrize("answer", [{"passed": True}, {"passed": False}])
@pytest.mark.parametrize("gate", ["", ', with: {a: "{{ secrets.token }}"}'])
def test_asking_again_after_a_crash_gives_the_same_verdict(
    answer: dict[str, Any], gate: str
) -> None:
    def arrange() -> MemoryWorld:
        return world_with(answer, gate)

    act: Callable[[World], Any] = ask
    assert assert_recovers(arrange, act) > 10


class TestOutputs:
    """The outputs of a policy gate, as later steps read them."""

    @staticmethod
    def outputs(world: MemoryWorld) -> Any:  # noqa: ANN401 - any JSON
        return run_step_state(TENANT, "run-7", "gate", world).get("outputs")

    def test_a_policy_that_holds_has_passed(self) -> None:
        world = world_with({"passed": True})
        ask(world)

        assert self.outputs(world) == {"passed": True, "failures": []}

    def test_failures_have_the_ids_that_the_function_gave(self) -> None:
        failures = [
            {"id": "freeze", "message": "until: Monday"},
            "or: just text",
            {"message": "no id"},
        ]
        world = world_with({"passed": False, "failures": failures}, ", failureAction: warn")
        ask(world)

        assert self.outputs(world) == {
            "passed": False,
            "failures": [
                {"id": "freeze", "message": "until: Monday"},
                {"id": None, "message": "or: just text"},
                {"id": None, "message": "no id"},
            ],
        }

    def test_failures_of_rules_have_their_ids_also_when_the_gate_fails(self) -> None:
        world = world_with(policy=RULE.format("`false`"))
        with pytest.raises(StepFailedError):
            ask(world)

        assert self.outputs(world) == {
            "passed": False,
            "failures": [{"id": "r", "message": "`false`"}],
        }

    def test_a_rule_that_cannot_be_evaluated_has_its_id_and_hides_no_other_rule(self) -> None:
        rules = "[{id: r, require: abs(with.a)}, {id: s, require: with.b, message: no b}]"
        policy = f'{{id: window, version: "1", rules: {rules}}}'
        world = world_with(gate=", failureAction: warn, with: {a: x}", policy=policy)
        ask(world)

        broken, other = self.outputs(world)["failures"]
        assert broken["id"] == "r"
        assert broken["message"].startswith("'abs(with.a)' cannot be evaluated: ")
        assert other == {"id": "s", "message": "no b"}

    def test_no_secret_is_left_between_an_id_and_its_message(self) -> None:
        failures = [{"id": "correct-horse: x", "message": "y"}, {"id": "a", "message": SECRET}]
        world = world_with(
            {"passed": False, "failures": failures},
            ', failureAction: warn, with: {token: "{{ secrets.token }}"}',
        )
        ask(world)

        assert SECRET not in json.dumps(self.outputs(world))

    def test_an_outcome_of_an_earlier_release_has_no_ids(self) -> None:
        world = world_with({"passed": False, "failures": ["r: old"]}, ", failureAction: warn")
        ask(world)
        outcome = world.runs.stored[TENANT, "run-7"].outcomes["gate"]
        del outcome.outputs["failureIds"]

        assert self.outputs(world)["failures"] == [{"id": None, "message": "r: old"}]
