"""Runs one job: `python -m taskrunner_cli.worker.supervisor OUTPUT ERRORS`.

OUTPUT and ERRORS are file descriptors for the job's streams. The order arrives on standard input,
and the report leaves on standard output.
"""

import os
import shutil
import sys

from taskrunner_cli.worker.supervisor import limits, processes
from taskrunner_cli.worker.supervisor.orders import read_order
from taskrunner_cli.worker.supervisor.supervision import Supervision


def main() -> None:
    """Run the job of the order, and report its end."""
    limits.ignore_signals()
    processes.adopt_orphans()
    processes.hide_from_others()
    control, report = os.dup(0), os.dup(1)  # the job gets other streams
    order = read_order(_read_line(control))
    supervision = Supervision(order, control)
    ended = supervision.run(*map(int, sys.argv[1:3]))
    if not supervision.is_orphaned:
        try:
            os.write(report, ended.line())
        except BrokenPipeError:
            supervision.is_orphaned = True
    os.close(report)
    # The worker says when it has read everything; without a word it is gone.
    if supervision.is_orphaned or not _read_line(control):
        shutil.rmtree(order.remove, ignore_errors=True)


def _read_line(descriptor: int) -> bytes:
    """Return bytes up to the first line end, or to the end of the stream, and none after it."""
    line = b""
    while not line.endswith(b"\n") and (byte := os.read(descriptor, 1)):
        line += byte
    return line


main()
