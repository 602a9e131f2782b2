"""Messages to approvers: templates, looked up from each gate that shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from taskrunner.compiler.checks.expressions import ExpressionChecks
    from taskrunner.compiler.checks.names import Kind, Scope
    from taskrunner.compiler.manifest.shapes import ApprovalShape
    from taskrunner.compiler.problems import Findings
    from taskrunner.model.json_path import JsonPath


class MessageChecks:
    """Checks the messages of the *approvals* of one pack, and of its gates."""

    def __init__(
        self,
        approvals: Sequence[ApprovalShape],
        scope: Scope,
        expressions: ExpressionChecks,
        findings: Findings,
    ) -> None:
        self._scope = scope
        self._expressions = expressions
        self._findings = findings
        self._by_id = {approval.id: (n, approval.message) for n, approval in enumerate(approvals)}
        # The local names and steps that a message reads which had no problem at a gate before.
        self._sound: dict[str, tuple[frozenset[tuple[str, Kind | None]], frozenset[str]]] = {}

    @property
    def approval_ids(self) -> Collection[str]:
        """The ids of the declared approvals."""
        return self._by_id.keys()

    def declarations(self) -> None:
        """Check that each approval's message is a template, also one that no gate shows."""
        for index, message in self._by_id.values():
            if message is not None:
                self._expressions.template_form(message, _path(index))

    def own(self, message: str | None, path: JsonPath) -> None:
        """Check the message that a gate has itself, from where the gate stands."""
        if message is not None:
            self._expressions.template(message, (*path, "message"), with_secrets=False)

    def of_approval(self, approval_id: str) -> None:
        """Check the message of an approval from where a gate stands that shows it."""
        index, message = self._by_id.get(approval_id, (0, None))
        if message is None:
            return
        needs = self._sound.get(approval_id)
        if needs is not None and self._scope.holds(*needs):
            return
        before = len(self._findings)
        names = self._expressions.template(message, _path(index), with_secrets=False)
        if len(self._findings) == before:
            self._sound[approval_id] = (
                self._scope.local_kinds(name[0] for name in names),
                frozenset(name[1] for name in names if name[0] == "steps" and len(name) > 1),
            )


def _path(index: int) -> JsonPath:
    return ("spec", "approvals", index, "message")
