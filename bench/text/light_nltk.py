"""NLTK's tokenizers and grammars, without what the rest of NLTK loads."""

from __future__ import annotations

import importlib.abc
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from types import ModuleType
from typing import Any

__all__ = ["light_nltk"]

_NOT_NEEDED = ("scipy", "sklearn")
"""NLTK loads both where it finds them, for classifiers and tests of association: 1.2 of 1.5 s of its import."""


@cache
def light_nltk() -> Any:
    """The package `nltk`, whose tokenizers and grammars need neither SciPy nor scikit-learn.

    A later `import nltk` is as it is without this: what was loaded here is forgotten by Python.
    """
    if "nltk" not in sys.modules:
        with suppress(ImportError), _hidden():  # an NLTK that cannot do without them is loaded whole
            import nltk  # type: ignore[import-untyped]

            return nltk
    import nltk

    return nltk


@contextmanager
def _hidden() -> Iterator[None]:
    finder = _Hiding(threading.get_ident())
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if f"{name}.".startswith("nltk.")]:
            del sys.modules[name]


class _Hiding(importlib.abc.MetaPathFinder):
    """Makes imports of what is not needed fail, in one thread."""

    def __init__(self, thread: int) -> None:
        self._thread = thread

    def find_spec(self, fullname: str, path: Any, target: ModuleType | None = None) -> None:
        """None: others find it."""
        if fullname.partition(".")[0] in _NOT_NEEDED and threading.get_ident() == self._thread:
            raise ModuleNotFoundError(f"{fullname} is hidden from NLTK", name=fullname)
