"""`cds test --format`: what continuous integration reads of scenarios that passed and failed."""

from __future__ import annotations

import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.records import CONTRAST
from tests.test_cli import cds, lines

FILE = "monitor/vitamin.scenarios.yaml"
NAME = 'fails on purpose <&> "quoted", 100 %'


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """A pack one of whose scenarios fails."""
    root = Path(shutil.copytree(CONTRAST, tmp_path / "pack"))
    path = root / FILE
    path.write_text(
        path.read_text("utf-8")
        + f"  - name: '{NAME}'\n    expect: [contrast.allergy: critical]\n    says: [\"a\\u0001b\"]\n",
        "utf-8",
    )
    return root


@pytest.fixture
def line(pack: Path) -> int:
    found = (pack / FILE).read_text("utf-8").splitlines()
    return next(number for number, text in enumerate(found, 1) if "on purpose" in text)


def run(pack: Path, form: str, *more: object) -> tuple[int, str, str]:
    done = cds(
        "test", "--rules", "pack", "--engine", "reference", "--format", form, *more, cwd=pack.parent
    )
    return done.returncode, done.stdout, done.stderr


def test_junit(pack: Path, line: int) -> None:
    code, out, err = run(pack, "junit")
    assert code == 1
    root = ElementTree.fromstring(out)
    assert root.tag == "testsuites"
    suites = root.findall("testsuite")
    files = sorted(path.relative_to(pack).as_posix() for path in pack.glob("*/*.scenarios.yaml"))
    assert [suite.get("name") for suite in suites] == files
    for element in (root, *suites):
        cases = list(element.iter("testcase"))
        assert element.get("tests") == str(len(cases))
        assert element.get("failures") == str(len(list(element.iter("failure"))))
        assert (element.get("errors"), element.get("skipped")) == ("0", "0")
        assert all(float(str(case.get("time"))) >= 0 for case in cases)
    assert f"{len(list(root.iter('testcase'))) - 1} passed, 1 failed" in err
    (failed,) = root.iter("failure")
    (case,) = [case for case in root.iter("testcase") if case.find("failure") is not None]
    assert (case.get("classname"), case.get("name")) == ("monitor.vitamin", NAME)
    assert (case.get("file"), case.get("line")) == (f"pack/{FILE}", str(line))
    assert failed.get("message") == f"pack/{FILE}:{line}: no card contrast.allergy:critical"
    assert f"pack/{FILE}:{line}: no card says: a\ufffdb" in str(failed.text)


def test_junit_of_a_file_that_cannot_be_read(pack: Path) -> None:
    (pack / FILE).write_text("rule: monitor.vitamin\nscenarios: [\n", "utf-8")
    code, out, _ = run(pack, "junit")
    assert code == 1
    root = ElementTree.fromstring(out)
    assert root.get("errors") == "1"
    (error,) = root.iter("error")
    assert str(error.text).startswith(f"{FILE}:3:1: not YAML")


def test_github(pack: Path, line: int) -> None:
    code, out, err = run(pack, "github")
    assert code == 1
    assert out == (
        f"::error file=pack/{FILE},line={line},col=5,"
        'title=monitor.vitamin%3A fails on purpose <&> "quoted"%2C 100 %25::'
        "no card contrast.allergy:critical%0Ano card says: a\x01b\n"
    )
    assert "1 failed" in err


def test_github_of_a_file_that_cannot_be_read(pack: Path) -> None:
    (pack / FILE).write_text("rule: monitor.vitamin\n", "utf-8")
    code, out, _ = run(pack, "github")
    assert code == 1
    assert (
        out
        == f"::error file=pack/{FILE},line=1,col=1::'scenarios' is missing; accepted: scenarios: [...]\n"
    )


def test_what_passes_leaves_no_annotation(pack: Path) -> None:
    code, out, err = run(pack, "github", "pack/contrast")
    assert (code, out) == (0, "")
    assert "0 failed" in err


def test_json_and_text_tell_the_same(pack: Path, line: int) -> None:
    done = cds("test", "--rules", pack, "--engine", "reference", "--format", "json")
    failed = [item for item in lines(done) if not item["passed"]]
    assert [(item["file"], item["line"], item["scenario"]) for item in failed] == [
        (FILE, line, NAME)
    ]
    code, out, _ = run(pack, "text")
    assert code == 1
    assert f"FAILED {FILE}:{line} {NAME}" in out
    assert "1 failed of" in out


def test_a_format_that_is_none() -> None:
    done = cds("test", "--rules", CONTRAST, "--format", "xml")
    assert done.returncode == 2
    assert "--format: 'xml' is not accepted; accepted: text, json, junit, github" in done.stderr
