"""Image COCO captions: the 10,000 training and 10,000 test sentences that text GANs have been compared on since 2017.

The files of Texygen (Zhu et al., "Texygen: A Benchmarking Platform for Text Generation Models", SIGIR 2018), also used
by RelGAN and TextGAN-PyTorch. Lower-cased, NLTK's tokenizer; the vocabulary is that of the whole training file.

The published split is shifted: train and test show different pictures ("bathroom" is in 5 training and in 1,554 test
sentences), so that even real training captions reach only BLEU-2 .740 against test, and a model can score above real
text. `split=resplit` pools both files, drops duplicates and divides them anew: another board, for comparisons in which
real text is the best there is.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Le

from bench import data
from bench.task import MOST_SENTENCES, Task, TextData
from bench.tasks import _text
from bench.text.tokenizers import english
from metrics.common.tokens import Tokens

__all__ = ["ImageCOCO"]

_TRAIN = data.github(
    "geek-ai/Texygen",
    "master",
    "data/image_coco.txt",
    "sha256:2c0fd1f0f43aac6a9dc3926a535516ccf395de535e15ac1fd17cd569420736f5",
    size=546_442,
)
_TEST = data.github(
    "geek-ai/Texygen",
    "master",
    "data/testdata/test_coco.txt",
    "sha256:72e25c9fb4d2cd43182ac602c92f6ffc377762147f9709572943b0b09174bcae",
    size=536_184,
)
_SEED = 2017  # of the held-out sentences and of the resplit


@dataclass(frozen=True, kw_only=True)
class ImageCOCO(Task):
    """Captions of 7 to 37 words, about 4,700 words."""

    split: Literal["published", "resplit"] = "published"
    """`published`: the files as they are. `resplit`: pooled, without duplicates, shuffled, cut in half."""
    n_valid: Annotated[int, Ge(0), Le(MOST_SENTENCES)] = 1_000
    """Sentences held out from train. 0: train on the whole training file, as papers do, with nothing to select by."""

    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[str, ...]] = _text.METRICS
    # there is no smaller published file; the reduced scales reduce the models
    scales: ClassVar[dict[str, dict[str, Any]]] = {"smoke": {}, "small": {}}

    def load(self) -> TextData:
        """The captions; tokenised once, then from the cache."""
        (train, test), words = _text.nltk_tokens([data.fetch(_TRAIN), data.fetch(_TEST)])
        if self.split == "resplit":
            train, test = _halves(_text.join(train, test))
        if self.n_valid >= len(train):
            raise ValueError(f"image_coco: n_valid must be under {len(train)}, the training sentences: {self.n_valid}")
        kept, held_out = _text.split_off(train, self.n_valid, np.random.RandomState(_SEED))
        return _text.text_data(kept, held_out, test, words, vocabulary_from=train, more_facts={"split": self.split})

    def reference_file(self) -> Path | None:
        """The published test file; none for the resplit."""
        return data.fetch(_TEST) if self.split == "published" else None

    @property
    def word_rule(self) -> str:
        """The tokenizer's name."""
        return "english_lower"

    def tokenize(self, line: str) -> list[str]:
        """Lower-cased words by NLTK's tokenizer."""
        return english()(line)

    def detokenize(self, sentence: str) -> str:
        """Punctuation and contractions joined to their words."""
        return _text.detokenize(sentence.split())


def _halves(pooled: Tokens) -> tuple[Tokens, Tokens]:
    """Distinct sentences in a fixed random order, cut in two halves of one size."""
    _, first = np.unique(_text.fingerprints(pooled), return_index=True)
    order = np.random.RandomState(_SEED).permutation(np.sort(first))
    half = len(order) // 2
    return pooled.select(order[:half]), pooled.select(order[half : 2 * half])
