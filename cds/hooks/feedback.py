"""What a client says of cards: the body of a feedback call, entry by entry.

CDS Hooks 2.0, https://cds-hooks.hl7.org/2.0/#feedback. Clients send batches, repeat them, and leave
out what they do not have; an entry that cannot be read is told, and the others are taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from cds.chart.fields import Json, as_list, as_object, as_text
from cds.hooks.outcome import Outcome, Refused
from cds.store.store import Feedback
from cds.values.moment import read_instant, zone

OUTCOMES = ("accepted", "overridden")
MOST_ENTRIES = 10_000
# A UUID as text, which is what the store's column takes.
_LONGEST_ID, _LONGEST_CODE, _LONGEST_COMMENT = 36, 200, 4_000
_UTC = zone("UTC")


def read_feedback(body: Json, service: str) -> tuple[list[Feedback], list[Outcome]]:
    """The entries that can be stored, and an outcome for each that cannot.

    Raises Refused (400, 413) for what is no feedback at all, or holds no entry that can be read.
    """
    entries = body.get("feedback")
    if not isinstance(entries, list) or not entries:
        what = "feedback is missing" if entries is None else "feedback is no list of entries"
        accepted = "{feedback: [{card, outcome, outcomeTimestamp}]}"
        raise Refused(Outcome(400, "required", what, accepted, "feedback"))
    if len(entries) > MOST_ENTRIES:
        what, accepted = f"{len(entries)} entries are too many", f"at most {MOST_ENTRIES} a call"
        raise Refused(Outcome(413, "too-long", what, accepted, "feedback"))
    found: list[Feedback] = []
    refused: list[Outcome] = []
    for number, entry in enumerate(entries):
        try:
            found.append(_read_entry(entry, f"feedback[{number}]", service))
        except Refused as error:
            refused.append(error.outcome)
    if not found:
        raise Refused(refused[0])
    return found, refused


def _read_entry(entry: object, place: str, service: str) -> Feedback:
    if not isinstance(entry, Mapping):
        raise Refused(Outcome(400, "value", "is no JSON object", "an entry", place))
    outcome = as_text(entry.get("outcome"))
    if outcome not in OUTCOMES:
        where = f"{place}.outcome"
        raise Refused(Outcome(400, "value", "is no outcome", " or ".join(OUTCOMES), where))
    reason = as_object(entry.get("overrideReason"))
    coding = as_object(reason.get("reason"))
    return Feedback(
        card=_identity(entry.get("card"), f"{place}.card"),
        outcome=outcome,
        at=_moment(entry.get("outcomeTimestamp"), f"{place}.outcomeTimestamp"),
        service=service,
        reason=_plain(coding.get("code"), _LONGEST_CODE),
        reason_system=_plain(coding.get("system"), _LONGEST_CODE),
        comment=_plain(reason.get("userComment"), _LONGEST_COMMENT),
        suggestions=tuple(
            _identity(as_object(item).get("id"), f"{place}.acceptedSuggestions")
            for item in as_list(entry.get("acceptedSuggestions"))
        ),
    )


def _identity(value: object, place: str) -> str:
    text = as_text(value).strip().lower().removeprefix("urn:uuid:")
    if not text or len(text) > _LONGEST_ID or not text.isprintable() or " " in text:
        raise Refused(Outcome(400, "value", "is no uuid of this service", "the card's uuid", place))
    return text


def _moment(value: object, place: str) -> datetime:
    try:
        return read_instant(as_text(value), _UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        accepted = "a date and time with its offset, such as 2026-06-10T14:00:00Z"
        raise Refused(Outcome(400, "value", "is no moment", accepted, place)) from None


def _plain(value: object, longest: int) -> str:
    """Text that every database takes: cut to a length, without what cannot be written."""
    text = as_text(value).replace("\0", "")[:longest]
    return text.encode("utf-8", "replace").decode()
