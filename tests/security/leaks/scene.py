"""A deployment that holds the known secrets, and everything that tries to let them out."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from threading import local
from typing import TYPE_CHECKING, Any

from taskrunner.sandbox.launcher import ForkedSandbox
from tests.machine.engine import engine as fresh_engine
from tests.machine.runs import TENANT, ended, execution_of, start
from tests.security.leaks import echoes, places
from tests.security.leaks.packs import manifest
from tests.security.leaks.spellings import SECRETS, found_in

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from tests.machine.client import Client
    from tests.machine.engine import Engine


@dataclass
class SecretsLog:
    """The port of secrets, with a record of which function read the secrets of which tenant."""

    secrets: Any
    reads: set[tuple[str, str]] = field(default_factory=set)
    _current: local = field(default_factory=local)

    @contextmanager
    def during(self, function: str) -> Iterator[None]:
        """Take the reads of this thread as those of *function*."""
        self._current.function = function
        yield
        self._current.function = ""

    def values(self, tenant: str, names: Collection[str]) -> dict[str, str]:
        self.reads.add((getattr(self._current, "function", ""), tenant))
        values: dict[str, str] = self.secrets.values(tenant, names)
        return values


@dataclass
class Scene:
    """The deployment, the port of the server that echoes secrets, and what was logged."""

    engine: Engine
    port: int
    watch: places.Watch
    functions: echoes.Functions
    secrets: SecretsLog

    @property
    def ana(self) -> Client:
        return self.engine.client(subject="ana")

    def run(self, steps: list[dict[str, Any]]) -> dict[str, Any]:
        """The state at the end of a run of *steps*, whose execution has ended too."""
        run_id = start(self.ana, manifest(steps, self.port))
        state = ended(self.ana, run_id)
        execution_of(self.engine, run_id)
        return state

    def leaks(self, names: Iterable[str], *run_ids: str) -> list[str]:
        """Describe each place where any of the secrets *names* is found."""
        self.engine.rest()
        contents = dict(places.kept(self.engine))
        for run_id in run_ids:
            contents |= {
                f"{run_id} {place}": text for place, text in places.answers(self.ana, run_id)
            }
        contents["log"] = "\n".join(self.watch.lines).encode("utf-8", "surrogatepass")
        return found_in(contents.items(), names)


@contextmanager
def scene() -> Iterator[Scene]:
    """A fresh deployment with the known secrets of one tenant, and other values of another."""
    with _watching() as watch, fresh_engine() as engine, echoes.server() as port:
        functions = echoes.Functions()
        engine.functions |= functions.all()
        for name, value in SECRETS.items():
            engine.store_secret(TENANT, name, value)
            engine.store_secret("other-tenant", name, f"not for you {name}")
        secrets = SecretsLog(engine.world.secrets)
        engine.around = secrets.during
        engine.world.__dict__ |= {"secrets": secrets, "sandbox": _sandbox()}
        watch.lines.clear()
        yield Scene(engine, port, watch, functions, secrets)


@cache
def _sandbox() -> ForkedSandbox:
    """The sandbox of all scenes, as a function keeps one for all runs."""
    return ForkedSandbox("tests.security.leaks.leaky_executors")


@contextmanager
def _watching() -> Iterator[places.Watch]:
    """Keep every log line of the process, except moto's: moto is AWS here, and logs requests."""
    watch, root, moto = places.Watch(), logging.getLogger(), logging.getLogger("moto")
    levels = root.level, moto.level
    root.addHandler(watch)
    root.setLevel(logging.DEBUG)
    moto.setLevel(logging.INFO)
    try:
        yield watch
    finally:
        root.removeHandler(watch)
        root.setLevel(levels[0])
        moto.setLevel(levels[1])
