"""A run whose documents a test makes, because the service would need minutes or hours for them."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Route

    from tests.stack.console.browser import Person

RUN_ID: Final = "made"
_STARTED: Final = "2026-01-01T00:00:00Z"
_ENDED: Final = "2026-01-01T00:00:09Z"
_HASH: Final = f"sha256:{'0' * 64}"


def step(step_id: str, status: str = "Succeeded", **more: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return a step as the state of a run has it; *more* replaces its members."""
    common = {"enabled": True, "continueOnError": False, "attempts": 1, "kind": "Run"}
    return {"stepId": step_id, "templateId": step_id, "status": status, **common} | more


def entry(event: str, message: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return an entry of a log; *more* replaces its members."""
    common = {"timestamp": _STARTED, "level": "info"}
    return {**common, "eventType": event, "message": message} | more


def printed(text: str, stream: str = "stdout") -> dict[str, Any]:
    """Return an entry with output of the step `build`."""
    metadata = {"attempt": "1", "stream": stream}
    return entry("step.output", text, stepId="build", metadata=metadata)


@dataclass
class MadeRun:
    """A run of a pack that has ended, with the id RUN_ID."""

    steps: list[dict[str, Any]]
    log: list[dict[str, Any]] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    status: str = "failed"

    def state(self) -> dict[str, Any]:
        """Return the state as the service shows it."""
        return {
            "runId": RUN_ID,
            "tenantId": "tenant-prod",
            "status": self.status,
            "pack": {"name": "made-pack", "version": "1.0.0"},
            "planHash": _HASH,
            "definitionHash": _HASH,
            "failurePolicy": {"maxAttempts": 1, "backoffSeconds": 0, "continueOnError": False},
            "createdAt": _STARTED,
            "updatedAt": _ENDED,
            "endedAt": _ENDED,
            "steps": self.steps,
        }

    @contextmanager
    def shown_to(self, person: Person, place: str = "") -> Iterator[None]:
        """Let *person* look at the run, at *place* in it."""
        lines = [
            json.dumps({**line, "cursor": f"0.{number}"}) for number, line in enumerate(self.log)
        ]

        def answer(route: Route) -> None:
            address = route.request.url
            if "/logs?" in address:
                is_first = "tail=" in address
                body = "".join(f"{line}\n" for line in lines) if is_first else ""
                headers = {"X-TaskRunner-Cursor": f"0.{len(lines)}"}
                route.fulfill(status=200, body=body, headers=headers)
            elif "/steps/" in address:
                route.fulfill(status=200, json=self.details)
            else:
                route.fulfill(status=200, json=self.state())

        pattern = re.compile(rf"/runs/{RUN_ID}([/?]|$)")
        person.page.route(pattern, answer)
        person.go("#/runs")
        person.go(f"#/runs/{RUN_ID}{place}")
        yield
        person.go("#/runs")
        person.page.unroute(pattern)
