"""Copied runs and nearest training sentences against plain Python, all pairs."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from helpers.sentences import Sentences, tokens
from hypothesis import example, given, settings
from hypothesis import strategies as st

from metrics.bleu import Bleu
from metrics.bleu_train import BleuTrain
from metrics.common.base import MetricInputs
from metrics.nearest_train import NearestTrain, nearest
from metrics.novelty import Novelty
from metrics.novelty_gap import NoveltyGap
from metrics.train_overlap import TrainOverlap

CORPORA = st.lists(st.lists(st.integers(0, 4), max_size=9), min_size=1, max_size=10)


def inputs(samples: Sentences, training: Sentences) -> MetricInputs:
    return MetricInputs(samples=tokens(samples), training=tokens(training))


def longest(sample: list[int], training: Sentences) -> int:
    """The longest piece of the sample that stands in a training sentence."""
    pieces = {tuple(t[i:j]) for t in training for i in range(len(t)) for j in range(i + 1, len(t) + 1)}
    ends = [(i, j) for i in range(len(sample)) for j in range(i + 1, len(sample) + 1)]
    return max((j - i for i, j in ends if tuple(sample[i:j]) in pieces), default=0)


@given(samples=CORPORA, training=CORPORA)
@example(samples=[[], [0, 1, 2, 3, 4, 0, 1, 2]], training=[[9, 0, 1, 2, 3, 4, 0, 1, 2]])
def test_copied_runs_by_looking_at_every_piece(samples, training):
    runs = [longest(sample, training) for sample in samples]
    n = len(samples)
    expected = {
        "train_overlap": sum(run / max(1, len(s)) for run, s in zip(runs, samples, strict=True)) / n,
        "train_overlap_words": sum(runs) / n,
        "train_overlap_copied": sum(0 < run == len(s) for run, s in zip(runs, samples, strict=True)) / n,
    }
    assert TrainOverlap().compute(inputs(samples, training)) == pytest.approx(expected, abs=1e-12)


def dice(sample: list[int], other: list[int], order: int) -> float:
    marks = [-1] * (order - 1)
    ours, theirs = (
        Counter(tuple(s[i : i + order]) for i in range(len(s) - order + 1))
        for s in (marks + sample + marks, marks + other + marks)
    )
    return 2 * (ours & theirs).total() / (ours.total() + theirs.total()) if ours or theirs else 1.0


@pytest.mark.parametrize("order", [1, 2, 3])
@given(samples=CORPORA, training=CORPORA)
@example(samples=[[0, 0, 0, 0], [], [1]], training=[[0, 0], [1], []])
def test_the_nearest_sentence_by_looking_at_every_pair(order, samples, training):
    if order == 1:  # a sentence without a word has no words to share
        samples, training = [[*s, 0] for s in samples], [[*t, 1] for t in training]
    pairs = [[dice(sample, other, order) for other in training] for sample in samples]
    found = nearest(tokens(samples), tokens(training), order)
    assert found.overlap == pytest.approx([max(row) for row in pairs], abs=1e-12)
    assert found.sentence.tolist() == [row.index(max(row)) for row in pairs]
    score = NearestTrain(order=order).compute(inputs(samples, training))
    assert score["nearest_train"] == pytest.approx(np.mean(found.overlap), abs=1e-12)


def test_blocks_do_not_matter(monkeypatch):
    rng = np.random.RandomState(0)
    samples, training = (tokens([rng.randint(0, 9, rng.randint(0, 9)).tolist() for _ in range(n)]) for n in (50, 120))
    whole = nearest(samples, training, 2)
    monkeypatch.setattr("metrics.common.overlap.BLOCK_PAIRS", 500)
    monkeypatch.setattr("metrics.common.overlap.FREQUENT", 0.3)
    parts = nearest(samples, training, 2)
    assert parts.sentence.tolist() == whole.sentence.tolist()
    assert parts.overlap.tolist() == whole.overlap.tolist()


@settings(max_examples=50)
@given(samples=CORPORA, training=CORPORA)
def test_copies_score_one_and_order_does_not_matter(samples, training):
    metrics = (TrainOverlap(), NearestTrain())
    copies = [sample for sample in samples if sample] or [[0]]
    for metric in metrics:
        scores = metric.compute(inputs(copies, training + copies))
        assert [v for k, v in scores.items() if not k.endswith("_words")] == pytest.approx(
            [1.0] * (len(scores) - 1 or 1)
        )
        once = metric.compute(inputs(samples, training))
        assert metric.compute(inputs(samples[::-1] * 2, training[::-1] * 2)) == pytest.approx(once, abs=1e-12)
        more = metric.compute(inputs(samples, [*training, samples[0]]))
        assert all(more[key] >= value - 1e-12 for key, value in once.items()), "more training text, no less overlap"


def test_bleu_train_is_bleu_with_the_training_text_as_references():
    samples, training = [[0, 1, 2, 3], [3, 2, 1], []], [[0, 1, 2], [1, 2, 3, 4]]
    against = MetricInputs(samples=tokens(samples), references=tokens(training))
    expected = {f"bleu_train_{key[-1]}": score for key, score in Bleu().compute(against).items()}
    assert BleuTrain().compute(inputs(samples, training)) == expected


@pytest.mark.parametrize("metric", [BleuTrain(), NearestTrain(), TrainOverlap()], ids=lambda metric: metric.name)
def test_absent_with_a_reason(metric):
    assert metric.missing(MetricInputs(samples=tokens([[0]]))) == f"{metric.name} needs training sentences"
    empty = MetricInputs(samples=tokens([[0]]), training=tokens([]))
    assert metric.missing(empty) == f"{metric.name} needs at least one training sentence"
    assert metric.missing(MetricInputs(samples=tokens([]), training=tokens([[0]]))).endswith("at least one sample")
    assert metric.missing(inputs([[]], [[]])) is None
    assert metric.signature(inputs([[0], [1]], [[0]])).endswith("|training:1|samples:2|v:1")


def test_the_order_is_checked():
    with pytest.raises(ValueError, match="order must be at least 1, got 0"):
        NearestTrain(order=0)


def text_of(samples: Sentences, training: Sentences, references: Sentences) -> MetricInputs:
    return MetricInputs(samples=tokens(samples), training=tokens(training), references=tokens(references))


@settings(max_examples=50)
@given(samples=CORPORA, training=CORPORA, references=CORPORA)
def test_the_gap_is_the_difference_of_two_novelties(samples, training, references):
    orders = (1, 2, 3, 4, 5)
    ours, held_out = (
        {key[-1]: e for key, e in Novelty(orders=orders).estimates(inputs(text, training)).items() if key[-1].isdigit()}
        for text in (samples, references)
    )
    given_inputs = text_of(samples, training, references)
    found = NoveltyGap().estimates(given_inputs)
    assert {key: estimate.value for key, estimate in found.items()} == pytest.approx(
        {f"novelty_gap_{n}": ours[n].value - held_out[n].value for n in ours.keys() & held_out.keys()}, abs=1e-15
    )
    assert all(estimate.standard_error == ours[key[-1]].standard_error for key, estimate in found.items())
    assert NoveltyGap().absent(given_inputs).keys() == {f"novelty_gap_{n}" for n in orders} - found.keys()


def test_the_sign_of_the_gap_tells_copies_from_noise():
    draw = np.random.RandomState(0)
    odds = 1 / np.arange(1, 31)
    training, references, fair = (
        [draw.choice(30, 8, p=odds / odds.sum()).tolist() for _ in range(400)] for _ in range(3)
    )
    noise = [draw.randint(0, 30, 8).tolist() for _ in range(400)]
    gaps = [NoveltyGap().estimates(text_of(text, training, references)) for text in (training, fair, noise)]
    for n in (2, 3):
        copied, real, random = (gap[f"novelty_gap_{n}"] for gap in gaps)
        assert copied.value < -0.05
        assert abs(real.value) < 4 * real.standard_error
        assert random.value > 4 * random.standard_error
    assert not any(NoveltyGap().meaning(key).ranked for key in NoveltyGap().keys())  # noqa: SIM118 - of the metric


def test_the_gap_by_hand():
    """New in the samples: 1 of 4 words, 1 of 2 pairs; in the references 0 of 2 and 0 of 1. They have no triple."""
    given_inputs = text_of([[0, 1], [1, 7]], [[0, 1, 0], [1]], [[1, 0]])
    assert NoveltyGap().compute(given_inputs) == {"novelty_gap_1": 0.25, "novelty_gap_2": 0.5}
    assert NoveltyGap().absent(given_inputs)["novelty_gap_3"] == "no sample has 3 tokens"
    longer = text_of([[0, 1, 2]], [[0, 1, 0], [1]], [[1, 0]])
    assert NoveltyGap().absent(longer)["novelty_gap_3"] == "no reference sentence has 3 tokens"
    assert NoveltyGap().missing(inputs([[0]], [[0]])) == "novelty_gap needs reference sentences"
