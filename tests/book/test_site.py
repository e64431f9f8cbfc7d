"""The rule book of the shipped pack: everything is there, every link leads somewhere, nothing is fetched."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path

import pytest

from cds.authoring.scenario import read_suite
from cds.rulebook.knowledge import Knowledge, read_knowledge
from cds.rulebook.model import Rulebook
from cds.rulebook.pack import load_rulebook, shipped_pack
from cds.rulebook.reading import Author
from cds.rulebook.surfaces import surfaces
from tests.book.pages import Site

STATEMENTS = [f"K{number:02}" for number in range(1, 95)]
DISPUTES = [f"D{number:02}" for number in range(1, 24)]
# Promotional, speculative or not readable: a reason stands with each, and none is on a card.
NEVER_ON_CARDS = ["K31", "K35", "K37", "K69", "K83"]


@pytest.fixture(scope="module")
def rulebook() -> Rulebook:
    return load_rulebook(shipped_pack(), switched_off=True)


@pytest.fixture(scope="module")
def knowledge() -> Knowledge:
    return read_knowledge(shipped_pack(), Author([]))


def test_every_rule_value_set_and_theme_has_its_page(
    site: Site, rulebook: Rulebook, knowledge: Knowledge
) -> None:
    wanted = {f"rules/{rule.id}.html" for rule in rulebook.rules}
    wanted |= {f"valuesets/{name}.html" for name in rulebook.terminology.valuesets}
    wanted |= {f"{name}.html" for name in knowledge.pages}
    assert wanted <= set(site.pages)
    linked = {link.page for rule in rulebook.rules for link in rule.card.links}
    assert linked <= set(site.pages)


def test_every_source_statement_dispute_number_and_word_has_its_anchor(
    site: Site, rulebook: Rulebook
) -> None:
    assert set(rulebook.sources) <= site.pages["sources.html"].ids
    assert set(STATEMENTS) <= site.pages["statements.html"].ids
    assert set(DISPUTES) <= site.pages["disputes.html"].ids
    assert set(rulebook.parameters) <= site.pages["numbers.html"].ids
    words = {
        f"{kind}.{name}"
        for kind, definition in rulebook.definitions.items()
        for name in (*definition.terms, *definition.labels)
    }
    assert words <= site.pages["words.html"].ids


def test_no_link_is_dead(site: Site) -> None:
    dead = [found for name, page in site.pages.items() for found in site.dead(page.links, name)]
    assert dead == []


def test_pages_are_well_formed(site: Site) -> None:
    faults = [f"{name}: {fault}" for name, page in site.pages.items() for fault in page.faults]
    assert faults == []


def test_nothing_is_fetched_from_elsewhere(site: Site) -> None:
    loaded = {link for page in site.pages.values() for link in page.loaded}
    assert loaded
    assert not [link for link in loaded if re.match(r"(?:[a-z]+:)?//", link)]
    style = (site.folder / "assets/book.css").read_text("utf-8")
    script = (site.folder / "assets/search.js").read_text("utf-8")
    assert "url(" not in style
    assert "@import" not in style
    assert not re.search(r"https?:|fetch\(|XMLHttpRequest|eval\(|innerHTML", script)


def test_every_entry_of_the_search_leads_somewhere(site: Site, rulebook: Rulebook) -> None:
    text = (site.folder / "assets/index.js").read_text("utf-8")
    rows = json.loads(text.removeprefix("var RULE_BOOK=").removesuffix(";\n"))
    assert site.dead([href for _, href, _, _ in rows], "index.html") == []
    found = {href for _, href, sort, _ in rows if sort == "rule"}
    assert found == {f"rules/{rule.id}.html" for rule in rulebook.rules}
    sorts = {sort.partition(" (")[0] for _, _, sort, _ in rows}
    assert sorts == {
        *("rule", "theme", "word", "number", "value set", "statement", "dispute", "source"),
    }


def test_the_index_names_every_rule_once(site: Site, rulebook: Rulebook) -> None:
    links = site.pages["index.html"].links
    assert sorted(link for link in links if link.startswith("rules/")) == sorted(
        f"rules/{rule.id}.html" for rule in rulebook.rules
    )


def test_a_rule_that_is_off_says_so(site: Site, rulebook: Rulebook) -> None:
    for rule in rulebook.rules:
        text = site.pages[f"rules/{rule.id}.html"].text
        assert ("off unless a site asks for it" in text) is not rule.default_on


def test_the_badge_stands_on_rules_beyond_the_documents(site: Site, rulebook: Rulebook) -> None:
    for rule in rulebook.rules:
        head = site.pages[f"rules/{rule.id}.html"].text.partition("When it speaks")[0]
        assert (rulebook.pack.badge in head) is ("beyond-sources" in rule.tags)


def test_every_rule_shows_a_card_of_each_of_its_levels(site: Site, rulebook: Rulebook) -> None:
    missing = []
    for rule in rulebook.rules:
        page = (site.folder / f"rules/{rule.id}.html").read_text("utf-8")
        if "This rule is told as a line" in page:
            continue
        missing += [
            f"{rule.id}: {level.indicator}"
            for level in rule.card.levels
            if f'<article class="card {level.indicator}"' not in page
        ]
    assert missing == []


def test_every_scenario_is_counted(site: Site) -> None:
    total = len(read_suite(shipped_pack()).scenarios)
    text = site.pages["coverage.html"].text
    (beside,) = re.findall(r"All \d+ \d+ (\d+) \d+ \d+", text)
    (further,) = re.findall(r"(\d+) further scenarios", text)
    assert int(beside) + int(further) == total


def test_every_rule_page_tells_its_whole_story(site: Site, rulebook: Rulebook) -> None:
    headings = [
        *("When it speaks", "The card", "Its level", "When it cannot tell", "Evidence"),
        *("Words, numbers and value sets it uses", "Scenarios", "Source attributes", "History"),
    ]
    for rule in rulebook.rules:
        text = site.pages[f"rules/{rule.id}.html"].text
        assert [heading for heading in headings if heading not in text] == [], rule.id
        evidence = text.partition("When it cannot tell")[2].partition("Words, numbers")[0]
        squeezed = "".join(evidence.split())
        for entry in rule.evidence:
            for said in (entry.says, entry.strength, entry.contradicted_by, entry.section):
                assert "".join(said.split()) in squeezed, (rule.id, entry.statement)
        for reason in rule.false_positives:
            assert reason in text, rule.id
        assert text.count("Not used.") + text.count("Used.") == 9, rule.id


# -- statements and disputes -----------------------------------------------------------------------


def test_every_statement_of_the_documents_is_listed(knowledge: Knowledge) -> None:
    assert list(knowledge.statements) == STATEMENTS


def test_every_statement_surfaces_or_says_why_not(rulebook: Rulebook, knowledge: Knowledge) -> None:
    found = surfaces(rulebook, knowledge).statements
    silent = [name for name in STATEMENTS if not found.get(name)]
    assert silent == [name for name in STATEMENTS if knowledge.statements[name].nowhere] == ["K83"]


def test_what_is_promotional_or_not_readable_is_on_no_card(
    site: Site, rulebook: Rulebook, knowledge: Knowledge
) -> None:
    reasons = {
        name: statement.not_on_cards or statement.nowhere
        for name, statement in knowledge.statements.items()
        if statement.not_on_cards or statement.nowhere
    }
    assert list(reasons) == NEVER_ON_CARDS
    assert not {entry.statement for rule in rulebook.rules for entry in rule.evidence} & set(
        NEVER_ON_CARDS
    )
    text = site.pages["statements.html"].text
    assert [reason for reason in reasons.values() if reason not in text] == []


def test_no_page_claims_a_statement_that_is_not_there(site: Site) -> None:
    known = {*STATEMENTS, *DISPUTES}
    strangers = [
        f"{name}: {word}"
        for name, page in site.pages.items()
        if not name.startswith("valuesets/")
        for word in re.findall(r"(?<![\w.-])[KD]\d{2}(?![\w-]|\.\w)", page.text)
        if word not in known
    ]
    assert strangers == []


def test_every_dispute_is_told_where_a_reader_meets_it(site: Site, knowledge: Knowledge) -> None:
    assert list(knowledge.disputes) == DISPUTES
    for name, dispute in knowledge.disputes.items():
        told = [
            page
            for page, html in site.pages.items()
            if re.search(rf"\b{name}\b", html.text) and page != "disputes.html"
        ]
        wanted = {f"rules/{rule}.html" for rule in dispute.rules}
        wanted |= {f"{page}.html" for page in dispute.pages}
        assert wanted, name
        assert wanted <= set(told), name


def test_the_table_of_statements_is_checked_in(
    site: Site, rulebook: Rulebook, knowledge: Knowledge, request: pytest.FixtureRequest
) -> None:
    """`docs/statements.md` is what the rule book says; ``--update`` rewrites it."""
    found = surfaces(rulebook, knowledge).statements
    lines = [
        "# Where each statement of the source documents surfaces",
        "",
        "Written by `pytest tests/book --update`; the rule book (`cds docs`) has the statements themselves.",
        "",
        "| statement | stands in | rules | pages | or why not |",
        "|---|---|---|---|---|",
    ]
    for name, statement in knowledge.statements.items():
        where = found.get(name)
        rules = ", ".join(f"`{rule}`" for rule in where.rules) if where else ""
        pages = ", ".join(where.pages) if where else ""
        why = statement.nowhere or (
            f"on no card: {statement.not_on_cards}" if statement.not_on_cards else ""
        )
        stands = f"{statement.source}, {statement.section}"
        lines.append(f"| {name} | {stands} | {rules} | {pages} | {why} |")
    table = "\n".join(lines) + "\n"
    path = Path(__file__).parents[2] / "docs" / "statements.md"
    if request.config.getoption("--update"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(table, "utf-8")
    assert path.read_text("utf-8") == table


def used(site: Site, rule: str, title: str, following: str) -> str:
    """What the page of a rule says of one of its attributes."""
    table = site.pages[f"rules/{rule}.html"].text.partition("No. Attribute Here")[2]
    return table.partition(f" {title} ")[2].partition(f" {following}")[0]


def test_no_rule_reads_who_somebody_is(site: Site, rulebook: Rulebook) -> None:
    """Race, ethnicity, language, orientation, gender, sex: no rule of this pack asks for any."""
    titles = ["Race", "Ethnicity", "Language", "Sexual orientation", "Gender identity", "Sex"]
    titles.append("Date of birth")
    for rule in rulebook.rules:
        for number, (title, following) in enumerate(pairwise(titles), 5):
            said = used(site, rule.id, f"{number} {title}", f"{number + 1} {following}")
            assert said == "Not used.", (rule.id, title)


def test_a_rule_that_reads_the_age_says_so_and_how(site: Site) -> None:
    said = used(site, "monitor.paediatric", "11 Date of birth", "12 Social")
    assert said.startswith(
        "Used. In this rule: at least one of these holds: the person 's age is less"
    )
    other = used(site, "opioid.recent-exposure", "11 Date of birth", "12 Social")
    assert other == "Not used."


def test_a_rule_that_reads_an_assessment_says_so_and_how(site: Site) -> None:
    said = used(site, "monitor.mood-behaviour", "13 Health status assessments", "History")
    assert said.startswith("Used. In this rule: a result of the class self harm question")
    other = used(site, "opioid.recent-exposure", "13 Health status assessments", "History")
    assert other == "Not used."
