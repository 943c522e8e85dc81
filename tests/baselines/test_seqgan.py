"""SeqGAN's procedure against slow, obvious implementations of its equations."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from helpers.parameters import copies, unchanged
from helpers.sentences import end, padded
from torch import Tensor

from baselines.common.networks.lstm import LSTMLanguageModel
from baselines.common.spec import SequenceSpec
from baselines.common.training.rollout import rollout_rewards
from baselines.seqgan import SeqGAN

FIXED = SequenceSpec(vocab_size=3, max_len=4, bos_id=0, pad_id=None, eos_id=None)
ENDING = SequenceSpec(vocab_size=4, max_len=4, bos_id=1, pad_id=2, eos_id=3)
SHARED_ID = SequenceSpec(vocab_size=3, max_len=4, bos_id=0, pad_id=0, eos_id=0)
TASK = SequenceSpec(vocab_size=12, max_len=5, bos_id=0, pad_id=None, eos_id=None)
SPECS = {"fixed": FIXED, "ending": ENDING, "shared_id": SHARED_ID}


def generator(spec: SequenceSpec, scale: float, seed: int = 0) -> LSTMLanguageModel:
    torch.manual_seed(seed)
    model = LSTMLanguageModel(spec, embedding_dim=4, hidden_dim=6)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(scale)
        model.lstm.get_parameter("weight_hh_l0").mul_(10)  # what was read before must matter
    return model


def score(tokens: Tensor) -> Tensor:
    """Another value in (0, 1) for every sentence, so that a reward of another sentence or position is noticed."""
    places = torch.tensor([0.31, 0.17, 0.073, 0.041])
    return (tokens * places).sum(1).sin().square()


def completions(prefix: list[int], spec: SequenceSpec) -> Iterator[list[int]]:
    """Every sentence that begins with an unfinished prefix."""
    seen = set()
    for rest in itertools.product(range(spec.vocab_size), repeat=spec.max_len - len(prefix)):
        row = [*prefix, *rest]
        stop = end(row, spec)
        row = row[:stop] + [spec.pad_id or 0] * (spec.max_len - stop)
        if tuple(row) not in seen:
            seen.add(tuple(row))
            yield row


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_rollout_rewards_are_expectations(spec: SequenceSpec) -> None:
    """Equation 3 with the expectation by enumeration, for every token of every sentence."""
    model = generator(spec, 6.0)
    tokens = model.sample(12)
    n = 4_000
    rewards = rollout_rewards(model, tokens, score, n)
    checked = 0
    for b, row in enumerate(tokens.tolist()):
        stop = end(row, spec)
        assert not rewards[b, stop:].any()
        assert rewards[b, stop - 1].item() == pytest.approx(score(tokens[b : b + 1]).item(), abs=1e-6)
        for length in range(1, stop):
            sentences = torch.tensor(list(completions(row[:length], spec)))
            p = model.log_prob(sentences).double().softmax(0)  # given the prefix
            values = score(sentences).double()
            mean = (p * values).sum()
            spread = ((p * (values - mean) ** 2).sum() / n).sqrt()
            assert abs(rewards[b, length - 1] - mean) < 4.5 * spread + 1e-6
            checked += 1
    assert checked > 10


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
@pytest.mark.parametrize("n", [1, 3])
def test_rollout_rewards_equal_a_loop_where_the_generator_is_deterministic(spec: SequenceSpec, n: int) -> None:
    model = generator(spec, 6.0, seed=3)
    with torch.no_grad():
        model.output.weight.mul_(1e4)  # the most likely word has all of the probability
        model.output.bias.mul_(1e4)
    generator_of_rows = torch.Generator().manual_seed(0)
    rows = torch.randint(spec.vocab_size, (20, spec.max_len), generator=generator_of_rows).tolist()
    rows = [padded(row, spec) for row in rows]
    tokens = torch.tensor(rows)
    expected = torch.zeros(tokens.shape)
    for b, row in enumerate(rows):
        for t in range(end(row, spec)):
            sentence = row[: t + 1]
            while len(sentence) < spec.max_len and spec.eos_id not in sentence:
                filled = torch.tensor([sentence + [0] * (spec.max_len - len(sentence))])
                hidden = model.hidden(filled)[0, len(sentence)]
                sentence.append(int((model.output.weight @ hidden + model.output.bias).argmax()))
            sentence += [spec.pad_id or 0] * (spec.max_len - len(sentence))
            expected[b, t] = score(torch.tensor([sentence]))
    assert len(expected.unique()) > 10
    torch.testing.assert_close(rollout_rewards(model, tokens, score, n), expected, rtol=0, atol=1e-6)


def test_rollouts_of_one_word_need_no_completion() -> None:
    spec = SequenceSpec(vocab_size=3, max_len=1, bos_id=0, pad_id=None, eos_id=None)
    tokens = torch.tensor([[0], [2]])
    rewards = rollout_rewards(generator(spec, 1.0), tokens, lambda x: x[:, 0] / 4, 5)
    assert torch.equal(rewards, torch.tensor([[0.0], [0.5]]))


def small_gan(**settings: Any) -> SeqGAN:
    torch.manual_seed(0)
    defaults: dict[str, Any] = {"batch_size": 4, "pool_batches": 3, "d_pretrain_steps": 18, "mle_steps": 2}
    return SeqGAN(SeqGAN.Config(**{**defaults, "iterations": 2, "d_steps": 5, "rollouts": 2, **settings}), TASK)


def stream(gan: SeqGAN) -> Iterator[Tensor]:
    """Words 1 to 8; each batch is another."""
    random = torch.Generator().manual_seed(1)
    while True:
        yield torch.randint(1, 9, (gan.config.batch_size, TASK.max_len), generator=random)


def test_released_numbers_of_steps() -> None:
    phases = SeqGAN(SeqGAN.Config(), TASK).phases()
    assert [(phase.name, phase.steps) for phase in phases] == [
        ("mle", 120 * 156),
        ("discriminator", 50 * 3 * 312),
        ("adversarial", 200 * (1 + 5 * 3 * 312)),
    ]


def test_pool_is_half_real_and_its_batches_come_three_times(monkeypatch: pytest.MonkeyPatch) -> None:
    gan = small_gan()
    batches = stream(gan)
    drawn: list[int] = []

    def fake(n: int, **_: float) -> Tensor:
        drawn.append(n)
        return torch.full((n, TASK.max_len), 9 + len(drawn) % 2)

    inputs: list[Tensor] = []
    labels: list[Tensor] = []
    forward, loss = gan.discriminator.forward, gan.discriminator.loss

    def spying_forward(tokens: Tensor, *, dropout: bool) -> Tensor:
        assert dropout
        inputs.append(tokens.clone())
        return forward(tokens, dropout=dropout)

    def spying_loss(logits: Tensor, real: Tensor, *, l2: float) -> Tensor:
        labels.append(real.clone())
        return loss(logits, real, l2=l2)

    monkeypatch.setattr(gan.generator, "sample", fake)
    monkeypatch.setattr(gan.discriminator, "forward", spying_forward)
    monkeypatch.setattr(gan.discriminator, "loss", spying_loss)
    for _ in range(2 * 18):  # two pools of 6 batches, 3 epochs each
        gan.discriminator_step(batches)
    assert drawn == [12, 12]
    upstream = stream(gan)
    for pool in range(2):
        epochs = [torch.cat(inputs[18 * pool + 6 * e : 18 * pool + 6 * (e + 1)]) for e in range(3)]
        assert torch.equal(epochs[0], epochs[1])
        assert torch.equal(epochs[1], epochs[2])
        real = torch.cat(labels[18 * pool : 18 * pool + 6]).bool()
        assert real.sum() == 12
        taken = torch.cat([next(upstream) for _ in range(3)])
        sentences = epochs[-1]
        assert sorted(sentences[real].tolist()) == sorted(taken.tolist())
        assert (sentences[~real] == 9 + (pool + 1) % 2).all()
        assert not real[:12].all()  # shuffled
        assert real[:12].any()


def test_a_round_is_generator_steps_then_discriminator_steps() -> None:
    gan = small_gan(g_steps=2, d_steps=3)
    batches, step = stream(gan), gan.phases()[2].step
    keys = ["g" if "g_loss" in step(batches) else "d" for _ in range(gan.phases()[2].steps)]
    assert "".join(keys) == "ggddd" * 2


def test_each_step_moves_its_own_side_with_its_own_optimiser() -> None:
    gan = small_gan()
    batches = stream(gan)
    mle, adversarial, discriminator = (gan.optimizers[key] for key in ("mle", "generator", "discriminator"))
    gan.mle_step(batches)
    assert mle.state
    assert not adversarial.state
    assert not discriminator.state
    moments = {key: {k: v.clone() for k, v in state.items()} for key, state in mle.state.items()}

    before_g, before_d = copies(gan.generator), copies(gan.discriminator)
    gan.generator_step(batches)
    assert unchanged(gan.discriminator, before_d)
    assert not unchanged(gan.generator, before_g)
    assert all(torch.equal(mle.state[key][k], v) for key, state in moments.items() for k, v in state.items())
    assert {int(state["step"]) for state in adversarial.state.values()} == {1}
    assert not discriminator.state

    before_g = copies(gan.generator)
    gan.discriminator_step(batches)
    assert unchanged(gan.generator, before_g)
    assert not unchanged(gan.discriminator, before_d)
    assert (mle.param_groups[0]["lr"], adversarial.param_groups[0]["lr"]) == (1e-2, 1e-2)
    assert discriminator.param_groups[0]["lr"] == 1e-4


@pytest.mark.parametrize("clip", [1e9, 0.5])
def test_policy_gradient_is_the_sum_over_batch_and_time(clip: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Equation 4 in float64, one token at a time, to the gradient after clipping."""
    gan = small_gan(clip_norm=clip).double()
    tokens = torch.randint(12, (4, 5))
    rewards = torch.rand(4, 5, dtype=torch.float64)
    expected_loss = torch.zeros((), dtype=torch.float64)
    model = gan.generator
    for b, t in itertools.product(range(4), range(5)):
        prefix = torch.tensor([[TASK.bos_id, *tokens[b, :t].tolist()]])
        hidden = model.lstm(model.embedding(prefix))[0][0, -1]
        expected_loss = expected_loss - rewards[b, t] * model.output(hidden).log_softmax(0)[tokens[b, t]]
    trained = [p for p in model.parameters() if p.requires_grad]
    expected = torch.autograd.grad(expected_loss, trained)
    norm = torch.cat([gradient.flatten() for gradient in expected]).norm()
    assert 0.5 < norm < 1e9
    monkeypatch.setattr(model, "sample", lambda n: tokens)
    monkeypatch.setattr("baselines.seqgan.rollout_rewards", lambda *_: rewards)
    values = gan.generator_step(stream(gan))
    assert values["g_loss"].item() == pytest.approx(expected_loss.item(), abs=1e-9)
    assert values["reward"].item() == pytest.approx(rewards.mean().item())
    for parameter, gradient in zip(trained, expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient * min(1.0, clip / norm.item()), rtol=1e-5, atol=1e-10)


def test_discriminator_beats_chance_and_the_generator_earns_its_reward() -> None:
    """Real sentences are of one word; what is generated is not. Then the generator is taught by the scores alone."""
    torch.manual_seed(0)
    spec = SequenceSpec(vocab_size=6, max_len=4, bos_id=0, pad_id=None, eos_id=None)
    config = SeqGAN.Config(batch_size=32, pool_batches=4, pool_epochs=2, d_lr=1e-3, rollouts=4)
    gan = SeqGAN(config, spec)
    batches = itertools.repeat(torch.full((32, 4), 5))
    accuracy = torch.stack([gan.discriminator_step(batches)["d_accuracy"] for _ in range(48)])
    assert accuracy[-16:].mean() > 0.95
    before = (gan.sample(500) == 5).float().mean()
    for _ in range(60):
        gan.generator_step(batches)
    assert (gan.sample(500) == 5).float().mean() > before + 0.5


def test_the_discriminator_may_be_that_of_the_first_release() -> None:
    spec = SequenceSpec(vocab_size=12, max_len=20, bos_id=0, pad_id=None, eos_id=None)
    for biases in (True, False):
        highway = SeqGAN(SeqGAN.Config(d_highway_biases=biases), spec).discriminator.gate
        assert (highway.bias is not None) is biases


def test_the_discriminator_may_be_texygens() -> None:
    spec = SequenceSpec(vocab_size=12, max_len=20, bos_id=0, pad_id=None, eos_id=None)
    sizes = {
        name: SeqGAN(SeqGAN.Config(d_filters=name), spec).discriminator.output.in_features
        for name in ("seqgan", "texygen")
    }
    assert sizes == {"seqgan": 1_720, "texygen": 300}
