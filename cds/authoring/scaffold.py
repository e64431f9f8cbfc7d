"""`cds new`: a rule with its scenarios in the right places, or a pack to begin with.

What is written is a draft: it is checked and judges nobody until its author says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path

import msgspec

from cds.authoring.canonical import render_source
from cds.authoring.formatter import format_text
from cds.authoring.scalar import is_plain, quoted
from cds.authoring.source import Entry, Group, Scalar, SourceError, read_source
from cds.rulebook.document import parse_document
from cds.rulebook.lint import TODO
from cds.rulebook.model import FactClause, Rule, Rulebook
from cds.rulebook.pack import RESERVED, read_pack
from cds.rulebook.rules import RULE_ID
from cds.rulebook.site import Site
from cds.values.problem import Problem

_STARTER = Path(__file__).parent / "starter"
_PRECEDENCE = "precedence.yaml"
_PACK_ID = re.compile(r"[a-z][a-z0-9-]*")


class ScaffoldError(Exception):
    """Why nothing was written, and what would be accepted."""


class Scaffold(msgspec.Struct, frozen=True):
    """What was written and changed, and what is left to do; paths as the author gave them."""

    written: list[Path] = msgspec.field(default_factory=list)
    changed: list[Path] = msgspec.field(default_factory=list)
    steps: list[str] = msgspec.field(default_factory=list)


def new_pack(folder: Path, today: date) -> Scaffold:
    """A small pack that lints and tests clean, in a folder that is new or empty.

    Raises ScaffoldError.
    """
    name = re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-")
    if not _PACK_ID.fullmatch(name):
        raise ScaffoldError(f"'{folder.name}' names no pack; accepted: a folder named in letters")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ScaffoldError(f"{folder} is not empty; accepted: a new or an empty folder")
    found = Scaffold()
    for path in sorted(_STARTER.rglob("*.yaml")):
        text = path.read_text("utf-8")
        text = text.replace("PACK-ID", name).replace("PACK-DATE", today.isoformat())
        _write(folder / path.relative_to(_STARTER), text, found)
    found.steps.append(f"Say in {folder / 'pack.yaml'} what the pack calls itself.")
    found.steps.append(f"Check and try it: cds lint {folder}, cds test {folder}, or pytest there.")
    found.steps.append(f"Write a rule of your own: cds new GROUP.NAME --rules {folder}")
    return found


def new_rule(root: Path, rule_id: str, problem: str, today: date) -> Scaffold:
    """A draft of a rule with its scenarios, and its place in the order of its problem.

    ``problem`` "" is a new one with the rule's own name, unless the order has the rule already.
    Raises ScaffoldError.
    """
    group, _, name = rule_id.partition(".")
    if not RULE_ID.match(rule_id) or group in RESERVED:
        accepted = "group.name, lower case, such as opening-hours.holiday"
        raise ScaffoldError(f"'{rule_id}' is no rule id; accepted: {accepted}")
    problems: list[Problem] = []
    rulebook = read_pack(root, Site(), problems, switched_off=True)
    if rulebook is None:
        raise ScaffoldError("\n".join(problem.render() for problem in sorted(set(problems))))
    _refuse_existing(root, rule_id, rulebook)
    path = root / group / f"{name}.yaml"
    scenarios = root / group / f"{name}.scenarios.yaml"
    for each in (path, scenarios):
        if each.exists():
            raise ScaffoldError(f"{each} is there already; accepted: an id that has no file")
    orders = rulebook.precedence.problems
    listed = next((order.id for order in orders.values() if rule_id in order.rules), "")
    chosen = problem or listed or name
    if listed and chosen != listed:
        raise ScaffoldError(
            f"'{rule_id}' stands in the order of '{listed}'; accepted: that problem"
        )
    model = _model(rulebook, group, orders[chosen].by if chosen in orders else "")
    found = Scaffold()
    _write(path, _rule_text(rule_id, chosen, model, rulebook, today), found)
    _write(scenarios, _scenario_text(rule_id), found)
    if not listed:
        _place(root / _PRECEDENCE, rule_id, chosen, model.fact.name, found)
    found.steps.append(f"Write what stands as {TODO} in {path}; cds lint {root} lists each place.")
    found.steps.append(f"Describe records in {scenarios}; run cds test {path}")
    found.steps.append("Take out 'status: draft': until then the rule judges nobody.")
    return found


def _refuse_existing(root: Path, rule_id: str, rulebook: Rulebook) -> None:
    known = rulebook.rule(rule_id)
    if known is not None:
        where = root / known.place.file
        raise ScaffoldError(f"'{rule_id}' stands in {where} already; accepted: an id of its own")


# -- the rule -------------------------------------------------------------------------------------


class _Model(msgspec.Struct, frozen=True):
    """What a new rule takes over from one beside it: its first fact, and when it speaks."""

    fact: FactClause
    hooks: tuple[str, ...]


def _model(rulebook: Rulebook, group: str, by: str) -> _Model:
    """The first fact of a rule of the same group, else of any; a person in a pack without rules.

    With ``by`` it is a fact of that name, since the problem has one card for each.
    """
    near = sorted(rulebook.rules, key=lambda rule: (rule.group != group, rule.id))
    for rule in near:
        fact = _fact(rule, by)
        if fact is not None:
            return _Model(fact, rule.hooks)
    return _Model(FactClause(by or "person", "patient", ("any",)), ("patient-view", "audit"))


def _fact(rule: Rule, by: str) -> FactClause | None:
    name = by or next(iter(rule.per), "")
    if name not in rule.per:
        return None
    fact = next((fact for fact in rule.facts if fact.name == name), None)
    return None if fact is None or fact.where else fact


def _rule_text(rule_id: str, problem: str, model: _Model, rulebook: Rulebook, today: date) -> str:
    fact = model.fact
    source = next(iter(rulebook.sources), "")
    lines = [
        f"id: {rule_id}",
        f"title: {TODO} what the rule is about, in one line",
        "version: 0.1.0",
        "status: draft",
        f"owner: {TODO} who answers for it",
        f"reviewed: {today.isoformat()}",
        f"audience: {TODO} who should read its card",
        f"hooks: [{', '.join(model.hooks)}]",
        f"per: [{fact.name}]",
        f"problem: {problem}",
        "",
        "facts:",
        f"  {fact.name}: {_clause(fact)}",
        "when:",
        f"  - {fact.name}",
        "unknown: {count: true}",
        "",
        "card:",
        "  indicator: info",
        f"  summary: {TODO} what was found, below 140 letters",
        f"  lists: [{fact.name}]",
        f"  why: {TODO} why it matters",
        f"  uncertain: {TODO} what is not known",
        f"  options: {TODO} what can be considered",
        "",
        "evidence:",
        f"  - statement: {TODO} its id",
        f"    source: {source or TODO}",
        f"    says: {TODO} what it says, in your own words",
        f"    strength: {TODO} how strong it is",
    ]
    return "\n".join(lines) + "\n"


def _clause(fact: FactClause) -> str:
    parts = {fact.kind: fact.concepts, "not": fact.excluded, "is": fact.terms, "and": fact.also}
    told = [f"{key}: {_words(words)}" for key, words in parts.items() if words]
    return "{" + ", ".join(told) + "}"


def _words(words: tuple[str, ...]) -> str:
    told = [word if is_plain(word, flow=True) else quoted(word) for word in words]
    return told[0] if len(told) == 1 else f"[{', '.join(told)}]"


def _scenario_text(rule_id: str) -> str:
    return (
        f"rule: {rule_id}\n"
        "scenarios:\n"
        "  - {name: nothing on record, expect: none}\n"
        "  # It fires; it stays silent; each boundary from both sides; each unknown.\n"
        "  # Names are those of fixtures.yaml. Once the rule is no draft any more:\n"
        "  # - name: fires\n"
        "  #   given: [a fixture, another fixture: {on: 2026-06-12}]\n"
        f"  #   expect: [{rule_id}: info]\n"
    )


# -- its place ------------------------------------------------------------------------------------


def _place(path: Path, rule_id: str, problem: str, by: str, found: Scaffold) -> None:
    """Adds the rule to its problem's order, comments kept; else says where it must be added."""
    text = path.read_text("utf-8")
    try:
        after = _with_rule(text, rule_id, problem, by)
    except SourceError:
        after = ""
    if after:
        path.write_text(after, "utf-8")
        found.changed.append(path)
    else:
        order = f"problems: {{{problem}: {{by: {by}, order: [{rule_id}]}}}}"
        found.steps.append(f"Add the rule to {path}: {order}")


def _with_rule(text: str, rule_id: str, problem: str, by: str) -> str:
    """The text of precedence.yaml with the rule in it; "" where it cannot be added by itself."""
    source = read_source(text)
    if not isinstance(source.root, Group):
        return ""
    problems = _below(source.root, "problems")
    if problems is None:
        return ""
    known = _below(problems, problem)
    if known is None:
        order = Group(is_mapping=False, flow=True, entries=[_item(rule_id)])
        own = [_pair("by", Scalar(by)), _pair("order", order)]
        problems.flow = False
        problems.entries.append(_pair(problem, Group(is_mapping=True, flow=False, entries=own)))
    else:
        listed = _below(known, "order")
        if listed is None:
            return ""
        listed.entries.append(_item(rule_id, listed.entries[-1].line if listed.entries else 0))
    after = render_source(source)
    return after if _adds_only(text, after, rule_id, problem) else ""


def _below(group: Group, key: str) -> Group | None:
    for entry in group.entries:
        if entry.key is not None and entry.key.text == key:
            return entry.value if isinstance(entry.value, Group) else None
    return None


def _pair(key: str, value: Scalar | Group) -> Entry:
    return Entry(Scalar(key), value, 0)


def _item(word: str, line: int = 0) -> Entry:
    return Entry(None, Scalar(word), line)


def _adds_only(before: str, after: str, rule_id: str, problem: str) -> bool:
    """Whether the new text reads as the old one with one more rule in the problem's order."""
    old, new = _problems(before), _problems(after)
    added = new.pop(problem, [])
    rest = old.pop(problem, [])
    return new == old and added == [*rest, rule_id]


def _problems(text: str) -> dict[str, list[str]]:
    node = parse_document(text, _PRECEDENCE, [])
    problems = node.get("problems") if node is not None else None
    named = problems.mapping if problems is not None else {}
    return {name: list(_order(item.get("order"))) for name, item in named.items()}


def _order(node: object) -> Iterator[str]:
    items = getattr(node, "items", [])
    if not isinstance(items, Mapping):
        yield from (item.text for item in items)


def _write(path: Path, text: str, found: Scaffold) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(format_text(text, path.name).after, "utf-8")
    found.written.append(path)
