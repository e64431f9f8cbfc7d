"""``measure-report.json``: what was counted, as FHIR R4 MeasureReports in one Bundle (collection).

For each rule a *summary* report, with strata, and a *subject-list* report: its numerator refers to
a List in the Bundle, whose entries refer to an *individual* report for each patient for whom the
rule fired, with the resources behind it (https://hl7.org/fhir/R4/measurereport.html:
``subjectResults`` is a List of such reports).

=================== ===========================================================================
initial-population  patients judged by the rule, the same as *denominator*
numerator           those for whom it fired
undecided           those for whom it is unknown; a code of our own, since HL7's system has none
=================== ===========================================================================

There is no score: a ratio would count the undecided among those for whom the rule did not fire. A
count that is suppressed is absent with the reason *masked*; then there are summaries alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any
from uuid import NAMESPACE_URL, uuid5

import msgspec

from cds.audit.findings import FindingLine, read_findings
from cds.audit.strata import judged
from cds.cards.wire import encode
from cds.rulebook.model import Rule, Rulebook

NAME = "measure-report.json"
HL7_POPULATIONS = "http://terminology.hl7.org/CodeSystem/measure-population"
OUR_POPULATIONS = "https://cds-rules-engine.org/CodeSystem/audit-population"
_MASKED = {
    "extension": [
        {
            "url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
            "valueCode": "masked",
        }
    ]
}
_POPULATIONS = (
    (HL7_POPULATIONS, "initial-population", "Initial Population", "judged"),
    (HL7_POPULATIONS, "denominator", "Denominator", "judged"),
    (HL7_POPULATIONS, "numerator", "Numerator", "fired"),
    (OUR_POPULATIONS, "undecided", "Undecided", "unknown"),
)
_HELD = 8 * 1024 * 1024

Json = dict[str, Any]


def write_measures(
    folder: Path, summary: Mapping[str, Any], rulebook: Rulebook, *, subjects: bool
) -> None:
    """Writes the Bundle from ``summary`` and, with ``subjects``, the findings in ``folder``.

    Of these some are in memory at a time. Raises OSError.
    """
    with (folder / NAME).open("wb") as file, TemporaryFile(dir=folder) as scratch:
        listed = _Listed(scratch, _Names(rulebook))
        if subjects:
            listed.add_all(read_findings(folder))
        file.write(b'{"resourceType":"Bundle","type":"collection","entry":[\n')
        for number, rule in enumerate(summary["rules"]):
            file.write(b",\n" if number else b"")
            file.write(encode(listed.names.entry(_summary(rule, summary, listed.names), "summary")))
        if subjects:
            for rule in summary["rules"]:
                _write_subjects(file, rule, summary, listed)
        file.write(b"\n]}\n" if summary["rules"] else b"]}\n")


# -- names -----------------------------------------------------------------------------------------


class _Names:
    """What reports are called, the same each time for the same findings."""

    def __init__(self, rulebook: Rulebook) -> None:
        self._base = f"{rulebook.pack.canonical}/Measure/"
        self._space = uuid5(NAMESPACE_URL, f"{rulebook.pack.canonical}|{rulebook.digest}")
        self.rules: Mapping[str, Rule] = {rule.id: rule for rule in rulebook.rules}

    def measure(self, rule: str) -> str:
        """The canonical of the measure that a rule is, with its version."""
        return f"{self._base}{rule}|{self.rules[rule].version}"

    def url(self, *parts: str) -> str:
        """``urn:uuid:`` of a resource of the Bundle."""
        return uuid5(self._space, "\n".join(parts)).urn

    def entry(self, resource: Json, *parts: str) -> Json:
        about = resource.get("measure", ""), resource.get("period", {}).get("end", "")
        return {"fullUrl": self.url(*parts, *about), "resource": resource}


@lru_cache(maxsize=4096)
def _instant(text: str) -> str:
    """An instant as FHIR writes it: without seconds in the offset, which old zones have."""
    moment = datetime.fromisoformat(text)
    offset = moment.utcoffset() or timedelta(0)
    return (moment.astimezone(UTC) if offset.seconds % 60 else moment).isoformat()


def _period(summary: Mapping[str, Any]) -> Json:
    """The moment judged for; from the first year where orders were judged at their own."""
    end = _instant(summary["asOf"])
    years = [year for year in summary["strata"].get("year", {}) if year < end[:4]]
    return {"start": min(years, default=end), "end": end}


# -- reports ---------------------------------------------------------------------------------------


def _report(kind: str, rule: str, period: Json, names: _Names) -> Json:
    return {
        "resourceType": "MeasureReport",
        "status": "complete",
        "type": kind,
        "measure": names.measure(rule),
        "period": period,
    }


def _populations(counts: Mapping[str, int | None]) -> list[Json]:
    """The populations of a group or of a stratum."""
    return [
        {
            "code": {"coding": [{"system": system, "code": code, "display": display}]},
            **({"_count": _MASKED} if counts[what] is None else {"count": counts[what]}),
        }
        for system, code, display, what in _POPULATIONS
        if what in counts
    ]


def _group(rule: Mapping[str, Any], summary: Mapping[str, Any], names: _Names) -> Json:
    counts = {**rule, "judged": judged(summary)}
    return {
        "code": {"text": names.rules[rule["rule"]].title},
        "population": _populations(counts),
    }


def _summary(rule: Mapping[str, Any], summary: Mapping[str, Any], names: _Names) -> Json:
    group = _group(rule, summary, names)
    strata = [
        {
            "code": [{"text": name}],
            "stratum": [
                {
                    "value": {"text": value},
                    "population": _populations(
                        {**counts, "judged": summary["strata"][name][value]}
                    ),
                }
                for value, counts in values.items()
            ],
        }
        for name, values in rule["by"].items()
        if values
    ]
    if strata:
        group["stratifier"] = strata
    return {**_report("summary", rule["rule"], _period(summary), names), "group": [group]}


@cache
def _fired_for_one() -> msgspec.Raw:
    """The group of every individual report, written once."""
    counts = {"judged": 1, "fired": 1, "unknown": 0}
    return msgspec.Raw(encode([{"population": _populations(counts)}]))


def _individual(rule: str, findings: list[FindingLine], names: _Names) -> Json:
    first = findings[0]
    moment = _instant(first.as_of)
    sources = sorted({source for finding in findings for source in finding.sources})
    return {
        **_report("individual", rule, {"start": moment, "end": moment}, names),
        "subject": {"reference": f"Patient/{first.patient}"},
        "group": _fired_for_one(),
        **({"evaluatedResource": [{"reference": source} for source in sources]} if sources else {}),
    }


# -- subjects --------------------------------------------------------------------------------------


def _judged(finding: FindingLine) -> tuple[str, ...]:
    """What tells apart those who were judged; an order, where each was judged at its own moment."""
    line = str(finding.line or "")
    return finding.input, line, finding.patient, finding.order or "", finding.as_of


class _Listed:
    """Individual reports by rule in one file without a name, in the order of the findings."""

    def __init__(self, file: IO[bytes], names: _Names) -> None:
        self.names = names
        self._file = file
        self._held: dict[str, list[bytes]] = {}
        self._size = 0
        self._runs: dict[str, list[tuple[int, int]]] = {}

    def add_all(self, findings: Iterable[FindingLine]) -> None:
        """Keeps a report for each rule that fired for somebody, whose findings stand together."""
        for _, found in groupby(findings, _judged):
            by_rule: dict[str, list[FindingLine]] = {}
            for finding in found:
                by_rule.setdefault(finding.rule, []).append(finding)
            for rule, those in by_rule.items():
                self._add(rule, those)
        self._flush()

    def _add(self, rule: str, findings: list[FindingLine]) -> None:
        resource = _individual(rule, findings, self.names)
        entry = self.names.entry(resource, "individual", *_judged(findings[0]))
        line = encode(entry)
        self._held.setdefault(rule, []).append(line)
        self._size += len(line)
        if self._size > _HELD:
            self._flush()

    def _flush(self) -> None:
        for rule, lines in self._held.items():
            data = b"\n".join(lines)
            self._runs.setdefault(rule, []).append((self._file.tell(), len(data)))
            self._file.write(data)
        self._held.clear()
        self._size = 0

    def reports(self, rule: str) -> Iterator[bytes]:
        """The Bundle's entries of a rule; nothing may be added any more."""
        for start, length in self._runs.get(rule, ()):
            self._file.seek(start)
            yield from self._file.read(length).split(b"\n")


def _write_subjects(
    file: IO[bytes], rule: Mapping[str, Any], summary: Mapping[str, Any], listed: _Listed
) -> None:
    """The subject-list report of a rule, its List and the reports that this refers to."""
    names, name = listed.names, rule["rule"]
    group = _group(rule, summary, names)
    where = names.url("list", name, summary["asOf"])
    reports = listed.reports(name)
    first = next(reports, None)
    if first is not None:
        numerator = group["population"][2]
        numerator["subjectResults"] = {"reference": where}
    report = {**_report("subject-list", name, _period(summary), names), "group": [group]}
    file.write(b",\n" + encode(names.entry(report, "subject-list")))
    if first is None:
        return
    head = {"resourceType": "List", "status": "current", "mode": "snapshot"}
    title = {"title": names.rules[name].title, "entry": []}
    opened = encode({"fullUrl": where, "resource": {**head, **title}}).removesuffix(b"]}}")
    file.write(b",\n" + opened)
    for number, line in enumerate(listed.reports(name)):
        # An entry begins with its fullUrl, which nothing in it has to be escaped for.
        reference = line.split(b'"', 4)[3]
        file.write((b"," if number else b"") + b'{"item":{"reference":"%b"}}' % reference)
    file.write(b"]}}")
    for line in listed.reports(name):
        file.write(b",\n" + line)
