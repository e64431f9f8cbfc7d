"""Copies of the second pack with a change, and the bench's commands on them."""

from __future__ import annotations

import shutil
from pathlib import Path
from subprocess import CompletedProcess

from tests.records import CONTRAST
from tests.test_cli import cds


def copied(tmp_path: Path) -> Path:
    """A pack of one's own to change."""
    root = tmp_path / "pack"
    shutil.copytree(CONTRAST, root)
    return root


def changed(path: Path, before: str, after: str) -> None:
    """Replaces words of a file that stand there once."""
    text = path.read_text("utf-8")
    assert text.count(before) == 1, (path, before)
    path.write_text(text.replace(before, after), "utf-8")


def scenarios(root: Path, rule: str, *lines: str) -> Path:
    """A file of scenarios in place of those of a rule; each line is one in flow style."""
    path = root / f"{rule}.scenarios.yaml"
    listed = "\n".join(f"  - {{{line}}}" for line in lines)
    path.write_text(f"rule: {rule.replace('/', '.')}\nscenarios:\n{listed}\n", "utf-8")
    return path


def run_tests(root: Path, *args: object) -> CompletedProcess[str]:
    """`cds test` of a pack by the reference engine."""
    return cds("test", "--rules", root, "--engine", "reference", *args)
