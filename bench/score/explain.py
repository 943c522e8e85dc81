"""Why two papers give two scores to one file: the ways in which BLEU and Self-BLEU have been computed, side by side.

`bleu` and `self_bleu` are ours, and the ways of the tables that Texygen published. Every other way has a name and a
signature of its own, belongs to no board, and is here only so that a reader can tell which one a published number is.
All take the same sentences, cut by the task's tokenizer; where a repository draws sentences at random, the first ones
stand for the draw, which `±`, the standard error over the samples, is wide enough to show.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.text.line_files import read_lines
from bench.text.sample_files import Samples
from metrics.bleu.metric import Bleu
from metrics.common.base import Estimate, MetricInputs
from metrics.common.ngrams import reference_index
from metrics.common.sentences import sentence_keys
from metrics.common.tokens import Tokens
from metrics.common.uncertainty import ratio
from metrics.self_bleu.metric import SelfBleu

__all__ = ["ORDERS", "Protocol", "Texts", "distinct_sentences", "explain", "first", "texts"]

ORDERS = (2, 3, 4, 5)

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Texts:
    """What is scored, in one numbering of words."""

    samples: Tokens
    references: Tokens
    unsplit: Tokens | None = None
    """The references cut at blanks only, as their file has them; None: the published file is not known."""


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """One way of scoring, with its scores."""

    name: str
    used_by: str
    source: str
    """Repository and file, or paper."""
    signature: str
    scores: tuple[Estimate, ...] = ()
    """One for each of `ORDERS`; empty: absent."""
    absent: str | None = None
    """Why."""


@dataclass(frozen=True)
class _Way:
    """A way of scoring: what is scored against what, and how."""

    name: str
    used_by: str
    source: str
    samples: Callable[[Texts], Tokens]
    references: Callable[[Texts], Tokens | None] | None
    """None: each sample against the other samples."""
    score: Callable[[Tokens, Tokens], Sequence[Estimate]]
    how: str = "smoothing:method1"

    def __call__(self, texts: Texts) -> Protocol:
        samples = self.samples(texts)
        references = self.references(texts) if self.references else samples
        scores: tuple[Estimate, ...] = ()
        absent = None
        if references is None:
            absent = "this task has no file of references as they were published"
        elif len(references) < (1 if self.references else 2):
            absent = "too few samples"
        else:
            scores = tuple(self.score(samples, references))
        counts = f"refs:{len(references or ())}|" if self.references else ""
        signature = f"{self.name}|orders:2-5|{self.how}|{counts}samples:{len(samples)}|v:1"
        return Protocol(
            name=self.name, used_by=self.used_by, source=self.source, signature=signature, scores=scores, absent=absent
        )


def explain(texts: Texts) -> list[Protocol]:
    """Every way, ours first among those of BLEU and among those of Self-BLEU."""
    return [way(texts) for way in _WAYS]


def texts(samples: Samples, references: Tokens, reference_file: Path | None) -> Texts:
    """Samples and references of a task, with its published file cut at blanks."""
    unsplit = None
    if reference_file is not None:
        numbering = dict(samples.vocabulary.numbering)
        unsplit = Tokens.from_words(map(str.split, read_lines(reference_file)), numbering)
    return Texts(samples=samples.tokens, references=references, unsplit=unsplit)


def first(tokens: Tokens, n: int, skip: int = 0) -> Tokens:
    """The sentences from `skip` on, at most n of them."""
    return tokens.select(np.arange(skip, min(skip + n, len(tokens))))


def distinct_sentences(tokens: Tokens) -> Tokens:
    """Each sentence where it occurs first."""
    seen: dict[bytes, int] = {}
    for i, key in enumerate(sentence_keys(tokens)):
        seen.setdefault(key, i)
    return tokens.select(np.fromiter(seen.values(), np.int64))


def _bleu(samples: Tokens, references: Tokens) -> list[Estimate]:
    return list(Bleu(orders=ORDERS).estimates(MetricInputs(samples=samples, references=references)).values())


def _unsmoothed(samples: Tokens, references: Tokens) -> list[Estimate]:
    metric = Bleu(orders=ORDERS, smoothing="method0")
    return list(metric.estimates(MetricInputs(samples=samples, references=references)).values())


def _self_bleu(samples: Tokens, _: Tokens) -> list[Estimate]:
    return list(SelfBleu(orders=ORDERS).estimates(MetricInputs(samples=samples)).values())


def _matches(samples: Tokens, references: Tokens) -> tuple[Floats, NDArray[np.int64], NDArray[np.int64]]:
    """(5, N) clipped matches, (N,) lengths, (N,) nearest reference lengths."""
    index = reference_index(references, max(ORDERS))
    return index.matches(samples), samples.lengths, index.closest_lengths(samples.lengths)


def _old_nltk(samples: Tokens, references: Tokens) -> list[Estimate]:
    """Without smoothing as NLTK did it up to 3.2.5: from the first order without a match on, orders are left out.

    The weights of the orders that stay are still 1/n, so what is left out counts as a precision of 1, and a sentence
    without a common 3-gram gets a better BLEU-5 than one with few.
    """
    matches, lengths, closest = _matches(samples, references)
    possible = np.maximum(1, lengths - np.arange(len(matches))[:, None])
    matched = np.logical_and.accumulate(matches > 0, axis=0)
    sums = np.cumsum(np.log(np.where(matched, matches / possible, 1.0)), axis=0)
    penalty = np.minimum(0.0, 1.0 - closest / np.maximum(1, lengths))
    return [ratio(np.where(matched[0], np.exp(penalty + sums[n - 1] / n), 0.0)) for n in ORDERS]


def _corpus(samples: Tokens, references: Tokens) -> list[Estimate]:
    """One BLEU from the sums over all samples (Papineni et al. 2002), as `corpus_bleu` of NLTK; no smoothing."""
    matches, lengths, closest = _matches(samples, references)
    possible = np.maximum(1, lengths - np.arange(len(matches))[:, None])
    return _from_sums(matches.sum(axis=1), possible.sum(axis=1), int(lengths.sum()), int(closest.sum()))


def _corpus_shortest(samples: Tokens, references: Tokens) -> list[Estimate]:
    """As `_corpus`, but the reference length of every sample is that of the shortest reference of all."""
    matches, lengths, _ = _matches(samples, references)
    possible = np.maximum(0, lengths - np.arange(len(matches))[:, None])
    shortest = int(references.lengths.min()) * len(samples)
    return _from_sums(matches.sum(axis=1), possible.sum(axis=1), int(lengths.sum()), shortest)


def _from_sums(matches: Floats, possible: NDArray[np.int64], length: int, wanted: int) -> list[Estimate]:
    """Corpus BLEU; it is no mean over sentences, so no standard error is given."""
    if length == 0:
        return [Estimate(0.0, None) for _ in ORDERS]
    log_precision = np.log(np.maximum(matches / np.maximum(1, possible), sys.float_info.min))
    penalty = min(0.0, 1.0 - wanted / length)
    return [Estimate(float(np.exp(penalty + log_precision[:n].mean())), None) for n in ORDERS]


def _all(texts: Texts) -> Tokens:
    return texts.samples


def _references(texts: Texts) -> Tokens:
    return texts.references


_WAYS: tuple[_Way, ...] = (
    _Way(
        "bleu",
        "this benchmark; the tables published by Texygen; GansFallingShort",
        "geek-ai/Texygen docs/evaluation.md; pclucas14/GansFallingShort real_data_experiments/metrics.py",
        _all,
        _references,
        _bleu,
    ),
    _Way(
        "bleu_first_500_references",
        "whoever runs Texygen's code as it is (is_fast=True)",
        "geek-ai/Texygen utils/metrics/Bleu.py",
        _all,
        lambda texts: first(texts.references, 500),
        _bleu,
    ),
    _Way(
        "bleu_first_100_samples",
        "RelGAN's code since September 2020; its paper's scored 200",
        "weilinie/RelGAN utils/metrics/Bleu.py; the references are shuffled there, which changes nothing",
        lambda texts: first(texts.samples, 100),
        _references,
        _bleu,
    ),
    _Way(
        "bleu_first_200_samples",
        "RelGAN's paper; TextGAN-PyTorch",
        "weilinie/RelGAN f5c1866 utils/metrics/Bleu.py; williamSYSU/TextGAN-PyTorch metrics/bleu.py, rounded there",
        lambda texts: first(texts.samples, 200),
        _references,
        _bleu,
    ),
    _Way(
        "bleu_unsmoothed",
        "LeakGAN's evaluation with NLTK 3.3 or later",
        "CR-Gjx/LeakGAN Image COCO/eval_bleu.py; it takes 2,000 samples at random and 5,000 references of its own",
        _all,
        _references,
        _unsmoothed,
        "smoothing:method0",
    ),
    _Way(
        "bleu_unsmoothed_old_nltk",
        "LeakGAN's evaluation with the NLTK of its time (up to 3.2.5)",
        "as above; orders from the first without a match on are left out, the weights stay (NLTK pull request 1545)",
        _all,
        _references,
        _old_nltk,
        "smoothing:method0|nltk:3.2.5",
    ),
    _Way(
        "bleu_corpus",
        "machine translation; nltk corpus_bleu, sacreBLEU with smooth_method=none",
        "Papineni et al. 2002; matches and lengths are summed over the samples first",
        _all,
        _references,
        _corpus,
        "smoothing:none",
    ),
    _Way(
        "bleu_corpus_shortest_reference",
        "Hugging Face evaluate, `bleu` with every reference for every sample",
        "huggingface/evaluate metrics/bleu; the length penalty takes the shortest reference of all",
        _all,
        _references,
        _corpus_shortest,
        "smoothing:none",
    ),
    _Way(
        "bleu_references_split_on_blanks",
        "scripts that read the reference file without a tokenizer",
        "the published file has the full stop glued to the word; the samples have it apart",
        _all,
        lambda texts: texts.unsplit,
        _bleu,
    ),
    _Way(
        "bleu_without_duplicates",
        "nobody; what duplicates add",
        "each sentence scored once",
        lambda texts: distinct_sentences(texts.samples),
        _references,
        _bleu,
    ),
    _Way(
        "self_bleu",
        "this benchmark; the tables published by Texygen; GansFallingShort",
        "as for bleu; each sample against all others",
        _all,
        None,
        _self_bleu,
    ),
    _Way(
        "self_bleu_first_500",
        "whoever runs Texygen's code as it is (is_fast=True)",
        "geek-ai/Texygen utils/metrics/SelfBleu.py; the first 500 samples among themselves",
        lambda texts: first(texts.samples, 500),
        None,
        _self_bleu,
    ),
    _Way(
        "self_bleu_200_against_the_rest",
        "TextGAN-PyTorch",
        "williamSYSU/TextGAN-PyTorch metrics/bleu.py; 200 fresh samples against all others, orders 2 to 4 there",
        lambda texts: first(texts.samples, 200),
        lambda texts: first(texts.samples, len(texts.samples), skip=200),
        _bleu,
    ),
    _Way(
        "self_bleu_with_itself",
        "RelGAN (200 samples); Texygen with is_fast=False (all)",
        "weilinie/RelGAN utils/metrics/SelfBleu.py; the sample is among its own references, so it is 1",
        lambda texts: first(texts.samples, 200),
        _all,
        _bleu,
    ),
    _Way(
        "self_bleu_without_duplicates",
        "nobody; what duplicates add",
        "each sentence scored once, against the other distinct ones",
        lambda texts: distinct_sentences(texts.samples),
        None,
        _self_bleu,
    ),
)
