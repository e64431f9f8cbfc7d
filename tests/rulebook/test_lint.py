"""`cds lint` beyond loading: codes, value sets, what is used nowhere, what a rule owes its reader."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds.authoring.lint import find_problems
from cds.rulebook.pack import load_rulebook, shipped_pack
from cds.rulebook.site import Site
from cds.terminology.codeform import mod10_digit, verhoeff_digit
from cds.values.problem import Severity
from tests.records import CONTRAST
from tests.test_cli import cds

Edit = Callable[[str, str, str], None]
SET = "valuesets/metformin.yaml"
IMAGING = "valuesets/contrast-imaging.yaml"
KIDNEY = "valuesets/kidney-function.yaml"
RULE = "monitor/vitamin.yaml"
SCENARIOS = "monitor/vitamin.scenarios.yaml"
RETIRED = "valuesets/retired.yaml"


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    root = Path(shutil.copytree(CONTRAST, tmp_path / "pack"))
    (root / RETIRED).write_text(
        'snomed:\n  "241620005": {since: 2020-01-31, by: [77477000, 44139007], source: T1}\n',
        "utf-8",
    )
    return root


@pytest.fixture
def edit(pack: Path) -> Edit:
    def replace(name: str, old: str, new: str) -> None:
        path = pack / name
        text = path.read_text("utf-8")
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {name}"
        path.write_text(text.replace(old, new), "utf-8")

    return replace


def told(pack: Path, severity: Severity) -> list[str]:
    _, _, found = find_problems(pack, Site())
    return [problem.render() for problem in found if problem.severity is severity]


def position(pack: Path, name: str, text: str) -> str:
    for number, line in enumerate((pack / name).read_text("utf-8").splitlines(), 1):
        if text in line:
            return f"{name}:{number}:{line.index(text) + 1}: "
    raise AssertionError(f"{text!r} stands nowhere in {name}")


def test_the_packs_have_no_errors(pack: Path) -> None:
    assert told(pack, Severity.ERROR) == told(pack, Severity.WARNING) == []
    assert told(shipped_pack(), Severity.ERROR) == []


CODES = 'codes: {"77477000": Computed tomography}'
LOINC = '"2160-0": "Creatinine [Mass/volume] in Serum or Plasma"'

# File, what stands there, what is written instead, where the error points ("" is the set's first
# line), and the message.
ERRORS = [
    (IMAGING, CODES, 'codes: {"77477001": x}', '"77477001"', "'77477001' has a wrong check digit; accepted: 77477000, if that is it (code)"),
    (IMAGING, CODES, 'codes: {"7747": x}', '"7747"', "'7747' is no SNOMED CT identifier; accepted: 6 to 18 digits (code)"),
    (IMAGING, CODES, 'codes: {"123456017": x}', '"123456017"', "'123456017' is the identifier of a description (partition 01); accepted: a concept"),
    (IMAGING, CODES, 'prefixes: {"77477000": x}', '"77477000"', "codes of this system have no beginnings in common"),
    (IMAGING, CODES, 'codes: ["77477000", "77477000"]', '"77477000"]', "'77477000' stands in line 10 too; accepted: each code once (duplicate)"),
    (IMAGING, CODES, 'codes: ["241620005"]', '"241620005"', "'241620005' is retired since 2020-01-31, and what replaced it is not in the set; accepted: 77477000, 44139007 (retired)"),
    (IMAGING, "  snomed:\n", "  snomet:\n", "codes: {", "'snomet' is no code system; accepted: loinc, rxnorm, snomed (name)"),
    (IMAGING, CODES, 'codex: {"77477000": x}', "codex", "'codex' is no key of the codes of 'snomed'; accepted: codes, "),
    (IMAGING, CODES, 'ranges: [["9", "10"]]', '["9"', "'9 to 10' is no range of codes; accepted: [low, high], of one length (value)"),
    (IMAGING, CODES, CODES + '\n    except: ["77477000"]', '"77477000"', "'77477000' is excepted below; accepted: one of the two (contradiction)"),
    (IMAGING, "phrases:", 'not-for-rule: {"77477000": x}\nphrases:', "x}", "'77477000' is said to be left out, but the codes of 'snomed' have it"),
    (IMAGING, "phrases:\n", "phrases:\n  unless: [CT angiography]\n", "CT angiography", "'CT angiography' is wanted in line 13; accepted: one of the two (contradiction)"),
    (IMAGING, "phrases:\n", "phrases:\n  but: [x]\n", "but", "'but' is no key of 'phrases'; accepted: any, unless (key)"),
    (KIDNEY, LOINC, '"2160-1": ""', '"2160-1"', "'2160-1' has a wrong check digit; accepted: 2160-0, if that is it (code)"),
    (KIDNEY, LOINC, '"2160": ""', '"2160"', "'2160' is no LOINC code; accepted: digits, a hyphen and a check digit (code)"),
    (SET, '"6809"', '"06809"', '"06809"', "'06809' is no RxNorm identifier; accepted: up to eight digits, not from 0 (code)"),
    (SET, "title: Metformin, alone or combined\n", "", "", "'title' is missing"),
    (SET, "version: 1.0.0\n", "", "", "'version' is missing"),
    (SET, "date: 2026-06-01\n", "", "", "'date' is missing"),
    (SET, "licence: invented for tests; codes only\n", "", "", "'licence' is missing"),
    (SET, "source: [T1]\n", "", "", "'source' is missing"),
    (SET, "date: 2026-06-01", "date: 2026-06-31", "2026-06-31", "'2026-06-31' is no date; accepted: year-month-day (value)"),
    (SET, "kind: medication", "kind: medicine", "medicine", "'medicine' is no kind; accepted: medication, "),
    (SET, "id: metformin", "id: metfornin", "metfornin", "rules know a value set by its file's name; accepted: metformin (name)"),
    (SET, "ingredients: [metformin]", "ingredients: [metformin]\nincludes: [metfornin]", "metfornin", "'metfornin' is no value set; accepted: contrast-imaging, "),
    (SET, "ingredients: [metformin]", "ingredients: [metformin]\nincludes: [metformin]", "metformin]\ninc", "'metformin' stands in its own 'includes'"),
    (SET, "ingredients: [metformin]", "ingredient: [metformin]", "ingredient:", "'ingredient' is no key of a value set; accepted: all-ingredients, "),
    (RETIRED, "snomed", "snomet", "\"241620005\"", "'snomet' is no code system"),
    (RETIRED, "by: [77477000, 44139007], ", "", "{since", "'by' is missing"),
    ("precedence.yaml", "order: [contrast.repeated-scans]", "order: [contrast.repeated-scans, monitor.vitamin]", "monitor.vitamin", "'monitor.vitamin' is about the problem 'vitamin'; accepted: problem: scans in the rule (name)"),
    ("precedence.yaml", "order: [monitor.vitamin]", "order: [monitor.vitamin, monitor.vitamin]", "", "'monitor.vitamin' stands twice in the order"),
    ("precedence.yaml", "order: [monitor.vitamin]", "order: [monitor.vitamin]\n    lines-only: [x.y]", "x.y", "'x.y' is not in the order"),
    ("precedence.yaml", "speaking: critical", "speaking: grave", "grave", "'grave' is no word of 'speaking'; accepted: critical, info, warning (value)"),
    ("precedence.yaml", "in-groups: monitor", "in-groups: monitors", "monitors", "'monitors' is no word of 'in-groups'; accepted: contrast, monitor (value)"),
    (RULE, "  options: Consider measuring it again.\n", "", "indicator", "the card says nothing that can be done; accepted: options: what to consider, or suggest: [{…}] (rights)"),
    (RULE, "hooks: [patient-view", "hooks: [] # [patient-view", "[] #", "the rule speaks at no moment; accepted: hooks: [order-sign, …] (rights)"),
    (RULE, "options: Consider measuring it again.", "options: TODO what can be done", "TODO", "still to be written: what can be done; accepted: a text of your own, or status: draft (todo)"),
    (SCENARIOS, "rule: monitor.vitamin\n", "rule: monitor.vitamins\n", "name:", "'monitor.vitamins' is no rule of the pack; accepted: the id of a rule (name)"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "old", "new", "at", "message"), ERRORS, ids=[f"{each[4][:60]}" for each in ERRORS]
)
def test_an_error(
    pack: Path, edit: Edit, name: str, old: str, new: str, at: str, message: str
) -> None:
    edit(name, old, new)
    found = [text for text in told(pack, Severity.ERROR) if message in text]
    assert found, told(pack, Severity.ERROR)
    if at:
        assert (
            any(text.startswith(position(pack, name, at.partition("\n")[0])) for text in found)
            or "\n" in at
        ), found


WARNINGS = [
    (IMAGING, "[with contrast, ct angiography]", "[with contrast, With-Contrast]", "With-Contrast", "'With-Contrast' says what 'with contrast' in line 12 says"),
    ("pack.yaml", "  scan-without-contrast:", "  never: Never\n  scan-without-contrast:", "never", "the override reason 'never' is used nowhere"),
    ("pack.yaml", "templates:\n", "templates:\n  spare: {resourceType: Task}\n", "spare", "the template 'spare' is used nowhere"),
    ("fixtures.yaml", "  cobalamin:\n", "  nobody:\n    patient: {born: 1950-01-01}\n  cobalamin:\n", "nobody", "the fixture 'nobody' is used nowhere"),
    ("fixtures.yaml", "  drugs:\n", "  drugs:\n    placebo: local P1\n", "placebo", "the drug 'placebo' is used nowhere"),
    ("definitions/patient.yaml", "parameters:\n", "parameters:\n  young:\n    value: 18\n    allowed: 16 to 21\n    basis: [T2]\n    means: nothing\n", "value: 18", "the parameter 'young' is used nowhere"),
    ("precedence.yaml", "order: [monitor.vitamin]", "order: [monitor.vitamin, monitor.iron]", "monitor.iron", "'monitor.iron' is no rule of the pack"),
    (RULE, "title: ", "status: draft\ntitle: TODO ", "TODO", "still to be written"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "old", "new", "at", "message"), WARNINGS, ids=[f"{each[4][:60]}" for each in WARNINGS]
)
def test_a_warning(
    pack: Path, edit: Edit, name: str, old: str, new: str, at: str, message: str
) -> None:
    edit(name, old, new)
    found = told(pack, Severity.WARNING)
    assert any(text.startswith(position(pack, name, at)) and message in text for text in found), (
        found
    )


def test_a_value_set_that_nothing_names(pack: Path) -> None:
    text = (pack / SET).read_text("utf-8").replace("id: metformin", "id: spare")
    (pack / "valuesets/spare.yaml").write_text(text, "utf-8")
    assert told(pack, Severity.WARNING) == [
        "valuesets/spare.yaml:1:1: the value set 'spare' is used nowhere (unused)"
    ]


def test_a_code_that_a_beginning_covers(pack: Path, edit: Edit) -> None:
    edit("valuesets/systems.yaml", "loinc:", "icd: [http://hl7.org/fhir/sid/icd-10-cm]\nloinc:")
    edit(KIDNEY, "phrases:", '  icd: {codes: {"Q99.1": ""}, prefixes: {"Q99": ""}}\nphrases:')
    (found,) = told(pack, Severity.WARNING)
    assert "'Q99.1' is in the set by the beginning 'Q99' already" in found
    edit(KIDNEY, '"Q99.1"', '"Q9.1"')
    (found,) = told(pack, Severity.ERROR)
    assert "'Q9.1' is no ICD-10-CM code; accepted: a letter, a digit, a digit or letter;" in found
    edit(KIDNEY, '"Q99": ""', '"99Q": ""')
    assert any(
        "'99Q' is no beginning of ICD-10-CM codes" in text for text in told(pack, Severity.ERROR)
    )


def test_a_retired_code_may_stand_beside_what_replaced_it(pack: Path, edit: Edit) -> None:
    edit(IMAGING, CODES, 'codes: ["241620005", "77477000"]')
    assert told(pack, Severity.ERROR) == []


def test_two_scenarios_of_one_name(pack: Path) -> None:
    path = pack / SCENARIOS
    text = path.read_text("utf-8")
    name = text.partition("- name: ")[2].partition("\n")[0]
    path.write_text(f"{text}  - name: {name}\n    expect: none\n", "utf-8")
    (found,) = told(pack, Severity.ERROR)
    assert f"'{name}' is a scenario in line 3 too; accepted: each name once (duplicate)" in found


def test_what_must_not_come_is_a_rule(pack: Path) -> None:
    path = pack / SCENARIOS
    text = (
        path.read_text("utf-8")
        + "  - name: another\n    expect: none\n    must-not: [monitor.vitamins]\n"
    )
    path.write_text(text, "utf-8")
    (found,) = told(pack, Severity.ERROR)
    assert "'monitor.vitamins' is no rule of the pack" in found


def test_a_draft_is_checked_and_does_not_judge(pack: Path, edit: Edit) -> None:
    edit(RULE, "title: ", "status: draft\ntitle: ")
    assert "monitor.vitamin" not in {rule.id for rule in load_rulebook(pack).rules}
    edit(RULE, "  options: Consider measuring it again.\n", "")
    assert any("nothing that can be done" in text for text in told(pack, Severity.ERROR))


# -- check digits ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "published",
    ["100005", "100014", "100022", "1290023401004", "1290000001117", "999999990989121104"],
)
def test_identifiers_of_the_guide(published: str) -> None:
    assert str(verhoeff_digit(published[:-1])) == published[-1]


@pytest.mark.parametrize("published", ["2160-0", "718-7", "2951-2", "8480-6", "72166-2"])
def test_numbers_of_laboratory_codes(published: str) -> None:
    number, _, digit = published.partition("-")
    assert str(mod10_digit(number)) == digit


@given(st.text("0123456789", min_size=5, max_size=17), st.integers(0, 16), st.integers(1, 9))
def test_one_wrong_digit_is_always_seen(digits: str, at: int, by: int) -> None:
    at %= len(digits)
    wrong = digits[:at] + str((int(digits[at]) + by) % 10) + digits[at + 1 :]
    assert verhoeff_digit(wrong) != verhoeff_digit(digits)
    assert mod10_digit(wrong) != mod10_digit(digits)


@given(st.text("0123456789", min_size=5, max_size=17), st.integers(0, 15))
def test_two_digits_in_the_wrong_order_are_always_seen(digits: str, at: int) -> None:
    at %= len(digits) - 1
    wrong = digits[:at] + digits[at + 1] + digits[at] + digits[at + 2 :]
    assert wrong == digits or verhoeff_digit(wrong) != verhoeff_digit(digits)


# -- the command ----------------------------------------------------------------------------------


def test_warnings_fail_only_when_asked(pack: Path, edit: Edit) -> None:
    edit("precedence.yaml", "order: [monitor.vitamin]", "order: [monitor.vitamin, monitor.iron]")
    done = cds("lint", pack)
    assert done.returncode == 0
    assert "warning: 'monitor.iron' is no rule of the pack" in done.stdout
    assert done.stdout.splitlines()[-1].endswith(" scenarios: no errors, 1 warnings")
    assert cds("lint", pack, "--strict").returncode == 1
    github = cds("lint", "pack", "--format", "github", cwd=pack.parent)
    assert github.returncode == 0
    assert github.stdout.startswith("::warning file=pack/precedence.yaml,line=")
