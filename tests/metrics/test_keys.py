"""Every key that a metric may give, and its direction: a property of the key, not of the metric."""

from __future__ import annotations

import importlib
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.registry import find, names
from bench.score.scoring import score
from metrics.common.base import TOO_LITTLE_REAL, Estimate, Metric, MetricInputs
from metrics.common.bound import bounded
from metrics.common.encoder import EmbeddingMetric
from metrics.common.labels import Judge, as_labelled
from metrics.common.tokens import Tokens
from metrics.distinct import Distinct
from metrics.mauve import Mauve
from metrics.ngram_jsd import NgramJsd

HIGHER = "bleu_2 bleu_3 bleu_4 bleu_5 chrf corpus_bleu_2 corpus_bleu_3 corpus_bleu_4 corpus_bleu_5 mauve ms_jaccard_1"
HIGHER += " ms_jaccard_2 ms_jaccard_3 ms_jaccard_4 ms_jaccard_5 prdc_coverage prdc_density prdc_precision prdc_recall"
HIGHER += " validity"
HIGHER += " exact_match reference_bleu reference_bleu_first reference_bleu_others transfer_accuracy transfer_joint"
HIGHER += "".join(
    f" per_class_{key}_{n}{of}" for key in ("bleu", "ms_jaccard") for n in (2, 4) for of in ("", "_worst")
)
LOWER = (
    "frechet_embedding_distance kl_from_oracle kl_to_oracle nll_gen nll_gen_calibrated nll_gen_padded reverse_lm_score"
    " reverse_lm_score_known"
)
LOWER += " nll_bound class_unlabelled kl_class_from_oracle nll_class nll_class_worst"
LOWER += "".join(f" ngram_jsd_{n}{part}" for n in range(1, 5) for part in ("", "_floor", "_first", "_first_floor"))
REAL = (
    "nll_train_padded bleu_train_2 bleu_train_3 bleu_train_4 bleu_train_5 distinct_1 distinct_2 distinct_3 distinct_4"
)
REAL += (
    " lm_score nll_gen_temperature nll_oracle nll_oracle_valid nll_own self_bleu_2 self_bleu_3 self_bleu_4 self_bleu_5"
)
REAL += " frechet_embedding_distance_floor mauve_ceiling mauve_spread nearest_train ngram_entropy_1 ngram_entropy_2"
REAL += " ngram_entropy_3 ngram_entropy_4 novelty novelty_ngram_2 novelty_ngram_3 novelty_ngram_4 train_overlap"
REAL += " compression_ratio lm_score_known lm_score_unknown novelty_gap_1 novelty_gap_2 novelty_gap_3 novelty_gap_4"
REAL += " novelty_gap_5 reverse_lm_score_unknown self_repetition vendi_embedding vendi_ngram"
REAL += " input_bleu target_nll transfer_content"
REAL += " class_accuracy class_accuracy_judged class_accuracy_worst"
REAL += "".join(f" per_class_self_bleu_{n}{of}" for n in (2, 4) for of in ("", "_worst"))
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


WORDS = ("a", "b", "c", "d")
CORPORA = {
    "one empty sentence": [[]],
    "only empty sentences": [[], [], []],
    "one word": [[0]],
    "one sentence": [[0, 1, 2]],
    "two equal": [[0, 1], [0, 1]],
    "all equal": [[0, 1, 2, 3]] * 9,
    "one word again and again": [[2]] * 5,
    "one word, long": [[1] * 40] * 3,
    "shorter than every order": [[0], [1], [2]],
    "some empty": [[], [0, 1, 2, 3, 0], [1]],
    "one holds all": [[], [], [0, 1, 2, 3]],
    "all different": [[0, 1, 2, 3, 0, 1], [3, 2, 1, 0, 3], [1, 1, 2, 2]],
    "words that real text has not": [[4, 5], [5, 5, 4, 4, 5]],
    "none": [],
}
sentences = st.lists(st.lists(st.integers(0, 5), max_size=6), max_size=7)


def given_inputs(samples: list[list[int]], real: list[list[int]], *, more: int, ids: bool) -> MetricInputs:
    """All that a task may know; `more`: how often training and validation text hold `real`."""
    width = max(map(len, [*samples, *real]), default=0) + 1
    text = Tokens.from_words(samples + real, {n: n for n in range(6)})
    ours, theirs = np.arange(len(samples)), np.arange(len(samples), len(samples) + len(real))
    rows = np.array([[*s, *[6] * (width - len(s))] for s in samples], np.int64).reshape(-1, width)
    real_rows = np.array([[*s, *[6] * (width - len(s))] for s in real], np.int64).reshape(-1, width)
    further = text.select(np.tile(theirs, more))
    inputs = MetricInputs(
        samples=text.select(ours),
        references=text.select(theirs),
        training=further,
        validation=further,
        words=(*WORDS, "e", "f"),
        sample_ids=rows if ids else None,
        reference_ids=real_rows,
        eos_id=6,
        oracle_log_prob=lambda rows: -1.5 * (rows != 6).sum(axis=1),
        model_log_prob=lambda rows: np.where(rows[:, 0] == 5, -np.inf, -2.0),
        is_valid=lambda tokens: tokens.lengths % 2 == 0,
    )
    labelled = as_labelled(
        inputs,
        classes=("b", "c"),
        sample_labels=(np.arange(len(samples)) + more) % 3 - 1,
        reference_labels=np.arange(len(real)) % 2,
        judge=Judge(name="even", posteriors=lambda texts: np.array([[1, 0], [0, 0], [0.5, 0.5]])[texts.lengths % 3]),
        model_label_log_prob=lambda rows: np.where(rows[:, 0] == 4, -np.inf, -1.0),
        oracle_label_log_prob=lambda rows: np.full(len(rows), -0.5),
    )
    return bounded(labelled, lambda rows, draws: np.where(rows[:, 0] == 5, np.inf, 2.0 + 0.0 * draws))


class OneVector:
    """In the place of the sentence encoder: few directions, so that covariances are of low rank."""

    def __call__(self, corpus: Tokens, _words: object, _encoder: str) -> np.ndarray:
        return np.stack([corpus.lengths, corpus.lengths % 3, corpus.lengths * 0], axis=1).astype(np.float32)


def checked(metric: Metric, given: MetricInputs) -> None:
    scores, skipped = score([metric], given)
    assert scores.keys() <= metric.keys().keys(), "a key that `keys` does not name"
    for key, better in metric.keys().items():
        reason = skipped.get(key) or skipped.get(metric.name) or ""
        assert (key in scores) != bool(reason), key
        assert key not in scores or scores[key].better == better
        assert not reason.endswith((" is nan", " is inf", "for these samples")), f"{key}: {reason}"


def metrics_of(name: str, monkeypatch: pytest.MonkeyPatch) -> Metric:
    metric = find("metrics", name)()
    if isinstance(metric, EmbeddingMetric):

        def enough(self: EmbeddingMetric, given: MetricInputs) -> str | None:
            few = min(len(given.samples), len(given.references or ())) < 2
            return Metric.missing(self, given) or ("fewer than two sentences" if few else None)

        monkeypatch.setattr(type(metric), "missing", enough)
        monkeypatch.setattr(type(metric), "settings", lambda *_: {"v": 1})
        monkeypatch.setattr(importlib.import_module(type(metric).__module__), "embeddings", OneVector())
        fake = SimpleNamespace(p_hist=np.array([1.0, 0.0]), q_hist=np.array([0.5, 0.5]))
        monkeypatch.setitem(sys.modules, "mauve", SimpleNamespace(compute_mauve=lambda **_: fake))
    return metric


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked here is whether there is a number: with a thousand resamples that takes fifty times as long."""
    monkeypatch.setattr("metrics.common.uncertainty.BOOTSTRAP_RESAMPLES", 20)


@pytest.mark.parametrize("name", names("metrics"))
def test_every_key_is_a_number_or_absent_with_a_reason(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    metric = metrics_of(name, monkeypatch)
    for samples in CORPORA.values():
        for real in ("none", "one empty sentence", "one word", "all equal", "all different"):
            for more in (0, 1, 4):
                checked(metric, given_inputs(samples, CORPORA[real], more=more, ids=more != 1))


@pytest.mark.parametrize("name", names("metrics"))
def test_so_it_is_for_any_sentences(name: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        metric = metrics_of(name, patch)

        @settings(max_examples=25, deadline=None)
        @given(samples=sentences, real=sentences, more=st.integers(0, 3), ids=st.booleans())
        def any_sentences(samples: list[list[int]], real: list[list[int]], more: int, ids: bool) -> None:
            checked(metric, given_inputs(samples, real, more=more, ids=ids))

        any_sentences()


@pytest.mark.parametrize("level", ["word", "character"])
def test_what_the_reasons_say(level: str) -> None:
    given = given_inputs([[0], [1, 2]], [[0, 1, 2], [3]], more=1, ids=True)
    metric = NgramJsd(level=level, first=1)
    checked(metric, given)
    _, skipped = score([NgramJsd(), NgramJsd(level="character", orders=(5,)), Distinct()], given)
    assert skipped["distinct_3"] == "no sample has 3 tokens"
    assert skipped["ngram_jsd_4_floor"] == "no real sentence has 4 tokens"
    assert skipped["ngram_jsd_1_first"] == "there are no more than 640 samples"
    assert skipped["ngram_jsd"].startswith("ngram_jsd needs a sample of at least 5 characters")
    few = given_inputs([[0], [1, 2]], [[0, 1, 2]], more=0, ids=True)
    assert score([NgramJsd()], few)[1]["ngram_jsd_1_floor"] == TOO_LITTLE_REAL


def test_a_metric_from_elsewhere_gets_a_reason_too() -> None:
    class Elsewhere(Distinct):
        name = "elsewhere"

        def keys(self):
            return {"elsewhere": "higher", "elsewhere_share": "lower"}

        def estimates(self, _inputs):
            return {"elsewhere": Estimate(1.0, None)}

    scores, skipped = score([Elsewhere()], given_inputs([[0]], [[0]], more=1, ids=True))
    assert scores["elsewhere"].better == "higher"
    assert skipped == {"elsewhere_share": "elsewhere has no value for these samples"}


def test_every_ranked_key_says_what_it_can_see_and_where_its_target_lies() -> None:
    metrics = [find("metrics", name)() for name in names("metrics")]
    meanings = {key: metric.meaning(key) for metric in metrics for key in list(metric.keys())}
    assert [key for key, meaning in meanings.items() if meaning.ranked and not meaning.aspect] == []
    assert {key for key, meaning in meanings.items() if meaning.held_out} == {
        key for key in meanings if key.startswith(("novelty", "bleu_train", "train_overlap", "nearest_train"))
    }
    beyond = {key for key, meaning in meanings.items() if meaning.better == "real" and meaning.side == "lower"}
    likelihoods = {"lm_score", "lm_score_known", "nll_oracle", "nll_oracle_valid", "target_nll"}
    per_class = {f"per_class_self_bleu_{n}{of}" for n in (2, 4) for of in ("", "_worst")}
    assert beyond == likelihoods | {f"self_bleu_{n}" for n in (2, 3, 4, 5)} | per_class
    assert {meanings[key].aspect for key in ("nll_gen", "reverse_lm_score", "reverse_lm_score_known")} == {"both"}
    unranked = {
        "nll_oracle_valid",
        "mauve_spread",
        "mauve_ceiling",
        "ngram_jsd_2_floor",
        "frechet_embedding_distance_floor",
        "lm_score_unknown",
        "reverse_lm_score_unknown",
        "novelty_gap_3",
    }
    assert not any(meanings[key].ranked for key in unranked)
