"""Standard output and error that take any text: a terminal's encoding never ends a command."""

from __future__ import annotations

import io
import sys

__all__ = ["take_any_text"]


def take_any_text() -> None:
    """What the encoding of a stream lacks (cp1252 has no ✓, ASCII no ·) is written as an escape, `\\u2713`.

    For programs and worker processes at their start; what is imported leaves the streams as they are.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
