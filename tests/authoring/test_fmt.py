"""`cds fmt`: what is written again says the same, once and for all, with every comment kept."""

from __future__ import annotations

import random
import shutil
from functools import cache
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cds.authoring.formatter import format_text
from cds.authoring.scenario import read_suite
from cds.authoring.shorthand import SCENARIO_KEYS
from cds.authoring.source import read_source
from cds.rulebook.document import parse_document
from cds.rulebook.layout import SCENARIO_ORDER
from cds.rulebook.pack import load_rulebook, shipped_pack
from cds.values.problem import Problem
from tests.records import CONTRAST
from tests.test_cli import cds


def formatted(text: str) -> str:
    """The canonical form, after what holds of every file was checked."""
    found = format_text(text, "file.yaml")
    assert [problem.render() for problem in found.problems] == []
    assert plain(found.after) == plain(text)
    assert read_source(found.after).comments() == read_source(text).comments()
    assert format_text(found.after, "file.yaml").after == found.after
    return found.after


@cache
def canonical(root: Path) -> dict[str, str]:
    """Every file of a pack as `cds fmt` writes it; what is checked of each holds."""
    return {
        path.relative_to(root).as_posix(): formatted(path.read_text("utf-8"))
        for path in sorted(root.rglob("*.yaml"))
    }


def plain(text: str) -> object:
    node = parse_document(text, "file.yaml", [])
    assert node is not None
    return node.plain()


# -- laws -----------------------------------------------------------------------------------------

WORDS = st.one_of(
    st.sampled_from(
        [
            *(
                "",
                "yes",
                "12",
                "03",
                "1.0.0",
                "2026-06-10",
                "a: b",
                "a #b",
                "- a",
                "it's",
                "{name}",
            ),
            *('say "no"', "[a]", "a, b", "#", "a:", "-", "?", "!x", "*x", "&x", "%x", "@x", "`x"),
            *(
                "<<",
                "back\\slash",
                "tab\there",
                "line\nbreak",
                " led",
                "trailed ",
                "é µ 漢",
                "12:30",
            ),
        ]
    ),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=12),
    st.lists(st.sampled_from("word another {x} a, b; so on".split()), max_size=60).map(" ".join),
)
KEYS = st.one_of(st.sampled_from("id card kind terms facts name given".split()), WORDS)
TREES = st.recursive(
    WORDS,
    lambda below: st.one_of(
        st.lists(below, max_size=4), st.dictionaries(KEYS, below, min_size=1, max_size=4)
    ),
    max_leaves=14,
)


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(
    tree=st.dictionaries(KEYS, TREES, min_size=1, max_size=4),
    flow=st.sampled_from([None, True, False]),
    style=st.sampled_from([None, None, '"', "'", "|", ">"]),
    width=st.sampled_from([20, 80, 400]),
    seed=st.integers(0, 1000),
)
def test_any_file(
    tree: dict[str, object], flow: bool | None, style: str | None, width: int, seed: int
) -> None:
    """Whatever PyYAML writes, and comments wherever a line may have one."""
    text = yaml.dump(
        tree, default_flow_style=flow, default_style=style, width=width, allow_unicode=True
    )
    formatted(text)
    commented = with_comments(text, seed)
    problems: list[Problem] = []
    node = parse_document(commented, "file.yaml", problems)
    if node is not None and not problems:  # else a comment has landed where none may stand
        formatted(commented)


def with_comments(text: str, seed: int) -> str:
    """The text with comments put in here and there; some may land within a scalar."""
    chance = random.Random(seed)
    lines: list[str] = []
    for number, line in enumerate(text.split("\n")):
        if chance.random() < 0.2:
            lines.append(" " * chance.choice([0, 2, 4]) + f"# own {number}")
        if chance.random() < 0.1:
            lines.append("")
        beside = line.strip() and chance.random() < 0.2
        lines.append(f"{line}  # beside {number}" if beside else line)
    return "\n".join(lines)


def test_a_whole_pack_says_the_same(tmp_path: Path) -> None:
    pack = Path(shutil.copytree(CONTRAST, tmp_path / "pack"))
    before, suite = load_rulebook(pack), read_suite(pack)
    for name, text in canonical(CONTRAST).items():
        (pack / name).write_text(text, "utf-8")
    after = load_rulebook(pack)
    assert after.digest == before.digest
    assert [rule.id for rule in after.rules] == [rule.id for rule in before.rules]
    again = read_suite(pack)
    assert (again.fixtures, again.defaults) == (suite.fixtures, suite.defaults)
    assert [(one.name, one.body, one.expects) for one in again.scenarios] == [
        (one.name, one.body, one.expects) for one in suite.scenarios
    ]


def test_another_content_has_another_digest(tmp_path: Path) -> None:
    pack = Path(shutil.copytree(CONTRAST, tmp_path / "pack"))
    before = load_rulebook(pack).digest
    path = pack / "contrast" / "allergy.yaml"
    path.write_text(path.read_text("utf-8") + "\n# only a comment\n", "utf-8")
    assert load_rulebook(pack).digest == before
    path.write_text(path.read_text("utf-8").replace("version: 1.0.0", "version: 1.0.1"), "utf-8")
    assert load_rulebook(pack).digest != before


# -- what it looks like ---------------------------------------------------------------------------

LONG = "a word and another word and one more word and so on until the line has no room for it all"
TOO_LONG = f"{LONG}, {LONG}"

LAYOUTS = [
    ("indentation, dashes below their key", "a:\n    b:\n    -   c\n    -   d: e\n        f: g\n", "a:\n  b:\n    - c\n    - d: e\n      f: g\n"),
    ("blanks within brackets", "a: [ b,c ,  {d:   e} ]\n", "a: [b, c, {d: e}]\n"),
    ("a pair without braces stays bare", "a: [b: c, {d: e}]\n", "a: [b: c, {d: e}]\n"),
    ("a key that a text follows needs no quotes", "card: x\nid: 'a b'\n", "id: a b\n\ncard: x\n"),
    ("quotes that guard a number stay", "id: x\ncard: [\"03\", '1', 3, yes, \"no\"]\n", 'id: x\n\ncard: ["03", "1", 3, yes, "no"]\n'),
    ("quotes where they are needed", "id: 'a: b'\ncard: 'a #b'\n", 'id: "a: b"\n\ncard: "a #b"\n'),
    ("a brace is quoted", "id: at {place}\ncard: x\n", 'id: "at {place}"\n\ncard: x\n'),
    ("quotes within quotes", "a: \"say \\\"no\\\"\"\n", "a: 'say \"no\"'\n"),
    ("keys of a rule", "card: {summary: s, levels: []}\ntitle: t\nid: i\nown: o\n", "id: i\ntitle: t\n\ncard: {levels: [], summary: s}\nown: o\n"),
    ("keys of a scenario", "scenarios:\n  - {expect: none, given: [x], name: n}\nrule: r\n", "rule: r\nscenarios:\n  - {name: n, given: [x], expect: none}\n"),
    ("comments go with what they are about", "# head\n\n# on the card\ncard: c  # here\n# on the id\nid: i\n", "# head\n\n# on the card\n# on the id\nid: i\n\ncard: c  # here\n"),
    ("codes have quotes", "id: x\nkind: y\nsystems: {s: {codes: {A1: one, 2: }}}\n", 'id: x\nkind: y\nsystems: {s: {codes: {"A1": "one", "2": ""}}}\n'),
    ("one empty line at most", "\n\na: b\n\n\n\nc:\n\n  d: e\n\n\n", "a: b\n\nc:\n  d: e\n"),
    ("comments below the last entry", "a:\n  - b\n  # still of the list\n# of c\nc: d\n# the end\n", "a:\n  - b\n  # still of the list\n# of c\nc: d\n# the end\n"),
    ("comments within brackets", "a: [b, # on b\n  # on c\n  c]\n", "a:\n  - b  # on b\n  # on c\n  - c\n"),
    ("a block keeps its lines", "a: >-\n      one\n      two\n\n      three\nb: |\n  x\n    y\n", "a: >-\n  one\n  two\n\n  three\nb: |\n  x\n    y\n"),
    ("line ends and a byte order mark", "\ufeffa: b\r\nc: d\r\n", "a: b\nc: d\n"),
    ("a text that is too long is folded", f"a: {TOO_LONG}\n", f"a: >-\n  {TOO_LONG[:118]}\n  {TOO_LONG[119:]}\n"),
    ("a text that has room on the next line", f"a-rather-long-name-of-a-key-before-it: {LONG}\n", f"a-rather-long-name-of-a-key-before-it:\n  {LONG}\n"),
    ("braces that are too long become lines", f"a: {{b: {LONG}, c: [d: e, f], g: {{h: i}}}}\nj: k\n", f"a:\n  b: {LONG}\n  c: [d: e, f]\n  g: {{h: i}}\nj: k\n"),
    ("words that are too many are filled", f"a: [{', '.join(['some words'] * 12)}]\n", f"a:\n  [{', '.join(['some words'] * 9)},\n   {', '.join(['some words'] * 3)}]\n"),
    ("a word that is too long for brackets", f"a: [{TOO_LONG.replace(',', ';')}]\n", f"a:\n  - >-\n    {TOO_LONG[:114].replace(',', ';')}\n    {TOO_LONG[115:]}\n"),
    ("words on lines of their author's", "a: [b, c,\n  d]\n", "a:\n  [b, c,\n   d]\n"),
    ("a document's marks", "---\na: b\n...\n", "a: b\n"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after"), [each[1:] for each in LAYOUTS], ids=[each[0] for each in LAYOUTS]
)
def test_the_form(before: str, after: str) -> None:
    assert formatted(before) == after


def test_files_of_the_shipped_pack_say_the_same() -> None:
    """Every eighth; that all of them are canonical is asked by `make check`."""
    for path in sorted(shipped_pack().rglob("*.yaml"))[::8]:
        text = path.read_text("utf-8")
        assert formatted(text) == text


def test_no_line_that_could_be_shorter_is_too_long() -> None:
    for path in sorted(shipped_pack().rglob("*.yaml")):
        name = path.name
        for line in path.read_text("utf-8").splitlines():
            # A comment is its author's, and a key cannot be broken.
            bound = line.lstrip().startswith("#") or line.endswith((":", ": >-"))
            assert bound or len(line) <= 120, f"{name}: {line}"


@pytest.mark.parametrize(
    ("text", "at", "told"),
    [
        ("a: &x b\nc: *x\n", "1:4", "the anchor '&x' cannot be kept"),
        ("a: !!int 3\n", "1:4", "the tag 'tag:yaml.org,2002:int' cannot be kept"),
        ("a: [b\n", "2:1", "not YAML"),
        ("a: b\na: c\n", "2:1", "the key 'a' stands twice"),
    ],
)
def test_what_cannot_be_written_again_is_told_and_left(text: str, at: str, told: str) -> None:
    found = format_text(text, "file.yaml")
    assert found.after == text
    (problem,) = found.problems
    assert problem.render().startswith(f"file.yaml:{at}: {told}")


# -- the command ----------------------------------------------------------------------------------


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """A pack in canonical form."""
    root = Path(shutil.copytree(CONTRAST, tmp_path / "pack"))
    assert cds("fmt", root).returncode == 0
    return root


def spoil(pack: Path) -> Path:
    path = pack / "sources.yaml"
    path.write_text("T1:   Invented text for tests, radiology chapter\nT2: 'Two'\n", "utf-8")
    return path


def test_it_writes_and_then_has_nothing_to_write(pack: Path) -> None:
    path = spoil(pack)
    done = cds("fmt", pack)
    assert done.returncode == 0
    assert done.stdout.splitlines()[0] == f"formatted: {path}"
    assert done.stdout.splitlines()[-1].startswith("1 formatted, ")
    text = path.read_text("utf-8")
    assert text == 'T1: Invented text for tests, radiology chapter\nT2: "Two"\n'
    again = cds("fmt", pack)
    assert again.stdout.startswith("0 formatted, ")
    assert path.read_text("utf-8") == text


def test_check_lists_and_writes_nothing(pack: Path) -> None:
    assert cds("fmt", pack, "--check").returncode == 0
    path = spoil(pack)
    before = path.read_bytes()
    done = cds("fmt", pack, "--check")
    assert done.returncode == 1
    assert done.stdout.splitlines()[0] == f"would change: {path}"
    assert path.read_bytes() == before


def test_diff_shows_and_writes_nothing(pack: Path) -> None:
    path = spoil(pack)
    before = path.read_bytes()
    done = cds("fmt", pack, "--diff")
    assert done.returncode == 1
    assert "-T1:   Invented" in done.stdout
    assert "+T1: Invented" in done.stdout
    assert path.read_bytes() == before


def test_a_file_that_is_not_yaml_stays_and_the_rest_is_done(pack: Path) -> None:
    path = spoil(pack)
    (pack / "fixtures.yaml").write_text("a: [b\n", "utf-8")
    done = cds("fmt", pack)
    assert done.returncode == 1
    assert f"{pack / 'fixtures.yaml'}:2:1: not YAML" in done.stderr
    assert f"formatted: {path}" in done.stdout
    assert (pack / "fixtures.yaml").read_text("utf-8") == "a: [b\n"


def test_standard_input() -> None:
    done = cds("fmt", "-", stdin=b"a:   [b]\n")
    assert (done.returncode, done.stdout) == (0, "a: [b]\n")
    assert cds("fmt", "-", "--check", stdin=b"a:   [b]\n").returncode == 1
    assert cds("fmt", "-", "--check", stdin=b"a: [b]\n").returncode == 0
    assert cds("fmt", "-", stdin=b"\xff").returncode == 2


def test_yaml_outside_a_pack_is_left_alone(pack: Path) -> None:
    other = pack.parent / "compose.yaml"
    other.write_text("a:   b\n", "utf-8")
    assert cds("fmt", pack.parent).returncode == 0
    assert other.read_text("utf-8") == "a:   b\n"
    assert cds("fmt", other).returncode == 0
    assert other.read_text("utf-8") == "a: b\n"


def test_the_pack_that_the_current_folder_lies_in(pack: Path) -> None:
    path = spoil(pack)
    done = cds("fmt", cwd=pack / "contrast")
    assert done.returncode == 0
    assert f"formatted: {path}" in done.stdout


def test_nothing_to_format(tmp_path: Path) -> None:
    done = cds("fmt", tmp_path)
    assert done.returncode == 2
    assert "no rule pack is there; accepted: " in done.stderr
    assert cds("fmt", tmp_path / "none").returncode == 2


def test_every_key_of_a_scenario_has_its_place() -> None:
    assert set(SCENARIO_ORDER) == set(SCENARIO_KEYS)
    assert len(set(SCENARIO_ORDER)) == len(SCENARIO_ORDER)
