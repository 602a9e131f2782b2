"""The table of commands, and the group that imports only the module of the command that is used.

The modules of all commands together take longer to import than most commands take to run.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Final

import typer
from typer.core import TyperGroup
from typer.main import get_group

if TYPE_CHECKING:
    from typer._click.core import Command, Context

_PACKS_PANEL: Final = "Packs"
_RUNS_PANEL: Final = "Runs"
_APPROVALS_PANEL: Final = "Approvals"
_PROFILES_PANEL: Final = "Signing in"
_EVIDENCE_PANEL: Final = "Evidence"
_WORKERS_PANEL: Final = "Workers"
_LOCAL_PANEL: Final = "On this machine"


@dataclass(frozen=True, slots=True)
class _Entry:
    """A command: its module in this package, its name there, and its panel in the help."""

    module: str
    attribute: str
    panel: str


_COMMANDS: Final[dict[str, _Entry]] = {
    "init": _Entry("starter", "init", _PACKS_PANEL),
    "lint": _Entry("lint", "lint", _PACKS_PANEL),
    "plan": _Entry("plan", "plan", _PACKS_PANEL),
    "gates": _Entry("gates", "gates", _PACKS_PANEL),
    "compile": _Entry("compiling", "compile_", _PACKS_PANEL),
    "simulate": _Entry("packs", "simulate", _PACKS_PANEL),
    "run": _Entry("packs", "run", _RUNS_PANEL),
    "rerun": _Entry("packs", "rerun", _RUNS_PANEL),
    "runs": _Entry("runs", "runs", _RUNS_PANEL),
    "show": _Entry("runs", "show", _RUNS_PANEL),
    "watch": _Entry("runs", "watch", _RUNS_PANEL),
    "logs": _Entry("logs", "logs", _RUNS_PANEL),
    "outputs": _Entry("outputs", "outputs", _RUNS_PANEL),
    "artifacts": _Entry("artifacts", "app", _RUNS_PANEL),
    "cancel": _Entry("runs", "cancel", _RUNS_PANEL),
    "open": _Entry("console", "open_", _RUNS_PANEL),
    "approvals": _Entry("approvals", "approvals", _APPROVALS_PANEL),
    "approve": _Entry("approvals", "approve", _APPROVALS_PANEL),
    "reject": _Entry("approvals", "reject", _APPROVALS_PANEL),
    "login": _Entry("sign_in", "login", _PROFILES_PANEL),
    "logout": _Entry("sign_in", "logout", _PROFILES_PANEL),
    "profiles": _Entry("sign_in", "profiles", _PROFILES_PANEL),
    "evidence": _Entry("evidence", "app", _EVIDENCE_PANEL),
    "worker": _Entry("worker", "app", _WORKERS_PANEL),
    "local": _Entry("local", "app", _LOCAL_PANEL),
    "demo": _Entry("demo", "demo", _LOCAL_PANEL),
}


class CommandGroup(TyperGroup):
    """The commands of the table, each imported when it is first asked for."""

    def list_commands(self, ctx: "Context") -> list[str]:  # noqa: ARG002 -- Typer passes it
        """Return the names of all commands, in the order of the help."""
        return list(_COMMANDS)

    def get_command(self, ctx: "Context", cmd_name: str) -> "Command | None":  # noqa: ARG002
        """Return a command; None if there is none of this name."""
        # For an unknown name Typer suggests one of those in `commands`, so they must all be there.
        names = [cmd_name] if cmd_name in _COMMANDS else list(_COMMANDS)
        for name in names:
            if name not in self.commands:
                self.commands[name] = _load(name)
        return self.commands.get(cmd_name)


def _load(name: str) -> "Command":
    entry = _COMMANDS[name]
    loaded = getattr(import_module(f"{__package__}.{entry.module}"), entry.attribute)
    group = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    if isinstance(loaded, typer.Typer):
        group.add_typer(loaded, name=name, rich_help_panel=entry.panel)
    else:
        group.command(name, rich_help_panel=entry.panel)(loaded)
    return get_group(group).commands[name]
