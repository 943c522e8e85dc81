"""Any text as rows of 32 characters: the task on which WGAN-GP showed that a GAN can write text from nothing.

Gulrajani et al., "Improved Training of Wasserstein GANs", NeurIPS 2017; igul222/improved_wgan_training
language_helpers.py:88-143. As there, a line is cut after 32 characters or filled up with "`", which is a character
like the others to models and scores, and the most frequent characters of the training text are kept, 2,048 with
`<unk>`. All rows have one length, so there is no end token.

The released script reads Google's Billion Word, whose words stand between blanks, and measures against the lines that
it trains on. Here the text is another task's, its words joined by blanks, and so is the split.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from annotated_types import Ge, Gt, Le
from numpy.typing import NDArray

from baselines.common.spec import SequenceSpec
from bench import registry
from bench.labels.data import LabelledTask
from bench.task import Task, TextData, Vocabulary
from bench.tasks import _text
from bench.tasks.text_file import BLANK, TextFile
from metrics.common.tokens import Tokens

__all__ = ["Characters"]

_PAD = "`"
_CODES = 0x110000  # of Unicode


@dataclass(frozen=True, kw_only=True)
class Characters(Task):
    """The beginning of each sentence of another task, as characters. A blank is written `␣`."""

    source: str = "image_coco"
    """Name of a text task, which is loaded with its own defaults, or the path of a text file."""
    length: Annotated[int, Gt(0), Le(100_000)] = 32
    """T: characters of every row."""
    max_symbols: Annotated[int, Ge(2)] = 2_048
    """Most symbols, `<unk>` included; rarer characters become `<unk>` where a model reads them."""

    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[str, ...]] = ("ngram_jsd", "nll_gen", "distinct", "unique", "novelty")
    scales: ClassVar[dict[str, dict[str, Any]]] = {"smoke": {"source": "grammar"}, "small": {}}

    def __post_init__(self) -> None:
        """Refuse a source that is neither a text task nor a file."""
        known = [name for name in registry.names("tasks") if name not in ("characters", "text_file", "oracle_lstm")]
        if self.source in known and issubclass(registry.find("tasks", self.source), LabelledTask):
            raise ValueError(
                f"characters: the sentences of {self.source} begin with labels, which are words and no characters; "
                "take a task without classes, or a text file"
            )
        if self.source not in known and not Path(self.source).is_file():
            folder = "(a folder) " if Path(self.source).is_dir() else ""
            raise ValueError(
                f"characters: source={self.source!r} {folder}is neither a text task nor a file in {Path.cwd()}; "
                f"{registry.suggest(self.source, known)}"
            )

    def load(self) -> TextData:
        """The three splits of the source, character by character."""
        is_file = Path(self.source).is_file()
        source: Task = TextFile(path=self.source) if is_file else registry.find("tasks", self.source)()
        text = source.load()
        splits = (text.training, Tokens.from_rows(text.valid, text.spec.eos_id), text.references)
        lines = [text.vocabulary.sentences(part) for part in splits]
        train, valid, test = (self._codes(part) for part in lines)

        kept = _by_frequency(train)[: self.max_symbols - 1]
        unseen = _by_frequency(test[~np.isin(test, kept)])
        words = tuple(map(chr, kept))
        vocabulary = Vocabulary((_text.UNKNOWN, *words), tuple(map(chr, unseen)))
        size = len(vocabulary.words)
        number = np.zeros(_CODES, np.int64)  # 0 is <unk>
        number[kept] = np.arange(1, size)
        train_ids, valid_ids, test_ids = (number[codes] for codes in (train, valid, test))
        number[unseen] = np.arange(size, size + len(unseen))  # references keep their true characters
        references = Tokens.from_rows(number[test], None)
        training, held_out = (Tokens.from_rows(ids, None) for ids in (train_ids, valid_ids))
        cut = np.mean([len(line) > self.length for line in lines[0]])
        return TextData(
            spec=SequenceSpec(vocab_size=size, max_len=self.length, bos_id=0, pad_id=None, eos_id=None),
            vocabulary=vocabulary,
            train=train_ids,
            valid=valid_ids,
            test=test_ids,
            references=references,
            facts={
                **_text.facts(training, held_out, references),
                "vocabulary": size,
                "max_length": self.length,
                "lines_cut": round(float(cut), 4),
            },
        )

    def files(self) -> dict[str, Path]:
        """The text, if it is one of the user's."""
        return {"source": path} if (path := Path(self.source)).is_file() else {}

    @property
    def word_rule(self) -> str:
        """Rows of one length are written alike, whatever text they come from."""
        return f"characters {self.length}"

    def warnings(self, data: TextData) -> list[str]:
        """None: the beginnings of two sentences are often the same."""
        del data
        return []

    def tokenize(self, line: str) -> list[str]:
        """A row that is already written as characters between blanks, or any text, which is cut or filled up."""
        symbols = line.rstrip("\r\n").split(" ")
        if len(symbols) == self.length and all(len(s) == 1 or s == _text.UNKNOWN for s in symbols):
            return symbols
        return list(self._row(line.rstrip("\r\n")))

    def detokenize(self, sentence: str) -> str:
        """The characters joined, without what fills the row."""
        return sentence.replace(" ", "").replace(BLANK, " ").rstrip(_PAD)

    def _row(self, line: str) -> str:
        return re.sub(r"\s", BLANK, line[: self.length]).ljust(self.length, _PAD)

    def _codes(self, lines: Iterable[str]) -> NDArray[np.int64]:
        """N lines -> (N, T) code points."""
        text = "".join(map(self._row, lines))
        return np.frombuffer(text.encode("utf-32-le"), "<u4").reshape(-1, self.length).astype(np.int64)


def _by_frequency(codes: NDArray[np.int64]) -> NDArray[np.int64]:
    """The distinct code points, most frequent first, then in order."""
    distinct, counts = np.unique(codes, return_counts=True)
    return distinct[np.lexsort((distinct, -counts))]
