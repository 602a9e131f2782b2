"""The notification that approvers get when a gate starts to wait.

A notification leaves the service by mail and queues, and every subscriber reads it. It contains
what an approver needs to find and decide the gate, but no task token, and no input or output but
those that the pack's message reads.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Final

from taskrunner.model.access import DECIDE_APPROVAL
from taskrunner.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from taskrunner.model.json_types import JsonMapping, JsonObject
    from taskrunner.model.run import Reason, Run

# SNS takes 256 KiB, including the attributes. An escaped character has at most 12 bytes, so texts
# of these lengths always fit.
MAX_BYTES: Final = 256 * 1024
_MAX_MESSAGE_LENGTH: Final = 8000
_MAX_GRANTS_LENGTH: Final = 4000
_MAX_NAME_LENGTH: Final = 1000
# Each grant has a line, whose other characters count too.
_GRANT_LINE_LENGTH: Final = 9
_ID_DIGITS: Final = 32
# SNS documents 100 characters as the limit, in one place included and in another excluded.
_MAX_SUBJECT_LENGTH: Final = 99


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """The message that one gate waits. A repeated message has the same *id*.

    *subject* has at most 99 printable ASCII characters and begins with a letter. *attributes* are
    for subscribers to filter by, and are never empty. *body* is a JSON document of printable
    characters. All of it together is less than 256 KiB in UTF-8.
    """

    id: str
    subject: str
    attributes: Mapping[str, str]
    body: str


def awaiting(run: Run, summary: JsonMapping, kind: Reason, *, min_approvals: int) -> Notification:
    """Return the notification of a gate of *run*.

    *summary* is the gate's entry in the list of open approvals.
    *kind* is `awaiting-approval`, or `awaiting-override` for a policy's gate.
    """
    path, approval_id = summary["stepId"], summary["approvalId"]
    # A run id may be used again after retention, but not with the same time of creation.
    opening = f"{run.tenant}\x00{run.run_id}\x00{run.created_at}\x00{path}"
    notification_id = hashlib.sha256(opening.encode(errors="replace")).hexdigest()[:_ID_DIGITS]
    document = {
        "id": notification_id,
        "kind": kind.value,
        "tenant": run.tenant,
        **{name: value for name, value in summary.items() if name != "distinctFromRequester"},
        "minApprovals": min_approvals,
        # Neither id contains a character that a path would escape.
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
        body=_to_text(_with_short_texts(document)),
    )


def _subject(run: Run, approval_id: str, kind: Reason) -> str:
    """Return one line with names only, because SNS encrypts a body but not a subject."""
    action = kind.value.removeprefix("awaiting-").capitalize()
    pack = f"{run.pack_name} {run.pack_version}"
    text = f"{action} needed: {approval_id} of {pack} ({run.tenant})"
    line = "".join(character if " " <= character <= "~" else "?" for character in text)
    is_short = len(line) <= _MAX_SUBJECT_LENGTH
    return line if is_short else f"{line[: _MAX_SUBJECT_LENGTH - 3]}..."


def _with_short_texts(document: JsonObject) -> JsonObject:
    """Return *document* with long members shortened; `cut` then lists those members."""
    short: JsonObject = {
        "message": _shortened(document.get("message"), _MAX_MESSAGE_LENGTH),
        "grants": _first_grants(document["grants"], _MAX_GRANTS_LENGTH),
        "requestedBy": _shortened(document["requestedBy"], _MAX_NAME_LENGTH),
    }
    cut = {name: value for name, value in short.items() if value != document.get(name)}
    return document | cut | {"cut": list(cut)} if cut else document


def _shortened(text: str | None, max_length: int) -> str | None:
    return text if text is None or len(text) <= max_length else f"{text[: max_length - 1]}…"


def _first_grants(grants: Iterable[str], max_length: int) -> list[str]:
    """Return the first *grants*, each of them whole, that have *max_length* characters together."""
    room = max_length
    kept: list[str] = []
    for grant in grants:
        room -= len(grant) + _GRANT_LINE_LENGTH
        if room < 0:
            break
        kept.append(grant)
    return kept


def _to_text(document: JsonObject) -> str:
    """Return *document* as JSON in lines, for mail, with all but printable characters escaped.

    SQS refuses a message with characters that XML does not have, so a subscriber would miss the
    gate. Characters that change the direction of text would let it be read as something else.
    """
    text = json.dumps(document, ensure_ascii=False, indent=2).encode(errors="replace").decode()
    return "".join(
        character if character.isprintable() or character == "\n" else _escaped(character)
        for character in text
    )


def _escaped(character: str) -> str:
    """Return *character* escaped in ASCII (RFC 8259, section 7)."""
    return json.dumps(character)[1:-1]
