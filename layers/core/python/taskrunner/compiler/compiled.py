"""All stages in one call: what the use cases ask the compiler for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskrunner.compiler import budget, emit, gates, report, source
from taskrunner.compiler import plan as planning
from taskrunner.model import plan_document
from taskrunner.model.ceilings import NO_CEILINGS, Ceilings

if TYPE_CHECKING:
    from taskrunner.model.json_types import JsonMapping, JsonObject
    from taskrunner.model.plan import Plan

# A tenant and a run id of the greatest length: what the input weighs does not depend on them.
_LONGEST_TENANT, _LONGEST_RUN_ID = "t" * 63, "r" * 128


@dataclass(frozen=True, slots=True)
class Compiled:
    """A plan, its machine, and what identifies both."""

    plan: Plan
    document: JsonObject
    plan_hash: str
    definition: JsonObject
    definition_hash: str
    budget: budget.Budget


def compile_pack(manifest: str, inputs: JsonMapping, ceilings: Ceilings = NO_CEILINGS) -> Compiled:
    """Compile *manifest* for *inputs*, where *ceilings* are those of the deployment.

    Raises:
        InvalidPackError: the manifest or the inputs are wrong, the pack asks for more than the
            deployment allows, or the platform could not run it.
        BypassError: the compiler has made a mistake about a gate; nothing may be made of it.
    """
    plan = planning.make(manifest, inputs, ceilings)
    document = plan_document.to_document(plan)
    definition = gates.checked(emit.machine(plan), plan)
    worst_input = emit.execution_input(plan, _LONGEST_TENANT, _LONGEST_RUN_ID)
    counted = budget.count(plan, definition, worst_input)
    if found := budget.problems(plan, counted):
        read = source.read(manifest)
        raise report.invalid(read.diagnostic(path, message) for path, message in found)
    return Compiled(
        plan=plan,
        document=document,
        plan_hash=planning.digest(document),
        definition=definition,
        definition_hash=emit.definition_hash(definition),
        budget=counted,
    )
