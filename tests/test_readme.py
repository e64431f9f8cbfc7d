"""The README shows real output: each marked block is what its command prints (``--update`` rewrites)."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from cds.hooks.app import Options, create_app
from cds.hooks.settings import Settings
from cds.rulebook.pack import load_rulebook, shipped_pack
from tests.records import ROOT

README = ROOT / "README.md"
BLOCK = re.compile(
    r"<!-- (?P<kind>output|served|finding): (?P<what>[^\n]*) -->\n```\n(?P<text>.*?)```\n",
    re.DOTALL,
)
ZONE = ZoneInfo("America/New_York")
MOMENT = datetime(2026, 6, 10, 10, tzinfo=ZONE)
# What a reader of the README can do without; the text says that it was cut.
CUT = ("detail", "links", "overrideReasons", "suggestions", "trace", "uuid", "rulebook", "version")


class Shown:
    """Makes the text of each kind of block anew; the files of an audit lie in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def block(self, found: re.Match[str]) -> str:
        make = {"output": self.output, "served": self.served, "finding": self.finding}
        text = make[found["kind"]](found["what"])
        return f"<!-- {found['kind']}: {found['what']} -->\n```\n{text}```\n"

    def output(self, command: str) -> str:
        """What a command prints; what it writes goes to the folder."""
        words = [str(self.folder) if word == "out" else word for word in shlex.split(command)]
        done = subprocess.run(
            [sys.executable, "-m", *words], cwd=ROOT, capture_output=True, check=True, timeout=120
        )
        return "".join(line.rstrip() + "\n" for line in done.stdout.decode().splitlines())

    def served(self, call: str) -> str:
        """The answer of the service at the moment for which the examples are written."""
        method, path, *rest = call.split(" ")
        unhurried = Options(settings=Settings(budget_ms=60_000))
        rulebook = load_rulebook(shipped_pack())
        app = create_app(rulebook, ZONE, lambda: MOMENT, lambda _: None, unhurried)
        body = (ROOT / rest[0]).read_bytes() if method == "POST" else None

        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url="http://local") as client:
                return await client.request(method, path, content=body)

        answer = asyncio.run(ask())
        assert answer.status_code == 200, answer.text
        found = answer.json()
        if method == "GET":
            found["services"] = [item for item in found["services"] if item["id"] in rest]
        return json.dumps(without(found, CUT), indent=2) + "\n"

    def finding(self, names: str) -> str:
        """Some fields of the first finding of the audit that was shown before."""
        first = (self.folder / "findings.ndjson").read_text(encoding="utf-8").splitlines()[0]
        found = json.loads(first)
        return json.dumps({name: found[name] for name in names.split()}, indent=2) + "\n"


def without(value: Any, names: tuple[str, ...]) -> Any:
    if isinstance(value, dict):
        return {key: without(item, names) for key, item in value.items() if key not in names}
    return [without(item, names) for item in value] if isinstance(value, list) else value


def test_the_blocks_are_what_the_commands_print(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    text = README.read_text(encoding="utf-8")
    fresh = BLOCK.sub(Shown(tmp_path / "out").block, text)
    if request.config.getoption("--update"):
        README.write_text(fresh, encoding="utf-8")
    kinds = [found["kind"] for found in BLOCK.finditer(text)]
    assert kinds == ["output", "served", "served", "output", "finding", "output"]
    assert fresh == README.read_text(encoding="utf-8")
