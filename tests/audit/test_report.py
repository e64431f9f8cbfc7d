"""`report.html`: everything is in it, nothing is loaded, nothing of a record can act."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds.audit.html import write
from cds.audit.html.chosen import Line
from cds.audit.html.person import person
from cds.audit.html.write import write_report
from tests.audit.pages import Report, audited, faults_of
from tests.audit.population import LDN, SNOMED, operation, population, read
from tests.records import CONTRAST, Json, bundle, draft, order, resource, setting
from tests.records import person as patient_of

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'`${1}{{7*7}}<!--\u2028"


def lines(folder: Path) -> list[dict[str, Any]]:
    return read(folder, "patients")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("report")


@pytest.fixture(scope="module")
def report(folder: Path) -> Report:
    return audited(folder, *(bundle(*found) for found in population().values()))


# -- what it holds -----------------------------------------------------------------------------------


def test_it_is_one_file_that_loads_nothing(report: Report) -> None:
    assert faults_of(report) == []
    policy = report.metas["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert "http" not in policy


def test_only_its_own_script_and_styles_may_act(report: Report, folder: Path) -> None:
    """The policy names the digest of each inline script and style, and no others are there."""
    text = (folder / "report.html").read_text("utf-8")
    inline = re.findall(r"<(?:style|script)>(.*?)</(?:style|script)>", text, re.DOTALL)
    digests = {
        "sha256-" + base64.b64encode(hashlib.sha256(found.encode()).digest()).decode()
        for found in inline
    }
    assert len(inline) == 3
    assert digests == set(re.findall(r"'(sha256-[^']+)'", report.metas["Content-Security-Policy"]))


def test_it_says_what_was_audited(report: Report, folder: Path) -> None:
    summary = json.loads((folder / "summary.json").read_text())
    said = report.text("audited")
    for told in (
        "30 records of their own", "30 judged", "0 recorded as deceased", "10 Jun 2026 10:00",
        "America/New_York", summary["pack"], summary["rulebook"], "audit", "reference",
    ):  # fmt: skip
        assert told in said
    assert summary["rulebook"] in report.scripts["style"]


def test_each_finding_of_the_files_is_in_it(report: Report, folder: Path) -> None:
    found: dict[str, list[str]] = {}
    for line in read(folder, "findings"):
        found.setdefault(line["patient"], []).append(line["rule"])
    assert {one["id"]: sorted(one["rules"]) for one in report.people} == {
        name: sorted(rules) for name, rules in found.items()
    }


def test_the_severest_come_first(report: Report, folder: Path) -> None:
    level = {line["patient"]: 3 for line in read(folder, "findings")}
    for line in read(folder, "findings"):
        if line["card"] is True:
            rank = ("critical", "warning", "info").index(line["indicator"])
            level[line["patient"]] = min(level[line["patient"]], rank)
    ranks = [level[one["id"]] for one in report.people]
    assert ranks == sorted(ranks)
    assert len(set(ranks)) > 1


def test_numbers_of_the_charts_are_those_of_the_summary(report: Report, folder: Path) -> None:
    summary = json.loads((folder / "summary.json").read_text())
    page = (folder / "report.html").read_text("utf-8")
    decided = re.search(r"<caption>Each rule for all judged.*?</table>", page, re.DOTALL)
    assert decided is not None
    rows = {
        match[1]: [int(count) for count in re.findall(r'"number"[^>]*>(\d+)<', match[2])]
        for match in re.finditer(r"<code>(.*?)</code>(.*?)</tr>", decided[0], re.DOTALL)
    }
    assert rows == {
        rule["rule"]: [rule["fired"], rule["not_fired"], rule["unknown"]]
        for rule in summary["rules"]
        if rule["fired"] or rule["unknown"]
    }
    assert "its date is not recorded: 3" in report.text("completeness")


def test_evidence_stands_once_for_each_rule(report: Report) -> None:
    for one in {rule for found in report.people for rule in found["rules"]}:
        assert report.ids.count(f"rule-{one}") == 1
    said = report.text("rule-periop.surgery-within-hold-window")
    for told in ("K02", "Strength:", "Contradicted or limited by:", "Known false positives"):
        assert told in said


def test_the_first_patients_stand_there_without_a_script(report: Report, folder: Path) -> None:
    line = lines(folder)[0]
    assert report.people[0]["id"] in report.text("p1")
    # A card's text, the picture in words, the trace with its resources.
    shown = " ".join(report.text(f"p{number}") for number in range(1, 21))
    for told in ("Why it matters", "taken", "planned 13 Jun 2026", "[MedicationRequest/", "yes"):
        assert told in shown
    assert f"The first {len(report.people)} of {len(report.people)} patients" in report.text("list")
    assert line["patient"] in shown


def test_an_input_that_could_not_be_read_is_never_hidden(tmp_path: Path) -> None:
    record = {"resourceType": "Bundle", "type": "collection", "entry": "none"}
    report = audited(tmp_path, record, bundle(patient_of()), name="ward-7.json")
    assert "1 inputs or files of them: what stands there was not judged" in report.text("audited")
    assert "ward-7.json" in report.text("unread")
    assert "Inputs or files that could not be read whole: 1." in report.text("next")
    assert "problems.ndjson lists them" in report.text("next")


def test_nobody_with_a_finding_is_a_report_too(tmp_path: Path) -> None:
    report = audited(tmp_path, bundle(patient_of()))
    assert faults_of(report) == []
    assert "Nobody has a finding" in report.text("patients")
    assert "people" not in report.scripts


def test_a_second_pack_has_a_report_without_a_change(tmp_path: Path) -> None:
    """Another drug, another kind of fact: windows, lanes and evidence follow from its own words."""
    scan = {"coding": [{"system": SNOMED, "code": "77477000"}]}
    creatinine = {"coding": [{"system": "http://loinc.org", "code": "2160-0"}]}
    record = bundle(
        patient_of(),
        order("m1", "metformin 500 MG Oral Tablet"),
        operation("s1", "p1", occurrenceDateTime="2026-06-12", code=scan),
        resource(
            "Observation", "c1", status="final", code=creatinine, effectiveDateTime="2026-06-01",
            valueQuantity={"value": 1.6, "unit": "mg/dL", "system": "http://unitsofmeasure.org", "code": "mg/dL"},
        ),
    )  # fmt: skip
    report = audited(tmp_path, record, root=CONTRAST)
    assert faults_of(report) == []
    assert "contrast.low-kidney-function" in report.people[0]["rules"]
    assert "Look at creatinine before contrast." in report.text("rule-contrast.low-kidney-function")
    shown = report.text("p1")
    assert "stop: 2 days before" in shown
    assert "10 Jun 2026 to 12 Jun 2026" in shown
    assert "1.6 mg/dL 1 Jun 2026" in shown


# -- numbers that are kept back ----------------------------------------------------------------------


def test_a_suppressed_number_is_no_zero_and_no_patient_is_shown(
    folder: Path, tmp_path: Path, report: Report
) -> None:
    assert report.people
    summary = json.loads((folder / "summary.json").read_text())
    for rule in summary["rules"]:
        if rule["fired"]:
            rule["fired"] = rule["not_fired"] = None
            rule["findings"] = {"card": {"info": None}}
    summary["suppressed"] = {"below": 11, "note": "suppressed: counts of 1 to 10"}
    summary["coverage"]["Task"] = {"absent": None}
    for name in ("findings.ndjson", "patients.ndjson", "problems.ndjson"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    write_report(tmp_path, summary, setting(hook="audit"))
    kept = Report(tmp_path / "report.html")
    assert faults_of(kept) == []
    fired = sum(rule["fired"] is None for rule in summary["rules"])
    assert kept.text("findings").count("suppressed") == fired > 3
    assert "suppressed: counts of 1 to 10" in kept.text("audited")
    assert "people" not in kept.scripts
    page = (tmp_path / "report.html").read_text("utf-8")
    for one in report.people:
        assert one["id"] not in page
    # Files of single patients, which are not passed on with it, are not pointed to.
    assert ".ndjson" not in page


def test_strata_are_drawn_where_the_summary_has_them(folder: Path, tmp_path: Path) -> None:
    summary = json.loads((folder / "summary.json").read_text())
    summary["strata"] = {"sex": {"female": 12, "male": None}, "age": {"40-49": 30}}
    for rule in summary["rules"]:
        verdicts = {"fired": None, "not_fired": 3, "unknown": 0}
        rule["by"] = {"sex": {"female": verdicts}}
    for name in ("findings.ndjson", "patients.ndjson", "problems.ndjson"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    write_report(tmp_path, summary, setting(hook="audit"))
    report = Report(tmp_path / "report.html")
    said = report.text("strata")
    assert "Judged patients by sex" in said
    assert "female 12 male suppressed" in said
    assert "female suppressed 3 0" in report.text("rule-periop.surgery-within-hold-window")


# -- the bound ---------------------------------------------------------------------------------------


def test_beyond_the_bound_it_says_how_many_are_left_out(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, report: Report
) -> None:
    monkeypatch.setattr(write, "MOST_PATIENTS", 4)
    monkeypatch.setattr(write, "PLAIN", 2)
    for name in ("findings.ndjson", "patients.ndjson", "problems.ndjson"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    write_report(tmp_path, json.loads((folder / "summary.json").read_text()), setting(hook="audit"))
    few = Report(tmp_path / "report.html")
    assert few.people == report.people[:4]
    left = len(report.people) - 4
    assert f"the other {left} patients and" in few.text("patients")
    assert "are in findings.ndjson" in few.text("patients")


def test_the_same_lines_give_the_same_bytes(folder: Path, tmp_path: Path, report: Report) -> None:
    assert report.people
    for name in ("findings.ndjson", "patients.ndjson", "problems.ndjson"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    write_report(tmp_path, json.loads((folder / "summary.json").read_text()), setting(hook="audit"))
    assert (tmp_path / "report.html").read_bytes() == (folder / "report.html").read_bytes()


# -- the picture -------------------------------------------------------------------------------------


def pictured(folder: Path, *resources: Json) -> dict[str, Any]:
    audited(folder, bundle(patient_of(birthDate="1980-02", gender="female"), *resources))
    (line,) = lines(folder)
    return line


def test_a_window_is_found_in_the_words_of_the_rule(tmp_path: Path) -> None:
    """The hold window lies before the operation, whatever the pack calls it."""
    line = pictured(
        tmp_path,
        order("n1", LDN, "p1"),
        operation("x1", "p1", occurrenceDateTime="2026-06-12"),
    )
    window = next(item for item in line["windows"] if item[0] == "window")
    assert window[1:3] == [-1, 2]
    assert "3 days (hold-days) before Appendectomy (start)" in window[3]
    assert window[4] == ["periop.surgery-within-hold-window"]
    assert ["span", 0, 2] in [item[:3] for item in line["windows"]]


def test_the_days_looked_back_on_are_shaded(tmp_path: Path) -> None:
    stopped = order(
        "o1", "oxycodone 5 MG Oral Tablet", "p1", status="completed", authoredOn="2026-06-01",
        dispenseRequest={"expectedSupplyDuration": {"value": 5, "unit": "d", "system": "http://unitsofmeasure.org", "code": "d"}},
    )  # fmt: skip
    line = pictured(tmp_path, draft("n1", LDN, 1.5), stopped)
    (window,) = [item for item in line["windows"] if item[0] == "window"]
    assert window[1:3] == [-10, 0]
    assert "recent: up to 10 days (look-back) before the day judged for" in window[3]
    # The rule works out the first day that is free of it.
    assert [item[1] for item in line["windows"] if item[0] == "day"] == [6]
    spans = [span[:5] for lane in line["lanes"] for span in lane[3]]
    assert ["draft", 0, 0, None, None] in spans
    assert ["exposure", -9, -9, -5, -5] in spans
    assert line["age"] == [46, 46]


def test_open_and_uncertain_ends_are_no_certain_ones(tmp_path: Path) -> None:
    line = pictured(
        tmp_path,
        order("n1", LDN, "p1", authoredOn="2026-05", dispenseRequest={}),
        operation("x1", "p1", occurrenceDateTime="2026-06-12"),
    )
    (lane,) = [lane for lane in line["lanes"] if lane[0] == "medication"]
    span = lane[3][0]
    assert span[0] == "assumed"
    assert span[1:3] == [-40, -10]
    shown = person(_line(line), [])
    (drawn,) = [item for item in shown.lanes if item.kind == "medication"]
    assert drawn.words.startswith("taken, no end recorded from May 2026")
    styles = [bar.style for bar in drawn.bars]
    assert styles.count("between") >= 1
    assert styles[0] == "assumed"


def _line(found: dict[str, Any]) -> Line:
    return msgspec.convert({**found, "details": []}, Line)


def _range(days: tuple[int, int] | None) -> tuple[int | None, int | None]:
    return (None, None) if days is None else (days[0], days[0] + days[1])


@given(
    spans=st.lists(
        st.tuples(
            st.sampled_from(["exposure", "assumed", "possibility", "hint", "draft"]),
            *[st.none() | st.tuples(st.integers(-60_000, 60_000), st.integers(0, 900))] * 2,
        ),
        max_size=4,
    ),
    marks=st.lists(st.tuples(st.integers(-900_000, 900_000), st.integers(0, 400)), max_size=3),
)
def test_whatever_the_days_the_picture_stays_in_its_frame(
    spans: list[tuple[Any, ...]], marks: list[tuple[int, int]]
) -> None:
    days = [(first, first + more, "recorded") for first, more in marks]
    drawn = [(label, *_range(start), *_range(end), "") for label, start, end in spans]
    shown = person(
        Line(
            (0, 0, 1), 0, 0, "p1", "", "a", "2026-06-10T10:00:00-04:00", "", None, (),
            (("medication", "a", (), tuple(drawn), ()), ("condition", "b", (), (), tuple(days))),
            0, (("window", -5, 2, "w", ()),), 0,
        ),
        [],
    )  # fmt: skip
    for lane in shown.lanes:
        assert lane.words
        for bar in lane.bars:
            assert bar.x >= 0
            assert bar.width > 0
            assert bar.x + bar.width <= 100.02
        assert all(0 <= mark.x <= 100 for mark in lane.marks)
    assert 0 < shown.today < 100
    assert 1 <= len(shown.ticks) <= 5


# -- hostile records ---------------------------------------------------------------------------------


def hostile(number: int) -> Json:
    """A record whose every text would act, if it could."""
    name = f"p{number}{HOSTILE}"
    return bundle(
        {**patient_of("p1"), "id": name},
        {**order("n1", f"naltrexone 1.5 MG Oral Capsule {HOSTILE}", name), "id": f"n1{HOSTILE}"},
        {
            **operation("x1", name, occurrenceDateTime="2026-06-12"),
            "code": {
                "coding": [{"system": SNOMED, "code": "80146002", "display": HOSTILE}],
                "text": HOSTILE,
            },
        },
        resource("Condition", "c1", name, code={"text": f"fibromyalgia {HOSTILE}"}),
    )


def test_nothing_of_a_record_is_markup(tmp_path: Path) -> None:
    name = f"{HOSTILE}.json"
    report = audited(tmp_path, *(hostile(number) for number in range(3)), name=name)
    assert faults_of(report) == []
    assert set(report.scripts) == {"style", "code", "people", "texts"}
    assert len(report.people) == 3
    page = (tmp_path / "report.html").read_text("utf-8")
    assert page.count("<script") == 3
    assert "<img" not in page
    assert "<!--" not in page
    # It is there all the same, as text.
    assert "alert(1)" in report.text("p1")
    assert report.people[0]["id"].startswith("p0</script>")
