"""`cds docs`: the folder that it writes and those it leaves alone, a site's numbers, another pack."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.book.conftest import docs
from tests.book.pages import Html, Site
from tests.records import CONTRAST, ROOT, bundle, draft, order, person


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    return Path(shutil.copytree(CONTRAST, tmp_path / "pack"))


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), "utf-8")


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


# -- the folder ------------------------------------------------------------------------------------


def test_the_same_pack_gives_the_same_bytes(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for out, seed in ((one, "1"), (two, "2")):
        assert docs(out, "--rules", str(CONTRAST), seed=seed).returncode == 0
    assert files_of(one) == files_of(two)


def test_an_older_rule_book_is_replaced_and_nothing_beside_it(tmp_path: Path, pack: Path) -> None:
    out = tmp_path / "out"
    assert docs(out, "--rules", str(pack)).returncode == 0
    (out / "notes.txt").write_text("mine")
    gone = out / "rules" / "monitor.vitamin.html"
    assert gone.is_file()
    (pack / "monitor" / "vitamin.yaml").unlink()
    (pack / "monitor" / "vitamin.scenarios.yaml").unlink()
    assert docs(out, "--rules", str(pack)).returncode == 0
    assert not gone.exists()
    assert (out / "notes.txt").read_text() == "mine"
    assert "monitor.vitamin" not in (out / "index.html").read_text("utf-8")


def test_a_marker_names_no_file_outside_the_folder(tmp_path: Path) -> None:
    out, other = tmp_path / "out", tmp_path / "other.html"
    out.mkdir()
    other.write_text("mine")
    (out / ".rule-book").write_text(f"../other.html\n{other}\n")
    assert docs(out, "--rules", str(CONTRAST)).returncode == 0
    assert other.read_text() == "mine"


@pytest.mark.parametrize("what", ["a file", "a full folder"])
def test_anything_else_is_left_alone(tmp_path: Path, what: str) -> None:
    out = tmp_path / "out"
    if what == "a file":
        out.write_text("mine")
    else:
        out.mkdir()
        (out / "index.html").write_text("mine")
    before = files_of(tmp_path)
    done = docs(out, "--rules", str(CONTRAST))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"cds: --out: {out} is no")
    assert done.stderr.endswith("accepted: a folder that is empty, not there yet, or a rule book\n")
    assert files_of(tmp_path) == before


def test_a_folder_below_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = docs(tmp_path / "file" / "out", "--rules", str(CONTRAST))
    assert done.returncode == 2
    assert done.stderr.startswith("cds: --out: ")
    assert "Traceback" not in done.stderr


def test_of_a_broken_pack_nothing_is_written_and_every_error_told(
    tmp_path: Path, pack: Path
) -> None:
    edit(pack / "monitor" / "vitamin.yaml", "title: ", "tittle: ")
    edit(pack / "sources.yaml", "T1: Invented", 'T1: ""\nT9: Invented')
    out = tmp_path / "out"
    done = docs(out, "--rules", str(pack))
    assert (done.returncode, done.stdout) == (2, "")
    assert "monitor/vitamin.yaml:2:1: 'tittle' is no key of a rule" in done.stderr
    assert "sources.yaml:1:5: 'T1' cites nothing" in done.stderr
    assert done.stderr.endswith("cds: the rules cannot be used: 3 errors in the rules\n")
    assert not out.exists()


# -- a site ----------------------------------------------------------------------------------------


def test_a_site_sees_its_own_numbers_and_what_it_switched_off(tmp_path: Path) -> None:
    config = tmp_path / "site.yaml"
    config.write_text("parameters: {hold-days: 4 days}\ndisable: [beyond-sources]\n")
    out = tmp_path / "out"
    assert docs(out, "--config", str(config)).returncode == 0
    numbers = Html(out / "numbers.html").text
    assert "hold-days 4 days set by the site 2 to 4 days" in numbers
    assert "hold-hours 96 hours set by the site" in numbers
    assert numbers.count("set by the site") == 2
    off = Html(out / "rules" / "opioid.recent-exposure.html")
    assert "off here" in off.text
    assert "off unless a site asks for it" not in off.text
    assert '<article class="card warning"' in off.path.read_text("utf-8")
    assert "off here" not in Html(out / "rules" / "periop.plan-hold-ahead.html").text
    assert "4 days" in Html(out / "operations.html").text


# -- links of cards ---------------------------------------------------------------------------------


def cards_with(tmp_path: Path, config: str) -> list[dict[str, object]]:
    """The cards of an order beside an opioid, as `cds check` gives them at a site."""
    record = bundle(
        person(),
        draft("d1", "naltrexone 1.5 MG Oral Capsule", 1.5),
        order("o1", "oxycodone hydrochloride 5 MG Oral Tablet"),
    )
    (tmp_path / "record.json").write_text(json.dumps(record))
    (tmp_path / "site.yaml").write_text(config)
    when = ("--as-of", "2026-06-10T10:00:00-04:00", "--timezone", "America/New_York")
    command = ("cds", "check", str(tmp_path / "record.json"), "--format", "json", *when)
    done = subprocess.run(
        [sys.executable, "-m", *command, "--config", str(tmp_path / "site.yaml")],
        cwd=ROOT,
        capture_output=True,
        check=True,
        timeout=120,
    )
    cards: list[dict[str, object]] = json.loads(done.stdout)["cards"]
    assert cards
    return cards


def test_card_links_are_pages_of_the_book_below_the_sites_address(
    tmp_path: Path, site: Site
) -> None:
    (card, *_) = cards_with(tmp_path, "evidence-url: https://intranet.example.org/ldn/\n")
    assert card["links"] == [
        {
            "label": "Opioids and naltrexone",
            "url": "https://intranet.example.org/ldn/opioids.html",
            "type": "absolute",
        }
    ]
    assert "opioids.html" in site.pages


def test_without_an_address_the_reference_stands_in_the_detail(tmp_path: Path) -> None:
    (card, *_) = cards_with(tmp_path, "timezone: America/New_York\n")
    assert "links" not in card
    assert "Source document S0, clinical summary, Clinical considerations" in str(card["detail"])
    assert "Naumann 2023, Pain Medicine Case Reports 7:352-356" in str(card["detail"])


# -- another pack ----------------------------------------------------------------------------------


@pytest.fixture
def contrast(tmp_path: Path, pack: Path) -> Path:
    """The second pack's book, with attributes and a history of its own."""
    edit(
        pack / "pack.yaml",
        "canonical:",
        "developer: The <b>developer</b>\nfunding: A fund\ndate: 2026-01-02\n"
        "attributes: {health-status: [vitamin]}\ncanonical:",
    )
    edit(
        pack / "monitor" / "vitamin.yaml",
        "owner: test\n",
        "owner: test\nhistory:\n  - {version: 0.9.0, date: 2025-05-05, says: First <i>draft</i>.}\n",
    )
    out = tmp_path / "out"
    done = docs(out, "--rules", str(pack))
    assert (done.returncode, done.stderr) == (0, "")
    return out


def test_a_pack_without_evidence_pages_has_a_whole_book(contrast: Path) -> None:
    site = Site(contrast)
    dead = [found for name, page in site.pages.items() for found in site.dead(page.links, name)]
    assert dead == []
    assert [fault for page in site.pages.values() for fault in page.faults] == []
    assert "This pack lists no statements." in site.pages["statements.html"].text


def test_attributes_follow_from_what_a_rule_reads(contrast: Path) -> None:
    text = Html(contrast / "rules" / "monitor.vitamin.html").text
    table = text.partition("Attribute Here")[2].partition("History")[0]
    assert "2 Developer The <b>developer</b>" in table
    assert "3 Funding source of the implementation A fund" in table
    assert "4 Release and revision dates Version 1.0.0, released 2025-05-05, reviewed" in table
    assert "10 Sex Not used." in table
    born = table.partition("11 Date of birth ")[2].partition("12 Social")[0]
    assert born == "Used. In the word old : its age is at least 65 "
    status = table.partition("13 Health status assessments ")[2]
    assert status.startswith("Used. In this rule: a result of the class vitamin , that is in time")
    other = Html(contrast / "rules" / "contrast.allergy.html").text
    assert other.count("Not used.") == 9


def test_text_of_a_pack_is_shown_as_it_stands(contrast: Path) -> None:
    page = (contrast / "rules" / "monitor.vitamin.html").read_text("utf-8")
    assert "First &lt;i&gt;draft&lt;/i&gt;." in page
    assert "<i>draft" not in page
    assert (
        "0.9.0 2025-05-05: First <i>draft</i>."
        in Html(contrast / "rules" / "monitor.vitamin.html").text
    )
