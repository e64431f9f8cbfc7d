"""The author's commands that write files: what `cds fmt` and `cds new` take and call."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from cds.options import Rules, Stop


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
