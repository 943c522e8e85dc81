"""Equations as docstrings have them, in plain text, -> MathML, which browsers draw without a script.

The notation is what reads well in a source file, `loss = -(1 / N) sum_{b,t} log G(x_{b,t} | x_{b,<t})`, between words
of a sentence and without marks around it. So what is mathematics is found by its form: letters alone, names with an
index or an argument, a few names of functions, and what operators join. Words stay words, inside brackets too.
"""

from __future__ import annotations

import html
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["parts_of"]

_LETTER = r"[^\W\d_]"
_TOKEN = re.compile(
    rf"(?P<space>\s+)|(?P<text>https?://\S+|\w+'s\b|{_LETTER}+(?:-\w+)*-{_LETTER}{{2,}}\b(?!\()|{_LETTER}-th\b)"
    rf"|(?P<name>{_LETTER}+(?:-\w+)*-?(?=\()(?<!-)|{_LETTER}+\d*'*)"
    r"|(?P<number>\d[\d,]*\d(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)"
    r"|(?P<op><-|<=|>=|\|\||\.\.\.?|[-+*/=<>~|!_^()\[\]{},;:.])|(?P<other>.)",
    re.DOTALL,
)
_GREEK = dict(
    zip(
        ["alpha", "beta", "gamma", "delta", "epsilon", "theta", "lambda", "mu", "sigma", "tau", "phi"],
        "αβγδϵθλμστφ",
        strict=True,
    )
)
_SIGNS = {"sum": "∑", "prod": "∏", "integral": "∫", "grad": "∇", "in": "∈"}
_FUNCTIONS = {
    "loss",
    "mean",
    "log",
    "exp",
    "min",
    "max",
    "argmax",
    "cos",
    "tanh",
    "softmax",
    "sigmoid",
    "rank",
    "brevity",
    "dt",
}
_OPERATORS = {"-": "−", "<-": "←", "<=": "≤", ">=": "≥", "~": "∼", "||": "‖", "..": "…", "...": "…", "*": "*"}
_THIN = '<mspace width="0.17em"/>'
_JOINING = {"=", "+", "-", "/", "~", "<", ">", "<=", ">=", "<-", "|", "||", "!", "..", "...", "_", "^"}
_OPEN, _CLOSE = {"(": ")", "[": "]", "{": "}"}, {")", "]", "}"}
_LONG = 24
"""Tokens of a bracket that is no longer kept on one line."""
_ENDS = {",", ";", ":"}
"""Of a span, outside brackets."""


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    start: int
    after_space: bool


def parts_of(text: str) -> list[tuple[bool, str]]:
    """Pieces of a text in order: (False, text as it is) and (True, MathML of an equation)."""
    tokens = _tokens(text)
    found: list[tuple[bool, str]] = []
    i = begun = 0
    while i < len(tokens):
        end = _span(tokens, i)
        if end > i and _is_math(tokens[i:end]):
            found.append((False, text[begun : tokens[i].start]))
            found.append((True, " ".join(f"<math>{part}</math>" for part in _Writer(tokens[i:end]).lines())))
            begun = tokens[end - 1].start + len(tokens[end - 1].text)
        i = max(end, i + 1)
    found.append((False, text[begun:]))
    return [(math, piece) for math, piece in found if piece]


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    space = False
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or "other"
        if kind == "space":
            space = True
            continue
        found.append(_Token(kind, match[0], match.start(), space))
        space = False
    return found


def _is_math(tokens: Sequence[_Token]) -> bool:
    """A letter by itself, or something joined, indexed or called; not a bare number or word."""
    if len(tokens) == 1:
        return _is_letter(tokens[0]) or tokens[0].text in _GREEK
    called = any(b.text in "([{" and a.kind == "name" and not b.after_space for a, b in itertools.pairwise(tokens))
    return (
        called
        or any(t.text in _JOINING for t in tokens)
        or (any(_is_letter(t) for t in tokens) and not any(_is_word(t) for t in tokens))
    )


def _is_letter(token: _Token) -> bool:
    return token.kind == "name" and len(token.text.rstrip("'")) == 1


def _closing(tokens: Sequence[_Token], i: int) -> int | None:
    """Where the bracket at `i` ends."""
    depth = 0
    for k in range(i, len(tokens)):
        depth += (tokens[k].text in _OPEN) - (tokens[k].text in _CLOSE)
        if depth == 0:
            return k
    return None


def _belongs(tokens: Sequence[_Token], i: int) -> bool:
    """Whether a token is mathematics outside brackets, by itself and by what stands beside it."""
    token = tokens[i]
    before = tokens[i - 1] if i else None
    after = tokens[i + 1] if i + 1 < len(tokens) else None
    indexes = before is not None and before.text in ("_", "^") and not token.after_space
    if token.kind == "number" or (indexes and token.kind == "name"):
        return True
    if token.kind == "op":
        if token.text in (".", *_ENDS):
            return token.text == "." and token.after_space and after is not None and after.after_space
        return True
    if token.kind != "name":
        return False
    tight = after is not None and not after.after_space and after.text in ("_", "^", "(", "[", "{")
    if token.text in ("a", "A", "I"):
        joined = after is not None and after.text in _JOINING | _CLOSE
        return tight or joined or (before is not None and before.text in _JOINING - {"|", ".."})
    if token.text == "in":
        return before is not None and after is not None and _side(before) and _side(after)
    known = token.text in _FUNCTIONS or token.text in _GREEK or token.text in _SIGNS
    return tight or known or _is_letter(token)


def _side(token: _Token) -> bool:
    """What may stand beside `in`, where that is a sign."""
    return _is_letter(token) or token.kind == "number" or token.text in _OPEN or token.text in _CLOSE


def _span(tokens: Sequence[_Token], start: int) -> int:
    """The end of the mathematics that begins at `start`; `start` where none does."""
    i = start
    while i < len(tokens):
        token = tokens[i]
        if token.text in _OPEN:
            end = _closing(tokens, i)
            loose = i == start or (token.after_space and tokens[i - 1].text not in _JOINING)
            if end is None or (loose and not _is_equation(tokens, i + 1, end)):
                break
            i = end + 1
        elif token.text in _CLOSE:
            break
        elif token.text == "||" and (end := _bars(tokens, i)) is not None:
            i = end + 1
        elif _belongs(tokens, i):
            i += 1
        else:
            break
    while i > start and tokens[i - 1].text in {"-", "+", "=", "/", "<", ">", "*"}:  # a dash of the sentence
        i -= 1
    return i


def _is_equation(tokens: Sequence[_Token], start: int, end: int) -> bool:
    """Whether what stands in brackets is mathematics; an index may be any word."""
    i = start
    while i < end:
        if tokens[i].text == "{":
            i = _closing(tokens, i) or end
        if not (tokens[i].text in (*_ENDS, ".", *_OPEN, *_CLOSE) or _belongs(tokens, i)):
            return False
        i += 1
    return True


def _bars(tokens: Sequence[_Token], i: int) -> int | None:
    return next((k for k in range(i + 1, len(tokens)) if tokens[k].text == "||"), None)


class _Writer:
    """MathML of tokens, from left to right."""

    def __init__(self, tokens: Sequence[_Token]) -> None:
        self._tokens = tokens
        self._i = 0
        self._bars = 0

    def lines(self) -> list[str]:
        """Everything, in the pieces between which a line may end: browsers break none inside an equation."""
        found = [""]
        while self._i < len(self._tokens):
            token, before = self._tokens[self._i], self._tokens[self._i - 1].text if self._i else ""
            if self._i and token.after_space and before not in _JOINING - {"|"} and self._bars % 2 == 0:
                found.append("")
            self._bars += token.text in ("|", "||")
            if self._is_long_bracket():
                self._i += 1
                found[-1] += self._operator(token)
            else:
                found[-1] += self._scripted(opens=bool(self._i) and not found[-1])
        return found

    def _is_long_bracket(self) -> bool:
        """Whether a bracket begins here that lines may end in; one with an index stays whole."""
        end = _closing(self._tokens, self._i) if self._tokens[self._i].text in _OPEN else None
        if end is None or end - self._i < _LONG:
            return False
        return self._tokens[end + 1 : end + 2] == [] or self._tokens[end + 1].text not in ("_", "^")

    def row(self, until: str = "") -> str:
        """Everything, or what stands before a bracket that closes."""
        found: list[str] = []
        while self._i < len(self._tokens) and self._tokens[self._i].text != until:
            found.append(self._scripted())
        return "".join(found)

    def _peek(self) -> str:
        token = self._tokens[self._i] if self._i < len(self._tokens) else None
        return token.text if token is not None and not token.after_space else ""

    def _scripted(self, *, opens: bool = False) -> str:
        """What is next, with its index and exponent. `opens`: it begins a line, and what it joins ended the last."""
        base, low, high = self._atom(), "", ""
        if opens:
            base = re.sub(r"^<mo>(?=[=≤≥∼+−∈←]|&[lg]t;)", '<mo form="infix" rspace="0.25em">', base).replace(
                _THIN, "", 1
            )
        while (sign := self._peek()) in ("_", "^"):
            self._i += 1
            argument = f"<mrow>{self._argument()}</mrow>"
            low, high = (argument, high) if sign == "_" else (low, argument)
        if low and high:
            return f"<msubsup>{base}{low}{high}</msubsup>"
        if low or high:
            return f"<msub>{base}{low}</msub>" if low else f"<msup>{base}{high}</msup>"
        return base

    def _argument(self) -> str:
        """An index without its brackets; of `<t` both."""
        opening = self._peek()
        if opening in ("{", "("):
            self._i += 1
            inner = self.row(_OPEN[opening])
            self._i += 1
            return inner
        first = self._atom()
        return first + self._atom() if opening in ("<", "<=", ">") else first

    def _atom(self) -> str:
        token = self._tokens[self._i]
        self._i += 1
        text = html.escape(token.text, quote=False)
        if token.text in _OPEN:
            inner = self.row(_OPEN[token.text])
            close = self._tokens[self._i].text
            self._i += 1
            return f'<mrow><mo stretchy="false">{text}</mo>{inner}<mo stretchy="false">{close}</mo></mrow>'
        if token.kind == "number":
            return f"<mn>{text}</mn>"
        if token.kind == "op":
            return self._operator(token)
        if token.text in _SIGNS and (token.text != "in" or self._between()):
            return f"<mo>{_SIGNS[token.text]}</mo>"
        if token.text in _GREEK:
            return f"<mi>{_GREEK[token.text]}</mi>"
        if token.text == "x" and self._is_times():
            return "<mo>×</mo>"
        if _is_letter(token):
            return f"<mi>{text.replace(chr(39), '′')}</mi>"
        if token.text in _FUNCTIONS or self._peek() in ("(", "_", "^", "["):
            gap = _THIN if token.after_space else ""
            return f'<mrow>{gap}<mi mathvariant="normal">{text}</mi></mrow>'
        return self._words(token)

    def _between(self) -> bool:
        """Whether the `in` just taken joins two sides."""
        sides = self._tokens[self._i - 2 : self._i - 1], self._tokens[self._i : self._i + 1]
        return all(side and _side(side[0]) for side in sides)

    def _is_times(self) -> bool:
        """Whether the `x` just taken stands between two sizes, as in T x V."""
        sides = self._tokens[self._i - 2 : self._i - 1], self._tokens[self._i : self._i + 1]
        return all(side and side[0].text.isupper() for side in sides)

    def _words(self, token: _Token) -> str:
        """Words that follow one another, with their blanks."""
        words = [token.text]
        while self._i < len(self._tokens) and (after := self._tokens[self._i]).after_space and _is_word(after):
            words.append(after.text)
            self._i += 1
        first = "\u00a0" if token.after_space else ""
        last = "\u00a0" if self._i < len(self._tokens) and self._tokens[self._i].after_space else ""
        return f"<mtext>{first}{html.escape(' '.join(words), quote=False)}{last}</mtext>"

    def _operator(self, token: _Token) -> str:
        text = token.text
        if text == ".":
            return "<mo>·</mo>"
        shown = html.escape(_OPERATORS.get(text, text), quote=False)
        fence = ' stretchy="false"' if text in ("|", "||") or text in _OPEN or text in _CLOSE else ""
        return f"<mo{fence}>{shown}</mo>"


def _is_word(token: _Token) -> bool:
    known = token.text in _FUNCTIONS or token.text in _GREEK or token.text in _SIGNS
    return token.kind in ("name", "text") and not known and not _is_letter(token)
