"""Reads `definitions/<kind>.yaml`: what entries count as, and what clinical words mean."""

from __future__ import annotations

from cds.rulebook.document import Node
from cds.rulebook.model import (
    KINDS,
    EvidenceRow,
    FactClause,
    KindDefinition,
    Label,
    Parameter,
    Profile,
    Sentence,
    Term,
)
from cds.rulebook.reading import Author, first

# In the order in which they stand in a file.
DEFINITION_KEYS = (
    "kind", "parameters", "starts", "ends", "first-after", "evidence", "caps", "hindsight",
    "kept-for", "profiles", "understood", "aside", "topics", "orders-of", "order-categories",
    "labels", "terms", "unseen-facts", "unseen",
)  # fmt: skip
PARAMETER_KEYS = ("value", "allowed", "follows", "at-most", "basis", "means")
ROW_KEYS = (
    "if", "for", "counts-as", "becomes", "lasts", "lingers", "because", "open-for", "open-from",
    "then",
)  # fmt: skip
_COUNTS_AS = (
    "exposure", "possibility", "hint", "denial", "draft", "nothing", "planned", "possible", "done",
)  # fmt: skip
PROFILE_KEYS = (
    "for", "if", "covers", "wear", "alone-for", "look-back", "washout", "pause",
    "usual-route", "flags",
)  # fmt: skip
_NO_VALUES = frozenset({"for", "if", "flags"})


def read_definition(node: Node, author: Author) -> KindDefinition:
    """What one file says of its kind."""
    author.only(node, DEFINITION_KEYS, "a definition")
    kind = author.choice(node, "kind", KINDS, KINDS[0])
    return KindDefinition(
        kind=kind,
        evidence=tuple(_row(item, author) for item in first(node.get("evidence")).items),
        caps=tuple(_row(item, author) for item in first(node.get("caps")).items),
        starts=_by_resource(node, "starts"),
        ends=_by_resource(node, "ends"),
        profiles=tuple(_profile(item, author) for item in first(node.get("profiles")).items),
        labels={name: _label(name, item, author) for name, item in _entries(node, "labels")},
        terms={name: _term(name, item, author) for name, item in _entries(node, "terms")},
        unseen=author.sentence(node.get("unseen")) if node.get("unseen") else None,
        unseen_facts=tuple(
            read_fact(key, item, author) for key, item in _entries(node, "unseen-facts")
        ),
        hindsight={
            name: {status: word.text for status, word in item.mapping.items()}
            for name, item in _entries(node, "hindsight")
        },
        understood=frozenset(author.words(node, "understood")),
        topics=author.words(node, "topics"),
        aside=author.words(node, "aside"),
        orders_of=author.words(node, "orders-of"),
        order_categories=frozenset(author.words(node, "order-categories")),
        kept_for=_kept_for(node, kind, author),
        first_after=_first_after(node, kind, author),
    )


def _kept_for(node: Node, kind: str, author: Author) -> int:
    """For how many days an entry matters at most; no number of the kind may look back further."""
    if node.get("kept-for") is None:
        return 0
    place = first(node.get("kept-for")).place
    value, unit = author.amount(node.get("kept-for"), "kept-for")
    if kind != "procedure" or unit != "days" or value <= 0:
        author.error(place, "only operations are kept for a number of days", "730 days", "value")
        return 0
    for name, parameter in read_parameters(node, author).items():
        if parameter.unit == "days" and parameter.high > value:
            what = f"'{name}' may look further ({parameter.high} days) than entries are kept"
            author.error(place, what, f"at least {parameter.high} days", "value")
    return int(value)


def _first_after(node: Node, kind: str, author: Author) -> str:
    """The number of days without a drug after which a dose of it is a first one; "" for never."""
    word = author.text(node, "first-after")
    if not word:
        return ""
    days = {name for name, item in read_parameters(node, author).items() if item.unit == "days"}
    if kind != "dose-step" or word not in days:
        what = f"'{word}' is no number of days that makes a dose a first one"
        known = ", ".join(sorted(days)) or "a parameter in days of this file"
        author.error(first(node.get("first-after")).place, what, known, "name")
    return word


def read_parameters(node: Node, author: Author) -> dict[str, Parameter]:
    """The numbers of a definition file, each with its range and its reason."""
    return {name: _parameter(name, item, author) for name, item in _entries(node, "parameters")}


def _parameter(name: str, node: Node, author: Author) -> Parameter:
    author.only(node, PARAMETER_KEYS, f"the parameter '{name}'")
    value, unit = author.amount(node.get("value"), "value")
    low, high = value, value
    allowed = author.text(node, "allowed", required=True)
    ends = [part.strip() for part in allowed.split(" to ")]
    if len(ends) == 2:
        place = first(node.get("allowed")).place
        low, _ = author.amount(Node(ends[0], place), "lower end")
        high, _ = author.amount(Node(ends[1], place), "upper end")
    elif allowed:
        author.error(
            first(node.get("allowed")).place,
            f"'{allowed}' is no range",
            "2 days to 4 days",
            "value",
        )
    if not low <= value <= high:
        author.error(node.place, f"'{name}' is outside what it allows itself", allowed, "value")
    basis = author.words(node, "basis", required=True)
    means = author.text(node, "means", required=True)
    follows, at_most = author.text(node, "follows"), author.text(node, "at-most")
    return Parameter(name, value, unit, low, high, basis, means, node.place, follows, at_most)


def _entries(node: Node, key: str) -> list[tuple[str, Node]]:
    return list(first(node.get(key)).mapping.items())


def _by_resource(node: Node, key: str) -> dict[str, tuple[str, ...]]:
    return {name: tuple(part.text for part in item.items) for name, item in _entries(node, key)}


def _row(node: Node, author: Author) -> EvidenceRow:
    author.only(node, ROW_KEYS, "a line of evidence")
    conditions = tuple(
        (name, frozenset(part.text for part in item.items)) for name, item in _entries(node, "if")
    )
    then, then_for, then_because = _then(first(node.get("then")), author)
    counts_as = author.text(node, "counts-as") or author.text(node, "becomes")
    if counts_as not in _COUNTS_AS:
        author.error(
            node.place, f"an entry cannot count as '{counts_as}'", ", ".join(_COUNTS_AS), "value"
        )
    return EvidenceRow(
        conditions=conditions,
        concepts=author.words(node, "for"),
        counts_as=counts_as,
        because=author.text(node, "because"),
        open_for=author.text(node, "open-for"),
        open_from=author.text(node, "open-from"),
        lasts=author.text(node, "lasts") or author.text(node, "lingers"),
        then=then,
        then_for=then_for,
        then_because=then_because,
        place=node.place,
    )


def _then(node: Node, author: Author) -> tuple[str, str, str]:
    author.only(node, ("possibility", "hint", "because"), "what comes after")
    for label in ("possibility", "hint"):
        found = node.get(label)
        if found is not None:
            return label, found.text, first(node.get("because")).text
    return "", "", ""


def _profile(node: Node, author: Author) -> Profile:
    author.only(node, PROFILE_KEYS, "a profile")
    condition = node.get("if")
    return Profile(
        concepts=author.words(node, "for", required=True),
        condition=author.sentence(condition) if condition is not None else None,
        flags=frozenset(author.words(node, "flags")),
        values={key: item.text for key, item in node.mapping.items() if key not in _NO_VALUES},
        place=node.place,
    )


def _label(name: str, node: Node, author: Author) -> Label:
    choices = []
    for item in node.items:
        for word, sentence in item.mapping.items():
            choices.append((word, author.sentence(sentence)))
    if not choices:
        author.error(
            node.place, f"the label '{name}' has no choices", "- {word: sentence}", "missing"
        )
    return Label(name, tuple(choices))


def _term(name: str, node: Node, author: Author) -> Term:
    author.only(
        node, ("means", "unsure-when", "because", "facts", "answered"), f"the term '{name}'"
    )
    unsure = node.get("unsure-when")
    return Term(
        name=name,
        facts=tuple(read_fact(key, item, author) for key, item in _entries(node, "facts")),
        means=author.sentence(node.get("means") or Node("", node.place)),
        unsure=author.sentence(unsure) if unsure is not None else None,
        because=author.text(node, "because"),
        answered=author.text(node, "answered") == "always",
    )


def read_fact(name: str, node: Node, author: Author) -> FactClause:
    """One fact: which kind, of which concepts, in which state."""
    author.only(node, (*KINDS, "not", "is", "and", "where"), f"the fact '{name}'")
    kinds = [kind for kind in KINDS if node.get(kind) is not None]
    if len(kinds) != 1:
        author.error(node.place, f"the fact '{name}' needs one kind", " or ".join(KINDS), "missing")
    kind = kinds[0] if kinds else KINDS[0]
    where: tuple[Sentence, ...] = tuple(
        author.sentence(item) for item in first(node.get("where")).items
    )
    return FactClause(
        name=name,
        kind=kind,
        concepts=author.words(node, kind) if kinds else (),
        excluded=author.words(node, "not"),
        terms=author.words(node, "is"),
        also=author.words(node, "and"),
        where=where,
        place=node.place,
    )
