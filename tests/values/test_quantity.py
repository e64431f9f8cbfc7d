"""Amounts: exact, in units that are read the way people write them and never guessed."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cds.values.quantity import (
    Quantity,
    Ratio,
    days_of,
    read_decimal,
    read_quantity,
    read_unit,
    render_number,
)

MASS = ["pg", "ng", "ug", "mg", "g", "kg"]
VOLUME = ["fL", "uL", "mL", "dL", "L"]
TIME = ["s", "min", "h", "d", "wk", "mo", "a"]
UNITS = {"mass": MASS, "volume": VOLUME, "time": TIME, "count": ["1"]}
EXACT = st.sampled_from([(one, two) for units in (MASS, VOLUME) for one in units for two in units])
# As many digits as FHIR asks a system to keep.
NUMBERS = st.decimals(-999_999_999, 999_999_999, places=9)
ABOVE_ZERO = st.decimals(Decimal("0.000001"), 1_000_000, places=6)


# --- units ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("canonical", "writings"),
    [
        ("mg", ["mg", "MG", "Mg", " mg ", "mg.", "mgs", "milligram", "Milligrams", "mg{total}"]),
        ("ug", ["ug", "mcg", "MCG", "µg", "μg", "microgram", "micrograms", "UG"]),
        ("g", ["g", "G", "gm", "gram", "Grams"]),
        ("mL", ["mL", "ml", "ML", "mls", "milliliter", "millilitres", "cc"]),
        ("uL", ["uL", "ul", "µl", "μL"]),
        ("L", ["L", "l", "liter"]),
        ("d", ["d", "day", "Days", "DAY", "day(s)"]),
        ("h", ["h", "hr", "hrs.", "hour", "Hours"]),
        ("wk", ["wk", "week", "Weeks"]),
        ("mo", ["mo", "MO", "month", "months"]),
        ("a", ["a", "y", "Y", "year", "yrs"]),
        ("min", ["min", "minutes"]),
        ("1", ["1", "tablet", "tablets", "tablet(s)", "Tab", "TABS", "{tablet}", "{tbl}", "cap"]),
        ("1", ["capsules", "patch", "patches", "spray", "puffs", "suppositories", "ea", "VAGTAB"]),
        ("[iU]", ["[iU]", "IU", "iu", "international units"]),
        ("U", ["U", "UNT", "units"]),
        ("meq", ["meq", "mEq", "MEQ"]),
        ("U/L", ["U/L", "U/l", "units/L"]),
        ("mg/dL", ["mg/dL", "mg/dl", "MG / DL"]),
        ("10*3/uL", ["10*3/uL", "10*3/ul"]),
        ("mm[Hg]", ["mm[Hg]", "mmHg"]),
    ],
)
def test_ways_of_writing_a_unit(canonical: str, writings: list[str]) -> None:
    assert {writing: read_unit(writing) for writing in writings} == dict.fromkeys(
        writings, canonical
    )


@pytest.mark.parametrize(
    "text",
    ["", " ", "m", "M", "A", "S", "u", "MU", "gr", "n/a", "/", "mg/", "mg//d", "x", "x" * 10_000],
)
def test_units_are_never_guessed(text: str) -> None:
    assert read_unit(text) is None


@pytest.mark.parametrize("value", [None, 1, True, ["mg"], {"code": "mg"}])
def test_what_is_no_text_is_no_unit(value: object) -> None:
    assert read_unit(value) is None


@given(st.text(max_size=20))
def test_a_unit_once_read_stays_as_it_is(text: str) -> None:
    unit = read_unit(text)
    assert unit is None or read_unit(unit) == unit


@pytest.mark.parametrize(("dimension", "units"), UNITS.items())
def test_dimensions(dimension: str, units: list[str]) -> None:
    assert {Quantity(Decimal(1), unit).dimension for unit in units} == {dimension}


@pytest.mark.parametrize("unit", ["[iU]", "U", "meq", "mg/dL", "%"])
def test_what_converts_to_nothing_is_of_another_dimension(unit: str) -> None:
    assert Quantity(Decimal(1), unit).dimension == "other"


# --- converting ----------------------------------------------------------------------------------


@given(NUMBERS, EXACT)
@example(Decimal("123456789.123456789"), ("kg", "pg"))
@example(Decimal("123456789.123456789"), ("pg", "kg"))
def test_there_and_back_is_exact(value: Decimal, units: tuple[str, str]) -> None:
    amount = Quantity(value, units[0])
    assert amount.to(units[1]).to(units[0]) == amount


@given(NUMBERS, NUMBERS, EXACT)
def test_a_sum_is_the_same_in_every_unit(
    one: Decimal, two: Decimal, units: tuple[str, str]
) -> None:
    left, right = Quantity(one, units[0]), Quantity(two, units[1])
    assert (left + right).to(units[1]) == right + left


@given(NUMBERS, EXACT, st.integers(-1000, 1000))
def test_multiplying_and_converting_change_places(
    value: Decimal, units: tuple[str, str], times: int
) -> None:
    amount = Quantity(value, units[0])
    assert (amount * times).to(units[1]) == amount.to(units[1]) * times


@pytest.mark.parametrize(
    ("value", "unit", "other", "converted"),
    [
        ("4.5", "mg", "ug", "4500"),
        ("4500", "ug", "mg", "4.5"),
        ("1", "g", "mg", "1000"),
        ("1", "L", "mL", "1000"),
        ("2", "wk", "d", "14"),
        ("36", "h", "d", "1.5"),
        ("5", "mg", "mcg", "5000"),
    ],
)
def test_conversions(value: str, unit: str, other: str, converted: str) -> None:
    assert Quantity(Decimal(value), unit).to(other).value == Decimal(converted)


@pytest.mark.parametrize(
    ("unit", "other"),
    [("mg", "mL"), ("1", "mg"), ("[iU]", "mg"), ("U", "[iU]"), ("mg", "nonsense")],
)
def test_no_conversion_between_dimensions(unit: str, other: str) -> None:
    with pytest.raises(ValueError, match=f"is no amount in .*{other[1:3]}"):
        Quantity(Decimal(5), unit).to(other)


def test_a_sum_of_different_things_counts_neither() -> None:
    tablets, capsules = read_quantity(1, "tablet"), read_quantity(2, "capsules")
    assert (tablets + tablets).render() == "2 tablets"
    assert (tablets + capsules).render() == "3"


@pytest.mark.parametrize(
    ("value", "unit", "days"),
    [("1", "wk", "7"), ("1", "mo", "30"), ("1", "a", "365"), ("12", "h", "0.5"), ("90", "d", "90")],
)
def test_days_of_a_duration(value: str, unit: str, days: str) -> None:
    assert days_of(Quantity(Decimal(value), unit)) == Decimal(days)


def test_days_of_a_mass_are_refused() -> None:
    with pytest.raises(ValueError, match=r"4\.5 mg is no amount in d: a unit of mass is accepted"):
        days_of(Quantity(Decimal("4.5"), "mg"))


# --- reading -------------------------------------------------------------------------------------


@given(st.floats(-1e15, 1e15).filter(lambda number: number == 0 or abs(number) > 1e-15))
def test_a_float_is_read_as_it_is_written(number: float) -> None:
    assert read_decimal(number) == Decimal(repr(number))
    assert float(read_decimal(number)) == number


@pytest.mark.parametrize(
    ("value", "number"),
    [(0.1, "0.1"), (1, "1"), ("1.5", "1.5"), (" .5 ", "0.5"), ("1e3", "1000"), (-0.0, "0")],
)
def test_numbers_as_they_arrive(value: object, number: str) -> None:
    assert str(read_decimal(value).normalize() + 0) == str(Decimal(number).normalize() + 0)


@pytest.mark.parametrize(
    "value",
    [
        *(True, False, None, [], {}, b"1", "", "x", "NaN", "Infinity", "1,5", "1_000", "٣", "--1"),
        *(float("nan"), float("inf"), Decimal("NaN"), Decimal("sNaN"), Decimal("-Infinity")),
        *(1e300, 1e-300, 10**4000, "1e999", "1e99999999", "9" * 5000, Decimal("1e9999")),
    ],
)
def test_what_is_no_amount_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="is not an amount: a plain number is accepted") as caught:
        read_quantity(value, "mg")
    assert len(str(caught.value)) < 120


@pytest.mark.parametrize("unit", [None, "", " ", 1, True, "banana", "m", "/", "x" * 5000])
def test_a_unit_must_be_written_and_understood(unit: object) -> None:
    with pytest.raises(ValueError, match="is not a unit: a UCUM code such as mg"):
        read_quantity(1, unit)


def test_a_unit_per_unit_that_is_not_understood_is_kept() -> None:
    amount = read_quantity(60, "mL/min/furlong")
    assert (amount.unit, amount.dimension) == ("mL/min/furlong", "other")


@pytest.mark.parametrize(
    "unit",
    [
        "mL/min/{1.73_m2}",
        "mL/min/1.73m2",
        "ml/min/1.73 m2",
        "mL/min/1.73m^2",
        "mL/min per 1.73 m²",
        "mL/min/{1.73_sq m}",
    ],
)
def test_a_rate_per_surface_is_one_unit_however_it_is_written(unit: str) -> None:
    amount = read_quantity(25, unit)
    assert amount.unit == "mL/min/{1.73_m2}"
    assert amount.render() == "25 mL/min/1.73 m2"
    with pytest.raises(ValueError, match="is no amount in"):
        amount.to("mL/min")


def test_units_of_activity_in_a_volume_are_one_by_either_name() -> None:
    assert read_quantity(300, "IU/L").to("U/L").value == 300
    assert read_quantity("0.3", "kU/L").to("[iU]/L").value == 300
    assert read_quantity(300, "IU/L").render() == "300 IU/L"
    with pytest.raises(ValueError, match="is no amount in"):
        read_quantity(300, "IU").to("U")


@pytest.mark.parametrize(
    ("unit", "counted"),
    [("Tabs", "tablet"), ("{capsule}", "capsule"), ("{score}", "score"), ("1", ""), ("{}", "")],
)
def test_what_is_counted_is_kept(unit: str, counted: str) -> None:
    assert read_quantity(1, unit) == Quantity(Decimal(1), "1", counted)


# --- rendering -----------------------------------------------------------------------------------


@given(NUMBERS)
def test_numbers_are_plain_and_lose_nothing(value: Decimal) -> None:
    text = render_number(value)
    assert Decimal(text) == value
    assert not set(text) & {"e", "E", "+"}
    assert "." not in text or not text.endswith(("0", "."))
    assert text not in {"-0", ""}


@given(
    ABOVE_ZERO, st.sampled_from([unit for units in UNITS.values() for unit in units if unit != "1"])
)
def test_what_is_rendered_reads_back(value: Decimal, unit: str) -> None:
    amount = Quantity(value, unit)
    number, _, word = amount.render().partition(" ")
    assert read_quantity(number, word) == amount


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (Quantity(Decimal("4.50"), "mg"), "4.5 mg"),
        (Quantity(Decimal("1E+2"), "mg"), "100 mg"),
        (Quantity(Decimal("0.0000001"), "g"), "0.0000001 g"),
        (Quantity(Decimal(25), "ug"), "25 mcg"),
        (Quantity(Decimal(1), "d"), "1 day"),
        (Quantity(Decimal(14), "d"), "14 days"),
        (Quantity(Decimal(3), "1"), "3"),
        (Quantity(Decimal("0.5"), "1", "tablet"), "0.5 tablet"),
        (Quantity(Decimal(2), "1", "patch"), "2 patches"),
        (Quantity(Decimal(2), "1", "suppository"), "2 suppositories"),
        (Quantity(Decimal(2), "1", "spray"), "2 sprays"),
        (Quantity(Decimal(30), "1", "each"), "30 each"),
        (Quantity(Decimal(40), "U/L"), "40 U/L"),
    ],
)
def test_amounts_for_people(amount: Quantity, text: str) -> None:
    assert amount.render() == text


def test_a_ratio_for_people() -> None:
    assert Ratio(read_quantity(1, "mg"), read_quantity(1, "ml")).render() == "1 mg per 1 mL"
