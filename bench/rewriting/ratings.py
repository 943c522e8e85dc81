"""What people say of rewritten sentences, and which metric agrees with them: rank correlations with intervals.

Li et al. (NAACL 2018) had 400 of the Yelp inputs rewritten by seven systems and a person, and people rate each from 1
to 5 for grammar, sentiment and topic, one person for each sentence
(https://github.com/lijuncen/Sentiment-and-Style-Transfer, evaluation/human_ratings).
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench import data
from bench.rewriting.data import RewritingText
from bench.rewriting.files import read_pairs
from metrics.common.aligned_bleu import sentence_bleu
from metrics.common.base import MetricInputs
from metrics.common.kneser_ney import model_of
from metrics.common.rewriting import Answers, answers_of
from metrics.common.tokens import Tokens
from metrics.transfer.metric import Transfer, content

__all__ = ["ASKED", "RATINGS", "Agreement", "Rated", "agreements", "read_ratings", "scores_of"]

Floats = NDArray[np.float64]

RATINGS = data.github(
    "lijuncen/Sentiment-and-Style-Transfer",
    "master",
    "evaluation/human_ratings/ratings-yelp.csv",
    "sha256:86e8136355c8f7e25553936538d2f294394b56b11b1f9173e730dd76bef2f17f",
)
ASKED = ("grammaticality", "sentiment", "topic")
_OUTPUTS = 8  # rated together
_SEED = 12345  # of the bootstrap


@dataclass(frozen=True)
class Rated:
    """N sentences that people rated, of systems alone."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    systems: tuple[tuple[str, ...], ...]
    """Which systems wrote each: several wrote the same for some inputs."""
    group: NDArray[np.int64]
    """(N,) which input."""
    ratings: Floats
    """(N, 3) from 1 to 5, in the order of `ASKED`."""

    @property
    def overall(self) -> Floats:
        """(N,) the geometric mean of the three: a sentence must be good in each."""
        return np.exp(np.log(self.ratings).mean(axis=1))


def read_ratings(path: Path, systems: Mapping[str, Sequence[Path]]) -> Rated:
    """The ratings of sentences that one of the systems wrote, by their published files; of the person's own, none.

    People's sentences are left out because they are the references.
    """
    wrote: dict[tuple[str, str], list[str]] = {}
    for name, files in systems.items():
        for given, written in read_pairs(files):
            if given is not None:
                wrote.setdefault((given, written), []).append(name)
    inputs, outputs, by, group, ratings = [], [], [], [], []
    with path.open(encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.DictReader(file)):
            originals, rewritten = (
                [" ".join(part.split()) for part in row[f"Input.{name}"].split("\t")] for name in ("origs", "mods")
            )
            for i in range(_OUTPUTS):
                if (names := wrote.get((originals[i], rewritten[i]))) is None:
                    continue
                inputs.append(originals[i])
                outputs.append(rewritten[i])
                by.append(tuple(names))
                group.append(number)
                ratings.append([int(row[f"Answer.{what}-{i}"].rpartition("=")[2]) for what in ASKED])
    return Rated(tuple(inputs), tuple(outputs), tuple(by), np.array(group), np.array(ratings, float))


def scores_of(rated: Rated, text: RewritingText) -> dict[str, Floats]:
    """(N,) of each metric, for each sentence; higher is meant to be better."""
    inputs = _inputs(rated, text)
    answers, ours = answers_of(inputs), inputs.samples
    assert answers.judge is not None
    nats = np.zeros(len(ours))
    for rows in answers.directions():
        model = model_of(answers.class_text[int(answers.wanted[rows[0]])], order=4, discount=0.85)
        nats[rows] = model.nats(ours.select(rows))
    kept, reached = content(inputs), Transfer.reached(inputs)
    return {
        "transfer_accuracy": reached,
        "judge's probability of the class wanted": answers.judge.posteriors(ours)[np.arange(len(ours)), answers.wanted],
        "transfer_content": kept,
        "transfer_joint": np.sqrt(reached * kept),
        "input_bleu": sentence_bleu(ours, [answers.inputs]),
        "reference_bleu_first": sentence_bleu(ours, answers.sets[:1]),
        "reference_bleu": sentence_bleu(ours, answers.sets),
        "target_nll, negative": -nats / (ours.lengths + 1),
    }


def _inputs(rated: Rated, text: RewritingText) -> MetricInputs:
    """The sentences as samples, each with the answers to its own input."""
    answers, vocabulary = text.references, text.vocabulary
    place = {sentence: i for i, sentence in enumerate(vocabulary.sentences(answers.inputs))}
    rows = np.array([place[sentence] for sentence in rated.inputs])
    numbering = dict(vocabulary.numbering)
    samples = Tokens.from_words((sentence.split() for sentence in rated.outputs), numbering)
    own = Answers.of(
        answers.inputs.select(rows),
        answers.wanted[rows],
        answers.names,
        [one.select(rows) for one in answers.sets],
        judge=answers.judge,
        class_text=answers.class_text,
    )
    return MetricInputs(samples=samples, references=own, words=list(numbering))


@dataclass(frozen=True)
class Agreement:
    """A rank correlation with its 95% interval."""

    value: float
    low: float
    high: float


def agreements(
    rated: Rated, scores: Mapping[str, Floats], resamples: int
) -> dict[str, dict[str, dict[str, Agreement]]]:
    """Metric -> what was asked -> "spearman" and "kendall" over sentences, "systems" over the means of the systems.

    Intervals: percentile bootstrap over inputs, whose sentences one person rated together (Efron 1979).
    """
    from scipy import stats

    asked = {**{name: rated.ratings[:, i] for i, name in enumerate(ASKED)}, "all three": rated.overall}
    rows = [np.flatnonzero(rated.group == g) for g in np.unique(rated.group)]
    random = np.random.RandomState(_SEED)
    draws = [np.concatenate([rows[i] for i in random.randint(len(rows), size=len(rows))]) for _ in range(resamples)]
    names = sorted({name for names in rated.systems for name in names})
    member = np.array([[name in by for name in names] for by in rated.systems], float)

    def over_systems(a: Floats, b: Floats, chosen: NDArray[np.int64]) -> float:
        n = member[chosen].sum(axis=0)
        return float(stats.spearmanr(member[chosen].T @ a[chosen] / n, member[chosen].T @ b[chosen] / n).statistic)

    kinds: dict[str, Callable[[Floats, Floats, NDArray[np.int64]], float]] = {
        "spearman": lambda a, b, chosen: float(stats.spearmanr(a[chosen], b[chosen]).statistic),
        "kendall": lambda a, b, chosen: float(stats.kendalltau(a[chosen], b[chosen]).statistic),
        "systems": over_systems,
    }
    everything = np.arange(len(rated.outputs))

    def agreement(kind: str, a: Floats, b: Floats) -> Agreement:
        drawn = [kinds[kind](a, b, chosen) for chosen in draws]
        low, high = np.quantile(drawn, (0.025, 0.975)) if drawn else (np.nan, np.nan)
        return Agreement(kinds[kind](a, b, everything), float(low), float(high))

    return {
        metric: {what: {kind: agreement(kind, score, said) for kind in kinds} for what, said in asked.items()}
        for metric, score in scores.items()
    }
