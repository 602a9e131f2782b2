"""Policies: how each is declared, and whether its rules can be read from where its gates stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from taskrunner import executors
from taskrunner.compiler.checks.names import ONLY_IN_WITH
from taskrunner.model import json_path
from taskrunner.model.wording import nearest, shortened
from taskrunner.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskrunner.compiler.checks.expressions import ExpressionChecks
    from taskrunner.compiler.checks.names import Kind, Scope
    from taskrunner.compiler.manifest.shapes import PolicyShape
    from taskrunner.compiler.manifest.step_shapes import PolicyGateShape
    from taskrunner.compiler.problems import Findings
    from taskrunner.model.json_path import JsonPath

FUNCTION_FORM: Final = (
    "write lambda:<name>, with a name of 1 to 63 letters, digits, '_' and '-' that begins with a "
    "letter or digit"
)


@dataclass(frozen=True, slots=True)
class _Needs:
    """The local names and the steps that the rules of a policy read."""

    names: frozenset[tuple[str, Kind | None]]
    step_ids: frozenset[str]


class PolicyChecks:
    """Checks the *policies* of one pack."""

    def __init__(
        self,
        policies: Sequence[PolicyShape],
        scope: Scope,
        expressions: ExpressionChecks,
        findings: Findings,
    ) -> None:
        self._policies = policies
        self._scope = scope
        self._expressions = expressions
        self._findings = findings
        self._by_id = {policy.id: (index, policy) for index, policy in enumerate(policies)}
        # Policies without problems so far; where their needs are met, they have none again.
        self._sound: dict[str, _Needs] = {}

    def declarations(self) -> None:
        """Check each policy by itself. The names in its rules are looked up at its gates."""
        for index, policy in enumerate(self._policies):
            path: JsonPath = ("spec", "policies", index)
            if (policy.uses is None) == (policy.rules is None):
                message = f"the policy '{policy.id}' needs exactly one of 'rules' and 'uses'"
                self._findings.add(path, message)
            if policy.uses is not None and executors.function_name(policy.uses) is None:
                message = f"'{shortened(policy.uses, 80)}' is not a function; {FUNCTION_FORM}"
                self._findings.add((*path, "uses"), message)
            self._rules(policy, path)

    def _rules(self, policy: PolicyShape, path: JsonPath) -> None:
        first: dict[str, int] = {}
        for number, rule in enumerate(policy.rules or ()):
            rule_path: JsonPath = (*path, "rules", number)
            names = self._expressions.parse(rule.require, (*rule_path, "require"))
            if any(name[0] == "secrets" for name in names):
                self._findings.add((*rule_path, "require"), ONLY_IN_WITH)
            if (before := first.setdefault(rule.id, number)) != number:
                taken = json_path.render((*path, "rules", before))
                self._findings.add(
                    (*rule_path, "id"), f"'{rule.id}' is taken by {taken}; choose another id"
                )

    def gate(self, gate: PolicyGateShape, path: JsonPath) -> None:
        """Check the policy that *gate* names, from where the gate stands."""
        if (gate.policy is None) == (gate.id is None):
            message = "a policy gate must name its policy once, by 'policy' or by 'id'"
            self._findings.add(path, message)
            return
        index, policy = self._by_id.get(gate.policy_id, (0, None))
        if policy is None and self._scope.unsure("policies"):
            return
        if policy is None:
            known = self._by_id
            hint = nearest(gate.policy_id, known) if known else "; spec.policies has none"
            key = "id" if gate.policy is None else "policy"
            self._findings.add((*path, key), f"there is no policy '{gate.policy_id}'{hint}")
            return
        if gate.version is not None and gate.version != policy.version:
            message = f"the policy '{policy.id}' has version {policy.version}, not {gate.version}"
            self._findings.add((*path, "version"), message)
        self._names_in_rules(policy, index)

    def _names_in_rules(self, policy: PolicyShape, index: int) -> None:
        with self._scope.local_names({"with": None}):  # a rule reads what its gate is given
            needs = self._sound.get(policy.id)
            if needs is not None and self._scope.holds(needs.names, needs.step_ids):
                return
            before = len(self._findings)
            for number, rule in enumerate(policy.rules or ()):
                path: JsonPath = ("spec", "policies", index, "rules", number, "require")
                self._expressions.expression(rule.require, path)
            if len(self._findings) == before:
                self._sound[policy.id] = self._needs(policy, index)

    def _needs(self, policy: PolicyShape, index: int) -> _Needs:
        path: JsonPath = ("spec", "policies", index, "rules")
        names = [
            name
            for number, rule in enumerate(policy.rules or ())
            for name in self._expressions.parse(rule.require, (*path, number, "require"))
        ]
        return _Needs(
            names=self._scope.local_kinds(name[0] for name in names),
            step_ids=frozenset(name[1] for name in names if name[0] == "steps"),
        )
