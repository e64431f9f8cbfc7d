"""Records as Hypothesis makes them: whole enough to be judged, odd enough to tell readers apart."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.records import Json, drug, order, person

DAYS = (
    "1999-05-01", "2001-02-31", "2001-13-45", "2001-01-01x", "2003", "2004-06", "0000-00-00",
    "2008-01-01T23:30:00-05:00", "2020-02-29", "2024-06-01", "2025-06-09", "2026-05-20",
    "2026-06-01T10:00:00Z", "2026-06-09", "2026-06-10T08:00:00-04:00", "2026-06-12", "2026-06-20",
    "2026-07-30", "2027-01-01", "9999-12-31T23:59:60Z", "10000-01-01", " 2001-01-01", "",
)  # fmt: skip
OPERATIONS = (
    {"text": "hernia repair"},
    {"coding": [{"system": "http://snomed.info/sct", "code": "80146002", "display": "Appendectomy"}]},
    {"coding": [{"system": "http://snomed.info/sct", "code": "162673000", "display": "General examination"}]},
    {"text": "colonoscopy"},
    {"text": "knee replacement"},
)  # fmt: skip
DRUGS = (
    "naltrexone hydrochloride 1.5 MG Oral Capsule", "oxycodone 5 MG Oral Tablet",
    "metformin 500 MG Oral Tablet", "morphine 10 MG Extended Release Oral Tablet", "zzz", "",
)  # fmt: skip
CONDITIONS = (
    {"text": "Fibromyalgia"}, {"text": "multiple sclerosis"}, {"text": "opioid dependence"},
    {"text": "ingrown nail"}, {"coding": [{"system": "x", "code": "y"}]}, None,
)  # fmt: skip
NUMBERS = st.integers(0, 3)
OPERATION_KINDS = ("ServiceRequest", "Procedure", "Encounter", "Appointment")
DRUG_KINDS = (
    "MedicationRequest", "MedicationDispense", "MedicationStatement", "MedicationAdministration",
)  # fmt: skip
days = st.sampled_from(DAYS)
kinds = st.sampled_from((*OPERATION_KINDS, *DRUG_KINDS, "Condition"))


@st.composite
def references(draw: st.DrawFn, of: tuple[str, ...] = (*OPERATION_KINDS, *DRUG_KINDS)) -> Json:
    kind, number = draw(st.sampled_from(of)), draw(NUMBERS)
    form = draw(st.integers(0, 3))
    if form == 0:
        return {"reference": f"urn:uuid:{kind}-{number}"}
    if form == 1:
        return {"reference": f"https://ehr.example.org/fhir/{kind}/{number}/_history/2"}
    return {"reference": f"{kind}/{number}"}


def sometimes(value: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | st.none() | value


def lists(value: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(value, min_size=1, max_size=2)


periods = st.fixed_dictionaries({}, optional={"start": days, "end": days})
identifiers = lists(
    st.builds(lambda number: {"system": "urn:placer", "value": f"v{number}"}, NUMBERS)
)
metas = st.fixed_dictionaries(
    {}, optional={"versionId": st.sampled_from(["1", "2", "10", "x"]), "lastUpdated": days}
)


def without_none(resource: Json) -> Json:
    return {name: value for name, value in resource.items() if value is not None}


@st.composite
def operations(draw: st.DrawFn) -> Json:
    kind = draw(st.sampled_from(OPERATION_KINDS))
    found: Json = {
        "status": draw(st.sampled_from(
            ["active", "draft", "completed", "booked", "planned", "finished", "preparation", "revoked"]
        )),
        "intent": "order",
        draw(st.sampled_from(["code", "code", "reasonCode", "type"])): draw(st.sampled_from(OPERATIONS)),
        "identifier": draw(sometimes(identifiers)),
        "reasonReference": draw(sometimes(lists(references((*OPERATION_KINDS, "Condition"))))),
        "note": draw(sometimes(st.just([{"text": "hold naltrexone before surgery"}]))),
    }  # fmt: skip
    for name in ("basedOn", "partOf", "appointment", "replaces"):
        found[name] = draw(sometimes(lists(references(OPERATION_KINDS))))
    for name in draw(st.lists(
        st.sampled_from(["start", "end", "occurrenceDateTime", "performedDateTime", "plannedStartDate"]),
        max_size=2,
    )):  # fmt: skip
        found[name] = draw(days)
    for name in draw(st.lists(
        st.sampled_from(["period", "occurrencePeriod", "performedPeriod", "plannedPeriod"]), max_size=1
    )):  # fmt: skip
        found[name] = draw(periods)
    if kind == "Appointment":
        found["participant"] = [{"actor": {"reference": "Patient/p1"}}]
    else:
        found["subject"] = {"reference": "Patient/p1"}
    return without_none({"resourceType": kind, **found})


@st.composite
def medications(draw: st.DrawFn) -> Json:
    kind = draw(st.sampled_from(DRUG_KINDS))
    found: Json = {
        "status": draw(st.sampled_from(["active", "draft", "completed", "stopped", "on-hold", "not-taken"])),
        "intent": "order",
        "subject": {"reference": "Patient/p1"},
        "authoredOn": draw(sometimes(days)),
        "whenHandedOver": draw(sometimes(days)),
        "effectiveDateTime": draw(sometimes(days)),
        "daysSupply": draw(sometimes(st.just({"value": 10}))),
        "medicationCodeableConcept": draw(st.sampled_from(DRUGS).map(drug)),
        "authorizingPrescription": draw(sometimes(lists(references(DRUG_KINDS)))),
        "basedOn": draw(sometimes(lists(references(DRUG_KINDS)))),
        "dosageInstruction": draw(sometimes(st.sampled_from(
            [[{"text": "1 tablet daily"}], [{"text": "take 4.5 mg at bedtime"}], [{"text": "as directed"}]]
        ))),
    }  # fmt: skip
    return without_none({"resourceType": kind, **found})


@st.composite
def conditions(draw: st.DrawFn) -> Json:
    found: Json = {
        "subject": {"reference": "Patient/p1"},
        "code": draw(st.sampled_from(CONDITIONS)),
        "clinicalStatus": draw(sometimes(st.just({"coding": [{"code": "active"}]}))),
        "onsetDateTime": draw(sometimes(days)),
    }
    return without_none({"resourceType": "Condition", **found})


@st.composite
def entries(draw: st.DrawFn) -> Json:
    resource = draw(st.one_of(operations(), operations(), medications(), conditions()))
    kind, number = resource["resourceType"], draw(NUMBERS)
    resource["id"] = str(number)
    meta = draw(sometimes(metas))
    if meta is not None:
        resource["meta"] = meta
    entry: Json = {"resource": resource}
    if draw(st.booleans()):
        entry["fullUrl"] = f"urn:uuid:{kind}-{number}"
    return entry


LDN = {"resource": order("ldn", "naltrexone 1.5 MG Oral Capsule")}
records = st.lists(entries(), max_size=9).map(lambda found: [{"resource": person()}, LDN, *found])
"""The entries of a Bundle of one patient, as both readers can take them."""
