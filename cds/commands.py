"""The author's commands that write files: what `cds fmt` and `cds new` take and call."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from cds.options import Rules, Stop, now


def fmt(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Files or folders, or - for standard input [default: --rules, else the pack that"
            " the current folder lies in, else the shipped one].",
            metavar="[PATH]…",
        ),
    ] = None,
    rules: Rules = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; list what would change, exit 1.")
    ] = False,
    diff: Annotated[
        bool, typer.Option("--diff", help="Write nothing; show what would change, exit 1.")
    ] = False,
) -> None:
    """Write the files of a rule pack in their canonical form.

    Indentation, quotes, order of keys and lines of 120 letters; comments, empty lines and meaning
    stay.
    """
    from cds.authoring.formatter import (
        STDIN,
        Formatting,
        format_files,
        format_stream,
        pack_files,
    )

    how = Formatting(check, diff)
    chosen = paths or [rules or nearest_pack()]
    if [str(path) for path in chosen] == [STDIN]:
        raise typer.Exit(format_stream(_stdin(), how))
    missing = next((path for path in chosen if not path.exists()), None)
    if missing is not None:
        raise Stop(f"{missing}: there is no such file or folder")
    files = [file for path in chosen for file in pack_files(path)]
    if not files:
        raise Stop(f"{chosen[0]}: no rule pack is there; accepted: files, a folder with pack.yaml")
    raise typer.Exit(format_files(dict.fromkeys(files), how))


def new(
    rule: Annotated[
        str | None, typer.Argument(help="Id of the rule: GROUP.NAME, lower case.", metavar="[RULE]")
    ] = None,
    rules: Rules = None,
    pack: Annotated[
        Path | None,
        typer.Option("--pack", help="Begin a pack of your own in this folder, new or empty."),
    ] = None,
    problem: Annotated[
        str | None,
        typer.Option(
            "--problem",
            help="What the rule's findings are about, in precedence.yaml [default: a new one].",
            metavar="NAME",
        ),
    ] = None,
) -> None:
    """Begin a rule, with its scenarios beside it, or with --pack a whole pack.

    The rule is a draft that is checked and judges nobody; TODO marks what is to be written.
    """
    from cds.authoring.scaffold import ScaffoldError, new_pack, new_rule

    if rule is None and pack is None:
        raise Stop("nothing to begin; accepted: the id of a rule, or --pack DIR")
    if rules is not None and pack is not None:
        raise Stop("--rules and --pack name two packs; accepted: one of them")
    today = now().date()
    try:
        begun = [new_pack(pack, today)] if pack is not None else []
        if rule is not None:
            begun.append(new_rule(pack or rules or _own_pack(), rule, problem or "", today))
    except ScaffoldError as error:
        raise Stop(str(error)) from error
    for scaffold in begun:
        for path in scaffold.written:
            typer.echo(f"written: {path}")
        for path in scaffold.changed:
            typer.echo(f"changed: {path}")
    for number, step in enumerate(begun[-1].steps, 1):
        typer.echo(f"{number}. {step}")


def _own_pack() -> Path:
    """The pack that the current folder lies in, else a checkout's; never an installed one."""
    from cds.rulebook.pack import shipped_pack

    found = pack_above(Path()) or shipped_pack()
    if found.name == "_rules":
        raise Stop(
            "the shipped rules are part of an installation; accepted: --rules DIR, --pack DIR"
        )
    return found


def _stdin() -> str:
    try:
        return sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError as error:
        raise Stop(f"standard input cannot be read: {error}; accepted: UTF-8 text") from error


def pack_above(path: Path) -> Path | None:
    """The pack that a path lies in: the nearest folder at or above it with a pack.yaml."""
    start = path.resolve()
    folders = (start, *start.parents)
    return next((folder for folder in folders if (folder / "pack.yaml").is_file()), None)


def nearest_pack() -> Path:
    """The pack that the current folder lies in, else the shipped one."""
    from cds.rulebook.pack import shipped_pack

    return pack_above(Path()) or shipped_pack()
