"""Every key that a metric may give, and its direction: a property of the key, not of the metric."""

from __future__ import annotations

import numpy as np
import pytest

from bench.registry import find, names
from bench.score.scoring import score
from metrics.common.base import Estimate, MetricInputs
from metrics.common.tokens import Tokens
from metrics.mauve import Mauve

HIGHER = "bleu_2 bleu_3 bleu_4 bleu_5 chrf corpus_bleu_2 corpus_bleu_3 corpus_bleu_4 corpus_bleu_5 mauve ms_jaccard_1"
HIGHER += " ms_jaccard_2 ms_jaccard_3 ms_jaccard_4 ms_jaccard_5 validity"
LOWER = "frechet_embedding_distance nll_gen nll_gen_padded reverse_lm_score"
LOWER += "".join(f" ngram_jsd_{n}{part}" for n in range(1, 5) for part in ("", "_floor", "_first", "_first_floor"))
REAL = "bleu_train_2 bleu_train_3 bleu_train_4 bleu_train_5 distinct_1 distinct_2 distinct_3 distinct_4"
REAL += " lm_score nll_oracle nll_oracle_valid self_bleu_2 self_bleu_3 self_bleu_4 self_bleu_5"
REAL += " frechet_embedding_distance_floor mauve_ceiling mauve_spread nearest_train ngram_entropy_1 ngram_entropy_2"
REAL += " ngram_entropy_3 ngram_entropy_4 novelty novelty_ngram_2 novelty_ngram_3 novelty_ngram_4 train_overlap"
REAL += " train_overlap_copied train_overlap_words unique zipf"


@pytest.mark.parametrize(("direction", "keys"), [("higher", HIGHER), ("lower", LOWER), ("real", REAL)])
def test_every_key_and_its_direction(direction: str, keys: str) -> None:
    found = [key for name in names("metrics") for key, better in find("metrics", name)().keys().items()]
    assert len(found) == len(set(found)), "two metrics have one key"
    expected = {k for name in names("metrics") for k, b in find("metrics", name)().keys().items() if b == direction}
    assert sorted(keys.split()) == sorted(expected)


def test_a_score_has_the_direction_of_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Mauve, "missing", lambda *_: None)
    monkeypatch.setattr(Mauve, "settings", lambda *_: {"v": 1})
    monkeypatch.setattr(Mauve, "estimates", lambda *_: dict.fromkeys(("mauve", "mauve_spread"), Estimate(0.5, None)))
    scores, _ = score([Mauve()], MetricInputs(samples=Tokens(np.zeros(0, np.int64), np.zeros(2, np.int64))))
    assert {key: one.better for key, one in scores.items()} == {"mauve": "higher", "mauve_spread": "real"}
