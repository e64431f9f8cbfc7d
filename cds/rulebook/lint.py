"""What `cds lint` asks of a pack beyond what keeps it from being loaded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec.structs import replace

from cds.rulebook.document import Node
from cds.rulebook.knowledge import check_knowledge, read_knowledge
from cds.rulebook.model import INDICATORS, Rule, Rulebook
from cds.rulebook.pack import TABLES, PackFiles, read_pack, without_tables
from cds.rulebook.reading import Author, first
from cds.rulebook.site import Site
from cds.rulebook.surfaces import check_surfaces
from cds.rulebook.unused import check_unused
from cds.rulebook.valuesets import check_valuesets
from cds.values.problem import Place, Problem

TODO = "TODO"


def lint_rules(root: Path, site: Site, problems: list[Problem]) -> Rulebook | None:
    """The pack with all of its rules, those that are off included; None if it cannot be read.

    ``problems`` receives errors and advice.
    """
    rulebook = read_pack(root, site, problems, switched_off=True)
    if rulebook is None:
        return None
    author = Author(problems)
    files = PackFiles(root, [])  # what cannot be read was told above
    valuesets = files.folder("valuesets")
    tables = {name: node for name, node in valuesets.items() if name in TABLES}
    sets = without_tables(valuesets)
    check_valuesets(sets, tables, author)
    check_unused(rulebook, first(files.one("pack.yaml")), sets, author)
    by_file = {rule.place.file: rule for rule in rulebook.rules}
    for node in files.rules():
        rule = by_file.get(node.place.file)
        if rule is not None:
            _check_rights(rule, node, author)
            check_written(node, author, is_draft=rule.status == "draft")
    # A draft may still name statements that nobody has looked up.
    judging = tuple(rule for rule in rulebook.rules if rule.status != "draft")
    judged, knowledge = replace(rulebook, rules=judging), read_knowledge(root, author)
    check_knowledge(knowledge, judged, author)
    check_surfaces(judged, knowledge, author)
    _check_precedence(first(files.one("precedence.yaml")), rulebook, author)
    return rulebook


def _check_rights(rule: Rule, node: Node, author: Author) -> None:
    """Right information, person, format, channel, moment: a rule says what is to be done, and when.

    That there is an audience is asked when it is loaded.
    """
    if not rule.hooks:
        author.error(
            first(node.get("hooks")).place,
            "the rule speaks at no moment",
            "hooks: [order-sign, …]",
            "rights",
        )
    if not rule.card.options and not rule.card.suggestions:
        author.error(
            first(node.get("card")).place,
            "the card says nothing that can be done",
            "options: what to consider, or suggest: [{…}]",
            "rights",
        )


def check_written(node: Node, author: Author, *, is_draft: bool) -> None:
    """Tells of every text that begins with TODO: advice in a draft, an error in what judges."""
    for below in node.walk():
        if isinstance(below.value, str) and below.text.startswith(TODO):
            what = f"still to be written: {below.text.removeprefix(TODO).strip(' :')}"
            if is_draft:
                author.advise(below.place, what, "a text of your own", "todo")
            else:
                accepted = "a text of your own, or status: draft"
                author.error(below.place, what, accepted, "todo")


def _check_precedence(node: Node, rulebook: Rulebook, author: Author) -> None:
    rules: Mapping[str, Rule] = {rule.id: rule for rule in rulebook.rules}
    for name, order in first(node.get("problems")).mapping.items():
        listed = first(order.get("order")).items
        for item in listed:
            rule = rules.get(item.text)
            if rule is None:
                what = f"'{item.text}' is no rule of the pack"
                author.advise(item.place, what, "", "name")
            elif rule.problem != name:
                what = f"'{item.text}' is about the problem '{rule.problem}'"
                author.error(item.place, what, f"problem: {name} in the rule", "name")
        _check_listed(listed, "order", author)
        known = {item.text for item in listed}
        for item in first(order.get("lines-only")).items:
            if item.text not in known:
                author.error(item.place, f"'{item.text}' is not in the order", "", "name")
    groups = {rule.group for rule in rulebook.rules} | {
        item.text.partition(".")[0]
        for order in first(node.get("problems")).mapping.values()
        for item in first(order.get("order")).items
    }
    for item in first(node.get("suppressions")).items:
        _check_words(item, ("speaking", "silences"), frozenset(INDICATORS), author)
        _check_words(item, ("of-groups", "in-groups"), frozenset(groups), author)


def _check_listed(items: list[Node], of: str, author: Author) -> None:
    seen: dict[str, Place] = {}
    for item in items:
        if seen.setdefault(item.text, item.place) is not item.place:
            author.error(item.place, f"'{item.text}' stands twice in the {of}", "", "duplicate")


def _check_words(node: Node, keys: tuple[str, ...], known: frozenset[str], author: Author) -> None:
    for key in keys:
        for item in first(node.get(key)).items:
            if item.text not in known:
                accepted = ", ".join(sorted(known))
                author.error(item.place, f"'{item.text}' is no word of '{key}'", accepted, "value")
