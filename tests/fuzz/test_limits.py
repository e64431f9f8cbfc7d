"""What no real record holds is told, bounded, and never changes what else is read."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from cds.authoring import check
from cds.authoring.check import check_inputs
from cds.authoring.explain import explain_input
from cds.cards import describe
from cds.cards.judge import Judged, Setting, read_input
from cds.chart.reader import Charts
from cds.engine import combination, meaning, review
from cds.engine.binding import Scope
from cds.engine.frame import Clock, Hook
from cds.engine.sheet import Sheet
from cds.values.truth import Truth
from tests.audit.population import WHEN
from tests.records import (
    AS_OF,
    ROOT,
    Json,
    bundle,
    cards,
    draft,
    judged,
    judged_bytes,
    order,
    person,
    resource,
    rulebook,
    setting,
)
from tests.test_cli import cds

LDN = "naltrexone 1.5 MG Oral Capsule"
OXYCODONE = "oxycodone 5 MG Oral Tablet"
GOOD = bundle(person(), draft("d", LDN, 1.5), order("o", OXYCODONE))


def unknown_of(document: object) -> str:
    (item,) = judged(document)
    return "\n".join(
        f"{each.rule.id}: {reason}" for each in item.answer.unknown for reason in each.missing
    )


def told(data: bytes) -> list[str]:
    return [problem.render() for problem in judged_bytes(data)[1]]


# -- texts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("sig", ["1 mg 2 mg ", "1,1", "take 1 ", "an mg ", "exceed not mg qty 1"])
def test_a_sig_of_many_pages_is_not_read_and_says_so(sig: str) -> None:
    dosage = [{"text": sig * 40_000}]
    document = bundle(person(), draft("d", LDN, 1.5, dosageInstruction=dosage))
    (item,) = judged(document)
    detail = json.dumps([card.as_json() for card in item.answer.cards])
    assert "dose text is too long to be read" in detail


def test_a_sig_of_very_many_amounts_is_several() -> None:
    dosage = [{"text": "3 mg, " * 30}]
    (item,) = judged(bundle(person(), draft("d", LDN, 1.5, dosageInstruction=dosage)))
    detail = json.dumps([card.as_json() for card in item.answer.cards])
    assert "several amounts in the dose text" in detail


def test_very_many_dosage_instructions_are_counted_and_not_read() -> None:
    dosage = [{"sequence": number, "text": "1 capsule daily"} for number in range(30_000)]
    (item,) = judged(bundle(person(), draft("d", LDN, 1.5, dosageInstruction=dosage)))
    detail = json.dumps([card.as_json() for card in item.answer.cards])
    assert "too many dosage instructions (30000)" in detail


# -- numbers and copies ---------------------------------------------------------------------------


@pytest.mark.parametrize("number", ["1e999999999999999999999", "-2.5E+99999999999999999999"])
def test_a_number_beyond_any_exponent_costs_itself(number: str) -> None:
    text = json.dumps(GOOD).replace('"intent"', f'"x": {number}, "intent"')
    found, problems = judged_bytes(text.encode())
    assert not problems
    assert [card.rule for item in found for card in _drawn(item)] == [
        rule for rule, _ in cards(GOOD)
    ]


def _drawn(item: Judged) -> list[Any]:
    return [_Rule(each.finding.rule.id) for each in item.answer.drawn]


class _Rule:
    def __init__(self, rule: str) -> None:
        self.rule = rule


def test_of_versions_with_very_many_digits_the_highest_stands() -> None:
    old = order("v", OXYCODONE, meta={"versionId": "9" * 5000}, status="active")
    new = order("v", OXYCODONE, meta={"versionId": "1" + "0" * 5000}, status="entered-in-error")
    found = cards(bundle(person(), draft("d", LDN, 1.5), new, old))
    assert not [rule for rule, _ in found if rule.startswith("opioid.")]
    assert [rule for rule, _ in cards(GOOD) if rule.startswith("opioid.")]


# -- bytes ---------------------------------------------------------------------------------------


def test_a_million_scalars_are_told_in_a_hundred_lines() -> None:
    lines = told(b"[" + b"0," * 200_000 + b"0]")
    assert len(lines) == 101
    assert lines[-1] == "input: 199901 more problems like these (input) (input)"


def test_a_flood_of_bad_lines_is_bounded() -> None:
    lines = told(json.dumps(person()).encode() + b"\n" + b"{\n" * 5000)
    assert len(lines) == 101
    assert "4900 more problems like these" in lines[-1]


def test_gzip_of_very_many_members_is_read() -> None:
    text = json.dumps(GOOD).encode()
    data = b"".join(gzip.compress(text[place : place + 1]) for place in range(len(text)))
    (item,) = judged_bytes(data + gzip.compress(b"") * 20_000)[0]
    assert item.answer.cards


def test_what_stands_behind_gzip_data_is_not_lost_silently() -> None:
    (line,) = told(gzip.compress(json.dumps(GOOD).encode()) + b"more")
    assert line.startswith("input: damaged gzip data")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "latin-1"])
def test_another_encoding_is_named(encoding: str) -> None:
    text = json.dumps(GOOD, ensure_ascii=False).replace("Oral", "Or\u00e4l")
    (line,) = told(text.encode(encoding))
    assert "UTF-8" in line


def test_nesting_a_hair_less_deep_than_the_decoder_refuses() -> None:
    for depth in range(900, 1010, 2):
        deep = '{"a":' * depth + "1" + "}" * depth
        copy = json.dumps(order("o", OXYCODONE))[:-1] + f', "x": {deep}}}'
        text = json.dumps(GOOD)[:-2] + f', {{"resource": {copy}}}]}}'
        found, problems = judged_bytes(text.encode())
        assert found or problems


# -- many entries --------------------------------------------------------------------------------


def test_combinations_among_very_many_facts_are_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(combination, "_MAX_LOOKS", 100)
    drafts = [draft(f"d{number}", LDN, 1.5) for number in range(26)]
    document = bundle(person(), order("o", OXYCODONE), *drafts)
    assert (
        "opioid.active-with-naltrexone-order: 6 of 26 combinations were not judged"
        in unknown_of(document)
    )


def test_entries_that_no_pair_was_made_of_are_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether an anaesthetic is for another operation of its day, which is the last of fifteen."""
    coded = {
        "coding": [{"system": "http://snomed.info/sct", "code": "50697003"}],
        "text": "general anesthesia",
    }
    whole: Json = {"status": "active", "intent": "order"}
    operations = [
        resource(
            "ServiceRequest",
            f"s{day}",
            occurrenceDateTime=f"2026-06-{day}",
            code={"text": "hernia repair"},
            **whole,
        )
        for day in range(11, 26)
    ]
    anaesthetic = resource(
        "ServiceRequest", "a", occurrenceDateTime="2026-06-25", code=coded, **whole
    )
    document = bundle(person(), order("n", LDN), anaesthetic, *operations)
    (chart,) = read_input(json.dumps(document).encode(), "input", setting()).charts
    words = review.evaluator(rulebook()).meanings
    found = []
    for most in (20_000, 20):
        monkeypatch.setattr(meaning, "_MOST_PAIRS", most)
        sheet = Sheet(chart, rulebook(), Hook("order-sign"), Clock(AS_OF), words)
        (fact,) = (one for one in sheet.facts("procedure") if "ServiceRequest/a" in str(one.key))
        found.append(words.is_word(Scope(sheet), fact, "anaesthetic-for-another"))
    assert found == [Truth.YES, Truth.UNKNOWN]


def test_a_list_of_a_card_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(describe, "_MOST_LINES", 3)
    opioids = [order(f"o{number}", OXYCODONE) for number in range(9)]
    (item,) = judged(bundle(person(), draft("d", LDN, 1.5), *opioids))
    (card,) = item.answer.cards
    assert "- and 7 more" in (card.detail or "")


# -- what a card may say -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a/b", "a b", "x\ty", "/", "..//"])
def test_a_draft_that_no_reference_can_name_is_not_offered_for_removal(name: str) -> None:
    (item,) = judged(bundle(person(), draft(name, LDN, 1.5), order("o", OXYCODONE)))
    (card,) = item.answer.cards
    assert not card.suggestions


def test_letters_that_have_no_shape_are_left_out() -> None:
    opioid = order("o", "oxycodone \ue000\uffff\u0378")
    (item,) = judged(bundle(person(), draft("d", LDN, 1.5), opioid))
    (card,) = item.answer.cards
    assert "(oxycodone)" in card.summary


# -- the terminal --------------------------------------------------------------------------------


def steering() -> Json:
    code = "p\x1b[31m\x07\x9b2J\u202ex"
    drug = {"coding": [{"system": "s", "code": f"c{code}", "display": f"Blurb{code}"}]}
    unreadable = {"coding": [{"system": code, "code": f"c{code}"}]}
    return bundle(
        person(code),
        draft(f"d{code}", f"naltrexone{code} 1.5 MG Oral Capsule", 1.5, code),
        order(f"o{code}", OXYCODONE, code, medicationCodeableConcept=unreadable),
        order(f"q{code}", OXYCODONE, code, medicationCodeableConcept=drug, status=code),
        resource("Condition", code, "somebody" + code),
        {"resourceType": "MedicationRequest", "id": code},
    )


def test_no_text_of_a_record_steers_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_text(json.dumps(steering()))
    with redirect_stdout(StringIO()) as out:
        check_inputs([str(path)], setting(), [], as_json=False)
        explain_input(str(path), setting(), [], "", as_json=False)
    assert "p[31m2Jx" in out.getvalue()
    assert not [char for char in out.getvalue() if char in "\x1b\x07\x9b\u202e"]


def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/bad\xff.json"
    Path(os.fsdecode(path)).write_text(json.dumps(GOOD))
    for form in ("text", "json"):
        done = cds("check", os.fsdecode(path), "--format", form)
        assert done.returncode == 0, done.stderr
        assert "internal" not in done.stderr


# -- the process ---------------------------------------------------------------------------------


def good(folder: Path) -> Path:
    path = folder / "good.json"
    path.write_text(json.dumps(GOOD))
    return path


def test_a_pipe_in_a_folder_is_not_waited_for(tmp_path: Path) -> None:
    good(tmp_path)
    os.mkfifo(tmp_path / "pipe.json")
    done = cds("check", tmp_path, "--format", "json", *WHEN)
    assert done.returncode == 1
    lines = {Path(line["input"]).name: line for line in map(json.loads, done.stdout.splitlines())}
    assert lines["pipe.json"]["problems"][0]["what"] == "is no file"
    assert lines["good.json"]["cards"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_named(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "cds", "check", str(good(tmp_path))],
            stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT, check=False,
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == "cds: no space left on device\n"


def test_a_reader_that_has_enough_is_no_failure(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cds", "check", *[str(good(tmp_path))] * 80]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0


def test_a_terminal_without_the_letters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    done = cds("check", good(tmp_path), *WHEN)
    assert done.returncode == 0, done.stderr
    assert "CRITICAL" in done.stdout


@pytest.mark.parametrize("moment", ["0001-01-02T00:00:00Z", "9999-12-31T00:00:00Z"])
def test_a_year_nobody_judges_in(tmp_path: Path, moment: str) -> None:
    done = cds("check", good(tmp_path), "--as-of", moment)
    assert done.returncode == 2
    assert "accepted: 1900 to 2200" in done.stderr


def test_a_patient_who_cannot_be_judged_stops_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = vars(check)["judge"]

    def judge(charts: Charts, name: str, by: Setting) -> Iterator[Judged]:
        if charts.charts[0].patient.id == "p2":
            raise ValueError("what stood in the record")
        yield from real(charts, name, by)

    monkeypatch.setattr(check, "judge", judge)
    path = tmp_path / "three.json"
    people = [person(name) for name in ("p1", "p2", "p3")]
    path.write_text(
        json.dumps(bundle(*people, *(draft(f"d{n}", LDN, 1.5, f"p{n}") for n in (1, 2, 3))))
    )
    for as_json in (True, False):
        with redirect_stdout(StringIO()) as out:
            assert check.check_inputs([str(path)], setting(), [], as_json=as_json) == 1
        assert "Patient/p2" in out.getvalue()
        assert "could not be judged (ValueError)" in " ".join(out.getvalue().split())
        assert "what stood" not in out.getvalue()
        assert "patient p3" in out.getvalue() or '"patient":"p3"' in out.getvalue()
