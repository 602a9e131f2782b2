"""Steps that workers run: what they print, and where they run or wait."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from playwright.sync_api import expect

from tests.packs import pack

if TYPE_CHECKING:
    from collections.abc import Iterator

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
            sleep 0.3
            echo careful >&2
          env: {TEXT: "IMAGE"}
    - id: rare
      run: {uses: worker:local, with: {script: "true", labels: {nobody: has-it}}}
    """.replace("IMAGE", _IMAGE)
)


@pytest.fixture(name="run_on_workers", scope="module")
def _run_on_workers(operator: Api) -> Iterator[str]:
    """A run whose first step a worker has run, and whose second one waits for a worker."""
    run_id = operator.run(_PACK)
    yield run_id
    operator("POST", f"runs/{run_id}/cancel")


def test_output_is_grouped_under_its_step_and_is_text(alice: Person, run_on_workers: str) -> None:
    alice.go(f"#/runs/{run_on_workers}?tab=log")
    log = alice.page.get_by_role("log")
    group = log.locator(".output").filter(has=alice.page.get_by_role("link", name="build"))

    expect(group).to_contain_text("careful")
    printed = group.locator("pre").all_inner_texts()
    errors = group.locator(".stderr").all_inner_texts()

    assert "\n".join(printed[:-1]) == f"compiling\n100%\n{_IMAGE}"
    assert [text.split() for text in errors] == [["stderr", "careful"]]
    assert alice.page.evaluate("window.hacked") is None
    assert alice.page.evaluate("document.querySelectorAll('img').length") == 0


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
