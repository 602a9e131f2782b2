"""`taskrunner login` against the stack's own user pool: somebody signs in on the issuer's page."""

from __future__ import annotations

import html
import re
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import httpx

from taskrunner_cli.app import main
from taskrunner_cli.world import World
from tests.stack.api import PATIENCE_S

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from taskrunner_cli.local import Stack


@dataclass
class Somebody:
    """A person at a browser, who fills in the issuer's form."""

    name: str
    password: str = field(repr=False)
    threads: list[threading.Thread] = field(default_factory=list)

    def show(self, url: str) -> bool:
        self.threads.append(threading.Thread(target=self._sign_in, args=(url,)))
        self.threads[-1].start()
        return True

    def _sign_in(self, url: str) -> None:
        with httpx.Client(follow_redirects=True, timeout=PATIENCE_S) as http:
            page = http.get(url)
            hidden = re.findall(r'<input[^>]*name="([^"]+)"[^>]*value="([^"]*)"', page.text)
            form: dict[str, Any] = {name: html.unescape(value) for name, value in hidden}
            action = re.search(r'<form[^>]*action="([^"]*)"', page.text)
            target = urljoin(str(page.url), html.unescape(action[1]) if action else "")
            person = {"username": self.name, "password": self.password}
            http.post(target, data=form | person)


def test_a_person_signs_in_and_sees_what_waits_for_them(
    stack: Stack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    somebody = Somebody("bob", stack.people["bob"].password)
    world = World(environ={"XDG_CONFIG_HOME": str(tmp_path)}, browser=somebody)

    signed_in = main(["login", "--profile", "stack", "--api-url", stack.api_url], world)
    for thread in somebody.threads:
        thread.join()
    listed = main(["approvals", "--profile", "stack"], world)

    printed = capsys.readouterr()
    assert (signed_in, listed) == (0, 0), printed
    assert "signed in with profile stack" in printed.out
