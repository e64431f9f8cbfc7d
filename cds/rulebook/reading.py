"""Small readers of YAML nodes that report what is wrong instead of raising."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from typing import TypeVar

from cds.rulebook.document import Node
from cds.rulebook.model import Sentence
from cds.rulebook.sentence import SentenceError, parse_test, parse_value
from cds.rulebook.syntax import Otherwise, Test, Value
from cds.values.problem import Place, Problem, Severity
from cds.values.quantity import read_unit

W = TypeVar("W", bound=str)
_AMOUNT = re.compile(r"^(\d+(?:\.\d+)?)(?:\s+(\S+))?$")
_NOWHERE = Node("", Place())


class Author:
    """Collects an author's errors while nodes are read; each method gives something usable back."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems

    def error(self, place: Place, what: str, accepted: str = "", kind: str = "rule") -> None:
        self.problems.append(Problem(place, what, accepted, kind))

    def advise(self, place: Place, what: str, accepted: str = "", kind: str = "advice") -> None:
        """Something that does not keep the pack from being used."""
        self.problems.append(Problem(place, what, accepted, kind, Severity.WARNING))

    def only(self, node: Node, allowed: Iterable[str], of: str) -> None:
        """Reports keys that mean nothing here."""
        known = sorted(allowed)
        for key, place in node.keys.items():
            if key not in known:
                self.error(place, f"'{key}' is no key of {of}", ", ".join(known), "key")

    def text(self, node: Node, key: str, *, required: bool = False) -> str:
        """The scalar under a key, whitespace folded; "" when absent (reported if required)."""
        found = node.get(key)
        if found is not None and not isinstance(found.value, str):
            self.error(found.place, f"'{key}' must be text", f"{key}: text", "shape")
            return ""
        if found is None or found.text == "":
            if required:
                self.error(node.place, f"'{key}' is missing", f"{key}: text", "missing")
            return ""
        return found.text

    def prose(self, node: Node, key: str) -> str:
        """Several lines of text, line breaks kept."""
        found = node.get(key)
        if found is not None and not isinstance(found.value, str):
            self.error(found.place, f"'{key}' must be text", f"{key}: text", "shape")
            return ""
        return found.value.strip() if found is not None and isinstance(found.value, str) else ""

    def words(self, node: Node, key: str, *, required: bool = False) -> tuple[str, ...]:
        """The words under a key; a single word counts as a list of one."""
        found = node.get(key)
        if found is None:
            if required:
                self.error(node.place, f"'{key}' is missing", f"{key}: [word, word]", "missing")
            return ()
        for item in found.items:
            if not isinstance(item.value, str):
                self.error(item.place, f"'{key}' must list words", f"{key}: [word, word]", "shape")
        return tuple(item.text for item in found.items if item.text)

    def entries(self, node: Node, key: str) -> list[tuple[str, Node]]:
        """The entries of a mapping under a key, in order; none when absent."""
        found = node.get(key)
        if found is None or found.value == "":
            return []
        if not isinstance(found.value, dict):
            self.error(found.place, f"'{key}' must be a mapping", f"{key}: {{name: …}}", "shape")
            return []
        return list(found.value.items())

    def choice(self, node: Node, key: str, allowed: tuple[W, ...], default: W) -> W:
        found = node.get(key)
        if found is None:
            return default
        for word in allowed:
            if word == found.text:
                return word
        self.error(found.place, f"'{found.text}' is no {key}", ", ".join(allowed), "value")
        return default

    def sentence(self, node: Node | None) -> Sentence:
        """The test in a node; an unreadable one is reported and replaced by `otherwise`."""
        if node is None or not node.text:
            where = node.place if node is not None else Place()
            self.error(
                where, "a test is missing", "a sentence such as 'order.dose is known'", "sentence"
            )
            return Sentence("otherwise", Otherwise(), where)
        try:
            test: Test = parse_test(node.text)
        except SentenceError as error:
            self._sentence_error(node, error)
            test = Otherwise()
        return Sentence(node.text, test, node.place)

    def formula(self, node: Node) -> Value | None:
        try:
            return parse_value(node.text)
        except SentenceError as error:
            self._sentence_error(node, error)
            return None

    def _sentence_error(self, node: Node, error: SentenceError) -> None:
        what = f"in '{node.text}': {error.what}"
        self.error(node.place.right(error.column), what, error.accepted, "sentence")

    def amount(self, node: Node | None, of: str) -> tuple[Decimal, str]:
        """A number and its unit (days, hours, a UCUM unit or "")."""
        if node is None:
            return Decimal(0), ""
        match = _AMOUNT.match(node.text)
        if match is not None:
            unit = read_author_unit(match[2] or "")
            if unit is not None:
                try:
                    return Decimal(match[1]), unit
                except InvalidOperation:
                    pass
        self.error(
            node.place, f"'{node.text}' is no {of}", "a number with a unit, such as 3 days", "value"
        )
        return Decimal(0), ""


def read_author_unit(word: str) -> str | None:
    """days, hours, "" or a canonical UCUM unit; None when the word is no unit."""
    if word in ("", "days", "hours"):
        return word
    if word in ("day", "hour"):
        return word + "s"
    return read_unit(word) or (word if "/" in word else None)


def first(node: Node | None) -> Node:
    """The node, or an empty one without a place where there is none."""
    return node if node is not None else _NOWHERE
