"""Text of a pack with its ids turned into links, and its placeholders into numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from cds.book.english import number
from cds.book.phrase import Phrase, Piece
from cds.rulebook.knowledge import Knowledge
from cds.rulebook.model import Rulebook


class Prose(msgspec.Struct, frozen=True):
    """Links whatever the pack has a page or an anchor for."""

    rulebook: Rulebook
    targets: Mapping[str, tuple[str, str]]
    pattern: re.Pattern[str]

    @classmethod
    def of(cls, rulebook: Rulebook, knowledge: Knowledge) -> Prose:
        targets = {
            name: (f"sources.html#{name}", item.cite) for name, item in rulebook.sources.items()
        }
        targets |= {
            name: (f"statements.html#{name}", item.says)
            for name, item in knowledge.statements.items()
        }
        targets |= {
            name: (f"disputes.html#{name}", item.about) for name, item in knowledge.disputes.items()
        }
        targets |= {rule.id: (f"rules/{rule.id}.html", rule.title) for rule in rulebook.rules}
        names = "|".join(re.escape(name) for name in sorted(targets, key=len, reverse=True))
        bounded = rf"|(?<![\w-])(?:{names})(?![\w-]|\.\w)" if names else ""
        return cls(rulebook, targets, re.compile(rf"\{{[\w-]+\}}{bounded}"))

    def __call__(self, text: str) -> Phrase:
        """The text as pieces: ids that are known link, ``{name}`` is the value of a number."""
        found: list[Piece] = []
        at = 0
        for match in self.pattern.finditer(text):
            found.append(Piece(text[at : match.start()]))
            found.append(self._piece(match[0]))
            at = match.end()
        found.append(Piece(text[at:]))
        return tuple(piece for piece in found if piece.text)

    def _piece(self, word: str) -> Piece:
        if word.startswith("{"):
            parameter = self.rulebook.parameters.get(word[1:-1])
            return number(parameter) if parameter is not None else Piece(word)
        href, title = self.targets[word]
        return Piece(word, href, "id", title)
