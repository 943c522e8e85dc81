"""NLL-bound: what is counted, its standard error with what the draws add, and when it is absent."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from baselines.common.interface import BaseConfig, Phase, TextGenerator
from baselines.common.spec import SequenceSpec
from bench.config import RunConfig
from bench.run.contract import ContractError, check_class
from bench.score.drawing import bound_of
from metrics.common.base import MetricInputs
from metrics.common.bound import bounded
from metrics.common.tokens import Tokens
from metrics.nll_bound import NllBound
from metrics.nll_gen import NllGen

EOS = 0
ROWS = np.array([[1, 2, 3, 1], [1, EOS, EOS, EOS], [2, 2, EOS, EOS], [EOS, EOS, EOS, EOS]])
TOKENS = np.array([4, 2, 3, 1])
NATS = np.array([8.0, 1.0, 5.0, 0.5])


def inputs(bound: Any = None, rows: np.ndarray = ROWS, **others: Any) -> MetricInputs:
    given = MetricInputs(samples=Tokens.from_rows(ROWS, EOS), eos_id=EOS, reference_ids=rows, **others)
    return bounded(given, bound)


def test_it_is_per_token_with_the_end_token_and_asked_once() -> None:
    asked = []
    given = inputs(lambda rows, draws: asked.append((len(rows), draws)) or NATS)
    metric = NllBound(draws=7)
    assert metric.missing(given) is None
    assert metric.compute(given) == {"nll_bound": NATS.sum() / TOKENS.sum()}
    assert asked == [(4, 7)]
    assert metric.signature(given) == "nll_bound|draws:7|sentences:4|v:1"


def test_the_standard_error_holds_what_the_draws_add() -> None:
    """Over sentences and masks together, against as many repetitions of both."""
    random = np.random.default_rng(0)
    rows = np.ones((400, 5), np.int64)

    def estimate(draws: int) -> tuple[float, float]:
        own = random.normal(20, 1, len(rows))
        given = bounded(
            MetricInputs(samples=Tokens.from_rows(rows, None), reference_ids=rows),
            lambda rows, draws: own + random.normal(0, 6, (draws, len(rows))).mean(0),
        )
        value, error = NllBound(draws=draws).estimates(given)["nll_bound"]
        assert error is not None
        return value, error

    for draws in (1, 9):
        values, errors = np.array([estimate(draws) for _ in range(300)]).T
        assert errors.mean() == pytest.approx(values.std(), rel=0.15)
        assert errors.mean() == pytest.approx(np.hypot(1, 6 / draws**0.5) / 20 / 5, rel=0.05)
        assert abs(values.mean() - 4) < 4 * errors.mean() / 300**0.5


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (inputs(), "nll_bound needs a model with a bound on its likelihood, at temperature 1"),
        (inputs(model_log_prob=lambda rows: -NATS), "nll_bound needs a model with a bound on its likelihood"),
        (inputs(lambda rows, _: NATS, rows=ROWS[:0]), "none of the test sentences can be written"),
        (inputs(lambda rows, _: np.array([1, np.inf, np.nan, 2])), "is not finite for 2 of 4 test sentences"),
    ],
)
def test_absent_with_a_reason(given: MetricInputs, reason: str) -> None:
    found = NllBound().missing(given)
    assert found is not None
    assert reason in found


def test_a_bound_is_no_likelihood() -> None:
    given = inputs(lambda rows, _: NATS)
    assert NllGen().missing(given) == "nll_gen needs a model with a likelihood, at the temperature of the samples"
    assert not NllBound().meaning("nll_bound").ranked


def test_what_is_no_bound_of_each_sentence_is_refused() -> None:
    with pytest.raises(ValueError, match=r"one bound for each of 4 sentences, got shape \(1,\)"):
        NllBound().missing(inputs(lambda rows, _: NATS[:1]))
    with pytest.raises(ValueError, match="draws must be at least 1, got 0"):
        NllBound(draws=0)


class Drawing(TextGenerator):
    """A bound that is a random number."""

    def phases(self) -> list[Phase]:
        return [Phase("none", 1, lambda _: {"loss": torch.zeros(())})]

    def sample(self, n: int, *, temperature: float = 1.0) -> Tensor:
        return torch.zeros(n, self.spec.max_len, dtype=torch.int64)

    def nll_bound(self, tokens: Tensor, *, draws: int = 1) -> Tensor:
        return torch.rand(draws, len(tokens)).mean(0)


def test_the_harness_draws_from_one_seed_disturbs_nothing_and_no_two_sentences_share_draws() -> None:
    spec = SequenceSpec(vocab_size=3, max_len=2, bos_id=0, pad_id=None, eos_id=None)
    bound = bound_of(Drawing(BaseConfig(), spec), torch.device("cpu"))
    assert bound is not None
    rows = np.zeros((2_500, 2), np.int64)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = bound(rows, 2)
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(first, bound(rows, 2))
    assert len(np.unique(first)) > 2_400
    assert bound(rows[:0], 2).shape == (0,)


def test_a_bound_that_takes_no_draws_is_told_in_words() -> None:
    class Wrong(Drawing):
        def nll_bound(self, tokens):
            return tokens

    with pytest.raises(ContractError, match=r"nll_bound is called as `def nll_bound\(self, tokens, \*, draws=1\)`"):
        check_class(Wrong)


def test_who_has_a_bound_in_the_place_of_a_likelihood_gets_the_metric() -> None:
    """And nobody else, so that no other run is another one than before; a choice by name is taken as it is."""
    names = {}
    for model in ("masked_diffusion", "transformer_mle", "wgan_gp"):
        resolved = RunConfig(model=model, task="oracle_lstm", scale="smoke").resolve()
        names[model] = [metric.name for metric in resolved.metrics]
        assert [metric.name for metric in resolved.text_metrics] == list(resolved.task.metrics)
        assert resolved.run_settings.metrics == ()
    assert names["transformer_mle"] == names["wgan_gp"]
    assert names["masked_diffusion"] == [*names["wgan_gp"], "nll_bound"]
    chosen = RunConfig(model="masked_diffusion", task="oracle_lstm", scale="smoke", metrics=("unique",)).resolve()
    assert [metric.name for metric in chosen.metrics] == ["unique"]
    named = RunConfig(model="wgan_gp", task="oracle_lstm", scale="smoke", metrics=("nll_bound",)).resolve()
    assert named.text_metrics == named.metrics
    assert dataclasses.asdict(named.metrics[0]) == {"draws": 4}
