"""What approvers are told when a gate begins to wait for them.

A notification leaves the service, by mail and by queues, and is read by whoever has subscribed. So
it has what it takes to find and decide the gate, and nothing that opens it: no task token, no input
and no output of a step.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from taskrunner.model.access import DECIDE_APPROVAL

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from taskrunner.model.json_types import JsonMapping, JsonObject
    from taskrunner.model.run import Reason, Run

# SNS takes 256 KiB, the attributes among them. A character is at most 12 bytes as it is written, so
# that what is cut to these lengths is less, whatever stands in it.
MAX_BYTES: Final = 256 * 1024
_MAX_MESSAGE: Final = 8000
_MAX_GRANTS: Final = 4000
_MAX_NAME: Final = 1000
# A grant stands on a line of its own.
_LINE: Final = 9
_ID_DIGITS: Final = 32
# Less than the 100 that SNS names as its limit, once as the last length and once as the first not.
_MAX_SUBJECT: Final = 99


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """That one gate waits. Whoever publishes it again repeats its *id*.

    *subject* is at most 99 printable ASCII characters and begins with a letter; *attributes*, which
    subscribers filter by, are never empty; *body* is a JSON document in printable characters. All
    of it together is less than 256 KiB in UTF-8.
    """

    id: str
    subject: str
    attributes: Mapping[str, str]
    body: str


def awaiting(run: Run, summary: JsonMapping, kind: Reason, *, min_approvals: int) -> Notification:
    """That a gate of *run* waits, which is listed among the open approvals as *summary*.

    *kind* is `awaiting-approval`, or `awaiting-override` for a policy's gate.
    """
    path, approval_id = summary["stepId"], summary["approvalId"]
    # The id of a run may be used again once it is forgotten; its time of creation is another.
    opening = f"{run.tenant}\x00{run.run_id}\x00{run.created_at}\x00{path}"
    notification_id = hashlib.sha256(opening.encode(errors="replace")).hexdigest()[:_ID_DIGITS]
    document = {
        "id": notification_id,
        "kind": kind.value,
        "tenant": run.tenant,
        **summary,
        "minApprovals": min_approvals,
        # The letters of both ids are such that a path takes them as they are.
        "decisionPath": DECIDE_APPROVAL.path.format(runId=run.run_id, approvalId=approval_id),
    }
    return Notification(
        id=notification_id,
        subject=_subject(run, approval_id, kind),
        attributes={
            "tenant": run.tenant,
            "pack": run.pack_name,
            "approvalId": approval_id,
            "kind": kind.value,
        },
        body=_written(_cut(document)),
    )


def _subject(run: Run, approval_id: str, kind: Reason) -> str:
    """One line of names alone: SNS encrypts a message's body, and not its subject."""
    wanted = kind.value.removeprefix("awaiting-").capitalize()
    pack = f"{run.pack_name} {run.pack_version}"
    text = f"{wanted} needed: {approval_id} of {pack} ({run.tenant})"
    line = "".join(one if " " <= one <= "~" else "?" for one in text)
    return line if len(line) <= _MAX_SUBJECT else f"{line[: _MAX_SUBJECT - 3]}..."


def _cut(document: JsonObject) -> JsonObject:
    """*document* without what is too long; `cut` then names the members that are not whole."""
    grants = document["grants"]
    short: JsonObject = {
        "message": _shortened(document.get("message"), _MAX_MESSAGE),
        "grants": _first(grants, _MAX_GRANTS),
        "requestedBy": _shortened(document["requestedBy"], _MAX_NAME),
    }
    cut = {name: value for name, value in short.items() if value != document.get(name)}
    return document | cut | {"cut": list(cut)} if cut else document


def _shortened(text: str | None, most: int) -> str | None:
    return text if text is None or len(text) <= most else f"{text[: most - 1]}…"


def _first(grants: Iterable[str], most: int) -> list[str]:
    """As many of *grants* as have *most* characters together, each of them whole."""
    kept: list[str] = []
    for grant in grants:
        most -= len(grant) + _LINE
        if most < 0:
            break
        kept.append(grant)
    return kept


def _written(document: JsonObject) -> str:
    """JSON in lines, as mail shows it, of characters that can be seen, and others escaped.

    SQS refuses a message with a character that XML has not, and the subscriber would never hear of
    the gate; one that turns the direction of the text would let it be read as something else.
    """
    text = json.dumps(document, ensure_ascii=False, indent=2).encode(errors="replace").decode()
    return "".join(one if one.isprintable() or one == "\n" else _escaped(one) for one in text)


def _escaped(character: str) -> str:
    """As JSON has it in a string (RFC 8259, section 7), in ASCII."""
    return json.dumps(character)[1:-1]
