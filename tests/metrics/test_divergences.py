"""The exact divergences of a model from a known truth, and the temperature that calibrates it."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from baselines.common.interface import SequenceSpec
from baselines.common.networks.lstm import LSTMLanguageModel
from bench.registry import find
from bench.score.scoring import score
from metrics.common.base import MetricInputs
from metrics.common.tokens import Tokens
from metrics.nll_gen import NllGen
from metrics.nll_oracle import NllOracle

Floats = NDArray[np.float64]
SENTENCES = np.array(list(itertools.product(range(4), repeat=4)))
"""All 256 sentences of four words at length 4."""
NUMBER = {tuple(row): i for i, row in enumerate(SENTENCES.tolist())}


def law(seed: int, n: int) -> NDArray[np.int64]:
    """How often each of the 256 sentences is drawn in n draws: a distribution whose probabilities are shares of n."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(n - 256, rng.dirichlet(np.full(256, 0.3))) + 1


def log_prob_of(p: Floats):
    return lambda rows: np.log(p[[NUMBER[tuple(row)] for row in rows.tolist()]])


def inputs_of(samples: NDArray[np.int64], test: NDArray[np.int64], model: Floats, truth: Floats) -> MetricInputs:
    own = log_prob_of(model)
    return MetricInputs(
        samples=Tokens.from_rows(samples, None),
        sample_ids=samples,
        reference_ids=test,
        model_log_prob=own,
        own_log_prob=own,
        oracle_log_prob=log_prob_of(truth),
    )


def test_both_divergences_are_the_sums_over_all_sentences() -> None:
    drawn, true = law(1, 20_000), law(2, 30_000)
    p, q = drawn / drawn.sum(), true / true.sum()
    inputs = inputs_of(SENTENCES.repeat(drawn, 0), SENTENCES.repeat(true, 0), p, q)
    scores, _ = score([NllOracle(), NllGen()], inputs)
    value = {key: found.value for key, found in scores.items()}
    assert value["kl_to_oracle"] * 4 == pytest.approx((p * np.log(p / q)).sum(), abs=1e-9)
    assert value["kl_from_oracle"] * 4 == pytest.approx((q * np.log(q / p)).sum(), abs=1e-9)
    assert value["nll_own"] * 4 == pytest.approx(-(p * np.log(p)).sum(), abs=1e-9)
    assert value["nll_oracle"] - value["nll_own"] == pytest.approx(value["kl_to_oracle"], abs=1e-12)


def test_standard_errors_cover_the_truth() -> None:
    """Of 400 draws, 95% are within 1.96 standard errors of the sum over all sentences (a binomial: 92% to 98%)."""
    drawn, true = law(1, 5_000), law(2, 5_000)
    p, q = drawn / drawn.sum(), true / true.sum()
    truth = {"kl_to_oracle": (p * np.log(p / q)).sum() / 4, "kl_from_oracle": (q * np.log(q / p)).sum() / 4}
    rng, inside = np.random.default_rng(3), dict.fromkeys(truth, 0)
    for _ in range(400):
        samples, test = (SENTENCES[rng.choice(256, 500, p=law_)] for law_ in (p, q))
        scores, _ = score([NllOracle(), NllGen()], inputs_of(samples, test, p, q))
        for key, exact in truth.items():
            error = scores[key].standard_error
            assert error is not None
            inside[key] += abs(scores[key].value - exact) < 1.96 * error
    assert all(0.92 <= n / 400 <= 0.98 for n in inside.values()), inside


def test_a_collapsed_model_cannot_win() -> None:
    """The sentence of the highest true probability, over and over: the best NLL-oracle there is."""
    true = law(2, 30_000)
    q = true / true.sum()
    one = np.full(256, 1e-6 / 255)
    one[q.argmax()] = 1 - 1e-6
    test = SENTENCES.repeat(true, 0)
    found = {}
    for name, p in (("one", one), ("truth", q)):
        samples = SENTENCES[np.random.default_rng(4).choice(256, 2_000, p=p)]
        found[name], _ = score([NllOracle(), NllGen()], inputs_of(samples, test, p, q))
    assert found["one"]["nll_oracle"].value < found["truth"]["nll_oracle"].value
    for key in ("kl_to_oracle", "kl_from_oracle"):
        assert found["truth"][key].value == 0
        assert found["one"][key].value > 0.5


def test_what_cannot_be_known_is_absent_with_the_reason() -> None:
    true = law(2, 1_000)
    q = true / true.sum()
    given = inputs_of(SENTENCES, SENTENCES, q, np.where(np.arange(256) < 3, 0.0, q))
    with np.errstate(divide="ignore"):
        scores, absent = score([NllOracle()], given)
    assert set(scores) == {"nll_own"}
    assert absent["nll_oracle"] == "3 of 256 samples are impossible under the true distribution"
    assert absent["kl_to_oracle"] == f"it is infinite: {absent['nll_oracle']}"
    text = MetricInputs(samples=given.samples, reference_ids=SENTENCES, model_log_prob=given.model_log_prob)
    scores, absent = score([NllGen()], text)
    assert set(scores) == {"nll_gen", "nll_gen_padded"}
    assert set(absent) == {"kl_from_oracle", "nll_gen_calibrated", "nll_gen_temperature"}


@pytest.mark.parametrize("sharpness", [0.5, 1.6])
def test_the_fitted_temperature_undoes_a_sharpening(sharpness: float) -> None:
    """A language model whose logits are multiplied by a number: its text costs least at that temperature."""
    spec = SequenceSpec(vocab_size=12, max_len=6, bos_id=0, pad_id=None, eos_id=None)
    torch.manual_seed(8)
    model = LSTMLanguageModel(spec, embedding_dim=4, hidden_dim=8)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    valid, test = model.sample(4_000).numpy(), model.sample(2_000).numpy()

    def at(ids: NDArray[np.int64], temperature: float = 1.0) -> Floats:
        asked = temperature / sharpness
        return model.log_prob(torch.from_numpy(ids), temperature=asked).double().numpy()

    inputs = MetricInputs(
        samples=Tokens.from_rows(test, None),
        reference_ids=test,
        validation_ids=valid,
        model_log_prob=at,
        own_log_prob=at,
        log_prob_at=at,
    )
    scores, absent = score([NllGen()], inputs)
    assert set(absent) == {"kl_from_oracle"}
    fitted = scores["nll_gen_temperature"].value
    assert fitted == pytest.approx(sharpness, rel=0.1)
    costs = {
        factor: -at(valid[np.linspace(0, 3_999, 2_000).round().astype(int)], fitted * factor).sum()
        for factor in (0.98, 1, 1.02)
    }
    assert min(costs, key=costs.__getitem__) == 1
    truth = -at(test, sharpness).mean() / 6
    assert scores["nll_gen_calibrated"].value == pytest.approx(truth, abs=5e-3)  # of 2,000 sentences
    assert scores["nll_gen_calibrated"].value < scores["nll_gen"].value


def test_the_oracles_own_samples_are_at_no_distance() -> None:
    """Within 2 standard errors of 0; a uniform model is not, and is as far as its entropy is above the truth's."""
    data = find("tasks", "oracle_lstm")(vocab_size=50, n_train=500, n_valid=50, n_test=3_000).load()
    truth = data.true_log_prob
    other = np.log(1 / 50) * data.spec.max_len

    def uniform(ids: NDArray[np.int64]) -> Floats:
        return np.full(len(ids), other)

    for own, near in ((truth, True), (uniform, False)):
        inputs = MetricInputs(
            samples=Tokens.from_rows(data.train, None),
            sample_ids=data.train,
            reference_ids=data.test,
            own_log_prob=own,
            model_log_prob=own,
            oracle_log_prob=truth,
        )
        scores, _ = score([NllOracle(), NllGen()], inputs)
        for key in ("kl_to_oracle", "kl_from_oracle"):
            error = scores[key].standard_error
            assert error is not None
            assert (abs(scores[key].value) <= 2 * error) is near
    entropy = scores["nll_oracle"].value
    assert scores["kl_from_oracle"].value == pytest.approx(math.log(50) - entropy, abs=0.05)
