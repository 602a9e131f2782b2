"""The records of the table's stream: entries that were added to a journal, and closed approvals.

Lambda hands on the records of these items alone (the filter in template.yaml). A gate's item has a
task token, so it must not come here.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBRecord

from taskrunner.adapters.table_layout import APPROVALS, CHUNKS, tenant_and_run_id
from taskrunner.model import journal
from taskrunner.usecases.publish_events import AddedEntries, ClosedApproval

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from taskrunner.model.journal import Entry
    from taskrunner.usecases.publish_events import Change


def change(record: Mapping[str, Any]) -> Change | None:
    """Return what *record* says has changed, or None when it says nothing of interest.

    Raises:
        KeyError, ValueError: it was written by no release that this one knows.
    """
    images = DynamoDBRecord(dict(record)).dynamodb
    if images is None:
        raise KeyError("dynamodb")
    key, before, after = images.keys, images.old_image, images.new_image
    if not after:
        return None  # retention deletes items
    tenant, run_id = tenant_and_run_id(key["pk"])
    place = key["sk"]
    if place.startswith(CHUNKS):
        present = _entries(before)
        added = _entries(after)[len(present) :]
        chunk = int(place.removeprefix(CHUNKS))
        return AddedEntries(tenant, run_id, chunk, present, added) if added else None
    if place.startswith(APPROVALS) and "verdict" in after and "summary" in before:
        opened_at = json.loads(before["summary"])["openedAt"]
        decided_at = after["decisions"][-1]["at"]
        return ClosedApproval(tenant, run_id, opened_at, decided_at)
    return None


def run_of(records: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return tenant and run of *records*, as lines of the log name them.

    Return nothing if they are about several runs, or their keys are not of a known form.
    """
    try:
        found = {tenant_and_run_id(record["dynamodb"]["Keys"]["pk"]["S"]) for record in records}
        ((tenant, run_id),) = found
    except (KeyError, ValueError, TypeError, AttributeError):
        return {}
    return {"tenant": tenant, "run": run_id}


def _entries(image: Mapping[str, Any]) -> list[Entry]:
    return [journal.from_document(json.loads(text)) for text in image.get("entries", [])]
