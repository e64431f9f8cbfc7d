"""A CDS Hooks request: what is being ordered, and what was asked of the record and came.

``context`` has the drafts; a ``prefetch`` key that is absent was not answered, one that is null or
empty was: nothing was found (CDS Hooks 2.0, prefetch).
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from cds.chart.document import flatten
from cds.chart.fields import Json, as_list, as_object, as_text, code_of, objects
from cds.chart.intake import (
    READ_TYPES,
    SHARED_TYPES,
    Call,
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
from cds.chart.references import identity, relative
from cds.chart.release import RENAMED
from cds.chart.sieve import Asked, Sieve
from cds.chart.version import Entry
from cds.values.problem import Place, Problem, Severity

_FORBIDDEN = frozenset({"forbidden", "security", "login", "suppressed", "expired"})


def take_request(
    request: Json, name: str, intake: Intake, interest: Interest, asked: Asked
) -> None:
    """A hook request: `context` has the drafts, `prefetch` says what was asked and what came."""
    context = as_object(request.get("context"))
    hook = as_text(request.get("hook"))
    patient = patient_of(request)
    _tell_older(request, context, name, intake)
    selections = context.get("selections")
    chosen = (
        tuple(relative(as_text(item)) for item in selections if as_text(item))
        if isinstance(selections, list)
        else None
    )
    if not hook or not patient:
        missing = "hook" if not hook else "context.patientId"
        intake.problems.append(
            Problem(Place(name), f"{missing} is missing", "a CDS Hooks request", "hook")
        )
        return
    intake.call = Call(hook, patient, chosen)
    submission = Submission(patient, None)
    drafts = _drafts(context, name, intake)
    fetched = _prefetched(as_object(request.get("prefetch")), name, intake, submission)
    kept = _sifted(fetched, drafts, submission, Sieve(interest, exact=True, asked=asked))
    for entry in drafts:
        intake.index.add(entry.resource, entry.full_url)
    repeated = False
    for entry in kept:
        repeated |= intake.index.add(entry.resource, entry.full_url)
    if repeated:
        kept = standing(kept, name, intake, drafts)
    for entry in drafts:
        _take_own(submission, entry, name, intake)
    # A draft that has no id yet is none of those that were fetched.
    drafted = {identity(entry.resource) for entry in drafts} - {""}
    for entry in kept:
        if entry.kind == "Patient":
            if as_text(entry.resource.get("id")) not in (patient, ""):
                intake.problems.append(foreign(entry.resource, identity(entry.resource), name))
            elif submission.person is None:
                submission.person = entry.resource
        elif identity(entry.resource) not in drafted:
            _take_own(submission, entry, name, intake)
    intake.submissions.append(submission.settled(name))


def patient_of(request: Json) -> str:
    """The id of the patient whom a call is about: its context's, or, before 1.0, its own; or ""."""
    named = as_object(request.get("context")).get("patientId")
    if named is None:
        named = request.get("patient")
    return as_text(named).removeprefix("Patient/")


def _tell_older(request: Json, context: Json, name: str, intake: Intake) -> None:
    """Tells what of a call is not as CDS Hooks 2.0 has it and was read all the same."""
    told = []
    if context.get("patientId") is None and request.get("patient") is not None:
        told.append("patient stands beside the context, not in it as patientId")
    for key in _CONTEXT_DRAFTS:
        value = context.get(key)
        kind = as_object(value).get("resourceType")
        if isinstance(value, list) and any(isinstance(item, dict) for item in value):
            told.append(f"context.{key} is a list of resources where a Bundle belongs")
        elif isinstance(value, dict) and kind != "Bundle":
            told.append(f"context.{key} is one resource where a Bundle belongs")
        elif kind == "Bundle" and not as_text(as_object(value).get("type")):
            told.append(f"context.{key} is a Bundle without a type")
    for what in told:
        problem = Problem(Place(name), f"{what}: read all the same", "CDS Hooks 2.0", "shape")
        intake.problems.append(replace(problem, severity=Severity.INFO))


def _sifted(
    fetched: list[Entry], drafts: list[Entry], submission: Submission, sieve: Sieve
) -> list[Entry]:
    """Those prefetched entries that somebody asks for; the others are counted."""
    others = []
    older = []
    types = frozenset(sieve.interest.types)
    for entry in fetched:
        written = entry.resource["resourceType"]
        if written in types:
            sieve.add(str(written), entry.resource, entry.full_url)
        elif (kind := entry.kind) in types:
            # What may be left out is found by the name that its type has today, as it is written.
            older.append(entry)
        else:
            others.append(kind)
    sieve.count(others)
    found = older + sieve.entries([*drafts, *older])
    for (kind, reason), count in sieve.ignored().items():
        submission.ignore(kind, reason, count)
    return found


_CONTEXT_DRAFTS = ("draftOrders", "medications", "orders", "appointments", "dispatchedOrders")


def _drafts(context: Json, name: str, intake: Intake) -> list[Entry]:
    """Orders being written, appointments being booked; ids of `dispatchedOrders` are no drafts."""
    found: list[Entry] = []
    for key in _CONTEXT_DRAFTS:
        for item in as_list(context.get(key)):
            if isinstance(item, dict):
                found += [entry.as_draft() for entry in read_entries(item, name, intake.problems)]
    return found


def _take_own(submission: Submission, entry: Entry, name: str, intake: Intake) -> None:
    resource = entry.resource
    if as_text(resource.get("resourceType")) in SHARED_TYPES:
        return
    owners = owners_of(resource, intake.index)
    strangers = [owner for owner in owners if owner and owner != f"Patient/{submission.patient}"]
    if strangers and len(strangers) == len(owners):
        intake.problems.append(foreign(resource, strangers[0], name))
        return
    submission.put(entry)


def _prefetched(prefetch: Json, name: str, intake: Intake, submission: Submission) -> list[Entry]:
    """The prefetched resources; sets the coverage of each type (absent unless a key says more)."""
    coverage = dict.fromkeys(READ_TYPES, Coverage.ABSENT)
    found: list[Entry] = []
    for key in sorted(prefetch):
        value = prefetch[key]
        entries, state = _prefetch_value(value, name, intake)
        found += entries
        for kind in _types_of(key, value, entries):
            if kind in coverage:
                coverage[kind] = _merged(coverage[kind], state)
    submission.coverage = coverage
    return found


def _prefetch_value(value: object, name: str, intake: Intake) -> tuple[list[Entry], Coverage]:
    root = as_object(value)
    if not root:
        # `null`: asked, and nothing was found (CDS Hooks 2.0, prefetch).
        return [], Coverage.EMPTY
    if root.get("resourceType") == "OperationOutcome":
        return [], _outcome(root)
    state = Coverage.SUPPLIED
    entries = [
        entry for item in flatten(value) for entry in read_entries(item, name, intake.problems)
    ]
    for item in as_list(root.get("entry")):
        inner = item.get("resource") if isinstance(item, dict) else None
        found = inner if isinstance(inner, dict) else as_object(inner)
        if found.get("resourceType") == "OperationOutcome" and _is_error(found):
            state = _outcome(found)
    if has_next(root):
        state = _merged(state, Coverage.TRUNCATED)
    if not entries and state is Coverage.SUPPLIED:
        state = Coverage.EMPTY
    return entries, state


def _outcome(outcome: Json) -> Coverage:
    codes = {code_of(issue.get("code")) for issue in objects(outcome.get("issue"))}
    return Coverage.FORBIDDEN if codes & _FORBIDDEN else Coverage.FAILED


def _is_error(outcome: Json) -> bool:
    severities = {code_of(issue.get("severity")) for issue in objects(outcome.get("issue"))}
    return bool(severities & {"error", "fatal"}) or not severities


# When two keys speak of one type, the worse news counts.
_WORSE = (
    Coverage.ABSENT,
    Coverage.EMPTY,
    Coverage.SUPPLIED,
    Coverage.TRUNCATED,
    Coverage.FAILED,
    Coverage.FORBIDDEN,
)


def _merged(left: Coverage, right: Coverage) -> Coverage:
    return max(left, right, key=_WORSE.index)


_KEY_WORDS = {
    "medications": ("MedicationRequest",),
    "meds": ("MedicationRequest",),
    "prescriptions": ("MedicationRequest",),
    "orders": ("MedicationRequest", "ServiceRequest"),
    "statements": ("MedicationStatement",),
    "dispenses": ("MedicationDispense",),
    "administrations": ("MedicationAdministration",),
    "problems": ("Condition",),
    "allergies": ("AllergyIntolerance",),
    "labs": ("Observation",),
    "results": ("Observation",),
}


_OLDER = [(name.casefold(), kind) for name, kind in RENAMED.items()]
# A type by its own name, singular or plural.
_NAMED = {
    form: kind
    for name, kind in [*((kind.casefold(), kind) for kind in READ_TYPES), *_OLDER]
    for form in (name, name + "s", name.removesuffix("y") + "ies")
}


def _types_of(key: str, value: object, entries: Iterable[Entry]) -> list[str]:
    """The types a prefetch key speaks of: its entries', its self link's, else its name's."""
    found = {entry.kind for entry in entries}
    for link in objects(as_object(value).get("link")):
        if code_of(link.get("relation")) == "self":
            path = as_text(link.get("url")).partition("?")[0].rstrip("/").rpartition("/")[2]
            found.add(RENAMED.get(path, path))
    word = "".join(letter for letter in key.casefold() if letter.isalpha())
    if word in _NAMED:
        found.add(_NAMED[word])
    if found.isdisjoint(READ_TYPES):
        found.update(_KEY_WORDS.get(word, ()))
    return sorted(found)
