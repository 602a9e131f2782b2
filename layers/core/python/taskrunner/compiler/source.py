"""Stage 1: a manifest's text becomes plain values, and the line of every value is kept.

YAML 1.2's core schema, so that `on`, `012` and `1:30` mean what they look like, where PyYAML alone
reads YAML 1.1. The tree is built from PyYAML's event stream, because only there are aliases,
duplicate keys and depth still visible, and can be refused before they cost memory.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import yaml

from taskrunner.compiler import report
from taskrunner.errors import Diagnostic, InvalidPackError
from taskrunner.model import json_path, wording
from taskrunner.model.json_types import LARGEST_INTEGER, Json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskrunner.model.json_path import Path

MAX_MANIFEST_BYTES: Final = 256 * 1024
MAX_DEPTH: Final = 32
MAX_ALIASES: Final = 100
MAX_EXPANDED_BYTES: Final = 1024 * 1024

# libyaml's parser is six times faster than the Python one; wheels of PyYAML bring it.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NODE_BYTES = 16  # what one node weighs beside its text, so that empty nodes are not free
_CORE_TAG = "tag:yaml.org,2002:"
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"true", "True", "TRUE"})
_FALSE = frozenset({"false", "False", "FALSE"})
_INTEGER = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


@dataclass(frozen=True, slots=True)
class Source:
    """A manifest as values; *lines* has the line, from 1, of every path in it."""

    value: Json
    lines: dict[Path, int]

    def line(self, path: Path) -> int:
        """The line of *path*, or of its nearest ancestor that was written down."""
        for length in range(len(path), -1, -1):
            if (line := self.lines.get(path[:length])) is not None:
                return line
        return 1

    def diagnostic(self, path: Path, message: str) -> Diagnostic:
        """A diagnostic about *path*, with its line in the message."""
        return Diagnostic(json_path.render(path), f"line {self.line(path)}: {message}")


def read(text: str) -> Source:
    """Read one YAML document.

    Raises:
        InvalidPackError: the text is no YAML, breaks a limit, or repeats a key; with every
            duplicate at once, and the first syntax error only, since what follows one is noise.
    """
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise _refusal("the manifest is not valid Unicode text (a lone surrogate)") from None
    if size > MAX_MANIFEST_BYTES:
        raise _refusal(f"the manifest has {size} bytes; at most {MAX_MANIFEST_BYTES} are allowed")
    reader = _Reader(text)
    try:
        source = reader.document()
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error) from None
    except yaml.YAMLError as error:  # the reader's: a character that YAML does not allow
        raise _refusal(f"not readable as YAML: {str(error).splitlines()[0]}") from None
    if reader.problems:
        raise report.invalid(reader.problems)
    return source


def _refusal(message: str, line: int | None = None, path: Path = ()) -> InvalidPackError:
    prefix = "" if line is None else f"line {line}: "
    return report.invalid([Diagnostic(json_path.render(path), prefix + message)])


def _syntax_error(error: yaml.MarkedYAMLError) -> InvalidPackError:
    mark = error.problem_mark or error.context_mark
    what = ", ".join(part for part in (error.context, error.problem) if part)
    if what.endswith("cannot start any token"):
        what += (
            "; indent with spaces, not tabs, and quote a text that begins with a sign like @ or %"
        )
    return _refusal(f"not valid YAML: {what}", None if mark is None else mark.line + 1)


@dataclass(slots=True)
class _Node:
    """A value under construction: what aliases and merges need to know of it."""

    value: Json
    line: int
    weight: int
    height: int = 0
    children: dict[str | int, _Node] = field(default_factory=dict)


class _Reader:
    """One pass over the events of one document."""

    def __init__(self, text: str) -> None:
        self.problems: list[Diagnostic] = []
        self._events: Iterator[yaml.Event] = iter(yaml.parse(text, Loader=_LOADER))
        self._anchors: dict[str, _Node] = {}
        self._aliases = 0
        self._expanded = 0

    def document(self) -> Source:
        next(self._events)  # stream start
        if isinstance(next(self._events), yaml.StreamEndEvent):
            raise _refusal("the manifest is empty; it starts with apiVersion and kind")
        root = self._node(next(self._events), ())
        next(self._events)  # document end
        following = next(self._events)
        if not isinstance(following, yaml.StreamEndEvent):
            line = _line(following)
            raise _refusal("a manifest is one YAML document; remove the second one", line)
        lines: dict[Path, int] = {}
        _place(root, (), lines)
        return Source(root.value, lines)

    def _node(self, event: yaml.Event, path: Path) -> _Node:
        line = _line(event)
        if len(path) > MAX_DEPTH:
            raise _refusal(f"nested deeper than {MAX_DEPTH} levels", line, path)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, path, line)
        if isinstance(event, yaml.ScalarEvent):
            node = self._scalar(event, path, line)
        elif isinstance(event, yaml.SequenceStartEvent):
            _expect_tag(event.tag, "seq", line, path)
            node = self._sequence(path, line)
        else:
            assert isinstance(event, yaml.MappingStartEvent)  # noqa: S101 - no node begins otherwise
            _expect_tag(event.tag, "map", line, path)
            node = self._mapping(path, line)
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _alias(self, event: yaml.AliasEvent, path: Path, line: int) -> _Node:
        self._aliases += 1
        if self._aliases > MAX_ALIASES:
            raise _refusal(f"more than {MAX_ALIASES} aliases", line, path)
        node = self._anchors.get(event.anchor or "")
        if node is None:
            raise _refusal(f"alias *{event.anchor} has no anchor before it", line, path)
        self._weigh(node.weight, line, path)
        if len(path) + node.height > MAX_DEPTH:
            raise _refusal(f"nested deeper than {MAX_DEPTH} levels by *{event.anchor}", line, path)
        return node

    def _weigh(self, weight: int, line: int, path: Path) -> None:
        self._expanded += weight
        if self._expanded > MAX_EXPANDED_BYTES:
            message = f"the manifest is larger than {MAX_EXPANDED_BYTES} bytes once expanded"
            raise _refusal(message, line, path)

    def _scalar(self, event: yaml.ScalarEvent, path: Path, line: int) -> _Node:
        weight = _NODE_BYTES + len(event.value)
        self._weigh(weight, line, path)
        value = self._resolve(event, path, line)
        return _Node(value, line, weight)

    def _resolve(self, event: yaml.ScalarEvent, path: Path, line: int) -> Json:
        tag = (event.tag or "").removeprefix(_CORE_TAG)
        if tag in {"str", "!"} or (not tag and not event.implicit[0]):
            return event.value
        if tag not in {"", "null", "bool", "int", "float"}:
            raise _tag_refusal(event.tag, line, path)
        value = _core_value(event.value)
        fits = {
            "": True,
            "null": value is None,
            "bool": isinstance(value, bool),
            "int": isinstance(value, int) and not isinstance(value, bool),
            "float": isinstance(value, (int, float)) and not isinstance(value, bool),
        }[tag]
        if not fits:
            raise _refusal(
                f"'{event.value[:40]}' is no {tag}; correct it or remove the tag !!{tag}",
                line,
                path,
            )
        if _is_unusable_number(value):
            shown = wording.shortened(event.value, 40)
            message = f"the number {shown} is out of range; quote it if it is meant as text"
            self._problem(path, line, message)
            return 0
        return value

    def _problem(self, path: Path, line: int, message: str) -> None:
        self.problems.append(Diagnostic(json_path.render(path), f"line {line}: {message}"))
        if len(self.problems) > report.MAX_PROBLEMS:
            raise report.invalid(self.problems)

    def _sequence(self, path: Path, line: int) -> _Node:
        self._weigh(_NODE_BYTES, line, path)
        node = _Node([], line, _NODE_BYTES)
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            child = self._node(event, (*path, len(node.value)))
            node.children[len(node.value)] = child
            node.value.append(child.value)
            node.weight += child.weight
            node.height = max(node.height, child.height + 1)
        return node

    def _mapping(self, path: Path, line: int) -> _Node:
        self._weigh(_NODE_BYTES, line, path)
        node = _Node({}, line, _NODE_BYTES)
        merged: list[_Node] = []
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._key(event, path)
            child = self._node(next(self._events), (*path, key))
            node.weight += _NODE_BYTES + len(key) + child.weight
            node.height = max(node.height, child.height + 1)
            if key == "<<" and _is_plain(event):
                merged += self._merge_sources(child, path, _line(event))
            elif key in node.children:
                first = node.children[key].line
                message = f"the key '{key}' stands here again, first on line {first}; keep one"
                self._problem((*path, key), _line(event), message)
            else:
                # The line of a key is what an author looks for, not where its block begins.
                node.children[key] = replace(child, line=_line(event))
        for source in merged:  # what the mapping says itself wins, then the earlier source
            for name, merged_child in source.children.items():
                node.children.setdefault(name, merged_child)
        node.value.update({key: child.value for key, child in node.children.items()})
        return node

    def _key(self, event: yaml.Event, path: Path) -> str:
        line = _line(event)
        if isinstance(event, yaml.AliasEvent):
            event_value = self._alias(event, path, line).value
            if isinstance(event_value, str):
                return event_value
        if isinstance(event, yaml.ScalarEvent):
            weight = _NODE_BYTES + len(event.value)
            self._weigh(weight, line, path)
            if event.anchor:
                self._anchors[event.anchor] = _Node(event.value, line, weight)
            return event.value
        raise _refusal("a key must be text, not a list or a mapping", line, path)

    def _merge_sources(self, child: _Node, path: Path, line: int) -> list[_Node]:
        sources = list(child.children.values()) if isinstance(child.value, list) else [child]
        if not all(isinstance(source.value, dict) for source in sources):
            raise _refusal("'<<' merges a mapping or a list of mappings", line, path)
        return sources


def _line(event: yaml.Event) -> int:
    assert event.start_mark is not None  # noqa: S101 - every event of a text has one
    return event.start_mark.line + 1


def _is_plain(event: yaml.Event) -> bool:
    return isinstance(event, yaml.ScalarEvent) and bool(event.implicit[0])


def _expect_tag(tag: str | None, wanted: str, line: int, path: Path) -> None:
    if tag not in {None, "!", _CORE_TAG + wanted}:
        raise _tag_refusal(tag, line, path)


def _tag_refusal(tag: str | None, line: int, path: Path) -> InvalidPackError:
    shown = (tag or "").replace(_CORE_TAG, "!!")
    return _refusal(f"the tag {shown} is not allowed; write the value without it", line, path)


def _place(node: _Node, path: Path, lines: dict[Path, int]) -> None:
    lines[path] = node.line
    for key, child in node.children.items():
        _place(child, (*path, key), lines)


def _core_value(text: str) -> Json:
    """Resolve a plain scalar by YAML 1.2.2 section 10.3.2, the core schema."""
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if _INTEGER.fullmatch(text):
        # Python refuses integers of thousands of digits, and so long a one is out of range anyway.
        return int(text) if len(text) < 32 else math.inf  # noqa: PLR2004
    if _BASED.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    return math.inf if _NOT_FINITE.fullmatch(text) else text


def _is_unusable_number(value: Json) -> bool:
    if isinstance(value, float):
        return not math.isfinite(value)
    return isinstance(value, int) and abs(value) > LARGEST_INTEGER
