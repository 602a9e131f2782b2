"""The parser of state machines' definitions, as moto has it, in a fraction of the time.

moto parses JSON by a grammar with 160 kinds of words, in Python. Here the words are found by one
expression, and the grammar is asked once for the kind of each. Most statements of a definition are
in other definitions too, such as how a call is retried, and each is parsed once. A definition that
the quick parser finds wrong is parsed by moto, for its errors.
`contract/test_quick_machines.py` compares the trees with those of moto alone.
"""

from __future__ import annotations

import importlib
import re
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from antlr4 import CommonTokenStream, InputStream, RuleContext, Token
from antlr4.atn.PredictionMode import PredictionMode
from antlr4.dfa.DFA import DFA
from antlr4.Token import CommonToken
from moto.stepfunctions.parser.asl.antlr.runtime.ASLLexer import ASLLexer
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser
from moto.stepfunctions.parser.asl.parse.preprocessor import Preprocessor

if TYPE_CHECKING:
    from collections.abc import Iterator

_grammar: Any = importlib.import_module(  # it says little of its types
    "moto.stepfunctions.parser.asl.antlr.runtime.ASLParser"
)
_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|[^\s"\[\]{}:,]+|\S')
_BRACKETS = {"}": "{", "]": "["}
_MOST_STATEMENTS = 4096
_by_moto: Any = AmazonStateLanguageParser.parse
_DECISIONS = _grammar.ASLParser.atn.decisionToState
_statements: dict[str, Any] = {}


@contextmanager
def quick_texts() -> Iterator[None]:
    """Let a part of a tree keep its text until the end; moto joins it again for each look."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RuleContext, "getText", text)
        yield


def parse(definition: str) -> tuple[Any, Any]:
    """Return the program of a definition and its tree, which may have parts of other trees.

    Raises:
        ASLParserException: it is not a definition.
    """
    try:
        tree = _Parser(definition).tree()
    except _UnusualError:
        program, tree = _by_moto(definition)
        return program, tree
    return Preprocessor().visit(tree), tree


class _UnusualError(Exception):
    """The quick parser cannot parse a definition."""


class _Parser(_grammar.ASLParser):  # type: ignore[misc]
    """moto's parser, which takes a statement that it has parsed before from an earlier tree.

    It decides without regard to what is around a rule. That finds the same tree, or errors. It
    keeps its decisions to itself, because moto's parser would rely on them in every place.
    """

    decisionsToDFA: ClassVar = [DFA(state, number) for number, state in enumerate(_DECISIONS)]  # noqa: N815

    def __init__(self, definition: str) -> None:
        self._definition = definition
        words, self._ends = _words(definition)
        stream = CommonTokenStream(ASLLexer(InputStream(definition)))
        stream.tokens, stream.fetchedEOF = words, True
        super().__init__(stream)
        self._interp.predictionMode = PredictionMode.SLL
        self.removeErrorListeners()

    def tree(self) -> Any:  # noqa: ANN401 - antlr4 is untyped
        tree = self.state_machine()
        if self.getNumberOfSyntaxErrors():
            raise _UnusualError
        self._input: Any = None  # trees keep their parser
        return tree

    def state_stmt(self) -> Any:  # noqa: ANN401 - antlr4 is untyped
        """Parse a statement of a state, such as `"Type": "Task"`."""
        words, start = self._input.tokens, self._input.index
        end = self._end(start)
        text = self._definition[words[start].start : words[end].start]
        if (known := _statements.get(text)) is not None:
            self._ctx.addChild(known)
            self._input.seek(end)
            return known
        statement = super().state_stmt()
        if not self.getNumberOfSyntaxErrors() and self._input.index == end:
            if len(_statements) >= _MOST_STATEMENTS:
                _statements.clear()
            statement.parentCtx = None  # which would keep the whole tree
            _statements[text] = statement
        return statement

    def _end(self, start: int) -> int:
        """The place of the word after a statement: a name, a colon and a value."""
        value = start + 2
        return min(self._ends.get(value, value) + 1, len(self._input.tokens) - 1)


def _words(definition: str) -> tuple[list[Any], dict[int, int]]:
    """The words of a definition, and the place of the bracket that closes each of its brackets."""
    words: list[Any] = []
    opened: list[int] = []
    ends: dict[int, int] = {}
    for found in _WORD.finditer(definition):
        text = found[0]
        if text in "{[":
            opened.append(len(words))
        elif text in _BRACKETS and opened:
            ends[opened.pop()] = len(words)
        words.append(_word(text, _kind(text), len(words), found.start()))
    words.append(_word("<EOF>", Token.EOF, len(words), len(definition)))
    return words, ends


def _word(text: str, kind: int, place: int, start: int) -> Any:  # noqa: ANN401 - antlr4 is untyped
    word = CommonToken(type=kind, start=start, stop=start + len(text) - 1)
    word.text, word.tokenIndex, word.line, word.column = text, place, 1, start
    return word


def text(self: Any) -> str:  # noqa: ANN401 - antlr4 is untyped
    """Return the text of a part of a tree that is complete."""
    if "known_text" not in vars(self):
        self.known_text = "".join(child.getText() for child in self.getChildren())
    known: str = self.known_text
    return known


@cache
def _kind(text: str) -> int:
    """The kind of a word in the grammar."""
    stream = CommonTokenStream(ASLLexer(InputStream(text)))
    stream.tokenSource.removeErrorListeners()
    stream.fill()
    if len(stream.tokens) != 2 or stream.tokens[0].text != text:  # the word and the end
        raise _UnusualError
    kind: int = stream.tokens[0].type
    return kind
