"""The rulebook as the engine reads it: rules, definitions, parameters; frozen and free of YAML."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Literal

import msgspec

from cds.rulebook.source import Source
from cds.rulebook.syntax import And, Is, Not, Or, Path, Test, Value, nodes
from cds.terminology.terminology import Terminology
from cds.values.problem import Place

Indicator = Literal["info", "warning", "critical"]
INDICATORS: tuple[Indicator, ...] = ("info", "warning", "critical")

# The kinds of fact a rule can ask for. `source` is the coverage manifest, `statement` an entry such
# as "none known", `dose-step` a dose that drafts make follow on another; the pack's concepts
# classify the others.
KINDS = (
    "medication", "procedure", "condition", "allergy", "result", "statement", "source", "patient",
    "dose-step",
)  # fmt: skip

# What a decision may rest on and must be told of: 45 CFR 170.315(b)(11)(iv)(A)(5) to (13).
ATTRIBUTES = (
    "race", "ethnicity", "language", "sexual-orientation", "gender-identity", "sex",
    "date-of-birth", "social-determinants", "health-status",
)  # fmt: skip

# Concepts of a medication that no value set lists: what a record that nothing classified is.
PSEUDO_CONCEPTS = frozenset({"unresolved", "unclassified", "classified"})


class FactClause(msgspec.Struct, frozen=True):
    """``other: {medication: class-a, not: class-b, is: [current, drafted]}``.

    ``concepts`` are alternatives; ``terms`` are alternatives, ``also`` and ``where`` must hold too.
    """

    name: str
    kind: str
    concepts: tuple[str, ...]
    excluded: tuple[str, ...] = ()
    terms: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    where: tuple[Sentence, ...] = ()
    place: Place = msgspec.field(default_factory=Place)


class Sentence(msgspec.Struct, frozen=True):
    """A test with the author's words and where they stand."""

    text: str
    test: Test
    place: Place


class Formula(msgspec.Struct, frozen=True):
    """A computed value (``let``) with the author's words."""

    name: str
    text: str
    value: Value
    place: Place


class Level(msgspec.Struct, frozen=True):
    """The indicator of a card, and the sentence under which it has it."""

    indicator: Indicator
    sentence: Sentence


class SuggestionTemplate(msgspec.Struct, frozen=True):
    """One offered action. ``target`` is the fact to update or delete, or the template to create."""

    action: Literal["create", "update", "delete"]
    target: str
    label: str
    set: Mapping[str, str]
    condition: Sentence | None
    recommended: bool
    place: Place


class LinkTemplate(msgspec.Struct, frozen=True):
    """A link of a card: its label, and a page below the pack's address."""

    label: str
    page: str


class CardTemplate(msgspec.Struct, frozen=True):
    """What a rule's card says; ``{…}`` in its texts is filled from the facts."""

    levels: tuple[Level, ...]
    summary: str
    why: str
    uncertain: str
    options: str
    lists: tuple[str, ...]
    wordings: Mapping[str, tuple[tuple[str, Sentence], ...]]
    suggestions: tuple[SuggestionTemplate, ...]
    overrides: tuple[str, ...]
    links: tuple[LinkTemplate, ...]


class Evidence(msgspec.Struct, frozen=True):
    """One source statement behind a rule, in our own words; ``statement`` is its id in the pack."""

    statement: str
    source: str
    section: str
    says: str
    strength: str
    contradicted_by: str
    beyond: bool


class UnknownPolicy(msgspec.Struct, frozen=True):
    """What a rule's unknown does: another rule speaks for it, or it is counted in silence."""

    defer: str = ""


class Change(msgspec.Struct, frozen=True):
    """One version of a rule: its date and what changed with it."""

    version: str
    date: str
    says: str


class Rule(msgspec.Struct, frozen=True):
    """One rule as its file says it, every sentence parsed, bound to one site."""

    id: str
    title: str
    version: str
    status: str
    owner: str
    reviewed: str
    audience: str
    hooks: tuple[str, ...]
    off_on: tuple[str, ...]
    default_on: bool
    tags: tuple[str, ...]
    per: tuple[str, ...]
    problem: str
    facts: tuple[FactClause, ...]
    lets: tuple[Formula, ...]
    when: tuple[Sentence, ...]
    unknown: UnknownPolicy
    remember: str
    card: CardTemplate
    evidence: tuple[Evidence, ...]
    false_positives: tuple[str, ...]
    place: Place
    history: tuple[Change, ...] = ()
    supersedes: tuple[str, ...] = ()
    effective: str = ""

    @property
    def group(self) -> str:
        return self.id.partition(".")[0]

    @property
    def remembered_by(self) -> tuple[str, ...]:
        """The facts that make a finding the same as one that was shown; () without a memory."""
        _, _, names = self.remember.partition(" by ")
        return tuple(re.split(", | and ", names)) if names else ()


class Parameter(msgspec.Struct, frozen=True):
    """A number of the pack, with the reason for it; ``unit`` is days, hours, a UCUM unit or "".

    ``follows`` names another number that this one keeps its proportion to, unless it is set itself;
    ``at_most`` one that it must not be above.
    """

    name: str
    value: Decimal
    unit: str
    low: Decimal
    high: Decimal
    basis: tuple[str, ...]
    means: str
    place: Place
    follows: str = ""
    at_most: str = ""


class EvidenceRow(msgspec.Struct, frozen=True):
    """One line of the table that says what a record counts as; the first that matches decides.

    ``conditions`` pairs an attribute of the record with the words it may have; ``concepts`` limits
    the row to records of those concepts. An exposure without a known end lasts ``open_for`` (from
    ``open_from``, else its start); after its end, ``then`` counts for ``then_for``. A possibility
    ``lasts`` from its start. Durations are names of parameters, "always" or "same-day".
    """

    conditions: tuple[tuple[str, frozenset[str]], ...]
    concepts: tuple[str, ...]
    counts_as: str
    because: str
    open_for: str
    open_from: str
    lasts: str
    then: str
    then_for: str
    then_because: str
    place: Place

    def is_about(self, resource: str) -> bool:
        """Whether the row's conditions leave room for a resource type."""
        return all(name != "resource" or resource in words for name, words in self.conditions)


class Profile(msgspec.Struct, frozen=True):
    """What a class of fact brings along: look-back, washout, flags. First match wins."""

    concepts: tuple[str, ...]
    condition: Sentence | None
    flags: frozenset[str]
    values: Mapping[str, str]
    place: Place


class Term(msgspec.Struct, frozen=True):
    """A clinical word: ``means`` decides; where ``unsure`` is yes the answer is unknown.

    ``answered`` words are about the call itself (its drafts): no source can leave them open.
    """

    name: str
    facts: tuple[FactClause, ...]
    means: Sentence
    unsure: Sentence | None
    because: str
    answered: bool = False

    @property
    def asks_only_of_drafts(self) -> bool:
        """Whether the word can be told without working out what a course counts as."""
        if self.facts or self.unsure is not None:
            return False
        return all(
            isinstance(test, Is) and test.value.text == "it.drafted"
            for test in nodes(self.means.test)
            if not isinstance(test, Not | And | Or | Path)
        )


class Label(msgspec.Struct, frozen=True):
    """A word chosen by the first sentence that is yes (a dose band, an expectation)."""

    name: str
    choices: tuple[tuple[str, Sentence], ...]


class KindDefinition(msgspec.Struct, frozen=True):
    """Everything the pack says about one kind of fact.

    ``kept_for`` is how many days after its last date an entry may still matter; 0: always.
    ``first_after`` names the number of days without a drug after which a dose of it is a first one.
    """

    kind: str
    evidence: tuple[EvidenceRow, ...] = ()
    caps: tuple[EvidenceRow, ...] = ()
    starts: Mapping[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    ends: Mapping[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    profiles: tuple[Profile, ...] = ()
    labels: Mapping[str, Label] = msgspec.field(default_factory=dict)
    terms: Mapping[str, Term] = msgspec.field(default_factory=dict)
    unseen: Sentence | None = None
    unseen_facts: tuple[FactClause, ...] = ()
    hindsight: Mapping[str, Mapping[str, str]] = msgspec.field(default_factory=dict)
    understood: frozenset[str] = frozenset()
    topics: tuple[str, ...] = ()
    aside: tuple[str, ...] = ()
    orders_of: tuple[str, ...] = ()
    order_categories: frozenset[str] = frozenset()
    kept_for: int = 0
    first_after: str = ""
    _by_resource: dict[str, tuple[EvidenceRow, ...]] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        # Worked out anew for a copy with other lines.
        msgspec.structs.force_setattr(self, "_by_resource", {})

    def evidence_for(self, resource: str) -> tuple[EvidenceRow, ...]:
        """The lines of the evidence table that can be about a resource type, in their order."""
        found = self._by_resource.get(resource)
        if found is None:
            found = tuple(row for row in self.evidence if row.is_about(resource))
            self._by_resource[resource] = found
        return found


class Replacement(msgspec.Struct, frozen=True):
    """A rule whose finding leaves out another rule's about the ``same`` facts: no card, no line."""

    rule: str
    replaced: str
    same: tuple[str, ...]
    place: Place = msgspec.field(default_factory=Place)


class ProblemOrder(msgspec.Struct, frozen=True):
    """Which of several findings about one thing becomes the card: ``by`` names what they share."""

    id: str
    by: str
    rules: tuple[str, ...]
    lines_only: tuple[str, ...]
    replaces: tuple[Replacement, ...] = ()


class Suppression(msgspec.Struct, frozen=True):
    """Findings that become lines of a severer card's detail, within one answer."""

    speaking: frozenset[str]
    of_groups: frozenset[str]
    silences: frozenset[str]
    silenced_groups: frozenset[str]


class Precedence(msgspec.Struct, frozen=True):
    """Which finding speaks: by problem the order of rules, and who silences whom."""

    problems: Mapping[str, ProblemOrder] = msgspec.field(default_factory=dict)
    suppressions: tuple[Suppression, ...] = ()


HEIRS: Mapping[str, tuple[str, ...]] = {
    "medication-prescribe": ("order-select", "order-sign"),
    "order-review": ("order-sign",),
}
"""The hooks that took the place of an older one (CDS Hooks 1.0), whose rules it is judged by.

Who prescribes by the oldest hook may fire no other before the order is signed, and sends it with
its dose: it gets what is said at selecting and what is said at signing.
"""


class Pack(msgspec.Struct, frozen=True):
    """What ``pack.yaml`` says of itself; ``date`` is that of its version.

    ``attributes`` names, by source attribute, the value sets whose entries are of that kind.
    """

    id: str
    title: str
    version: str
    source_label: str
    url: str
    canonical: str
    footer_for: str
    footer_unseen: str
    badge: str
    badge_tag: str
    census: tuple[tuple[str, FactClause], ...] = ()
    developer: str = ""
    funding: str = ""
    date: str = ""
    notice: str = ""
    attributes: Mapping[str, tuple[str, ...]] = msgspec.field(default_factory=dict)


class Rulebook(msgspec.Struct, frozen=True, eq=False):
    """A whole pack, bound to a site's configuration; ``digest`` names both.

    ``off`` names the rules that are left out: off at the site, or by default.
    """

    pack: Pack
    rules: tuple[Rule, ...]
    definitions: Mapping[str, KindDefinition]
    parameters: Mapping[str, Parameter]
    precedence: Precedence
    templates: Mapping[str, object]
    overrides: Mapping[str, str]
    sources: Mapping[str, Source]
    terminology: Terminology
    evidence_url: str
    digest: str
    off: tuple[str, ...] = ()

    def rule(self, rule_id: str) -> Rule | None:
        return next((rule for rule in self.rules if rule.id == rule_id), None)
