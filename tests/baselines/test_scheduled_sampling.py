"""Scheduled sampling: what is read, with which probability, and the loss, against obvious implementations."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
import torch
from torch import Tensor

from baselines.common.spec import SequenceSpec
from baselines.mle import MLE
from baselines.scheduled_sampling import ScheduledSampling

TASK = SequenceSpec(vocab_size=12, max_len=6, bos_id=0, pad_id=None, eos_id=None)
ENDING = SequenceSpec(vocab_size=6, max_len=5, bos_id=1, pad_id=2, eos_id=3)


def made(spec: SequenceSpec = TASK, **settings: Any) -> ScheduledSampling:
    torch.manual_seed(0)
    return ScheduledSampling(ScheduledSampling.Config(**{"batch_size": 8, "steps": 10, **settings}), spec)


def test_the_rate_falls_from_epoch_to_epoch_and_not_below_0() -> None:
    model = made(epoch_steps=2, decrease=0.3)
    rates = []
    for _ in range(10):
        rates.append(model.rate())
        model.mle_step(itertools.repeat(torch.zeros(8, 6, dtype=torch.int64)))
    assert rates == pytest.approx([0.7, 0.7, 0.4, 0.4, 0.1, 0.1, 0, 0, 0, 0])
    released = ScheduledSampling(ScheduledSampling.Config(), TASK)
    released.updates.value = released.config.steps - 1
    assert released.rate() == pytest.approx(0.4)
    assert released.config.steps == 300 * 156


def test_the_released_coin_is_that_of_the_seed_and_never_falls_on_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    coin = random.Random(88).random()
    assert coin == pytest.approx(0.3975, abs=1e-4)
    model = made(coin="released", decrease=0.1, epoch_steps=1)
    rates: list[float] = []
    monkeypatch.setattr(model, "read", lambda tokens, rate: rates.append(rate) or tokens)
    for _ in range(6):  # .9, .8, .7, .6, .5, .4
        model.mle_step(itertools.repeat(torch.zeros(8, 6, dtype=torch.int64)))
    assert rates == []
    model.mle_step(itertools.repeat(torch.zeros(8, 6, dtype=torch.int64)))  # .3
    assert rates == [0.0]


def sure(spec: SequenceSpec = TASK) -> ScheduledSampling:
    """A model that gives all probability to one word, which depends on what it has read."""
    model = made(spec)
    with torch.no_grad():
        for parameter in model.generator.parameters():
            parameter.mul_(8)
        model.generator.output.weight.mul_(1e4)
        model.generator.output.bias.mul_(1e4)
    return model


@pytest.mark.parametrize("rate", [0.0, 0.5, 1.0])
def test_a_word_is_the_real_one_or_drawn_after_what_was_read(rate: float) -> None:
    """Equation 1, word by word; the last word is read by nobody."""
    model = sure()
    tokens = torch.randint(12, (40, 6))
    read = model.read(tokens, rate)
    own = 0
    for row, real in zip(read.tolist(), tokens.tolist(), strict=True):
        for t in range(5):
            prefix = torch.tensor([[TASK.bos_id, *row[:t]]])
            g = model.generator
            drawn = int((g.output(g.lstm(g.embedding(prefix))[0][0, -1])).argmax())
            assert row[t] in (real[t], drawn)
            assert rate != 1 or row[t] == real[t]
            assert rate != 0 or row[t] == drawn
            own += row[t] == drawn != real[t]
    assert own > 60 or rate == 1
    assert rate != 0.5 or own < 140


def test_there_is_a_coin_for_each_word() -> None:
    model = made()
    with torch.no_grad():
        model.generator.output.bias[11] = 1e4  # what is drawn is always word 11
    own = (model.read(torch.randint(11, (500, 6)), 0.7) == 11)[:, :5]
    assert own.float().mean().item() == pytest.approx(0.3, abs=0.04)
    assert 0.05 < (own.float().mean(1) == 0).float().mean() < 0.3  # .7^5 = .17
    assert own.float().mean(0).min() > 0.2


def test_the_loss_is_of_real_words_after_what_was_read() -> None:
    """Equation 2 in float64, one token at a time; nothing counts after the end of the real sentence."""
    model = made(ENDING, clip_norm=1e9).double()
    tokens = torch.tensor([[4, 5, 3, 2, 2], [0, 1, 4, 4, 5]])
    read = torch.tensor([[5, 3, 2, 2, 2], [1, 1, 0, 4, 0]])
    loss, g = torch.zeros((), dtype=torch.float64), model.generator
    for b, length in enumerate([3, 5]):
        for t in range(length):
            prefix = torch.tensor([[ENDING.bos_id, *read[b, :t].tolist()]])
            hidden = g.lstm(g.embedding(prefix))[0][0, -1]
            loss = loss - g.output(hidden).log_softmax(0)[tokens[b, t]] / 8
    trained = [p for p in g.parameters() if p.requires_grad]
    expected = torch.autograd.grad(loss, trained)
    assert model.imitate_from(tokens, read)["nll"].item() == pytest.approx(loss.item(), abs=1e-9)
    for parameter, gradient in zip(trained, expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-5, atol=1e-10)


def test_at_rate_1_it_is_maximum_likelihood() -> None:
    ours = made(decrease=0.0)
    torch.manual_seed(0)
    plain = MLE(MLE.Config(batch_size=8, lr=1e-3), TASK)
    plain.model.load_state_dict(ours.generator.state_dict())
    batches: list[Tensor] = [torch.randint(12, (8, 6)) for _ in range(5)]
    for model in (ours, plain):
        for batch in batches:
            model.mle_step(iter([batch]))
    for key, value in plain.model.state_dict().items():
        assert torch.equal(ours.generator.state_dict()[key], value)
