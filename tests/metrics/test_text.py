"""Distinct, unique and novelty against plain Python; every metric absent instead of zero; signatures."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.sentences import Sentences, tokens
from hypothesis import given
from hypothesis import strategies as st

from metrics.bleu import Bleu
from metrics.common.base import MetricInputs
from metrics.common.tokens import Tokens
from metrics.distinct import Distinct
from metrics.novelty import Novelty
from metrics.self_bleu import SelfBleu
from metrics.unique import Unique
from metrics.validity import Validity

CORPORA = st.lists(st.lists(st.integers(0, 4), max_size=9), min_size=1, max_size=12)
NOTHING = Tokens(np.empty(0, np.int64), np.zeros(1, np.int64))


def grams(sentences: Sentences, order: int) -> list[tuple[int, ...]]:
    return [tuple(s[i : i + order]) for s in sentences for i in range(len(s) - order + 1)]


def inputs(samples: Sentences, **others: Sentences) -> MetricInputs:
    return MetricInputs(samples=tokens(samples), **{name: tokens(corpus) for name, corpus in others.items()})


@given(samples=CORPORA)
def test_distinct_by_plain_counting(samples):
    expected = {}
    for order in (1, 2, 3, 4):
        if every := grams(samples, order):
            expected[f"distinct_{order}"] = len(set(every)) / len(every)
    metric = Distinct()
    if expected:
        assert metric.missing(inputs(samples)) is None
        assert metric.compute(inputs(samples)) == expected
    else:
        assert metric.missing(inputs(samples)) == "distinct needs a sample of at least 1 tokens"


@given(samples=CORPORA)
def test_unique_by_plain_counting(samples):
    assert Unique().compute(inputs(samples)) == {"unique": len({tuple(s) for s in samples}) / len(samples)}


def test_unique_tells_sentences_with_the_same_words_in_a_row_apart():
    assert Unique().compute(inputs([[1, 2], [1], [2], [1, 2, 0], []])) == {"unique": 1.0}


@given(samples=CORPORA, training=CORPORA)
def test_novelty_by_plain_counting(samples, training):
    expected = {"novelty": sum(s not in training for s in samples) / len(samples)}
    for order in (2, 3, 4):
        known = set(grams(training, order))
        if every := grams(samples, order):
            expected[f"novelty_ngram_{order}"] = sum(gram not in known for gram in every) / len(every)
    assert Novelty().compute(inputs(samples, training=training)) == pytest.approx(expected, abs=1e-15)


def test_novelty_of_the_training_text_is_zero_and_of_other_words_one():
    training = [[0, 1, 2, 3], [1, 2, 0, 0]]
    keys = ["novelty", "novelty_ngram_2", "novelty_ngram_3", "novelty_ngram_4"]
    assert Novelty().compute(inputs(training, training=training)) == dict.fromkeys(keys, 0.0)
    assert Novelty().compute(inputs([[7, 8, 9, 7]], training=training)) == dict.fromkeys(keys, 1.0)


def test_orders_that_no_sample_is_long_enough_for_have_no_key():
    assert sorted(Distinct().compute(inputs([[0, 1], [0]]))) == ["distinct_1", "distinct_2"]
    assert sorted(Novelty().compute(inputs([[0, 1]], training=[[0]]))) == ["novelty", "novelty_ngram_2"]


def test_validity_is_the_share_that_the_grammar_accepts():
    asked = []

    def is_valid(samples: Tokens) -> np.ndarray:
        asked.append(len(samples))
        return samples.lengths == 2

    given = MetricInputs(samples=tokens([[0, 1], [0], [1, 1], [0, 0, 0]]), is_valid=is_valid)
    assert Validity().compute(given) == Validity().compute(given) == {"validity": 0.5}
    assert asked == [4], "the grammar is asked once"


@pytest.mark.parametrize(
    ("metric", "given", "reason"),
    [
        (Bleu(), inputs([[0]]), "bleu needs reference sentences"),
        (Bleu(), MetricInputs(samples=tokens([[0]]), references=NOTHING), "bleu needs at least one reference sentence"),
        (Bleu(), MetricInputs(samples=NOTHING, references=tokens([[0]])), "bleu needs at least one sample"),
        (SelfBleu(), MetricInputs(samples=NOTHING), "self_bleu needs at least one sample"),
        (
            SelfBleu(),
            inputs([[0, 1, 2]]),
            "self_bleu needs at least two samples: with one there are no others to compare it with",
        ),
        (Distinct(), MetricInputs(samples=NOTHING), "distinct needs at least one sample"),
        (Distinct(orders=(3, 4)), inputs([[0, 1], []]), "distinct needs a sample of at least 3 tokens"),
        (Unique(), MetricInputs(samples=NOTHING), "unique needs at least one sample"),
        (Novelty(), inputs([[0]]), "novelty needs training sentences"),
        (
            Novelty(),
            MetricInputs(samples=tokens([[0]]), training=NOTHING),
            "novelty needs at least one training sentence",
        ),
        (Validity(), inputs([[0]]), "validity needs a task with a grammar"),
    ],
)
def test_absent_with_a_reason(metric, given, reason):
    assert metric.missing(given) == reason


def test_present_where_it_can_be_computed():
    given = inputs([[0, 1], []], references=[[0, 1]], training=[[1]])
    for metric in (Bleu(), SelfBleu(), Distinct(), Unique(), Novelty()):
        assert metric.missing(given) is None
        assert all(np.isfinite(value) for value in metric.compute(given).values())


@pytest.mark.parametrize(
    ("metric", "signature"),
    [
        (Bleu(), "bleu|orders:2-5|smoothing:method1|refs:2|samples:3|v:1"),
        (Bleu(orders=(2, 4), smoothing="method0"), "bleu|orders:2,4|smoothing:method0|refs:2|samples:3|v:1"),
        (SelfBleu(), "self_bleu|orders:2-5|smoothing:method1|samples:3|v:1"),
        (SelfBleu(orders=(3,)), "self_bleu|orders:3|smoothing:method1|samples:3|v:1"),
        (Distinct(), "distinct|orders:1-4|samples:3|v:1"),
        (Unique(), "unique|samples:3|v:1"),
        (Novelty(), "novelty|orders:2-4|training:1|samples:3|v:1"),
        (Validity(), "validity|samples:3|v:1"),
    ],
)
def test_signature(metric, signature):
    given = inputs([[0], [1], [2]], references=[[0], [1]], training=[[2]])
    assert metric.signature(given) == signature


@pytest.mark.parametrize("metric", [Distinct, Novelty])
def test_orders_are_checked(metric):
    with pytest.raises(ValueError, match="orders must be different whole numbers from 1"):
        metric(orders=(2, 1))
