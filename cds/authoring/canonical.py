"""The canonical form of a pack's file: indentation, quotes, order of keys, width of lines.

What is its author's own stays: comments, empty lines (one at most), whether a mapping stands in
braces or on lines of its own, where prose and lists of words break. What does not fit the width is
laid out anew: braces become lines, lists of words are filled, prose is folded.
"""

from __future__ import annotations

from collections.abc import Iterator

from cds.authoring.scalar import can_fold, fold, refold, write_key, write_scalar
from cds.authoring.source import Comment, Entry, Group, Part, Scalar, Source
from cds.rulebook.layout import Shape, shape_of

WIDTH = 120


def render_source(source: Source) -> str:
    """The file's text. The same text comes of it again."""
    root = source.root
    entries = _entries(root)
    names = {entry.key.text for entry in entries if entry.key is not None}
    head = [*_comments(source.head, 0)]
    if head and entries and _is_spaced(entries[0]):
        head.append("")
    lines = [*head, *_part(root, shape_of(names), 0)]
    lines += _comments(source.tail, 0)
    return "\n".join(_single_spaced(lines)) + "\n"


def _is_spaced(entry: Entry) -> bool:
    """Whether an empty line stands before the entry and its comments."""
    return entry.above[0].spaced if entry.above else entry.spaced


def _entries(part: Part) -> list[Entry]:
    return part.entries if isinstance(part, Group) and part.is_mapping else []


def _single_spaced(lines: list[str]) -> Iterator[str]:
    """The lines without empty ones at the ends; the parts never write two in a row."""
    last = max((number for number, line in enumerate(lines) if line), default=-1)
    started = False
    for line in lines[: last + 1]:
        started = started or bool(line)
        if started:
            yield line


def _comments(comments: list[Comment], indent: int) -> Iterator[str]:
    for comment in comments:
        if comment.spaced:
            yield ""
        yield " " * indent + comment.text


def _part(part: Part, shape: Shape, indent: int) -> list[str]:
    """A whole part on lines of its own."""
    if isinstance(part, Scalar):
        first, *rest = _scalar_lines(part, shape, indent)
        return [" " * indent + first, *rest]
    if part.flow:
        line = _inline(part, shape)
        if line is not None and len(line) + indent <= WIDTH:
            return [" " * indent + line]
        if _is_of_words(part):
            words = _words(part, shape)
            # A word with no room in brackets stands on lines of its own, where it can be folded.
            if max(map(len, words)) <= WIDTH - indent - 2:
                return _word_lines(part, words, indent)
        if not part.entries:
            return [
                " " * indent + ("{}" if part.is_mapping else "[]"),
                *_comments(part.below, indent),
            ]
    return list(_block(part, shape, indent))


# -- what stands on lines of its own ---------------------------------------------------------------


def _block(group: Group, shape: Shape, indent: int) -> Iterator[str]:
    for number, entry in enumerate(_ordered(group, shape)):
        named = entry.key is not None and entry.key.text in shape.spaced
        above = list(_comments(entry.above, indent))
        if above and not above[0]:
            above.pop(0)
        if number and (named or _is_spaced(entry)):
            yield ""
        yield from above
        if above and entry.spaced:
            yield ""
        yield from _entry(entry, shape, indent)
    yield from _comments(group.below, indent)


def _ordered(group: Group, shape: Shape) -> list[Entry]:
    if not group.is_mapping or not shape.order:
        return group.entries
    place = {key: number for number, key in enumerate(shape.order)}
    return sorted(
        group.entries,
        key=lambda entry: place.get(entry.key.text if entry.key else "", len(place)),
    )


def _entry(entry: Entry, shape: Shape, indent: int) -> list[str]:
    """A pair or an item, with the comment at the end of its first line."""
    lines = _pair(entry, shape, indent) if entry.key is not None else _item(entry, shape, indent)
    in_list = entry.key is None and isinstance(entry.value, Group) and entry.value.flow
    if entry.beside and in_list and len(lines) > 1:
        # The first line ends within brackets: a comment there would be one of theirs.
        return [" " * indent + entry.beside, *lines]
    if entry.beside:
        lines[0] += f"  {entry.beside}"
    return lines


def _pair(entry: Entry, shape: Shape, indent: int) -> list[str]:
    assert entry.key is not None
    name = write_key(entry.key, shape.quotes, flow=False)
    start, below = " " * indent + name + ":", shape.below(entry.key.text)
    value = entry.value
    if isinstance(value, Scalar):
        return _named(start, _scalar_lines(value, below, indent + 2), indent)
    line = _inline(value, below)
    if line is not None and len(start) + 1 + len(line) <= WIDTH:
        return [f"{start} {line}"]
    if not value.entries:
        return [
            f"{start} {'{}' if value.is_mapping else '[]'}",
            *_comments(value.below, indent + 2),
        ]
    return [start, *_part(value, below, indent + 2)]


def _named(start: str, lines: list[str], indent: int) -> list[str]:
    """A key with its scalar: beside it, or below where one line has no room there."""
    if len(lines) == 1 and len(start) + 1 + len(lines[0]) > WIDTH:
        return [start, " " * (indent + 2) + lines[0]]
    return [f"{start} {lines[0]}".rstrip(), *lines[1:]]


def _item(entry: Entry, shape: Shape, indent: int) -> list[str]:
    lines = _part(entry.value, shape, indent + 2)
    first = lines[0].lstrip(" ") if lines else ""
    if first.startswith("#"):  # a comment cannot stand between the dash and what it marks
        return [" " * indent + "-", *lines]
    return [(" " * indent + "- " + first).rstrip(), *lines[1:]]


def _scalar_lines(scalar: Scalar, shape: Shape, indent: int) -> list[str]:
    """A scalar's first line, bare, and those that follow, indented."""
    if scalar.style in ("|", ">"):
        lines = list(scalar.lines)
        if scalar.style == ">":
            lines = refold(scalar.lines, WIDTH - indent)
        return [scalar.header, *(" " * indent + line if line else "" for line in lines)]
    line = write_scalar(scalar, shape.quotes, flow=False)
    if indent + len(line) <= WIDTH or not can_fold(scalar.text):
        return [line]
    return [">-", *(" " * indent + line for line in fold(scalar.text, WIDTH - indent))]


# -- what stands in brackets or braces -------------------------------------------------------------


def _inline(part: Part, shape: Shape) -> str | None:
    """The part on one line; None for what cannot or should not be: blocks, lists over lines."""
    if isinstance(part, Scalar):
        if part.style in ("|", ">"):
            return None
        return write_scalar(part, shape.quotes, flow=True)
    if (not part.flow and part.entries) or part.broken or part.below:
        return None
    if _is_of_words(part) and part.entries[0].line != part.entries[-1].line:
        return None
    return _flow(part, shape)


def _flow(group: Group, shape: Shape) -> str | None:
    found: list[str] = []
    for entry in _ordered(group, shape):
        if entry.key is None:
            value = _inline(entry.value, shape)
            if value is None:
                return None
            found.append(value or '""')
            continue
        name = write_key(entry.key, shape.quotes, flow=True)
        value = _inline(entry.value, shape.below(entry.key.text))
        if value is None:
            return None
        found.append(f"{name}: {value}".rstrip())
    words = ", ".join(found)
    if group.bare:
        return words
    return f"{{{words}}}" if group.is_mapping else f"[{words}]"


def _is_of_words(group: Group) -> bool:
    """Whether it is a list in brackets of nothing but words, without comments among them."""
    if not group.flow or group.is_mapping or group.broken or not group.entries:
        return False
    return all(isinstance(entry.value, Scalar) for entry in group.entries)


def _words(group: Group, shape: Shape) -> list[str]:
    return [
        write_scalar(entry.value, shape.quotes, flow=True) or '""'
        for entry in group.entries
        if isinstance(entry.value, Scalar)
    ]


def _word_lines(group: Group, words: list[str], indent: int) -> list[str]:
    """A list of words over several lines: as its author broke it if that fits, else filled."""
    room = WIDTH - indent - 2
    rows: list[str] = []
    line = -1
    for entry, word in zip(group.entries, words, strict=True):
        if rows and entry.line == line:
            rows[-1] += f", {word}"
        else:
            rows.append(word)
        line = entry.line
    if len(rows) == 1 or any(len(row) > room for row in rows):
        rows = []
        for word in words:
            if rows and len(rows[-1]) + 2 + len(word) <= room:
                rows[-1] += f", {word}"
            else:
                rows.append(word)
    rows = [f"{row}," for row in rows[:-1]] + [f"{rows[-1]}]"]
    return [" " * indent + (" " if number else "[") + row for number, row in enumerate(rows)]
