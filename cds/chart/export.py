"""One patient's lines of a Bulk Data export into a chart (FHIR Bulk Data Access, NDJSON files).

An export is one record set in files by resource type. Whoever gathers a patient's lines (in any
order, from any number of files) gets the chart that a Bundle of the same resources would give; only
the coverage differs, since a type without a file was not exported.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from cds.chart.courses import join_courses
from cds.chart.document import UNREADABLE, decode
from cds.chart.fields import Json, as_text, reference_of
from cds.chart.finding import subject_of
from cds.chart.interest import UNCLASSIFIED
from cds.chart.lazy import parse_lazily
from cds.chart.medication import MEDICATION_TYPES
from cds.chart.model import Chart, Coverage, MedicationRecord, OperationRecord
from cds.chart.operation import OPERATION_TYPES, join_operations
from cds.chart.reader import Charts
from cds.chart.references import relative
from cds.chart.version import Entry, newest
from cds.values.problem import Place, Problem

OVERRULING = (Coverage.FAILED, Coverage.FORBIDDEN, Coverage.TRUNCATED)
"""What holds of a type for every patient, whatever lines of it were found for one."""

Kept = TypeVar("Kept", MedicationRecord, OperationRecord)

Read = Callable[[bytes, str], Charts]
"""Reads the bytes of a record under a name, as every other input is read."""

Shelf = Callable[[str], Sequence[bytes]]
"""Gives the line of a shared Medication by its id: several where copies contradict each other."""


class LeftOut(msgspec.Struct, frozen=True):
    """Lines of one type that no rule asks for: the ids of their resources, the lines, and why.

    A piece of ``lines`` may hold several, with line ends between them.
    """

    names: list[bytes]
    lines: list[bytes]
    reason: str = UNCLASSIFIED

    def count(self) -> int:
        """How many there are, each once."""
        return len(self.names) if len(set(self.names)) == len(self.names) else len(set(self.all()))

    def all(self) -> list[bytes]:
        """The lines one by one, in the order of their names."""
        return [line for piece in self.lines for line in piece.split(b"\n")]

    def of(self, name: bytes) -> set[bytes]:
        """The lines of one id."""
        return {line for own, line in zip(self.names, self.all(), strict=True) if own == name}


class Lines(msgspec.Struct, frozen=True):
    """The lines of a patient: those that are ``asked`` for, and by type those that are not."""

    asked: list[bytes] = msgspec.field(default_factory=list)
    left: dict[str, LeftOut] = msgspec.field(default_factory=dict)


_ID = re.compile(rb'"id"\s*:\s*"([^"]*)"')
_HIDDEN = re.compile(rb"\\u00[2-7]")
_MEDICATION = re.compile(rb'Medication\\?/([^"\\/?#]+)')
_SUBJECTS = {"AllergyIntolerance": "patient", "Task": "for"}
_SHARED = ("Appointment/", "Encounter/")
_CONTROL = re.compile(r"[\x00-\x1f]")
_DEPTH_OF_MEDICATIONS = 3


def documents_of(lines: Sequence[bytes]) -> list[Any]:
    """The lines as JSON values of either reader; none where one of them is no JSON."""
    together = b"[" + b",".join(lines) + b"]"
    parsed = parse_lazily(together)
    found = list(_decoded_list(together) if parsed is None else parsed)
    # Lines that are no JSON may be some together.
    return found if len(found) == len(lines) else []


def subject_element(kind: str) -> str:
    """The element that names the patient of a resource of that type the common way."""
    return _SUBJECTS.get(kind, "subject")


def is_plain(reference: object) -> bool:
    """Whether a reference names a patient the common way: ``Patient/<id>``, ASCII, no more."""
    return (
        isinstance(reference, str)
        and reference.startswith("Patient/")
        and reference.count("/") == 1
        and len(reference) > len("Patient/")
        and reference.isascii()
        and reference.isprintable()
        and "?" not in reference
        and " " not in reference
    )


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


def _owners(resource: Json) -> tuple[str, list[str]]:
    """Type and keys, whatever the way to write a reference."""
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
    record: Lines,
    patient: str,
    name: str,
    *,
    read: Read,
    states: Mapping[str, Coverage],
    shelf: Shelf,
    drafts: bool = False,
) -> Charts:
    """The chart of one patient from their lines of an export named ``name``; ``read`` reads it.

    Its lines are JSON objects in any order: the same chart comes of every order.
    ``states`` says of a type what holds when the patient has none of it (``empty`` or ``absent``),
    or what holds for everybody (``failed``, ``truncated``). Medications that the lines refer to
    come from ``shelf``. With ``drafts`` what is drafted in them is being written now.
    What is left out in it is only counted where nothing of it belongs to another line.
    What is wrong is a problem; a chart that cannot be made is not there.
    """
    chosen, ignored = _asked_for(record)
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
        _exported(chart, states, ignored, drafts=drafts)
        for chart in found.charts
        if chart.patient.id == patient
    )
    return Charts(own, None, tuple(problem for problem in problems if not _is_shared(problem)))


def _is_shared(problem: Problem) -> bool:
    """Whether a problem is but that an entry has two patients, each of whom gets it."""
    return problem.kind == "subject" and problem.where.resource.startswith(_SHARED)


def _bundle(lines: list[bytes], shelf: Shelf) -> bytes:
    """The lines as one Bundle, with the Medications that they name."""
    entries = b'},{"resource":'.join([*lines, *_medications(lines, shelf)])
    return b'{"resourceType":"Bundle","entry":[{"resource":' + entries + b"}]}"


def _asked_for(
    record: Lines,
) -> tuple[list[bytes], Counter[tuple[str, str]]]:
    """The lines to be read, sorted, and how many are not, by type and reason.

    What is left out is read after all where it may be kin of what is not, or there is nothing else;
    and of the medications one, since it counts that there is any.
    """
    lines = record.asked
    kinds = {line_type(line) for line in lines}
    chosen = set(lines)
    unread: dict[str, LeftOut] = {}
    for kind, item in record.left.items():
        if not lines or _is_kin(kind, item, lines, kinds):
            chosen.update(item.all())
        else:
            unread[kind] = item
    ignored = Counter({(kind, item.reason): item.count() for kind, item in unread.items()})
    drugs = [kind for kind in unread if kind in MEDICATION_TYPES]
    if drugs:
        first = min(drugs)
        one = unread[first].of(min(unread[first].names))
        ignored[first, unread[first].reason] -= len(one)
        chosen |= one
    return sorted(chosen), +ignored


def _is_kin(kind: str, left: LeftOut, lines: Iterable[bytes], kinds: set[str]) -> bool:
    """Whether something left out may belong to one of the lines (``cds.chart.kin``).

    Operations and medications belong together in many ways: each with all of its patient. What is
    asked for by its code alone is kin as a version of one resource, and of a medication as what it
    is for: looks at whatever is called or names it.
    """
    for group in (OPERATION_TYPES, MEDICATION_TYPES):
        if kind in group:
            return not kinds.isdisjoint(group)
    word = kind.encode()
    reference = re.compile(re.escape(word) + rb'\\?/([^"\\/?#]+)')
    named: set[bytes] = set()
    for line in lines:
        if word in line:
            named.update(_ID.findall(line))
            named.update(reference.findall(line))
    hidden = any(is_hidden(line) for line in lines) or any(b"\\" in name for name in named)
    return hidden or not named.isdisjoint(left.names)


def is_hidden(line: bytes) -> bool:
    """Whether a letter, digit or sign stands in a line as a search for bytes does not find it."""
    return b"\\u00" in line and _HIDDEN.search(line) is not None


def _exported(
    chart: Chart,
    states: Mapping[str, Coverage],
    left: Mapping[tuple[str, str], int],
    *,
    drafts: bool,
) -> Chart:
    """The chart as an export means it: its coverage, and nothing in it is being written now."""
    ignored = Counter(chart.ignored)
    ignored.update({f"{kind}: {reason}": count for (kind, reason), count in left.items()})
    seen = {kind for kind, _ in left}
    chart = replace(
        chart, coverage=_coverage(chart, states, seen), ignored=dict(sorted(ignored.items()))
    )
    if drafts:
        return chart
    courses, operations = chart.courses, chart.operations
    if any(record.drafted for course in courses for record in course.records):
        courses = join_courses(
            [_settled(record) for course in courses for record in course.records]
        )
    if any(record.drafted for operation in operations for record in operation.records):
        operations = join_operations(
            [_settled(record) for operation in operations for record in operation.records]
        )
    return replace(chart, courses=courses, operations=operations)


def _settled(record: Kept) -> Kept:
    if not record.drafted:
        return record
    return replace(record, drafted=False, attributes={**record.attributes, "drafted": "no"})


def _coverage(
    chart: Chart, states: Mapping[str, Coverage], left: Collection[str]
) -> dict[str, Coverage]:
    """The chart's coverage where its record is the whole, turned into that of an export.

    ``left`` are types of which there are lines that nobody asks for.
    """
    found = {}
    for kind, own in chart.coverage.items():
        state = Coverage.SUPPLIED if own is Coverage.EMPTY and kind in left else own
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
    found: list[bytes] = []
    looked: set[bytes] = set()
    fresh = list(lines)
    for _ in range(_DEPTH_OF_MEDICATIONS):
        named = {name for line in fresh for name in medications_named(line)}
        fresh = []
        for name in sorted(named - looked):
            fresh += shelf(name.decode("utf-8", "replace"))
        found += fresh
        looked |= named
        if not fresh:
            break
    return found


def medications_named(text: bytes) -> set[bytes]:
    """Ids of the Medications that lines of JSON refer to."""
    return set(_MEDICATION.findall(text)) if b"Medication" in text else set()


_TYPE_FIRST = re.compile(rb'\s*\{\s*"resourceType"\s*:\s*"([A-Za-z]+)"')


def line_type(line: bytes) -> str:
    """The resource type of a line of NDJSON; "" when it is no resource."""
    found = _TYPE_FIRST.match(line)
    if found is not None:
        return found[1].decode()
    resource = _decoded(line)
    return as_text(resource.get("resourceType")) if resource is not None else ""
