"""`plan`: shows the plan of a pack with the compiler on this machine."""

from typing import Annotated

import typer

from taskrunner_cli.api.documents import PlanComparison
from taskrunner_cli.commands.gates import gates_document
from taskrunner_cli.commands.in_session import in_session
from taskrunner_cli.commands.options import InputOptions, PackArgument
from taskrunner_cli.commands.packs import quoting
from taskrunner_cli.errors import PackFile, UnexpectedOutcomeError
from taskrunner_cli.json_types import JsonObject
from taskrunner_cli.offline_compiler import compile_pack, simulation_of
from taskrunner_cli.output.plan import plan_view
from taskrunner_cli.output.plan_diff import comparison_lines
from taskrunner_cli.pack_files import read_pack
from taskrunner_cli.session import Session

DiffOption = Annotated[
    str,
    typer.Option(
        metavar="RUN|HASH",
        help="Compare with the plan of a run, of a hash, or `last-approved`; asks the service.",
    ),
]


@in_session
def plan(
    session: Session,
    pack: PackArgument,
    *,
    inputs: InputOptions,
    diff: DiffOption = "",
) -> None:
    """Show the plan of a pack as a tree, its budget and its hash; works offline without --diff."""
    file, values = read_pack(pack), inputs.values()
    compiled = compile_pack(file, values)
    simulation, gates = simulation_of(compiled), gates_document(compiled)
    comparison = _compare(session, file, values, diff) if diff else None
    if session.screen.is_json:
        guards = {"gates": gates["gates"], "unguarded": gates["unguarded"]}
        compared = {"comparison": comparison} if comparison else {}
        session.screen.print_document({**simulation, **guards, **compared})
        return
    session.screen.print_text(plan_view(simulation, gates))
    if comparison:
        session.screen.print_text(*comparison_lines(comparison))


def _compare(
    session: Session, file: PackFile, inputs: JsonObject, compare_to: str
) -> PlanComparison:
    """Return how the service's plan of the pack differs from the plan *compare_to*."""
    with quoting(file):
        simulation = session.client.simulate(file.text, inputs, compare_to).view
    if "comparison" not in simulation:
        raise UnexpectedOutcomeError(
            "the service does not compare plans, as those of version 0.1",
            code="not_supported",
        )
    return simulation["comparison"]
