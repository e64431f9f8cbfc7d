"""A YAML file as its author wrote it: what it says, with the comments and empty lines beside it.

Other readers of a pack want what a file says and where; this one is for writing it again. A file of
a pack is one plain document: anchors, aliases and tags are refused rather than lost.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator

import msgspec
import yaml

from cds.rulebook.document import LOADER
from cds.values.problem import Place

_COMMENT = re.compile(r"(?:^|(?<=\s))#[^\n\r]*")
_HEADER = re.compile(r"[|>][-+\d]*")
# Space at the end of a line, and characters that end a line for some readers and not for others.
_ODD = re.compile(r"\s$|[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff]")


class SourceError(Exception):
    """A file that cannot be written again: ``what`` is in it at ``place``."""

    def __init__(self, place: Place, what: str, accepted: str) -> None:
        super().__init__(what)
        self.place, self.what, self.accepted = place, what, accepted


class Comment(msgspec.Struct):
    """A comment on a line of its own, with its ``#``; ``spaced``: an empty line stands before."""

    text: str
    spaced: bool = False


class Scalar(msgspec.Struct):
    """A text with its style: ``"`` or ``'``, ``|`` or ``>``, "" for none.

    ``lines`` and ``header`` are those of a block, without the indentation of its first line.
    """

    text: str
    style: str = ""
    header: str = ""
    lines: tuple[str, ...] = ()


class Entry(msgspec.Struct):
    """One pair of a mapping or one item of a list (``key`` None), with what stands around it."""

    key: Scalar | None
    value: Part
    line: int
    above: list[Comment] = msgspec.field(default_factory=list)
    beside: str = ""
    spaced: bool = False


class Group(msgspec.Struct):
    """A mapping or a list. ``flow``: in brackets or braces; ``bare``: a pair without its braces.

    ``below`` are the comments after its last entry; ``broken`` tells of comments within brackets.
    """

    is_mapping: bool
    flow: bool
    bare: bool = False
    broken: bool = False
    entries: list[Entry] = msgspec.field(default_factory=list)
    below: list[Comment] = msgspec.field(default_factory=list)


Part = Scalar | Group


class Source(msgspec.Struct):
    """A whole file: the comments at its head, and what it says."""

    root: Part
    head: list[Comment] = msgspec.field(default_factory=list)
    tail: list[Comment] = msgspec.field(default_factory=list)

    def comments(self) -> list[str]:
        """The texts of all comments, sorted."""
        found = [comment.text for comment in (*self.head, *self.tail)]
        return sorted([*found, *_comments(self.root)])


def _comments(part: Part) -> Iterator[str]:
    if isinstance(part, Scalar):
        return
    for entry in part.entries:
        yield from (comment.text for comment in entry.above)
        if entry.beside:
            yield entry.beside
        yield from _comments(entry.value)
    yield from (comment.text for comment in part.below)


def read_source(text: str, name: str = "") -> Source:
    """What a file says, comments and empty lines included.

    The text must be one YAML document that `parse_document` reads. Raises SourceError for what is
    not kept: anchors, aliases, tags.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    builder = _Builder(text, name)
    events = iter(yaml.parse(text, Loader=LOADER))
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            break
    root = builder.part(next(events), events, [])
    return builder.finish(root)


class _Slot(msgspec.Struct):
    """Where an entry and its value begin, and the groups that it is in, outermost first."""

    entry: Entry
    index: int
    column: int
    path: tuple[tuple[Group, int], ...]
    value: int = 0

    @property
    def in_block(self) -> bool:
        return not any(group.flow for group, _ in self.path)

    def waits(self, index: int) -> bool:
        """Whether there, before its value, nothing else of the block can begin."""
        nested = isinstance(self.entry.value, Group) and not self.entry.value.flow
        return index < self.value and not nested


class _Builder:
    """Builds the parts of a file from the parser's events; then gives each comment its place."""

    def __init__(self, text: str, name: str) -> None:
        self._text = text
        self._name = name
        self._starts = [0, *(found.end() for found in re.finditer("\n", text))]
        self._slots: list[_Slot] = []
        self._covered: list[tuple[int, int]] = []  # where scalars stand: no comment is in there
        self._flows: list[tuple[int, int, Group]] = []

    # -- parts ------------------------------------------------------------------------------------

    def part(
        self, event: yaml.Event, events: Iterator[yaml.Event], path: list[tuple[Group, int]]
    ) -> Part:
        self._refuse(event)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        if isinstance(event, yaml.MappingStartEvent):
            return self._group(event, events, path, is_mapping=True)
        return self._group(event, events, path, is_mapping=False)

    def _refuse(self, event: yaml.Event) -> None:
        what = ""
        if isinstance(event, yaml.AliasEvent):
            what = f"the alias '*{event.anchor}'"
        elif isinstance(event, yaml.NodeEvent) and event.anchor:
            what = f"the anchor '&{event.anchor}'"
        elif getattr(event, "tag", None):
            what = f"the tag '{event.tag}'"  # type: ignore[attr-defined]
        if what:
            raise SourceError(
                self._where(event), f"{what} cannot be kept", "the value, written out"
            )

    def _where(self, event: yaml.Event) -> Place:
        index = _start(event)
        line = bisect_right(self._starts, index) - 1
        return Place(self._name, line + 1, index - self._starts[line] + 1)

    def _group(
        self,
        event: yaml.Event,
        events: Iterator[yaml.Event],
        path: list[tuple[Group, int]],
        *,
        is_mapping: bool,
    ) -> Group:
        start = _start(event)
        flow = bool(getattr(event, "flow_style", False))
        bare = is_mapping and flow and not self._text.startswith("{", start)
        group = Group(is_mapping, flow, bare)
        inner = [*path, (group, self._where(event).column - 1)]
        for first in events:
            if isinstance(first, yaml.CollectionEndEvent):
                if group.flow and not bare:
                    self._flows.append((start, _end(first), group))
                break
            if is_mapping:
                group.entries.append(self._pair(first, events, inner))
            else:
                group.entries.append(self._item(first, events, inner, flow=group.flow))
        return group

    def _pair(
        self, first: yaml.Event, events: Iterator[yaml.Event], path: list[tuple[Group, int]]
    ) -> Entry:
        self._refuse(first)
        if not isinstance(first, yaml.ScalarEvent):
            raise SourceError(self._where(first), "a key must be a word", "a scalar key")
        slot = self._open(first, path)
        slot.entry.key = self._scalar(first)
        return self._close(slot, next(events), events, path)

    def _item(
        self,
        first: yaml.Event,
        events: Iterator[yaml.Event],
        path: list[tuple[Group, int]],
        *,
        flow: bool,
    ) -> Entry:
        # The dash, not what follows it: comments before the item stand at the dash's column.
        at = None if flow else self._text.rfind("-", 0, _start(first))
        return self._close(self._open(first, path, at), first, events, path)

    def _open(
        self, event: yaml.Event, path: list[tuple[Group, int]], index: int | None = None
    ) -> _Slot:
        at = _start(event) if index is None else index
        line = bisect_right(self._starts, at) - 1
        entry = Entry(None, Scalar(""), line)
        entry.spaced = self._is_spaced(line)
        self._slots.append(_Slot(entry, at, at - self._starts[line], tuple(path)))
        return self._slots[-1]

    def _close(
        self,
        slot: _Slot,
        event: yaml.Event,
        events: Iterator[yaml.Event],
        path: list[tuple[Group, int]],
    ) -> Entry:
        slot.value = _start(event)
        slot.entry.value = self.part(event, events, path)
        return slot.entry

    def _scalar(self, event: yaml.ScalarEvent) -> Scalar:
        start, end = _start(event), _end(event)
        style = event.style or ""
        if style in ("|", ">"):
            return self._block(event, start)
        self._covered.append((start, end))
        return Scalar(str(event.value), style)

    def _block(self, event: yaml.ScalarEvent, start: int) -> Scalar:
        """A block's lines: down to the first that is indented less than its first one."""
        found = _HEADER.match(self._text, start)
        header = found[0] if found is not None else event.style or ""
        first = self._text.find("\n", start) + 1 or len(self._text)
        lines: list[str] = []
        for line in self._text[first : _end(event)].split("\n"):
            indent = _indent_of(lines)
            inner = len(line) - len(line.lstrip(" "))
            if line.strip() and (inner < indent or not event.value.strip()):
                break
            lines.append(line)
        while lines and not lines[-1].strip():
            lines.pop()
        self._covered.append((first, first + sum(len(line) + 1 for line in lines)))
        indent = max(_indent_of(lines), 0)
        cut = tuple(line[indent:] for line in lines)
        leans = (
            "+" in header
            or re.search(r"\d", header)
            or not cut
            or any(_ODD.search(line) for line in cut)
        )
        # What leans on its own indentation, or on space at its ends, is written in quotes.
        return Scalar(str(event.value), '"' if leans else event.style or "", header, cut)

    # -- comments ---------------------------------------------------------------------------------

    def finish(self, root: Part) -> Source:
        """The source, each comment with the entry that it is about."""
        source = Source(root)
        self._slots.sort(key=lambda slot: slot.index)
        starts = [slot.index for slot in self._slots]
        for found in self._found_comments():
            self._place(found.start(), found[0].rstrip(), starts, source)
        return source

    def _found_comments(self) -> Iterator[re.Match[str]]:
        """What begins with ``#`` between the scalars, where nothing but marks and space stands."""
        reached = 0
        for start, end in [*sorted(self._covered), (len(self._text), len(self._text))]:
            yield from _COMMENT.finditer(self._text, reached, start)
            reached = max(reached, end)

    def _place(self, index: int, text: str, starts: list[int], source: Source) -> None:
        line = bisect_right(self._starts, index) - 1
        own_line = not self._text[self._starts[line] : index].strip()
        comment = Comment(text, self._is_spaced(line))
        number = bisect_right(starts, index)
        flow = self._flow_at(index)
        before = next((slot for slot in reversed(self._slots[:number]) if slot.in_block), None)
        if flow is not None:
            self._place_in_flow(flow, comment, index, own_line=own_line)
        elif number == 0:
            source.head.append(comment)
        elif before is None:
            source.tail.append(comment)
        elif not own_line and not before.entry.beside:
            # At the end of a line: of the innermost block entry before it.
            before.entry.beside = text
        elif not own_line or before.waits(index):
            before.entry.above.append(comment)
        else:
            after = next((slot for slot in self._slots[number:] if slot.in_block), None)
            column = index - self._starts[line]
            self._place_in_block(comment, before, after, column, source)

    def _place_in_flow(self, flow: Group, comment: Comment, index: int, *, own_line: bool) -> None:
        flow.broken = True
        own = [slot for slot in self._slots if slot.path[-1][0] is flow]
        before = [slot for slot in own if slot.index < index]
        after = [slot for slot in own if slot.index > index]
        if before and not own_line and not before[-1].entry.beside:
            before[-1].entry.beside = comment.text
        elif before and before[-1].waits(index):
            before[-1].entry.above.append(comment)
        elif after:
            after[0].entry.above.append(comment)
        else:
            flow.below.append(comment)

    def _place_in_block(
        self, comment: Comment, before: _Slot, after: _Slot | None, column: int, source: Source
    ) -> None:
        """A comment on a line of its own: of what follows, or the end of what it is indented as."""
        least = after.column if after is not None else -1
        ended = [group for group, at in before.path if not group.flow and least < at <= column]
        if after is not None and (column <= least or not ended):
            after.entry.above.append(comment)
        elif ended:
            ended[-1].below.append(comment)
        else:
            source.tail.append(comment)

    def _flow_at(self, index: int) -> Group | None:
        inside = [(start, group) for start, end, group in self._flows if start < index < end]
        return max(inside, key=lambda found: found[0])[1] if inside else None

    def _is_spaced(self, line: int) -> bool:
        if line == 0:
            return False
        return not self._text[self._starts[line - 1] : self._starts[line]].strip()


def _start(event: yaml.Event) -> int:
    return event.start_mark.index if event.start_mark is not None else 0


def _end(event: yaml.Event) -> int:
    return event.end_mark.index if event.end_mark is not None else 0


def _indent_of(lines: list[str]) -> int:
    """The indentation of the first line that is not empty; -1 when there is none."""
    for line in lines:
        if line.strip():
            return len(line) - len(line.lstrip(" "))
    return -1
