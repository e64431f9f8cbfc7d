"""Product names: "Drug-a 5 MG / drug-b 1 MG/ML Oral Solution [Brand]" and what hospitals write.

Ingredients are whole words or nothing: a known name inside another word is another drug, and so
is one that a hyphen ties to an unknown word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec.structs import replace

from cds.terminology.concept import Ingredient, Product
from cds.terminology.lexicon import Entry, Lexicon
from cds.terminology.scan import Found, Scan, Segment, scan_name
from cds.terminology.strength import Strength

# Names are cut for parsing, at a length that the largest multivitamin does not reach.
_LONGEST_NAME = 2_000
_UNKNOWN_NAME_WORDS = 6
_BARE_NAME_WORDS = 3

_PACK = re.compile(r"\{([^{}]*)\}")
_BRANDED = re.compile(r"\[([^\[\]]*)\]")
_ASIDE = re.compile(r"\(([^()]*)\)")
# What the label prints about the product, not in it.
_LABELLING = re.compile(r"\bnda\d+\b|\babuse-deterrent\b|\bmatrix delivery\b", re.IGNORECASE)
# What comes after it is what a product is for, unless a form says so ("powder for oral solution").
_PURPOSE = "for"

_RELEASES = ("depot", "patch", "extended")
_DEPOT_ROUTES = frozenset({"intramuscular", "subcutaneous"})


class ProductNames:
    """Reads product names with the tables of a lexicon."""

    __slots__ = ("lexicon",)

    def __init__(self, lexicon: Lexicon) -> None:
        self.lexicon = lexicon

    @classmethod
    def from_data(
        cls, ingredients: Iterable[str], tables: Mapping[str, Mapping[str, object]]
    ) -> ProductNames:
        """The reader for these ingredients and a pack's tables, as `Lexicon` reads them."""
        return cls(Lexicon(ingredients, tables))

    def parse(self, name: str, *, negations: bool = True) -> Product | None:
        """What the name says, or None when it names nothing, or takes back all that it names.

        A drug that is in no table is named by the words before its strength or form. A pack is one
        product with the ingredients of all its parts. With ``negations`` off, "no drug-a" names
        drug-a. Nothing raises; very long names are cut.
        """
        written = name[:_LONGEST_NAME].strip()
        text = _LABELLING.sub(" ", written)
        brands = _BRANDED.findall(text)
        if brands:
            text = _BRANDED.sub(" ", text)
        product = self._parse_pack(text, negations) if "{" in text else self._parse(text, negations)
        if brands:
            product = self._branded(product, brands[-1].strip())
        return replace(product, name=written) if product is not None else None

    def knows(self, product: Product) -> bool:
        """Whether every ingredient of the product is in some table."""
        return all(self.lexicon.knows(item.name) for item in product.ingredients)

    def _branded(self, product: Product | None, brand: str) -> Product | None:
        """The product with its brand, which names the ingredients if nothing else does."""
        if product is None or not any(
            self.lexicon.knows(item.name) for item in product.ingredients
        ):
            named = self._parse(brand, negations=False)
            if named is not None and named.brand:
                return replace(product or named, ingredients=named.ingredients, brand=brand)
        return replace(product, brand=brand) if product is not None else None

    def _parse_pack(self, text: str, negations: bool) -> Product | None:
        packs = _PACK.findall(text)
        parts = [part for pack in packs for part in _ASIDE.findall(pack) or [pack]]
        products = [
            product for part in parts if (product := self._parse(part, negations)) is not None
        ]
        if not products:
            return self._parse(_PACK.sub(" ", text), negations)
        ingredients = dict.fromkeys(item for product in products for item in product.ingredients)
        release = next(
            (kind for kind in _RELEASES if any(part.release == kind for part in products)), ""
        )
        return replace(products[0], ingredients=tuple(ingredients), release=release, pack=True)

    def _parse(self, text: str, negations: bool) -> Product | None:
        asides = _ASIDE.findall(text) if "(" in text else []
        outside = _ASIDE.sub(" ", text) if asides else text
        scan = scan_name(outside, self.lexicon, negations=negations)
        for aside in asides:
            _read_aside(scan, scan_name(aside, self.lexicon, negations=negations))
        ingredients = tuple(_ingredients(scan, self.lexicon))
        if not ingredients:
            return None
        brand = next((found.brand for found in scan.found if found.brand), "")
        form, route, release = _shape(scan.forms)
        return Product("", ingredients, form, route, release, brand)


def _read_aside(scan: Scan, aside: Scan) -> None:
    """Adds what brackets say: ingredients if they hold nothing else, a form if there is none yet.

    "Brand 5/325 (drug-a/drug-b)" tells which strength is whose; "(hold drug-c)" tells nothing.
    """
    scan.negated = scan.negated or aside.negated
    if not all(aside.known):
        return
    scan.forms = scan.forms or aside.forms
    first = scan.segments[0]
    if aside.found and not scan.negated and _names(scan.found) in (set(), _names(aside.found)):
        first.found += [replace(found, start=0) for found in aside.found]
    if not any(segment.strengths for segment in scan.segments):
        first.strengths = [strength for segment in aside.segments for strength in segment.strengths]


def _names(found: Iterable[Found]) -> set[str]:
    return {name for item in found for name in item.names}


def _ingredients(scan: Scan, lexicon: Lexicon) -> Iterator[Ingredient]:
    """The ingredients in the order of the name, each once, with what strength is surely theirs."""
    _drop_purpose(scan)
    names = [_segment_names(scan, segment, lexicon) for segment in scan.segments]
    strengths: list[list[Strength]] = [segment.strengths for segment in scan.segments]
    all_names = list(dict.fromkeys(name for part in names for name in part))
    all_strengths = [strength for part in strengths for strength in part]
    if _is_combined_brand(scan, all_names) or any(segment.partial for segment in scan.segments):
        yield from map(Ingredient, all_names)
        return
    if len(all_names) == len(all_strengths):
        names, strengths = [all_names], [all_strengths]
    elif any(segment.combined for segment in scan.segments):
        strengths = [[] for _ in strengths]
    seen: set[str] = set()
    for part, amounts in zip(names, strengths, strict=True):
        for name, strength in zip(part, _assigned(part, amounts), strict=True):
            if name not in seen:
                seen.add(name)
                yield _ingredient(name, strength)


def _ingredient(name: str, strength: Strength | None) -> Ingredient:
    return Ingredient(name, strength.amount, strength.per) if strength else Ingredient(name)


def _assigned(names: Sequence[str], strengths: Sequence[Strength]) -> Sequence[Strength | None]:
    if len(names) == len(strengths):
        return strengths
    # The first amount beside a single name is the product's; later ones are doses or volumes.
    return [strengths[0]] if len(names) == 1 and strengths else [None] * len(names)


def _is_combined_brand(scan: Scan, names: Sequence[str]) -> bool:
    """Whether only a brand tells of several ingredients: whose strength is whose is not said."""
    plain = {name for found in scan.found if len(found.names) == 1 for name in found.names}
    return len(names) > 1 and any(name not in plain for found in scan.found for name in found.names)


def _drop_purpose(scan: Scan) -> None:
    """Takes out the ingredients after "for" when there are others before it."""
    purpose = next(
        (i for i, word in enumerate(scan.words) if word == _PURPOSE and not scan.known[i]), None
    )
    if purpose is None or not any(found.start < purpose for found in scan.found):
        return
    for segment in scan.segments:
        segment.found = [found for found in segment.found if found.start < purpose]


def _segment_names(scan: Scan, segment: Segment, lexicon: Lexicon) -> list[str]:
    plain = [name for found in segment.found if not found.brand for name in found.names]
    branded = [name for found in segment.found if found.brand for name in found.names]
    if set(branded) <= set(plain):
        branded = []
    names = list(dict.fromkeys([*branded, *plain]))
    if names or scan.negated:
        return names
    if segment.strengths or (not scan.found and segment is scan.segments[0]):
        unknown = _unknown_name(scan, segment, lexicon)
        return [unknown] if unknown else []
    return []


def _unknown_name(scan: Scan, segment: Segment, lexicon: Lexicon) -> str:
    """The first words that no table has, without the salt at their end; "" if that is no name.

    Words alone are a name only if they are few: "see pharmacy notes for details" is none.
    """
    run = _first_run(segment.named)
    if not any(scan.words[place][0].isalpha() and len(scan.words[place]) > 1 for place in run):
        return ""
    if not segment.strengths and not scan.forms and len(scan.words) > _BARE_NAME_WORDS:
        return ""
    if not all(lexicon.is_salt(scan.words[place]) for place in run):
        while lexicon.is_salt(scan.words[run[-1]]):
            run.pop()
    run = run[:_UNKNOWN_NAME_WORDS]
    joins = (scan.joins[place] if scan.joins[place] in ("-", "/") else " " for place in run[1:])
    rest = (join + scan.words[place] for join, place in zip(joins, run[1:], strict=True))
    return scan.words[run[0]] + "".join(rest)


def _first_run(places: Sequence[int]) -> list[int]:
    run: list[int] = []
    for place in places:
        if run and place != run[-1] + 1:
            break
        run.append(place)
    return run


def _shape(forms: Sequence[Entry]) -> tuple[str, str, str]:
    """Form, route and release of all the phrases together."""
    form = next((entry.form for entry in forms if entry.form), "")
    route = next((entry.route for entry in forms if entry.route), "")
    releases = {entry.release for entry in forms}
    release = next((kind for kind in _RELEASES if kind in releases), "")
    # An extended release that goes into a muscle or under the skin is a depot; a drip is not.
    if release == "extended" and (route in _DEPOT_ROUTES or (form == "injection" and not route)):
        release = "depot"
    return form, route, release
