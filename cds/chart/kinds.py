"""Which FHIR resource types each kind of fact is read from."""

from __future__ import annotations

from collections.abc import Mapping

from cds.chart.medication import MEDICATION_TYPES
from cds.chart.operation import OPERATION_TYPES

# A medication may stand in a Medication of its own, which the four resources only refer to. An
# entry that speaks of the whole list ("none known") is one of the same four.
TYPES_OF: Mapping[str, tuple[str, ...]] = {
    "patient": ("Patient",),
    "medication": (*MEDICATION_TYPES, "Medication"),
    "statement": (*MEDICATION_TYPES, "Medication"),
    "procedure": OPERATION_TYPES,
    "condition": ("Condition",),
    "allergy": ("AllergyIntolerance",),
    "result": ("Observation",),
    "dose-step": (*MEDICATION_TYPES, "Medication"),
}

# Properties that are read from other resources than the fact's own: wordings about a drug stand in
# Tasks and in notes on operations, what an order is for in the Condition that it refers to.
TYPES_BEHIND: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("medication", "says"): ("Task", *OPERATION_TYPES),
    ("medication", "reason"): ("Condition",),
    ("medication", "reason-certainty"): ("Condition",),
    ("medication", "stated-reason"): ("Condition",),
}

ALL_TYPES = (
    "Patient",
    *MEDICATION_TYPES,
    "Medication",
    *OPERATION_TYPES,
    "Condition",
    "AllergyIntolerance",
    "Observation",
    "Task",
)
"""Every type that is read, in the order in which they are named to people."""
