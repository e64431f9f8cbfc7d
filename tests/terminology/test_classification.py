"""What codes, displays and texts are worth, separately and against each other."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds.terminology.concept import Classification, CodeableConcept, Coding, read_concept
from cds.terminology.terminology import Terminology

Classify = Callable[..., Classification]


def _found(classification: Classification) -> dict[str, str]:
    return {match.valueset: match.certainty.value for match in classification.matches}


# -- medications --------------------------------------------------------------------------------


def test_a_code_in_a_set_is_definite(classify: Classify) -> None:
    found = classify(code="rx|101", display="alphadine 5 MG Oral Tablet")
    assert _found(found) == {"alphas": "code"}
    assert found.matches[0].evidence == "RX 101"
    assert found.match("betas") is None


def test_a_member_of_an_included_set_is_in_the_including_one(classify: Classify) -> None:
    assert _found(classify(code="rx|150")) == {"alphas": "code", "slow-alphas": "code"}


@pytest.mark.parametrize("code", ["atc|A01", "atc|A01BC", "atc|a01bc"])
def test_prefixes_match_the_parent_and_all_below(classify: Classify, code: str) -> None:
    assert _found(classify(code=code)) == {"alphas": "code"}


def test_a_prefix_is_no_substring(classify: Classify) -> None:
    assert _found(classify(code="atc|BA01")) == {}


def test_a_display_that_names_an_ingredient_is_definite_under_any_code(classify: Classify) -> None:
    found = classify(code="77", display="Zorba 10 mg")
    assert _found(found) == {"alphas": "name"}
    assert found.matches[0].evidence == 'ingredient alphadine in "Zorba 10 mg"'


def test_text_without_a_coding_is_text(classify: Classify) -> None:
    assert _found(classify("Zorba 10 mg")) == {"alphas": "text"}


def test_the_text_of_a_coded_medication_is_its_name(classify: Classify) -> None:
    assert _found(classify("Zorba 10 mg", code="77")) == {"alphas": "name"}


def test_a_code_that_says_there_is_none_is_no_coding(neutral: Terminology) -> None:
    system = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
    concept = CodeableConcept((Coding(system, "unknown", ""),), "Zorba 10 mg")
    assert _found(neutral.classify(concept, "medication")) == {"alphas": "text"}


def test_every_ingredient_counts_and_a_set_may_yield_to_another(classify: Classify) -> None:
    assert _found(classify(display="betamol 5 MG Tab")) == {"betas": "name"}
    assert _found(classify(display="alphadine 5 MG / betamol 1 MG Tab")) == {"alphas": "name"}


def test_releases_narrow_a_set(classify: Classify) -> None:
    assert "long-alphas" not in _found(classify("alphadine 5 mg tab"))
    assert _found(classify("alphadine ER 5 mg tab"))["long-alphas"] == "text"
    assert _found(classify("betamol er injection")) == {"betas": "text", "depot-betas": "text"}


def test_all_ingredients_of_a_combination_are_needed(classify: Classify) -> None:
    assert _found(classify("betamol 8 MG / gammazine 90 MG Tab")) == {
        "betas": "text",
        "beta-gammas": "text",
    }
    assert _found(classify("gammazine 90 MG Tab")) == {}


def test_salts_and_aliases_are_one_ingredient(classify: Classify) -> None:
    assert _found(classify("alfadine resinate 5 mg")) == {"alphas": "text"}
    assert _found(classify("alphadine resinate ER"))["long-alphas"] == "text"
    assert _found(classify("tincture of alpha")) == {"alphas": "text"}


def test_phrases_match_whole_words_unless_another_stands_there(classify: Classify) -> None:
    assert _found(classify("Alpha drug, unnamed")) == {"alphas": "text"}
    assert _found(classify("alpha or gamma mix")) == {}
    assert _found(classify("Alpha-Gamma mixture")) == {"alphas": "text"}
    assert _found(classify("alphas drug")) == {}
    assert _found(classify("alpha drug test strip")) == {}
    assert _found(classify("no alpha drug")) == {}


def test_a_known_product_is_not_what_its_purpose_names(classify: Classify) -> None:
    assert _found(classify("betamol 4 mg, reverses an alpha drug")) == {"betas": "text"}


# -- name and code ------------------------------------------------------------------------------


def test_code_and_name_that_disagree_are_a_conflict_and_both_are_shown(classify: Classify) -> None:
    found = classify(code="rx|101", display="Omegapril 25 MG Oral Tablet")
    assert _found(found) == {"alphas": "conflict"}
    assert "RX 101 (alphadine 5 MG Oral Tablet)" in found.note
    assert "Omegapril 25 MG Oral Tablet" in found.note
    assert found.matches[0].evidence in found.note


def test_the_set_that_the_name_is_in_is_a_conflict_too(classify: Classify) -> None:
    found = classify(code="rx|101", display="betamol 50 MG Oral Tablet")
    assert _found(found) == {"alphas": "conflict", "betas": "conflict"}


def test_a_known_name_disagrees_without_a_strength(classify: Classify) -> None:
    found = classify(code="rx|101", display="betamol")
    assert _found(found) == {"alphas": "conflict", "betas": "conflict"}


def test_a_text_may_disagree_as_well(classify: Classify) -> None:
    found = classify("Omegapril 25 MG Oral Tablet", code="rx|101")
    assert _found(found) == {"alphas": "conflict"}


def test_what_code_and_name_agree_on_stays(classify: Classify) -> None:
    found = classify(code="rx|150", display="alphadine 5 MG Oral Tablet")
    assert _found(found) == {"alphas": "code", "slow-alphas": "conflict"}


def test_ingredients_of_an_included_set_agree_with_the_including_one(classify: Classify) -> None:
    found = classify(code="rx|103", display="deltarol 1 MG Oral Tablet")
    assert _found(found) == {"alphas": "code", "slow-alphas": "name"}


@pytest.mark.parametrize(
    "display", ["Xyzal", "Xyzal 25", "Xyzal 25 MG TAB", "alphadine", "see notes"]
)
def test_an_unknown_brand_contradicts_nothing(classify: Classify, display: str) -> None:
    assert _found(classify(code="rx|101", display=display)) == {"alphas": "code"}


def test_a_combination_of_the_code_s_own_ingredients_is_no_conflict(classify: Classify) -> None:
    found = classify(code="rx|102", display="gammazine 325 MG Oral Tablet")
    assert _found(found)["alphas"] == "code"


def test_different_strengths_are_not_believed(classify: Classify) -> None:
    found = classify("BDN 4.5 mg capsule", code="rx|201", display="betamol 50 MG Oral Tablet")
    assert _found(found) == {"betas": "code"}
    assert found.product is not None
    assert [item.strength for item in found.product.ingredients] == [None]
    assert "different strengths" in found.note


def test_equal_strengths_may_be_written_differently(classify: Classify) -> None:
    found = classify("betamol 0.05 g", code="rx|201", display="betamol 50 MG Oral Tablet")
    assert found.note == ""
    assert found.product is not None
    assert found.product.ingredients[0].strength is not None


# -- unreadable ---------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["77", "rx|9999"])
def test_an_unknown_code_without_words_is_unclassified(classify: Classify, code: str) -> None:
    found = classify(code=code)
    assert not found.readable
    assert found.note.startswith("no words and no known code: map ")
    assert code.rpartition("|")[2] in found.name


def test_a_display_that_repeats_the_code_says_nothing(neutral: Terminology) -> None:
    concept = CodeableConcept((Coding("urn:local", "AB12", "ab12"),), "")
    assert not neutral.classify(concept, "medication").readable


def test_a_system_that_a_set_covers_by_prefix_is_readable_without_words(classify: Classify) -> None:
    found = classify(code="atc|C09")
    assert found.readable
    assert found.matches == ()


def test_nothing_at_all(classify: Classify) -> None:
    found = classify()
    assert (found.name, found.matches, found.product, found.readable) == ("", (), None, False)


def test_a_code_without_words_names_the_product(classify: Classify) -> None:
    found = classify(code="rx|101")
    assert found.name == "alphadine 5 MG Oral Tablet"
    assert found.product is not None
    assert found.product.ingredients[0].name == "alphadine"


# -- conditions, procedures, results ------------------------------------------------------------


@pytest.mark.parametrize("code", ["icd|M25.5", "icd|M25.561", "icd|M25561", "snomed|555"])
def test_conditions_by_code(classify: Classify, code: str) -> None:
    assert _found(classify(code=code, kind="condition")) == {"sore-knee": "code"}


def test_a_usable_code_decides_about_a_condition(classify: Classify) -> None:
    found = classify("sore knee", code="icd|Z99", display="Sore knee", kind="condition")
    assert _found(found) == {}
    assert found.name == "Sore knee"


def test_without_a_usable_code_the_words_of_a_condition_count(classify: Classify) -> None:
    assert _found(classify("Sore knee", kind="condition")) == {"sore-knee": "text"}
    assert _found(classify("hansens knee", kind="condition")) == {"sore-knee": "text"}
    assert _found(classify(code="77", display="Sore knee", kind="condition")) == {
        "sore-knee": "name"
    }


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("no evidence of sore knee", False),
        ("rule out sore knee", False),
        ("Sore knee ruled out", False),
        ("?sore knee", False),
        ("no fever, sore knee", True),
        ("no fever but sore knee", True),
        ("Fever ruled out. Sore knee", True),
        ("sore knee; no fever", True),
        ("sore knees", False),
    ],
)
def test_negated_text_never_matches(classify: Classify, text: str, counts: bool) -> None:
    assert bool(classify(text, kind="condition").matches) is counts


@pytest.mark.parametrize(
    ("code", "counts"),
    [
        ("cpt|10000", True),
        ("cpt|19999-50", True),
        ("cpt|12345", False),
        ("cpt|15000", False),
        ("cpt|9999", False),
        ("cpt|160000", False),
        ("cpt|1000T", False),
        ("pcs|0SRC0J9", True),
        ("pcs|0SR", False),
        ("pcs|1SRC0J9", False),
    ],
)
def test_procedure_codes_by_range_and_prefix(classify: Classify, code: str, counts: bool) -> None:
    assert bool(classify(code=code, kind="procedure").matches) is counts


def test_words_of_a_procedure(classify: Classify) -> None:
    def found(text: str = "", **more: str) -> dict[str, str]:
        return _found(classify(text, kind="procedure", **more))

    assert found(code="snomed|1", display="Knee repair") == {"operation": "name"}
    assert found("Knee repair") == {"operation": "text"}
    assert found(code="snomed|1", display="Total meniscectomy") == {"operation": "shape"}
    assert found("replacement of hip") == {"operation": "shape"}
    assert found("replacement of") == {}
    assert found("meniscectomy planning") == {}
    assert found("no meniscectomy") == {}


def test_the_best_wording_counts(classify: Classify) -> None:
    found = classify("knee repair", code="snomed|1", display="meniscectomy", kind="procedure")
    assert _found(found) == {"operation": "text"}


def test_a_code_in_a_set_leaves_nothing_to_guess_from_shapes(classify: Classify) -> None:
    found = classify(code="snomed|901", display="Meniscectomy", kind="procedure")
    assert _found(found) == {"small-operation": "code"}


def test_words_that_yield_to_a_code_of_another_set(classify: Classify) -> None:
    found = classify("knee repair with imaging", code="snomed|900", kind="procedure")
    assert _found(found) == {"operation": "code"}
    found = classify("visit before knee repair", code="snomed|900", kind="procedure")
    assert _found(found) == {"no-operation": "text", "operation": "code"}
    found = classify("knee imaging", code="snomed|901", kind="procedure")
    assert _found(found) == {"no-operation": "text", "small-operation": "code", "test": "text"}
    found = classify("imaging of the knee repair", kind="procedure")
    assert _found(found) == {"no-operation": "text", "operation": "text", "test": "text"}


def test_a_covered_system_says_no_whatever_the_words(classify: Classify) -> None:
    assert _found(classify(code="cpt|99213", display="knee repair", kind="procedure")) == {}
    found = classify(code="cpt|99213", display="visit after meniscectomy", kind="procedure")
    assert _found(found) == {}


def test_results(classify: Classify) -> None:
    assert _found(classify(code="loinc|1-2", kind="result")) == {"marker": "code"}
    assert _found(classify(code="loinc|3-4", display="Marker", kind="result")) == {}
    assert _found(classify("Marker", kind="result")) == {"marker": "text"}


def test_an_allergy_names_what_elsewhere_it_takes_back(classify: Classify) -> None:
    found = _found(classify("allergic to betamol", kind="allergy"))
    assert found["betas"] == "text"
    assert found["beta-allergy"] == "text"


def test_a_set_may_include_one_of_another_kind(classify: Classify) -> None:
    found = classify("sore knee", kind="wording")
    assert _found(found) == {"knee-words": "text", "sore-knee": "text"}


def test_a_kind_without_sets_has_no_matches(classify: Classify) -> None:
    found = classify("alphadine", kind="weather")
    assert (found.name, found.matches, found.readable) == ("alphadine", (), True)


# -- reading and sharing ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, CodeableConcept((), "")),
        (7, CodeableConcept((), "7")),
        (True, CodeableConcept((), "")),
        (" a ", CodeableConcept((), "a")),
        ({"text": "a"}, CodeableConcept((), "a")),
        ({"coding": {"code": 7}}, CodeableConcept((Coding("", "7", ""),), "")),
        ({"coding": [None, 3, {"system": "s"}]}, CodeableConcept((), "")),
        ({"system": "s", "code": "c"}, CodeableConcept((Coding("s", "c", ""),), "")),
        ({"concept": {"text": "a"}}, CodeableConcept((), "a")),
        (
            [{"coding": [{"code": "1"}]}, {"coding": [{"code": "2"}], "text": "b"}, {"text": "c"}],
            CodeableConcept((Coding("", "1", ""), Coding("", "2", "")), "b"),
        ),
        ([[["deep"]]], CodeableConcept((), "")),
        ({"coding": {"display": {"x": 1}}, "text": ["t"]}, CodeableConcept((), "")),
    ],
)
def test_any_json_reads_as_a_concept(value: object, expected: CodeableConcept) -> None:
    assert read_concept(value) == expected


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["coding", "text", "code", "display", "system"]), inner)
    ),
    max_leaves=12,
)


@given(_JSON, st.sampled_from(["medication", "condition", "procedure", "result", "allergy"]))
def test_any_json_is_classified(neutral: Terminology, value: object, kind: str) -> None:
    found = neutral.classify(read_concept(value), kind)
    assert [match.valueset for match in found.matches] == sorted(
        {match.valueset for match in found.matches}
    )


def test_system_uris_in_all_their_spellings(neutral: Terminology) -> None:
    for uri in (
        "http://rx.example",
        "http://rx.example/",
        "HTTP://RX.example|2024",
        "urn:oid:1.2.3",
    ):
        concept = CodeableConcept((Coding(uri, "101", ""),), "")
        assert _found(neutral.classify(concept, "medication")) == {"alphas": "code"}
    concept = CodeableConcept((Coding("http://other.example", "101", ""),), "")
    assert _found(neutral.classify(concept, "medication")) == {}


def test_order_of_codings_does_not_change_the_matches(neutral: Terminology) -> None:
    codings = (
        Coding("http://rx.example", "101", "alphadine 5 MG Oral Tablet"),
        Coding("urn:local", "x", "betamol 5 mg tab"),
        Coding("http://atc.example", "A01", ""),
    )
    there = neutral.classify(CodeableConcept(codings, ""), "medication")
    back = neutral.classify(CodeableConcept(codings[::-1], ""), "medication")
    assert _found(there) == _found(back)


def test_it_can_be_sent_to_a_worker(neutral: Terminology) -> None:
    concept = CodeableConcept((), "Zorba 10 mg")
    copy = pickle.loads(pickle.dumps(neutral))
    assert copy.classify(concept, "medication") == neutral.classify(concept, "medication")
