"""Packs that several modules of machine tests run."""

from __future__ import annotations

from typing import Final

from tests.packs import pack

# A gate between two steps, of which the second reads an output of the first.
GATED: Final = pack(
    """
    - id: build
      run: {uses: builtin:noop, with: {size: 3}}
    - id: review
      gate: {approval: {id: security}}
    - id: ship
      run: {uses: builtin:noop, with: {size: "{{ steps.build.outputs.size }}"}}
    """,
    spec="approvals: [{id: security, grants: [packs.approve]}]",
)
