"""The driver of the compiler: its stages in order, from a manifest's text to a machine.

Each stage takes what the stage before it gave, and may rely on what that stage proved:

1. `manifest/source`   text becomes values; the line of each value is kept
2. `manifest/schema`   values become a Pack of the right shape
3. `checks/pack`       names, expressions and parameters are looked up, and ceilings compared
4. `inputs`, `planning`  the inputs are resolved, and what they decide is decided: a frozen Plan
5. `machine/emit`      the pack's structure becomes Amazon States Language
6. `machine/gates`     what was emitted is read again: no gate of the plan can be bypassed
7. `budget/limits`     the worst case of the run is counted and compared with the quotas

Stages 1 to 4 report their mistakes together, in one InvalidPackError: each goes on with what could
be repaired of a manifest with mistakes (`manifest/repair`). The plan in the middle is data, so a
run can be simulated from it, and a run that was recorded can be started from its stored plan
(`compile_plan`) without the manifest. Only the choice of Distributed Maps is recorded beside the
plan: it depends on the pack's structure, and a plan does not say which items come from inputs.

Everything here is pure: no clock, chance, environment or AWS. The same text and inputs give the
same plan on any machine. The price of stages is that a new kind of step is written into each of
them; the `match` statements that mypy checks for completeness name the places.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskrunner.compiler.budget import limits
from taskrunner.compiler.budget.distribution import distributed_maps
from taskrunner.compiler.checks import pack as pack_checks
from taskrunner.compiler.inputs import values
from taskrunner.compiler.machine import gates
from taskrunner.compiler.machine.emit import emit
from taskrunner.compiler.machine.execution_input import execution_input
from taskrunner.compiler.manifest import schema, source
from taskrunner.compiler.planning.plan import make_plan, make_structure
from taskrunner.compiler.problems import MAX_PROBLEMS
from taskrunner.model import canonical_json, plan_document
from taskrunner.model.ceilings import NO_CEILINGS, Ceilings
from taskrunner.model.plan import MapStep
from taskrunner.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from taskrunner.compiler.budget.limits import Budget
    from taskrunner.compiler.manifest.schema import Manifest
    from taskrunner.compiler.manifest.shapes import Pack
    from taskrunner.compiler.problems import Findings, Problem
    from taskrunner.errors import Diagnostic
    from taskrunner.model.json_types import JsonMapping, JsonObject
    from taskrunner.model.plan import Plan

# A tenant and a run id of the greatest length, so that the budget depends on neither.
_LONGEST_TENANT, _LONGEST_RUN_ID = "t" * 63, "r" * 128


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledPack:
    """A plan, its machine, what identifies both, and the worst case of a run.

    *distributed* has the ids of the machine's Distributed Maps.
    """

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
    plan, distributed, definition = _machine(manifest, inputs, ceilings)
    longest_input = execution_input(plan, _LONGEST_TENANT, _LONGEST_RUN_ID, at_final_steps=True)
    budget = limits.count(plan, distributed, definition, longest_input)
    manifest.refuse(limits.problems(plan, distributed, budget))
    document = plan_document.to_document(plan)
    return CompiledPack(
        plan=plan,
        document=document,
        plan_hash=canonical_json.digest(document),
        definition=definition,
        definition_hash=canonical_json.digest(definition),
        distributed=distributed,
        budget=budget,
    )


def plan_pack(text: str, inputs: JsonMapping, ceilings: Ceilings = NO_CEILINGS) -> Plan:
    """Plan the manifest *text* for *inputs*, without a machine for it.

    Raises:
        InvalidPackError: as `compile_pack`, except that no quota of the platform is looked at.
    """
    return _plan(schema.parse(source.read(text)), inputs, ceilings)


def compile_unlimited(text: str, inputs: JsonMapping) -> tuple[Plan, JsonObject]:
    """Return the plan and the machine of the manifest *text*, however large, to measure them.

    Raises:
        InvalidPackError: as `compile_pack`, except that no quota of the platform is looked at.
        BypassError: as `compile_pack`.
    """
    plan, _, definition = _machine(schema.parse(source.read(text)), inputs, NO_CEILINGS)
    return plan, definition


def compile_plan(plan: Plan, distributed: Collection[str]) -> JsonObject:
    """Return the machine of *plan*, with its gates proved.

    *distributed* are the ids of its Distributed Maps.

    Raises:
        BypassError: the compiler has made a mistake about a gate, and nothing may be made of it.
    """
    definition = emit(plan, distributed)
    gates.prove(definition, plan)
    return definition


def _machine(
    manifest: Manifest, inputs: JsonMapping, ceilings: Ceilings
) -> tuple[Plan, frozenset[str], JsonObject]:
    """Return the plan, the ids of its Distributed Maps, and the machine."""
    plan = _plan(manifest, inputs, ceilings)
    distributed = _distributed(plan, manifest)
    return plan, distributed, compile_plan(plan, distributed)


def _distributed(plan: Plan, manifest: Manifest) -> frozenset[str]:
    """Return the ids of the Distributed Maps; a pack without maps is not planned again for them."""
    if not any(isinstance(step, MapStep) for step in plan.all_steps()):
        return frozenset()
    return distributed_maps(make_structure(manifest.pack))


def _plan(manifest: Manifest, given: JsonMapping, ceilings: Ceilings) -> Plan:
    found = pack_checks.problems(manifest.pack, ceilings, manifest.repaired)
    declared = manifest.pack.spec.inputs
    if not (manifest.misfits or len(found)):
        misfits = values.problems(declared, given)
        plan, failures = _plan_of_fitting(manifest.pack, given, misfits)
        manifest.refuse(failures, "invalid_inputs", misfits)
        return plan
    # An author who checks a manifest may not have its inputs yet.
    broken = manifest.repaired.with_mistakes(problem.path for problem in found)
    misfits = values.problems(declared, given, broken)
    further = _further_failures(manifest, found, given)
    manifest.refuse([*found, *further], others=misfits)
    raise AssertionError("a problem was found, and not reported")


def _further_failures(manifest: Manifest, found: Findings, given: JsonMapping) -> Iterable[Problem]:
    """Return what fails on the inputs in steps that have no other mistake.

    With more problems than are reported, nothing is looked for.
    """
    if len(manifest.misfits) + len(found) > MAX_PROBLEMS:
        return ()
    sound = manifest.without(problem.path for problem in found)
    if sound is None or len(pack_checks.problems(sound.pack)):
        return ()
    misfits = values.problems(sound.pack.spec.inputs, given)
    _, failures = _plan_of_fitting(sound.pack, given, misfits)
    return [problem for problem in failures if not sound.repaired.hides(problem.path)]


def _plan_of_fitting(
    pack: Pack, given: JsonMapping, misfits: Sequence[Diagnostic]
) -> tuple[Plan, Findings]:
    """Plan *pack* for those of the *given* inputs that have no *misfits*.

    Returns the plan, which is of no use if there are any, and what fails on the others.
    """
    declared = pack.spec.inputs
    unfit = values.unfit_names(declared, misfits)
    fitting = {name: value for name, value in given.items() if name not in unfit}
    return make_plan(pack, values.resolve(declared, fitting), unfit)
