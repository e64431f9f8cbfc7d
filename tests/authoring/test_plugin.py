"""The pytest plugin: a hospital's own pack in a folder of its own, tested by plain `pytest`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.records import CONTRAST, ROOT

pytestmark = pytest.mark.slow
FILE = "monitor/vitamin.scenarios.yaml"
FAILING = "  - name: fails on purpose\n    expect: [contrast.allergy: critical]\n"


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """A pack in a folder with nothing else, one file of scenarios in it."""
    root = Path(shutil.copytree(CONTRAST, tmp_path / "pack"))
    for path in root.glob("*/*.scenarios.yaml"):
        if path != root / FILE:
            path.unlink()
    return root


def run(folder: Path, *args: object, code: str = "") -> subprocess.CompletedProcess[str]:
    """Pytest in a folder, with this plugin and no other: test_wheel tries the entry point."""
    plugin = ("-p", "cds.pytest_plugin", "-p", "no:cacheprovider")
    start = ("-c", code) if code else ("-m", "pytest")
    return subprocess.run(
        [sys.executable, *start, *plugin, *map(str, args)],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "COLUMNS": "200",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def count(pack: Path) -> int:
    text = (pack / FILE).read_text("utf-8")
    return text.count("- name: ") + text.count("- {name: ")


def line_of(pack: Path, text: str) -> int:
    lines = (pack / FILE).read_text("utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


def add(pack: Path, text: str) -> None:
    path = pack / FILE
    path.write_text(path.read_text("utf-8") + text, "utf-8")


def test_each_scenario_is_a_test(pack: Path) -> None:
    done = run(pack, "-v")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(f"{FILE}::") == count(pack) > 1
    assert f"{count(pack)} passed" in done.stdout


def test_a_failure_names_its_file_and_line(pack: Path) -> None:
    add(pack, FAILING)
    done = run(pack, "--cds-engine", "reference")
    assert done.returncode == 1
    where = f"{FILE}:{line_of(pack, 'fails on purpose')}"
    assert f"{where}: no card contrast.allergy:critical" in done.stdout
    assert f"FAILED {FILE}::fails on purpose" in done.stdout
    assert "Traceback" not in done.stdout
    assert "pytest_plugin" not in done.stdout


def test_they_are_chosen_by_word_rule_and_marker(pack: Path) -> None:
    add(pack, FAILING)
    total = count(pack)
    assert "1 failed" in run(pack, "-k", "purpose").stdout
    assert f"{total} deselected" in run(pack, "-m", "not scenario").stdout
    assert f"1 failed, {total - 1} passed" in run(pack, "-k", "monitor.vitamin").stdout
    one = run(pack, f"{FILE}::fails on purpose")
    assert "1 failed" in one.stdout
    assert "passed" not in one.stdout


def test_a_pack_that_cannot_be_used_fails_when_collected(pack: Path) -> None:
    rule = pack / "monitor" / "vitamin.yaml"
    rule.write_text(rule.read_text("utf-8").replace("audience:", "audiance:"), "utf-8")
    done = run(pack)
    assert done.returncode == 2
    assert "monitor/vitamin.yaml:" in done.stdout
    assert "'audiance' is no key of a rule" in done.stdout


def test_a_file_that_cannot_be_read_fails_when_collected(pack: Path) -> None:
    (pack / FILE).write_text("scenarios: [\n", "utf-8")
    done = run(pack)
    assert done.returncode == 2
    assert f"{FILE}:2:1: not YAML" in done.stdout


def test_scenarios_elsewhere_are_judged_by_the_chosen_rules(pack: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere"
    other.mkdir()
    shutil.move(pack / FILE, other / "mine.scenarios.yaml")
    assert run(other).returncode == 5  # in no pack: nothing is collected
    assert "passed" in run(other, "--cds-rules", pack).stdout
    (other / "pytest.ini").write_text("[pytest]\ncds_rules = ../pack\ncds_engine = reference\n")
    assert "passed" in run(other).stdout
    assert "passed" in run(tmp_path, "-c", "elsewhere/pytest.ini", "elsewhere").stdout


def test_a_site_switches_and_sets(pack: Path) -> None:
    (pack / "site.yaml").write_text("disable: [monitor]\n")
    done = run(pack, "--cds-config", "site.yaml")
    assert "no card monitor.vitamin" in done.stdout
    (pack / "site.yaml").write_text("disabled: [monitor]\n")
    assert (
        "'disabled' is no key of the site configuration"
        in run(pack, "--cds-config", "site.yaml").stdout
    )


def test_an_engine_that_is_none(pack: Path) -> None:
    done = run(pack, "--cds-engine", "steam")
    assert done.returncode != 0
    assert (
        "--cds-engine: 'steam' is no engine; accepted: reference, durable, both"
        in done.stdout + done.stderr
    )


WATCH = """
import sys
import pytest

code = pytest.main(sys.argv[1:])
heavy = sorted(name for name in sys.modules if name.startswith("cds.") and name != "cds.pytest_plugin")
print("imported:", heavy)
sys.exit(code)
"""


def test_a_project_without_packs_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("def test_it():\n    pass\n")
    (tmp_path / "other.yaml").write_text("rule: x\n")
    (tmp_path / "stray.scenarios.yaml").write_text("scenarios: []\n")
    done = run(tmp_path, code=WATCH)
    assert done.returncode == 0
    assert "1 passed" in done.stdout
    assert "imported: []" in done.stdout
