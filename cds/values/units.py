"""The units of amounts: what converts to what, how people write them, what is counted.

Codes are UCUM's (https://ucum.org/ucum); case decides in them.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Literal

Dimension = Literal["mass", "volume", "time", "count", "other"]

FACTORS: Mapping[Dimension, Mapping[str, Decimal]] = MappingProxyType(
    {
        "mass": {
            "pg": Decimal("0.001"),
            "ng": Decimal(1),
            "ug": Decimal(1_000),
            "mg": Decimal(1_000_000),
            "g": Decimal(1_000_000_000),
            "kg": Decimal(1_000_000_000_000),
        },
        "volume": {
            "fL": Decimal("0.000000001"),
            "uL": Decimal(1),
            "mL": Decimal(1_000),
            "dL": Decimal(100_000),
            "L": Decimal(1_000_000),
        },
        # What a prescription means by a month and a year: 30 and 365 days, not UCUM's means.
        "time": {
            "s": Decimal(1),
            "min": Decimal(60),
            "h": Decimal(3_600),
            "d": Decimal(86_400),
            "wk": Decimal(7 * 86_400),
            "mo": Decimal(30 * 86_400),
            "a": Decimal(365 * 86_400),
        },
        "count": {"1": Decimal(1)},
    }
)

UNITS: Mapping[str, tuple[Dimension, Decimal]] = MappingProxyType(
    {
        unit: (dimension, factor)
        for dimension, factors in FACTORS.items()
        for unit, factor in factors.items()
    }
)

# Per volume an international unit of activity is a unit of activity: laboratories write both.
ACTIVITY: Mapping[str, tuple[str, Decimal]] = MappingProxyType(
    {
        f"{prefix}{unit}": ("activity", Decimal(factor))
        for unit in ("U", "[iU]")
        for prefix, factor in (("u", 1), ("m", 1_000), ("", 1_000_000), ("k", 1_000_000_000))
    }
)

# Case decides in these: MU is a million units, mU a thousandth; a is a year, A an ampere.
OTHER = frozenset(
    {
        *("U", "mU", "uU", "kU", "[iU]", "m[iU]", "u[iU]", "k[iU]", "[CFU]", "kat", "ukat"),
        *("meq", "eq", "mol", "mmol", "umol", "nmol", "pmol", "mosm"),
        *("%", "mm[Hg]", "Cel", "[degF]", "[pH]", "cm", "mm", "m2"),
    }
)

ALIASES: Mapping[str, str] = MappingProxyType(
    {
        alias: unit
        for unit, aliases in {
            "pg": "pg picogram picograms",
            "ng": "ng nanogram nanograms",
            "ug": "ug mcg mcgs microgram micrograms microgramme microgrammes",
            "mg": "mg mgs mgm milligram milligrams milligramme milligrammes",
            "g": "g gm gms gram grams gramme grammes",
            "kg": "kg kgs kilogram kilograms kilogramme kilogrammes",
            "uL": "ul mcl microliter microliters microlitre microlitres",
            "mL": "ml mls cc milliliter milliliters millilitre millilitres",
            "dL": "dl deciliter deciliters decilitre decilitres",
            "L": "l liter liters litre litres",
            "s": "sec secs second seconds",
            "min": "min mins minute minutes",
            "h": "h hr hrs hour hours",
            "d": "d day days",
            "wk": "wk wks week weeks",
            "mo": "mo mos mon month months",
            "a": "y yr yrs year years",
            "U": "unt unit units",
            "[iU]": "iu [iu] international-unit international-units",
            "m[iU]": "miu m[iu]",
            "meq": "meq meqs milliequivalent milliequivalents",
            "mmol": "mmol mmols millimole millimoles",
            "umol": "umol mcmol micromole micromoles",
            "%": "percent",
            "mm[Hg]": "mmhg mm[hg]",
            "Cel": "cel degc",
            "[degF]": "degf [degf]",
            "/min": "bpm",
        }.items()
        for alias in aliases.split()
    }
)

# What is counted, by each way of writing it; plurals in -s, -es and -ies are worked out.
COUNTED: Mapping[str, str] = MappingProxyType(
    {
        alias: counted
        for counted, aliases in {
            "tablet": "tab tbl caplet ertab ectab vagtab",
            "capsule": "cap ercap",
            "pill": "",
            "patch": "",
            "film": "",
            "strip": "",
            "lozenge": "",
            "troche": "",
            "suppository": "supp recsupp",
            "drop": "gtt gtts drp [drp] opdrop",
            "puff": "",
            "spray": "",
            "actuation": "act actuat",
            "inhalation": "inh",
            "application": "",
            "dose": "",
            "vial": "",
            "ampule": "amp ampul ampoule",
            "syringe": "",
            "pen": "",
            "cartridge": "",
            "implant": "",
            "ring": "",
            "insert": "",
            "packet": "pkt",
            "sachet": "",
            "bottle": "",
            "bag": "",
            "kit": "",
            "each": "ea",
            "beat": "",
        }.items()
        for alias in (counted, *aliases.split())
    }
)

PLAIN_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "s": "second",
        "min": "minute",
        "h": "hour",
        "d": "day",
        "wk": "week",
        "mo": "month",
        "a": "year",
        "U": "unit",
        "[iU]": "international-unit",
    }
)
