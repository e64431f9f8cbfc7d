"""A record: a Bundle, an array of resources or NDJSON, each the whole record of its patients."""

from __future__ import annotations

from msgspec.structs import replace

from cds.chart.document import Documents, flatten
from cds.chart.fields import Json, code_of
from cds.chart.intake import (
    READ_TYPES,
    SHARED_TYPES,
    Intake,
    Submission,
    foreign,
    has_next,
    owners_of,
    read_entries,
    standing,
)
from cds.chart.interest import Interest
from cds.chart.model import Coverage
from cds.chart.references import identity
from cds.chart.release import type_of
from cds.chart.sieve import DRAFT_TYPES, Asked, Sieve, sift
from cds.chart.version import Entry
from cds.values.problem import Place, Problem, Problems, Severity


def take_record(
    documents: Documents, name: str, intake: Intake, interest: Interest, asked: Asked
) -> None:
    """Takes the documents of an input that is no hook request."""
    places = [(root, place) for value, place in documents.values for root in flatten(value)]
    roots = [root for root, _ in places]
    _refuse_scalars(documents, intake, name)
    sieve = sift(roots[0], interest, asked, exact=True) if len(roots) == 1 else None
    if sieve is not None:
        take_sifted(sieve, name, intake)
    elif roots:
        _take_roots(places, name, intake, interest)


def take_sifted(sieve: Sieve, name: str, intake: Intake) -> None:
    """Takes the whole record of one patient; what is not in it is empty, not unknown."""
    _take_entries(sieve.entries(), name, intake, sieve.interest, Coverage.EMPTY)
    (submission,) = intake.submissions
    for (kind, reason), count in sieve.ignored().items():
        submission.ignore(kind, reason, count)
        if kind in submission.coverage:
            submission.coverage[kind] = Coverage.SUPPLIED


def _take_roots(
    roots: list[tuple[Json, Place]], name: str, intake: Intake, interest: Interest
) -> None:
    entries: list[Entry] = []
    for root, place in roots:
        problems = Problems()
        entries += read_entries(root, name, problems)
        if problems:
            # Of a file of lines the line is known.
            told = (replace(item, where=item.where.on(place.line)) for item in problems.told(name))
            intake.problems.extend(told)
    truncated = any(has_next(root) for root, _ in roots)
    missing = Coverage.TRUNCATED if truncated else Coverage.EMPTY
    _take_entries(entries, name, intake, interest, missing)


def _take_entries(
    entries: list[Entry], name: str, intake: Intake, interest: Interest, missing: Coverage
) -> None:
    repeated = False
    for entry in entries:
        repeated |= intake.index.add(entry.resource, entry.full_url)
    if repeated:
        entries = standing(entries, name, intake)
    drafts_known = [entry.as_draft() if _is_draft(entry.resource) else entry for entry in entries]
    for submission in _by_patient(drafts_known, name, intake):
        # What is being written is no part of the list: a hook request has drafts apart, too.
        present = {entry.kind for entry in submission.entries if not entry.drafted}
        truncated = missing is Coverage.TRUNCATED
        for kind in READ_TYPES:
            if kind in interest.types:
                there = kind in present and not truncated
                submission.coverage[kind] = Coverage.SUPPLIED if there else missing
        intake.submissions.append(submission)


def _refuse_scalars(documents: Documents, intake: Intake, name: str) -> None:
    for value, place in documents.values:
        items = value if isinstance(value, list) else [value]
        for position, item in enumerate(items):
            if not isinstance(item, dict):
                what = f"entry {position + 1} is {_kind(item)}, not a resource"
                intake.problems.append(
                    Problem(Place(name, place.line), what, "a JSON object", "input")
                )


def _kind(value: object) -> str:
    names = {str: "a string", bool: "true or false", list: "a list", type(None): "null"}
    return names.get(type(value), "a number")


def _is_draft(resource: Json) -> bool:
    return type_of(resource) in DRAFT_TYPES and code_of(resource.get("status")) == "draft"


def _by_patient(entries: list[Entry], name: str, intake: Intake) -> list[Submission]:
    """One submission per Patient resource; per subject where no Patient is there at all."""
    people: dict[str, Submission] = {}
    for entry in entries:
        if entry.kind == "Patient":
            key = identity(entry.resource) or entry.full_url or "Patient/?"
            people.setdefault(key, Submission(key.removeprefix("Patient/"), entry.resource))
    anonymous = not people
    loose: list[Entry] = []
    for entry in entries:
        kind = entry.kind
        if kind in ("Patient", "Medication"):
            continue
        if kind in SHARED_TYPES:
            if len(people) == 1:
                next(iter(people.values())).ignore(kind)
            continue
        owners = owners_of(entry.resource, intake.index)
        if not owners:
            loose.append(entry)
        for owner in owners:
            if anonymous and owner.startswith(("Patient/", "urn:")):
                people.setdefault(owner, Submission(owner.removeprefix("Patient/"), None))
            if owner in people:
                people[owner].put(entry)
            else:
                intake.problems.append(foreign(entry.resource, owner, name))
    _place_loose(loose, people, name, intake)
    if not people and entries:
        what = "no Patient and no resource that names one"
        intake.problems.append(
            Problem(Place(name), what, "a record of at least one patient", "input")
        )
    return [people[key].settled(name) for key in sorted(people)]


def _place_loose(
    entries: list[Entry], people: dict[str, Submission], name: str, intake: Intake
) -> None:
    """Entries that name nobody: the only patient's, or a problem."""
    for entry in entries:
        kind = entry.kind
        if kind not in READ_TYPES:
            if len(people) == 1:
                next(iter(people.values())).ignore(kind)
            continue
        place = Place(name, resource=identity(entry.resource) or kind)
        if len(people) == 1:
            submission = next(iter(people.values()))
            submission.entries.append(entry)
            what = "names no patient: read as the only one's of this input"
            submission.problems.append(
                Problem(place, what, "a subject", "subject", Severity.WARNING)
            )
        else:
            what = "names no patient, and the input has several: not judged"
            intake.problems.append(Problem(place, what, "a subject", "subject"))
