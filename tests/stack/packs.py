"""Packs that several modules of stack tests run."""

from __future__ import annotations

from typing import Final

from tests.packs import pack

# One step that does nothing.
STEP: Final = pack("- {id: one, run: {uses: builtin:noop}}")
# One gate and nothing else.
GATE: Final = pack(
    "- {id: review, gate: {approval: {id: security}}}", spec="approvals: [{id: security}]"
)
# A gate between two steps.
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
