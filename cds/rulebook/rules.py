"""Reads `rules/<theme>/<rule>.yaml`: one rule, with every author error at once."""

from __future__ import annotations

import re

from cds.rulebook.definitions import read_fact
from cds.rulebook.document import Node
from cds.rulebook.model import (
    INDICATORS,
    CardTemplate,
    Change,
    Evidence,
    Formula,
    Indicator,
    Level,
    LinkTemplate,
    Rule,
    Sentence,
    SuggestionTemplate,
    UnknownPolicy,
)
from cds.rulebook.reading import Author, first
from cds.rulebook.syntax import Otherwise

RULE_KEYS = (
    "id", "title", "version", "status", "owner", "reviewed", "audience", "hooks", "off-on",
    "default", "tags", "per", "problem", "facts", "let", "when", "unknown", "remember", "card",
    "evidence", "false-positives", "history", "supersedes", "effective",
)  # fmt: skip
# In the order in which they stand in a file.
CARD_KEYS = (
    "indicator", "levels", "wordings", "summary", "lists", "why", "uncertain", "options", "suggest",
    "overrides", "links",
)  # fmt: skip
HISTORY_KEYS = ("version", "date", "says")
EVIDENCE_KEYS = ("statement", "source", "section", "says", "strength", "contradicted-by", "beyond")
HOOKS = (
    "patient-view", "order-select", "order-sign", "order-dispatch", "encounter-start",
    "encounter-discharge", "appointment-book", "medication-refill", "medication-prescribe",
    "order-review", "audit",
)  # fmt: skip
STATUSES = ("active", "draft", "retired")
REMEMBER = re.compile(r"[1-9]\d* days by [a-z][\w-]*(?:(?:, | and )[a-z][\w-]*)*")
RULE_ID = re.compile(r"^[a-z][a-z0-9-]*\.[a-z][a-z0-9-]*$")


def read_rule(node: Node, author: Author) -> Rule:
    """The rule; whatever is wrong is reported to ``author`` and replaced by something harmless."""
    author.only(node, RULE_KEYS, "a rule")
    rule_id = author.text(node, "id", required=True)
    memory = author.text(node, "remember")
    if memory and not REMEMBER.fullmatch(memory):
        author.error(
            first(node.get("remember")).place,
            f"'{memory}' is no memory",
            "30 days by NAME and NAME",
            "value",
        )
    if rule_id and not RULE_ID.match(rule_id):
        author.error(
            first(node.get("id")).place,
            f"'{rule_id}' is no rule id",
            "group.name, lower case",
            "value",
        )
    for hook in first(node.get("hooks")).items:
        if hook.text not in HOOKS:
            author.error(hook.place, f"'{hook.text}' is no hook", ", ".join(HOOKS), "value")
    return Rule(
        id=rule_id,
        title=author.text(node, "title", required=True),
        version=author.text(node, "version", required=True),
        status=author.choice(node, "status", STATUSES, "active"),
        owner=author.text(node, "owner", required=True),
        reviewed=author.text(node, "reviewed", required=True),
        audience=author.text(node, "audience", required=True),
        hooks=author.words(node, "hooks", required=True),
        off_on=author.words(node, "off-on"),
        default_on=author.choice(node, "default", ("on", "off"), "on") == "on",
        tags=author.words(node, "tags"),
        per=author.words(node, "per", required=True),
        problem=author.text(node, "problem", required=True),
        facts=tuple(read_fact(name, item, author) for name, item in author.entries(node, "facts")),
        lets=_lets(node, author),
        when=_when(node, author),
        unknown=_unknown(node, author),
        remember=memory,
        card=_card(node, author),
        evidence=tuple(read_evidence(item, author) for item in first(node.get("evidence")).items),
        false_positives=author.words(node, "false-positives"),
        place=node.place,
        history=tuple(_change(item, author) for item in first(node.get("history")).items),
        supersedes=author.words(node, "supersedes"),
        effective=author.text(node, "effective"),
    )


def _change(node: Node, author: Author) -> Change:
    author.only(node, HISTORY_KEYS, "a change")
    return Change(*(author.text(node, key, required=True) for key in HISTORY_KEYS))


def _lets(node: Node, author: Author) -> tuple[Formula, ...]:
    found = []
    for name, item in author.entries(node, "let"):
        value = author.formula(item)
        if value is not None:
            found.append(Formula(name, item.text, value, item.place))
    return tuple(found)


def _when(node: Node, author: Author) -> tuple[Sentence, ...]:
    when = node.get("when")
    if when is None:
        author.error(node.place, "'when' is missing", "when: [test, test]", "missing")
        return ()
    return tuple(author.sentence(item) for item in when.items)


def _unknown(node: Node, author: Author) -> UnknownPolicy:
    policy = node.get("unknown")
    if policy is None:
        author.error(
            node.place, "'unknown' is missing", "{defer: RULE} or {count: true}", "missing"
        )
        return UnknownPolicy()
    author.only(policy, ("defer", "count"), "unknown")
    if policy.get("defer") is None and first(policy.get("count")).text != "true":
        author.error(
            policy.place,
            "what an unknown does is not said",
            "{defer: RULE} or {count: true}",
            "value",
        )
    return UnknownPolicy(author.text(policy, "defer"))


def _card(node: Node, author: Author) -> CardTemplate:
    card = node.get("card")
    if card is None:
        author.error(node.place, "'card' is missing", "card: {summary: …}", "missing")
        card = Node({}, node.place)
    author.only(card, CARD_KEYS, "a card")
    return CardTemplate(
        levels=_levels(card, author),
        summary=author.text(card, "summary", required=True),
        why=author.prose(card, "why"),
        uncertain=author.prose(card, "uncertain"),
        options=author.prose(card, "options"),
        lists=author.words(card, "lists"),
        wordings=_wordings(card, author),
        suggestions=tuple(_suggestion(item, author) for item in first(card.get("suggest")).items),
        overrides=author.words(card, "overrides"),
        links=tuple(
            LinkTemplate(
                author.text(item, "label", required=True), author.text(item, "page", required=True)
            )
            for item in first(card.get("links")).items
        ),
    )


def _levels(card: Node, author: Author) -> tuple[Level, ...]:
    indicator = author.choice(card, "indicator", INDICATORS, "info")
    levels = card.get("levels")
    if levels is None:
        if card.get("indicator") is None:
            author.error(
                card.place, "'indicator' or 'levels' is missing", ", ".join(INDICATORS), "missing"
            )
        return (Level(indicator, Sentence("otherwise", Otherwise(), card.place)),)
    known: dict[str, Indicator] = {word: word for word in INDICATORS}
    found = []
    for item in levels.items:
        for word, sentence in item.mapping.items():
            if word not in known:
                author.error(
                    item.place, f"'{word}' is no indicator", ", ".join(INDICATORS), "value"
                )
                continue
            found.append(Level(known[word], author.sentence(sentence)))
    if not found or not isinstance(found[-1].sentence.test, Otherwise):
        author.error(
            levels.place, "the last level must hold for the rest", "- {info: otherwise}", "value"
        )
    return tuple(found)


def _wordings(card: Node, author: Author) -> dict[str, tuple[tuple[str, Sentence], ...]]:
    """Words of the card that depend on the facts: ``name: [{words: test}, {words: otherwise}]``."""
    found = {}
    for name, node in first(card.get("wordings")).mapping.items():
        choices = [
            (words, author.sentence(sentence))
            for item in node.items
            for words, sentence in item.mapping.items()
        ]
        if not choices or not isinstance(choices[-1][1].test, Otherwise):
            author.error(
                node.place, f"'{name}' needs words for the rest", "- {words: otherwise}", "value"
            )
        found[name] = tuple(choices)
    return found


_ACTIONS = ("create", "update", "delete")
SUGGESTION_KEYS = (*_ACTIONS, "set", "if", "label", "recommended")


def _suggestion(node: Node, author: Author) -> SuggestionTemplate:
    author.only(node, SUGGESTION_KEYS, "a suggestion")
    actions = [action for action in _ACTIONS if node.get(action) is not None]
    if len(actions) != 1:
        author.error(
            node.place, "a suggestion does one thing", "create, update or delete", "missing"
        )
    action = actions[0] if actions else "delete"
    condition = node.get("if")
    return SuggestionTemplate(
        action=action,  # type: ignore[arg-type]
        target=author.text(node, action),
        label=author.text(node, "label", required=True),
        set={key: item.text for key, item in first(node.get("set")).mapping.items()},
        condition=author.sentence(condition) if condition is not None else None,
        recommended=author.text(node, "recommended") == "true",
        place=node.place,
    )


def read_evidence(node: Node, author: Author) -> Evidence:
    """One source statement behind a rule or on a page; errors go to ``author``."""
    author.only(node, EVIDENCE_KEYS, "an evidence entry")
    return Evidence(
        statement=author.text(node, "statement", required=True),
        source=author.text(node, "source", required=True),
        section=author.text(node, "section"),
        says=author.text(node, "says", required=True),
        strength=author.text(node, "strength", required=True),
        contradicted_by=author.text(node, "contradicted-by"),
        beyond=author.text(node, "beyond") == "true",
    )
