"""The shipped pack's rule book, written once by the command line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.book.pages import Site
from tests.records import ROOT


def docs(out: Path, *options: str, seed: str = "0") -> subprocess.CompletedProcess[str]:
    """`cds docs`, as a user runs it."""
    return subprocess.run(
        [sys.executable, "-m", "cds", "docs", "--out", str(out), *options],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed, "PATH": "", "TZ": "Asia/Kathmandu"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("book") / "site"
    done = docs(out)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{len(list(out.rglob('*.html')))} pages: {out / 'index.html'}\n"
    return out


@pytest.fixture(scope="session")
def site(folder: Path) -> Site:
    return Site(folder)
