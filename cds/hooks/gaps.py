"""What the prefetch of a call left open, and where the rest may be had.

CDS Hooks 2.0, prefetch: a key that is absent was not satisfied, a result may be the first of many
pages, a value may be an OperationOutcome; ``fhirServer`` with ``fhirAuthorization`` is where a
service may ask for itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from cds.chart.fields import Json, as_object, as_text, code_of, objects, reference_of
from cds.chart.intake import has_next
from cds.chart.request import patient_of
from cds.hooks.discovery import Service
from cds.hooks.request import people

# FHIR R4, id; one of dots alone would climb out of the address that it stands in.
_ID = re.compile(r"^(?!\.+$)[A-Za-z0-9.-]{1,64}$")
_TOKEN = re.compile(r"\{\{\s*context\.(\w+)\s*\}\}")
# What may stand in a header; RFC 6750 allows less.
_BEARER = re.compile(r"^[\x21-\x7e]{1,16384}$")
_REFUSALS = frozenset({"forbidden", "security", "login", "suppressed", "expired"})
MAX_MEDICATIONS = 20
"""So many Medications that drugs refer to are fetched; of more the drug stays unclassified."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A key that is open: the type it asks for, the query below the server's base.

    ``came`` is what came instead: a first page, or an outcome; None where the key is absent.
    """

    key: str
    kind: str
    query: str
    came: Json | None = None


@dataclass(frozen=True, slots=True)
class Gaps:
    """A call that something is missing for. ``base`` is the FHIR server's address, ``token`` what
    the caller lends ("" for none); ``refused`` says why nothing may be asked.
    """

    request: Json
    patient: str
    base: str
    missing: tuple[Gap, ...]
    token: str = ""
    refused: str = ""


def find_gaps(service: Service, request: Json, allows: Callable[[str], bool]) -> Gaps | None:
    """What is missing of a checked request; None where nothing is, or nobody could be asked.

    ``allows`` says whether the site lists a server.
    """
    base = as_text(request.get("fhirServer")).rstrip("/")
    if not base:
        return None
    missing = tuple(_missing(service, request))
    if not missing and not medications_wanted(request, base):
        return None
    patient = patient_of(request)
    token, refused = _token(request)
    if not allows(base) or "?" in base or "#" in base:
        refused = "fhirServer is not among the servers that this site lets the service ask"
    return Gaps(request, patient, base, missing, token, refused)


def _missing(service: Service, request: Json) -> Iterator[Gap]:
    prefetch, context = as_object(request.get("prefetch")), as_object(request.get("context"))
    context = {**context, "patientId": patient_of(request)}
    for key, template in service.prefetch.items():
        kind = re.split(r"[/?]", template, maxsplit=1)[0]
        came = prefetch.get(key)
        if key in prefetch and not _unfinished(as_object(came)):
            continue
        if kind == "Patient" and next(people(prefetch), None) is not None:
            continue
        query = _filled(template, context)
        if query:
            yield Gap(key, kind, query, as_object(came) or None)


def _unfinished(value: Json) -> bool:
    """A page with more behind it, or a failure that is no refusal: a refusal is respected."""
    if value.get("resourceType") == "OperationOutcome":
        return not is_refusal(value)
    return has_next(value)


def is_refusal(outcome: Json) -> bool:
    """Whether an OperationOutcome says that somebody may not see something."""
    codes = {code_of(issue.get("code")) for issue in objects(outcome.get("issue"))}
    return bool(codes & _REFUSALS)


def _filled(template: str, context: Json) -> str:
    """The query with its tokens replaced; "" where one has no value that is an id."""

    def value(found: re.Match[str]) -> str:
        text = as_text(context.get(found[1])).removeprefix("Patient/")
        return text if _ID.match(text) else "\0"

    query = _TOKEN.sub(value, template)
    return "" if "\0" in query or "{{" in query else query


def _token(request: Json) -> tuple[str, str]:
    """The bearer token of a request, and why nothing can be asked with what it says."""
    lent = request.get("fhirAuthorization")
    if lent is None:
        return "", ""
    lent = as_object(lent)
    token = as_text(lent.get("access_token"))
    if as_text(lent.get("token_type")).casefold() != "bearer":
        return "", "fhirAuthorization.token_type is not Bearer"
    if not _BEARER.match(token):
        return "", "fhirAuthorization.access_token is no bearer token"
    return token, ""


# -- drugs by reference -------------------------------------------------------------------------


def medications_wanted(request: Json, base: str) -> list[str]:
    """Ids of Medications that drugs refer to by nothing but their id, and that did not come."""
    came: set[str] = set()
    wanted: dict[str, None] = {}
    for resource in _resources(request):
        kind = resource.get("resourceType")
        if kind == "Medication":
            came.add(as_text(resource.get("id")))
        elif isinstance(kind, str) and kind.startswith("Medication"):
            named = as_object(resource.get("medicationReference"))
            if named and not named.get("display"):
                wanted[_medication_id(reference_of(named), base)] = None
    return [name for name in wanted if name and name not in came][:MAX_MEDICATIONS]


def _medication_id(reference: str, base: str) -> str:
    kind, _, name = reference.removeprefix(f"{base}/").partition("/")
    return name if kind == "Medication" and _ID.match(name) else ""


def _resources(request: Json) -> Iterator[Json]:
    for part in ("context", "prefetch"):
        values: Mapping[str, object] = as_object(request.get(part))
        for value in values.values():
            if isinstance(value, dict):
                yield value
                for entry in objects(value.get("entry")):
                    yield as_object(entry.get("resource"))
