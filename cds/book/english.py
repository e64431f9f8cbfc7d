"""The rule language as English that is read aloud: clauses, tests and values, with links."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from cds.book.called import CALLED, NOUNS, PLURALS, PSEUDO, TELLS, YES_OR_NO
from cds.book.phrase import Phrase, Piece, Saying, joined, listed, plain, said, unhyphened
from cds.rulebook import syntax
from cds.rulebook.model import FactClause, Parameter, Rulebook, Sentence
from cds.rulebook.vocabulary import COVERAGE, PROPERTIES, Meaning, meaning_of

Names = Mapping[str, str]
"""The kind of fact that each name of a sentence stands for."""

GLOSSARY, NUMBERS, SETS = "words.html", "numbers.html", "valuesets"
_LONGEST_LINE = 90
_SIGNS = {"+": " plus ", "-": " minus ", "×": " times "}


def anchor(kind: str, word: str) -> str:
    """Where a word of the pack is explained."""
    return f"{GLOSSARY}#{kind}.{word}"


def amount(parameter: Parameter) -> str:
    """The value of a parameter with its unit: ``3 days``."""
    return f"{parameter.value.normalize():f} {parameter.unit}".strip()


def number(parameter: Parameter) -> Piece:
    """The value of a parameter, with a link to where it comes from."""
    return Piece(amount(parameter), f"{NUMBERS}#{parameter.name}", "number", parameter.means)


def _quoted(word: str) -> str:
    """A word of the pack; in quotation marks where it would read as a denial."""
    words = unhyphened(word)
    return (
        f"\N{LEFT DOUBLE QUOTATION MARK}{words}\N{RIGHT DOUBLE QUOTATION MARK}"
        if words.startswith("not ")
        else words
    )


def _is_plural(name: str) -> bool:
    """Whether the name of a fact reads as a plural."""
    return name.endswith("s") and not name.endswith(("ss", "is", "us"))


class English(msgspec.Struct, frozen=True):
    """Says what a rulebook's sentences mean. With ``local`` names of facts link to their clause."""

    rulebook: Rulebook
    local: bool = False

    # -- facts ------------------------------------------------------------------------------------

    def fact(self, clause: FactClause, names: Names) -> Saying:
        """``a medication of the class NAME, that is recent``."""
        phrase = self.subject(clause)
        if clause.excluded:
            words = [self.word(word, clause.kind) for word in clause.excluded]
            phrase = said(phrase, ", not ", listed(words))
        states = [
            listed([self.word(word, clause.kind) for word in words], last)
            for words, last in ((clause.terms, "or"), (clause.also, "and"))
            if words
        ]
        if states:
            phrase = said(phrase, ", that is ", joined(states, " and is "))
        if not clause.where:
            return Saying(phrase)
        parts = tuple(self.sentence(sentence, names) for sentence in clause.where)
        return Saying(said(phrase, ", where"), parts)

    def subject(self, clause: FactClause) -> Phrase:
        """What a clause is about, without its state."""
        noun = NOUNS.get(clause.kind, clause.kind)
        if clause.kind == "patient" or not clause.concepts:
            return said(noun)
        if clause.kind == "source":
            lists = [said(PLURALS.get(word, f"{word}s")) for word in clause.concepts]
            return said("the list of ", listed(lists, "and"))
        words = [self.word(word, clause.kind) for word in clause.concepts if word not in PSEUDO]
        pseudo = [said(PSEUDO[word]) for word in clause.concepts if word in PSEUDO]
        classes = [said("of the class ", listed(words))] if words else []
        return said(noun, " ", listed([*classes, *pseudo]))

    def word(self, word: str, kind: str) -> Phrase:
        """A word that something can be: a term or flag of the pack, or a value set."""
        definition = self.rulebook.definitions.get(kind)
        valuesets = self.rulebook.terminology.valuesets
        meaning = meaning_of(word, definition, frozenset(valuesets))
        if meaning is Meaning.CONCEPT and word in valuesets:
            title = valuesets[word].title
            return said(Piece(_quoted(word), f"{SETS}/{word}.html", "set", title))
        if meaning is Meaning.TERM:
            return said(Piece(_quoted(word), anchor(kind, word), "word"))
        if meaning is Meaning.FLAG:
            return said(Piece(unhyphened(word), anchor(kind, "profiles"), "word"))
        return said(unhyphened(word))

    # -- values -----------------------------------------------------------------------------------

    def value(self, value: syntax.Value, names: Names) -> Phrase:
        """A value: a property, a number, what is reckoned from others."""
        match value:
            case syntax.Path():
                return self.path(value, names)
            case syntax.Number():
                return said(f"{value.value.normalize():f} {value.unit}".strip())
            case syntax.Arithmetic():
                left, right = self.value(value.left, names), self.value(value.right, names)
                return said(left, _SIGNS[value.sign], right)
            case syntax.Picked():
                field = self.property(value.path.field, names.get(value.path.name, ""))
                pick = "sum of the" if value.pick == "sum of" else value.pick
                over = "over" if value.pick == "sum of" else "among"
                return said("the ", pick, " ", field, f" {over} ", self.name(value.path.name))
            case syntax.Elapsed():
                start, end = self.value(value.start, names), self.value(value.end, names)
                return said(f"the {value.unit} from ", start, " to ", end)

    def path(self, path: syntax.Path, names: Names) -> Phrase:
        """A name, or a property of one: ``the order's dose``."""
        if path.name == COVERAGE:
            return said(f"the answer about {path.field}")
        if path.name in names:
            if not path.field:
                return self.name(path.name)
            return said(self.owner(path.name), " ", self.property(path.field, names[path.name]))
        parameter = self.rulebook.parameters.get(path.name)
        if parameter is not None:
            return said(number(parameter))
        if path.name in ("today", "now"):
            return said(path.name)
        return said("the hook") if path.name == "hook" else said(self.computed(path.name))

    def name(self, name: str) -> Phrase:
        """The name of a fact, as its clause is called."""
        return said("it") if name == "it" else said("the ", self.word_of(name))

    def word_of(self, name: str) -> Piece:
        """The name of a fact without an article."""
        return Piece(unhyphened(name), f"#fact-{name}" if self.local else "", "fact")

    def some(self, name: str) -> Phrase:
        """The name of a fact of which there is one at least: ``an order``."""
        if _is_plural(name):
            return said("some ", self.word_of(name))
        if not set(name) & set("aeiouy"):
            return said(self.word_of(name))
        return said("an " if name[:1] in "aeiou" else "a ", self.word_of(name))

    def found(self, name: str) -> Phrase:
        """That there is one at least."""
        return said(self.some(name), " are found" if _is_plural(name) else " is found")

    def owner(self, name: str) -> Phrase:
        """Whose a property is: ``its``, ``the order's``."""
        if name == "it":
            return said("its")
        return said(self.name(name), "'" if _is_plural(name) else "'s")

    def computed(self, name: str) -> Piece:
        """The name of a computed value."""
        return Piece(unhyphened(name), f"#let-{name}" if self.local else "", "let")

    def property(self, field: str, kind: str) -> Phrase:
        """A property by its name, with a link to what it is."""
        told = PROPERTIES.get(kind, {}).get(field, "")
        title = "" if told == "profile" else told
        called = CALLED.get((kind, field), unhyphened(field))
        return said(Piece(called, anchor(kind, field), "property", title))

    # -- tests ------------------------------------------------------------------------------------

    def sentence(self, sentence: Sentence, names: Names) -> Saying:
        """What an author's sentence says."""
        return self.test(sentence.test, names)

    def test(self, test: syntax.Test, names: Names) -> Saying:
        """What a test asks, as a statement that holds or not."""
        match test:
            case syntax.And():
                return self.group(test.tests, names, "and", "all of these hold:")
            case syntax.Or():
                return self.group(test.tests, names, "or", "at least one of these holds:")
            case syntax.Not():
                return self.denied(test.test, names)
            case syntax.CouldBe():
                return self.wrapped("it is so, or cannot be ruled out, that ", test.test, names)
            case syntax.Unsure():
                return self.wrapped("it cannot be told whether ", test.test, names)
            case syntax.Every():
                inner = self.about(test.test, names, said("every ", self.word_of(test.name)))
                return Saying(inner)
            case syntax.Otherwise():
                return Saying(said("in all other cases"))
            case _:
                return Saying(self.relation(test, names))

    def group(self, tests: tuple[syntax.Test, ...], names: Names, word: str, intro: str) -> Saying:
        """Short tests in one line, longer ones as a list."""
        parts = tuple(self.test(test, names) for test in tests)
        flat = all(not part.parts and " and " not in part.text for part in parts)
        length = sum(len(part.text) for part in parts)
        if flat and length <= _LONGEST_LINE and " or " not in "".join(p.text for p in parts):
            return Saying(joined((part.phrase for part in parts), f" {word} "))
        return Saying(said(intro), parts)

    def denied(self, test: syntax.Test, names: Names) -> Saying:
        """The opposite of a test, in the words in which it is said."""
        match test:
            case syntax.And():
                return self.group_denied(test.tests, names, "not all of these hold:")
            case syntax.Or():
                return self.group_denied(test.tests, names, "none of these holds:")
            case syntax.CouldBe():
                return self.wrapped("it is ruled out that ", test.test, names)
            case syntax.Unsure():
                return self.wrapped("it can be told whether ", test.test, names)
            case syntax.Every():
                inner = self.about(test.test, names, said("not every ", self.word_of(test.name)))
                return Saying(inner)
            case syntax.Not():
                return self.test(test.test, names)
            case _:
                return Saying(self.relation(test, names, denied=True))

    def group_denied(self, tests: tuple[syntax.Test, ...], names: Names, intro: str) -> Saying:
        return Saying(said(intro), tuple(self.test(test, names) for test in tests))

    def wrapped(self, words: str, test: syntax.Test, names: Names) -> Saying:
        inner = self.test(test, names)
        if inner.parts:
            return Saying(said(words.rstrip(), ": ", inner.phrase), inner.parts)
        return Saying(said(words, inner.phrase))

    def about(self, test: syntax.Test, names: Names, subject: Phrase) -> Phrase:
        """A test on every fact of a name: its subject is said otherwise."""
        relation = self.relation(test, names)
        own = self._subject(test, names)
        return said(subject, relation[len(own) :]) if relation[: len(own)] == own else relation

    def _subject(self, test: syntax.Test, names: Names) -> Phrase:
        value = getattr(test, "value", None) or getattr(test, "left", None)
        return self.value(value, names) if value is not None else ()

    def relation(self, test: syntax.Test, names: Names, denied: bool = False) -> Phrase:
        """A test without other tests in it; ``denied`` says its opposite."""
        no = "not " if denied else ""
        match test:
            case syntax.Exists():
                if denied:
                    return said("no ", self.word_of(test.name), " is found")
                return self.found(test.name)
            case syntax.No():
                if denied:
                    return self.found(test.name)
                return said("no ", self.word_of(test.name), " is found")
            case syntax.Count():
                few = "fewer than" if denied else "at least"
                return said(f"{few} {test.at_least} ", self.word_of(test.name), " are found")
            case syntax.Is():
                return self.being(test, names, denied)
            case syntax.IsKnown():
                return said(self.value(test.value, names), f" is {no}known")
            case _:
                return self.compared(test, names, no)

    def being(self, test: syntax.Is, names: Names, denied: bool) -> Phrase:
        """What something is, or is not."""
        field, no = test.value.field, "not " if denied else ""
        if field in TELLS:
            verb = "do not tell of" if denied else "tell of"
            owner = self.owner(test.value.name)
            return said(owner, f" {TELLS[field]} {verb} ", self.words(test, names))
        if field in YES_OR_NO and set(test.words) <= {"yes", "no"} and len(test.words) == 1:
            no = "" if (test.words[0] == "no") == denied else "not "
            kind = names.get(test.value.name, "")
            called = Piece(YES_OR_NO[field], anchor(kind, field), "property")
            return said(self.name(test.value.name), f" is {no}", called)
        return said(self.path(test.value, names), f" is {no}", self.words(test, names))

    def words(self, test: syntax.Is, names: Names) -> Phrase:
        """What something is said to be: words of the pack for a fact, plain ones for a property."""
        kind = names.get(test.value.name, "")
        if test.value.field or not kind:
            return listed([said(self.held(word)) for word in test.words])
        return listed([self.word(word, kind) for word in test.words])

    def held(self, word: str) -> Piece:
        """A word that a property may hold; the name of a value set links to it."""
        valueset = self.rulebook.terminology.valuesets.get(word)
        if valueset is None:
            return Piece(
                f"\N{LEFT DOUBLE QUOTATION MARK}{unhyphened(word)}\N{RIGHT DOUBLE QUOTATION MARK}",
                "",
                "held",
            )
        return Piece(unhyphened(word), f"{SETS}/{word}.html", "set", valueset.title)

    def compared(self, test: syntax.Test, names: Names, no: str) -> Phrase:
        """A comparison of values."""

        def value(node: syntax.Value) -> Phrase:
            return self.value(node, names)

        match test:
            case syntax.Compared():
                bound = value(test.bound)
                return said(value(test.value), f" is {no}{test.comparison} ", bound)
            case syntax.Between():
                low, high = value(test.low), value(test.high)
                if plain(low) == plain(high):
                    return said(value(test.value), f" is {no}exactly ", high)
                return said(value(test.value), f" is {no}from ", low, " to ", high)
            case syntax.Window():
                return said(value(test.value), f" is {no}", self.window(test, value))
            case syntax.Ordered():
                return said(value(test.value), f" is {no}{test.direction} ", value(test.anchor))
            case syntax.Matches():
                verb = "does not match" if no else "matches"
                return said(value(test.left), f" {verb} ", value(test.right))
            case syntax.Includes():
                verb = "does not include" if no else "includes"
                element = test.element
                told = (
                    self.held(element.name)
                    if isinstance(element, syntax.Path)
                    and not element.field
                    and element.name in self.rulebook.terminology.valuesets
                    else value(element)
                )
                return said(self.path(test.value, names), f" {verb} ", told)
            case _:
                return said(syntax.spoken(test))

    def window(self, test: syntax.Window, value: Callable[[syntax.Value], Phrase]) -> Phrase:
        """``1 to 10 days before today``; both ends count."""
        low, high, anchor_ = value(test.low), value(test.high), value(test.anchor)
        if isinstance(test.low, syntax.Arithmetic):
            low = said("(", low, ")")
        unit = "" if plain(high).endswith(test.unit) else f" {test.unit}"
        if plain(low) == plain(high) == "0":
            return said(f"on the same {test.unit.rstrip('s')} as ", anchor_)
        return said(low, " to ", high, f"{unit} {test.direction} ", anchor_)
