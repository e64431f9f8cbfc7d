"""A mutant: one small change to a rule, a definition, a value set or the order of findings."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from cds.authoring.mutation.edit import Edit, Page, Steps
from cds.engine.observation import Part
from cds.rulebook.document import Node
from cds.values.problem import Place

DROPPED = "(dropped)"


class Mutant(msgspec.Struct, frozen=True):
    """The change, where it stands, and what of the rulebook a scenario must use to notice it.

    ``owner`` is a rule's id, or what else it is in: ``definitions/medication``, ``precedence``;
    ``clause`` the words that it changes something in. ``rule`` is "" where it is in no rule.
    ``parts`` and ``findings`` limit the scenarios: to those that used one of the parts, and those
    with findings of all of these rules; empty: no limit.
    """

    owner: str
    clause: str
    before: str
    after: str
    place: Place
    edit: Edit
    rule: str = ""
    parts: frozenset[Part] = frozenset()
    findings: tuple[str, ...] = ()

    @property
    def change(self) -> str:
        """``at most 5 mg -> less than 5 mg``"""
        return f"{self.before} -> {self.after}"

    @property
    def key(self) -> tuple[str, str, str]:
        """What names it in the file of arguments."""
        return self.owner, self.clause, self.change

    @property
    def order(self) -> tuple[object, ...]:
        """Sorted by place, then by what is changed."""
        return self.place, self.clause, self.change


class Maker(msgspec.Struct, frozen=True):
    """Makes mutants of one page for one owner."""

    page: Page
    owner: str
    rule: str = ""

    def dropped(
        self, clause: str, steps: Steps, node: Node, parts: Iterable[Part] = (), before: str = ""
    ) -> Mutant:
        """The node left out."""
        text = before or shortened(node)
        return self.changed(clause, Edit(steps, None), text, DROPPED, node, parts)

    def replaced(
        self, clause: str, steps: Steps, node: Node, text: str, parts: Iterable[Part] = ()
    ) -> Mutant:
        """The scalar with another text."""
        edit = Edit(steps, Node(text, node.place))
        return self.changed(clause, edit, node.text, text, node, parts)

    def changed(
        self,
        clause: str,
        edit: Edit,
        before: str,
        after: str,
        node: Node,
        parts: Iterable[Part] = (),
        offset: int = 0,
    ) -> Mutant:
        """Any change; it stands so many letters into the node's text."""
        place = self.page.place(node, offset)
        return Mutant(self.owner, clause, before, after, place, edit, self.rule, frozenset(parts))


def shortened(node: Node) -> str:
    """A node in one line of words."""
    if isinstance(node.value, dict):
        return (
            "{" + ", ".join(f"{key}: {shortened(item)}" for key, item in node.value.items()) + "}"
        )
    if isinstance(node.value, list):
        return "[" + ", ".join(shortened(item) for item in node.value) + "]"
    return node.text
