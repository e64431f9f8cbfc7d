"""A small made-up pack, and the shipped one, as terminologies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from cds.terminology.concept import Classification, CodeableConcept, Coding
from cds.terminology.terminology import Terminology

_PACK = Path(__file__).parents[2] / "rules" / "valuesets"
_TABLES = ("systems", "brands", "lexicon", "salts", "forms", "negations")

Classify = Callable[..., Classification]

# Drugs, codes and systems that do not exist: nothing here may depend on the shipped pack.
NEUTRAL = """
alphas:
  kind: medication
  includes: [slow-alphas]
  systems:
    rx:
      codes: {"101": alphadine 5 MG Oral Tablet, "102": alphadine / gammazine, "103": ""}
    atc: {prefixes: {A01: ""}}
  ingredients: [alphadine, tincture of alpha, alphadine resinate]
  phrases: {any: [alpha drug, alpha/gamma], unless: [alpha drug test]}
slow-alphas:
  kind: medication
  systems: {rx: {codes: {"150": deltarol 1 MG Oral Tablet}}}
  ingredients: [deltarol]
long-alphas:
  kind: medication
  ingredients: [alphadine, deltarol]
  releases: [extended, patch, depot]
betas:
  kind: medication
  includes: [depot-betas, beta-gammas]
  unless-with: [alphas]
  systems: {rx: {codes: {"201": betamol 50 MG Oral Tablet}}}
  ingredients: [betamol]
  phrases: {any: [betamol, the beta drug], unless: [bdn study]}
depot-betas:
  kind: medication
  ingredients: [betamol]
  releases: [depot]
beta-gammas:
  kind: medication
  all-ingredients: [betamol, gammazine]
  systems: {rx: {codes: {"202": betamol 8 MG / gammazine 90 MG Oral Tablet}}}
sore-knee:
  kind: condition
  systems:
    icd: {prefixes: {M25.5: ""}}
    snomed: {codes: {"555": sore knee}}
  phrases: {any: [sore knee, Hansen's knee], unless: [knee brace]}
operation:
  kind: procedure
  systems:
    snomed: {codes: {"900": knee operation}}
    cpt: {ranges: [["10000", "19999"]], except: [["12000", "12999"], "15000"]}
    pcs: {length: "7", prefixes: {"0": ""}}
  phrases: {any: [knee repair]}
  shapes: {any: ["*ectomy", "replacement of *"], unless: [planning]}
small-operation:
  kind: procedure
  systems: {snomed: {codes: {"901": small knee operation}}}
no-operation:
  kind: procedure
  includes: [test]
  phrases: {any: [visit before]}
test:
  kind: procedure
  words-unless-coded: [operation]
  phrases: {any: [imaging]}
knee-words:
  kind: wording
  includes: [sore-knee]
marker:
  kind: result
  systems: {loinc: {codes: {1-2: marker}}}
  phrases: {any: [marker]}
beta-allergy:
  kind: allergy
  includes: [betas]
"""

NEUTRAL_TABLES = """
systems:
  rx: [http://rx.example, "urn:oid:1.2.3"]
  atc: [http://atc.example]
  icd: [http://icd.example]
  snomed: [http://snomed.example]
  cpt: [http://cpt.example]
  pcs: [http://pcs.example]
  loinc: [http://loinc.example]
brands:
  Zorba: [alphadine]
  "Zorba #3": [alphadine, gammazine]
  zorba no 4: [alphadine, gammazine]
  zorba with gammazine: [alphadine, gammazine]
  Calmex: [gammazine]
  Duomed: [gammazine, alphadine]
lexicon: {alfadine: alphadine, gam: gammazine, bdn: betamol, methyl betamol: methylbetamol}
salts: {salts: [hydrochloride, hcl, sodium, chloride, resinate, bromide]}
forms:
  oral tablet: {form: tablet, route: oral}
  extended release oral tablet: {form: tablet, route: oral, release: extended}
  oral solution: {form: solution, route: oral}
  tab: {form: tablet}
  tablet: {form: tablet}
  capsule: {form: capsule}
  injection: {form: injection}
  infusion: {form: injection, route: intravenous}
  patch: {form: patch, route: transdermal, release: patch}
  oral: {route: oral}
  im: {route: intramuscular}
  er: {release: extended}
  m/r: {release: extended}
  12 hr: {release: extended}
  depot: {release: depot}
  prefilled syringe: {form: injection}
negations:
  before: ["no", no evidence of, without, w/o, rule out, allergic to, "?"]
  after: [ruled out, allergy]
"""


def _read(text: str) -> Any:
    """YAML with every scalar a string, as the rulebook reads it."""
    return yaml.load(text, yaml.BaseLoader)


@pytest.fixture(scope="session")
def neutral() -> Terminology:
    return Terminology.from_data(_read(NEUTRAL), _read(NEUTRAL_TABLES))


@pytest.fixture(scope="session")
def pack() -> Terminology:
    """The terminology of the shipped pack."""
    data = {path.stem: _read(path.read_text("utf-8")) for path in sorted(_PACK.glob("*.yaml"))}
    tables = {name: data.pop(name) for name in _TABLES}
    return Terminology.from_data(data, tables)


def _classifier(terminology: Terminology) -> Classify:
    def classify(
        text: str = "", *, code: str = "", display: str = "", kind: str = "medication"
    ) -> Classification:
        """``code`` is "system|code"; a display without one is that of a local code."""
        system, _, value = code.rpartition("|")
        uri = f"http://{system}.example" if system else "urn:local"
        codings = (Coding(uri, value or "L1", display),) if code or display else ()
        return terminology.classify(CodeableConcept(codings, text), kind)

    return classify


@pytest.fixture(scope="session")
def classify(neutral: Terminology) -> Classify:
    """Classifies with the made-up pack: ``classify("text")``, ``classify(code="rx|101")``."""
    return _classifier(neutral)


@pytest.fixture(scope="session")
def classify_name(pack: Terminology) -> Classify:
    """Classifies with the shipped pack."""
    return _classifier(pack)
