"""Product names as real systems write them, read through Terminology.classify."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds.terminology.concept import Classification, CodeableConcept, Product
from cds.terminology.terminology import Terminology

Classify = Callable[..., Classification]


def _ingredients(product: Product | None) -> list[str]:
    """Each ingredient with its strength, as a person would say it."""
    found = []
    for item in product.ingredients if product else ():
        per = f" per {item.per.render()}" if item.per else ""
        found.append(f"{item.name} {item.strength.render()}{per}" if item.strength else item.name)
    return found


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Alphadine 5 MG Oral Tablet", ["alphadine 5 mg"]),
        ("ALPHAdine 5 MG Oral Tablet", ["alphadine 5 mg"]),
        ("alphadine hydrochloride 5 MG Oral Tablet [Zorba]", ["alphadine 5 mg"]),
        ("gammazine 325 MG / alphadine 5 MG Tab", ["gammazine 325 mg", "alphadine 5 mg"]),
        ("alphadine 1 MG/ML Oral Solution", ["alphadine 1 mg per 1 mL"]),
        ("alphadine 10 mg/5 mL oral solution", ["alphadine 10 mg per 5 mL"]),
        ("72 HR alphadine 0.025 MG/HR patch", ["alphadine 0.025 mg per 1 hour"]),
        ("alphadine 50 mcg/hr patch", ["alphadine 50 mcg per 1 hour"]),
        ("12 HR alphadine 10 MG Extended Release Oral Tablet", ["alphadine 10 mg"]),
        ("0.3 ML alphadine 1 MG/ML Prefilled Syringe", ["alphadine 1 mg per 1 mL"]),
        ("200 ACTUAT alphadine 0.09 MG/ACTUAT", ["alphadine 0.09 mg"]),
        ("Abuse-Deterrent 12 HR alphadine 10 MG Oral Tablet", ["alphadine 10 mg"]),
        ("NDA020800 alphadine 10 MG Oral Tablet", ["alphadine 10 mg"]),
        ("Matrix Delivery 24 HR omegapril 30 MG Oral Tablet", ["omegapril 30 mg"]),
        ("ALPHADINE-GAMMAZINE 5-325 MG PO TABS", ["alphadine 5 mg", "gammazine 325 mg"]),
        ("Alphadine HCl/Gam 5/325", ["alphadine 5 mg", "gammazine 325 mg"]),
        ("alphadine and gammazine 7.5-325", ["alphadine 7.5 mg", "gammazine 325 mg"]),
        ("alphadine + gammazine 5 mg/325 mg", ["alphadine 5 mg", "gammazine 325 mg"]),
        (
            "gammazine-alphadine 120 mg-12 mg/5 mL",
            ["gammazine 120 mg per 5 mL", "alphadine 12 mg per 5 mL"],
        ),
        ("ALPHADINE 15MG TAB", ["alphadine 15 mg"]),
        ("ALPHADINE_HCL 1,000 mg", ["alphadine 1000 mg"]),
        ("alphadine 4,5 mg", ["alphadine 4.5 mg"]),
        ("alphadine .5 mg", ["alphadine 0.5 mg"]),
        ("5 mg alphadine tablet", ["alphadine 5 mg"]),
        ("alphadine 50 µg", ["alphadine 50 mcg"]),
        ("Alphadine 2 % w/w", ["alphadine"]),
        ("alfadine", ["alphadine"]),
        ("álphadine", ["alphadine"]),
        ("zorba prn", ["alphadine"]),
        ("Zorba 10", ["alphadine"]),
        ("Zorba #3", ["alphadine", "gammazine"]),
        ("Zorba 3 tabs", ["alphadine"]),
        ("Zorba with Gammazine", ["alphadine", "gammazine"]),
        # Which of a brand's ingredients has which strength is not said, until brackets say it.
        ("Duomed 5/325", ["gammazine", "alphadine"]),
        ("Duomed (alphadine/gammazine) 5/325", ["alphadine 5 mg", "gammazine 325 mg"]),
        ("alphadine (Zorba) 5 mg tablet", ["alphadine 5 mg"]),
        ("omegapril 5 MG [Zorba]", ["alphadine"]),
        ("alphadine 5 mg (hold betamol)", ["alphadine 5 mg"]),
        ("omegapril 5 mg (hold alphadine)", ["omegapril 5 mg"]),
        # Lists with a part that no table has: whose strength is whose is not sure.
        ("thetazol-alphadine-gammazine 5-2-325 mg", ["alphadine", "gammazine"]),
        ("thetazol-gammazine-alphadine 325-2 mg", ["gammazine", "alphadine"]),
        ("thetazol-gammazine-alphadine tab", ["gammazine", "alphadine"]),
        ("alphadine-thetazol 2-0.1 mcg/mL", ["alphadine"]),
        ("thetazol-alphadine 0.1 mg-2 mg/mL", ["alphadine"]),
        ("alphadine 5-10 mg", ["alphadine"]),
        ("no refills - alphadine 5 mg", ["alphadine 5 mg"]),
        ("zorba no. 4 tab", ["alphadine", "gammazine"]),
        ("alphadine-gammazine 5-10 mL", ["alphadine", "gammazine"]),
        ("betamol 4 mg for alphadine overdose", ["betamol 4 mg"]),
        ("gammazine w/o alphadine 325 mg", ["gammazine 325 mg"]),
        ("Omegapril 25 MG Oral Tablet", ["omegapril 25 mg"]),
        ("Omegapril sodium 25 MG Oral Tablet", ["omegapril 25 mg"]),
        ("sodium chloride 9 MG/ML Injection", ["sodium chloride 9 mg per 1 mL"]),
        ("Omegapril 25 MG / thetazol 5 MG Tab", ["omegapril 25 mg", "thetazol 5 mg"]),
        (
            "{7 (alphadine 0.5 MG Oral Tablet) / 7 (betamol 1 MG Oral Tablet) } Pack [Zorbapak]",
            ["alphadine 0.5 mg", "betamol 1 mg"],
        ),
    ],
)
def test_ingredients_and_strengths(classify: Classify, name: str, expected: list[str]) -> None:
    assert _ingredients(classify(name).product) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("alphadine 5 MG Oral Tablet", ("tablet", "oral", "")),
        ("alphadine 5 MG Extended Release Oral Tablet", ("tablet", "oral", "extended")),
        ("ALPHADINE HCL ER 100MG", ("", "", "extended")),
        ("alphadine m/r tablet", ("tablet", "", "extended")),
        ("12 HR alphadine 0.1 MG/HR patch", ("patch", "transdermal", "patch")),
        ("betamol ER injection 380 mg", ("injection", "", "depot")),
        ("betamol er im 380 mg", ("", "intramuscular", "depot")),
        ("alphadine ER infusion", ("injection", "intravenous", "extended")),
        ("betamol depot 380 mg", ("", "", "depot")),
    ],
)
def test_form_route_release(classify: Classify, name: str, expected: tuple[str, str, str]) -> None:
    product = classify(name).product
    assert product is not None
    assert (product.form, product.route, product.release) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("alphadine 5 MG Oral Tablet [Zorba]", "Zorba"),
        ("percy zorba 5", "Zorba"),
        ("alphadine 5 MG Oral Tablet", ""),
    ],
)
def test_brand(classify: Classify, name: str, expected: str) -> None:
    product = classify(name).product
    assert product is not None
    assert product.brand == expected


def test_a_pack_says_so(classify: Classify) -> None:
    product = classify("{7 (alphadine 1 MG Tab) / 7 (alphadine 2 MG Tab) } Pack").product
    assert product is not None
    assert product.pack
    assert _ingredients(product) == ["alphadine 1 mg", "alphadine 2 mg"]


@pytest.mark.parametrize(
    "name",
    [
        "subalphadine 5 MG Oral Tablet",
        "alphadinetrol 5 mg",
        "methyl betamol 12 mg",
        "methylbetamol bromide 12 mg",
        "sub-alphadine 5 mg tablet",
        "sub-betamol 5 mg tablet",
        "alphadine-free tablet",
        "allergic to alphadine",
        "alphadine allergy",
    ],
)
def test_a_part_of_a_word_is_no_ingredient(classify: Classify, name: str) -> None:
    assert classify(name).matches == ()


def test_words_alone_are_a_name_only_if_few(classify: Classify) -> None:
    assert _ingredients(classify("omegapril").product) == ["omegapril"]
    found = classify("see the notes of the pharmacy")
    assert found.product is None
    assert found.readable


@given(st.text(max_size=300))
def test_no_name_crashes_it(neutral: Terminology, name: str) -> None:
    neutral.classify(CodeableConcept((), name), "medication")


@pytest.mark.parametrize(
    "unit",
    [
        "a",
        "1-",
        "5 mg/",
        "/ ",
        "(",
        "{(",
        "[(",
        "no ",
        "alphadine ",
        "a-",
        "()",
        ".",
        "\n",
        "\ufb00",
    ],
)
def test_long_names_are_fast(classify: Classify, unit: str) -> None:
    """Ten kilobytes of anything take milliseconds; seconds would mean a runaway pattern."""
    start = time.perf_counter()
    classify(unit * (10_000 // len(unit)))
    assert time.perf_counter() - start < 5
