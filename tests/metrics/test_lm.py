"""Kneser-Ney against NLTK's and by enumeration; the two LM scores: their settings, limits and standard errors."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from helpers.sentences import Sentences, tokens
from hypothesis import given, settings
from hypothesis import strategies as st
from nltk.lm.counter import NgramCounter
from nltk.lm.models import KneserNeyInterpolated

from metrics.common.base import MetricInputs
from metrics.common.kneser_ney import KneserNey, Ngrams, model_of
from metrics.common.language_model import LanguageModelMetric
from metrics.common.tokens import Tokens
from metrics.lm_score import LmScore
from metrics.lm_score_known import LmScoreKnown
from metrics.reverse_lm_score import ReverseLmScore
from metrics.reverse_lm_score_known import ReverseLmScoreKnown

CORPORA = st.lists(st.lists(st.integers(0, 4), max_size=7), min_size=1, max_size=10)
ORDERS = st.integers(2, 5)
DISCOUNTS = st.sampled_from([0.1, 0.75, 0.85])
BEGIN, END, OTHER = "<s>", "</s>", "<other>"
BOTH = pytest.mark.parametrize("metric", [LmScore, ReverseLmScore])


def model(text: Sentences, vocabulary: Sentences, order: int, discount: float = 0.75) -> KneserNey:
    return KneserNey(tokens(text), tokens(vocabulary), order=order, discount=discount)


class Nltk:
    """The same model by NLTK, which lacks two things.

    Its unigrams are not discounted for unknown words. And it would count the different words before an n-gram that
    begins a sentence, so a word that no other sentence has stands there: then different words are occurrences.
    """

    def __init__(self, text: Sentences, vocabulary: Sentences, order: int, discount: float) -> None:
        self.order = order
        self.known = {word for sentence in vocabulary for word in sentence}
        streams = [[("before", i), BEGIN, *self.symbols(sentence)] for i, sentence in enumerate(text)]
        grams = [
            tuple(stream[end - n : end])
            for stream in streams
            for end in range(3, len(stream) + 1)
            for n in range(1, min(order, end) + 1)
        ]
        self.model = KneserNeyInterpolated(order, discount=discount, counter=NgramCounter([grams]))
        undiscounted = self.model.estimator.unigram_score
        pairs = {gram for gram in grams if len(gram) == 2}
        share = discount / len(pairs)
        uniform = share * len({gram[1] for gram in pairs}) / (len(self.known) + 2)
        self.model.estimator.unigram_score = lambda word: max(undiscounted(word) - share, 0) + uniform

    def symbols(self, sentence: list[int]) -> list[object]:
        return [*(word if word in self.known else OTHER for word in sentence), END]

    def costs(self, sentence: list[int]) -> list[float]:
        """Of each word, and of the end."""
        stream = [BEGIN, *self.symbols(sentence)]
        contexts = [tuple(stream[max(0, at - self.order + 1) : at]) for at in range(1, len(stream))]
        return [-math.log(self.model.unmasked_score(w, h)) for w, h in zip(stream[1:], contexts, strict=True)]

    def nats(self, sentence: list[int]) -> float:
        return sum(self.costs(sentence))


@given(text=CORPORA, vocabulary=CORPORA, scored=CORPORA, order=ORDERS, discount=DISCOUNTS)
def test_kneser_ney_is_nltks(text, vocabulary, scored, order, discount):
    expected = Nltk(text, vocabulary, order, discount)
    ours = model(text, vocabulary, order, discount).nats(tokens(scored))
    assert ours == pytest.approx([expected.nats(sentence) for sentence in scored], abs=1e-12, rel=1e-12)


@given(text=CORPORA, order=ORDERS, discount=DISCOUNTS)
def test_the_probabilities_of_all_events_sum_to_one(text, order, discount):
    """After every context of up to three words, known or not: the words 0 to 3, all others as one, and the end."""
    ours = model(text, [[0, 1, 2, 3]], order, discount)
    assert ours.n_events == 6
    for length in range(4):
        for context in product(range(5), repeat=length):
            every = ours.probabilities(tokens([[*context, word] for word in range(5)])).reshape(5, length + 2)
            end = ours.probabilities(tokens([list(context)]))[-1]
            assert every[:, length].sum() + end == pytest.approx(1, abs=1e-12)
            assert min(every[:, length].min(), end) > 0


@given(text=CORPORA, vocabulary=CORPORA, scored=CORPORA, order=ORDERS)
def test_the_numbers_of_the_words_and_the_order_of_the_sentences_do_not_matter(text, vocabulary, scored, order):
    def renumbered(sentences: Sentences) -> Sentences:
        return [[(word * 3 + 2) % 5 + 7 for word in sentence] for sentence in sentences]

    plain = model(text, vocabulary, order).nats(tokens(scored))
    other = model(renumbered(text[::-1]), renumbered(vocabulary), order).nats(tokens(renumbered(scored)))
    assert other == pytest.approx(plain, rel=1e-12)


def test_a_word_outside_the_vocabulary_is_one_of_a_class():
    ours = model([[0, 1]], [[0, 1]], 3)
    assert ours.n_events == 4
    costs = ours.nats(tokens([[7], [9], [0]]))
    assert costs[0] == costs[1] > costs[2]


def test_sentences_of_no_words_and_no_sentences():
    ours = model([[], []], [[0]], 4)
    # Events: one unigram type, the end; 0.25 / 1 and 0.75 / 3 for each of the three; then 1.25 / 2 + 0.375 * 0.5.
    assert ours.probabilities(tokens([[]])) == pytest.approx([1.25 / 2 + 0.375 * 0.5])
    assert ours.nats(tokens([])).shape == (0,)
    with pytest.raises(ValueError, match="at least one sentence of training text"):
        model([], [[0]], 4)


def test_a_model_is_made_once_for_a_text_and_settings():
    text = tokens([[0, 1], [1]])
    first = model_of(text, order=3, discount=0.75)
    assert model_of(text, order=3, discount=0.75) is first
    assert model_of(text, order=2, discount=0.75) is not first
    assert model_of(tokens([[0, 1], [1]]), order=3, discount=0.75) is not first


def inputs(samples: Sentences, references: Sentences | None, training: Sentences | None = None) -> MetricInputs:
    return MetricInputs(
        samples=tokens(samples),
        references=None if references is None else tokens(references),
        training=None if training is None else tokens(training),
    )


@given(samples=CORPORA, references=CORPORA, training=CORPORA)
def test_the_scores_are_nltks(samples, references, training):
    """Nats / (words + ends), with the real text's words as vocabulary in both directions."""
    given_inputs = inputs(samples, references, training)
    for corpus, real in (("references", references), ("training", training)):
        settings = {"corpus": corpus, "order": 3, "discount": 0.75}
        forward, backward = Nltk(real, real, 3, 0.75), Nltk(samples, real, 3, 0.75)
        cost = sum(map(forward.nats, samples)) / sum(len(s) + 1 for s in samples)
        reverse = sum(map(backward.nats, real)) / sum(len(s) + 1 for s in real)
        assert LmScore(**settings).compute(given_inputs) == {"lm_score": pytest.approx(cost, rel=1e-12)}
        assert ReverseLmScore(**settings).compute(given_inputs) == {
            "reverse_lm_score": pytest.approx(reverse, rel=1e-12)
        }


def known_and_unknown(model: Nltk, text: Sentences, words: Sentences) -> tuple[float, float]:
    """Mean cost of the tokens whose word is one of `words`, ends included, and the share of the other tokens."""
    known = {word for sentence in words for word in sentence}
    costs = [
        (cost, word is None or word in known)
        for sentence in text
        for cost, word in zip(model.costs(sentence), [*sentence, None], strict=True)
    ]
    of_known = [cost for cost, is_known in costs if is_known]
    return sum(of_known) / len(of_known), 1 - len(of_known) / len(costs)


@settings(max_examples=50)
@given(samples=CORPORA, references=CORPORA, training=CORPORA)
def test_the_scores_of_known_words_are_nltks(samples, references, training):
    given_inputs = inputs(samples, references, training)
    for corpus, real in (("references", references), ("training", training)):
        chosen = {"corpus": corpus, "order": 3, "discount": 0.75}
        known, unknown = known_and_unknown(Nltk(real, real, 3, 0.75), samples, real)
        found = LmScoreKnown(**chosen).compute(given_inputs)
        assert found == pytest.approx({"lm_score_known": known, "lm_score_unknown": unknown}, rel=1e-12, abs=1e-15)
        known, unknown = known_and_unknown(Nltk(samples, real, 3, 0.75), real, training)
        found = ReverseLmScoreKnown(**chosen).compute(given_inputs)
        expected = {"reverse_lm_score_known": known, "reverse_lm_score_unknown": unknown}
        assert found == pytest.approx(expected, rel=1e-12, abs=1e-15)


@settings(max_examples=50)
@given(samples=CORPORA, references=CORPORA)
def test_where_all_words_are_known_nothing_changes(samples, references):
    every = [*references, [0, 1, 2, 3, 4]]
    plain = inputs(samples, every, every)
    known, reverse = LmScoreKnown().compute(plain), ReverseLmScoreKnown().compute(plain)
    assert known == {"lm_score_known": pytest.approx(LmScore().compute(plain)["lm_score"]), "lm_score_unknown": 0}
    whole = ReverseLmScore().compute(plain)["reverse_lm_score"]
    assert reverse == {"reverse_lm_score_known": pytest.approx(whole), "reverse_lm_score_unknown": 0}


def test_unknown_words_decide_lm_score_and_not_that_of_known_words():
    """Every second sample gets a word more, one of five that the references lack."""
    real, plain = texts(0, 300), texts(1, 300)
    odd = [[*s, 30 + i % 5] if i % 2 else s for i, s in enumerate(plain)]
    whole = [LmScore().compute(inputs(samples, real))["lm_score"] for samples in (plain, odd)]
    before, after = (LmScoreKnown().compute(inputs(samples, real)) for samples in (plain, odd))
    assert before == {"lm_score_known": whole[0], "lm_score_unknown": 0}
    assert after["lm_score_unknown"] == pytest.approx(150 / (sum(map(len, odd)) + 300))
    assert whole[1] - whole[0] > 0.2
    assert abs(after["lm_score_known"] - whole[0]) < (whole[1] - whole[0]) / 3


def test_backwards_words_that_no_model_could_know_do_not_count_but_those_it_lacks_do():
    training = texts(0, 200)
    real = [[*s, 50] for s in texts(1, 200)]
    fair, collapsed = inputs(texts(2, 200), real, training), inputs([training[0]] * 200, real, training)
    known = [ReverseLmScoreKnown().compute(each) for each in (fair, collapsed)]
    assert known[0]["reverse_lm_score_unknown"] == known[1]["reverse_lm_score_unknown"] > 0.1
    assert known[0]["reverse_lm_score_known"] < known[1]["reverse_lm_score_known"] - 0.5
    assert known[0]["reverse_lm_score_known"] < ReverseLmScore().compute(fair)["reverse_lm_score"]
    assert not ReverseLmScoreKnown().meaning("reverse_lm_score_known").held_out


@given(samples=CORPORA, references=CORPORA)
def test_metamorphic(samples, references):
    """The order of the samples and, forwards, repeating all of them change nothing; to be told the answer helps."""
    plain = inputs(samples, references)
    shuffled = inputs(samples[::-1], references[::-1])
    for metric in (LmScore(), ReverseLmScore()):
        assert metric.compute(shuffled) == pytest.approx(metric.compute(plain), rel=1e-12)
    assert LmScore().compute(inputs(samples * 2, references)) == pytest.approx(LmScore().compute(plain), rel=1e-12)


def texts(seed: int, n: int, words: int = 30) -> Sentences:
    """Sentences of a Zipf-like Markov chain."""
    random = np.random.RandomState(seed)
    weights = 1 / np.arange(1, words + 1)
    return [
        [
            int((w * 7 + i) % words)
            for i, w in enumerate(random.choice(words, random.randint(3, 9), p=weights / weights.sum()))
        ]
        for _ in range(n)
    ]


def test_forwards_rewards_a_collapse_and_backwards_punishes_it():
    real, fair = texts(0, 300), texts(1, 300)
    cheapest = min(real, key=lambda s: LmScore().compute(inputs([s], real))["lm_score"])
    good, collapsed = inputs(fair, real), inputs([cheapest] * 300, real)
    assert LmScore().compute(collapsed)["lm_score"] < LmScore().compute(good)["lm_score"] - 0.5
    reverse = ReverseLmScore()
    assert reverse.compute(collapsed)["reverse_lm_score"] > reverse.compute(good)["reverse_lm_score"] + 0.5


@pytest.mark.parametrize("metric", [LmScore(), ReverseLmScore(), LmScoreKnown(), ReverseLmScoreKnown()])
def test_standard_errors_are_what_other_draws_change(metric: LanguageModelMetric):
    """The spread of the scores of 60 draws of 100 sentences, itself known to 9%, and the mean of the errors."""
    real, training = tokens(texts(0, 300)), tokens(texts(61, 300, 25))
    draws = [
        MetricInputs(samples=tokens(texts(seed, 100)), references=real, training=training) for seed in range(1, 61)
    ]
    found = [metric.estimates(draw)[metric.name] for draw in draws]
    spread = np.std([estimate.value for estimate in found], ddof=1)
    assert np.mean([estimate.standard_error for estimate in found]) == pytest.approx(spread, rel=0.3)
    assert found[0].value == metric.compute(draws[0])[metric.name]


@BOTH
def test_one_sample_has_no_standard_error(metric: type[LanguageModelMetric]):
    estimate = metric().estimates(inputs([[0, 1]], [[0, 1], [1]]))[metric().name]
    assert estimate.standard_error is None
    assert math.isfinite(estimate.value)


@BOTH
def test_absent_with_a_reason(metric: type[LanguageModelMetric]):
    name = metric().name
    assert metric().missing(inputs([[0]], [[0]])) is None
    assert metric().missing(inputs([[0]], None, [[0]])) == f"{name} needs reference sentences"
    assert metric(corpus="training").missing(inputs([[0]], [[0]])) == f"{name} needs training sentences"
    assert metric().missing(inputs([[0]], [])) == f"{name} needs at least one reference sentence"
    assert metric().missing(inputs([], [[0]])) == f"{name} needs at least one sample"


@BOTH
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"corpus": "test"}, "corpus must be one of references, training, got 'test'"),
        ({"order": 1}, "order must be a whole number from 2, got 1"),
        ({"discount": 1.0}, "discount must be above 0 and below 1, got 1.0"),
        ({"discount": 0}, "discount must be above 0 and below 1, got 0"),
    ],
)
def test_wrong_settings(metric: type[LanguageModelMetric], wrong, message):
    with pytest.raises(ValueError, match=message):
        metric(**wrong)


def test_signatures():
    given_inputs = inputs([[0]], [[0], [1]], [[0], [1], [2]])
    signature = LmScore().signature(given_inputs)
    assert signature == "lm_score|corpus:references|model:kneser_ney|order:4|discount:0.85|refs:2|samples:1|v:1"
    signature = ReverseLmScore(corpus="training", order=3).signature(given_inputs)
    settings = "corpus:training|model:kneser_ney|order:3|discount:0.85"
    assert signature == f"reverse_lm_score|{settings}|training:3|samples:1|v:1"


def test_absent_and_signatures_of_known_words():
    assert LmScoreKnown().missing(inputs([[0]], None)) == "lm_score_known needs reference sentences"
    assert ReverseLmScoreKnown().missing(inputs([[0]], [[0]])) == "reverse_lm_score_known needs training sentences"
    assert LmScoreKnown().compute(inputs([[], []], [[0]]))["lm_score_unknown"] == 0
    given_inputs = inputs([[0]], [[0], [1]], [[0], [1], [2]])
    shared = "model:kneser_ney|order:4|discount:0.85"
    assert LmScoreKnown().signature(given_inputs) == f"lm_score_known|corpus:references|{shared}|refs:2|samples:1|v:1"
    reverse = ReverseLmScoreKnown().signature(given_inputs)
    assert reverse == f"reverse_lm_score_known|corpus:references|{shared}|refs:2|training:3|samples:1|v:1"
    own = ReverseLmScoreKnown(corpus="training")
    assert own.signature(given_inputs) == f"reverse_lm_score_known|corpus:training|{shared}|training:3|samples:1|v:1"


@pytest.mark.parametrize("seed", range(20))
def test_a_model_of_a_part_is_the_model_of_these_sentences_alone(seed: int) -> None:
    """To the last bit, whatever the part leaves out: words, contexts, whole orders."""
    random = np.random.RandomState(seed)

    def some(n: int, words: int) -> Sentences:
        return [[str(word) for word in random.randint(0, words, random.randint(0, 8))] for _ in range(n)]

    numbering: dict[str, int] = {}
    text, real = (Tokens.from_words(some(n, words), numbering) for n, words in ((30, 9), (12, 12)))
    order = 2 + seed % 4
    ngrams = Ngrams(text, real, order)
    asked = ngrams.asked(real)
    for share in (0.1, 0.5, 0.9, 1.0):
        kept = random.random_sample(len(text)) < share
        kept[seed] = True
        alone = KneserNey(text.select(np.flatnonzero(kept)), real, order=order, discount=0.75)
        part = KneserNey.of(ngrams, kept, discount=0.75)
        assert np.array_equal(part.probabilities_of(asked), alone.probabilities(real))
