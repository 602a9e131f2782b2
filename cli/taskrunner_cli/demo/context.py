"""What the demo stands on: its callers, its voice, its deadlines, and checks that fail loudly."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypedDict

from rich.rule import Rule
from rich.text import Text

from taskrunner_cli.api.client import Client
from taskrunner_cli.api.documents import RunState
from taskrunner_cli.api.watch import Watch
from taskrunner_cli.errors import DisappointedError
from taskrunner_cli.output.formatting import text
from taskrunner_cli.output.live_run import display_for, follow
from taskrunner_cli.pack_files import read_text
from taskrunner_cli.session import Session

WAIT_S: Final = 180.0  # the first call of every function on a cold laptop is slow


class Check(TypedDict):
    """Something that was expected, and came."""

    what: str
    value: Any


@dataclass
class Stage:
    """The demo's surroundings."""

    session: Session
    examples: Path
    checks: list[Check] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)

    @property
    def operator(self) -> Client:
        """Who runs packs."""
        return self.session.client

    def approver(self) -> Client:
        """Return the service as somebody else sees it: the one who decides."""
        return self.session.client_as("approver")

    def pack(self, name: str) -> str:
        """Return one of the example packs, as it stands in its file."""
        return read_text(str(self.examples / f"{name}.yaml"), "example pack")

    def act(self, title: str) -> None:
        """Begin an act."""
        self.session.screen.say("", Rule(Text(title, style="bold"), align="left", style="dim"))

    def tell(self, *what: Any) -> None:  # noqa: ANN401 -- whatever Rich can print
        """Tell the audience."""
        self.session.screen.say(*what)

    def expect(self, what: str, wanted: object, came: object) -> None:
        """Check that *came* is what was *wanted*, and say so.

        Raises:
            DisappointedError: it is not; the message has both.

        """
        if wanted != came:
            raise DisappointedError(f"{what}: expected {wanted!r}, but it is {came!r}")
        self.checks.append({"what": what, "value": came})
        self.tell(Text.assemble(("  ✓ ", "green"), text(what), "  ", text(_said(came), "dim")))

    def watch(self, run_id: str) -> Watch:
        """Begin to follow a run; it is remembered for the end of the story."""
        self.runs.append(run_id)
        return Watch(self.operator, run_id, self.session.world.clock)

    def follow(self, watch: Watch, done: Callable[[RunState], bool]) -> RunState:
        """Show a run until *done* holds or it ends.

        Raises:
            DisappointedError: neither has happened before the deadline.

        """
        display = display_for(self.session.screen, self.session.world.clock, watch.spans)
        return follow(watch.until(done, within_s=WAIT_S), display)


def _said(value: object) -> str:
    """Return a value as the audience reads it."""
    match value:
        case bool():
            return "yes" if value else "no"
        case dict():
            return ", ".join(f"{name} {_said(inner)}" for name, inner in value.items())
        case list():
            return ", ".join(map(_said, value)) or "none"
        case _:
            return str(value)
