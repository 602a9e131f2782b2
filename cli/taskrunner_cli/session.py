"""The state of one command: its screen, and its API clients once they are used."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from rich.console import RenderableType

from taskrunner_cli.api.profiles import WORKER_SCOPE, Choice, Profile, resolve_profile
from taskrunner_cli.output.formatting import text
from taskrunner_cli.output.runs import APPROVER_OF_STACK
from taskrunner_cli.output.screen import Screen
from taskrunner_cli.world import World

if TYPE_CHECKING:
    from taskrunner_cli.api.client import Client
    from taskrunner_cli.api.worker_client import WorkerClient


@dataclass
class Session:
    """A command's screen and API clients; the other fields are its options."""

    world: World
    screen: Screen
    choice: Choice = field(default_factory=Choice)
    max_wait_s: float = 300.0
    _clients: list["Client | WorkerClient"] = field(default_factory=list, init=False, repr=False)

    @cached_property
    def profile(self) -> Profile:
        """The API's address and the caller's credentials."""
        return self._resolve_profile(self.choice)

    @cached_property
    def client(self) -> "Client":
        """The API as the caller sees it."""
        return self._open_client(self.profile)

    @property
    def hint_options(self) -> str:
        """The options of a command that it proposes, which choose a caller of the same API."""
        if self.choice.profile:
            return f" --profile {self.choice.profile}"
        return APPROVER_OF_STACK if self.is_local_stack else ""

    @property
    def is_local_stack(self) -> bool:
        """Whether the caller is a client of the local stack."""
        return not (self.profile.person or self.world.environ.get("TASKRUNNER_API_URL"))

    def client_as(self, caller: str) -> "Client":
        """Return the API as another caller of the same stack sees it."""
        return self._open_client(self._resolve_profile(replace(self.choice, caller=caller)))

    def worker_client(self) -> "WorkerClient":
        """Return the API as a worker sees it; a client of workers is the default caller."""
        from taskrunner_cli.api.retries import Patience  # noqa: PLC0415 -- as in `_open_client`
        from taskrunner_cli.api.worker_client import WorkerClient  # noqa: PLC0415

        world, notify = self.world, self.screen.print_notice
        profile = self._resolve_profile(replace(self.choice, scope=WORKER_SCOPE))
        client = WorkerClient(profile, world.clock, world.randomness, notify, Patience())
        self._clients.append(client)
        return client

    def print_result(self, document: object, view: RenderableType) -> None:
        """Print the command's result: *document* for programs, *view* for people."""
        if self.screen.is_json:
            self.screen.print_document(document)
        elif view:
            self.screen.print_text(view)

    def print_record(self, record: object, view: RenderableType) -> None:
        """Print one of many results immediately: *record* for programs, *view* for people."""
        if self.screen.is_json:
            self.screen.print_record(record)
        else:
            self.screen.out.print(view, soft_wrap=True)

    def print_next_cursor(self, cursor: str | None) -> None:
        """Print how to read on if *cursor* is set; programs find it in the document."""
        if cursor:
            self.screen.print_commands(text(f"there are more: --cursor {cursor}", "dim"))

    def close(self) -> None:
        """Close all connections."""
        for client in self._clients:
            client.close()

    def _resolve_profile(self, choice: Choice) -> Profile:
        return resolve_profile(choice, self.world.environ, self.world.clock.now())

    def _open_client(self, profile: Profile) -> "Client":
        # httpx takes a quarter of a command's start, so only commands of the API import it.
        from taskrunner_cli.api.client import Client  # noqa: PLC0415
        from taskrunner_cli.api.retries import Patience  # noqa: PLC0415

        client = Client(
            profile,
            self.world.clock,
            self.world.randomness,
            self.screen.print_notice,
            Patience(max_wait_s=self.max_wait_s),
        )
        self._clients.append(client)
        return client
