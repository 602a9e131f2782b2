"""Packs that showed a fault once, with what they do: whole runs on a Step Functions engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.machine.runs import run, statuses
from tests.packs import pack

if TYPE_CHECKING:
    from tests.machine.client import Client


def test_default_names_of_an_inner_block_hide_those_around_it(ana: Client) -> None:
    manifest = pack(
        """
        - id: outer
          loop:
            items: {static: [{hosts: [{name: a}, {name: b}]}, {hosts: [{name: c}]}]}
            body:
              - id: inner
                map:
                  items: item.hosts
                  step: {id: leaf, run: {uses: builtin:noop, with: "{{ item }}"}}
        - id: whole
          run:
            uses: builtin:noop
            with: "{{ {names: steps.outer.outputs.results[].results[].name} }}"
        - id: check
          run:
            uses: builtin:assert
            with: {that: "{{ steps.whole.outputs.names == ['a', 'b', 'c'] }}"}
        """
    )

    assert statuses(run(ana, manifest))["check"] == "Succeeded"


def test_a_with_that_becomes_no_object_fails_its_step(ana: Client) -> None:
    state = run(ana, pack("- {id: a, run: {uses: builtin:noop, with: '{{ run.id }}'}}"))

    assert statuses(state) == {"a": "Failed executor-error"}
