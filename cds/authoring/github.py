"""GitHub's workflow commands: problems and failed scenarios as annotations at their lines."""

from __future__ import annotations

from pathlib import Path

from cds.values.problem import Place, Problem, Severity

_DATA = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_PROPERTY = {**_DATA, ":": "%3A", ",": "%2C"}


def annotation(problem: Problem, root: Path) -> str:
    """One line that GitHub shows beside the problem's line; ``root`` is the pack's folder."""
    level = "error" if problem.severity is Severity.ERROR else "warning"
    accepted = f"; accepted: {problem.accepted}" if problem.accepted else ""
    return _command(level, problem.where, root, "", f"{problem.what}{accepted}")


def failure(place: Place, root: Path, title: str, text: str) -> str:
    """One line for a scenario that failed."""
    return _command("error", place, root, title, text)


def _command(level: str, place: Place, root: Path, title: str, text: str) -> str:
    properties = {
        "file": shown_path(root, place.file),
        "line": str(place.line or 1),
        "col": str(place.column or 1),
    }
    if title:
        properties["title"] = title
    told = ",".join(f"{name}={_escape(value, _PROPERTY)}" for name, value in properties.items())
    return f"::{level} {told}::{_escape(text, _DATA)}"


def shown_path(root: Path, name: str) -> str:
    """A pack's file as seen from the current folder, where a reader of results looks for it."""
    path = root / name
    here = Path.cwd()
    inside = path.resolve().is_relative_to(here)
    return (path.resolve().relative_to(here) if inside else path).as_posix()


def _escape(text: str, table: dict[str, str]) -> str:
    return "".join(table.get(char, char) for char in text)
