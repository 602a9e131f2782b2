"""The lines that draw a tree in the first column of a table."""

from collections.abc import Sequence


def tree_guides(depths: Sequence[int]) -> list[str]:
    """Return the guide before each node of a tree, whose nodes come with their depths in order.

    Roots, of depth 0, have no guide, so that a flat list is drawn as one. A node whose parent is
    not there is drawn below the nearest node around it that is.
    """
    depths = _without_gaps(depths)
    guides: list[str] = []
    continues: list[bool] = []  # whether a later node stands at this depth below the same parent
    for position in range(len(depths) - 1, -1, -1):
        depth = depths[position]
        del continues[depth + 1 :]
        continues += [False] * (depth + 1 - len(continues))
        bars = "".join("│  " if later else "   " for later in continues[1:depth])
        guides.append(bars + ("├─ " if continues[depth] else "└─ ") if depth else "")
        continues[depth] = True
    return guides[::-1]


def _without_gaps(depths: Sequence[int]) -> list[int]:
    """Return each node's depth by the nodes around it that are there."""
    around: list[int] = []
    found: list[int] = []
    for depth in depths:
        while around and around[-1] >= depth:
            around.pop()
        found.append(len(around))
        around.append(depth)
    return found
