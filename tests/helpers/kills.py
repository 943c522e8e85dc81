"""A kill in this process: nothing that a program can expect, so no handler of it does anything."""

from __future__ import annotations

import itertools
from collections.abc import Callable

__all__ = ["KilledError", "kill_after"]


class KilledError(BaseException):
    """In place of SIGKILL."""


def kill_after(calls: int) -> Callable[..., None]:
    """A function that may be called this often."""
    count = itertools.count(1)

    def call(*_: object) -> None:
        if next(count) == calls:
            raise KilledError

    return call
