"""The README shows real output: each marked block is what its command prints (``--update`` rewrites)."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys

import pytest

from tests.records import ROOT

README = ROOT / "README.md"
BLOCK = re.compile(
    r"<!-- output: (?P<command>cds [^\n]*) -->\n```\n(?P<output>.*?)```\n", re.DOTALL
)


def printed(command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *shlex.split(command)],
        cwd=ROOT,
        capture_output=True,
        check=True,
        timeout=60,
    )
    return "".join(line.rstrip() + "\n" for line in done.stdout.decode().splitlines())


def test_the_blocks_are_what_the_commands_print(request: pytest.FixtureRequest) -> None:
    text = README.read_text(encoding="utf-8")
    fresh = BLOCK.sub(
        lambda found: f"<!-- output: {found['command']} -->\n```\n{printed(found['command'])}```\n",
        text,
    )
    if request.config.getoption("--update"):
        README.write_text(fresh, encoding="utf-8")
    assert len(BLOCK.findall(text)) == 2
    assert fresh == README.read_text(encoding="utf-8")
