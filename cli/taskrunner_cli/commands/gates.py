"""`gates`: lists the steps that each gate of a pack guards, with the compiler and no service."""

from typing import TYPE_CHECKING

from taskrunner_cli.commands.option_groups import with_groups
from taskrunner_cli.commands.options import InputOptions, OutputOption, PackArgument
from taskrunner_cli.offline_compiler import compile_pack
from taskrunner_cli.output.forms import OutputFormat
from taskrunner_cli.output.gates import GateDocument, GatesDocument, gates_view
from taskrunner_cli.output.screen import Screen
from taskrunner_cli.pack_files import read_pack

if TYPE_CHECKING:
    from taskrunner.compiler.driver import CompiledPack
    from taskrunner.compiler.machine.gates import Guard


@with_groups
def gates(
    pack: PackArgument,
    *,
    inputs: InputOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """List the steps that each gate of a pack guards, and those without a gate; works offline."""
    document = gates_document(compile_pack(read_pack(pack), inputs.values()))
    screen = Screen(output)
    if screen.is_json:
        screen.print_document(document)
    else:
        screen.print_text(gates_view(document))


def gates_document(compiled: "CompiledPack") -> GatesDocument:
    """Return the gates of a compiled pack, and the steps that each guards."""
    # The compiler takes a third of a second to import, and few commands use it.
    from taskrunner.compiler.machine import gates as analysis  # noqa: PLC0415

    guards, unguarded = analysis.guards(compiled.definition, compiled.plan)
    return {
        "pack": {"name": compiled.plan.pack_name, "version": compiled.plan.pack_version},
        "planHash": compiled.plan_hash,
        "gates": [_gate_document(guard) for guard in guards],
        "unguarded": unguarded,
    }


def _gate_document(guard: "Guard") -> GateDocument:
    from taskrunner.model.plan import ApprovalGate, PolicyGate  # noqa: PLC0415 -- see above

    gate = guard.step
    document: GateDocument = {
        "stepId": gate.id,
        "kind": gate.kind.value,
        "guards": list(guard.behind),
    }
    if guard.in_iteration:
        document["inIteration"] = list(guard.in_iteration)
    match gate:
        case ApprovalGate():
            document["approvalId"] = gate.approval_id
        case PolicyGate():
            document["policyId"] = gate.policy_id
            if gate.override is not None:
                document["approvalId"] = gate.override
    if guard.unless is not None:
        document["unless"] = guard.unless
    if guard.idle is not None:
        document["idle"] = guard.idle
    return document
