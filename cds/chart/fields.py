"""Typed looks into FHIR JSON that tolerate what real systems send; none of them raises.

An object where a list belongs is read as a list of one, a wrong type as absent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from zoneinfo import ZoneInfo

from cds.values.moment import PartialDate, read_date

Json = Mapping[str, object]
_NOTHING: Json = {}


def as_object(value: object) -> Json:
    """The value if it is a JSON object (the first object of a list), else an empty one."""
    if isinstance(value, dict):
        return value
    if isinstance(value, list):
        return next((item for item in value if isinstance(item, dict)), _NOTHING)
    return _NOTHING


def as_list(value: object) -> list[object]:
    """The value as a list: absent is empty, anything else but a list stands alone in one."""
    if isinstance(value, list):
        return value
    return [] if value is None else [value]


def objects(value: object) -> Iterator[Json]:
    """The objects of a list, or the one standing where a list belongs; all else is skipped."""
    for item in as_list(value):
        if isinstance(item, dict):
            yield item


def as_text(value: object) -> str:
    """The value if it is a non-blank string, stripped; else ""."""
    return value.strip() if isinstance(value, str) else ""


def first_of(resource: Json, *names: str) -> object:
    """The first of the named elements that holds anything, else None."""
    return next((resource[name] for name in names if resource.get(name)), None)


def code_of(value: object) -> str:
    """A FHIR `code`, lower-cased; "" when absent. Also reads ``{"coding": [{"code": …}]}``."""
    if isinstance(value, str):
        return value.strip().lower()
    for coding in objects(as_object(value).get("coding")):
        code = as_text(coding.get("code"))
        if code:
            return code.lower()
    return as_text(as_object(value).get("code")).lower()


def date_of(value: object, zone: ZoneInfo) -> PartialDate | None:
    """The FHIR date, or None when it is absent or unreadable (`unreadable_dates` tells which)."""
    if not isinstance(value, str) or not value.strip():
        return None
    try:
        return read_date(value.strip(), zone)
    except ValueError:
        return None


def period_of(value: object, zone: ZoneInfo) -> tuple[PartialDate | None, PartialDate | None]:
    """Start and end of a FHIR Period."""
    period = as_object(value)
    return date_of(period.get("start"), zone), date_of(period.get("end"), zone)


def reference_of(value: object) -> str:
    """The literal reference of a Reference, without a version; "" when it has none."""
    text = value if isinstance(value, str) else as_object(value).get("reference")
    return as_text(text).partition("/_history/")[0]


def note_texts(value: object) -> list[str]:
    """The texts of `note`, whether Annotations, an Annotation or plain strings."""
    found = []
    for item in as_list(value):
        text = as_text(item) or as_text(as_object(item).get("text"))
        if text:
            found.append(text)
    return found


def unknown_modifiers(resource: Json, understood: frozenset[str]) -> list[str]:
    """Urls of modifier extensions that nobody here understands, and `implicitRules`.

    FHIR R4 §2.4: whoever does not understand one must not act on the resource.
    """
    if "modifierExtension" not in resource and "implicitRules" not in resource:
        return []
    urls = [as_text(item.get("url")) or "?" for item in objects(resource.get("modifierExtension"))]
    implicit = as_text(resource.get("implicitRules"))
    return sorted(
        {url for url in urls if url not in understood} | ({implicit} if implicit else set())
    )


_DATES = frozenset(
    (
        *("authoredOn", "recordedDate", "onsetDateTime", "abatementDateTime", "effectiveDateTime"),
        *("dateAsserted", "issued", "performedDateTime", "occurrenceDateTime", "whenPrepared"),
        *("whenHandedOver", "start", "end", "created", "birthDate", "deceasedDateTime"),
    )
)
_PERIODS = frozenset(
    ("effectivePeriod", "performedPeriod", "occurrencePeriod", "onsetPeriod", "period")
)


def unreadable_dates(resource: Json, zone: ZoneInfo) -> list[str]:
    """The dates of a resource that hold something which is no FHIR date, by their names, sorted."""
    found = []
    for name, value in resource.items():
        if name in _DATES:
            if _is_no_date(value, zone):
                found.append(name)
        elif name in _PERIODS:
            period = as_object(value)
            ends = (end for end in ("start", "end") if _is_no_date(period.get(end), zone))
            found += [f"{name}.{end}" for end in ends]
    return sorted(found)


def _is_no_date(value: object, zone: ZoneInfo) -> bool:
    return not _reads(value, zone) if isinstance(value, str) else value is not None


@lru_cache(maxsize=16_384)
def _reads(text: str, zone: ZoneInfo) -> bool:
    return date_of(text, zone) is not None
