"""Bytes of a call into a CDS Hooks request that can be judged, or the reason why it is none.

CDS Hooks 2.0, https://cds-hooks.hl7.org/2.0/#http-request_1. Strict about what a call is, tolerant
about everything in the record: oddities of real traffic are read, and told as problems.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping

import msgspec

from cds.chart.document import decode
from cds.chart.fields import Json, as_list, as_object, as_text, objects
from cds.chart.request import patient_of
from cds.hooks.outcome import Outcome, Refused, quoted

_ACCEPTED = "a CDS Hooks request as a JSON object"

# What a hook is about must stand in its context: judged without it, silence would read as safe.
SUBJECTS: Mapping[str, str] = {
    "order-select": "draftOrders",
    "order-sign": "draftOrders",
    "order-dispatch": "dispatchedOrders",
    "appointment-book": "appointments",
    "medication-refill": "medications",
    "medication-prescribe": "medications",
    "order-review": "orders",
}


_DRAFTED = tuple(dict.fromkeys(SUBJECTS.values()))


def read_body(body: bytes, encoding: str, max_bytes: int) -> Json:
    """The request in a body, fractions as Decimal.

    ``encoding`` is the Content-Encoding ("" or gzip); ``max_bytes`` bounds what gzip may unfold to.
    Raises Refused (400, 413, 415), and RecursionError where the nesting is too deep to decode.
    """
    if encoding not in ("", "identity"):
        body = _unzipped(body, encoding, max_bytes)
    try:
        request = decode(body.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, ArithmeticError) as error:
        what = f"the body is not JSON: {error}" if body.strip() else "the body is empty"
        raise Refused(Outcome(400, "structure", what, _ACCEPTED)) from None
    if not isinstance(request, dict):
        raise Refused(Outcome(400, "structure", "the body is no JSON object", _ACCEPTED))
    return request


def too_deep() -> Refused:
    """The refusal of a body whose nesting nothing real has."""
    return Refused(Outcome(400, "too-costly", "the body is nested too deeply", "flatter JSON"))


def too_large(max_bytes: int) -> Refused:
    """The refusal of a body beyond the limit."""
    limit = f"{max_bytes / (1024 * 1024):g} MiB"
    return Refused(Outcome(413, "too-long", "the body is too large", f"at most {limit}"))


def _unzipped(body: bytes, encoding: str, max_bytes: int) -> bytes:
    """The unpacked body; never more than the limit is unpacked, whatever is claimed."""
    if encoding not in ("gzip", "x-gzip"):
        what = f"Content-Encoding {quoted(encoding)} is not understood"
        raise Refused(Outcome(415, "not-supported", what, "gzip, or none"))
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        data = unpacker.decompress(body, max_bytes + 1)
    except zlib.error:
        raise Refused(Outcome(400, "structure", "the body is no gzip data", "gzip")) from None
    if len(data) > max_bytes:
        raise too_large(max_bytes)
    if not unpacker.eof:
        raise Refused(Outcome(400, "structure", "the gzip data ends too early", "gzip"))
    return data


def check_request(request: Json, hook: str) -> None:
    """Raises Refused (400) unless the request has what the standard requires of one for ``hook``.

    Whatever is missing of the record becomes unknown, and is said in the answer; see
    ``check_patient``.
    """
    _required_text(request, "hook", f"'{hook}'")
    if request["hook"] != hook:
        what = f"{quoted(request['hook'])} is not the hook of this service"
        raise Refused(Outcome(400, "value", what, f"'{hook}'", "hook"))
    _required_text(request, "hookInstance", "a UUID")
    context = request.get("context")
    if not isinstance(context, dict):
        what = "is missing" if context is None else "is no JSON object"
        accepted = "the context of the hook"
        raise Refused(Outcome(400, "required", f"context {what}", accepted, "context"))
    if context.get("patientId") is not None or not as_text(request.get("patient")):
        _required_text(context, "patientId", "the id of a Patient", "context.patientId")
    patient = patient_of(request)
    if not patient:
        what = "context.patientId names nobody"
        raise Refused(Outcome(400, "value", what, "the id of a Patient", "context.patientId"))
    _check_subject(context, hook)
    prefetch = request.get("prefetch")
    if prefetch is not None and not isinstance(prefetch, dict):
        what, accepted = "prefetch is no JSON object", "an object of keys and FHIR resources"
        raise Refused(Outcome(400, "value", what, accepted, "prefetch"))


def drafts_of(request: Json) -> int:
    """How many orders and bookings a call is about: judging takes its time for each."""
    context = as_object(request.get("context"))
    values = [item for name in _DRAFTED for item in as_list(context.get(name))]
    return sum(len(as_list(as_object(value).get("entry"))) or 1 for value in values)


def _required_text(holder: Json, name: str, accepted: str, place: str = "") -> None:
    value = holder.get(name)
    if not as_text(value):
        where = place or name
        blank = value is None or isinstance(value, str)
        what = f"{where} is missing" if blank else f"{where} is no string"
        raise Refused(Outcome(400, "required" if blank else "value", what, accepted, where))


def _check_subject(context: Json, hook: str) -> None:
    name = SUBJECTS.get(hook)
    if name is None or isinstance(context.get(name), dict | list):
        return
    place = f"context.{name}"
    accepted = "a Bundle" if name != "dispatchedOrders" else "a list of references"
    raise Refused(Outcome(400, "required", f"{place} is missing", accepted, place))


def check_patient(request: Json, fetching: str = "") -> None:
    """Raises Refused (412) where the Patient did not come: nobody is judged without one.

    ``fetching`` says how it went to ask for it.
    """
    prefetch, patient = as_object(request.get("prefetch")), patient_of(request)
    found = [as_text(item.get("id")) for item in people(prefetch)]
    if any(name in (patient, "") for name in found):
        return
    what = "another Patient came" if found else "the Patient did not come"
    if fetching:
        what += f", and fetching it from fhirServer did not help ({fetching})"
    accepted = "the Patient of context.patientId under the key 'patient'"
    raise Refused(Outcome(412, "not-found", what, accepted, "prefetch.patient"))


def people(prefetch: Json) -> Iterator[Json]:
    """The Patient resources among the prefetched ones, alone or in a Bundle."""
    for value in prefetch.values():
        root = as_object(value)
        if root.get("resourceType") == "Patient":
            yield root
        for entry in objects(root.get("entry")):
            inner = as_object(entry.get("resource"))
            if inner.get("resourceType") == "Patient":
                yield inner
