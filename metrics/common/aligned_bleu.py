"""Corpus BLEU of rewritten sentences, by sacreBLEU: each with texts of its own, the mean over the classes wanted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from metrics.common.base import Estimate
from metrics.common.rewriting import SharedNgrams, shared_ngrams
from metrics.common.signature import Setting, sacrebleu_settings
from metrics.common.tokens import Tokens
from metrics.common.uncertainty import bootstrap, resampled_sums

__all__ = ["bleu_settings", "mean_bleu", "sentence_bleu"]

_TOP = 4


def mean_bleu(ours: Tokens, choices: Sequence[Sequence[Tokens]], directions: Sequence[NDArray[np.int64]]) -> Estimate:
    """Corpus BLEU-4 against each choice of references, the mean over choices and directions, 0 to 1.

    The standard error is the bootstrap of `metrics.common.uncertainty` over the sentences of each direction.
    """
    values, resampled = [], []
    for sets in choices:
        found = shared_ngrams(ours, sets, _TOP)
        for rows in directions:
            value, drawn = _of(found, rows)
            values.append(value)
            resampled.append(drawn)
    return bootstrap(float(np.mean(values)), np.mean(resampled, axis=0), min(map(len, directions)))


def sentence_bleu(ours: Tokens, sets: Sequence[Tokens]) -> NDArray[np.float64]:
    """(N,) sacreBLEU's sentence BLEU-4 of each with its own references, over the orders that it is long enough for."""
    from sacrebleu.metrics.bleu import BLEU

    rows = shared_ngrams(ours, sets, _TOP).statistics.astype(int).tolist()
    found = (
        BLEU.compute_bleu(row[2 : 2 + _TOP], row[2 + _TOP :], row[0], row[1], smooth_method="exp", effective_order=True)
        for row in rows
    )
    return np.array([one.score / 100 for one in found])


def _of(found: SharedNgrams, rows: NDArray[np.int64]) -> tuple[float, NDArray[np.float64]]:
    statistics = found.statistics[rows]
    return _score(statistics.sum(axis=0)), np.array([_score(sums) for sums in resampled_sums(statistics)])


def _score(sums: NDArray[np.float64]) -> float:
    """sacreBLEU's score of summed lengths and counts."""
    from sacrebleu.metrics.bleu import BLEU

    counts = [int(count) for count in sums]
    correct, total = counts[2 : 2 + _TOP], counts[2 + _TOP :]
    return float(BLEU.compute_bleu(correct, total, counts[0], counts[1], smooth_method="exp").score / 100)


def bleu_settings(n_sets: int) -> dict[str, Setting]:
    """sacreBLEU's own signature, of so many references for each sentence."""
    from sacrebleu.metrics.bleu import BLEU

    bleu = BLEU(tokenize="none", force=True)
    bleu.num_refs = n_sets
    return sacrebleu_settings(bleu)
