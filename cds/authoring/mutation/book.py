"""A pack held as documents, so that its rulebook can be had with one of them changed."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from pathlib import Path

from msgspec.structs import replace

from cds.authoring.clauses import Clause
from cds.authoring.mutation.definitions import definition_mutants
from cds.authoring.mutation.edit import Page
from cds.authoring.mutation.mutant import Mutant
from cds.authoring.mutation.pages import precedence_mutants, rule_mutants, valueset_mutant
from cds.rulebook.definitions import read_definition, read_parameters
from cds.rulebook.document import Node, read_document
from cds.rulebook.model import KindDefinition, Parameter, Rule, Rulebook, Sentence
from cds.rulebook.pack import RulebookError, load_rulebook, read_precedence, read_terminology
from cds.rulebook.reading import Author, first
from cds.rulebook.rules import read_rule
from cds.rulebook.site import Site, bind_parameters, is_on
from cds.terminology.terminology import Terminology
from cds.values.problem import Place, Problem

_NO_RULES = frozenset({"definitions", "valuesets", "evidence"})


class _Rereader(Author):
    """Reads each sentence once: what did not change is the same object in every variant."""

    def __init__(self) -> None:
        super().__init__([])
        self._known: dict[tuple[str, Place], Sentence] = {}

    def sentence(self, node: Node | None) -> Sentence:
        if node is None or not node.text:
            return super().sentence(node)
        key = node.text, node.place
        if key not in self._known:
            self._known[key] = super().sentence(node)
        return self._known[key]


_Defined = tuple[dict[str, KindDefinition], dict[str, dict[str, Parameter]]]
"""What each page of definitions defines: its kind, and its numbers."""


class Book:
    """The documents of a pack. Raises RulebookError where they cannot be used as they are."""

    def __init__(self, root: Path, loaded: Rulebook | None = None) -> None:
        """``loaded`` is the pack's rulebook for no site, if somebody has read it."""
        self.root = root
        self._loaded = loaded or load_rulebook(root)
        self._author = _Rereader()
        self.rules = {page.name: page for page in self._pages(self._rule_files())}
        self.definitions = {
            page.name: page for page in self._pages(root.glob("definitions/*.yaml"))
        }
        self.valuesets = {page.name: page for page in self._pages(root.glob("valuesets/*.yaml"))}
        (self.precedence,) = self._pages([root / "precedence.yaml"])
        self._read_rules = {name: self._rule(page.node) for name, page in self.rules.items()}
        self._kinds = {name: self._kind(page.node) for name, page in self.definitions.items()}
        self._numbers = {
            name: self._parameters(page.node) for name, page in self.definitions.items()
        }
        self._sites: dict[Site, Rulebook] = {}
        self._last: tuple[Mutant, _Defined] | None = None

    def _rule_files(self) -> Iterator[Path]:
        for path in self.root.glob("*/*.yaml"):
            if path.parent.name not in _NO_RULES and not path.name.endswith(".scenarios.yaml"):
                yield path

    def _pages(self, paths: Iterator[Path] | list[Path]) -> Iterator[Page]:
        problems: list[Problem] = []
        for path in sorted(paths):
            name = path.relative_to(self.root).as_posix()
            node = read_document(path, name, problems)
            if node is not None:
                yield Page.read(path, name, node)

    def _rule(self, node: Node) -> Rule:
        return read_rule(node, self._author)

    def _kind(self, node: Node) -> KindDefinition:
        return read_definition(node, self._author)

    def _parameters(self, node: Node) -> dict[str, Parameter]:
        return read_parameters(node, self._author)

    @property
    def all_rules(self) -> tuple[Rule, ...]:
        """Every rule in use, also those that a site must switch on."""
        return tuple(rule for rule in self._read_rules.values() if rule.status == "active")

    def place(self, clause: Clause) -> Place:
        """Where a clause stands, to the letter where it can be told."""
        pages = {**self.rules, **self.definitions}
        page = pages.get(clause.place.file)
        if page is None or not clause.within:
            return clause.place
        return page.place(Node(clause.within, clause.place), clause.offset)

    # -- mutants ----------------------------------------------------------------------------------

    def mutants(self, owners: Container[str] | None = None) -> list[Mutant]:
        """Every mutant of the pack, by place; of these owners alone, if any are named."""
        every = sorted(self._mutants(owners), key=lambda mutant: mutant.order)
        return [mutant for mutant in every if owners is None or mutant.owner in owners]

    def _mutants(self, owners: Container[str] | None) -> Iterator[Mutant]:
        rulebook = self.rulebook(Site())
        for page in self.rules.values():
            if owners is None or first(page.node.get("id")).text in owners:
                yield from rule_mutants(page, rulebook)
        for page in self.definitions.values():
            if owners is None or page.name.removesuffix(".yaml") in owners:
                yield from definition_mutants(page, rulebook)
        yield from precedence_mutants(self.precedence)
        for page in self.valuesets.values():
            name = page.name.rpartition("/")[2].removesuffix(".yaml")
            if name in rulebook.terminology.valuesets:
                yield valueset_mutant(page, name)

    # -- rulebooks --------------------------------------------------------------------------------

    def rulebook(self, site: Site) -> Rulebook:
        """The rulebook of a site, unchanged; the same one each time. Raises RulebookError."""
        if site not in self._sites:
            self._sites[site] = self._checked(
                lambda: self._bound(self._read_rules, self._kinds, self._numbers, site)
            )
        return self._sites[site]

    def variant(self, mutant: Mutant, site: Site) -> Rulebook:
        """The rulebook of a site with the mutant's change. Raises RulebookError for nonsense."""
        return self._checked(lambda: self._changed(mutant.place.file, mutant, site))

    def _checked(self, made: Callable[[], Rulebook]) -> Rulebook:
        before = len(self._author.problems)
        rulebook = made()
        problems = self._author.problems[before:]
        del self._author.problems[before:]
        if problems:
            raise RulebookError(problems)
        return rulebook

    def _changed(self, name: str, mutant: Mutant, site: Site) -> Rulebook:
        if name in self.rules:
            rule = self._rule(mutant.edit.on(self.rules[name].node))
            return self._bound({**self._read_rules, name: rule}, self._kinds, self._numbers, site)
        if name in self.definitions:
            return self._bound(self._read_rules, *self._defined(name, mutant), site)
        base = self.rulebook(site)
        if name in self.valuesets:
            return replace(base, terminology=self._terminology(mutant))
        node = mutant.edit.on(self.precedence.node)
        return replace(base, precedence=read_precedence(node, self._author))

    def _defined(self, name: str, mutant: Mutant) -> _Defined:
        """Definitions and numbers with the mutant's change, which is read once for all sites."""
        found = self._last[1] if self._last is not None and self._last[0] is mutant else None
        if found is None:
            before = len(self._author.problems)
            node = mutant.edit.on(self.definitions[name].node)
            kinds = {**self._kinds, name: self._kind(node)}
            found = kinds, {**self._numbers, name: self._parameters(node)}
            if len(self._author.problems) == before:
                self._last = mutant, found
        return found

    def changed_rule(self, mutant: Mutant) -> Rule:
        """The rule of a mutant of a rule."""
        return self._rule(mutant.edit.on(self.rules[mutant.place.file].node))

    def _terminology(self, mutant: Mutant) -> Terminology:
        pages = {**{name: page.node for name, page in self.valuesets.items()}}
        pages[mutant.place.file] = mutant.edit.on(pages[mutant.place.file])
        return read_terminology(
            {name.rpartition("/")[2].removesuffix(".yaml"): node for name, node in pages.items()}
        )

    def _bound(
        self,
        rules: dict[str, Rule],
        kinds: dict[str, KindDefinition],
        numbers: dict[str, dict[str, Parameter]],
        site: Site,
    ) -> Rulebook:
        known = {name: item for found in numbers.values() for name, item in found.items()}
        return replace(
            self._loaded,
            rules=self._on(rules, site),
            definitions={definition.kind: definition for definition in kinds.values()},
            parameters=bind_parameters(known, site, self._author),
            evidence_url=site.evidence_url,
        )

    def _on(self, rules: dict[str, Rule], site: Site) -> tuple[Rule, ...]:
        """The rules that are on at a site; the same tuple each time where no rule is changed."""
        if rules is self._read_rules and site in self._sites:
            return self._sites[site].rules
        on = (rule for rule in rules.values() if is_on(rule, site))
        return tuple(sorted(on, key=lambda rule: rule.id))
