"""Charts and rules made by chance, for two engines to judge: every shape of the rule language.

Chance is an argument, so that Hypothesis can hold it and a failing number can be kept.
"""

from __future__ import annotations

import json
from datetime import timedelta
from random import Random
from typing import Any

from msgspec.structs import replace

from cds.cards.judge import read_input
from cds.chart.model import Chart, Coverage
from cds.rulebook.model import (
    CardTemplate,
    FactClause,
    Formula,
    Level,
    Precedence,
    ProblemOrder,
    Rule,
    Rulebook,
    Sentence,
    UnknownPolicy,
)
from cds.rulebook.rules import HOOKS
from cds.rulebook.sentence import parse_test, parse_value
from cds.values.problem import Place
from tests.records import AS_OF, Json, bundle, drug, person, resource, rulebook, setting

DRUGS = (
    "naltrexone hydrochloride 1.5 MG Oral Capsule", "naltrexone 4.5 MG Oral Capsule",
    "naltrexone 3 MG Oral Capsule", "naltrexone 4.5 MG Oral Capsule", "oxycodone 10 MG Oral Tablet",
    "naltrexone 380 MG Injection", "oxycodone 5 MG Oral Tablet", "buprenorphine 8 MG Sublingual Tablet",
    "morphine 10 MG Extended Release Oral Tablet", "methylnaltrexone 12 MG Injection",
    "hydrocodone 5 MG Oral Tablet", "tramadol 50 MG Oral Tablet", "codeine 30 MG Oral Tablet",
    "fentanyl 25 MCG/HR Transdermal System", "methadone 10 MG Oral Tablet", "tapentadol 50 MG Oral Tablet",
    "metformin 500 MG Oral Tablet", "zzz", "",
)  # fmt: skip
OPERATIONS = (
    {"text": "hernia repair"}, {"text": "colonoscopy"}, {"text": "knee replacement"}, {"text": "mole excision"},
    {"coding": [{"system": "http://snomed.info/sct", "code": "80146002", "display": "Appendectomy"}]},
    {"text": "somethingectomy"}, {"text": "office visit"}, {"text": "spinal anesthesia"},
)  # fmt: skip
CONDITIONS = (
    {"text": "Fibromyalgia"}, {"text": "multiple sclerosis"}, {"text": "opioid dependence"},
    {"text": "alcohol use disorder"}, {"text": "ingrown nail"},
)  # fmt: skip


# -- charts --------------------------------------------------------------------------------------


def day(chance: Random) -> str | None:
    """A day around that of judging, in any precision, or none."""
    distance = chance.choice((0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 10, 20, 30, 200, 900))
    found = AS_OF + timedelta(days=distance * chance.choice((-1, 1)))
    form = chance.choice(("%Y-%m-%d",) * 6 + ("%Y-%m-%dT%H:%M:00-04:00", "%Y-%m", "%Y", "", "x"))
    return found.strftime(form) or None


def period(chance: Random) -> Json:
    return known({"start": day(chance), "end": day(chance)})


def known(values: Json) -> Json:
    return {name: value for name, value in values.items() if value is not None}


def sometimes(chance: Random, value: Any, one_in: int = 3) -> Any:
    return value if chance.randrange(one_in) == 0 else None


def medication(chance: Random, number: int) -> Json:
    kind = chance.choice(
        ("MedicationRequest",) * 3
        + ("MedicationDispense", "MedicationStatement", "MedicationAdministration")
    )
    dose = {"value": chance.choice((0.5, 1.5, 3, 4.5, 9, 50)), "unit": "mg"}
    dosage = [
        {"text": chance.choice(("1 tablet daily", "4.5 mg at bedtime", "as directed", ""))},
        {
            "timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}},
            "doseAndRate": [{"doseQuantity": dose}],
        },
    ]
    found = {
        "status": chance.choice(
            ("draft", "draft", "active", "active", "completed", "stopped", "on-hold", "unknown",
             "cancelled", "entered-in-error", "not-taken", "in-progress")
        ),
        "intent": chance.choice(("order", "order", "plan", "proposal")),
        "medicationCodeableConcept": drug(chance.choice(DRUGS)),
        "authoredOn": day(chance),
        "dateAsserted": sometimes(chance, day(chance)),
        "whenHandedOver": sometimes(chance, day(chance)),
        "effectiveDateTime": sometimes(chance, day(chance)),
        "effectivePeriod": sometimes(chance, period(chance)),
        "dispenseRequest": sometimes(
            chance,
            {
                "validityPeriod": period(chance),
                "expectedSupplyDuration": {"value": chance.choice((3, 10, 90)), "code": "d"},
            },
        ),
        "daysSupply": sometimes(chance, {"value": 10}),
        "dosageInstruction": sometimes(chance, [chance.choice(dosage)], 2),
        "reasonCode": sometimes(chance, [chance.choice(CONDITIONS)], 5),
    }  # fmt: skip
    return resource(kind, f"m{number}", **known(found))


def operation(chance: Random, number: int) -> Json:
    kind = chance.choice(("ServiceRequest", "ServiceRequest", "Procedure", "Appointment"))
    found = known({
        "status": chance.choice(
            ("active", "draft", "booked", "proposed", "completed", "preparation", "revoked", "unknown")
        ),
        "intent": "order",
        "code": chance.choice(OPERATIONS),
        "priority": sometimes(chance, chance.choice(("routine", "urgent", "stat"))),
        "occurrenceDateTime": day(chance),
        "performedDateTime": sometimes(chance, day(chance)),
        "start": day(chance),
        "category": sometimes(chance, [{"text": "elective"}]),
    })  # fmt: skip
    if kind == "Appointment":
        found["serviceType"] = [found.pop("code")]
        found["participant"] = [{"actor": {"reference": "Patient/p1"}}]
    return resource(kind, f"o{number}", **found)


def condition(chance: Random, number: int) -> Json:
    found = {
        "code": chance.choice(CONDITIONS),
        "clinicalStatus": sometimes(
            chance, {"coding": [{"code": chance.choice(("active", "resolved"))}]}, 2
        ),
        "verificationStatus": sometimes(
            chance,
            {"coding": [{"code": chance.choice(("confirmed", "refuted", "provisional"))}]},
            2,
        ),
        "onsetDateTime": day(chance),
    }
    return resource("Condition", f"c{number}", **known(found))


def document(chance: Random) -> Json:
    """A Bundle of one patient."""
    makers = (medication, medication, medication, operation, operation, condition)
    count = chance.choice((0, 1, 2, 3, 4, 6, 9, 14, 20))
    return bundle(person(), *(chance.choice(makers)(chance, number) for number in range(count)))


def chart(chance: Random, by: Rulebook | None = None) -> Chart:
    """The chart of a Bundle, in which some types were not supplied, refused, or came in part."""
    setting_ = setting() if by is None else replace(setting(), rulebook=by)
    (found,) = read_input(json.dumps(document(chance)).encode(), "input", setting_).charts
    states = list(Coverage)
    coverage = {
        kind: chance.choice(states) if chance.randrange(4) == 0 else state
        for kind, state in found.coverage.items()
    }
    return replace(found, coverage=coverage) if chance.randrange(2) else found


# -- rules ---------------------------------------------------------------------------------------

_DRUG_WORDS = (
    "current", "recent", "possible", "drafted", "on-record", "ldn-intent", "depot", "opioid",
    "long-acting", "on-board", "held",
)  # fmt: skip
_PLAN_WORDS = (
    "planned", "possibly-planned", "surgical", "elective", "urgent", "within-hold-window", "minor",
)  # fmt: skip
_WORDS = {
    "medication": _DRUG_WORDS,
    "procedure": _PLAN_WORDS,
    "condition": ("documented", "recorded"),
}
_CONCEPTS = {
    "medication": ("naltrexone", "opioid", "maintenance-opioid", "peripheral-antagonist", "unclassified"),
    "procedure": ("surgical", "operation", "surgical-procedure"),
    "condition": ("fibromyalgia", "multiple-sclerosis", "opioid-use-disorder"),
}  # fmt: skip
_DATES = {"medication": ("start", "end"), "procedure": ("start",), "condition": ("onset",)}

Clauses = dict[str, FactClause]


def sentence(text: str) -> Sentence:
    return Sentence(text, parse_test(text), Place())


def some(chance: Random, words: tuple[str, ...], most: int) -> tuple[str, ...]:
    return tuple(chance.sample(words, chance.randint(1, min(most, len(words)))))


def clause(chance: Random, name: str, before: Clauses) -> FactClause:
    kind = chance.choice(("medication", "medication", "medication", "procedure", "condition"))
    if chance.randrange(12) == 0:
        return FactClause(name, "source", ("medication",), terms=("not-answered",))
    found = FactClause(
        name,
        kind,
        some(chance, _CONCEPTS[kind], 3) if name != "a" else _CONCEPTS[kind][:2],
        excluded=some(chance, _CONCEPTS[kind], 1) if chance.randrange(5) == 0 else (),
        terms=some(chance, _WORDS[kind], 4) if chance.randrange(2) else (),
        also=some(chance, _WORDS[kind], 1) if chance.randrange(6) == 0 else (),
    )
    if chance.randrange(5) == 0:
        text = a_test(chance, {**before, name: found}, {}, 1)
        found = replace(found, where=(sentence(text),))
    return found


def a_test(chance: Random, clauses: Clauses, lets: dict[str, str], depth: int) -> str:
    """A test of any shape; deeper ones are made of others."""
    if depth > 0 and chance.randrange(3):
        inner = [a_test(chance, clauses, lets, depth - 1) for _ in range(chance.choice((2, 2, 3)))]
        shape = chance.choice(("and", "or", "or", "not", "could be", "unsure whether"))
        if shape in ("and", "or"):
            return "(" + f" {shape} ".join(inner) + ")"
        return f"{shape} ({inner[0]})"
    return leaf(chance, clauses, lets)


def leaf(chance: Random, clauses: Clauses, lets: dict[str, str]) -> str:
    name = chance.choice(("a", "b", *clauses))
    name = name if name in clauses else "a"
    kind = clauses[name].kind
    shape = chance.randrange(10)
    words = ", ".join(some(chance, _WORDS.get(kind, ("not-answered",)), 2))
    said = f"is any of {words}" if "," in words else f"is {words}"
    if shape < 2:
        return chance.choice((name, f"no {name}"))
    if shape == 2:
        return f"at least {chance.choice((1, 2, 2, 3))} {name}"
    if shape == 3:
        return f"every {name} {said}"
    if shape < 6 or kind not in _DATES:
        return f"{name} {said}"
    if shape == 6 and lets:
        return compared(chance, *chance.choice(tuple(lets.items())))
    date = f"{name}.{chance.choice(_DATES[kind])}"
    others = [other for other, found in clauses.items() if found.kind in _DATES]
    other = chance.choice(others)
    there = f"{other}.{chance.choice(_DATES[clauses[other].kind])}"
    anchor = chance.choice(("today", "today", there))
    side = chance.choice(("before", "after"))
    return chance.choice((
        f"{date} is {side} {anchor}",
        f"{date} is 0 to {chance.choice((3, 10, 40))} days {side} {anchor}",
        f"{date} is known",
        f"{name}.name matches {other}.name",
    ))  # fmt: skip


def compared(chance: Random, name: str, value: str) -> str:
    if value.startswith("days"):
        return f"{name} is at most {chance.choice((0, 3, 10))}"
    return chance.choice((f"{name} is before today", f"{name} is known"))


def let(chance: Random, clauses: Clauses) -> str:
    dated = [name for name, found in clauses.items() if found.kind in _DATES]
    if not dated:
        return "today"
    name = chance.choice(dated)
    date = f"{name}.{chance.choice(_DATES[clauses[name].kind])}"
    return chance.choice((f"days from {date} to today", f"latest {date}", f"earliest {date}", date))


def bare(
    name: str,
    facts: tuple[FactClause, ...],
    when: tuple[str, ...],
    *,
    per: tuple[str, ...] = (),
    lets: dict[str, str] | None = None,
    critical: str = "",
) -> Rule:
    """A rule with nothing but its logic."""
    levels = [Level("info", sentence("otherwise"))]
    if critical:
        levels.insert(0, Level("critical", sentence(critical)))
    return Rule(
        id=name, title="made", version="1", status="", owner="", reviewed="", audience="",
        hooks=HOOKS, off_on=(), default_on=True, tags=(), per=per, problem="made", facts=facts,
        lets=tuple(
            Formula(let, text, parse_value(text), Place()) for let, text in (lets or {}).items()
        ),
        when=tuple(sentence(text) for text in when),
        unknown=UnknownPolicy(), remember="",
        card=CardTemplate(tuple(levels), "", "", "", "", (), {}, (), (), ()),
        evidence=(), false_positives=(), place=Place(),
    )  # fmt: skip


def book(*rules: Rule) -> Rulebook:
    """A rulebook of made rules, with the words of the shipped pack."""
    order = ProblemOrder("made", "", tuple(item.id for item in rules), ())
    return replace(rulebook(), rules=rules, precedence=Precedence({"made": order}), digest="made")


def rule(chance: Random, number: int) -> Rule:
    clauses: Clauses = {}
    for name in ("a", "b", "c", "d")[: chance.choice((1, 2, 3, 3, 4))]:
        clauses[name] = clause(chance, name, clauses)
    names = tuple(clauses)
    lets = {f"v{n}": let(chance, clauses) for n in range(chance.choice((0, 0, 1, 2)))}
    tests = range(chance.choice((1, 2, 3)))
    return bare(
        f"made.rule-{number}",
        tuple(clauses.values()),
        tuple(a_test(chance, clauses, lets, chance.choice((0, 1, 2, 3))) for _ in tests),
        per=chance.choice(((), names[:1], names[:1], names[:1], names[:2], names[1:2])),
        lets=lets,
        critical=a_test(chance, clauses, lets, 1),
    )


def pack(chance: Random, count: int = 12) -> Rulebook:
    """A rulebook of rules made by chance."""
    return book(*(rule(chance, number) for number in range(count)))
