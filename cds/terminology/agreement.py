"""Whether the names that one concept has tell of the same product, at the same strength."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from cds.terminology.concept import Ingredient, Product
from cds.terminology.product import ProductNames
from cds.terminology.text import shown


def is_clear(product: Product, names: ProductNames, *, display: bool) -> bool:
    """Whether a name surely names a product: known drugs, or one written out in full.

    Full is strength, form and route ("Drug-x 25 MG Oral Tablet"). Less than that may be a brand
    that is in no table, and contradicts no code. ``display``: the name is a coding's own.
    """
    strong = any(item.strength is not None for item in product.ingredients)
    if names.knows(product):
        return strong or display
    return strong and bool(product.form and product.route)


def agreed_product(products: Sequence[Product], names: ProductNames) -> tuple[Product | None, str]:
    """The product that several names of one concept tell of, and a note if their strengths differ.

    The first that names known drugs counts. Where another gives the same drug a different strength
    (a compounded product under the code of a larger tablet), neither strength is believed.
    """
    known = [product for product in products if names.knows(product)]
    if not products:
        return None, ""
    chosen, *others = known or products
    for other in others:
        if _drugs(other) != _drugs(chosen):
            continue
        if not _has_strength(chosen):
            chosen = replace(chosen, ingredients=other.ingredients)
        elif _has_strength(other) and _strengths(other) != _strengths(chosen):
            note = f'different strengths: "{shown(chosen.name)}" and "{shown(other.name)}"'
            bare = tuple(Ingredient(item.name) for item in chosen.ingredients)
            return replace(chosen, ingredients=bare), note
    return chosen, ""


def _drugs(product: Product) -> frozenset[str]:
    return frozenset(item.name for item in product.ingredients)


def _has_strength(product: Product) -> bool:
    return any(item.strength is not None for item in product.ingredients)


def _strengths(product: Product) -> frozenset[object]:
    """Strengths in a form that compares: 0.5 g is 500 mg, 10 mg per 5 mL is 2 mg per 1 mL."""
    return frozenset((item.name, *_rate(item)) for item in product.ingredients)


def _rate(item: Ingredient) -> tuple[object, ...]:
    strength = item.strength
    if strength is None:
        return ()
    amount = strength.to("mg") if strength.dimension == "mass" else strength
    if item.per is None:
        return amount.value.normalize(), amount.unit, ""
    base = {"volume": "mL", "time": "h"}.get(item.per.dimension, item.per.unit)
    return (amount.value / item.per.to(base).value).normalize(), amount.unit, base
