"""Compression ratio and self-repetition against plain Python, and what another draw changes."""

from __future__ import annotations

import gzip
import math
import random
import zlib

import numpy as np
import pytest
from helpers.sentences import Sentences, tokens
from hypothesis import given
from hypothesis import strategies as st

from metrics.common.base import MetricInputs
from metrics.compression_ratio import CompressionRatio
from metrics.compression_ratio.metric import ratio_of
from metrics.self_repetition import SelfRepetition

CORPORA = st.lists(st.lists(st.integers(0, 3), max_size=9), min_size=2, max_size=12)
WORDS = [f"word{i}" for i in range(60)]


def inputs(samples: Sentences) -> MetricInputs:
    return MetricInputs(samples=tokens(samples), words=WORDS)


def texts(seed: int, n: int) -> Sentences:
    """Sentences of few words, so that some phrases come again."""
    draw = np.random.RandomState(seed)
    odds = 1 / np.arange(1, len(WORDS) + 1)
    return [draw.choice(len(WORDS), draw.randint(3, 12), p=odds / odds.sum()).tolist() for _ in range(n)]


def plain_self_repetition(samples: Sentences, order: int) -> float:
    """The definition, sentence by sentence and n-gram by n-gram."""
    grams = [{tuple(s[i : i + order]) for i in range(len(s) - order + 1)} for s in samples]
    others = [
        sum(gram in theirs for gram in own for j, theirs in enumerate(grams) if j != i) for i, own in enumerate(grams)
    ]
    return sum(math.log(1 + n) for n in others) / len(samples)


@pytest.mark.parametrize("order", [1, 2, 4])
@given(samples=CORPORA)
def test_self_repetition_by_looking_at_every_pair(order: int, samples: Sentences) -> None:
    metric = SelfRepetition(order=order)
    if max(map(len, samples)) < order:
        assert metric.missing(inputs(samples)) == f"self_repetition needs a sample of at least {order} tokens"
        return
    found = metric.compute(inputs(samples))
    assert found == {"self_repetition": pytest.approx(plain_self_repetition(samples, order), abs=1e-12)}
    assert metric.compute(inputs(samples[::-1])) == pytest.approx(found, abs=1e-12)


def test_self_repetition_by_hand() -> None:
    """Of the first, 0 1 2 3 is in two others and 1 2 3 4 in one: log 4. Twice in one sentence is once."""
    samples = [[0, 1, 2, 3, 4], [0, 1, 2, 3, 4], [9, 0, 1, 2, 3], [5, 5, 5, 5, 5, 5], [7]]
    assert SelfRepetition().compute(inputs(samples))["self_repetition"] == pytest.approx(
        (2 * math.log(1 + 2 + 1) + math.log(1 + 2)) / 5
    )


def test_compression_ratio_is_gzips_of_the_shuffled_sorted_lines() -> None:
    samples = texts(0, 50)
    lines = sorted(" ".join(WORDS[word] for word in sentence) + "\n" for sentence in samples)
    order = np.random.RandomState(0).permutation(50)
    text = "".join(lines[place] for place in order).encode()
    found = CompressionRatio().compute(inputs(samples))["compression_ratio"]
    assert found == len(text) / len(gzip.compress(text, 9, mtime=0))
    assert found == ratio_of(text.decode())
    # a container of gzip has 18 bytes around the very stream of zlib without one
    stream = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    assert found == len(text) / (len(stream.compress(text) + stream.flush()) + 18)


@given(samples=CORPORA, seed=st.integers(0, 9))
def test_the_order_of_the_samples_does_not_matter(samples: Sentences, seed: int) -> None:
    others = random.Random(seed).sample(samples, len(samples))
    metric = CompressionRatio()
    assert metric.estimates(inputs(others)) == metric.estimates(inputs(samples))


def test_repetition_compresses_and_noise_does_not() -> None:
    real = texts(1, 400)
    again = [real[i % 20] for i in range(400)]
    draw = np.random.RandomState(2)
    noise = [draw.randint(0, len(WORDS), len(sentence)).tolist() for sentence in real]
    for metric in (CompressionRatio(), SelfRepetition(order=2)):
        scores = [metric.compute(inputs(samples))[metric.name] for samples in (noise, real, again)]
        assert scores[2] > 1.1 * scores[1] > 1.1 * 1.1 * scores[0]


@pytest.mark.parametrize(
    ("metric", "n", "most"),
    [(CompressionRatio(), 400, 1.7), (SelfRepetition(order=2), 200, 1.25), (SelfRepetition(), 1000, 1.25)],
)
def test_standard_errors_are_what_other_draws_change(
    metric: CompressionRatio | SelfRepetition, n: int, most: float
) -> None:
    """The mean of the errors of 60 draws by their spread, itself known to 9%; on text of few words gzip's is larger."""
    draws = [metric.estimates(inputs(texts(seed, n)))[metric.name] for seed in range(60)]
    spread = np.std([draw.value for draw in draws], ddof=1)
    assert 0.75 < np.mean([draw.standard_error for draw in draws]) / spread < most


def test_absent_with_a_reason_and_without_an_error() -> None:
    assert CompressionRatio().missing(MetricInputs(samples=inputs([[0]]).samples)) == (
        "compression_ratio needs the words behind the tokens"
    )
    assert CompressionRatio().missing(inputs([[0, 99]])) == (
        "compression_ratio needs the words behind the tokens: 1 tokens have none"
    )
    assert CompressionRatio().missing(inputs([])) == "compression_ratio needs at least one sample"
    assert CompressionRatio().estimates(inputs([[0]]))["compression_ratio"].standard_error is None
    assert SelfRepetition().missing(inputs([[0, 1, 2, 3]])).startswith("self_repetition needs at least two samples")
    assert SelfRepetition().compute(inputs([[0, 1, 2, 3], []])) == {"self_repetition": 0.0}


@pytest.mark.parametrize(
    ("metric", "settings", "message"),
    [
        (CompressionRatio, {"level": 0}, "level must be a whole number from 1 to 9, got 0"),
        (CompressionRatio, {"level": True}, "level must be a whole number from 1 to 9, got True"),
        (SelfRepetition, {"order": 0}, "order must be a whole number from 1, got 0"),
    ],
)
def test_wrong_settings(metric, settings, message) -> None:
    with pytest.raises(ValueError, match=message):
        metric(**settings)


def test_signatures_name_the_compressor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zlib, "ZLIB_RUNTIME_VERSION", "1.3.1")
    plain = CompressionRatio().signature(inputs([[0]]))
    assert plain == "compression_ratio|compressor:zlib|level:9|samples:1|v:1"
    monkeypatch.setattr(zlib, "ZLIB_RUNTIME_VERSION", "1.3.1.zlib-ng")
    assert CompressionRatio().signature(inputs([[0]])) == plain.replace("zlib", "zlib-ng")
    assert SelfRepetition().signature(inputs([[0]])) == "self_repetition|order:4|samples:1|v:1"
