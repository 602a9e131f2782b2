"""The table's stream: it brings what has changed to publish_events, until that has taken it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from taskrunner.adapters.table_layout import APPROVALS, CHUNKS
from taskrunner.model.lifecycle import events_of
from taskrunner.model.run import RunStatus
from tests.faults.aws import FunctionDiedError, NotBegunError
from tests.faults.stored import images

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.invariants import Record
    from tests.faults.service import Service

# A fault strikes once, so that a batch is taken at the second try.
_TRIES = 2


@dataclass
class Stream:
    """The stream of one play; *taken* has the images that publish_events has seen, by key."""

    service: Service
    taken: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    def deliver(self) -> None:
        """Bring all changes since the last batch that was taken. Lambda repeats one that fails."""
        for _ in range(_TRIES):
            present = {key: image for key, image in images().items() if _passes_the_filter(key)}
            records = [
                _record(key, self.taken.get(key), image)
                for key, image in present.items()
                if self.taken.get(key) != image
            ]
            if not records:
                return
            try:
                self.service.invoke("publish_events", {"Records": records}, "")
            except (Exception, FunctionDiedError, NotBegunError):  # noqa: BLE001, S112 - see above
                continue
            self.taken = present
            return


def _passes_the_filter(key: tuple[str, str]) -> bool:
    return key[1].startswith((CHUNKS, APPROVALS))


def _record(
    key: tuple[str, str], before: dict[str, Any] | None, after: dict[str, Any]
) -> dict[str, Any]:
    images_of_record = {"NewImage": after} | ({} if before is None else {"OldImage": before})
    return {
        "eventName": "INSERT" if before is None else "MODIFY",
        "dynamodb": {"Keys": {"pk": {"S": key[0]}, "sk": {"S": key[1]}}, **images_of_record},
    }


def problems(service: Service, record: Record) -> Iterator[str]:
    """Yield each transition in the journal of which no event was published."""
    published = {event["id"] for event in service.aws.published}
    for event in events_of(record.run, RunStatus.QUEUED, record.entries):
        if event.detail["id"] not in published:
            yield f"the event {event.name} of {event.detail.get('stepId', 'the run')} is missing"
