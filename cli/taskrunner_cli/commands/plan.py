"""`plan`: shows the plan of a pack with the compiler on this machine."""

from taskrunner_cli.commands.gates import gates_document
from taskrunner_cli.commands.options import (
    InputOption,
    InputsOption,
    OutputOption,
    PackArgument,
)
from taskrunner_cli.offline_compiler import compile_pack, simulation_of
from taskrunner_cli.output.forms import OutputFormat
from taskrunner_cli.output.plan import plan_view
from taskrunner_cli.output.screen import Screen
from taskrunner_cli.pack_files import gather_inputs, read_pack


def plan(
    pack: PackArgument,
    *,
    input_: InputOption = None,
    inputs: InputsOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Show the plan of a pack as a tree, its budget and its hash; works offline."""
    compiled = compile_pack(read_pack(pack), gather_inputs(input_ or (), inputs))
    simulation, gates = simulation_of(compiled), gates_document(compiled)
    screen = Screen(output)
    if screen.is_json:
        guards = {"gates": gates["gates"], "unguarded": gates["unguarded"]}
        screen.print_document({**simulation, **guards})
    else:
        screen.print_text(plan_view(simulation, gates))
