"""NLL-oracle, also of the valid samples, NLL-gen, and NLL of the training text: what is counted, and when not."""

from __future__ import annotations

import numpy as np
import pytest

from metrics.common.base import MetricInputs
from metrics.common.likelihood import nats
from metrics.common.tokens import Tokens
from metrics.nll_gen import NllGen
from metrics.nll_oracle import NllOracle
from metrics.nll_oracle_valid import NllOracleValid
from metrics.nll_train_padded import NllTrainPadded

EOS = 0
ROWS = np.array([[1, 2, 3, 1], [1, EOS, EOS, EOS], [2, 2, EOS, 9], [EOS, EOS, EOS, EOS]])
"""Sentences of 4, 1, 2 and 0 words. What follows an end token means nothing."""
N_TOKENS = [4, 2, 3, 1]
"""End tokens counted; the first sentence is cut at T and has none."""
NATS = np.array([8.0, 1.0, 5.0, 0.5])


def log_prob_of(nats):
    calls = []

    def log_prob(rows):
        calls.append(rows)
        return -np.asarray(nats, float)

    log_prob.calls = calls
    return log_prob


def inputs(rows=ROWS, eos_id=EOS, **others):
    return MetricInputs(samples=Tokens.from_rows(rows, eos_id), eos_id=eos_id, **others)


def score(metric, given):
    assert metric.missing(given) is None
    return metric.compute(given)


def test_nll_oracle_is_per_token_with_the_end_token():
    given = inputs(sample_ids=ROWS, oracle_log_prob=log_prob_of(NATS))
    assert score(NllOracle(), given) == {"nll_oracle": NATS.sum() / sum(N_TOKENS)}
    assert NllOracle().signature(given) == "nll_oracle|samples:4|v:1"


def test_nll_oracle_at_a_fixed_length_is_the_papers():
    """The mean over sentences of the mean over their T tokens."""
    given = inputs(eos_id=None, sample_ids=ROWS, oracle_log_prob=log_prob_of(NATS))
    assert score(NllOracle(), given)["nll_oracle"] == pytest.approx((NATS / 4).mean(), abs=1e-15)


def test_nll_gen_leaves_padding_out_and_the_papers_way_has_its_own_name():
    given = inputs(reference_ids=ROWS[:3], model_log_prob=log_prob_of(NATS[:3]))
    expected = {"nll_gen": 14.0 / 9, "nll_gen_padded": 14.0 / 12}
    assert score(NllGen(), given) == pytest.approx(expected, abs=1e-15)
    assert NllGen().signature(given) == "nll_gen|sentences:3|v:1"


def test_nll_of_the_training_text_counts_padding_as_relgans_tables():
    """Of the training text alone, by all positions; asked for once."""
    model = log_prob_of(NATS)
    given = inputs(training_ids=ROWS, reference_ids=ROWS[:2], model_log_prob=model)
    assert score(NllTrainPadded(), given) == {"nll_train_padded": NATS.sum() / ROWS.size}
    assert NllTrainPadded().signature(given) == "nll_train_padded|sentences:4|v:1"
    assert len(model.calls) == 1
    assert np.array_equal(model.calls[0], ROWS)


def test_nll_gen_at_a_fixed_length_has_no_padding():
    given = inputs(eos_id=None, reference_ids=ROWS, model_log_prob=log_prob_of(NATS))
    assert score(NllGen(), given) == {"nll_gen": 14.5 / 16, "nll_gen_padded": 14.5 / 16}


def test_a_sentence_that_fills_its_row_has_no_end_token_to_count():
    wider = np.concatenate([ROWS, np.full((4, 6), EOS)], axis=1)
    given = inputs(rows=wider, reference_ids=wider, model_log_prob=log_prob_of(NATS))
    assert score(NllGen(), given)["nll_gen"] == 14.5 / (sum(N_TOKENS) + 1)


def test_the_oracle_is_asked_once_for_all_metrics():
    oracle = log_prob_of(NATS)
    given = inputs(sample_ids=ROWS, oracle_log_prob=oracle, is_valid=lambda samples: samples.lengths > 0)
    assert score(NllOracle(), given) == {"nll_oracle": 1.45}
    assert score(NllOracleValid(), given) == {"nll_oracle_valid": 14.0 / 9}
    assert len(oracle.calls) == 1


def test_nll_oracle_valid_leaves_out_what_is_impossible():
    oracle = log_prob_of([8.0, np.inf, 5.0, np.inf])
    given = inputs(sample_ids=ROWS, oracle_log_prob=oracle, is_valid=lambda samples: samples.lengths >= 2)
    assert score(NllOracleValid(), given) == {"nll_oracle_valid": 13.0 / 7}
    assert NllOracle().missing(given) == "2 of 4 samples are impossible under the true distribution"
    assert NllOracleValid().signature(given) == "nll_oracle_valid|samples:4|v:1"


def no_sample_is_valid(samples):
    return np.zeros(len(samples), bool)


def all_are_valid(samples):
    return np.ones(len(samples), bool)


@pytest.mark.parametrize(
    ("metric", "given", "reason"),
    [
        (NllOracle(), inputs(sample_ids=ROWS), "nll_oracle needs a task whose true distribution is known"),
        (
            NllOracle(),
            inputs(oracle_log_prob=log_prob_of(NATS)),
            "nll_oracle needs samples written in the task's vocabulary and length",
        ),
        (
            NllOracle(),
            inputs(sample_ids=ROWS, oracle_log_prob=log_prob_of([1, np.inf, np.nan, 2])),
            "2 of 4 samples are impossible under the true distribution",
        ),
        (NllOracle(), inputs(rows=ROWS[:0], sample_ids=ROWS[:0], oracle_log_prob=log_prob_of([])), "at least one"),
        (NllGen(), inputs(reference_ids=ROWS), "nll_gen needs a model with a likelihood"),
        (
            NllGen(),
            inputs(model_log_prob=log_prob_of(NATS)),
            "nll_gen needs test sentences written in the task's vocabulary",
        ),
        (
            NllGen(),
            inputs(reference_ids=ROWS[:0], model_log_prob=log_prob_of([])),
            "none of the test sentences can be written in the task's vocabulary and length",
        ),
        (
            NllGen(),
            inputs(reference_ids=ROWS, model_log_prob=log_prob_of([1, np.inf, 1, 1])),
            "the model gives 1 of 4 test sentences no finite log-probability",
        ),
        (NllTrainPadded(), inputs(training_ids=ROWS), "nll_train_padded needs a model with a likelihood"),
        (
            NllTrainPadded(),
            inputs(model_log_prob=log_prob_of(NATS)),
            "nll_train_padded needs training sentences written in the task's vocabulary",
        ),
        (
            NllTrainPadded(),
            inputs(training_ids=ROWS[:0], model_log_prob=log_prob_of([])),
            "nll_train_padded needs at least one training sentence",
        ),
        (
            NllTrainPadded(),
            inputs(training_ids=ROWS, model_log_prob=log_prob_of([1, np.inf, 1, 1])),
            "the model gives 1 of 4 training sentences no finite log-probability",
        ),
        (
            NllOracleValid(),
            inputs(sample_ids=ROWS, oracle_log_prob=log_prob_of(NATS)),
            "nll_oracle_valid needs a task with a grammar",
        ),
        (
            NllOracleValid(),
            inputs(sample_ids=ROWS, oracle_log_prob=log_prob_of(NATS), is_valid=no_sample_is_valid),
            "none of 4 samples is valid",
        ),
        (
            NllOracleValid(),
            inputs(sample_ids=ROWS, oracle_log_prob=log_prob_of([1, np.inf, 1, 1]), is_valid=all_are_valid),
            "1 of 4 valid samples are impossible under the true distribution",
        ),
    ],
)
def test_absent_with_a_reason(metric, given, reason):
    found = metric.missing(given)
    assert found is not None
    assert reason in found


@pytest.mark.parametrize("shape", [(3,), (4, 4), (4, 1), ()])
def test_one_log_probability_for_each_sentence(shape):
    given = inputs(sample_ids=ROWS, oracle_log_prob=lambda rows: np.zeros(shape))
    with pytest.raises(ValueError, match="expected one log-probability for each of 4 sentences, got shape"):
        NllOracle().missing(given)


def test_a_probability_over_one_is_refused() -> None:
    rows = np.zeros((3, 4), np.int64)
    assert nats(np.array([-1.0, 5e-6, -np.inf]), rows)[0] == 1.0
    with pytest.raises(ValueError, match=r"log_prob gives sentence 2 0\.57, a probability over 1"):
        nats(np.array([-1.0, np.nan, 0.57]), rows)
