"""The scores that Texygen publishes for its sample files, and the exact values computed for them independently."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from nltk.tokenize import NLTKWordTokenizer

from metrics.bleu import Bleu
from metrics.bleu_train import BleuTrain
from metrics.common.base import MetricInputs
from metrics.common.tokens import Tokens
from metrics.distinct import Distinct
from metrics.lm_score import LmScore
from metrics.ms_jaccard import MsJaccard
from metrics.novelty import Novelty
from metrics.reverse_lm_score import ReverseLmScore
from metrics.self_bleu import SelfBleu
from metrics.unique import Unique

FILES = {"seqgan": "texygen_seq.txt", "maligan": "texygen_maligan.txt", "mle": "texygen_mle.txt"}
TABLE = "texygen_samples_scores.csv"


class Coco:
    """The published captions and samples under one numbering of words."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.numbering: dict[str, int] = {}
        self.loaded: dict[str, Tokens] = {}
        self.references = self.read("corpora/image_coco/test_coco.txt")
        self.training = self.read("corpora/image_coco/image_coco.txt")
        with (folder / TABLE).open(encoding="utf-8", newline="") as file:
            self.expected = {row["sample"]: row for row in csv.DictReader(file)}

    def read(self, name: str) -> Tokens:
        if name not in self.loaded:
            tokenize = NLTKWordTokenizer().tokenize
            lines = (self.folder / name).read_text(encoding="utf-8").splitlines()
            self.loaded[name] = Tokens.from_words((tokenize(line.strip()) for line in lines), self.numbering)
        return self.loaded[name]


@pytest.fixture(scope="module")
def coco(study_data: Path) -> Coco:
    return Coco(study_data)


@pytest.mark.parametrize("sample", FILES)
def test_published_sample_file(coco, sample):
    samples = coco.read(f"samples/image_coco/{FILES[sample]}")
    given = MetricInputs(samples=samples, references=coco.references, training=coco.training)
    row = coco.expected[sample]
    assert len(samples) == int(row["n_hyp"]) == 9984
    assert len(coco.references) == len(coco.training) == 10_000

    def column(pattern: str, *orders: int) -> list[float]:
        return [float(row[pattern.format(order)]) for order in orders]

    bleu = list(Bleu().compute(given).values())
    self_bleu = list(SelfBleu().compute(given).values())
    # Published to three decimals, partly cut off and not rounded.
    assert bleu == pytest.approx(column("readme_bleu{}_test", 2, 3, 4, 5), abs=0.00101)
    assert self_bleu == pytest.approx(column("readme_self_bleu{}", 2, 3, 4, 5), abs=0.00101)
    # The table has six decimals. There 5 of 10,000 captions of a corpus are cut otherwise (NLTK's sentence splitter).
    assert bleu == pytest.approx(column("bleu{}_test", 2, 3, 4, 5), abs=2e-4)
    assert self_bleu == pytest.approx(column("self_bleu{}", 2, 3, 4, 5), abs=1e-6)
    assert list(Distinct().compute(given).values()) == pytest.approx(column("distinct{}", 1, 2, 3, 4), abs=1e-6)
    assert Unique().compute(given)["unique"] == pytest.approx(float(row["unique_ratio"]), abs=1e-6)
    novelty = list(Novelty().compute(given).values())
    assert novelty[0] == pytest.approx(float(row["novel_vs_train"]), abs=1e-6)
    assert novelty[1:] == pytest.approx(column("novel_{}gram_tokens_vs_train", 2, 3, 4), abs=1e-4)


def test_published_bleu_against_the_training_text(coco):
    """Twelve more published numbers, and what another implementation of MS-Jaccard gave."""
    ms_jaccard = {"seqgan": 0.060, "maligan": 0.057, "mle": 0.081}
    for sample, name in FILES.items():
        samples = coco.read(f"samples/image_coco/{name}")
        given = MetricInputs(samples=samples, references=coco.references, training=coco.training)
        published = [float(coco.expected[sample][f"readme_bleu{order}_train"]) for order in (2, 3, 4, 5)]
        exact = [float(coco.expected[sample][f"bleu{order}_train"]) for order in (2, 3, 4, 5)]
        found = list(BleuTrain().compute(given).values())
        assert found == pytest.approx(published, abs=0.00101)
        assert found == pytest.approx(exact, abs=2e-4)
        assert MsJaccard().compute(given)["ms_jaccard_5"] == pytest.approx(ms_jaccard[sample], abs=0.0006)


def test_perplexities_stay_what_they_were(coco):
    """As measured at the first release, so that no change of them goes unseen."""
    expected = {"mle": (120.9, 104.8), "seqgan": (130.2, 183.7), "maligan": (178.9, 148.4)}
    for name, perplexities in expected.items():
        samples = coco.read(f"samples/image_coco/{FILES[name]}")
        given = MetricInputs(samples=samples, references=coco.references, training=coco.training)
        scores = [*LmScore().compute(given).values(), *ReverseLmScore().compute(given).values()]
        assert np.exp(scores) == pytest.approx(perplexities, abs=0.05)


def test_real_captions(coco):
    """What the models are to be compared with: training captions against the test captions, and among themselves."""
    row = coco.expected["train (real)"]
    given = MetricInputs(samples=coco.training, references=coco.references)
    scores = {**Bleu().compute(given), **SelfBleu().compute(given), **Unique().compute(given)}
    expected = {f"bleu_{order}": float(row[f"bleu{order}_test"]) for order in (2, 3, 4, 5)}
    expected |= {f"self_bleu_{order}": float(row[f"self_bleu{order}"]) for order in (2, 3, 4, 5)}
    assert scores == pytest.approx({**expected, "unique": float(row["unique_ratio"])}, abs=2e-4)
