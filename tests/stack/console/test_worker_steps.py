"""Steps that workers run: what they print, and where they run or wait."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from playwright.sync_api import expect

from tests.packs import pack
from tests.stack.console.browser import WIDE
from tests.stack.console.made_run import MadeRun, entry, printed, step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.stack.api import Api
    from tests.stack.console.browser import Person

_IMAGE: Final = "<img src=x onerror='window.hacked = 1'>"
_PACK: Final = pack(
    """
    - id: build
      run:
        uses: worker:local
        with:
          script: |
            printf '\\033[31mcompiling\\033[0m\\n10%%\\r100%%\\n'
            echo "$TEXT"
            echo careful >&2
          env: {TEXT: "IMAGE"}
    - id: rare
      run: {uses: worker:local, with: {script: "true", labels: {nobody: has-it}}}
    """.replace("IMAGE", _IMAGE)
)
# The log scrolls in the frame that shows a new line.
_PLACE_IN_NEXT_FRAME: Final = """
log => new Promise((resolve) => requestAnimationFrame(() => resolve(log.scrollTop)))
"""


@pytest.fixture(name="run_on_workers", scope="module")
def _run_on_workers(operator: Api) -> Iterator[str]:
    """A run whose first step a worker has run, and whose second one waits for a worker."""
    run_id = operator.run(_PACK)
    yield run_id
    operator("POST", f"runs/{run_id}/cancel")


@pytest.fixture(name="endless_run")
def _endless_run(operator: Api) -> Iterator[str]:
    """A run whose step prints more than a screen at once, and then lines until it is cancelled."""
    script = 'i=0; while :; do echo "line $i."; i=$((i + 1)); [ $i -le 60 ] || sleep 0.5; done'
    run_id = operator.run(
        pack(f"- {{id: build, run: {{uses: worker:local, with: {{script: '{script}'}}}}}}")
    )
    yield run_id
    operator("POST", f"runs/{run_id}/cancel")


def test_output_is_grouped_under_its_step_and_is_text(alice: Person, run_on_workers: str) -> None:
    alice.go(f"#/runs/{run_on_workers}?tab=log")
    log = alice.page.get_by_role("log")
    group = log.locator(".output").filter(has=alice.page.get_by_role("link", name="build"))

    expect(group).to_contain_text("careful")
    expect(group).to_contain_text(_IMAGE)
    # A busy worker may read the two streams in any order.
    printed = group.locator(".printed:not(.stderr) pre").all_inner_texts()
    errors = group.locator(".stderr").all_inner_texts()

    assert "\n".join(printed) == f"compiling\n100%\n{_IMAGE}"
    assert [text.split() for text in errors] == [["stderr", "careful"]]
    assert alice.page.evaluate("window.hacked") is None
    assert alice.page.evaluate("document.querySelectorAll('img').length") == 0


def test_the_log_has_the_output_of_each_attempt(
    alice: Person, printing_run: str, picture: Callable[[str], Path | None]
) -> None:
    alice.go(f"#/runs/{printing_run}?tab=log")
    log = alice.page.get_by_role("log")
    groups = log.locator(".output").filter(has=alice.page.get_by_role("link", name="print"))

    expect(groups).to_have_count(2)
    expect(groups.last).to_contain_text("still compiling")
    expect(log).to_contain_text("Starting step: print (attempt 2)")
    for group in groups.all():
        expect(group.get_by_text("100%")).to_be_visible()
        expect(group.locator(".stderr")).to_contain_text("warning: the cache is empty")
    alice.picture(picture("output"), log, width=WIDE)


def test_a_step_names_its_pool_and_its_worker(alice: Person, run_on_workers: str) -> None:
    alice.go(f"#/runs/{run_on_workers}/steps/build?tab=step")
    details = alice.page.get_by_label("Details")

    expect(details).to_contain_text("worker:local")
    expect(details.locator("dl")).to_contain_text("local-stack")
    expect(details.locator(".attempts")).to_contain_text("on local-stack")


def test_a_step_without_a_worker_says_what_it_waits_for(alice: Person, run_on_workers: str) -> None:
    alice.go(f"#/runs/{run_on_workers}/steps/rare?tab=step")

    why = "workers ask the pool local for work, but none has the label nobody=has-it"
    expect(alice.page.get_by_label("Details")).to_contain_text(why)
    expect(alice.page.get_by_label("Details").locator("h2")).to_contain_text("Waiting for a worker")
    expect(alice.page.get_by_label("Steps")).to_contain_text(why)


def test_a_line_that_comes_in_several_entries_is_shown_once_as_it_is_at_last(alice: Person) -> None:
    """A progress bar of many seconds; the output has commands of a terminal of every form."""
    output = [
        "\x1b[1;32m==> compiling\x1b[0m\n\r 1%\r 2%",
        "\r50%",
        "\r100%\nli",
        "nk \x1b]8;;https://example.com\x1b\\here\x1b]8;;\x1b\\ \x9b31mred\x1bPdata\x1b\\\x1b(B\n",
        "left \x1b[3",
        "1mred\x1b[0m, bell \x07, \u202ereversed\n",
    ]
    with MadeRun([step("build", "Failed")], [printed(text) for text in output]).shown_to(alice):
        lines = alice.page.get_by_role("log").locator("pre")
        expect(lines.last).to_contain_text("reversed")

        assert "\n".join(lines.all_inner_texts()).split("\n") == [
            "==> compiling",
            "100%",
            "link here red",
            "left red, bell \\x07, \\x202ereversed",
        ]


def test_a_later_attempt_says_its_number_in_the_log(alice: Person) -> None:
    def started(attempt: str) -> dict[str, object]:
        metadata = {"attempt": attempt, "uses": "builtin:noop"}
        return entry("step.started", "Starting step: build", stepId="build", metadata=metadata)

    run = MadeRun([step("build", attempts=2)], [started("1"), started("2")], status="succeeded")
    with run.shown_to(alice):
        messages = alice.page.get_by_role("log").locator(".message")

        expect(messages).to_have_text(["Starting step: build", "Starting step: build (attempt 2)"])


def test_output_is_followed_at_its_end_while_the_step_runs(alice: Person, endless_run: str) -> None:
    alice.go(f"#/runs/{endless_run}?tab=log")
    log = alice.page.get_by_role("log")

    expect(log).to_contain_text("line 62.")
    expect(log.locator("pre").last).to_be_in_viewport()
    log.evaluate("log => { log.scrollTop = 0; }")
    expect(log.get_by_text("line 0.")).to_be_in_viewport()
    expect(log).to_contain_text("line 65.")
    assert log.evaluate(_PLACE_IN_NEXT_FRAME) == 0
