"""Which resource types the rules read: derived from the pack, never listed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cds.engine.needs import resource_types
from cds.rulebook.model import Rulebook
from cds.rulebook.pack import load_rulebook
from cds.rulebook.site import Site
from tests.records import CONTRAST, cards, draft, order, person, request, rulebook

ONLY_ALLERGY = Site(
    disable=(
        "contrast.kidney-function-missing",
        "contrast.low-kidney-function",
        "contrast.repeated-scans",
        "monitor.steep",
        "monitor.vitamin",
    )
)
MEDICATION = {
    "MedicationRequest",
    "MedicationStatement",
    "MedicationDispense",
    "MedicationAdministration",
    "Medication",
}
OPERATION = {"ServiceRequest", "Appointment", "Procedure", "Encounter"}


def test_shipped_rules_read_allergies_results_and_the_tasks_that_document_a_hold() -> None:
    found = resource_types(rulebook())
    others = {"Condition", "AllergyIntolerance", "Observation", "Task"}
    assert set(found) == {"Patient", *MEDICATION, *OPERATION, *others}
    assert found[0] == "Patient"


def test_second_pack_reads_results_and_allergies_and_no_tasks() -> None:
    found = set(resource_types(rulebook(CONTRAST)))
    assert found == {"Patient", *MEDICATION, *OPERATION, "AllergyIntolerance", "Observation"}


def test_each_hook_reads_what_its_own_rules_ask_for() -> None:
    """Only the allergy rule is left on: nobody asks for a drug or a result any more."""
    book = rulebook(CONTRAST, ONLY_ALLERGY)
    assert set(resource_types(book, "order-sign")) == {"Patient", *OPERATION, "AllergyIntolerance"}
    assert resource_types(book, "order-dispatch") == ("Patient",)


def _edited(tmp_path: Path, file: str, old: str, new: str) -> Rulebook:
    """The second pack with one word changed, and only its allergy rule on."""
    root = tmp_path / "pack"
    shutil.copytree(CONTRAST, root)
    path = root / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    return load_rulebook(root, ONLY_ALLERGY)


_PROCEDURE = "definitions/procedure.yaml"
_RULE = "contrast/allergy.yaml"
_PLANNED = "it.evidence is planned and it.start"


@pytest.mark.parametrize(
    ("file", "old", "new", "gained"),
    [
        (_RULE, "{allergy: contrast-medium, is: documented}", "{medication: metformin, is: current}", "MedicationDispense"),
        (_RULE, "allergy.certainty is code", "coverage.Observation is empty", "Observation"),
        (_RULE, "is: planned}", "is: planned, where: [coverage.Task is empty]}", "Task"),
        (_PROCEDURE, "  planned:", "  planned:\n    facts: {o: {condition: metformin}}", "Condition"),
        (_PROCEDURE, _PLANNED, f"coverage.Task is empty and {_PLANNED}", "Task"),
        (_PROCEDURE, "unseen: ", "unseen: coverage.Observation is failed or ", "Observation"),
        (_PROCEDURE, "unseen: ", "labels:\n  told:\n    - {a: it.ordered is yes}\norders-of: [metformin]\nunseen: ", "Medication"),
    ],
    ids=["clause", "level", "where", "extra fact", "term", "unseen", "label"],
)  # fmt: skip
def test_a_type_comes_with_what_asks_for_it(
    file: str, old: str, new: str, gained: str, tmp_path: Path
) -> None:
    assert gained not in resource_types(rulebook(CONTRAST, ONLY_ALLERGY))
    assert gained in resource_types(_edited(tmp_path, file, old, new))


def test_what_is_not_read_changes_no_card() -> None:
    """An Observation that is there, refused or absent: the same cards."""
    drafts = draft("d", "naltrexone hydrochloride 1.5 MG Oral Capsule", 1.5)
    bodies = [
        request(drafts, prefetch={"MedicationRequest": order("o", "oxycodone 5 MG Oral Tablet"),
                                  "patient": person(), **extra})
        for extra in ({}, {"Observation": {"resourceType": "OperationOutcome"}})
    ]  # fmt: skip
    first, second = (cards(body) for body in bodies)
    assert first
    assert first == second
