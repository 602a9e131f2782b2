"""A browser in which somebody is signed in to the console, and the packs that they look at."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from playwright.sync_api import expect, sync_playwright

from tests.packs import pack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, BrowserContext, Locator, Page

    from taskrunner_cli.local import Stack

# A step and a gate that others than the run's creator decide.
RELEASE: Final = pack(
    """
    - {id: build, name: Build the image, run: {uses: builtin:noop, with: {image: "app:1.4"}}}
    - id: tests
      parallel:
        steps:
          - {id: unit-tests, run: {uses: builtin:noop}}
          - {id: scan, run: {uses: builtin:noop, with: {critical: 0}}}
    - id: review
      gate: {approval: {id: production, message: Is version 1.4 good for production?}}
    - {id: deploy, name: Deploy to production, run: {uses: builtin:noop}}
    """,
    spec="""
    inputs:
      - {name: version, type: string, default: "1.4"}
    approvals:
      - {id: production, distinctFromRequester: true}
    """,
    name="release-app",
)
FAILING: Final = pack(
    """
    - {id: build, run: {uses: builtin:noop}}
    - id: push
      run: {uses: builtin:fail, with: {message: "registry.example.com: the disk is full"}}
    - {id: announce, run: {uses: builtin:noop}}
    """,
    name="nightly",
)
_BROWSERS: Final = ("chromium", "google-chrome", "chromium-browser")
# The report of a browser in every test of refusals; nothing else may be in its console.
_EXPECTED: Final = "Failed to load resource"
_PATIENCE_MS: Final = 120_000  # how long a person waits for what the stack does by itself
_DESKTOP: Final[Any] = {"width": 1280, "height": 900}
WIDE: Final = 1280  # at which a run's page has two columns
_MARGIN: Final = 16  # around the subject of a picture
_WATCH: Final = """
window.violations = [];
document.addEventListener('securitypolicyviolation', (event) => {
  window.violations.push(`${event.violatedDirective}: ${event.blockedURI} ${event.sample}`);
});
"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the machine's browser, which `.ci/run` installs where there is none."""
    program = next(filter(None, map(shutil.which, _BROWSERS)), None)
    assert program, f"install one of {', '.join(_BROWSERS)}: apt-get install chromium"
    expect.set_options(timeout=_PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox"], timeout=_PATIENCE_MS
        )
        yield browser
        browser.close()


def new_context(browser: Browser) -> BrowserContext:
    """Return a browser of somebody: it shares no cookie, storage or cache with others."""
    context = browser.new_context(viewport=_DESKTOP)
    context.set_default_timeout(_PATIENCE_MS)
    context.add_init_script(_WATCH)
    return context


@dataclass
class Person:
    """Somebody at a page of a browser, who has signed in on the issuer's page."""

    stack: Stack
    name: str
    page: Page
    reports: list[str] = field(default_factory=list)

    @classmethod
    def at(cls, context: BrowserContext, stack: Stack, name: str, place: str = "") -> Person:
        """Return the person called *name*, signed in, at *place* of the console."""
        person = cls(stack, name, context.new_page())
        person.page.on("pageerror", lambda error: person.reports.append(str(error)))
        person.page.on("console", lambda message: person.hear(message.type, message.text))
        person.page.goto(f"{stack.console_url}{place}")
        person.page.get_by_role("button", name="Sign in").click()
        person.enter_password()
        return person

    def hear(self, kind: str, text: str) -> None:
        """Keep what the browser's console shows as a problem."""
        if kind in {"error", "warning"} and not text.startswith(_EXPECTED):
            self.reports.append(text)

    def enter_password(self) -> None:
        """Sign in on the issuer's page, and wait for the console."""
        self.page.locator("input[name=username]").fill(self.name)
        self.page.locator("input[name=password]").fill(self.stack.people[self.name].password)
        self.page.locator("input[name=password]").press("Enter")
        expect(self.page.get_by_role("navigation", name="Pages")).to_be_visible()

    def go(self, place: str) -> None:
        """Go to a place of the console, as a link does."""
        self.page.evaluate("place => { location.hash = place; }", place)

    def gate(self, run_id: str) -> Locator:
        """Return the card of the gate that *run_id* waits at."""
        return self.page.get_by_role("article").filter(has_text=run_id)

    def decide(self, run_id: str, verb: str, comment: str = "") -> Locator:
        """Answer the gate of a run and confirm, and return the dialog."""
        self.gate(run_id).get_by_role("button", name=f"{verb} …").click()
        dialog = self.page.get_by_role("dialog")
        expect(dialog).to_contain_text(run_id)
        dialog.get_by_role("textbox").fill(comment)
        dialog.get_by_role("button", name=f"{verb} production").click()
        return dialog

    def problems(self) -> list[str]:
        """Return what went wrong in the browser: errors, and violations of the policy."""
        violations: list[str] = self.page.evaluate("window.violations")
        return self.reports + violations

    def picture(
        self,
        path: Path | None,
        last: Locator | None = None,
        *,
        width: int = 960,
        alone: bool = False,
    ) -> None:
        """Write the page to *path*, if pictures are wanted.

        The picture ends below the element *last*, or has this element *alone*.
        """
        if path is None:
            return
        usual = self.page.viewport_size or _DESKTOP
        self.page.set_viewport_size({"width": width, "height": usual["height"]})
        self.page.evaluate("scrollTo(0, 0)")
        if last is None:
            self.page.screenshot(path=path, animations="disabled")
        else:
            box = last.bounding_box()
            assert box
            top = max(box["y"] - _MARGIN, 0) if alone else 0
            bottom = box["y"] + box["height"] + _MARGIN
            clip: Any = {"x": 0, "y": top, "width": width, "height": bottom - top}
            self.page.screenshot(path=path, animations="disabled", full_page=True, clip=clip)
        self.page.set_viewport_size(usual)
