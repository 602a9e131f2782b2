"""An iteration of a loop reads the value of the one before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.machine.runs import log, outputs, run, statuses
from tests.packs import pack

if TYPE_CHECKING:
    from tests.machine.client import Client


def test_a_loop_carries_a_value_from_each_iteration_to_the_next(ana: Client) -> None:
    manifest = pack(
        """
        - id: pages
          loop:
            items: {range: {start: 1, end: 9}}
            iterator: number
            until: "!(steps.read.outputs.next) || previous.next == 'none'"
            aggregation: last
            outputs: "{next: steps.read.outputs.next, sum: sum([previous.sum || `0`, number])}"
            body:
              - id: ask
                run:
                  uses: builtin:noop
                  with: {token: "{{ previous.next }}", first: "{{ !previous }}"}
              - id: read
                conditional:
                  outputUnion: true
                  branches:
                    - condition: number < `4`
                      steps: [{id: more, run: {uses: builtin:noop, with: {next: "t{{ number }}"}}}]
        - id: after
          run: {uses: builtin:noop, with: {end: "{{ steps.pages.outputs }}"}}
        """
    )
    state = run(ana, manifest)

    assert state["status"] == "succeeded", statuses(state)
    asked = [outputs(ana, state, f"pages[{number}]::ask") for number in range(4)]
    assert asked == [
        {"token": None, "first": True},
        {"token": "t1", "first": False},
        {"token": "t2", "first": False},
        {"token": "t3", "first": False},
    ]
    assert outputs(ana, state, "after") == {"end": {"result": {"next": None, "sum": 10}}}
    assert "pages[4]::ask" not in statuses(state)


def test_previous_is_that_of_the_innermost_loop(ana: Client) -> None:
    manifest = pack(
        """
        - id: outer
          loop:
            items: {static: [a, b]}
            iterator: letter
            index: row
            body:
              - id: inner
                loop:
                  items: "[letter, previous.results[-1].inner[-1] || 'none']"
                  maxIterations: 2
                  body:
                    - id: leaf
                      run: {uses: builtin:noop, with: {list: "{{ previous.list }}+{{ item }}"}}
              - id: hide
                loop:
                  items: {static: [x]}
                  iterator: previous
                  body: [{id: own, run: {uses: builtin:noop, with: {it: "{{ previous }}"}}}]
              - id: each
                map:
                  items: "`[1, 2]`"
                  outputs: >-
                    {inner: steps.in-map.outputs.inner, row: row, before: previous.results[].row}
                  steps:
                    - id: in-map
                      when: row == `0` || previous
                      run:
                        uses: builtin:noop
                        with: {inner: "{{ steps.inner.outputs.results[*].list }}"}
        - id: after
          run: {uses: builtin:noop, with: {end: "{{ steps.outer.outputs.results[*].results }}"}}
        """
    )
    state = run(ana, manifest)

    assert state["status"] == "succeeded", statuses(state)
    first = {"inner": ["+a", "+a+none"], "row": 0, "before": None}
    second = {"inner": ["+b", "+b++a+none"], "row": 1, "before": [0, 0]}
    assert outputs(ana, state, "after") == {"end": [[first, first], [second, second]]}
    assert outputs(ana, state, "outer[1]::hide[0]::own") == {"it": "x"}


def test_an_iteration_that_failed_and_was_let_pass_has_a_value_too(ana: Client) -> None:
    manifest = pack(
        """
        - id: turns
          continueOnError: true
          loop:
            items: "`[1, 2, 3]`"
            outputs: "{at: item, ok: steps.odd.status == 'Succeeded', before: previous.at}"
            body:
              - id: odd
                run:
                  uses: builtin:assert
                  with: {that: "{{ item != `2` && previous.at != `0` }}"}
        - {id: after, run: {uses: builtin:noop, with: {end: "{{ steps.turns.outputs.results }}"}}}
        """
    )
    state = run(ana, manifest)

    assert statuses(state)["turns"] == "Failed"
    assert outputs(ana, state, "after") == {
        "end": [
            {"at": 1, "ok": True, "before": None},
            {"at": 2, "ok": False, "before": 1},
            {"at": 3, "ok": True, "before": 2},
        ]
    }
    recorded = [line["message"] for line in log(ana, state["runId"])]
    assert [text for text in recorded if "Value recorded" in text] == [
        f"Value recorded: iteration {number} of turns" for number in range(3)
    ]


def test_a_value_that_is_too_large_to_carry_fails_the_loop(ana: Client) -> None:
    manifest = pack(
        """
        - id: grow
          continueOnError: true
          loop:
            items: {range: {start: 0, end: 30}}
            outputs: "join('', ['0123456789abcdef', previous || '', previous || ''])"
            body: [{id: leaf, run: {uses: builtin:noop}}]
        - id: after
          run:
            uses: builtin:noop
            with:
              kept: "{{ length(steps.grow.outputs.results) }}"
              why: "{{ steps.grow.error }}"
        """
    )
    state = run(ana, manifest)

    steps = statuses(state)
    assert steps["grow"] == "Failed executor-error"
    assert steps["grow[12]::leaf"] == "Succeeded"
    assert steps["grow[13]::leaf"] == "Skipped parent-skipped"
    assert outputs(ana, state, "after") == {
        "kept": 12,
        "why": "the value of iteration 12 has 131058 bytes, and the next one can read at most "
        "65536 as 'previous'; let the loop's 'outputs' give what it needs",
    }
