"""BLEU and Self-BLEU equal NLTK's, sentence for sentence averaged, on any corpora."""

from __future__ import annotations

import gc
import tracemalloc
import warnings
import weakref

import numpy as np
import pytest
from helpers.sentences import Sentences, tokens
from hypothesis import example, given, settings
from hypothesis import strategies as st
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

from metrics.bleu import Bleu
from metrics.common import ngrams
from metrics.common import tokens as tokens_module
from metrics.common.base import MetricInputs
from metrics.common.tokens import Tokens
from metrics.self_bleu import SelfBleu

every_way = pytest.mark.parametrize(
    "limits",
    [{}, {"_WORD_BITS": 0}, {"_INT32_END": 0}],
    ids=["packed in 63 bits", "stable sort", "64-bit positions"],
)
TOLERANCE = 1e-12
HUGE = 2**62
"""An id that leaves no room for a position in one integer."""


def corpora(min_size: int = 1) -> st.SearchStrategy[Sentences]:
    """Few words, so that n-grams repeat; empty, one-token and duplicate sentences are frequent."""
    words = st.integers(1, 8).flatmap(lambda v: st.lists(st.integers(0, v - 1), max_size=12))
    drawn = st.lists(words, min_size=min_size, max_size=12)
    return drawn.flatmap(lambda c: st.lists(st.sampled_from(c), max_size=3).map(lambda again: c + again))


def nltk_mean(pairs: list[tuple[Sentences, list[int]]], orders: tuple[int, ...], smoothing: str) -> list[float]:
    smooth = getattr(SmoothingFunction(), smoothing)
    weights = [(1 / order,) * order for order in orders]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NLTK warns of orders without a match
        scores = [np.atleast_1d(sentence_bleu(refs, sample, weights, smooth)) for refs, sample in pairs]
    return np.mean(scores, axis=0).tolist()


def bleu(samples: Sentences, references: Sentences, **settings: object) -> list[float]:
    inputs = MetricInputs(samples=tokens(samples), references=tokens(references))
    return list(Bleu(**settings).compute(inputs).values())


def self_bleu(samples: Sentences, **settings: object) -> list[float]:
    return list(SelfBleu(**settings).compute(MetricInputs(samples=tokens(samples))).values())


@pytest.mark.parametrize("smoothing", ["method0", "method1"])
@every_way
@settings(max_examples=100)
@given(samples=corpora(), references=corpora())
@example(samples=[[]], references=[[]])
@example(samples=[[0, 1]], references=[[], []])
@example(samples=[[], [0]], references=[[0]])
@example(samples=[[0] * 12], references=[[0] * 3, [0] * 5])
def test_bleu_equals_nltk(limits, smoothing, samples, references):
    expected = nltk_mean([(references, sample) for sample in samples], (1, 2, 3, 4, 5), smoothing)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in limits.items():
            patch.setattr(ngrams, name, value)
        got = bleu(samples, references, orders=(1, 2, 3, 4, 5), smoothing=smoothing)
    assert got == pytest.approx(expected, abs=TOLERANCE)


@pytest.mark.parametrize("smoothing", ["method0", "method1"])
@every_way
@settings(max_examples=100)
@given(samples=corpora(min_size=2))
@example(samples=[[], []])
@example(samples=[[0], [0]])
@example(samples=[[0, 0, 0], [0, 0], [0]])
@example(samples=[[0, 0, 0], [0, 0, 0], [0]])
def test_self_bleu_equals_nltk(limits, smoothing, samples):
    others = [(samples[:i] + samples[i + 1 :], sample) for i, sample in enumerate(samples)]
    expected = nltk_mean(others, (1, 2, 3, 4, 5), smoothing)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in limits.items():
            patch.setattr(ngrams, name, value)
        got = self_bleu(samples, orders=(1, 2, 3, 4, 5), smoothing=smoothing)
    assert got == pytest.approx(expected, abs=TOLERANCE)


def test_ids_too_large_to_be_packed(monkeypatch):
    """The stable sort is taken by itself where it must be, and the plain sort where it can be."""
    sorts = []
    argsort = np.argsort
    monkeypatch.setattr(np, "argsort", lambda *a, **k: sorts.append(1) or argsort(*a, **k))
    small = [[0, 1, 2, 1], [0, 1, 1, 0, 1], [2, 2]]
    large = [[HUGE + word for word in sentence] for sentence in small]
    expected = self_bleu(small), bleu(small, small[:2])
    assert not sorts
    assert (self_bleu(large), bleu(large, large[:2])) == expected
    assert sorts


def test_orders_alone_give_the_same_as_orders_together():
    samples, references = [[0, 1, 2, 3], [3, 2, 1]], [[0, 1, 2], [1, 2, 3, 4]]
    together = bleu(samples, references)
    assert [bleu(samples, references, orders=(order,))[0] for order in (2, 3, 4, 5)] == together
    assert bleu(samples, references, orders=(2, 5)) == [together[0], together[3]]
    assert [self_bleu(samples, orders=(order,))[0] for order in (2, 3, 4, 5)] == self_bleu(samples)


@settings(max_examples=60)
@given(samples=corpora(), more=corpora(), references=corpora())
def test_an_index_serves_many_evaluations(samples, more, references):
    kept = tokens(references)
    for batch, orders in ((samples, (2,)), (more, (2, 3, 4, 5)), (samples, (3,))):
        inputs = MetricInputs(samples=tokens(batch), references=kept)
        assert list(Bleu(orders=orders).compute(inputs).values()) == bleu(batch, references, orders=orders)


def test_the_index_is_built_once_and_goes_with_its_references():
    references = tokens([[0, 1, 2], [1, 2]])
    index = ngrams.reference_index(references, 3)
    assert ngrams.reference_index(references, 2) is index
    assert ngrams.reference_index(references, 4) is not index
    gone = weakref.ref(references)
    del references
    gc.collect()
    assert gone() is None


@settings(max_examples=60)
@given(samples=corpora(), references=corpora(), random=st.randoms(use_true_random=False))
def test_the_order_of_sentences_does_not_matter(samples, references, random):
    shuffled = random.sample(samples, len(samples)), random.sample(references, len(references))
    assert bleu(*shuffled) == pytest.approx(bleu(samples, references), abs=TOLERANCE)
    if len(samples) > 1:
        assert self_bleu(shuffled[0]) == pytest.approx(self_bleu(samples), abs=TOLERANCE)


@settings(max_examples=60)
@given(samples=corpora(), references=corpora())
def test_words_are_only_names(samples, references):
    def renamed(sentences):
        return [[1000 - 7 * word for word in sentence] for sentence in sentences]

    assert bleu(renamed(samples), renamed(references)) == pytest.approx(bleu(samples, references), abs=TOLERANCE)


@settings(max_examples=60)
@given(samples=corpora(), references=corpora())
def test_repeating_changes_no_bleu(samples, references):
    once = bleu(samples, references)
    assert bleu(samples * 2, references) == pytest.approx(once, abs=TOLERANCE)
    assert bleu(samples, references * 3) == pytest.approx(once, abs=TOLERANCE)


@settings(max_examples=60)
@given(sample=st.lists(st.integers(0, 3), min_size=5, max_size=12), references=corpora())
def test_a_sample_among_the_references_scores_one(sample, references):
    assert bleu([sample], [*references, sample]) == pytest.approx([1.0] * 4, abs=TOLERANCE)
    assert self_bleu([sample, sample]) == pytest.approx([1.0] * 4, abs=TOLERANCE)


@settings(max_examples=60)
@given(sample=st.lists(st.integers(0, 5), max_size=12), references=corpora())
def test_self_bleu_of_two_is_bleu_both_ways(sample, references):
    other = references[0]
    both = np.mean([bleu([sample], [other]), bleu([other], [sample])], axis=0)
    assert self_bleu([sample, other]) == pytest.approx(both.tolist(), abs=TOLERANCE)


@settings(max_examples=100)
@given(samples=corpora())
@example(samples=[[0, 0, 0], [0, 0], [0, 0]])
@example(samples=[[0, 0, 0, 0], [0, 0, 0], [0]])
def test_matches_elsewhere_by_occurrence_and_by_count(samples):
    """One way looks at repeated occurrences alone, the other at the counts of every sentence."""
    corpus = tokens(samples)
    by_count = [runs.by_sentence(ngrams.matched_elsewhere(runs), len(corpus)) for runs in ngrams.shared_runs(corpus, 5)]
    assert ngrams.leave_one_out_matches(corpus, 5).tolist() == np.stack(by_count).tolist()


@pytest.mark.parametrize("block", [1, 3, 10_000])
@settings(max_examples=40)
@given(sentences=st.lists(st.lists(st.sampled_from("abcdefg"), max_size=5), max_size=12))
def test_words_are_numbered_in_their_order(block, sentences):
    expected = {"known": 0, "c": 1}
    flat = [expected.setdefault(word, len(expected)) for sentence in sentences for word in sentence]
    numbering = {"known": 0, "c": 1}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokens_module, "BLOCK", block)
        corpus = Tokens.from_words(iter(sentences), numbering)
    assert list(numbering.items()) == list(expected.items())
    assert corpus.flat.tolist() == flat
    assert corpus.lengths.tolist() == [len(sentence) for sentence in sentences]


def captions(n: int, seed: int) -> Tokens:
    """Sentences of about 11 words of 4,000, of which few are frequent and many are rare."""
    random = np.random.RandomState(seed)
    lengths = random.randint(7, 16, n)
    words = np.exp(random.random_sample(lengths.sum()) * np.log(4_000)).astype(np.int64)
    return Tokens(words, np.cumsum([0, *lengths], dtype=np.int64))


@pytest.mark.parametrize(
    ("work", "bytes_per_token"),
    [
        (lambda samples, _: ngrams.leave_one_out_matches(samples, 5), 70),
        (lambda _, references: ngrams.ReferenceIndex(references, 5), 90),
        (lambda samples, references: ngrams.ReferenceIndex(references, 5).matches(samples), 100),
    ],
    ids=["Self-BLEU", "index", "BLEU"],
)
def test_memory_is_a_small_multiple_of_the_text(work, bytes_per_token):
    """A million captions, 11 tokens each, then take about 1 GB. Measured here: 53, 73 and 77 bytes."""
    samples, references = captions(20_000, 0), captions(20_000, 1)
    tracemalloc.start()
    try:
        work(samples, references)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < bytes_per_token * len(samples.flat)


def test_nearest_length_takes_the_shorter_of_two():
    index = ngrams.ReferenceIndex(tokens([[0] * 2, [0] * 4, [0] * 8]), 1)
    assert index.closest_lengths(np.array([0, 2, 3, 5, 6, 7, 20])).tolist() == [2, 2, 2, 4, 4, 8, 8]


def test_leave_one_out_length_is_that_of_another_sentence():
    assert ngrams.leave_one_out_lengths(np.array([3, 5, 7, 7, 1])).tolist() == [1, 3, 7, 7, 3]
    with pytest.raises(ValueError, match="at least two sentences, got 1"):
        ngrams.leave_one_out_lengths(np.array([3]))


@pytest.mark.parametrize("metric", [Bleu, SelfBleu])
@pytest.mark.parametrize("orders", [(), (0, 1), (3, 2), (2, 2), (2.0,), (True, 2)])
def test_orders_are_checked(metric, orders):
    with pytest.raises(ValueError, match="orders must be different whole numbers"):
        metric(orders=orders)


@pytest.mark.parametrize("metric", [Bleu, SelfBleu])
def test_smoothing_is_checked(metric):
    with pytest.raises(ValueError, match="smoothing must be one of method0, method1, got 'floor'"):
        metric(smoothing="floor")
