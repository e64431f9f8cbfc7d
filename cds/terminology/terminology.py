"""The terminology of a pack: what a FHIR concept is, how certain that is, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

import msgspec

from cds.terminology.agreement import agreed_product, is_clear
from cds.terminology.concept import (
    Certainty,
    Classification,
    CodeableConcept,
    Coding,
    Product,
)
from cds.terminology.matches import Matches
from cds.terminology.product import ProductNames
from cds.terminology.scope import Scope
from cds.terminology.system import Systems, is_no_code
from cds.terminology.text import Negations, Words, read_words, shown
from cds.terminology.valueset import ValueSet, read_valueset

_CACHED = 20_000
_LONGEST_CACHED = 2_000
_MOST_CODINGS = 50

# Kinds whose known code is the whole answer: words beside it are not consulted (a diagnosis that is
# coded is what the code says).
_CODE_DECIDES = frozenset({"condition", "result"})
# Kinds whose concepts are products, named by their ingredients.
_PRODUCTS = frozenset({"medication", "allergy"})
# What "allergic to drug-a" takes back elsewhere is the very thing that an allergy says: these kinds
# have negations of their own.
_OWN_NEGATIONS = frozenset({"allergy"})

Data = Mapping[str, Mapping[str, object]]


class _Wording(msgspec.Struct, frozen=True):
    """Words of a concept, what a match by them is worth, and the product they name."""

    text: str
    words: Words
    certainty: Certainty
    product: Product | None


class _Coded(msgspec.Struct, frozen=True):
    """A code that is in a set, with the display that the pack gives for it."""

    label: str
    display: str


class Terminology:
    """Classifies concepts against the value sets of a pack. Immutable, so safe to share."""

    def __init__(
        self,
        valuesets: Iterable[ValueSet],
        names: ProductNames,
        systems: Systems,
        negations: Negations,
        of_allergies: Negations | None = None,
    ) -> None:
        self.valuesets: Mapping[str, ValueSet] = {item.id: item for item in valuesets}
        self.names = names
        self._systems = systems
        self._negations = negations
        self._of_allergies = of_allergies or Negations()
        self._scopes: dict[str, Scope] = {}
        self._cached = lru_cache(maxsize=_CACHED)(self._classify)

    @classmethod
    def from_data(cls, valuesets: Data, tables: Data) -> Terminology:
        """The terminology of a pack's value sets, by id, and its tables, by file name.

        Takes plain data whose scalars are strings, and assumes that it was validated: what is of a
        wrong type reads as absent. Tables: systems, brands, lexicon, salts, forms, negations (with
        a list of its own for allergies).
        """
        negations = tables.get("negations", {})
        of_allergies = negations.get("allergies")
        sets = [read_valueset(name, data) for name, data in valuesets.items()]
        ingredients = [n for item in sets for n in (*item.ingredients, *item.all_ingredients)]
        return cls(
            sets,
            ProductNames.from_data(ingredients, tables),
            Systems.from_data(tables.get("systems", {})),
            Negations.from_data(negations),
            Negations.from_data(of_allergies if isinstance(of_allergies, Mapping) else {}),
        )

    def classify(self, concept: CodeableConcept, kind: str) -> Classification:
        """What the concept is, among the value sets of a kind (medication, condition, …).

        A kind without value sets gives no matches. Never raises. Answers are cached.
        """
        if _is_long(concept):
            return self._classify(concept, kind)
        return self._cached(concept, kind)

    def __reduce__(self) -> tuple[type[Terminology], tuple[object, ...]]:
        """For worker processes: the cache stays behind."""
        return type(self), (
            list(self.valuesets.values()),
            self.names,
            self._systems,
            self._negations,
            self._of_allergies,
        )

    def _scope(self, kind: str) -> Scope:
        if kind not in self._scopes:
            self._scopes[kind] = Scope(kind, self.valuesets, self.names.lexicon)
        return self._scopes[kind]

    def _classify(self, concept: CodeableConcept, kind: str) -> Classification:
        scope = self._scope(kind)
        coded = self._coded(concept, scope)
        wordings = self._wordings(concept, kind)
        products = [wording.product for wording in wordings if wording.product is not None]
        product, note = agreed_product(products, self.names)
        if product is None and not wordings and coded and kind in _PRODUCTS:
            product = self._product_of(coded)
        found = Matches(scope)
        for name, code in coded.items():
            found.add(name, Certainty.CODE, code.label)
        if kind in _PRODUCTS:
            self._match_products(wordings, product, found)
        self._match_words(concept, kind, coded, wordings, found)
        note = self._mark_conflicts(coded, wordings, found) or note
        readable = bool(coded or wordings or self._settled(concept, scope))
        return Classification(
            self._name(concept, coded, wordings),
            found.settled(),
            product,
            readable,
            note if readable else self._unreadable(concept),
        )

    # -- codes ----------------------------------------------------------------------------------

    def _coded(self, concept: CodeableConcept, scope: Scope) -> dict[str, _Coded]:
        """The sets that the codes are in, included sets expanded."""
        found: dict[str, _Coded] = {}
        for coding in self._known_codings(concept):
            for name, display in scope.codes.find(self._systems.short(coding.system), coding.code):
                code = _Coded(self._systems.label(coding), display)
                for each in scope.expanded(name):
                    found.setdefault(each, code)
        return found

    def _known_codings(self, concept: CodeableConcept) -> list[Coding]:
        return [
            coding
            for coding in concept.codings
            if not is_no_code(coding) and self._systems.short(coding.system)
        ]

    def _settled(self, concept: CodeableConcept, scope: Scope) -> frozenset[str]:
        """The sets that the concept's codes say no to, if they do not say yes."""
        systems = (self._systems.short(coding.system) for coding in self._known_codings(concept))
        return frozenset(name for system in systems for name in scope.codes.settled(system))

    # -- words ----------------------------------------------------------------------------------

    def _wordings(self, concept: CodeableConcept, kind: str) -> list[_Wording]:
        """The displays, then the text, each wording once, with the product that it names.

        The text of a coded medication is the name of what the code stands for; elsewhere, and
        without a coding, text is but text.
        """
        displays = [coding.display for coding in concept.codings if _says_something(coding)]
        coded = bool(displays) or any(not is_no_code(coding) for coding in concept.codings)
        worth = Certainty.NAME if coded and kind in _PRODUCTS else Certainty.TEXT
        found: dict[tuple[str, ...], _Wording] = {}
        for text, certainty in (
            *((text, Certainty.NAME) for text in displays),
            (concept.text, worth),
        ):
            words = read_words(text)
            if words.words not in found and any(map(str.isalpha, text)):
                found[words.words] = _Wording(text, words, certainty, self._parse(text, kind))
        return list(found.values())

    def _parse(self, text: str, kind: str) -> Product | None:
        if kind not in _PRODUCTS:
            return None
        if kind not in _OWN_NEGATIONS:
            return self.names.parse(text)
        return self.names.parse(self._of_allergies.asserted(text), negations=False)

    def _product_of(self, coded: Mapping[str, _Coded]) -> Product | None:
        """The product that the pack's display of a code names, for a record without words."""
        displays = sorted({code.display for code in coded.values() if code.display}, key=len)
        return self.names.parse(displays[-1]) if displays else None

    def _match_products(
        self, wordings: Sequence[_Wording], product: Product | None, found: Matches
    ) -> None:
        for wording in wordings:
            if wording.product is not None:
                self._match_product(wording.product, wording.text, wording.certainty, found)
        if not wordings and product is not None:
            self._match_product(product, product.name, Certainty.CODE, found)

    def _match_product(
        self, product: Product, text: str, certainty: Certainty, found: Matches
    ) -> None:
        names = self._canonical(product)
        for name, ingredient in found.scope.with_ingredients(names, product.release):
            found.add(name, certainty, f'ingredient {ingredient} in "{shown(text)}"')

    def _canonical(self, product: Product) -> frozenset[str]:
        return frozenset(self.names.lexicon.canonical(item.name) for item in product.ingredients)

    def _match_words(
        self,
        concept: CodeableConcept,
        kind: str,
        codes: Mapping[str, _Coded],
        wordings: Sequence[_Wording],
        found: Matches,
    ) -> None:
        """Adds what phrases and shapes in the words say, where the codes leave room for it."""
        if kind in _CODE_DECIDES and self._known_codings(concept):
            return
        negations = self._of_allergies if kind in _OWN_NEGATIONS else self._negations
        closed = self._settled(concept, found.scope) if kind not in _PRODUCTS else frozenset()
        closed |= found.scope.yielding(codes)
        coded = bool(found)
        for wording in wordings:
            for name, phrase in found.scope.with_phrases(wording.words, negations):
                if name not in closed and self._is_open(wording.product, name, found.scope):
                    found.add(name, wording.certainty, f'"{phrase}" in "{shown(wording.text)}"')
            if not coded:
                for name, shape in found.scope.with_shapes(wording.words, negations):
                    if name not in closed:
                        found.add(name, Certainty.SHAPE, f'"{shape}" in "{shown(wording.text)}"')

    def _is_open(self, product: Product | None, name: str, scope: Scope) -> bool:
        """Whether a phrase may still say what the ingredients did not.

        A product of known ingredients, none of them the set's, is something else, whatever words
        about the set's drugs stand beside it ("drug-a for drug-b overdose").
        """
        own = scope.ingredients[name]
        if product is None or not own or not self._canonical(product).isdisjoint(own):
            return True
        return not any(self.names.lexicon.knows(item.name) for item in product.ingredients)

    # -- name and code --------------------------------------------------------------------------

    def _mark_conflicts(
        self, coded: Mapping[str, _Coded], wordings: Sequence[_Wording], found: Matches
    ) -> str:
        """A note if some wording clearly names another product than the code; marks the matches."""
        for wording in wordings:
            product = wording.product
            display = wording.certainty is Certainty.NAME
            if product is None or not is_clear(product, self.names, display=display):
                continue
            named = self._canonical(product)
            against = {
                name
                for name, code in coded.items()
                if self._disagree(named, name, code, found.scope)
            }
            if against:
                code = coded[min(against)]
                meant = f"{code.label} ({code.display})" if code.display else code.label
                evidence = f'{meant}, but named "{shown(wording.text)}"'
                agreed = set(coded) - against
                found.mark(against | (set(found.names) - agreed), evidence)
                return f"name and code disagree: {evidence}"
        return ""

    def _disagree(self, named: frozenset[str], name: str, code: _Coded, scope: Scope) -> bool:
        meant = scope.ingredients[name]
        if code.display and (product := self.names.parse(code.display)) is not None:
            meant |= self._canonical(product)
        return bool(meant) and named.isdisjoint(meant)

    # -- for people -----------------------------------------------------------------------------

    def _name(
        self, concept: CodeableConcept, coded: Mapping[str, _Coded], wordings: Sequence[_Wording]
    ) -> str:
        if wordings:
            return wordings[0].text
        displays = [code.display for code in coded.values() if code.display]
        if displays:
            return max(displays, key=len)
        codes = [coding for coding in concept.codings if not is_no_code(coding)]
        return self._systems.label(codes[0]) if codes else concept.text

    def _unreadable(self, concept: CodeableConcept) -> str:
        codes = [
            self._systems.label(coding) for coding in concept.codings if not is_no_code(coding)
        ]
        if codes:
            return f"no words and no known code: map {', '.join(codes)}"
        return "neither a code nor words"


def _is_long(concept: CodeableConcept) -> bool:
    """Whether remembering it would take more memory than it is worth."""
    return (
        len(concept.text) > _LONGEST_CACHED
        or len(concept.codings) > _MOST_CODINGS
        or any(sum(map(len, coding)) > _LONGEST_CACHED for coding in concept.codings)
    )


def _says_something(coding: Coding) -> bool:
    """Whether the display has words of its own, and is not the code once more."""
    return (
        any(map(str.isalpha, coding.display))
        and coding.display.casefold() != coding.code.casefold()
    )
