"""The order of the tests, their distribution over processes, Hypothesis, and golden files.

`make unit` and `make test` run pytest-xdist with `--dist loadfile`: the tests of a file run in one
process, so that what the file's fixtures make is made once. Some folders run in one process: those
of the local stack, of which a process has one, and one whose fixture serves several files.
"""

from __future__ import annotations

import gc
import importlib
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler.loadfile import LoadFileScheduling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# A test has no deadline for an example or for making it, because how long that takes says how busy
# the machine is. Loops without an end are stopped by pytest's `timeout`. The examples are the same
# in every run, so that a change fails for what it changes and not by chance; `make explore` looks
# for new ones.
_ON_A_BUSY_MACHINE: Final[Any] = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow],
}
settings.register_profile("tests", **_ON_A_BUSY_MACHINE, derandomize=True)
settings.register_profile("explore", **_ON_A_BUSY_MACHINE, max_examples=1000, print_blob=True)
settings.load_profile("tests")

_STACK: Final = "tests/stack/"
# Tests of the stack are divided between two processes, each with a stack of its own.
_OF_A_SECOND_STACK: Final = ("tests/stack/console/", "tests/stack/schemathesis/")
_IN_ONE_PROCESS: Final = (_STACK, "tests/security/permissions/")
# The longest files come first, so that no process is left with one of them at the end.
_FIRST: Final = (
    _STACK,
    *_OF_A_SECOND_STACK,
    "tests/architecture/test_sam_builds.py",
    "tests/faults/",
    "tests/programs/",
    "tests/security/leaks/",
    "tests/security/fuzz/",
    "tests/machine/",
    "tests/security/",
    "tests/contract/",
)


def pytest_configure() -> None:
    """Collect garbage after 50,000 new objects, not after 700, which took a tenth of the time.

    A collection leaves objects that are visited again after 30 more, not after 10. Until all tests
    are collected, there is hardly any garbage.
    """
    gc.set_threshold(50_000, 30)
    gc.disable()


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Import a share of the test modules before the others, in each process another share.

    pytest compiles a module when it is first imported, and keeps the result for every process. In a
    fresh clone each of them would compile all modules, in the same order and at the same time.
    """
    process: dict[str, Any] = getattr(session.config, "workerinput", {})
    if not process:
        return
    files = sorted(file for place in session.config.args for file in Path(place).rglob("test_*.py"))
    for file in files[int(process["workerid"].removeprefix("gw")) :: process["workercount"]]:
        name = ".".join(file.resolve().relative_to(session.config.rootpath).with_suffix("").parts)
        with suppress(Exception):  # it will be raised again, and reported, when pytest collects it
            importlib.import_module(name)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need the local stack, and put the files that take longest first."""
    items.sort(key=_rank)  # stable: the order within a file and among files is kept
    for item in items:
        if item.nodeid.startswith(_STACK):
            item.add_marker(pytest.mark.stack)


def pytest_collection_finish() -> None:
    """Exempt what was collected from garbage collection, which would visit it again and again."""
    gc.freeze()
    gc.enable()


class _Tests(list[str]):
    """The ids of all tests, with their places, which xdist looks up for each test."""

    def __init__(self, ids: Iterable[str]) -> None:
        super().__init__(ids)
        self._places = {test: place for place, test in enumerate(self)}

    def index(self, test: str, *_: Any) -> int:  # noqa: ANN401 - it is not used
        return self._places[test]


class _Distribution(LoadFileScheduling):  # type: ignore[misc]
    """Gives each file to one process, and some folders too."""

    def add_node_collection(self, node: Any, collection: Iterable[str]) -> None:  # noqa: ANN401 - xdist's own
        super().add_node_collection(node, collection)
        if node in self.registered_collections:
            self.registered_collections[node] = _Tests(self.registered_collections[node])

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        if file.startswith(_OF_A_SECOND_STACK):
            return _OF_A_SECOND_STACK[0]
        return next((folder for folder in _IN_ONE_PROCESS if file.startswith(folder)), file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _Distribution:  # noqa: ANN401
    """Distribute the tests by file.

    Groups (`--dist loadgroup`) would need no code, but have no effect with pytest-xdist 3.8 and
    pytest 9.2: the group is put into a test's id, which pytest no longer allows.
    """
    return _Distribution(config, log)


def _rank(item: pytest.Item) -> int:
    folders = [folder for folder in _FIRST if item.nodeid.startswith(folder)]
    return _FIRST.index(max(folders, key=len)) if folders else len(_FIRST)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare `--record`, which rewrites golden files, and `--pictures`.

    They are declared here because pytest reads only the topmost conftest before the options.
    """
    parser.addoption(
        "--record",
        action="store_true",
        help="write the golden files anew; the run then fails, so that CI never records",
    )
    parser.addoption(
        "--pictures",
        action="store_true",
        help="write the pictures of the console in docs/images; use it with tests/stack/console",
    )


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a recording run even when nothing changed, and leave little to collect at the end.

    After this, pytest collects garbage five times, to find what warns when it is removed.
    """
    gc.collect()
    gc.freeze()
    if session.config.getoption("--record") and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture
def assert_golden(request: pytest.FixtureRequest) -> Callable[[Path, str], None]:
    """Compare a text with a golden file byte for byte, or write it there when recording."""

    def check(path: Path, text: str) -> None:
        recorded = path.read_text(encoding="utf-8") if path.exists() else None
        if not request.config.getoption("--record"):
            assert recorded is not None, f"{path.name} is missing: run pytest --record and read it"
            assert text == recorded
        elif text != recorded:
            path.write_text(text, encoding="utf-8")
            pytest.fail(f"recorded {path.name}: review the diff")

    return check
