"""Loading a pack: every author's error at once, each where it stands."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cds.rulebook.pack import RulebookError, load_rulebook, read_pack, shipped_pack
from cds.rulebook.site import Site
from cds.values.problem import Problem
from tests.records import CONTRAST

RULE = "contrast/kidney-function-missing.yaml"
Edit = Callable[[str, str, str], None]


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    return Path(shutil.copytree(CONTRAST, tmp_path / "pack"))


@pytest.fixture
def edit(pack: Path) -> Edit:
    def replace(name: str, old: str, new: str) -> None:
        path = pack / name
        text = path.read_text("utf-8")
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {name}"
        path.write_text(text.replace(old, new), "utf-8")

    return replace


def errors(pack: Path, site: Site | None = None) -> list[str]:
    with pytest.raises(RulebookError) as caught:
        load_rulebook(pack, site)
    return [problem.render() for problem in caught.value.problems]


def line_of(pack: Path, name: str, text: str) -> tuple[int, int]:
    """Line and column (from 1) of the first place where a text stands."""
    for number, line in enumerate((pack / name).read_text("utf-8").splitlines(), 1):
        if text in line:
            return number, line.index(text) + 1
    raise AssertionError(f"{text!r} stands nowhere in {name}")


def test_the_packs_are_clean() -> None:
    for root in (CONTRAST, shipped_pack()):
        problems: list[Problem] = []
        assert read_pack(root, Site(), problems) is not None
        assert [problem.render() for problem in problems] == []


# One mistake each: file, what stands there, what is written instead, where the error points
# (a text within the changed file), and words of the message.
MISTAKES = [
    (RULE, "audience: whoever", "audiance: whoever", "audiance", "'audiance' is no key of a rule"),
    (RULE, "  indicator: warning", "  indikator: warning", "indikator", "is no key of a card"),
    (RULE, "  - no creatinine", "  - no kreatinine", "no kreatinine", "'kreatinine' is not known here"),
    (RULE, "is: planned", "is: plannd", "{procedure", "a procedure cannot be 'plannd'"),
    (RULE, "creatinine.value is known", "creatinine.valu is known", "creatinine.valu is", "a result has no 'valu'"),
    (RULE, "result-days days before", "result-dais days before", "result-dais", "'result-dais' is not known"),
    (RULE, "medication: metformin", "medication: metformine", "{medication", "'metformine' is no value set"),
    (RULE, "source: T2", "source: T9", "id:", "'T9' is no source"),
    (RULE, "unknown: {count: true}", "unknown: {defer: a.nowhere}", "id:", "defers to 'a.nowhere'"),
    (RULE, "unknown: {count: true}", "unknown: {}", "{}", "what an unknown does is not said"),
    (RULE, "[kidney-function-known, ", "[kidney-unknown, ", "id:", "'kidney-unknown' is no override"),
    (RULE, "test {when-ready}", "test {when-redy}", "id:", "'{when-redy}' is nothing this rule knows"),
    (RULE, "{scan.start}: no", "{scan.begin}: no", "", "a procedure has no 'begin'"),
    (RULE, "create: kidney-test", "create: kidney-tests", "{create", "'kidney-tests' is no template"),
    (RULE, "problem: scan\n", "problem: scans\n", "id:", "is not in the order of 'scans'"),
    (RULE, "problem: scan\n", "problem: sacn\n", "id:", "'sacn' is no problem"),
    (RULE, "per: [scan]", "per: [drug]", "id:", "one card for each 'scan', which is not in 'per'"),
    (RULE, "[patient-view, order-sign,", "[patient-look, order-sign,", "patient-look", "is no hook"),
    (RULE, "id: contrast.kidney-function-missing", "id: Kidney", "Kidney", "'Kidney' is no rule id"),
    (RULE, "  - drug\n", "  - drug and no scan or drug\n", "or drug", "'and' and 'or' are mixed"),
    (RULE, "version: 1.0.0\n", "", "id:", "'version' is missing"),
    (RULE, "  - drug\n", "", "{medication", "never asked for"),
    (RULE, "      - {before the scan: otherwise}\n", "", "- {now", "needs words for the rest"),
    (RULE, "is: final\n", "is: [final\n", "", "not YAML"),
    (RULE, "per: [scan]\n", "per: [scan]\nremember: for a while\n", "for a while", "'for a while' is no memory"),
    (RULE, "per: [scan]\n", "per: [scan]\nremember: 0 days by scan\n", "0 days", "'0 days by scan' is no memory"),
    (RULE, "per: [scan]\n", "per: [scan]\nremember: 9 days by scan and drug\n", "id:", "'drug' is remembered, but no finding"),
    ("contrast/allergy.yaml", "    - {warning: otherwise}\n", "", "- {critical", "the last level"),
    ("contrast/allergy.yaml", "{warning: otherwise}", "{warnung: otherwise}", "{warnung", "is no indicator"),
    ("contrast/allergy.yaml", "unknown: {count: true}\n", "", "id:", "'unknown' is missing"),
    ("contrast/allergy.yaml", "when: [allergy]\n", "", "id:", "'when' is missing"),
    ("definitions/result.yaml", "value: 1.5 mg/dL", "value: 0.5 mg/dL", "value: 0.5", "outside what it allows"),
    ("definitions/result.yaml", "value: 1.5 mg/dL", "value: much", "much", "'much' is no value"),
    ("definitions/result.yaml", "30 days to 365 days", "30 days", "30 days", "'30 days' is no range"),
    ("definitions/result.yaml", "    value: 365 days\n", "    value: 365 days\n    follows: result-weeks\n", "value: 365", "which is no parameter"),
    ("definitions/result.yaml", "it.status is unknown", "it.state is unknown", "it.state", "a result has no 'state'"),
    ("definitions/result.yaml", "kind: result\n", "kind: resolt\n", "resolt", "'resolt' is no kind"),
    ("definitions/procedure.yaml", "counts-as: possible", "counts-as: maybe", "if: {}", "cannot count as 'maybe'"),
    ("definitions/dose-step.yaml", "first-after: forgotten-after", "first-after: three-months", "three-months", "is no number of days"),
    ("definitions/procedure.yaml", "kind: procedure\n", "kind: procedure\nfirst-after: three\n", "three", "is no number of days"),
    ("precedence.yaml", "  scans:\n", "    replaces: [{rule: contrast.allergy, replaced: contrast.alergy, same: [scan]}]\n  scans:\n", "", "'contrast.alergy' is not in the order of 'scan'"),
    ("precedence.yaml", "  scans:\n", "    replaces: [{rule: contrast.allergy, replaced: contrast.low-kidney-function, same: [drug]}]\n  scans:\n", "", "'drug' is not in 'per' of 'contrast.allergy'"),
    ("precedence.yaml", "speaking: critical", "speaks: critical", "speaks: critical", "is no key of a suppression"),
    ("pack.yaml", "title: Metformin", "titel: Metformin", "titel", "'titel' is no key of pack.yaml"),
    ("pack.yaml", "version: 0.1.0\n", "", "id:", "'version' is missing"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "old", "new", "at", "told"), MISTAKES, ids=[f"{m[0]}: {m[4]}" for m in MISTAKES]
)
def test_a_mistake(
    pack: Path, edit: Edit, name: str, old: str, new: str, at: str, told: str
) -> None:
    edit(name, old, new)
    found = [text for text in errors(pack) if told in text]
    assert found, errors(pack)
    if at:
        line, column = line_of(pack, name, at)
        assert any(text.startswith(f"{name}:{line}:{column}:") for text in found), found


def test_all_mistakes_come_at_once_sorted_and_once_each(pack: Path, edit: Edit) -> None:
    edit(RULE, "audience: whoever", "audiance: whoever")
    edit(RULE, "  - no creatinine", "  - no kreatinine")
    edit(RULE, "source: T2", "source: T9")
    edit("contrast/allergy.yaml", "when: [allergy]", "when: [allergi, allergy]")
    edit("definitions/result.yaml", "value: 1.5 mg/dL", "value: 0.5 mg/dL")
    edit("pack.yaml", "title: Metformin", "titel: Metformin")
    found = errors(pack)
    files = [text.partition(":")[0] for text in found]
    assert files == sorted(files)
    assert set(files) == {RULE, "contrast/allergy.yaml", "definitions/result.yaml", "pack.yaml"}
    assert len(found) == len(set(found))
    for told in ("audiance", "kreatinine", "T9", "allergi'", "outside what it allows", "titel"):
        assert [text for text in found if told in text], told
    assert not [text for text in found if "accepted:" not in text and "never asked" not in text]


def test_a_circle_of_terms(pack: Path, edit: Edit) -> None:
    name = "definitions/result.yaml"
    edit(name, "means: it.status is any of final, amended, corrected", "means: it is in-time")
    found = [text for text in errors(pack) if "(cycle)" in text]
    assert [text.partition(" is ")[0] for text in found] == [
        f"{name}:{line_of(pack, name, 'it is in-time')[0]}:12: 'final'",
        f"{name}:{line_of(pack, name, 'it is final and')[0]}:12: 'in-time'",
    ]


def test_evidence_is_needed(pack: Path) -> None:
    path = pack / "contrast/allergy.yaml"
    path.write_text(path.read_text("utf-8").partition("evidence:")[0], "utf-8")
    assert errors(pack) == [
        "contrast/allergy.yaml:1:1: no evidence; accepted: evidence: [{statement: …}] (missing)"
    ]


def test_an_id_that_stands_twice(pack: Path) -> None:
    text = (pack / "contrast/allergy.yaml").read_text("utf-8")
    (pack / "contrast/zz.yaml").write_text(text, "utf-8")
    assert errors(pack) == [
        "contrast/zz.yaml:1:1: 'contrast.allergy' stands in contrast/allergy.yaml as well; "
        "accepted: each id once (duplicate)"
    ]


def test_a_flow_mapping_that_a_comma_splits(pack: Path, edit: Edit) -> None:
    """YAML reads ``says: a, b`` in braces as two keys: the second must not vanish in silence."""
    edit(RULE, "says: A result may be twelve months old.", "says: A result, if final, counts.")
    found = errors(pack)
    assert any("'if final' is no key of an evidence entry" in text for text in found)
    assert any("'counts.' is no key of an evidence entry" in text for text in found)


def test_a_parameter_in_two_files(pack: Path, edit: Edit) -> None:
    edit("definitions/patient.yaml", "  old-age:", "  result-days:")
    assert any("the parameter 'result-days' stands twice" in text for text in errors(pack))


@pytest.mark.parametrize("name", ["pack.yaml", "precedence.yaml", "sources.yaml"])
def test_a_missing_file(pack: Path, name: str) -> None:
    (pack / name).unlink()
    assert f"{name}: the file is missing; accepted: {name} (file)" in errors(pack)


def test_no_folder(tmp_path: Path) -> None:
    (found,) = errors(tmp_path / "none")
    assert "there is no such folder; accepted: a folder with pack.yaml (file)" in found


@pytest.mark.parametrize(
    "junk", ["", "- a\n- b\n", "just words\n", "a: [1\n", "\x00", "id: {a: b}\n"]
)
@pytest.mark.parametrize("name", ["pack.yaml", RULE, "definitions/result.yaml", "precedence.yaml"])
def test_junk_is_errors_not_a_traceback(pack: Path, name: str, junk: str) -> None:
    (pack / name).write_text(junk, "utf-8")
    assert errors(pack)


SHAPES = [
    ("when", "{a: b}"),
    ("card", "words"),
    ("evidence", "words"),
    ("hooks", "{patient-view: x}"),
    ("unknown", "words"),
    ("facts", "[a, b]"),
    ("facts", "words"),
    ("let", "[a, b]"),
    ("per", "{drug: x}"),
    ("title", "[a]"),
]


@pytest.mark.parametrize(
    ("key", "text"),
    SHAPES,
)
def test_a_value_of_the_wrong_shape(pack: Path, key: str, text: str) -> None:
    """Whatever cannot be read as what it should be is told, at its place."""
    path = pack / "monitor" / "vitamin.yaml"
    kept, inside = [], False
    for line in path.read_text("utf-8").splitlines():
        if not line.startswith(" "):
            inside = line.startswith(f"{key}:")
        if not inside:
            kept.append(line)
    path.write_text("\n".join([*kept, f"{key}: {text}", ""]), "utf-8")
    place = f"monitor/vitamin.yaml:{len(kept) + 1}:"
    found = errors(pack)
    assert any(line.startswith(place) for line in found), found


# -- site configuration -----------------------------------------------------------------------------


def rules_on(pack: Path, **site: tuple[str, ...]) -> set[str]:
    return {rule.id for rule in load_rulebook(pack, Site(**site)).rules}  # type: ignore[arg-type]


ALL = {
    "contrast.allergy",
    "contrast.kidney-function-missing",
    "contrast.low-kidney-function",
    "contrast.repeated-scans",
    "monitor.steep",
    "monitor.vitamin",
}


def test_rules_are_switched_by_id_group_and_tag(pack: Path) -> None:
    assert rules_on(pack) == ALL
    assert rules_on(pack, disable=("monitor.vitamin",)) == ALL - {"monitor.vitamin"}
    assert rules_on(pack, disable=("contrast",)) == {"monitor.steep", "monitor.vitamin"}
    invented = {"contrast.kidney-function-missing", "contrast.low-kidney-function"}
    assert rules_on(pack, disable=("invented",)) == ALL - invented
    assert rules_on(pack, disable=("contrast",), enable=("contrast.allergy",)) == {
        "contrast.allergy",
        "monitor.steep",
        "monitor.vitamin",
    }


def test_a_rule_that_is_off_by_default(pack: Path, edit: Edit) -> None:
    edit("monitor/vitamin.yaml", "per: [drug]", "default: off\nper: [drug]")
    assert rules_on(pack) == ALL - {"monitor.vitamin"}
    assert rules_on(pack, enable=("monitor",)) == ALL
    assert rules_on(pack, enable=("monitor",), disable=("monitor",)) == ALL - {
        "monitor.steep",
        "monitor.vitamin",
    }


def test_a_retired_rule_stays_off(pack: Path, edit: Edit) -> None:
    edit("monitor/vitamin.yaml", "per: [drug]", "status: retired\nper: [drug]")
    assert rules_on(pack, enable=("monitor.vitamin",)) == ALL - {"monitor.vitamin"}


def test_a_selector_that_names_nothing(pack: Path) -> None:
    (found,) = errors(pack, Site(enable=("kidneys",)))
    assert "'kidneys' names no rule, group or tag; accepted: contrast, contrast.allergy" in found


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("10 mg/dL", "1 to 3 mg/dL"),
        ("0.9 mg/dL", "1 to 3 mg/dL"),
        ("2", "1 to 3 mg/dL"),
        ("2 mg", "1 to 3 mg/dL"),
    ],
)
def test_a_parameter_out_of_its_range(pack: Path, text: str, allowed: str) -> None:
    (found,) = errors(pack, Site(parameters=(("creatinine-high", text),)))
    assert f"'{text}' is not allowed for 'creatinine-high'; accepted: {allowed}" in found


def test_a_parameter_within_its_range(pack: Path) -> None:
    bound = load_rulebook(pack, Site(parameters=(("creatinine-high", "3 mg/dL"),)))
    assert str(bound.parameters["creatinine-high"].value) == "3"


def test_an_unknown_parameter(pack: Path) -> None:
    (found,) = errors(pack, Site(parameters=(("creatinin", "2 mg/dL"),)))
    assert "'creatinin' is no parameter; accepted: creatinine-high, " in found


# -- digest -------------------------------------------------------------------------------------------


def test_the_digest_names_the_pack_and_the_site(pack: Path, edit: Edit) -> None:
    first = load_rulebook(pack).digest
    assert first == load_rulebook(CONTRAST).digest
    assert load_rulebook(pack, Site(disable=("monitor",))).digest != first
    assert load_rulebook(pack, Site(timezone="Europe/Vienna")).digest != first
    edit(RULE, "Nobody knows", "No one knows")
    assert load_rulebook(pack).digest != first
