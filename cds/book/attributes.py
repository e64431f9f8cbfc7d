"""The thirteen source attributes of a rule, 45 CFR 170.315(b)(11)(iv)(A).

The first four are declared. Whether and how a rule uses what the others name is reckoned from what
it reads, the definitions of its words included.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from cds.book.english import English, anchor
from cds.book.phrase import Phrase, Piece, Saying, joined, said, unhyphened
from cds.book.reach import Reach, Use
from cds.rulebook.model import ATTRIBUTES, Rule, Rulebook

_TITLES = {
    "race": "Race",
    "ethnicity": "Ethnicity",
    "language": "Language",
    "sexual-orientation": "Sexual orientation",
    "gender-identity": "Gender identity",
    "sex": "Sex",
    "date-of-birth": "Date of birth",
    "social-determinants": "Social determinants of health",
    "health-status": "Health status assessments",
}
# What a rule can ask of the patient; a value set's attribute is the pack's to say.
_PROPERTIES = {
    ("patient", "sex"): "sex",
    ("patient", "born"): "date-of-birth",
    ("patient", "age"): "date-of-birth",
}
_NOT_STATED = "Not stated."


class Attribute(msgspec.Struct, frozen=True):
    """One of the thirteen. ``used`` is None for those that are declared; ``how`` says where."""

    number: int
    title: str
    says: Phrase
    used: bool | None = None
    how: tuple[Saying, ...] = ()


def attributes_of(rule: Rule, rulebook: Rulebook, reach: Reach) -> tuple[Attribute, ...]:
    """The thirteen attributes of a rule, in the order of the regulation."""
    pack = rulebook.pack
    cited = dict.fromkeys(entry.source for entry in rule.evidence)
    sources = [Piece(rulebook.sources[name].cite, f"sources.html#{name}") for name in cited]
    first = (
        Attribute(1, "Bibliographic citation", joined([said(piece) for piece in sources], "; ")),
        Attribute(2, "Developer", said(pack.developer or _NOT_STATED)),
        Attribute(3, "Funding source of the implementation", said(pack.funding or _NOT_STATED)),
        Attribute(4, "Release and revision dates", _dates(rule, rulebook)),
    )
    uses = uses_of(rulebook, reach)
    english = English(rulebook)
    rest = (
        _computed(number, name, uses.get(name, []), english)
        for number, name in enumerate(ATTRIBUTES, 5)
    )
    return (*first, *rest)


def uses_of(rulebook: Rulebook, reach: Reach) -> dict[str, list[Use]]:
    """Where a rule reads what an attribute names; one that it does not use is left out."""
    found: dict[str, list[Use]] = {}
    for key, uses in reach.properties.items():
        if key in _PROPERTIES:
            found.setdefault(_PROPERTIES[key], []).extend(uses)
    for name, valuesets in rulebook.pack.attributes.items():
        for valueset in valuesets:
            if valueset in reach.valuesets:
                found.setdefault(name, []).extend(reach.valuesets[valueset])
    return found


def _dates(rule: Rule, rulebook: Rulebook) -> Phrase:
    released = rule.history[0].date if rule.history else rulebook.pack.date
    told = [f"reviewed {rule.reviewed}"]
    if released:
        told.insert(0, f"released {released}")
    if rule.effective:
        told.append(f"in effect from {rule.effective}")
    return said(f"Version {rule.version}, ", ", ".join(told))


def _computed(number: int, name: str, uses: Iterable[Use], english: English) -> Attribute:
    how = tuple({use_.text: use_ for use_ in (_how(use, english) for use in uses)}.values())
    says = said("Used." if how else "Not used.")
    return Attribute(number, _TITLES[name], says, bool(how), how)


def _how(use: Use, english: English) -> Saying:
    """One sentence on a use: where it stands, and what it asks."""
    if use.word:
        kind, _, word = use.word.partition(".")
        where = said("In the word ", Piece(unhyphened(word), anchor(kind, word), "word"), ": ")
    else:
        where = said("In this rule: ")
    if use.clause is not None:
        told = english.fact(use.clause, use.names)
    elif use.sentence is not None:
        told = english.sentence(use.sentence, use.names)
    else:
        told = Saying(said("a value is computed from it"))
    return Saying(said(where, told.phrase), told.parts)
