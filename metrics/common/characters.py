"""Sentences as characters: the same sentences, each token a character of the text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from metrics.common.tokens import Tokens

__all__ = ["characters", "not_spelled"]


def characters(corpus: Tokens, words: Sequence[str], *, blank: bool) -> Tokens:
    """The characters (their Unicode numbers) of each sentence, its words joined by one blank or by nothing.

    Without blanks, white space inside a word goes too.
    """
    spelled = [f"{word} " for word in words] if blank else ["".join(word.split()) for word in words]
    alphabet = _code_points(spelled)
    text = alphabet.select(corpus.flat)
    offsets = text.offsets[corpus.offsets]
    if not blank:
        return Tokens(text.flat, offsets)
    last = np.zeros(len(text.flat), np.bool_)  # the blank behind the last word of each sentence
    last[offsets[1:][corpus.lengths > 0] - 1] = True
    return Tokens(text.flat[~last], offsets - np.concatenate([[0], np.cumsum(corpus.lengths > 0)]))


def _code_points(words: Sequence[str]) -> Tokens:
    """Each word as a sentence of its characters."""
    flat: NDArray[np.int64] = np.frombuffer("".join(words).encode("utf-32-le", "surrogatepass"), "<u4").astype(np.int64)
    return Tokens(flat, np.cumsum([0, *map(len, words)]).astype(np.int64))


def not_spelled(metric: str, words: Sequence[str] | None, *corpora: Tokens | None) -> str | None:
    """Why the metric cannot read the corpora: how many of their tokens have no word. None: all have one."""
    known = len(words or ())
    unknown = sum(int((corpus.flat >= known).sum()) for corpus in corpora if corpus is not None)
    return f"{metric} needs the words behind the tokens: {unknown} tokens have none" if unknown else None
