"""Vendi scores: by hand, by the eigenvalues of all similarities, and what another draw changes."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
import scipy.sparse
from helpers.sentences import Sentences, tokens
from hypothesis import given
from hypothesis import strategies as st

from metrics.common.base import MetricInputs
from metrics.common.vendi import effective_number, mean_over_groups
from metrics.vendi_embedding import VendiEmbedding
from metrics.vendi_embedding.metric import of_length_one
from metrics.vendi_ngram import VendiNgram

CORPORA = st.lists(st.lists(st.integers(0, 4), max_size=6), min_size=1, max_size=9)
ORDERS = st.sampled_from([(1,), (2,), (1, 2), (1, 2, 3, 4), (2, 4)])


def inputs(samples: Sentences) -> MetricInputs:
    return MetricInputs(samples=tokens(samples), words=[str(i) for i in range(100)])


def by_definition(similarities: np.ndarray) -> float:
    """exp of the entropy of the eigenvalues of K / n; the logarithm of a matrix in the place of their sum."""
    values, vectors = np.linalg.eigh(similarities / len(similarities))
    kept = values > 1e-14
    logarithm = (vectors[:, kept] * np.log(values[kept])) @ vectors[:, kept].T
    return math.exp(-np.trace(similarities / len(similarities) @ logarithm))


def similarity(one: list[int], other: list[int], orders: tuple[int, ...]) -> float:
    counts = [
        [Counter(tuple(s[i : i + n]) for i in range(len(s) - n + 1)) for n in orders if len(s) >= n]
        for s in (one, other)
    ]
    if not all(counts):
        return float(counts[0] == counts[1])
    cosines = [
        sum(a[g] * b[g] for g in a) / math.sqrt(sum(v * v for v in a.values()) * sum(v * v for v in b.values()))
        for a, b in zip(*counts, strict=False)
    ]
    return sum(cosines) / math.sqrt(len(counts[0]) * len(counts[1]))


@given(samples=CORPORA, orders=ORDERS)
def test_on_ngrams_by_the_similarities_of_all_pairs(samples: Sentences, orders: tuple[int, ...]) -> None:
    alike = np.array([[similarity(one, other, orders) for other in samples] for one in samples])
    assert np.diag(alike) == pytest.approx(1)
    found = VendiNgram(orders=orders).compute(inputs(samples))
    assert found == {"vendi_ngram": pytest.approx(by_definition(alike), rel=1e-9)}
    assert VendiNgram(orders=orders).compute(inputs(samples * 2)) == pytest.approx(found)


def test_by_hand() -> None:
    def vendi(*samples: list[int]) -> float:
        return VendiNgram(orders=(1,)).compute(inputs(list(samples)))["vendi_ngram"]

    assert [vendi([0, 1]), vendi([0, 1], [1, 0], [0, 1, 1, 0])] == pytest.approx([1, 1])
    assert vendi([0], [1], [2], []) == pytest.approx(4)
    # a cosine of 1/2: eigenvalues 3/4 and 1/4
    assert vendi([0, 1], [0, 2]) == pytest.approx(math.exp(-0.75 * math.log(0.75) - 0.25 * math.log(0.25)))
    # three of one and one of another: 3/4 and 1/4 too
    assert vendi([0], [0], [0], [1]) == pytest.approx(vendi([0, 1], [0, 2]))


def test_the_smaller_side_and_sparse_vectors_give_the_same() -> None:
    draw = np.random.RandomState(0)
    for n, width in ((5, 30), (30, 5)):
        vectors = of_length_one(draw.randn(n, width))
        expected = by_definition(vectors @ vectors.T)
        assert effective_number(vectors) == pytest.approx(expected, rel=1e-10)
        assert effective_number(scipy.sparse.csr_array(vectors)) == pytest.approx(expected, rel=1e-10)


def test_vectors_without_a_length_are_alike_and_like_no_other() -> None:
    vectors = of_length_one(np.array([[0.0, 0.0], [0.0, 0.0], [3.0, 4.0], [0.3, 0.4]]))
    assert effective_number(vectors) == pytest.approx(2)


def test_groups_are_of_all_sentences_once_and_of_no_order_of_theirs() -> None:
    """Every sentence its own direction: a group's score is its number of sentences."""
    assert mean_over_groups(np.eye(14), 10) == (pytest.approx(14), None)
    assert mean_over_groups(np.eye(16), 10).value == pytest.approx(8)
    assert mean_over_groups(np.eye(31), 10).value == pytest.approx(31 / 3)
    # 20 sentences in turn, in 20 groups: each group must not be of one sentence
    assert mean_over_groups(np.tile(np.eye(20), (50, 1)), 50).value > 15


def texts(seed: int, n: int) -> Sentences:
    draw = np.random.RandomState(seed)
    odds = 1 / np.arange(1, 41)
    return [draw.choice(40, draw.randint(3, 9), p=odds / odds.sum()).tolist() for _ in range(n)]


def test_the_standard_error_is_what_other_draws_change() -> None:
    """The spread of 60 draws of 600 sentences, itself known to 9%, and the mean of their errors."""
    metric = VendiNgram(sentences=50)
    draws = [metric.estimates(inputs(texts(seed, 600)))["vendi_ngram"] for seed in range(60)]
    spread = np.std([draw.value for draw in draws], ddof=1)
    assert np.mean([draw.standard_error for draw in draws]) == pytest.approx(spread, rel=0.25)


def test_collapse_has_few_and_noise_many() -> None:
    real = texts(0, 400)
    draw = np.random.RandomState(1)
    noise = [draw.randint(0, 40, len(sentence)).tolist() for sentence in real]
    collapsed = [real[i % 7] for i in range(400)]
    scores = [VendiNgram().compute(inputs(text))["vendi_ngram"] for text in (collapsed, real, noise)]
    assert scores[0] <= 7 < scores[1] < scores[2]


@pytest.mark.parametrize("metric", [VendiNgram, VendiEmbedding])
def test_wrong_settings(metric: type[VendiNgram | VendiEmbedding]) -> None:
    for wrong in (0, 1.5, True):
        with pytest.raises(ValueError, match=f"{metric().name}: sentences must be a whole number from 1, got {wrong}"):
            metric(sentences=wrong)


def test_signature_and_absent() -> None:
    assert VendiNgram().signature(inputs([[0]])) == "vendi_ngram|orders:1-4|sentences:1000|samples:1|v:1"
    assert VendiNgram().missing(inputs([])) == "vendi_ngram needs at least one sample"
    assert VendiNgram().estimates(inputs([[0]])) == {"vendi_ngram": (pytest.approx(1), None)}
    assert VendiEmbedding().missing(MetricInputs(samples=tokens([[0]]))) == (
        "vendi_embedding needs the words behind the tokens"
    )
