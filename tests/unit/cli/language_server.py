"""A client of the YAML language server, over its standard input and output."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

from tests.template import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType
    from typing import IO, Self

_NODE = ROOT / ".local/venvs/node/bin/node"
_SERVER = ROOT / ".local/editor/node_modules/yaml-language-server/bin/yaml-language-server"
_SETTINGS = {"yaml": {"validate": True, "hover": True, "completion": True, "schemaStore": {}}}

Json = dict[str, Any]
# A line and a character, both counted from 0.
Position = tuple[int, int]


@dataclass
class LanguageServer:
    """A running language server, as an editor has it; messages are those of JSON-RPC."""

    _process: subprocess.Popen[bytes] = field(init=False)
    _ids: Iterator[int] = field(init=False, default_factory=lambda: count(1))
    _diagnostics: dict[str, list[Json]] = field(init=False, default_factory=dict)

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(  # noqa: S603 - a fixed program
            [_NODE, _SERVER, "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._ask("initialize", {"processId": None, "rootUri": None, "capabilities": {}})
        self._send({"method": "initialized", "params": {}})
        self._send(
            {"method": "workspace/didChangeConfiguration", "params": {"settings": _SETTINGS}}
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ask("shutdown", None)
        self._send({"method": "exit"})
        self._process.communicate()

    def opened(self, file: Path) -> list[str]:
        """Open *file*, and return its mistakes as `line: message`, in which lines begin with 1."""
        uri = file.as_uri()
        self._diagnostics.pop(uri, None)
        document = {"uri": uri, "languageId": "yaml", "version": 1, "text": file.read_text("utf-8")}
        self._send({"method": "textDocument/didOpen", "params": {"textDocument": document}})
        while uri not in self._diagnostics:
            self._take(self._received())
        return [
            f"{entry['range']['start']['line'] + 1}: {entry['message']}"
            for entry in self._diagnostics[uri]
        ]

    def completions(self, file: Path, position: Position) -> dict[str, str]:
        """Return what can be written at *position* of an opened file, each with its explanation."""
        answer = self._ask("textDocument/completion", _place(file, position))
        return {item["label"]: _text(item.get("documentation")) for item in answer["items"]}

    def hover(self, file: Path, position: Position) -> str:
        """Return what the server says of the word at *position* of an opened file."""
        answer = self._ask("textDocument/hover", _place(file, position))
        return _text((answer or {}).get("contents"))

    def _ask(self, method: str, params: Json | None) -> Any:  # noqa: ANN401 - any JSON
        request_id = next(self._ids)
        self._send({"id": request_id, "method": method, "params": params})
        while True:
            message = self._received()
            if message.get("id") == request_id and "method" not in message:
                assert "error" not in message, message["error"]
                return message["result"]
            self._take(message)

    def _take(self, message: Json) -> None:
        """Keep the diagnostics that the server reports, and answer what it asks of an editor."""
        if message.get("method") == "textDocument/publishDiagnostics":
            self._diagnostics[message["params"]["uri"]] = message["params"]["diagnostics"]
        elif "id" in message:
            self._send({"id": message["id"], "result": None})

    def _send(self, message: Json) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        pipe = self._pipe(self._process.stdin)
        pipe.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        pipe.flush()

    def _received(self) -> Json:
        pipe, length = self._pipe(self._process.stdout), 0
        while header := pipe.readline().strip():
            name, _, value = header.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        assert length, "the language server has ended"
        message: Json = json.loads(pipe.read(length))
        return message

    @staticmethod
    def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
        assert pipe is not None
        return pipe


def _place(file: Path, position: Position) -> Json:
    line, character = position
    return {
        "textDocument": {"uri": file.as_uri()},
        "position": {"line": line, "character": character},
    }


def _text(contents: Any) -> str:  # noqa: ANN401 - a text, or an object with one
    return contents["value"] if isinstance(contents, dict) else contents or ""
