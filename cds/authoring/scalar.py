"""How a text is written in YAML: plain where that is safe, in quotes, or folded over lines."""

from __future__ import annotations

import re

from cds.authoring.source import Scalar
from cds.rulebook.layout import Quotes

# What some reader of YAML 1.1 or 1.2 takes for a truth, a nothing or a number. Quotes say that it
# is none, so they stay where their author put them. (Dates are text to ours, and stand bare.)
_GUESSED = re.compile(
    r"(?i:true|false|yes|no|on|off|y|n|null|~|[-+]?\.(?:inf|nan)|0[xo][\da-f_]+)"
    r"|[-+]?(?:\d[\d_]*(?:\.[\d_]*)?|\.\d[\d_]*)(?:[eE][-+]?\d+)?"
    r"|[-+]?\d[\d_]*(?::[0-5]?\d)+(?:\.\d*)?"
)
_INDICATORS = frozenset(",[]{}#&*!|>'\"%@`?:=")
_FLOW = frozenset(",[]{}?")
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_NEEDS_ESCAPE = re.compile(r'["\\\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff\ufffe\uffff]')
_UNPLAIN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff\ufffe\uffff]")


def write_scalar(scalar: Scalar, quotes: Quotes, *, flow: bool) -> str:
    """The text on one line; ``flow``: within brackets, where commas and braces mean something."""
    text = scalar.text
    if text == "":
        return "" if scalar.style == "" and quotes is not Quotes.CODES else '""'
    if quotes is Quotes.CODES or not is_plain(text, flow=flow):
        return quoted(text)
    by_author = scalar.style in ('"', "'")
    if by_author and (quotes is Quotes.KEPT or _GUESSED.fullmatch(text)):
        return quoted(text)
    # A brace in a text marks a place to be filled in, which quotes tell from a mapping.
    return quoted(text) if "{" in text and quotes is Quotes.WORDS else text


def write_key(key: Scalar, quotes: Quotes, *, flow: bool) -> str:
    """A key: what its author quoted stays quoted."""
    kept = quotes if quotes is Quotes.CODES else Quotes.KEPT
    return write_scalar(key, kept, flow=flow) or '""'


def is_plain(text: str, *, flow: bool) -> bool:
    """Whether a text means itself without quotes."""
    if not text or text != text.strip() or _UNPLAIN.search(text):
        return False
    if text[0] in _INDICATORS or text.startswith(("- ", "---", "...", "<<")) or text == "-":
        return False
    if ": " in text or " #" in text or text.endswith(":"):
        return False
    return not flow or not _FLOW & set(text)


def quoted(text: str) -> str:
    """The text in double quotes; in single ones where that saves escapes."""
    if ("\\" in text or '"' in text) and "'" not in text and not _UNPLAIN.search(text):
        return f"'{text}'"
    return '"' + _NEEDS_ESCAPE.sub(_escape, text) + '"'


def _escape(found: re.Match[str]) -> str:
    char = found[0]
    return _ESCAPES.get(char) or f"\\u{ord(char):04x}"


def can_fold(text: str) -> bool:
    """Whether the text comes back as it was from several lines that are folded into one."""
    return " " in text and text == text.strip() and "  " not in text and not _UNPLAIN.search(text)


def fold(text: str, width: int) -> list[str]:
    """The text in lines of at most so many letters, broken between words."""
    lines: list[str] = []
    for word in text.split(" "):
        if lines and len(lines[-1]) + 1 + len(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def refold(lines: tuple[str, ...], width: int) -> list[str]:
    """A folded block's lines; a paragraph with a line that is too long is broken anew."""
    out: list[str] = []
    paragraph: list[str] = []

    def close() -> None:
        too_long = any(len(line) > width for line in paragraph)
        joined = " ".join(paragraph)
        out.extend(fold(joined, width) if too_long and can_fold(joined) else paragraph)
        paragraph.clear()

    for line in lines:
        # An empty line ends a paragraph; one that is indented further keeps its breaks.
        if not line or line[0] in " \t":
            close()
            out.append(line)
        else:
            paragraph.append(line)
    close()
    return out
