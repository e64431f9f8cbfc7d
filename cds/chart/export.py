"""One patient's lines of a Bulk Data export into a chart (FHIR Bulk Data Access, NDJSON files).

An export is one record set in files by resource type. Whoever gathers a patient's lines (in any
order, from any number of files) gets the chart that a Bundle of the same resources would give; only
the coverage differs, since a type without a file was not exported.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from cds.chart.courses import join_courses
from cds.chart.document import UNREADABLE, decode
from cds.chart.fields import Json, as_text, reference_of
from cds.chart.finding import subject_of
from cds.chart.kin import LEFT_TYPES, group_of, grouped_keys
from cds.chart.lazy import parse_lazily
from cds.chart.medication import MEDICATION_TYPES
from cds.chart.model import Chart, Coverage, MedicationRecord, OperationRecord
from cds.chart.operation import OPERATION_TYPES, join_operations
from cds.chart.reader import Charts
from cds.chart.references import relative
from cds.chart.sieve import Sieve
from cds.chart.version import Entry, newest
from cds.values.problem import Place, Problem

OVERRULING = (Coverage.FAILED, Coverage.FORBIDDEN, Coverage.TRUNCATED)
"""What holds of a type for every patient, whatever lines of it were found for one."""

Kept = TypeVar("Kept", MedicationRecord, OperationRecord)

Read = Callable[[bytes, str], Charts]
"""Reads the bytes of a record under a name, as every other input is read."""

Shelf = Callable[[str], bytes | None]
"""Gives the line of a shared Medication by its id, None where the export has none."""

_MEDICATION = re.compile(rb'Medication\\?/([^"\\/?#]+)')
_SUBJECTS = {"AllergyIntolerance": "patient", "Task": "for"}
_SHARED = ("Appointment/", "Encounter/")
_CONTROL = re.compile(r"[\x00-\x1f]")
_DEPTH_OF_MEDICATIONS = 3


class Told(msgspec.Struct, frozen=True):
    """What a line tells before it is read: its type, its patient's id, why nobody asks for it.

    ``reason`` is "" for a line that is asked for; one that is not may still be kin of another,
    which its ``id`` is enough to tell where it does not ``bind`` itself to others.
    """

    kind: str
    patient: str
    reason: str = ""
    id: str = ""
    binds: bool = False


def tell_each(lines: Sequence[bytes], sieve: Sieve) -> list[Told | None]:
    """What each line tells, where its patient is written the common way.

    None for any other line, and for all where one is no JSON: ask `owners_of_line`.
    """
    together = b"[" + b",".join(lines) + b"]"
    documents = parse_lazily(together)
    if documents is None:
        documents = _decoded_list(together)
    # Lines that are no JSON may be some together.
    found = [_told(document, sieve) for document in documents]
    return found if len(found) == len(lines) else [None] * len(lines)


def _decoded_list(text: bytes) -> list[object]:
    try:
        value = decode(text)
    except UNREADABLE:
        return []
    return value if isinstance(value, list) else []


def owners_of_line(line: bytes) -> tuple[str, list[str]]:
    """The line's resource type and the keys of its patients: ids, or ``urn:…`` as written.

    No keys: it names no patient. A reference to something else than a patient comes back whole
    (``Group/g1``). Raises ValueError for a line that is no JSON object or has no resourceType,
    RecursionError for one that is nested too deeply.
    """
    try:
        document = decode(line)
    except RecursionError:
        raise
    except UNREADABLE as error:
        raise ValueError(f"not JSON: {error}") from error
    if isinstance(document, dict):
        return _owners(document)
    raise ValueError("not a JSON object")


def _told(document: Any, sieve: Sieve) -> Told | None:
    """The common way to write whose a resource is; None for any other, and for a Patient."""
    try:
        kind = document["resourceType"]
        found = document[_SUBJECTS.get(kind, "subject")]["reference"]
        if not (found.startswith("Patient/") and found.count("/") == 1 and found.isprintable()):
            return None
        if not found.isascii() or "?" in found:
            return None
        left = sieve.left_out(kind, document, "") if kind in sieve.interest.types else None
        name = document["id"] if left is not None else ""
        if left is None or not (name.isascii() and name.isprintable()):
            return Told(kind, found[8:])
        binds = bool(left.links) or kind in OPERATION_TYPES
        return Told(kind, found[8:], left.reason, name, binds)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


_MARK = b"\x01"


def marked(line: bytes, told: Told) -> bytes:
    """A line that nobody asks for, marked with its type and the reason; see `read_record`."""
    head = (told.kind, told.id, told.reason, "binds" if told.binds else "")
    return _MARK.join((b"", *(part.encode() for part in head), line))


def _owners(resource: Json) -> tuple[str, list[str]]:
    """The same as ``_told`` for every way to write a reference."""
    kind = as_text(resource.get("resourceType"))
    if not kind:
        raise ValueError("no resourceType")
    if kind == "Patient":
        name = as_text(resource.get("id"))
        return kind, [name] if name and not _CONTROL.search(name) else []
    keys = [relative(reference_of(item)) for item in subject_of(resource)]
    if "participant" in resource and "subject" not in resource:
        keys = [key for key in keys if key.startswith(("Patient/", "urn:"))]
    usable = [key.removeprefix("Patient/") for key in keys if key and not _CONTROL.search(key)]
    return kind, list(dict.fromkeys(usable))


def read_record(
    lines: Sequence[bytes],
    patient: str,
    name: str,
    *,
    read: Read,
    states: Mapping[str, Coverage],
    shelf: Shelf,
) -> Charts:
    """The chart of one patient from their lines of an export named ``name``; ``read`` reads it.

    ``lines`` are JSON objects in any order, `marked` or not: the same chart comes of every order.
    ``states`` says of a type what holds when the patient has none of it (``empty`` or ``absent``),
    or what holds for everybody (``failed``, ``truncated``). Medications that the lines refer to
    come from ``shelf``.
    What is wrong is a problem; a chart that cannot be made is not there.
    """
    chosen, ignored = _asked_for(sorted(set(lines)))
    chosen = _people_first(chosen)
    found = read(_bundle(chosen, shelf), name)
    problems = list(found.problems)
    if not found.charts and len(good := [line for line in chosen if _decoded(line)]) < len(chosen):
        # Joined they are no JSON: one of them is at fault, and costs only itself.
        what = f"{len(chosen) - len(good)} of {len(chosen)} lines are not JSON"
        where = Place(name, resource=f"Patient/{patient}")
        found = read(_bundle(good, shelf), name)
        problems = [*found.problems, Problem(where, what, "one resource a line", "json")]
    own = tuple(
        _exported(chart, states, ignored) for chart in found.charts if chart.patient.id == patient
    )
    return Charts(own, None, tuple(problem for problem in problems if not _is_shared(problem)))


def _asked_for(lines: list[bytes]) -> tuple[list[bytes], Counter[tuple[str, str]]]:
    """The lines to be read, and how many are not, by type and reason.

    A marked line is read after all where it may be kin of one that is (``cds.chart.kin``), and of
    the medications that nobody asks for one, since it counts that there is any.
    """
    asked = [line for line in lines if not line.startswith(_MARK)]
    if len(asked) == len(lines):
        return lines, Counter()
    keys = _keys_of(line for line in asked if line_type(line) in LEFT_TYPES)
    ignored: Counter[tuple[str, str]] = Counter()
    drugs: list[tuple[bytes, tuple[str, str]]] = []
    for line in lines:
        if not line.startswith(_MARK):
            continue
        _, kind, name, reason, binds, text = line.split(_MARK, 5)
        why = kind.decode(), reason.decode()
        known = keys.get(group_of(why[0]))
        if known is not None and (binds or f"{why[0]}/{name.decode()}" in known):
            asked.append(text)
        elif why[0] in MEDICATION_TYPES:
            drugs.append((text, why))
        else:
            ignored[why] += 1
    if drugs:
        one = min(drugs)
        asked.append(one[0])
        ignored.update(why for text, why in drugs if text is not one[0])
    return sorted(asked), ignored


def _keys_of(lines: Iterable[bytes]) -> dict[str, set[str]]:
    """By group, what the resources of the lines are called, refer to and are identified by."""
    entries = [Entry(found) for line in lines if (found := _decoded(line)) is not None]
    return grouped_keys(entries)


def _is_shared(problem: Problem) -> bool:
    """Whether a problem is but that an entry has two patients, each of whom gets it."""
    return problem.kind == "subject" and problem.where.resource.startswith(_SHARED)


def _bundle(lines: list[bytes], shelf: Shelf) -> bytes:
    """The lines as one Bundle, with the Medications that they name."""
    entries = b'},{"resource":'.join([*lines, *_medications(lines, shelf)])
    return b'{"resourceType":"Bundle","entry":[{"resource":' + entries + b"}]}"


def _exported(
    chart: Chart, states: Mapping[str, Coverage], ignored: Mapping[tuple[str, str], int]
) -> Chart:
    """The chart as an export means it: its coverage, and nothing in it is being written now."""
    courses, operations = chart.courses, chart.operations
    if any(record.drafted for course in courses for record in course.records):
        courses = join_courses(
            [_settled(record) for course in courses for record in course.records]
        )
    if any(record.drafted for operation in operations for record in operation.records):
        operations = join_operations(
            [_settled(record) for operation in operations for record in operation.records]
        )
    seen = {kind for kind, _ in ignored}
    counts = {**chart.ignored}
    for (kind, reason), count in ignored.items():
        counts[f"{kind}: {reason}"] = counts.get(f"{kind}: {reason}", 0) + count
    return replace(
        chart,
        courses=courses,
        operations=operations,
        coverage=_coverage(chart, states, seen),
        ignored=dict(sorted(counts.items())),
    )


def _settled(record: Kept) -> Kept:
    if not record.drafted:
        return record
    return replace(record, drafted=False, attributes={**record.attributes, "drafted": "no"})


def _coverage(chart: Chart, states: Mapping[str, Coverage], seen: set[str]) -> dict[str, Coverage]:
    """The chart's coverage where its record is the whole, turned into that of an export.

    ``seen`` are types of which there were lines that nobody asks for.
    """
    found = {}
    for kind, own in chart.coverage.items():
        state = Coverage.SUPPLIED if own is Coverage.EMPTY and kind in seen else own
        general = states.get(kind, Coverage.ABSENT)
        told = general in OVERRULING or state is Coverage.EMPTY
        found[kind] = general if told else state
    return found


def _people_first(lines: list[bytes]) -> list[bytes]:
    """The lines with one Patient at most: of several versions the one that stands (ruling 31)."""
    people = [(Entry(found), line) for line in lines if (found := _person(line)) is not None]
    if len(people) < 2:
        return lines
    kept, _ = newest([entry for entry, _ in people], "")
    first = next(line for entry, line in people if entry is kept[0])
    others = {line for _, line in people}
    return [first, *(line for line in lines if line not in others)]


def _person(line: bytes) -> Json | None:
    found = _decoded(line) if b'"Patient"' in line else None
    return found if found is not None and found.get("resourceType") == "Patient" else None


def _decoded(line: bytes) -> Json | None:
    try:
        value = msgspec.json.decode(line)
    except (msgspec.DecodeError, RecursionError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def _medications(lines: Iterable[bytes], shelf: Shelf) -> list[bytes]:
    """The shared Medications that the lines name, and those that these name, each once."""
    found: dict[bytes, bytes] = {}
    looked: set[bytes] = set()
    fresh = list(lines)
    for _ in range(_DEPTH_OF_MEDICATIONS):
        named = {
            name for line in fresh if b"Medication" in line for name in _MEDICATION.findall(line)
        }
        fresh = []
        for name in sorted(named - looked):
            line = shelf(name.decode("utf-8", "replace"))
            if line is not None:
                found[name] = line
                fresh.append(line)
        looked |= named
        if not fresh:
            break
    return list(found.values())


_TYPE_FIRST = re.compile(rb'\s*\{\s*"resourceType"\s*:\s*"([A-Za-z]+)"')


def line_type(line: bytes) -> str:
    """The resource type of a line of NDJSON; "" when it is no resource."""
    found = _TYPE_FIRST.match(line)
    if found is not None:
        return found[1].decode()
    resource = _decoded(line)
    return as_text(resource.get("resourceType")) if resource is not None else ""
