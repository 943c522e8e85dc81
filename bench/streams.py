"""Standard output and error that take any text: a terminal's encoding never ends a command."""

from __future__ import annotations

import io
import sys
import unicodedata

__all__ = ["shown", "take_any_text"]


def shown(text: str) -> str:
    """Text of anybody as a terminal may have it: control and bidirectional characters as escapes, `\\x1b`, `\\u202e`.

    Names of files and rows, and what a server answers, could otherwise move the cursor or turn a line around.
    """
    return "".join(c if c in "\n\t" or unicodedata.category(c) not in _CONTROL else repr(c)[1:-1] for c in text)


_CONTROL = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode's categories of what steers a terminal: controls, formats (bidirectional ones too), surrogates, breaks."""


def take_any_text() -> None:
    """What the encoding of a stream lacks (cp1252 has no ✓, ASCII no ·) is written as an escape, `\\u2713`.

    For programs and worker processes at their start; what is imported leaves the streams as they are.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
