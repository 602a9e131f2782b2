"""The driver of the compiler: its stages in order, from a manifest's text to a machine.

Each stage takes what the stage before it gave, and may rely on what that stage proved:

1. `manifest/source`   text becomes values; the line of each value is kept
2. `manifest/schema`   values become a Pack of the right shape
3. `checks/pack`       names, expressions and parameters are looked up, and ceilings compared
4. `inputs`, `planning`  the inputs are resolved, and what they decide is decided: a frozen Plan
5. `machine/emit`      the plan's structure becomes Amazon States Language
6. `machine/gates`     what was emitted is read again: no gate of the plan can be bypassed
7. `budget/limits`     the worst case of the run is counted and compared with the quotas

A stage reports all the mistakes it finds; the first stage that finds any ends the compilation with
an InvalidPackError. The plan in the middle is data, so a run can be simulated from it, and a run
that was recorded can be started from its stored plan (`compile_plan`) without the manifest.

Everything here is pure: no clock, chance, environment or AWS. The same text and inputs give the
same plan on any machine. The price of stages is that a new kind of step is written into each of
them; the `match` statements that mypy checks for completeness name the places.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskrunner.compiler.budget import limits
from taskrunner.compiler.budget.distribution import distributed_maps
from taskrunner.compiler.checks import pack as pack_checks
from taskrunner.compiler.inputs import values
from taskrunner.compiler.machine import gates
from taskrunner.compiler.machine.emit import emit
from taskrunner.compiler.machine.execution_input import execution_input
from taskrunner.compiler.manifest import schema, source
from taskrunner.compiler.planning.plan import make_plan
from taskrunner.model import canonical_json, plan_document
from taskrunner.model.ceilings import NO_CEILINGS, Ceilings

if TYPE_CHECKING:
    from taskrunner.compiler.budget.limits import Budget
    from taskrunner.compiler.manifest.schema import Manifest
    from taskrunner.model.json_types import JsonMapping, JsonObject
    from taskrunner.model.plan import Plan

# A tenant and a run id of the greatest length, so that the budget depends on neither.
_LONGEST_TENANT, _LONGEST_RUN_ID = "t" * 63, "r" * 128


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine whose gates are proved. *distributed* has the ids of its Distributed Maps."""

    definition: JsonObject
    distributed: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledPack:
    """A plan, its machine, what identifies both, and the worst case of a run."""

    plan: Plan
    document: JsonObject
    plan_hash: str
    definition: JsonObject
    definition_hash: str
    distributed: frozenset[str]
    budget: Budget


def compile_pack(text: str, inputs: JsonMapping, ceilings: Ceilings = NO_CEILINGS) -> CompiledPack:
    """Compile the manifest *text* for *inputs*; *ceilings* are those of the deployment.

    Raises:
        InvalidPackError: the manifest or the inputs are wrong, the pack asks for more than the
            deployment allows, or the platform could not run it.
        BypassError: the compiler has made a mistake about a gate, and nothing may be made of it.
    """
    manifest = schema.parse(source.read(text))
    plan = _plan(manifest, inputs, ceilings)
    machine = compile_plan(plan)
    longest_input = execution_input(plan, _LONGEST_TENANT, _LONGEST_RUN_ID)
    budget = limits.count(plan, machine.distributed, machine.definition, longest_input)
    manifest.refuse(limits.problems(plan, machine.distributed, budget))
    document = plan_document.to_document(plan)
    return CompiledPack(
        plan=plan,
        document=document,
        plan_hash=canonical_json.digest(document),
        definition=machine.definition,
        definition_hash=canonical_json.digest(machine.definition),
        distributed=machine.distributed,
        budget=budget,
    )


def plan_pack(text: str, inputs: JsonMapping, ceilings: Ceilings = NO_CEILINGS) -> Plan:
    """Plan the manifest *text* for *inputs*, without a machine for it.

    Raises:
        InvalidPackError: as `compile_pack`, except that no quota of the platform is looked at.
    """
    return _plan(schema.parse(source.read(text)), inputs, ceilings)


def compile_plan(plan: Plan) -> Machine:
    """Emit the machine of *plan* and prove its gates.

    Raises:
        BypassError: the compiler has made a mistake about a gate, and nothing may be made of it.
    """
    distributed = distributed_maps(plan)
    definition = emit(plan, distributed)
    gates.prove(definition, plan)
    return Machine(definition, distributed)


def _plan(manifest: Manifest, given: JsonMapping, ceilings: Ceilings) -> Plan:
    manifest.refuse(pack_checks.problems(manifest.pack, ceilings))
    inputs = values.resolve(manifest.pack.spec.inputs, given)
    plan, failures = make_plan(manifest.pack, inputs)
    manifest.refuse(failures, code="invalid_inputs")
    return plan
