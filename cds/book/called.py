"""How kinds of facts and their properties are called in English."""

from __future__ import annotations

NOUNS = {
    "medication": "a medication",
    "procedure": "an operation or procedure",
    "condition": "a diagnosis",
    "allergy": "an allergy or intolerance",
    "result": "a result",
    "statement": "an entry about a whole list",
    "patient": "the patient",
    "dose-step": "a step of dose",
}
PLURALS = {"condition": "diagnoses", "allergy": "allergies", "procedure": "operations"}
PSEUDO = {
    "unresolved": "that could not be looked up",
    "unclassified": "that no value set has",
    "classified": "that a value set has",
}
# How properties are called, where their name in the language does not read as a noun.
CALLED = {
    ("medication", "start"): "first day",
    ("medication", "end"): "last day",
    ("medication", "exposure"): "days of use",
    ("medication", "possibility"): "days of possible use",
    ("medication", "hint"): "days that something points to",
    ("procedure", "start"): "date",
    ("procedure", "evidence"): "standing",
    ("condition", "clinical"): "clinical status",
    ("condition", "verification"): "verification status",
    ("condition", "recorded"): "date of recording",
    ("condition", "abated"): "date of ending",
    ("allergy", "clinical"): "clinical status",
    ("allergy", "verification"): "verification status",
    ("result", "high"): "upper limit of reference",
    ("medication", "began"): "beginning",
    ("medication", "text-dose"): "dose in its words",
    ("procedure", "performed"): "day of performance",
    ("result", "low"): "lower limit of reference",
    ("result", "absent"): "reason for having no value",
    ("dose-step", "from"): "dose before",
    ("dose-step", "to"): "new dose",
    ("dose-step", "start"): "first day",
    ("dose-step", "since-increase"): "days since the last increase",
    ("patient", "born"): "date of birth",
}
# Properties that are yes or no, as something is said to be so.
YES_OR_NO = {
    "drafted": "being ordered now",
    "at-bedtime": "taken at bedtime",
    "first": "a first one",
    "on-hold": "on hold",
    "timed": "known to the time of day",
    "dates-differ": "dated differently by its entries",
    "ahead": "still ahead",
    "modified": "changed by a modifier that is not understood",
    "unseen": "unanswered",
    "ordered": "told of by an order",
}
# Properties that hold several words at once.
TELLS = {"says": "texts", "topics": "entries"}
