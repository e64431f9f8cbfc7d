"""Sorts an input into one submission per patient: whose it is, drafts, coverage.

What an input means differs (a Bundle is the whole record; a hook request says what it asked for);
after this everything is judged alike.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from cds.chart.document import Documents, flatten, read_documents
from cds.chart.fields import Json, as_list, as_object, as_text, code_of, objects
from cds.chart.finding import subject_of
from cds.chart.medication import MEDICATION_TYPES
from cds.chart.model import Coverage
from cds.chart.operation import OPERATION_TYPES
from cds.chart.references import Index, identity, relative
from cds.chart.version import Entry, newest
from cds.values.problem import Place, Problem, Severity

READ_TYPES = (
    *MEDICATION_TYPES,
    *OPERATION_TYPES,
    "Condition",
    "AllergyIntolerance",
    "Observation",
    "Task",
)
_SHARED = frozenset({"Medication", "Organization", "Practitioner", "PractitionerRole", "Location"})
_DRAFT_TYPES = frozenset({"MedicationRequest", "ServiceRequest"})
_FORBIDDEN = frozenset({"forbidden", "security", "login", "suppressed", "expired"})


@dataclass(frozen=True, slots=True)
class Call:
    """What a CDS Hooks request asks: the hook and, for order-select, what is selected."""

    hook: str
    patient: str
    selections: tuple[str, ...] | None = None


@dataclass(slots=True)
class Submission:
    """The resources of one patient in one input, still as JSON, each with whether it is a draft."""

    patient: str
    person: Json | None
    entries: list[Entry] = field(default_factory=list)
    coverage: dict[str, Coverage] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    ignored: dict[str, int] = field(default_factory=dict)

    def ignore(self, reason: str) -> None:
        self.ignored[reason] = self.ignored.get(reason, 0) + 1


@dataclass(slots=True)
class Intake:
    """Everything of one input: its patients, the references among its resources, the problems."""

    submissions: list[Submission] = field(default_factory=list)
    index: Index = field(default_factory=Index)
    call: Call | None = None
    problems: list[Problem] = field(default_factory=list)


def read_intake(data: bytes, name: str) -> Intake:
    """Sorts the bytes of one input; never raises."""
    documents = read_documents(data, name)
    intake = Intake(problems=documents.problems)
    roots = [root for value, _ in documents.values for root in flatten(value)]
    _refuse_scalars(documents, intake, name)
    if len(roots) == 1 and "hook" in roots[0] and "resourceType" not in roots[0]:
        _take_request(roots[0], name, intake)
    elif roots:
        _take_record(roots, name, intake)
    if not intake.submissions and not intake.problems:
        what = "the input holds no resources"
        intake.problems.append(Problem(Place(name), what, "a record of a patient", "input"))
    return intake


def read_call_intake(request: Json, name: str) -> Intake:
    """Sorts a CDS Hooks request that is decoded already; never raises."""
    intake = Intake()
    _take_request(request, name, intake)
    return intake


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


# -- a record: Bundle, array, NDJSON -------------------------------------------------------------


def _take_record(roots: list[Json], name: str, intake: Intake) -> None:
    """The input is the whole record: what is not in it is empty, not unknown."""
    entries: list[Entry] = []
    truncated = False
    for root in roots:
        truncated = truncated or _has_next(root)
        entries += _entries(root, name, intake)
    for entry in entries:
        intake.index.add(entry.resource, entry.full_url)
    drafts_known = [entry.as_draft() if _is_draft(entry.resource) else entry for entry in entries]
    for submission in _by_patient(drafts_known, name, intake):
        present = {as_text(entry.resource.get("resourceType")) for entry in submission.entries}
        for kind in READ_TYPES:
            state = Coverage.SUPPLIED if kind in present else Coverage.EMPTY
            submission.coverage[kind] = Coverage.TRUNCATED if truncated else state
        intake.submissions.append(submission)


def _entries(root: Json, name: str, intake: Intake) -> list[Entry]:
    if root.get("resourceType") != "Bundle":
        return _entry(root, "", name, intake)
    found = []
    for position, item in enumerate(as_list(root.get("entry"))):
        resource = as_object(item).get("resource")
        if isinstance(resource, dict):
            found += _entry(resource, as_text(as_object(item).get("fullUrl")), name, intake)
        elif not isinstance(item, dict) or "resource" in item:
            what = f"Bundle.entry[{position}] holds no resource"
            intake.problems.append(
                Problem(Place(name), what, "an object with a resourceType", "input")
            )
    return found


def _entry(resource: Json, full_url: str, name: str, intake: Intake) -> list[Entry]:
    kind = as_text(resource.get("resourceType"))
    if not kind:
        what = f"a resource without a resourceType (id {as_text(resource.get('id')) or 'absent'})"
        intake.problems.append(Problem(Place(name), what, "a FHIR resource", "input"))
        return []
    if kind == "Bundle":
        return _entries(resource, name, intake)
    if kind == "OperationOutcome":
        what = "the input holds an OperationOutcome: something could not be retrieved"
        intake.problems.append(Problem(Place(name), what, "resources", "input", Severity.WARNING))
        return []
    return [Entry(resource, full_url)]


def _is_draft(resource: Json) -> bool:
    kind = resource.get("resourceType")
    return kind in _DRAFT_TYPES and code_of(resource.get("status")) == "draft"


def _has_next(bundle: Json) -> bool:
    return any(code_of(link.get("relation")) == "next" for link in objects(bundle.get("link")))


def _by_patient(entries: list[Entry], name: str, intake: Intake) -> list[Submission]:
    """One submission per Patient resource; per subject where no Patient is there at all."""
    people: dict[str, Submission] = {}
    for entry in entries:
        if entry.resource.get("resourceType") == "Patient":
            key = identity(entry.resource) or entry.full_url or "Patient/?"
            people.setdefault(key, Submission(key.removeprefix("Patient/"), entry.resource))
    anonymous = not people
    loose: list[Entry] = []
    for entry in entries:
        kind = as_text(entry.resource.get("resourceType"))
        if kind in ("Patient", "Medication"):
            continue
        if kind in _SHARED:
            if len(people) == 1:
                next(iter(people.values())).ignore(f"{kind}: no rule reads this type")
            continue
        owners = _owners(entry.resource, intake)
        if not owners:
            loose.append(entry)
        for owner in owners:
            if anonymous and owner.startswith(("Patient/", "urn:")):
                people.setdefault(owner, Submission(owner.removeprefix("Patient/"), None))
            if owner in people:
                _put(people[owner], entry)
            else:
                intake.problems.append(_foreign(entry.resource, owner, name))
    _place_loose(loose, people, name, intake)
    if not people and entries:
        what = "no Patient and no resource that names one"
        intake.problems.append(
            Problem(Place(name), what, "a record of at least one patient", "input")
        )
    return [_settled(people[key], name) for key in sorted(people)]


def _owners(resource: Json, intake: Intake) -> list[str]:
    """Whose record the entry is; of an appointment's participants only those who are patients."""
    owners = [intake.index.key(item) for item in subject_of(resource)]
    if "participant" in resource and "subject" not in resource:
        owners = [owner for owner in owners if owner.startswith(("Patient/", "urn:"))]
    return [owner for owner in owners if owner]


def _put(submission: Submission, entry: Entry) -> None:
    kind = as_text(entry.resource.get("resourceType"))
    if kind in READ_TYPES:
        submission.entries.append(entry)
    else:
        submission.ignore(f"{kind}: no rule reads this type")


def _foreign(resource: Json, owner: str, name: str) -> Problem:
    place = Place(name, resource=identity(resource) or as_text(resource.get("resourceType")))
    what = f"belongs to {owner}, who is not the patient here: not judged"
    return Problem(place, what, "", "subject", Severity.WARNING)


def _place_loose(
    entries: list[Entry], people: dict[str, Submission], name: str, intake: Intake
) -> None:
    """Entries that name nobody: the only patient's, or a problem."""
    for entry in entries:
        kind = as_text(entry.resource.get("resourceType"))
        if kind not in READ_TYPES:
            if len(people) == 1:
                next(iter(people.values())).ignore(f"{kind}: no rule reads this type")
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


def _settled(submission: Submission, name: str) -> Submission:
    """The submission with one entry per type and id, in the same order whatever the input's."""
    submission.entries, problems = newest(submission.entries, name)
    submission.problems += problems
    return submission


# -- a CDS Hooks request -------------------------------------------------------------------------


def _take_request(request: Json, name: str, intake: Intake) -> None:
    """A hook request: `context` has the drafts, `prefetch` says what was asked and what came."""
    context = as_object(request.get("context"))
    hook = as_text(request.get("hook"))
    patient = as_text(context.get("patientId")).removeprefix("Patient/")
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
    for entry in (*drafts, *fetched):
        intake.index.add(entry.resource, entry.full_url)
    for entry in drafts:
        _take_own(submission, entry, name, intake)
    drafted = {identity(entry.resource) for entry in drafts}
    for entry in fetched:
        if entry.resource.get("resourceType") == "Patient":
            if as_text(entry.resource.get("id")) not in (patient, ""):
                intake.problems.append(_foreign(entry.resource, identity(entry.resource), name))
            elif submission.person is None:
                submission.person = entry.resource
        elif identity(entry.resource) not in drafted:
            _take_own(submission, entry, name, intake)
    intake.submissions.append(_settled(submission, name))


_CONTEXT_DRAFTS = ("draftOrders", "medications", "orders", "appointments", "dispatchedOrders")


def _drafts(context: Json, name: str, intake: Intake) -> list[Entry]:
    """Orders being written, appointments being booked; ids of `dispatchedOrders` are no drafts."""
    found: list[Entry] = []
    for key in _CONTEXT_DRAFTS:
        for item in as_list(context.get(key)):
            if isinstance(item, dict):
                found += [entry.as_draft() for entry in _entries(item, name, intake)]
    return found


def _take_own(submission: Submission, entry: Entry, name: str, intake: Intake) -> None:
    resource = entry.resource
    if as_text(resource.get("resourceType")) in _SHARED:
        return
    owners = _owners(resource, intake)
    strangers = [owner for owner in owners if owner and owner != f"Patient/{submission.patient}"]
    if strangers and len(strangers) == len(owners):
        intake.problems.append(_foreign(resource, strangers[0], name))
        return
    _put(submission, entry)


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
    for item in objects(root.get("entry")):
        inner = as_object(item.get("resource"))
        if inner.get("resourceType") == "OperationOutcome" and _is_error(inner):
            state = _outcome(inner)
    entries = [entry for item in flatten(value) for entry in _entries(item, name, intake)]
    if _has_next(root):
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


def _types_of(key: str, value: object, entries: Iterable[Entry]) -> list[str]:
    """The types a prefetch key speaks of: its entries', its self link's, else its name's."""
    found = {as_text(entry.resource.get("resourceType")) for entry in entries}
    for link in objects(as_object(value).get("link")):
        if code_of(link.get("relation")) == "self":
            path = as_text(link.get("url")).partition("?")[0].rstrip("/").rpartition("/")[2]
            found.add(path)
    word = "".join(letter for letter in key.casefold() if letter.isalpha())
    for kind in READ_TYPES:
        name = kind.casefold()
        if word in (name, name + "s", name.removesuffix("y") + "ies"):
            found.add(kind)
    if not found & set(READ_TYPES):
        found.update(_KEY_WORDS.get(word, ()))
    return sorted(found)
