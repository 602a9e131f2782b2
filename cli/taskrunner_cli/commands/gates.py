"""`gates`: what a pack's gates guard. Nothing is asked of the service: the compiler is here too."""

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from taskrunner_cli.api.documents import PlanError
from taskrunner_cli.commands.packs import InputOption, InputsOption, PackArgument
from taskrunner_cli.errors import BadPackError
from taskrunner_cli.output.formatting import text
from taskrunner_cli.output.screen import Form, Screen
from taskrunner_cli.pack_files import gather_inputs, read_text
from taskrunner_cli.session import OutputOption


def gates(
    pack: PackArgument,
    *,
    input_: InputOption = None,
    inputs: InputsOption = None,
    output: OutputOption = Form.TEXT,
) -> None:
    """Say which steps each gate of a pack guards, and which none does; works offline."""
    manifest = read_text(pack, "pack")
    document = _document(manifest, gather_inputs(input_ or (), inputs))
    screen = Screen(output)
    if screen.is_json:
        screen.document(document)
    else:
        screen.say(_view(document))


def _document(manifest: str, values: dict[str, Any]) -> dict[str, Any]:
    # The compiler takes a third of a second to load, and no other command needs it.
    from taskrunner.compiler import gates as analysis  # noqa: PLC0415
    from taskrunner.compiler.compiled import compile_pack  # noqa: PLC0415
    from taskrunner.errors import InvalidPackError  # noqa: PLC0415

    try:
        compiled = compile_pack(manifest, values)
    except InvalidPackError as error:
        problems = [PlanError(path=one.path, message=one.message) for one in error.diagnostics]
        raise BadPackError(problems, manifest) from error
    guards, free = analysis.guards(compiled.definition, compiled.plan)
    return {
        "pack": {"name": compiled.plan.pack_name, "version": compiled.plan.pack_version},
        "planHash": compiled.plan_hash,
        "gates": [_gate(guard) for guard in guards],
        "unguarded": free,
    }


def _gate(guard: Any) -> dict[str, Any]:  # noqa: ANN401 -- a Guard, which is not loaded yet
    document = {
        "stepId": guard.step.id,
        "kind": guard.step.kind.value,
        "approvalId": getattr(guard.step, "approval_id", getattr(guard.step, "override", None)),
        "policyId": getattr(guard.step, "policy_id", None),
        "guards": list(guard.behind),
        "unless": guard.unless,
        "idle": guard.idle,
    }
    return {key: value for key, value in document.items() if value is not None}


def _view(document: dict[str, Any]) -> RenderableType:
    free = ", ".join(document["unguarded"])
    rest = Text.assemble(("no gate guards  ", "yellow"), text(free)) if free else Text()
    if not document["gates"]:
        return Group(Text("the pack has no gate", style="dim"), rest)
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("gate", "passes by", "cannot be reached without it", ""):
        table.add_column(name, overflow="fold")
    for gate in document["gates"]:
        table.add_row(
            text(gate["stepId"], "bold"),
            text(_passes_by(gate)),
            text(", ".join(gate["guards"]) or "nothing"),
            text(_caveat(gate), "yellow"),
        )
    return Group(table, rest)


def _passes_by(gate: dict[str, Any]) -> str:
    approval = f"approval {gate['approvalId']}" if "approvalId" in gate else ""
    policy = f"policy {gate['policyId']}" if "policyId" in gate else ""
    return " or ".join(filter(None, (policy, approval)))


def _caveat(gate: dict[str, Any]) -> str:
    if "idle" in gate:
        return str(gate["idle"])
    return f"left out unless {gate['unless']}" if "unless" in gate else ""
