"""The events of events/, and their results in the table of docs/local-invoke.md."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.template import ROOT

if TYPE_CHECKING:
    from pathlib import Path

_ROW = re.compile(r"\| (\w+) \| (\w+) \| (.+?) \|")


@dataclass(frozen=True, slots=True)
class EventRow:
    """One row of the table: invoking *function* with the event *case* results in *answer*."""

    function: str
    case: str
    answer: str

    @property
    def folder(self) -> str:
        """The function's folder, derived from its name; test_functions compares the two."""
        words = re.findall("[A-Z][a-z]*", self.function.removesuffix("Function"))
        return "_".join(words).lower()

    @property
    def path(self) -> Path:
        return ROOT / "events" / self.folder / f"{self.case}.json"

    def event(self, *, token: str) -> dict[str, Any]:
        """The payload, with *token* in place of TOKEN, as the page asks its readers to write it."""
        text = self.path.read_text(encoding="utf-8").replace("TOKEN", token)
        event: dict[str, Any] = json.loads(text)
        return event


def event_rows() -> list[EventRow]:
    """Return the rows of the table, in its order."""
    page = (ROOT / "docs" / "local-invoke.md").read_text(encoding="utf-8")
    table = page.partition("| function | event | answer |\n|---|---|---|\n")[2]
    rows = (_ROW.fullmatch(line) for line in table.split("\n\n")[0].splitlines())
    return [EventRow(*row.groups()) for row in rows if row is not None]


def shown(answer: Any) -> str:  # noqa: ANN401 - any JSON, or an error
    """Return what a function returned or raised in the notation of the table."""
    match answer:
        case Exception():
            # API Gateway recognises this error by its text, Step Functions the others by name.
            name = type(answer).__name__
            return "Unauthorized" if str(answer) == "Unauthorized" else name
        case {"statusCode": int(status), "body": str(body)} if status >= 400:
            return f"{status} {json.loads(body)['error']['code']}"
        case {"statusCode": int(status)}:
            return str(status)
        case {"policyDocument": {"Statement": [{"Effect": str(effect)}]}}:
            return effect
    return f"`{json.dumps(answer)}`"
