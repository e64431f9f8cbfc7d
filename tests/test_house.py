"""The house rules that no tool checks: the engine knows no clinic, and no file knows a machine."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
VALUESETS = ROOT / "rules" / "valuesets"

# What no file of the engine may hold, whatever the data says: "=" marks a word, else a part of one.
FRAGMENTS = [
    *("=ldn", "=ldns", "naltrexon", "naloxon", "methadon", "buprenorphin", "morphin", "codein"),
    *("tramadol", "fentanyl", "opioid", "opiate", "antagonist", "analges", "narcotic"),
    "withdrawal",
    *("surg", "anaesth", "anesth", "periop", "preoperat", "endoscop", "=asa"),
    *("fibromyalg", "crohn", "neuropath", "sclerosis", "corneal", "fatigue syndrome", "lupus"),
    *("regional pain", "arthritis", "pruritus", "hailey", "addiction", "alcohol", "pregnan"),
    *("cirrhosis", "hepatic", "hepatitis", "thyroid", "melatonin", "ketamine", "insomnia"),
]

# Words of the data that are also ordinary English, or the structure of FHIR, and so prove nothing.
ORDINARY = frozenset(
    """
    about above active acute after allergy answer any before being below between blood body both cause
    certain change chronic clinical code condition conditions current daily date deficiency degree
    disease diseases disorder disorders dose drug elective elsewhere emergency entries entry except failure
    finding findings following form from function general given health high history household
    immediate implant inactive including information intolerance known level list listed local long major
    measurement medication medications medicine minor mixed multiple none normal observation older
    operation operations order other outside pain part partial patch patient patients person planned
    point possible primary problem procedure procedures product products reaction record relapse
    replacement request result results rule secondary service severe short single some source state
    status stopped strong structure such supply syndrome system term test tests that therapy there
    this time total transfer treatment type under under-treatment unknown unspecified urgent with
    without word words years
    """.split()
)

_WORD = re.compile(r"[a-z]+")
_CODE = re.compile(r"\d{5,}(?:-\d)?|[a-z]\d\d[\da-z]*(?:\.[\da-z]{1,4})?|\d{3,}-\d", re.IGNORECASE)
_SHORTEST_WORD = 5
_KINDS_OF_TITLES = {"condition", "procedure"}


def engine_files() -> list[Path]:
    files = (ROOT / "cds").rglob("*")
    return sorted(path for path in files if path.is_file() and path.suffix not in {".pyc", ".so"})


def folded(text: str) -> str:
    """The words of a text, one blank apart: camelCase, snake_case and hyphens are taken apart."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)
    return " ".join(_WORD.findall(apart.lower()))


def tree(value: object) -> Iterator[str]:
    """Every key and scalar below a value."""
    if isinstance(value, Mapping):
        for key, below in value.items():
            yield str(key)
            yield from tree(below)
    elif isinstance(value, list):
        for below in value:
            yield from tree(below)
    elif value is not None:
        yield str(value)


@cache
def valuesets() -> Mapping[str, Mapping[str, object]]:
    """The mappings under rules/valuesets by file name; scalars stay strings."""
    read = {
        path.stem: yaml.load(path.read_text("utf-8"), Loader=yaml.BaseLoader)
        for path in sorted(VALUESETS.glob("*.yaml"))
    }
    return {name: value for name, value in read.items() if isinstance(value, dict)}


def names() -> Iterator[str]:
    """What the pack calls its ingredients, brands, conditions and procedures."""
    for stem, valueset in valuesets().items():
        yield from tree(valueset.get("ingredients"))
        if stem == "brands":
            yield from tree(valueset)
        if "systems" not in valueset and "phrases" not in valueset:
            continue
        yield stem
        if valueset.get("kind") in _KINDS_OF_TITLES:
            title = folded(str(valueset.get("title", "")))
            yield from (word for word in title.split() if len(word) >= _SHORTEST_WORD)


def clinical_names() -> frozenset[str]:
    found = {folded(name) for name in names()}
    return frozenset(
        name for name in found if len(name) >= _SHORTEST_WORD and not set(name.split()) <= ORDINARY
    )


def clinical_codes() -> frozenset[str]:
    """The codes of the pack that could not be an ordinary number."""
    systems = (tree(valueset.get("systems")) for valueset in valuesets().values())
    return frozenset(text.upper() for texts in systems for text in texts if _CODE.fullmatch(text))


def hits(needles: Iterable[str], text: str) -> Iterator[str]:
    padded = f" {text} "
    return (needle for needle in needles if f" {needle} " in padded or f" {needle}s " in padded)


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    return {
        path.relative_to(ROOT).as_posix(): f"{path.stem}\n{path.read_text('utf-8')}"
        for path in engine_files()
    }


@pytest.fixture(scope="module")
def words(texts: dict[str, str]) -> dict[str, str]:
    return {name: folded(text) for name, text in texts.items()}


def test_the_engine_holds_no_word_of_the_clinic(words: dict[str, str]) -> None:
    found = [
        f"{name}: {fragment}"
        for name, text in words.items()
        for fragment in FRAGMENTS
        if (f" {fragment[1:]} " in f" {text} " if fragment.startswith("=") else fragment in text)
    ]
    assert not found, "\n".join(found)


def test_the_engine_holds_no_name_from_the_rules(words: dict[str, str]) -> None:
    needles = clinical_names()
    if not needles:
        pytest.skip("rules/valuesets has no value sets yet")
    found = [f"{name}: {hit}" for name, text in words.items() for hit in hits(needles, text)]
    assert not found, "\n".join(found)


def test_the_engine_holds_no_code_from_the_rules(texts: dict[str, str]) -> None:
    codes = clinical_codes()
    if not codes:
        pytest.skip("rules/valuesets has no codes yet")
    found = [
        f"{name}: {code}"
        for name, text in texts.items()
        for code in re.findall(r"[A-Z0-9][A-Z0-9.-]*[A-Z0-9]", text.upper())
        if code in codes
    ]
    assert not found, "\n".join(found)


def test_the_words_are_drawn_from_the_rules() -> None:
    """The tests above would pass over empty lists: what they look for is what the rules hold."""
    if not (VALUESETS / "brands.yaml").exists():
        pytest.skip("rules/valuesets has no brands yet")
    assert len(clinical_names()) > 50
    assert len(clinical_codes()) > 50
    assert not any(name in ORDINARY for name in clinical_names())


def tracked_files() -> list[Path]:
    """The files of the repository, those not yet added included."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("no git repository")
    command = [git, "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout
    paths = (ROOT / name for name in listed.decode().split("\0") if name)
    return [path for path in paths if path.is_file()]


def test_no_file_holds_a_path_of_a_machine() -> None:
    machine = re.compile(
        rb"(?<![\w./])/(?:work|root|Users/\w+|home/\w+)/\w|\b[A-Z]:\\Users\\", re.IGNORECASE
    )
    found = [
        f"{path.relative_to(ROOT)}: {match[0].decode(errors='replace')}"
        for path in tracked_files()
        for match in machine.finditer(path.read_bytes())
    ]
    assert not found, "\n".join(found)
