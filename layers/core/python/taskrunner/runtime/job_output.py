"""The output of scripts on workers, as the run's log takes it: redacted, in order, and bounded."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from taskrunner.errors import SecretError
from taskrunner.expressions import templates
from taskrunner.model.entries import job_entries
from taskrunner.model.job import MAX_OUTPUT_BYTES
from taskrunner.model.plan import RunStep
from taskrunner.model.redaction import Redactor
from taskrunner.runtime.step_secrets import read_secrets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskrunner.model.job import Job, Lease
    from taskrunner.model.journal import Entry
    from taskrunner.model.worker_reports import OutputBatch
    from taskrunner.runtime.running_step import RunningStep

# The state of a run is the fold of its log, so no run may fill the log with output.
_MOST_CHUNKS: Final = 2000


def step_redactor(running: RunningStep) -> Redactor:
    """Return the redactor of the secrets that the step reads.

    Raises:
        SecretError: one cannot be used.
    """
    assert isinstance(running.step, RunStep)  # noqa: S101 - only these have jobs
    references = templates.references(running.step.parameters)
    return Redactor(read_secrets(references, running.snapshot.run.tenant, running.world))


def recorded(
    job: Job, lease: Lease, output: Sequence[OutputBatch], running: RunningStep
) -> tuple[Lease, list[Entry]]:
    """Return *lease* with the new parts of *output* counted, and their entries.

    Parts that were recorded before are left out, and so is all that goes beyond the limits of an
    attempt or a run. The worker has redacted the output, and it is redacted here again: what the
    log says must not depend on a worker. Without the secrets nothing is recorded.
    """
    new = [batch for batch in output if batch.sequence > lease.output_sequence]
    if not new:
        return lease, []
    counted = replace(lease, output_sequence=new[-1].sequence)
    if running.snapshot.last_entries[-1].position.chunk >= _MOST_CHUNKS:
        return replace(counted, output_bytes=MAX_OUTPUT_BYTES), []
    try:
        redactor = step_redactor(running)
    except SecretError:
        return counted, []
    entries, now = [], running.now()
    left = MAX_OUTPUT_BYTES - lease.output_bytes
    for batch in new:
        text = redactor.text(batch.text).encode("utf-8", "replace")[: max(0, left)]
        left -= len(text)
        if text:
            entries.append(
                job_entries.output_written(
                    job.step_path,
                    job.attempt,
                    text.decode("utf-8", "ignore"),
                    now,
                    number=f"{job.losses + 1}#{batch.sequence}",
                    stream=batch.stream.value,
                )
            )
    if left <= 0 < MAX_OUTPUT_BYTES - lease.output_bytes:
        entries.append(job_entries.output_cut(job.step_path, job.attempt, now))
    return replace(counted, output_bytes=MAX_OUTPUT_BYTES - left), entries


def bytes_left(lease: Lease) -> int:
    """Return how much more output of the attempt is recorded."""
    return max(0, MAX_OUTPUT_BYTES - lease.output_bytes)
