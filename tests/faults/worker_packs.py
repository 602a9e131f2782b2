"""The packs of scenarios whose steps run on workers, and how their attempts end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from tests.packs import pack

if TYPE_CHECKING:
    from collections.abc import Mapping


class Script(NamedTuple):
    """The ends of the attempts of a step.

    - *failing*: the numbers of the attempts that fail.
    - *losses*: how many of the workers that take the step's jobs are lost, before any reports.
    - *stopped*: how many of the workers that have reported are stopped then, and give the job back.
    - *after*: the ids of entries that must be in the journal before an attempt ends.
    - *has_file*: an attempt uploads a file before its end.
    """

    failing: tuple[int, ...] = ()
    losses: int = 0
    stopped: int = 0
    after: tuple[str, ...] = ()
    has_file: bool = False


_AFTER: Final = """
    - {id: after, run: {uses: builtin:noop}}
"""
_FINALLY: Final = """
finally:
  - {id: notify, run: {uses: builtin:noop, with: {why: "{{ run.failureReason }}"}}}
"""
ON_A_WORKER: Final = pack(
    """
    - id: tests
      run: {uses: worker:linux, with: {script: make, env: {TOKEN: "{{ secrets.token }}"}}}
    - {id: after, run: {uses: builtin:noop, with: {path: "{{ steps.tests.outputs.path }}"}}}
    """,
    spec="secrets: [{name: token}]",
    name="on-a-worker",
)
RETRIED: Final = pack(
    """
    - id: tests
      retries: {maxAttempts: 2, backoffSeconds: 1}
      run: {uses: worker:linux, with: {script: make}}
    """
    + _AFTER,
    name="retried",
)
MAPPED: Final = pack(
    """
    - id: each
      map:
        items: {static: [1, 2]}
        steps: [{id: leaf, run: {uses: worker:linux, with: {script: "echo {{ item }}"}}}]
    """
    + _AFTER,
    name="mapped",
)
# The lane `waits` is for a pool without workers.
_LANES: Final = """
    - id: lanes
      parallel:
        steps:
          - {id: long, run: {uses: worker:linux, with: {script: sleep 9}}}
          - {id: broken, run: {uses: worker:linux, with: {script: exit 2}}}
          - {id: waits, run: {uses: worker:rare, with: {script: make}}}
"""
BESIDE_A_FAILURE: Final = pack(_LANES + _AFTER, name="beside-a-failure")
CONTAINED: Final = pack(
    """
    - id: outer
      continueOnError: true
      parallel:
        steps:
          - id: lanes
            parallel:
              steps:
                - {id: long, run: {uses: worker:linux, with: {script: sleep 9}}}
                - {id: broken, run: {uses: worker:linux, with: {script: exit 2}}}
                - {id: waits, run: {uses: worker:rare, with: {script: make}}}
    """
    + _AFTER,
    name="contained-on-workers",
)
FINALLY: Final = pack(_LANES + _AFTER, spec=_FINALLY, name="finally-on-workers")

LONG: Final = Script(after=("never",))
# Both other lanes have come to their pools by then.
BROKEN: Final = Script(failing=(1,), after=("long#1#started", "waits#1#offered"))
BESIDE: Final[Mapping[str, Script]] = {"long": LONG, "broken": BROKEN}
