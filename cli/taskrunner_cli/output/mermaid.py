"""A plan as the text of a Mermaid flowchart, which GitHub and many editors draw.

All text of a pack stands in quotes and without characters that end them, so it stays text.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any, Final, NamedTuple, TypeAlias

_Step: TypeAlias = Mapping[str, Any]
_MOST_CHARACTERS: Final = 80
_UNSAFE: Final = re.compile(r"[^\w .,:/+*=()?!@'-]")  # quotes, and what begins a directive
_PARALLEL: Final = "Parallel"
_CONDITIONAL: Final = "Conditional"
_SHAPES: Final = {"step": ("[", "]"), "gate": ("{{", "}}"), "choice": ("{", "}")}
_GATES: Final = frozenset({"GateApproval", "GatePolicy"})
_ITERATED: Final = frozenset({"Map", "Loop"})


class _Ends(NamedTuple):
    """The nodes at which a step begins, and those at which it ends with the labels of the ways."""

    entries: list[str]
    exits: list[tuple[str, str]]


def mermaid_flowchart(plan: _Step) -> str:
    """Return the flowchart of a plan's document: its steps, gates, blocks and branches."""
    lines = _Flowchart().lines(plan["steps"], plan.get("finally", ()))
    return "\n".join(["flowchart TD", *lines, ""])


class _Flowchart:
    """The nodes and arrows of one plan, drawn in the order of its steps."""

    def __init__(self) -> None:
        self._ids = (f"n{number}" for number in count(1))
        self._lines: list[str] = []

    def lines(self, steps: Sequence[_Step], final_steps: Sequence[_Step]) -> list[str]:
        """Return the lines for all *steps* and then *final_steps*, between a start and an end."""
        start, end = next(self._ids), next(self._ids)
        self._lines.append(f'  {start}(["start"])')
        ends = self._sequence(steps, [(start, "")], 1)
        if final_steps:
            final = next(self._ids)
            self._lines.append(f'  {final}(["finally, also after a failure"])')
            self._connect(ends, [final])
            ends = self._sequence(final_steps, [(final, "")], 1)
        self._lines.append(f'  {end}(["end"])')
        self._connect(ends, [end])
        return self._lines

    def _sequence(
        self, steps: Sequence[_Step], before: list[tuple[str, str]], depth: int
    ) -> list[tuple[str, str]]:
        for step in steps:
            drawn = self._step(step, depth)
            self._connect(before, drawn.entries)
            before = drawn.exits
        return before

    def _connect(self, exits: Sequence[tuple[str, str]], entries: Sequence[str]) -> None:
        for node, label in exits:
            arrow = f'-->|"{label}"|' if label else "-->"
            self._lines += [f"  {node} {arrow} {entry}" for entry in entries]

    def _step(self, step: _Step, depth: int) -> _Ends:
        kind = step["kind"]
        if kind == _PARALLEL:
            return self._parallel(step, depth)
        if kind in _ITERATED:
            return self._iterated(step, depth)
        if kind == _CONDITIONAL:
            return self._conditional(step, depth)
        node = next(self._ids)
        self._draw(node, _caption(step), "gate" if kind in _GATES else "step", depth)
        if step.get("branch"):
            rest = self._sequence(step["branch"], [(node, "policy fails")], depth)
            return _Ends([node], [(node, "policy passes"), *rest])
        return _Ends([node], [(node, "")])

    def _draw(self, node: str, lines: Sequence[str], shape: str, depth: int) -> None:
        caption = "<br/>".join(_quoted(line) for line in lines)
        opening, closing = _SHAPES[shape]
        self._lines.append(f'{"  " * depth}{node}{opening}"{caption}"{closing}')

    def _parallel(self, step: _Step, depth: int) -> _Ends:
        lanes: list[_Ends] = []
        with self._frame(_caption(step), depth):
            lanes += [self._step(child, depth + 1) for child in step.get("steps", ())]
            for branch in step.get("branches", ()):
                with self._frame([f"branch {branch['name']}"], depth + 1):
                    lanes.append(self._chain(branch["steps"], depth + 2))
        entries = [entry for lane in lanes for entry in lane.entries]
        return _Ends(entries, [way for lane in lanes for way in lane.exits])

    def _iterated(self, step: _Step, depth: int) -> _Ends:
        with self._frame(_caption(step), depth):
            drawn = self._chain(step["steps"], depth + 1)
        if step["kind"] == "Loop":
            self._connect([(node, "next") for node, _ in drawn.exits[:1]], drawn.entries[:1])
        return drawn

    def _chain(self, steps: Sequence[_Step], depth: int) -> _Ends:
        """Draw steps that have a beginning of their own, one after another."""
        first, *rest = steps
        drawn = self._step(first, depth)
        return _Ends(drawn.entries, self._sequence(rest, drawn.exits, depth))

    @contextmanager
    def _frame(self, caption: Sequence[str], depth: int) -> Iterator[None]:
        """Draw the frame of a block around what is drawn meanwhile."""
        words = " · ".join(_quoted(line) for line in caption)
        self._lines.append(f'{"  " * depth}subgraph {next(self._ids)}["{words}"]')
        yield
        self._lines.append(f"{'  ' * depth}end")

    def _conditional(self, step: _Step, depth: int) -> _Ends:
        node = next(self._ids)
        self._draw(node, _caption(step), "choice", depth)
        exits: list[tuple[str, str]] = []
        for branch in step["branches"]:
            exits += self._sequence(branch["steps"], [(node, _quoted(branch["condition"]))], depth)
        exits += self._sequence(step["else"], [(node, "else")], depth)
        return _Ends([node], exits)


def _caption(step: _Step) -> list[str]:
    """Return what a node says: the step's id, what it runs or waits for, and its condition."""
    lines = [step["id"]]
    match step["kind"]:
        case "Run":
            lines.append(step["uses"])
        case "GateApproval":
            lines.append(f"approval {step['approvalId']}")
        case "GatePolicy":
            lines.append(f"policy {step['policyId']}")
            lines += [f"or approval {step['override']}"] if step["override"] else []
        case "Map" | "Loop":
            items = step["items"]
            over = step["itemsExpression"] if items is None else f"{len(items)} items"
            lines.append(f"for each of {over}")
        case "Parallel":
            lines.append("in parallel")
    if step["enabled"] is False:
        lines.append("skipped")
    elif step["enabled"] is None and step["when"]:
        lines.append(f"when {step['when']}")
    return lines


def _quoted(words: str) -> str:
    """Return text for a quoted label: shortened, and with Mermaid's codes for other characters."""
    short = words if len(words) <= _MOST_CHARACTERS else words[: _MOST_CHARACTERS - 1] + "…"
    return _UNSAFE.sub(lambda match: f"#{ord(match[0])};", short)
