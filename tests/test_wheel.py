"""The wheel, installed elsewhere, judges by the rules that it carries."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.records import CONTRAST, ROOT, bundle, draft, order, person

pytestmark = pytest.mark.slow


def run(*command: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run(
        command,
        cwd=cwd,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if importlib.util.find_spec("hatchling") is None:
        pytest.skip("hatchling is not installed: nothing can be built without the network")
    folder = tmp_path_factory.mktemp("wheel")
    pip = (sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index")
    done = run(*pip, "--wheel-dir", str(folder), str(ROOT), cwd=folder)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    pip = (sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--quiet")
    done = run(*pip, "--target", str(target), str(wheel), cwd=target)
    assert done.returncode == 0, done.stderr
    return target


def test_it_carries_the_rules_and_nothing_of_the_checkout(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    rules = {name for name in names if name.startswith("cds/_rules/")}
    here = {
        f"cds/_rules/{path.relative_to(ROOT / 'rules').as_posix()}"
        for path in (ROOT / "rules").rglob("*.yaml")
    }
    assert rules >= here
    assert "cds/py.typed" in names
    tops = {name.partition("/")[0] for name in names}
    assert {name for name in tops if not name.endswith(".dist-info")} == {"cds"}


def test_it_judges_elsewhere(installed: Path, tmp_path: Path) -> None:
    record = bundle(
        person(),
        draft("d1", "naltrexone 1.5 MG Oral Capsule", 1.5),
        order("o1", "oxycodone hydrochloride 5 MG Oral Tablet"),
    )
    (tmp_path / "record.json").write_text(json.dumps(record))
    check = ("-m", "cds", "check", "record.json", "--format", "json")
    when = ("--as-of", "2026-06-10T10:00:00-04:00", "--timezone", "America/New_York")
    done = run(sys.executable, *check, *when, cwd=tmp_path, PYTHONPATH=str(installed))
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    cards = json.loads(line)["cards"]
    assert [
        card["indicator"]
        for card in cards
        if card["source"]["topic"]["code"] == "opioid.active-with-naltrexone-order"
    ] == ["critical"]


def test_the_rules_are_those_inside_the_wheel(installed: Path, tmp_path: Path) -> None:
    code = "from cds.rulebook.pack import shipped_pack; print(shipped_pack())"
    done = run(sys.executable, "-c", code, cwd=tmp_path, PYTHONPATH=str(installed))
    assert done.stdout.strip() == str(installed / "cds" / "_rules")
    lint = run(sys.executable, "-m", "cds", "lint", cwd=tmp_path, PYTHONPATH=str(installed))
    assert lint.returncode == 0, lint.stdout


def test_it_brings_the_pytest_plugin(installed: Path, tmp_path: Path) -> None:
    pack = Path(shutil.copytree(CONTRAST, tmp_path / "pack"))
    pytest_ = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "-m", "scenario")
    # Not this checkout's plugin, should it be installed: what the wheel declares comes first.
    done = run(*pytest_, cwd=pack, PYTHONPATH=str(installed))
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


def test_it_writes_the_rule_book_elsewhere(installed: Path, tmp_path: Path) -> None:
    """Templates and style sheet are in the wheel, and so is the evidence."""
    docs = ("-m", "cds", "docs", "--out", "book")
    done = run(sys.executable, *docs, cwd=tmp_path, PYTHONPATH=str(installed))
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "book" / "assets" / "book.css").is_file()
    assert (tmp_path / "book" / "opioids.html").is_file()


def test_it_writes_an_audit_s_report_elsewhere(installed: Path, tmp_path: Path) -> None:
    """Templates, style sheet and script of the report are in the wheel."""
    record = bundle(person(), draft("d1", "naltrexone 1.5 MG Oral Capsule", 1.5))
    (tmp_path / "record.json").write_text(json.dumps(record))
    audit = ("-m", "cds", "audit", "record.json", "--out", "out")
    done = run(sys.executable, *audit, cwd=tmp_path, PYTHONPATH=str(installed))
    assert done.returncode == 0, done.stderr
    assert "</html>" in (tmp_path / "out" / "report.html").read_text("utf-8")
