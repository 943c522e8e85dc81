"""Published files of rewritten sentences: `input, tab, output` a line, or the output alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.rewriting.data import RewritingTask, RewritingText
from bench.task import Vocabulary
from bench.text.sample_files import Samples
from metrics.common.rewriting import Answers
from metrics.common.tokens import Tokens

__all__ = ["read_pairs", "read_rewritten"]

_OTHER_INPUTS = 0.05
"""Share of the inputs that a file may write otherwise than the task: some systems print `<unk>` in their place."""


def read_rewritten(paths: Sequence[Path], task: RewritingTask, data: RewritingText) -> Samples:
    """The files one after another, line i the answer to input i. Bytes that are no UTF-8 become U+FFFD.

    Raises ValueError where there are not as many lines as inputs, or the inputs are others; a line without a tabulator
    is an output alone.
    """
    pairs = read_pairs(paths)
    answers: Answers = data.references
    if len(pairs) != len(answers.inputs):
        names = ", ".join(path.name for path in paths)
        raise ValueError(
            f"{names} have {len(pairs):,} lines, and there are {len(answers.inputs):,} inputs: give all files of one "
            "system, and of no other"
        )
    asked = data.vocabulary.sentences(answers.inputs)
    others = [i for i, (given, _) in enumerate(pairs) if given not in (None, asked[i])]
    if len(others) > _OTHER_INPUTS * len(pairs):
        raise ValueError(
            f"{len(others):,} of {len(pairs):,} lines answer other inputs than the task's: the first is line "
            f"{others[0] + 1}, {pairs[others[0]][0]!r} in the place of {asked[others[0]]!r}"
        )
    known = data.vocabulary
    numbering = dict(known.numbering)
    tokens = Tokens.from_words((task.words_of(written) for _, written in pairs), numbering)
    words = Vocabulary(known.words, tuple(numbering)[len(known.words) :])
    return Samples(
        tokens=tokens,
        vocabulary=words,
        n_known=len(known.numbering),
        read_as="input, tab, output" if pairs[0][0] is not None else "output alone",
    )


def read_pairs(paths: Sequence[Path]) -> list[tuple[str | None, str]]:
    """(input, output) of every line, single blanks between words; without a tabulator there is no input, None."""
    pairs = [[" ".join(part.split()) for part in line.split("\t")] for path in paths for line in _lines(path)]
    return [(pair[0] if len(pair) > 1 else None, pair[-1]) for pair in pairs]


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8", errors="replace").removesuffix("\n").split("\n")
