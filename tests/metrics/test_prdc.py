"""Precision, recall, density and coverage: by hand, by all pairs of distances, and where known failures are put."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from bench.registry import meaning_of
from metrics.prdc import Prdc
from metrics.prdc.metric import prdc_of_vectors

POINTS = st.integers(1, 14).flatmap(lambda n: arrays.arrays(np.float64, (n, 2), elements=st.integers(0, 3)))


def by_definition(samples: np.ndarray, real: np.ndarray, k: int) -> dict[str, float]:
    """All distances at once; a ball's radius is the k-th of the sorted distances, after the sentence itself."""

    def distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.sqrt(((a[:, None] - b[None]) ** 2).sum(axis=-1))

    radii = [np.sort(distances(x, x), axis=1)[:, min(k, len(x) - 1)] for x in (real, samples)]
    across = distances(real, samples)
    in_real = across <= radii[0][:, None]
    return {
        "precision": in_real.any(axis=0).mean(),
        "recall": (across <= radii[1]).any(axis=1).mean(),
        "density": in_real.sum(axis=0).mean() / k,
        "coverage": in_real.any(axis=1).mean(),
    }


@given(samples=POINTS, real=POINTS, k=st.integers(1, 5))
def test_it_is_the_definition_copies_and_ties_included(samples: np.ndarray, real: np.ndarray, k: int) -> None:
    found = {key: estimate.value for key, estimate in prdc_of_vectors(samples, real, k).items()}
    assert found == pytest.approx(by_definition(samples, real, k), abs=1e-12)


def cloud(seed: int, n: int, shift: float = 0.0) -> np.ndarray:
    return np.random.RandomState(seed).randn(n, 4) + shift


def test_blocks_do_not_matter_and_real_vectors_are_those_of_all_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    samples, real = cloud(0, 90, 0.3), cloud(1, 120)
    whole = prdc_of_vectors(samples, real, 5)
    assert {key: estimate.value for key, estimate in whole.items()} == pytest.approx(by_definition(samples, real, 5))
    monkeypatch.setattr("metrics.common.overlap.BLOCK_PAIRS", 700)
    assert prdc_of_vectors(samples, real, 5) == whole


def test_by_hand() -> None:
    """Real balls reach 1, 1, 1 and 8 far; those of the two copies 0, of the third sample 0.5."""
    real, samples = np.array([[0.0], [1.0], [2.0], [10.0]]), np.array([[1.0], [1.0], [1.5]])
    found = {key: estimate.value for key, estimate in prdc_of_vectors(samples, real, 1).items()}
    assert found == pytest.approx({"precision": 1, "recall": 2 / 4, "density": (3 + 3 + 2) / 3, "coverage": 3 / 4})


def test_failures_are_put_where_they_belong() -> None:
    real, fair = cloud(0, 400), cloud(1, 400)
    noise, once = cloud(2, 400, 9.0), np.tile(real.mean(axis=0), (400, 1))
    scores = {
        name: {key: estimate.value for key, estimate in prdc_of_vectors(samples, real, 5).items()}
        for name, samples in {"fair": fair, "noise": noise, "collapsed": once, "copies": real}.items()
    }
    assert min(scores["fair"].values()) > 0.9
    assert max(scores["noise"].values()) < 0.05
    assert scores["collapsed"]["precision"] == 1 < scores["collapsed"]["density"]
    assert scores["collapsed"]["recall"] == 0
    assert scores["collapsed"]["coverage"] < 0.2
    assert [scores["copies"][key] for key in ("precision", "recall", "coverage")] == [1, 1, 1]


def test_standard_errors_are_what_other_draws_change() -> None:
    """The spread of 150 draws, itself known to 6%, and the mean of their errors; that of recall is not known."""
    real = cloud(0, 300)
    draws = [prdc_of_vectors(cloud(seed, 200, 0.6), real, 5) for seed in range(1, 151)]
    for key, factor in (("precision", 1.0), ("density", 1.0), ("coverage", 1.0)):
        spread = np.std([draw[key].value for draw in draws], ddof=1)
        assert np.mean([draw[key].standard_error for draw in draws]) == pytest.approx(factor * spread, rel=0.2), key
    assert draws[0]["recall"].standard_error is None


def test_the_error_of_coverage_is_the_jackknife() -> None:
    samples, real = cloud(3, 25, 0.8), cloud(4, 40)
    found = prdc_of_vectors(samples, real, 3)["coverage"]
    without = [by_definition(np.delete(samples, i, axis=0), real, 3)["coverage"] for i in range(25)]
    error = np.sqrt(24 / 25 * np.sum((without - np.mean(without)) ** 2))
    assert found.standard_error == pytest.approx(error, abs=1e-12)
    assert error > 0


def test_what_the_keys_mean() -> None:
    aspects = {key: Prdc().meaning(key).aspect for key in Prdc().keys()}  # noqa: SIM118 - of the metric
    assert aspects == {
        "prdc_precision": "quality",
        "prdc_recall": "diversity",
        "prdc_density": "quality",
        "prdc_coverage": "both",
    }
    assert meaning_of("prdc", "prdc_density", "higher").bounds == (0.0, None)
    assert meaning_of("prdc", "prdc_recall", "higher").bounds == (0.0, 1.0)


@pytest.mark.parametrize("wrong", [0, 2.0, True])
def test_wrong_settings(wrong: object) -> None:
    with pytest.raises(ValueError, match=f"prdc: nearest_k must be a whole number from 1, got {wrong}"):
        Prdc(nearest_k=wrong)
