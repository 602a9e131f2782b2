"""People at browsers, and runs for them to look at."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import pytest

from tests.packs import pack
from tests.stack.console.browser import FAILING, RELEASE, Person, chromium, new_context
from tests.template import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, BrowserContext

    from taskrunner_cli.local import Stack
    from tests.stack.api import Api

# Names as long as they may be, and texts without a space.
_LONG = pack(
    f"""
    - id: {"s" * 63}
      map:
        items: {{static: [1]}}
        step:
          id: {"i" * 63}
          continueOnError: true
          run: {{uses: builtin:fail, with: {{message: {"m" * 500}}}}}
    - id: {"b" * 63}
      run: {{uses: builtin:noop, with: {{{"k" * 100}: "{{{{ inputs.{"n" * 63} }}}}"}}}}
    - {{id: {"g" * 63}, gate: {{approval: {{id: {"a" * 63}, message: {"q" * 500}}}}}}}
    - {{id: {"d" * 63}, run: {{uses: builtin:noop}}}}
    """,
    spec=f"""
    inputs: [{{name: {"n" * 63}, type: string, default: {"v" * 500}}}]
    approvals: [{{id: {"a" * 63}}}]
    """,
    name="p" * 63,
)
# A step whose first attempt fails and whose second one prints until the run is cancelled, and one
# that waits for a worker.
_ON_WORKERS: Final = pack(
    """
    - id: both
      parallel:
        steps:
          - id: print
            retries: {maxAttempts: 2, backoffSeconds: 0}
            run:
              uses: worker:local
              with:
                script: |
                  printf '\\033[1mcompiling\\033[0m\\n 10%%\\r100%%\\n'
                  echo "warning: the cache is empty" >&2
                  [ "$TASKRUNNER_ATTEMPT" = 2 ] || exit 3
                  echo "still compiling"; sleep 3600
          - id: rare
            run: {uses: worker:local, with: {script: "true", labels: {nobody: has-it}}}
    """,
    name="on-workers",
)


_open: Final = ExitStack()


@pytest.fixture(name="browser", scope="session")
def _browser() -> Browser:
    return _open.enter_context(chromium())


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> None:
    """Close the browser after the last test here.

    Until then an event loop runs in this thread, so that tests elsewhere could run none.
    """
    if nextitem is None or Path(__file__).parent not in nextitem.path.parents:
        _open.close()


@pytest.fixture(name="visitors", scope="session")
def _visitors(browser: Browser) -> BrowserContext:
    """The browser of those who come for one test, each to a page of their own.

    A page knows nothing of the sign-in in another one. A browser for each of them would take half a
    second of a processor.
    """
    return new_context(browser)


@pytest.fixture(name="people", scope="session")
def _people(browser: Browser, stack: Stack) -> Callable[[str], Person]:
    """Return a function from a name to that person, who signs in once for all tests."""
    signed_in: dict[str, Person] = {}

    def person(name: str) -> Person:
        if name not in signed_in:
            signed_in[name] = Person.at(new_context(browser), stack, name)
        return signed_in[name]

    return person


@pytest.fixture(name="alice")
def _alice(people: Callable[[str], Person]) -> Iterator[Person]:
    """An operator."""
    yield from _checked(people("alice"))


@pytest.fixture(name="bob")
def _bob(people: Callable[[str], Person]) -> Iterator[Person]:
    """An approver, left on a page that asks the service for nothing, because few tests need him."""
    bob = people("bob")
    yield from _checked(bob)
    bob.go("#/simulate")


@pytest.fixture(name="vera")
def _vera(visitors: BrowserContext, stack: Stack) -> Iterator[Person]:
    """A viewer."""
    vera = Person.at(visitors, stack, "vera")
    yield from _checked(vera)
    vera.page.close()


def _checked(person: Person) -> Iterator[Person]:
    person.reports.clear()
    yield person
    assert person.problems() == []


@pytest.fixture(name="waiting_run", scope="session")
def _waiting_run(operator: Api) -> Iterator[str]:
    """A run that waits at its gate, and stays there."""
    run_id = operator.run(RELEASE)
    operator.wait(run_id, "waiting")
    yield run_id
    operator("POST", f"runs/{run_id}/cancel")


@pytest.fixture(name="failed_run", scope="session")
def _failed_run(operator: Api) -> str:
    run_id = operator.run(FAILING)
    operator.wait(run_id, "failed")
    return run_id


@pytest.fixture(name="long_run", scope="session")
def _long_run(operator: Api) -> Iterator[str]:
    """A run with a failed item that waits at its gate, with names of the greatest length."""
    run_id = operator.run(_LONG, runId=f"{uuid4().hex}{'r' * 96}")
    operator.wait(run_id, "waiting")
    yield run_id
    operator("POST", f"runs/{run_id}/cancel")


@pytest.fixture(name="printing_run", scope="session")
def _printing_run(operator: Api) -> Iterator[str]:
    """A run whose step fails on a worker, and prints in its second attempt until the end."""
    run_id = operator.run(_ON_WORKERS)
    yield run_id
    operator("POST", f"runs/{run_id}/cancel")


@pytest.fixture(name="picture")
def _picture(request: pytest.FixtureRequest) -> Callable[[str], Path | None]:
    """Return a function from a name to the path of a picture, or to None if none are wanted."""

    def path(name: str) -> Path | None:
        wanted: bool = request.config.getoption("--pictures")
        return ROOT / "docs" / "images" / f"{name}.png" if wanted else None

    return path
