"""The statements of the IAM, KMS and resource policies in the template."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


def statements(node: Any, within: str = "") -> Iterator[tuple[str, dict[str, Any]]]:  # noqa: ANN401
    """Yield every policy statement below *node*, with the name of the resource that contains it."""
    if isinstance(node, dict):
        if "Effect" in node:
            yield within, node
        for key, child in node.items():
            yield from statements(child, within or key)
    elif isinstance(node, list):
        for child in node:
            yield from statements(child, within)


def actions(statement: dict[str, Any]) -> list[str]:
    """Return the actions of a statement; none for one with NotAction."""
    listed = statement.get("Action", [])
    return [listed] if isinstance(listed, str) else listed
