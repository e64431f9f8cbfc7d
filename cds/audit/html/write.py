"""``report.html``: one file that needs nothing else, written patient by patient."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import IO, Any

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from cds.audit.html import content
from cds.audit.html.advice import advice
from cds.audit.html.chosen import Chosen, choose, read
from cds.audit.html.packed import Texts, packed
from cds.audit.html.person import Person, person
from cds.audit.html.wording import wording
from cds.audit.results import PROBLEMS, REPORT
from cds.audit.strata import judged
from cds.audit.timeline import SEVEREST
from cds.cards.judge import Setting
from cds.cards.wire import encode
from cds.engine.value import render_days
from cds.values.moment import DayRange

MOST_PATIENTS, MOST_BYTES = 10_000, 48 * 1024 * 1024
"""So many patients, with so many bytes of lines, are in the page; more are counted."""
PLAIN = 20
"""So many of them stand in the page as they are, for paper and where no script runs."""
_MOST_UNREAD = 20


def write_report(scratch: Path, summary: Mapping[str, Any], setting: Setting) -> None:
    """Writes ``report.html`` from the lines in ``scratch``; raises OSError.

    Not more than ``MOST_PATIENTS`` patients are in it, and one of them in memory; the texts that
    they share are.
    """
    chosen = choose(scratch, MOST_PATIENTS, MOST_BYTES)
    head, here, foot = _page(scratch, summary, setting, chosen).partition(_HERE)
    with (scratch / REPORT).open("wb") as file:
        file.write(_bytes(head))
        if here:
            found = read(scratch, chosen.places)
            _write_people(file, (person(line, findings) for line, findings in found))
        file.write(_bytes(foot))


_HERE = "<!-- patients -->"


def _page(scratch: Path, summary: Mapping[str, Any], setting: Setting, chosen: Chosen) -> str:
    """The page with a place for the patients' data."""
    rulebook = setting.rulebook
    rules = content.ruled(summary, rulebook)
    unclear = content.undecided(rules)
    first = read(scratch, chosen.places[:PLAIN])
    style, script = _asset("report.css"), _asset("report.js")
    of = wording(summary)
    paper = _paper(summary)
    # What is for passing on says nothing of single patients, nor how their files are called.
    withheld = summary.get("suppressed") is not None
    return (
        _environment()
        .get_template("report.html")
        .render(
            summary=summary,
            pack=rulebook.pack,
            engine=setting.engine,
            rules=rules,
            undecided=unclear,
            levels=SEVEREST,
            charts={
                "findings": content.findings_chart(rules),
                "decided": content.decided_chart(rules, judged(summary)),
                "coverage": content.coverage_chart(summary),
            },
            problems=content.problem_rows(summary),
            unread=[] if withheld else _unread(scratch / PROBLEMS),
            advice=advice(summary, rules, unclear),
            of=of,
            judged=judged(summary),
            unjudged=content.unjudged(summary),
            people=[] if withheld else [person(line, found) for line, found in first],
            chosen=chosen,
            style=Markup(style),  # noqa: S704 - our own file
            script=Markup(script),  # noqa: S704 - our own file
            style_digest=_digest(style),
            script_digest=_digest(script),
            here=Markup(_HERE),  # noqa: S704 - our own text
            as_of=_day(summary["asOf"]),
            strata=content.strata_charts(summary),
            states=[(state, state) for state in content.states(summary)],
            withheld=withheld,
            paper=Markup(paper),  # noqa: S704 - a CSS string of ours
            paper_digest=_digest(paper),
        )
    )


def _bytes(text: str) -> bytes:
    """UTF-8; half a surrogate pair, which it does not have, is a question mark."""
    return text.encode("utf-8", "replace")


def _write_people(file: IO[bytes], people: Iterable[Person]) -> None:
    """The patients as JSON that no browser takes for anything else, then the texts they share."""
    texts = Texts()
    file.write(b'<script type="application/json" id="people">[')
    for number, one in enumerate(people):
        file.write((b",\n" if number else b"\n") + _harmless(encode(packed(one, texts))))
    file.write(b']</script>\n<script type="application/json" id="texts">')
    file.write(_harmless(encode(list(texts.places))))
    file.write(b"</script>\n")


def _harmless(data: bytes) -> bytes:
    """JSON without a character that could end its element or begin another."""
    return data.replace(b"<", b"\\u003c").replace(b">", b"\\u003e").replace(b"&", b"\\u0026")


class _Problem(msgspec.Struct):
    file: str
    what: str
    severity: str


def _unread(path: Path) -> list[_Problem]:
    """The first errors, by file."""
    decode = msgspec.json.Decoder(_Problem).decode
    found: list[_Problem] = []
    with path.open("rb") as file:
        for line in file:
            if b'"error"' in line and (problem := decode(line)).severity == "error":
                found.append(problem)
                if len(found) == _MOST_UNREAD:
                    break
    return found


def _day(instant: str) -> str:
    moment = datetime.fromisoformat(instant)
    return f"{render_days(DayRange.of(moment.date()))} {moment:%H:%M}"


_PAPER = """
@page {{
  @top-left {{ content: "{left}"; {small} }}
  @top-right {{ content: "{right}"; {small} }}
  @bottom-left {{ content: "{digest}"; {small} }}
  @bottom-right {{ content: counter(page) " / " counter(pages); {small} }}
}}
"""
_SMALL = "font: 7.5pt sans-serif; color: #3a4350;"


def _paper(summary: Mapping[str, Any]) -> str:
    """The running head and foot of printed pages: pack, digest, instant judged for."""
    until = "orders up to" if summary["orders"] is not None else "judged for"
    return _PAPER.format(
        left=_css(f"Audit report, {summary['pack']}"),
        right=_css(f"{until} {summary['asOf']} ({summary['timezone']})"),
        digest=_css(f"digest {summary['rulebook']}"),
        small=_SMALL,
    )


def _css(text: str) -> str:
    """The text inside a CSS string, where neither it nor its element can end."""
    return "".join(
        char if char.isalnum() or char in " .,:()/+-_" else f"\\{ord(char):06x}" for char in text
    )


@cache
def _environment() -> Environment:
    found = Environment(
        loader=PackageLoader("cds.audit.html"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters["say"] = content.say
    found.globals["by_level"] = content.by_level
    return found


@cache
def _asset(name: str) -> str:
    return (files("cds.audit.html") / "assets" / name).read_text("utf-8")


def _digest(text: str) -> str:
    """What a Content-Security-Policy knows an inline element by."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
