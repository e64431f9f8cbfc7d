"""The rule language read aloud: what each form says, and what its opposite says."""

from __future__ import annotations

import pytest

from cds.book.english import English
from cds.book.phrase import plain
from cds.rulebook.definitions import read_fact
from cds.rulebook.document import parse_document
from cds.rulebook.reading import Author
from cds.rulebook.sentence import parse_test, parse_value
from tests.records import CONTRAST, rulebook

NAMES = {"drug": "medication", "drugs": "medication", "scan": "procedure", "ptx": "result"}

SENTENCES = [
    ("drug", "a drug is found"),
    ("drugs", "some drugs are found"),
    ("ptx", "ptx is found"),
    ("drugs.dose is known", "the drugs' dose is known"),
    ("no drug", "no drug is found"),
    ("not drug", "no drug is found"),
    ("not no drug", "a drug is found"),
    ("not not drug", "a drug is found"),
    ("at least 2 drug", "at least 2 drug are found"),
    ("not at least 2 drug", "fewer than 2 drug are found"),
    ("every drug is current", "every drug is current"),
    ("not every drug is current", "not every drug is current"),
    ("drug is metformin", "the drug is metformin"),
    ("drug is not current", "the drug is not current"),
    ("drug is any of current, drafted, metformin", "the drug is current, drafted or metformin"),
    ("scan.priority is any of stat, asap", "the scan's priority is “stat” or “asap”"),
    ("not scan.priority is stat", "the scan's priority is not “stat”"),
    ("drug.drafted is yes", "the drug is being ordered now"),
    ("drug.drafted is no", "the drug is not being ordered now"),
    ("not drug.drafted is no", "the drug is being ordered now"),
    ("drug.says is vitamin", "the drug's texts tell of vitamin"),
    ("not drug.says is vitamin", "the drug's texts do not tell of vitamin"),
    ("drug.dose is known", "the drug's dose is known"),
    ("not drug.dose is known", "the drug's dose is not known"),
    ("drug.dose is at most 5 mg", "the drug's dose is at most 5 mg"),
    ("not drug.dose is more than 5 mg", "the drug's dose is not more than 5 mg"),
    ("drug.dose is 1 mg to 5 mg", "the drug's dose is from 1 mg to 5 mg"),
    ("days from drug.end to today is 1 to 1", "the days from the drug's last day to today is exactly 1"),
    ("scan.start is 0 to 3 days after today", "the scan's date is 0 to 3 days after today"),
    ("scan.start is 0 to 0 days after drug.start", "the scan's date is on the same day as the drug's first day"),
    ("scan.start is before now", "the scan's date is before now"),
    ("drug.exposure includes today", "the drug's days of use includes today"),
    ("not drug.exposure includes today", "the drug's days of use does not include today"),
    ("drug.name matches scan.name", "the drug's name matches the scan's name"),
    ("not drug.name matches scan.name", "the drug's name does not match the scan's name"),
    ("hook is audit", "the hook is “audit”"),
    ("coverage.Condition is absent", "the answer about Condition is “absent”"),
    ("could be drug is current", "it is so, or cannot be ruled out, that the drug is current"),
    ("not could be drug is current", "it is ruled out that the drug is current"),
    ("unsure whether drug is current", "it cannot be told whether the drug is current"),
    ("not unsure whether drug is current", "it can be told whether the drug is current"),
    ("drug and no scan", "a drug is found and no scan is found"),
    ("drug or no scan", "a drug is found or no scan is found"),
    ("drug and (scan or ptx)", "all of these hold: a drug is found; a scan is found or ptx is found"),
    ("not (drug or scan)", "none of these holds: a drug is found; a scan is found"),
    ("not (drug and scan)", "not all of these hold: a drug is found; a scan is found"),
    ("unsure whether (drug and (scan or ptx))", "it cannot be told whether: all of these hold: a drug is found; a scan is found or ptx is found"),
    ("otherwise", "in all other cases"),
]  # fmt: skip

VALUES = [
    ("drug.end + 1", "the drug's last day plus 1"),
    ("drug.dose × 2", "the drug's dose times 2"),
    ("largest drugs.single-dose", "the largest single dose among the drugs"),
    ("sum of drugs.daily-dose", "the sum of the daily dose over the drugs"),
    ("days from drug.end to scan.start", "the days from the drug's last day to the scan's date"),
    ("old-age", "65"),
]

FACTS = [
    ("{medication: metformin, is: current}", "a medication of the class metformin, that is current"),
    ("{medication: [metformin, vitamin], not: contrast-medium, is: [current, drafted]}", "a medication of the class metformin or vitamin, not contrast medium, that is current or drafted"),
    ("{medication: unresolved, is: current}", "a medication that could not be looked up, that is current"),
    ("{source: [result, condition], is: not-answered}", "the list of results and diagnoses, that is not answered"),
    ("{patient: person, is: old}", "the patient, that is old"),
    ("{result: vitamin, where: [it.value is at most 5, it.date is before today]}", "a result of the class vitamin, where its value is at most 5; its date is before today"),
]  # fmt: skip


@pytest.fixture(scope="module")
def english() -> English:
    return English(rulebook(CONTRAST))


@pytest.mark.parametrize(("sentence", "said"), SENTENCES, ids=[each for each, _ in SENTENCES])
def test_a_sentence_is_read_aloud(english: English, sentence: str, said: str) -> None:
    assert english.test(parse_test(sentence), NAMES).text == said


@pytest.mark.parametrize(("value", "said"), VALUES, ids=[each for each, _ in VALUES])
def test_a_value_is_read_aloud(english: English, value: str, said: str) -> None:
    assert plain(english.value(parse_value(value), NAMES)) == said


@pytest.mark.parametrize(("fact", "said"), FACTS, ids=[each for each, _ in FACTS])
def test_a_clause_is_read_aloud(english: English, fact: str, said: str) -> None:
    node = parse_document(fact, "fact", [])
    assert node is not None
    clause = read_fact("it", node, Author([]))
    assert english.fact(clause, {"it": clause.kind}).text == said


def test_every_sentence_of_a_pack_can_be_said_without_its_grammar(english: English) -> None:
    """What is said never falls back on the marks of the language."""
    for definition in english.rulebook.definitions.values():
        for term in definition.terms.values():
            names = {"it": definition.kind, **{fact.name: fact.kind for fact in term.facts}}
            text = english.sentence(term.means, names).text
            assert text
            assert not set("{}_×") & set(text)
            assert "any of" not in text


def test_words_link_to_what_they_mean(english: English) -> None:
    said = english.test(parse_test("drug is any of current, metformin"), NAMES)
    links = {piece.text: piece.href for piece in said.phrase if piece.href}
    assert links == {
        "current": "words.html#medication.current",
        "metformin": "valuesets/metformin.html",
    }
    (number,) = english.value(parse_value("old-age"), NAMES)
    assert number.href == "numbers.html#old-age"
