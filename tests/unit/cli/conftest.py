"""Fixtures of the command line's tests: a fake service, a fake store, and a fake world."""

import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from taskrunner_cli.app import main
from taskrunner_cli.local import Client, Stack, Status
from taskrunner_cli.world import World
from tests.unit.cli.fake_http import serving
from tests.unit.cli.fake_service import CALLERS, SECRET, FakeService, FakeStore


@dataclass
class FakeClock:
    """A clock that only sleeping advances; each sleep calls *tick* too."""

    tick: Callable[[], None]
    elapsed_s: float = 0.0

    def now(self) -> datetime:
        return datetime(2025, 12, 6, 12, 1, tzinfo=UTC) + timedelta(seconds=self.elapsed_s)

    def monotonic(self) -> float:
        return self.elapsed_s

    def sleep(self, seconds: float) -> None:
        self.elapsed_s += seconds
        self.tick()


class FakeRandomness:
    """Randomness without chance: half of everything, and numbered keys."""

    def __init__(self) -> None:
        self.keys = 0

    def fraction(self) -> float:
        return 0.5

    def key(self) -> str:
        self.keys += 1
        return f"key-{self.keys}"


@dataclass
class FakeLocalStack:
    """A local stack that starts at once."""

    stack: Stack
    is_running: bool = False
    ports: list[int | None] = field(default_factory=list)
    worker_pid: int | None = None
    state: Status | None = None
    """The answer of `status`; None for that of a stack without faults."""

    def up(self, progress: Callable[[str], None], port: int | None = None) -> Stack:
        progress("starting the emulator")
        self.is_running = True
        self.ports.append(port)
        return self.stack

    def down(self, progress: Callable[[str], None]) -> bool:
        progress("stopping the emulator")
        was_running, self.is_running = self.is_running, False
        return was_running

    def status(self) -> Status:
        if self.state:
            return self.state
        return Status(
            running=self.is_running,
            healthy=self.is_running,
            current=True,
            pid=4242 if self.is_running else None,
            port=4566 if self.is_running else None,
            stack=self.stack if self.is_running else None,
            log="emulator.log",
            worker_pid=self.worker_pid,
            worker_log="worker.log",
        )


@dataclass
class Ended:
    """A command's exit code and output."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:  # noqa: ANN401 -- any JSON
        return json.loads(self.out)

    @property
    def error(self) -> Any:  # noqa: ANN401 -- any JSON
        return json.loads(self.err)


Command = Callable[..., Ended]
_SECRETS = re.compile(r"s3cret|token-(\d|of-)|presigned")
_CONTROLS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class FakeTerminal(io.StringIO):
    """A stream that says it is a terminal, and keeps what is printed on it."""

    def isatty(self) -> bool:
        return True

    @property
    def text(self) -> str:
        """The printed text, without colours and movements of the cursor."""
        return _CONTROLS.sub("", self.getvalue())


@pytest.fixture(name="store")
def _store() -> FakeStore:
    return FakeStore()


@pytest.fixture(name="service")
def _service(store: FakeStore) -> Iterator[FakeService]:
    with serving(store.route) as store_url:
        yield FakeService(store_url)


@pytest.fixture(name="stack_file")
def _stack_file(service: FakeService, tmp_path: Path) -> Iterator[Path]:
    with serving(service.route) as origin:
        clients = {
            name: {
                "clientId": name,
                "clientSecret": SECRET.format(name),
                "scope": "taskrunner/operator",
                "tenant": "tenant-prod",
            }
            for name in CALLERS
        }
        urls = {"apiUrl": f"{origin}/live", "tokenUrl": f"{origin}/token"}
        urls["consoleUrl"] = f"{origin}/live/console"
        path = tmp_path / "stack.json"
        path.write_text(json.dumps({**urls, "clients": clients}))
        yield path


@pytest.fixture(name="local_stack")
def _local_stack() -> FakeLocalStack:
    secret = SECRET.format("operator")
    caller = Client(client_id="operator", client_secret=secret, scope="scope", tenant="tenant-prod")
    unused: Any = dict.fromkeys(
        (
            "endpoint_url", "region", "table_name", "bucket_name", "machine_prefix",
            "pack_run_machine_arn", "reconcile_function", "evidence_key_arn",
            "approval_topic_arn", "user_pool_id", "access_key_id", "secret_access_key",
        ),
        "unused",
    )  # fmt: skip
    stack = Stack(
        api_url="http://api",
        token_url="http://token",
        console_url="http://console",
        clients={"operator": caller},
        **unused,
    )
    return FakeLocalStack(stack)


class FakeBrowser:
    """Records each address that is opened, if there is a browser."""

    def __init__(self) -> None:
        self.shown: list[str] = []
        self.is_found = True

    def show(self, url: str) -> bool:
        if self.is_found:
            self.shown.append(url)
        return self.is_found


@pytest.fixture(name="world")
def _world(stack_file: Path, service: FakeService, local_stack: FakeLocalStack) -> World:
    return World(
        environ={"TASKRUNNER_STACK": str(stack_file)},
        clock=FakeClock(service.tick),
        randomness=FakeRandomness(),
        local=local_stack,
        browser=FakeBrowser(),
    )


@pytest.fixture(name="taskrunner")
def _taskrunner(world: World, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command line, and check that it prints no secret, token or presigned address."""

    def run(*arguments: str, world: World = world) -> Ended:
        code = main(arguments, world)
        printed = capsys.readouterr()
        assert not _SECRETS.search(printed.out + printed.err)
        return Ended(code, printed.out, printed.err)

    return run


@pytest.fixture(name="terminal")
def _terminal(world: World, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run a command line on a terminal with a number of columns, at which *typed* is typed."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("LINES", "50")

    def run(*arguments: str, columns: int = 80, typed: str = "", world: World = world) -> Ended:
        out, err = FakeTerminal(), FakeTerminal()
        with monkeypatch.context() as patch:
            patch.setenv("COLUMNS", str(columns))
            patch.setattr("sys.stdout", out)
            patch.setattr("sys.stderr", err)
            patch.setattr("sys.stdin", FakeTerminal(typed))
            code = main(arguments, world)
        return Ended(code, out.text, err.text)

    return run
