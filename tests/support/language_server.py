"""The language server that editors run for YAML, spoken to over its standard input and output as an
editor does."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Self

from tests import ROOT
from tests.support.services import Missing

#: Where `scripts/setup services` puts it.
PROGRAM = ROOT / ".npm" / "node_modules" / "yaml-language-server" / "bin" / "yaml-language-server"


class LanguageServer:
    """One server, which reads files below a folder. Raises Missing where it isn't installed."""

    def __init__(self, folder: Path) -> None:
        node = shutil.which("node")
        if node is None or not PROGRAM.exists():
            raise Missing("yaml-language-server: it is not installed, or Node isn't")
        self._folder = folder
        self._number = 0
        self._told: dict[str, list[dict[str, Any]]] = {}
        self._process = subprocess.Popen(
            [node, str(PROGRAM), "--stdio"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env={**os.environ, "NODE_NO_WARNINGS": "1"},
        )

    def __enter__(self) -> Self:
        # No schema is asked for on the network: only the one that the file names counts.
        settings = {
            "yaml": {
                "schemaStore": {"enable": False},
                "validate": True,
                "completion": True,
                "hover": True,
            }
        }
        abilities = {
            "textDocument": {
                "completion": {
                    "completionItem": {"snippetSupport": True, "documentationFormat": ["markdown"]}
                },
                "hover": {"contentFormat": ["markdown"]},
            },
        }
        root = self._folder.as_uri()
        self._ask("initialize", processId=os.getpid(), rootUri=root, capabilities=abilities)
        self._say("initialized")
        self._say("workspace/didChangeConfiguration", settings=settings)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def marks(self, text: str) -> list[tuple[int, str]]:
        """What the editor underlines in a rules file of that text: lines (1-based) and messages."""
        uri = self._open(text)
        self._told.pop(uri, None)
        while uri not in self._told:
            self._hear()
        return [(mark["range"]["start"]["line"] + 1, mark["message"]) for mark in self._told[uri]]

    def offers(self, text: str) -> dict[str, dict[str, Any]]:
        """What may be written at `|` in the text: the items by their labels."""
        uri, place = self._at(text)
        answer = self._ask("textDocument/completion", textDocument={"uri": uri}, position=place)
        return {item["label"]: item for item in answer["items"]}

    def hover(self, text: str) -> str:
        """What is shown when the mouse rests on `|`, in Markdown."""
        uri, place = self._at(text)
        answer = self._ask("textDocument/hover", textDocument={"uri": uri}, position=place)
        return str(answer["contents"]["value"]) if answer else ""

    def _at(self, text: str) -> tuple[str, dict[str, int]]:
        before, _, after = text.partition("|")
        lines = before.split("\n")
        return self._open(before + after), {"line": len(lines) - 1, "character": len(lines[-1])}

    def _open(self, text: str) -> str:
        """A file of its own, so that nothing is remembered of the one before."""
        self._number += 1
        uri = (self._folder / f"rules{self._number}.yaml").as_uri()
        self._say(
            "textDocument/didOpen",
            textDocument={"uri": uri, "languageId": "yaml", "version": 1, "text": text},
        )
        return uri

    def _ask(self, method: str, **parameters: Any) -> Any:
        self._number += 1
        number = self._number
        self._write({"id": number, "method": method, "params": parameters})
        while (answer := self._hear()).get("id") != number or "method" in answer:
            pass
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def _say(self, method: str, **parameters: Any) -> None:
        self._write({"method": method, "params": parameters})

    def _hear(self) -> dict[str, Any]:
        """The next message; what the server asks itself is answered, and what it tells of a file is
        kept."""
        message = self._read()
        match message.get("method"):
            case "textDocument/publishDiagnostics":
                self._told[message["params"]["uri"]] = message["params"]["diagnostics"]
            case "workspace/configuration":
                self._write(
                    {"id": message["id"], "result": [None for _ in message["params"]["items"]]}
                )
            case str() if "id" in message:
                self._write({"id": message["id"], "result": None})
        return message

    def _write(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin is not None
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self._process.stdin.flush()

    def _read(self) -> dict[str, Any]:
        stream = self._process.stdout
        assert stream is not None
        length = 0
        while (line := stream.readline().strip()) != b"":
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        assert length, "the language server ended"
        message: dict[str, Any] = json.loads(stream.read(length))
        return message
