"""Text for the ``detail`` of a card: GitHub Flavored Markdown that nobody else's text can steer.

Names and notes from a record come from outside; clients render Markdown and raw HTML, so such
text goes through ``escape`` and shows as the characters that it has. ``summary`` is plain text:
there ``clean`` is enough. Lengths are counted before escaping: ``escape(cap(text, 40))``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

_ELLIPSIS = "…"
# A word joiner has no width and breaks no line. A backslash would not do: some renderers look
# for bare addresses after escapes are resolved.
_JOINER = "\N{WORD JOINER}"

_SPACE = re.compile(r"\s+")
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_INLINE = re.compile(r"[\\`*_\[\]|~$^]|!(?=\[|\Z)")
_ORDERED_ITEM = re.compile(r"([0-9]+)([.)])(?=\s|\Z)")
_BLOCK_MARKS = ("-", "+", "#", "=", ":")
_ADDRESS = re.compile(
    r"(?<=http)(?=:)|(?<=https)(?=:)|(?<=ftp)(?=:)|(?<=mailto)(?=:)|(?<=xmpp)(?=:)"
    r"|(?<=www)(?=\.)|(?<=/)(?=/)|(?<=\S@)(?=\S)|(?<=\S\.)(?=[^\W\d_])",
    re.IGNORECASE,
)


def clean(text: str) -> str:
    """``text`` on one line: whitespace folded, control, format and unassigned characters gone.

    Format characters include the overrides of writing direction, with which "10" reads as "01".
    """
    folded = _SPACE.sub(" ", text)
    if folded.isascii() and folded.isprintable():
        return folded.strip()
    return _SPACE.sub(" ", "".join(filter(str.isprintable, folded))).strip()


def harmless(text: str) -> str:
    """``text`` with its line ends, without other characters that steer a terminal."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(char for char in text if char == "\n" or char.isprintable())


def escape(text: str) -> str:
    """``text`` as Markdown that renders as exactly these characters, on one line.

    Safe at the start of a line, in a list item, in a table cell and inside emphasis, and where a
    client passes HTML through. Bare addresses are kept from becoming links.
    """
    line = _ADDRESS.sub(_JOINER, clean(text))
    return _escape_line_start(_INLINE.sub(r"\\\g<0>", line)).translate(_ENTITIES)


def cap(text: str, limit: int) -> str:
    """``text`` cleaned and cut to at most ``limit`` characters, at a word, with an ellipsis.

    A first word that is itself too long is cut inside. A limit below 1 raises ValueError.
    """
    if limit < 1:
        raise ValueError(f"limit {limit}: must be 1 or more")
    line = clean(text)
    if len(line) <= limit:
        return line
    room = line[: limit - 1]
    words = room if line[limit - 1] == " " else room.rpartition(" ")[0]
    return (words or _whole_characters(room, line)).rstrip(" ,;:-") + _ELLIPSIS


def bullets(lines: Iterable[str]) -> str:
    """A list of ``lines`` (Markdown already), one item each; empty lines are left out."""
    return "\n".join(f"- {line}" for line in lines if line)


def paragraph(*sentences: str) -> str:
    """``sentences`` (Markdown already) run together into one paragraph, empty ones left out."""
    return " ".join(sentence for sentence in sentences if sentence)


def document(*blocks: str) -> str:
    """``blocks`` (paragraphs, lists) with a blank line between each two, empty ones left out."""
    return "\n\n".join(block for block in blocks if block)


def _escape_line_start(line: str) -> str:
    if line.startswith(_BLOCK_MARKS):
        return "\\" + line
    number = _ORDERED_ITEM.match(line)
    return f"{number[1]}\\{line[number.end(1) :]}" if number else line


def _whole_characters(room: str, line: str) -> str:
    """``room`` less a last letter whose accents were cut off."""
    end = len(room)
    while end > 1 and unicodedata.combining(line[end]):
        end -= 1
    return line[:end]
