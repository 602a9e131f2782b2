"""The demo's API clients, its output, and its checks, which stop it when one fails."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypedDict

from rich.console import RenderableType
from rich.text import Text

from taskrunner_cli.api.client import Client
from taskrunner_cli.api.documents import RunState
from taskrunner_cli.api.watch import Watch
from taskrunner_cli.errors import UnexpectedOutcomeError
from taskrunner_cli.output.formatting import text
from taskrunner_cli.output.live_run import display_for, show_updates
from taskrunner_cli.output.step_durations import StepDurations
from taskrunner_cli.pack_files import read_text
from taskrunner_cli.session import Session

TIMEOUT_S: Final = 180.0  # on a slow laptop the first call of each function takes long


class Check(TypedDict):
    """A check that passed: its description, and the value that was as expected."""

    what: str
    value: object


@dataclass
class FollowedRun:
    """A run of the demo, followed in one part or in several."""

    watch: Watch
    durations: StepDurations = field(default_factory=StepDurations)

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.watch.run_id


@dataclass
class Demo:
    """A run of the demo: *checks* and *runs* grow as it goes on."""

    session: Session
    examples: Path
    checks: list[Check] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)

    @property
    def operator(self) -> Client:
        """The API as the caller who runs packs sees it."""
        return self.session.client

    def approver(self) -> Client:
        """Return the API as the caller who approves sees it."""
        return self.session.client_as("approver")

    def read_pack(self, name: str) -> str:
        """Return the text of an example pack."""
        return read_text(str(self.examples / f"{name}.yaml"), "example pack")

    def start_part(self, title: str) -> None:
        """Print the title of the next part."""
        self.print("", Text.assemble(("── ", "dim"), (title, "bold")))

    def print(self, *parts: RenderableType) -> None:
        """Print for people."""
        self.session.screen.print_text(*parts)

    def check(self, what: str, expected: object, actual: object) -> None:
        """Check that *actual* is *expected*, and print it.

        Raises:
            UnexpectedOutcomeError: it is not; the message has both.

        """
        if expected != actual:
            raise UnexpectedOutcomeError(f"{what}: expected {expected!r}, but it is {actual!r}")
        self.checks.append({"what": what, "value": actual})
        value = text(_in_words(actual), "dim")
        self.print(Text.assemble(("  ✓ ", "green"), text(what), "  ", value))

    def follow(self, run_id: str) -> FollowedRun:
        """Record a run as one of the demo's, and return it to be shown."""
        self.runs.append(run_id)
        clock, notify = self.session.world.clock, self.session.screen.print_notice
        return FollowedRun(Watch(self.operator, run_id, clock, notify, is_known=True))

    def show_until(self, run: FollowedRun, condition: Callable[[RunState], bool]) -> RunState:
        """Show a run until *condition* holds or it ends, and return its state.

        Raises:
            UnexpectedOutcomeError: neither has happened after three minutes.

        """
        session = self.session
        display = display_for(
            session.screen, session.world.clock, run.durations, session.hint_options
        )
        return show_updates(run.watch.until(condition, timeout_s=TIMEOUT_S), display).run


def _in_words(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case dict():
            return ", ".join(f"{name} {_in_words(member)}" for name, member in value.items())
        case list():
            return ", ".join(map(_in_words, value)) or "none"
        case _:
            return str(value)
