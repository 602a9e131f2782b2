"""The items that record how the last attempts of steps ended."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from taskrunner.adapters.table_layout import outcome_key, partition_of, run_partition
from taskrunner.adapters.table_requests import Put, by_prefix
from taskrunner.model.run import StepOutcome, StepStatus

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from taskrunner.adapters.large_texts import LargeTexts
    from taskrunner.adapters.retention import Retention
    from taskrunner.adapters.table import Table
    from taskrunner.adapters.table_requests import Item
    from taskrunner.model.run import Run

_MAX_INLINE_BYTES: Final = 8 * 1024


class StepOutcomes:
    """Step outcomes in the table; large outputs are objects in the bucket."""

    def __init__(self, table: Table, large_texts: LargeTexts, retention: Retention) -> None:
        """Keep outcomes for as long as *retention* keeps their runs."""
        self._table = table
        self._large_texts = large_texts
        self._retention = retention

    def read(self, tenant: str, run_id: str, paths: Collection[str]) -> dict[str, StepOutcome]:
        """Return the outcomes of the steps at *paths* that have ended, by path."""
        partition = run_partition(tenant, run_id)
        keys = [outcome_key(partition, path) for path in sorted(paths)]
        return self._by_path(self._table.batch(keys))

    def read_below(self, tenant: str, run_id: str, path_prefix: str) -> dict[str, StepOutcome]:
        """Return the outcomes of all steps whose paths begin with *path_prefix*, by path."""
        prefix = outcome_key(run_partition(tenant, run_id), path_prefix)
        return self._by_path(self._table.query(by_prefix(prefix)))

    def _by_path(self, items: Iterable[Item]) -> dict[str, StepOutcome]:
        return {item["path"]: self.from_item(item) for item in items}

    def from_item(self, item: Item) -> StepOutcome:
        """Return the outcome that *item* stores; fetches large outputs from the bucket."""
        claim = item.get("claim")
        text = self._large_texts.fetch(claim) if claim else item.get("outputs", "null")
        return StepOutcome(
            path=item["path"],
            attempt=item["attempt"],
            status=StepStatus(item["status"]),
            outputs=json.loads(text),
            final=item["final"],
        )

    def put(self, run: Run, outcome: StepOutcome) -> Put:
        """Return the write that stores *outcome*, unless this attempt's or a later one is stored.

        Large outputs are in the bucket when this returns.
        """
        text = json.dumps(outcome.outputs, ensure_ascii=False, separators=(",", ":"))
        is_large = len(text.encode()) > _MAX_INLINE_BYTES
        return Put(
            item={
                **outcome_key(partition_of(run), outcome.path)._asdict(),
                "path": outcome.path,
                "attempt": outcome.attempt,
                "status": outcome.status.value,
                "final": outcome.final,
                "claim": self._large_texts.store(run, text) if is_large else None,
                "outputs": None if is_large or outcome.outputs is None else text,
                "expires_at": self._retention.expires_at(run),
            },
            condition="attribute_not_exists(pk) OR attempt < :attempt",
            values={":attempt": outcome.attempt},
        )
