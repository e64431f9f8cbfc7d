"""The layout of a pack's files: in which order keys stand, and which scalars are codes.

`cds fmt` writes files this way. The digest of a rulebook is taken over the same order, so that two
files that say the same have the same digest however they are laid out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum

import msgspec

from cds.rulebook.definitions import DEFINITION_KEYS, PARAMETER_KEYS, PROFILE_KEYS, ROW_KEYS
from cds.rulebook.model import KINDS
from cds.rulebook.rules import CARD_KEYS, EVIDENCE_KEYS, HISTORY_KEYS, RULE_KEYS, SUGGESTION_KEYS
from cds.terminology.valueset import PATTERN_KEYS, SYSTEM_KEYS, VALUESET_KEYS


class Quotes(StrEnum):
    """What a writer does with the quotes of scalars.

    WORDS have them only where they are needed, CODES always, and what is KEPT has those of its
    author.
    """

    WORDS = "words"
    CODES = "codes"
    KEPT = "kept"


class Shape(msgspec.Struct, frozen=True):
    """How the mappings at one place of a file are laid out.

    ``order`` is that of the keys that the format names; others follow as their author has them.
    ``fields`` are the shapes below named keys, ``each`` the one below all others. A list has the
    shape of its items. An empty line stands before each of ``spaced``.
    """

    order: tuple[str, ...] = ()
    fields: Mapping[str, Shape] = msgspec.field(default_factory=dict)
    each: Shape | None = None
    quotes: Quotes = Quotes.WORDS
    spaced: frozenset[str] = frozenset()

    def below(self, key: str) -> Shape:
        """The shape of what stands under a key; the quotes are inherited."""
        found = self.fields.get(key) or self.each
        return found if found is not None else Shape(quotes=self.quotes)

    def sort(self, keys: Iterable[str]) -> list[str]:
        """The keys in their order; those that the format does not name follow, as they came."""
        place = {key: number for number, key in enumerate(self.order)}
        return sorted(keys, key=lambda key: place.get(key, len(place)))


FACT_KEYS = (*KINDS, "not", "is", "and", "where")
SCENARIO_ORDER = (
    "id", "name", "why", "note", "tags", "hook", "as", "as-of", "timezone", "engine", "config",
    "parameters", "enable", "disable", "without", "given", "select", "encounter", "context",
    "prefetch", "shown", "expect", "must-not", "lines", "says", "says-not", "suggests", "unknown",
    "decided", "problems",
)  # fmt: skip
PACK_KEYS = (
    "id", "title", "version", "label", "url", "canonical", "date", "developer", "funding", "notice",
    "attributes", "footer", "badge", "census", "overrides", "templates",
)  # fmt: skip

_FACT = Shape(FACT_KEYS)
_FACTS = Shape(each=_FACT)
_CARD = Shape(CARD_KEYS, {"suggest": Shape(SUGGESTION_KEYS), "links": Shape(("label", "page"))})
_RULE = Shape(
    RULE_KEYS,
    {
        "facts": _FACTS,
        "card": _CARD,
        "evidence": Shape(EVIDENCE_KEYS),
        "history": Shape(HISTORY_KEYS),
    },
    spaced=frozenset({"facts", "card", "evidence"}),
)
_SCENARIOS = Shape(("rule", "scenarios"), {"scenarios": Shape(SCENARIO_ORDER)})
_FIXTURES = Shape(("defaults", "fixtures"), {"defaults": Shape(SCENARIO_ORDER)})
_TERM = Shape(("answered", "facts", "means", "unsure-when", "because"), {"facts": _FACTS})
_DEFINITION = Shape(
    DEFINITION_KEYS,
    {
        "parameters": Shape(each=Shape(PARAMETER_KEYS)),
        "evidence": Shape(ROW_KEYS),
        "caps": Shape(ROW_KEYS),
        "profiles": Shape(PROFILE_KEYS),
        "terms": Shape(each=_TERM),
        "unseen-facts": _FACTS,
    },
)
_CODES = Shape(quotes=Quotes.CODES)
_SYSTEM = Shape(SYSTEM_KEYS, each=_CODES)
_VALUESET = Shape(
    VALUESET_KEYS,
    {
        "systems": Shape(each=_SYSTEM),
        "not-for-rule": _CODES,
        "phrases": Shape(PATTERN_KEYS),
        "shapes": Shape(PATTERN_KEYS),
    },
)
_PRECEDENCE = Shape(
    ("problems", "suppressions"),
    {
        "problems": Shape(each=Shape(("by", "order", "lines-only"))),
        "suppressions": Shape(("speaking", "of-groups", "silences", "in-groups", "because")),
    },
)
_PACK = Shape(PACK_KEYS, {"census": Shape(("label", *FACT_KEYS))})
# A file of a pack is what its keys say; the first line that a file's keys match decides.
_SHAPES: tuple[tuple[frozenset[str], Shape], ...] = (
    (frozenset({"scenarios"}), _SCENARIOS),
    (frozenset({"fixtures"}), _FIXTURES),
    (frozenset({"canonical"}), _PACK),
    (frozenset({"problems"}), _PRECEDENCE),
    (frozenset({"id", "card"}), _RULE),
    (frozenset({"id", "kind"}), _VALUESET),
    (frozenset({"kind"}), _DEFINITION),
)
# A table of words, or a file of another kind: no order is known of it.
OTHER = Shape(quotes=Quotes.KEPT)


def shape_of(keys: Collection[str]) -> Shape:
    """How a file with these keys at its top is laid out."""
    return next((shape for needed, shape in _SHAPES if needed <= set(keys)), OTHER)


def arranged(value: object, shape: Shape) -> object:
    """The plain value with its keys in their order, all the way down."""
    if not (shape.order or shape.fields or shape.each):
        return value
    if isinstance(value, dict):
        return {key: arranged(value[key], shape.below(key)) for key in shape.sort(value)}
    if isinstance(value, list):
        return [arranged(item, shape) for item in value]
    return value
