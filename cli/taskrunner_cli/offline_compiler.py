"""The compiler on this machine; its errors become errors of the command line.

The compiler takes longer to import than a command takes otherwise, so each function imports what it
needs.
"""

from typing import TYPE_CHECKING, cast

from taskrunner_cli.errors import InvalidPackError, PackFile, PlanError
from taskrunner_cli.json_types import JsonObject

if TYPE_CHECKING:
    from taskrunner.compiler.driver import CompiledPack
    from taskrunner.errors import InvalidPackError as CompilerError
    from taskrunner_cli.api.documents import Simulation


def lint(pack: PackFile) -> list[PlanError]:
    """Return the errors of a pack that it has with any inputs."""
    from taskrunner.compiler.lint import lint_pack  # noqa: PLC0415
    from taskrunner.errors import InvalidPackError as CompilerError  # noqa: PLC0415

    try:
        lint_pack(pack.text)
    except CompilerError as error:
        return _plan_errors(error)
    return []


def compile_pack(pack: PackFile, inputs: JsonObject) -> "CompiledPack":
    """Return the plan of a pack for *inputs*, and its machine.

    Raises:
        InvalidPackError: the pack cannot be planned for these inputs.

    """
    from taskrunner.compiler import driver  # noqa: PLC0415
    from taskrunner.errors import InvalidPackError as CompilerError  # noqa: PLC0415

    try:
        return driver.compile_pack(pack.text, inputs)
    except CompilerError as error:
        raise InvalidPackError(_plan_errors(error), pack, code=error.code) from error


def simulation_of(compiled: "CompiledPack") -> "Simulation":
    """Return what a run of a compiled pack would do, as the API says it."""
    from taskrunner.usecases.simulate_pack import simulation  # noqa: PLC0415

    return cast("Simulation", simulation(compiled))


def _plan_errors(error: "CompilerError") -> list[PlanError]:
    return [
        PlanError(path=diagnostic.path, message=diagnostic.message)
        for diagnostic in error.diagnostics
    ]
