"""Entropy, Zipf, MS-Jaccard, Jensen-Shannon, corpus BLEU and chrF against plain counting, SciPy, NLTK and sacreBLEU."""

from __future__ import annotations

import logging
import math
import warnings
from collections import Counter

import numpy as np
import pytest
from helpers.sentences import Sentences, tokens
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from nltk.translate.bleu_score import corpus_bleu
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from scipy import stats
from scipy.spatial.distance import jensenshannon

from metrics.chrf import Chrf
from metrics.common.base import MetricInputs
from metrics.common.characters import characters
from metrics.corpus_bleu import CorpusBleu
from metrics.ms_jaccard import MsJaccard
from metrics.ngram_entropy import NgramEntropy
from metrics.ngram_jsd import NgramJsd
from metrics.zipf import Zipf

CORPORA = st.lists(st.lists(st.integers(0, 5), max_size=9), min_size=1, max_size=10)
WORDS = ["a", "ab", "ba", "é b", "aab", "\U0001f600"]
TOLERANCE = 1e-12


def inputs(samples: Sentences, references: Sentences, **others: Sentences) -> MetricInputs:
    corpora = {name: tokens(corpus) for name, corpus in others.items()}
    return MetricInputs(samples=tokens(samples), references=tokens(references), words=WORDS, **corpora)


def texts(sentences: Sentences) -> list[str]:
    return [" ".join(WORDS[word] for word in sentence) for sentence in sentences]


def grams(sentences: list, order: int) -> Counter:
    return Counter(tuple(s[i : i + order]) for s in sentences for i in range(len(s) - order + 1))


@given(samples=CORPORA)
def test_entropy_by_plain_counting(samples):
    expected = {}
    for order in (1, 2, 3, 4):
        if counts := grams(samples, order):
            expected[f"ngram_entropy_{order}"] = stats.entropy(list(counts.values()))
    if expected:
        assert NgramEntropy().compute(inputs(samples, [])) == pytest.approx(expected, abs=TOLERANCE)
    else:
        assert NgramEntropy().missing(inputs(samples, [])) == "ngram_entropy needs a sample of at least 1 tokens"


@given(samples=CORPORA)
@example(samples=[[0] * 9, [0] * 9, [1] * 3])
def test_zipf_is_the_slope_of_the_line(samples):
    counts = sorted(grams(samples, 1).values(), reverse=True)
    given = inputs(samples, [])
    if len(counts) < 2:
        assert Zipf().missing(given) in ("zipf needs samples of at least two different words",)
        return
    ranks = np.arange(1, len(counts) + 1)
    slope = stats.linregress(np.log(ranks), np.log(counts)).slope
    assert Zipf().compute(given)["zipf"] == pytest.approx(-slope, abs=1e-11)


@given(samples=CORPORA, references=CORPORA)
@example(samples=[[0, 1]], references=[[]])
def test_ms_jaccard_by_plain_counting(samples, references):
    expected, product = {}, 1.0
    for order in (1, 2, 3, 4, 5):
        ours, theirs = grams(samples, order), grams(references, order)
        if not ours | theirs:
            break
        pairs = [(ours[g] / len(samples), theirs[g] / len(references)) for g in ours | theirs]
        product *= sum(map(min, pairs)) / sum(map(max, pairs))
        expected[f"ms_jaccard_{order}"] = product ** (1 / order)
    given = inputs(samples, references)
    if expected:
        assert MsJaccard().compute(given) == pytest.approx(expected, abs=TOLERANCE)
    else:
        assert MsJaccard().missing(given) == "ms_jaccard needs a sample or reference of at least 1 tokens"


@pytest.mark.parametrize("level", ["word", "character"])
@given(samples=CORPORA, references=CORPORA)
@example(samples=[[0, 1, 0, 1, 0]], references=[[0, 1], [5]])
def test_jensen_shannon_by_scipy(level, samples, references):
    cut = list if level == "word" else str
    ours, theirs = (samples, references) if level == "word" else (texts(samples), texts(references))
    expected = {}
    for order in (1, 2, 3, 4):
        p, q = grams([cut(s) for s in ours], order), grams([cut(s) for s in theirs], order)
        if p and q:
            every = list(p | q)
            distance = jensenshannon([p[g] for g in every], [q[g] for g in every], base=2)
            expected[f"ngram_jsd_{order}"] = 0.0 if math.isnan(distance) else distance**2
    metric, given = NgramJsd(level=level), inputs(samples, references)
    if expected:
        assert metric.compute(given) == pytest.approx(expected, abs=1e-7)  # SciPy takes a root that we do not
        assert all(score == pytest.approx(expected[key], abs=TOLERANCE) for key, score in metric.compute(given).items())
    else:
        assert "ngram_jsd needs a" in (metric.missing(given) or "")


@given(samples=CORPORA)
def test_characters_are_those_of_the_text(samples):
    for blank, expected in ((True, texts(samples)), (False, ["".join(text.split()) for text in texts(samples)])):
        found = characters(tokens(samples), WORDS, blank=blank)
        assert ["".join(map(chr, found.sentence(i))) for i in range(len(found))] == expected


def sacre(metric: BLEU | CHRF, samples: Sentences, references: Sentences) -> float:
    """sacreBLEU's own way: one stream for each reference, the same for every sample."""
    logging.getLogger("sacrebleu").setLevel(logging.ERROR)
    streams = [[reference] * len(samples) for reference in texts(references)]
    return metric.corpus_score(texts(samples), streams).score / 100


PLAIN = st.lists(st.lists(st.sampled_from([0, 1, 2, 4, 5]), max_size=8), min_size=1, max_size=6)


@pytest.mark.parametrize("smooth", ["exp", "floor", "add-k", "none"])
@settings(max_examples=50)
@given(samples=PLAIN, references=PLAIN)
@example(samples=[[0]], references=[[0]])
@example(samples=[[]], references=[[]])
def test_corpus_bleu_is_sacrebleu(smooth, samples, references):
    metric, given = CorpusBleu(orders=(1, 2, 4, 5), smooth=smooth), inputs(samples, references)
    for order in (1, 2, 4, 5):
        theirs = BLEU(tokenize="none", smooth_method=smooth, max_ngram_order=order, force=True)
        expected = sacre(theirs, samples, references)
        assert metric.compute(given)[f"corpus_bleu_{order}"] == pytest.approx(expected, abs=TOLERANCE)
        assert str(theirs.get_signature()) in metric.signature(given)


@settings(max_examples=50)
@given(samples=PLAIN, references=PLAIN)
def test_corpus_bleu_is_nltks(samples, references):
    """Where every order has a match and every sample every order; else their conventions differ."""
    samples = [[*sample, 0, 1, 2] for sample in samples]
    weights = [(1 / order,) * order for order in (1, 2, 3)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = corpus_bleu([references] * len(samples), samples, weights)
    assume(min(expected) > 1e-9)
    found = CorpusBleu(orders=(1, 2, 3)).compute(inputs(samples, references))
    assert list(found.values()) == pytest.approx(expected, abs=TOLERANCE)


@pytest.mark.parametrize(("char_order", "beta"), [(6, 2), (2, 1), (1, 3)])
@settings(max_examples=60)
@given(samples=CORPORA, references=CORPORA)
@example(samples=[[0], []], references=[[], [0]])
@example(samples=[[1], [2]], references=[[2], [1], [1, 2], [2, 1]])
def test_chrf_is_sacrebleu(char_order, beta, samples, references):
    theirs = CHRF(char_order=char_order, beta=beta)
    metric, given = Chrf(char_order=char_order, beta=beta), inputs(samples, references)
    assert metric.compute(given)["chrf"] == pytest.approx(sacre(theirs, samples, references), abs=TOLERANCE)
    assert str(theirs.get_signature()) in metric.signature(given)
    best, counts = metric.nearest(given)
    alone = [sacre(theirs, [s], [references[i]]) for s, i in zip(samples, best, strict=True)]
    most = [max(sacre(theirs, [s], [r]) for r in references) for s in samples]
    assert alone == pytest.approx(most, abs=TOLERANCE)
    assert counts.shape == (len(samples), 3, char_order)


def test_chrf_in_blocks_is_the_same(monkeypatch):
    rng = np.random.RandomState(0)
    samples, references = ([rng.randint(0, 6, rng.randint(1, 9)).tolist() for _ in range(n)] for n in (40, 150))
    whole = Chrf().estimates(inputs(samples, references))
    monkeypatch.setattr("metrics.common.overlap.BLOCK_PAIRS", 400)
    assert Chrf().estimates(inputs(samples, references)) == whole
    monkeypatch.setattr("metrics.common.overlap.FREQUENT", 2)  # nothing is dense
    assert Chrf().estimates(inputs(samples, references)) == whole
    assert whole["chrf"].value == pytest.approx(sacre(CHRF(), samples, references), abs=TOLERANCE)


@given(samples=CORPORA, references=CORPORA, random=st.randoms(use_true_random=False))
@settings(max_examples=40)
def test_order_names_and_repetition_do_not_matter(samples, references, random):
    def scores(samples: Sentences, references: Sentences) -> dict[str, float]:
        given = inputs(samples, references)
        metrics = [NgramEntropy(), Zipf(), MsJaccard(), NgramJsd(), CorpusBleu(smooth="none")]
        return {k: v for m in metrics if m.missing(given) is None for k, v in m.compute(given).items()}

    once = scores(samples, references)
    shuffled = random.sample(samples, len(samples)), random.sample(references, len(references))
    assert scores(*shuffled) == pytest.approx(once, abs=1e-10)
    assert scores(samples * 2, references * 3) == pytest.approx(once, abs=1e-10)
    renamed = [[[100 - 7 * word for word in sentence] for sentence in corpus] for corpus in (samples, references)]
    assert scores(*renamed) == pytest.approx(once, abs=1e-10)


@given(corpus=CORPORA, other=CORPORA)
def test_the_ends_of_the_scales(corpus, other):
    assume(any(corpus) and any(other))
    same = inputs(corpus, corpus)
    assert all(score == 1 for score in MsJaccard().compute(same).values())
    assert all(score == pytest.approx(0, abs=TOLERANCE) for score in NgramJsd().compute(same).values())
    if all(corpus):  # for an empty sample all references are equally bad, and sacreBLEU takes the first
        assert Chrf().compute(same)["chrf"] == pytest.approx(1)
    apart = inputs(corpus, [[word + 6 for word in sentence] for sentence in other])
    assert MsJaccard().compute(apart)["ms_jaccard_1"] == 0
    assert NgramJsd().compute(apart)["ngram_jsd_1"] == pytest.approx(1)
    there, back = NgramJsd().compute(inputs(corpus, other)), NgramJsd().compute(inputs(other, corpus))
    assert there == pytest.approx(back, abs=TOLERANCE)


def test_the_floor_is_what_as_many_real_sentences_get():
    samples, references = [[0, 1], [1, 1]], [[0, 1, 2], [2, 3]]
    validation, training = [[0, 2], [4, 4], [2, 3]], [[5, 5], [1, 1], [3, 3]]
    metric = NgramJsd(orders=(1,))
    without = inputs(samples, references)
    assert list(metric.compute(without)) == ["ngram_jsd_1"]
    assert "|real:0|" in metric.signature(without)
    held_out = inputs(samples, references, validation=validation, training=training)
    expected = metric.compute(inputs([validation[0], validation[2]], references))["ngram_jsd_1"]
    assert metric.compute(held_out)["ngram_jsd_1_floor"] == expected
    assert "|real:2|" in metric.signature(held_out)
    few = inputs(samples, references, validation=validation[:1], training=training)  # too few: training text too
    expected = metric.compute(inputs([training[0], validation[0]], references))["ngram_jsd_1"]
    assert metric.compute(few)["ngram_jsd_1_floor"] == expected


def test_the_first_samples_apart():
    samples, references, validation = [[0, 1], [1, 1], [2, 2]], [[0, 1, 2], [2, 3]], [[0, 2], [4, 4], [2, 3]]
    given = inputs(samples, references, validation=validation)
    assert set(NgramJsd(orders=(1,)).compute(given)) == {"ngram_jsd_1", "ngram_jsd_1_floor"}
    metric = NgramJsd(orders=(1,), first=2)
    scores = metric.compute(given)
    few = metric.compute(inputs(samples[:2], references, validation=validation))
    assert {key.replace("_first", ""): v for key, v in scores.items() if "first" in key} == few
    assert scores["ngram_jsd_1"] != scores["ngram_jsd_1_first"]
    assert metric.signature(given).startswith("ngram_jsd|level:word|orders:1|first:2|")
    with pytest.raises(ValueError, match="first must be at least 1, got 0"):
        NgramJsd(first=0)


def test_absent_with_a_reason():
    nothing = tokens([])
    one = tokens([[0, 1]])
    spelled = {"samples": one, "references": one}
    cases = [
        (CorpusBleu(), {"samples": one, "references": nothing}, "corpus_bleu needs at least one reference sentence"),
        (CorpusBleu(), {"samples": one}, "corpus_bleu needs reference sentences"),
        (Chrf(), spelled, "chrf needs the words behind the tokens"),
        (Chrf(), {**spelled, "words": ["a"]}, "chrf needs the words behind the tokens: 2 tokens have none"),
        (Chrf(), {**spelled, "references": nothing}, "chrf needs at least one reference sentence"),
        (NgramJsd(level="character"), spelled, "ngram_jsd needs the words behind the tokens: 4 tokens have none"),
        (NgramJsd(orders=(3,)), spelled, "ngram_jsd needs a sample of at least 3 words"),
        (NgramJsd(), {"samples": one}, "ngram_jsd needs reference sentences"),
        (MsJaccard(), {"samples": one, "references": nothing}, "ms_jaccard needs at least one reference sentence"),
        (Zipf(), {"samples": tokens([[1, 1]])}, "zipf needs samples of at least two different words"),
    ]
    for metric, corpora, reason in cases:
        assert metric.missing(MetricInputs(**corpora)) == reason
    for metric in (CorpusBleu(), NgramEntropy(), Zipf(), MsJaccard(), NgramJsd()):
        given = MetricInputs(samples=nothing, references=one)
        assert metric.missing(given) == f"{metric.name} needs at least one sample"


def test_settings_are_checked():
    for wrong, message in (
        (lambda: CorpusBleu(smooth="method1"), "smooth must be one of exp, floor, add-k, none, got 'method1'"),
        (lambda: NgramJsd(level="byte"), "level must be one of word, character, got 'byte'"),
        (lambda: Chrf(beta=0), "beta must be at least 1, got 0"),
        (lambda: MsJaccard(orders=(2, 1)), "orders must be different whole numbers"),
        (lambda: NgramEntropy(orders=()), "orders must be different whole numbers"),
    ):
        with pytest.raises(ValueError, match=message):
            wrong()
