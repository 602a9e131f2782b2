"""A service, a store and a world of its own for every test of the command line."""

import json
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
    """Time that passes only when somebody sleeps; the service moves on with it."""

    tick: Callable[[], None]
    passed_s: float = 0.0

    def now(self) -> datetime:
        return datetime(2025, 12, 6, 12, 1, tzinfo=UTC) + timedelta(seconds=self.passed_s)

    def monotonic(self) -> float:
        return self.passed_s

    def sleep(self, seconds: float) -> None:
        self.passed_s += seconds
        self.tick()


@dataclass
class FakeLocalStack:
    """A local stack that comes up at once."""

    stack: Stack
    is_up: bool = False
    ports: list[int | None] = field(default_factory=list)

    def up(self, progress: Callable[[str], None], port: int | None = None) -> Stack:
        progress("starting the emulator")
        self.is_up = True
        self.ports.append(port)
        return self.stack

    def down(self, progress: Callable[[str], None]) -> bool:
        progress("ending the emulator")
        was_up, self.is_up = self.is_up, False
        return was_up

    def status(self) -> Status:
        return Status(
            running=self.is_up,
            healthy=self.is_up,
            current=True,
            pid=4242 if self.is_up else None,
            port=4566 if self.is_up else None,
            stack=self.stack if self.is_up else None,
            log="emulator.log",
        )


@dataclass
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:  # noqa: ANN401 -- whatever was printed
        return json.loads(self.out)

    @property
    def error(self) -> Any:  # noqa: ANN401 -- whatever was printed
        return json.loads(self.err)


Command = Callable[..., Ended]


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
        urls = {"apiUrl": f"{origin}/live", "tokenUrl": f"{origin}/token", "consoleUrl": None}
        path = tmp_path / "stack.json"
        path.write_text(json.dumps({**urls, "clients": clients}))
        yield path


@pytest.fixture(name="world")
def _world(stack_file: Path, service: FakeService) -> World:
    secret = SECRET.format("operator")
    caller = Client(client_id="operator", client_secret=secret, scope="scope", tenant="tenant-prod")
    clients = {"operator": caller}
    unused = dict.fromkeys(
        (
            "endpoint_url", "region", "table_name", "bucket_name", "machine_prefix",
            "pack_run_machine_arn", "reconcile_machine_arn", "evidence_key_arn",
            "approval_topic_arn", "user_pool_id", "access_key_id", "secret_access_key",
        ),
        "unused",
    )  # fmt: skip
    stack = Stack(
        api_url="http://api",
        token_url="http://token",
        console_url="http://console",
        clients=clients,
        **unused,
    )
    return World(
        environ={"TASKRUNNER_STACK": str(stack_file)},
        clock=FakeClock(service.tick),
        local=FakeLocalStack(stack),
    )


@pytest.fixture(name="taskrunner")
def _taskrunner(world: World, capsys: pytest.CaptureFixture[str]) -> Command:
    """Carry out a command line; no secret and no token may ever be printed."""

    def run(*arguments: str, world: World = world) -> Ended:
        code = main(arguments, world)
        printed = capsys.readouterr()
        for secret in ("s3cret", "token-", "presigned"):
            assert secret not in printed.out + printed.err
        return Ended(code, printed.out, printed.err)

    return run
