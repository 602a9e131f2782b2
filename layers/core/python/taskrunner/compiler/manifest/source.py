"""Stage 1: a manifest's text becomes plain values, and the line of each value is kept.

The tree is built from PyYAML's event stream. Only there are aliases, duplicate keys and depth still
visible, so that they can be refused before they cost memory.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import yaml

from taskrunner.compiler import problems
from taskrunner.compiler.manifest import scalars, yaml_errors
from taskrunner.compiler.problems import Problem
from taskrunner.errors import Diagnostic, InvalidPackError
from taskrunner.model import json_path, wording
from taskrunner.model.json_numbers import InexactNumber

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskrunner.model.json_path import JsonPath
    from taskrunner.model.json_types import Json

MAX_MANIFEST_BYTES: Final = 256 * 1024
MAX_DEPTH: Final = 32
MAX_ALIASES: Final = 100
MAX_EXPANDED_BYTES: Final = 1024 * 1024

# libyaml's parser is six times faster than the Python one; PyYAML's wheels contain it.
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NODE_BYTES: Final = 16  # what a node weighs beside its text, so that empty nodes are not free
_CORE_TAG: Final = "tag:yaml.org,2002:"
_BYTE_ORDER_MARK: Final = "\ufeff"
_MERGE_KEY: Final = "<<"
_OLD_BREAKS: Final = "\x85\u2028\u2029"
_MAX_SHOWN: Final = 40


@dataclass(slots=True)
class _Node:
    """A value under construction, with what aliases and merges need to know about it.

    *weight_bytes* is about the size of its expanded text; *height* counts the levels below it.
    """

    value: Json
    line: int
    weight_bytes: int
    height: int = 0
    children: dict[str | int, _Node] = field(default_factory=dict)

    def at(self, line: int) -> _Node:
        """Return the same value with another line: its place in a mapping begins with its key."""
        return _Node(self.value, line, self.weight_bytes, self.height, self.children)

    def add_weight(self, child: _Node, more_bytes: int = 0) -> None:
        self.weight_bytes += child.weight_bytes + more_bytes
        self.height = max(self.height, child.height + 1)


@dataclass(frozen=True, slots=True)
class Source:
    """A manifest as values.

    *numbers* maps the path of each number in it to how it is written. *problems*, each with its
    line, do not keep the rest from being read.
    """

    value: Json
    numbers: dict[JsonPath, str]
    problems: tuple[tuple[int, Problem], ...]
    _root: _Node

    def line(self, path: JsonPath) -> int:
        """Return the line of *path*, from 1, or of its nearest ancestor that was written down."""
        node = self._root
        for part in path:
            if part not in node.children:
                break
            node = node.children[part]
        return node.line

    def diagnostic(self, path: JsonPath, message: str, line: int | None = None) -> Diagnostic:
        """Return a diagnostic about *path*, with its *line*, or another one, in the message."""
        shown = self.line(path) if line is None else line
        return Diagnostic(json_path.render(path), f"line {shown}: {message}")


def read(text: str) -> Source:
    """Read one YAML document.

    Raises:
        InvalidPackError: the text is not YAML, or breaks a limit. It is reported alone, because
            what follows it is noise.
    """
    try:
        size_bytes = len(text.encode())
    except UnicodeEncodeError:
        raise _refusal("the manifest is not valid Unicode text (a lone surrogate)") from None
    if size_bytes > MAX_MANIFEST_BYTES:
        raise _refusal(
            f"the manifest has {size_bytes} bytes; at most {MAX_MANIFEST_BYTES} are allowed"
        )
    reader = _Reader(text)
    try:
        return reader.document()
    except yaml.MarkedYAMLError as error:
        line = yaml_errors.line(error)
        message = f"not valid YAML: {yaml_errors.reason(error)}"
        if (marked := _line_of_mark(text, line)) is not None:
            message = "a byte order mark (U+FEFF) may only begin a manifest; delete it here"
            line = marked
        raise _refusal(message, line) from None
    except yaml.YAMLError as error:  # a character that YAML does not allow
        raise _refusal(f"not readable as YAML: {str(error).splitlines()[0]}") from None


def _line_of_mark(text: str, line: int | None) -> int | None:
    """Return the line of the byte order mark that is the reason for an error in *line*, or None.

    The parser ends a document before a mark that begins a line, and blames what follows.
    """
    lines = text.removeprefix(_BYTE_ORDER_MARK).split("\n")[:line]
    if line is None or not lines:
        return None
    if _BYTE_ORDER_MARK in lines[-1]:
        return line
    starts = (n for n, written in enumerate(lines, 1) if written.startswith(_BYTE_ORDER_MARK))
    return next(starts, None)


def _refusal(message: str, line: int | None = None, path: JsonPath = ()) -> InvalidPackError:
    prefix = "" if line is None else f"line {line}: "
    return problems.invalid([Diagnostic(json_path.render(path), prefix + message)])


class _Reader:
    """One pass over the events of one document."""

    def __init__(self, text: str) -> None:
        self._problems: list[tuple[int, Problem]] = []
        self._numbers: dict[JsonPath, str] = {}
        self._text = text
        self._events = _events(text)
        self._anchors: dict[str, _Node] = {}
        self._aliases = 0
        self._expanded_bytes = 0

    def document(self) -> Source:
        next(self._events)  # the start of the stream
        if isinstance(next(self._events), yaml.StreamEndEvent):
            raise _refusal("the manifest is empty; it starts with apiVersion and kind")
        root = self._node(next(self._events), ())
        next(self._events)  # the end of the document
        following = next(self._events)
        if not isinstance(following, yaml.StreamEndEvent):
            line = _line(following)
            raise _refusal("a manifest is one YAML document; remove the second one", line)
        return Source(root.value, self._numbers, tuple(self._problems), root)

    def _node(self, event: yaml.Event, path: JsonPath) -> _Node:
        line = _line(event)
        if len(path) > MAX_DEPTH:
            raise _refusal(f"nested deeper than {MAX_DEPTH} levels", line, path)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, path, line)
        if isinstance(event, yaml.ScalarEvent):
            node = self._scalar(event, path, line)
        elif isinstance(event, yaml.SequenceStartEvent):
            _check_tag(event.tag, "seq", line, path)
            node = self._sequence(path, line)
        else:
            assert isinstance(event, yaml.MappingStartEvent)  # noqa: S101 - no other event is left
            _check_tag(event.tag, "map", line, path)
            node = self._mapping(path, line)
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _alias(self, event: yaml.AliasEvent, path: JsonPath, line: int) -> _Node:
        self._aliases += 1
        if self._aliases > MAX_ALIASES:
            raise _refusal(f"more than {MAX_ALIASES} aliases", line, path)
        node = self._anchors.get(event.anchor or "")
        if node is None:
            raise _refusal(f"alias *{event.anchor} has no anchor before it", line, path)
        self._expand(node.weight_bytes, line, path)
        if len(path) + node.height > MAX_DEPTH:
            raise _refusal(f"nested deeper than {MAX_DEPTH} levels by *{event.anchor}", line, path)
        return node

    def _expand(self, weight_bytes: int, line: int, path: JsonPath) -> None:
        self._expanded_bytes += weight_bytes
        if self._expanded_bytes > MAX_EXPANDED_BYTES:
            message = f"the manifest is larger than {MAX_EXPANDED_BYTES} bytes once expanded"
            raise _refusal(message, line, path)

    def _scalar(self, event: yaml.ScalarEvent, path: JsonPath, line: int) -> _Node:
        weight_bytes = _NODE_BYTES + len(event.value)
        self._expand(weight_bytes, line, path)
        return _Node(self._scalar_value(event, path, line), line, weight_bytes)

    def _scalar_value(self, event: yaml.ScalarEvent, path: JsonPath, line: int) -> Json:
        tag = (event.tag or "").removeprefix(_CORE_TAG)
        if tag in {"str", "!"} or (not tag and not event.implicit[0]):
            if tag == "!" and (event.style or isinstance(scalars.core_value(event.value), str)):
                raise _refusal(yaml_errors.idle_tag(event.value), line, path)
            return event.value
        expected = scalars.tag_name(tag)
        if tag and expected is None:
            raise _tag_refusal(event.tag, event.value, line, path)
        value = scalars.core_value(event.value)
        if tag and not scalars.fits_tag(value, tag):
            shown = wording.shortened(event.value, _MAX_SHOWN)
            message = f"'{shown}' is not {expected}; correct it or remove the tag !!{tag}"
            raise _refusal(message, line, path)
        if isinstance(value, InexactNumber):
            self._add_problem(path, line, value.problem)
            return 0
        if isinstance(value, int | float) and not isinstance(value, bool):
            self._numbers[path] = event.value
        return value

    def _add_problem(self, path: JsonPath, line: int, message: str) -> None:
        self._problems.append((line, Problem(path, message)))

    def _sequence(self, path: JsonPath, line: int) -> _Node:
        self._expand(_NODE_BYTES, line, path)
        node = _Node([], line, _NODE_BYTES)
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            child = self._node(event, (*path, len(node.value)))
            node.children[len(node.value)] = child
            node.value.append(child.value)
            node.add_weight(child)
        return node

    def _mapping(self, path: JsonPath, line: int) -> _Node:
        self._expand(_NODE_BYTES, line, path)
        node = _Node({}, line, _NODE_BYTES)
        merged: list[_Node] = []
        merge_line = None
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._key(event, path)
            child = self._node(next(self._events), (*path, key))
            node.add_weight(child, _NODE_BYTES + len(key))
            if key == _MERGE_KEY and _is_plain(event) and merge_line is not None:
                message = (
                    f"the key '<<' is already set on line {merge_line}; keep one, and give it a "
                    "list: <<: [*first, *second]"
                )
                self._add_problem((*path, key), _line(event), message)
            elif key == _MERGE_KEY and _is_plain(event):
                merge_line = _line(event)
                merged += _merge_sources(child, path, _line(event))
            elif key in node.children:
                first_line = node.children[key].line
                message = f"the key '{key}' is already set on line {first_line}; keep one"
                self._add_problem((*path, key), _line(event), message)
            else:
                # An author looks for the line of the key, not for the line where its block begins.
                line_of_key = _line(event)
                is_there = child.line == line_of_key
                node.children[key] = child if is_there else child.at(line_of_key)
        for source in merged:  # the mapping's own keys win, then those of the earlier source
            for name, merged_child in source.children.items():
                node.children.setdefault(name, merged_child)
        node.value.update({key: child.value for key, child in node.children.items()})
        return node

    def _key(self, event: yaml.Event, path: JsonPath) -> str:
        line = _line(event)
        if isinstance(event, yaml.AliasEvent):
            value = self._alias(event, path, line).value
            if isinstance(value, str):
                return value
        if isinstance(event, yaml.ScalarEvent):
            weight_bytes = _NODE_BYTES + len(event.value)
            self._expand(weight_bytes, line, path)
            if event.anchor:
                self._anchors[event.anchor] = _Node(event.value, line, weight_bytes)
            return event.value
        raise _refusal(yaml_errors.refused_key(self._text, event), line, path)


def _events(text: str) -> Iterator[yaml.Event]:
    """Parse *text*, in which only CR and LF are line breaks (YAML 1.2.2, section 5.4).

    To the parser, which follows YAML 1.1, three more characters are. It is given others instead.
    """
    if not any(character in text for character in _OLD_BREAKS):
        yield from yaml.parse(text, Loader=_LOADER)
        return
    private_use = (chr(code) for code in range(0xE000, 0xF900) if chr(code) not in text)
    stand_ins = dict(zip(_OLD_BREAKS, private_use, strict=False))
    restored = {ord(stand_in): was for was, stand_in in stand_ins.items()}
    for event in yaml.parse(
        text.translate({ord(was): stand_in for was, stand_in in stand_ins.items()}), Loader=_LOADER
    ):
        if isinstance(event, yaml.ScalarEvent):
            event.value = event.value.translate(restored)
        yield event


def _merge_sources(child: _Node, path: JsonPath, line: int) -> list[_Node]:
    sources = list(child.children.values()) if isinstance(child.value, list) else [child]
    if not all(isinstance(source.value, dict) for source in sources):
        raise _refusal("'<<' merges a mapping or a list of mappings", line, path)
    return sources


def _line(event: yaml.Event) -> int:
    assert event.start_mark is not None  # noqa: S101 - every event of a text has one
    return event.start_mark.line + 1


def _is_plain(event: yaml.Event) -> bool:
    return isinstance(event, yaml.ScalarEvent) and bool(event.implicit[0])


def _check_tag(tag: str | None, expected: str, line: int, path: JsonPath) -> None:
    if tag not in {None, "!", _CORE_TAG + expected}:
        raise _tag_refusal(tag, f"the {expected}", line, path)


def _tag_refusal(tag: str | None, value: str, line: int, path: JsonPath) -> InvalidPackError:
    shown = (tag or "").replace(_CORE_TAG, "!!")
    return _refusal(yaml_errors.refused_tag(shown, value), line, path)


class _Locator(_Reader):
    """A reader that keeps the line and column of each path: of its key, or else of its value."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.places: dict[JsonPath, tuple[int, int]] = {}

    def _node(self, event: yaml.Event, path: JsonPath) -> _Node:
        self._keep(event, path)
        return super()._node(event, path)

    def _key(self, event: yaml.Event, path: JsonPath) -> str:
        key = super()._key(event, path)
        self._keep(event, (*path, key))
        return key

    def _keep(self, event: yaml.Event, path: JsonPath) -> None:
        assert event.start_mark is not None  # noqa: S101 - every event of a text has one
        self.places.setdefault(path, (event.start_mark.line + 1, event.start_mark.column + 1))


@lru_cache(maxsize=1)  # the errors of one manifest are located one after another
def _places(text: str) -> dict[JsonPath, tuple[int, int]]:
    """Return the place of every path, as far as *text* can be read."""
    locator = _Locator(text)
    try:
        locator.document()
    except yaml.MarkedYAMLError as error:
        if (mark := error.problem_mark or error.context_mark) is not None:
            locator.places[()] = (mark.line + 1, mark.column + 1)
    except (yaml.YAMLError, InvalidPackError):
        pass  # what was read before is known
    return locator.places


def locate(text: str, path: str) -> tuple[int, int] | None:
    """Return the line and the column, from 1, where the JSON *path* begins in a manifest.

    It is that of the nearest ancestor that was written down. `$` is the place of the syntax error,
    if there is one. None means that *path* is not a path, or that nothing can be read before it.
    """
    parts = json_path.parse(path)
    if parts is None:
        return None
    places = _places(text)
    ancestors = (parts[:length] for length in range(len(parts), -1, -1))
    return next((places[ancestor] for ancestor in ancestors if ancestor in places), None)
