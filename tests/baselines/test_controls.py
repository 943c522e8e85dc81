"""The control rows and MLE: they do what their equations say."""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from baselines.common.fast.likelihood import counted, finished
from baselines.common.interface import BaseConfig
from baselines.common.spec import SequenceSpec
from baselines.constant_reward import ConstantReward
from baselines.copy_train import CopyTrain
from baselines.mle import MLE
from baselines.ngram import NGram, _Counts
from baselines.repeat_one import RepeatOne
from baselines.seqgan import SeqGAN
from baselines.uniform import Uniform

SPEC = SequenceSpec(vocab_size=6, max_len=5, bos_id=0, pad_id=0, eos_id=0)


def sentences(n: int, seed: int = 0) -> Tensor:
    """Sentences in which each word mostly gives the next, of all lengths from 0 to 5."""
    random = torch.Generator().manual_seed(seed)
    rows = torch.zeros(n, 5, dtype=torch.int64)
    for row, length in zip(rows, torch.randint(6, (n,), generator=random).tolist(), strict=True):
        word = 1
        for t in range(length):
            jump = int(torch.rand((), generator=random) < 0.3)
            word = word % 5 + 1 if not jump else int(torch.randint(1, 6, (), generator=random))
            row[t] = word
    return rows


def collect(model: CopyTrain | NGram, rows: Tensor) -> None:
    batches: Iterator[Tensor] = iter(rows.split(model.config.batch_size))
    for phase in model.phases():
        for _ in range(phase.steps):
            phase.step(batches)


def test_copy_train_draws_from_all_stored_sentences() -> None:
    rows = sentences(40)
    model = CopyTrain(CopyTrain.Config(batch_size=8, batches=5), SPEC)
    with pytest.raises(ValueError, match="train the model first"):
        model.sample(1)
    collect(model, rows)
    torch.manual_seed(0)
    drawn = Counter(map(tuple, model.sample(4_000).tolist()))
    stored = Counter(map(tuple, rows.tolist()))
    assert drawn.keys() == stored.keys()
    for row, n in stored.items():
        assert abs(drawn[row] - 100 * n) < 5 * math.sqrt(100 * n)


def test_repeat_one_repeats_a_training_sentence() -> None:
    rows, chosen = sentences(16), set()
    for seed in range(8):
        torch.manual_seed(seed)
        model = RepeatOne(BaseConfig(), SPEC)
        with pytest.raises(ValueError, match="train it first"):
            model.sample(1)
        model.collect(iter([rows]))
        samples = model.sample(5)
        assert (samples == samples[0]).all()
        assert samples[0].tolist() in rows.tolist()
        chosen.add(tuple(samples[0].tolist()))
    assert len(chosen) > 1


def witten_bell(rows: list[list[int]], order: int) -> dict[tuple[int, ...], list[float]]:
    """Equation 1 with dictionaries, for every history of order - 1 words that can occur; -1 is before the start."""
    counts: dict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
    for row in rows:
        words = row[: row.index(0) + 1] if 0 in row else row
        for t, word in enumerate(words):
            history = ([-1] * order + words[:t])[-(order - 1) :] if order > 1 else []
            for k in range(order):
                counts[tuple(history[len(history) - k :])][word] += 1

    def p(word: int, history: tuple[int, ...]) -> float:
        shorter = p(word, history[1:]) if history else 1 / SPEC.vocab_size
        seen = counts[history]
        if not seen:
            return shorter
        return (seen[word] + len(seen) * shorter) / (seen.total() + len(seen))

    histories = itertools.product(range(-1, SPEC.vocab_size), repeat=order - 1)
    return {history: [p(word, history) for word in range(SPEC.vocab_size)] for history in histories}


@pytest.mark.parametrize("sharpen", [1.0, 1.5])
@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_ngram_is_witten_bell(order: int, sharpen: float) -> None:
    rows, held_out = sentences(40), sentences(30, seed=1)
    model = NGram(NGram.Config(order=order, sharpen=sharpen, batch_size=8, batches=5), SPEC)
    collect(model, rows)
    table = witten_bell(rows.tolist(), order)
    for row, got in zip(held_out.tolist(), model.log_prob(held_out).tolist(), strict=True):
        words = row[: row.index(0) + 1] if 0 in row else row
        expected = 0.0
        for t, word in enumerate(words):
            history = tuple(([-1] * order + words[:t])[-(order - 1) :]) if order > 1 else ()
            powers = [q**sharpen for q in table[history]]
            expected += math.log(powers[word] / sum(powers))
        assert got == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("order", [1, 3])
@pytest.mark.parametrize("sharpen", [0.6, 1.0, 2.5])
def test_ngram_goes_through_counted_words_alone_and_finds_the_same(order: int, sharpen: float) -> None:
    """Beside equation 2 with all words for every position, as samples are drawn."""
    spec = SequenceSpec(vocab_size=300, max_len=12, bos_id=0, pad_id=0, eos_id=0)
    weights = torch.arange(1.0, 301).reciprocal()
    rows = finished(
        weights.multinomial(6000, replacement=True, generator=torch.Generator().manual_seed(1)).view(500, 12), spec
    )
    counts, power = _Counts(rows[:400], spec, order), torch.tensor(sharpen)
    expected = torch.zeros(100)
    for t in range(12):
        log_q = counts.logits(counts.history(rows[400:], t), power).log_softmax(1).gather(1, rows[400:, t, None])
        expected += log_q.squeeze(1) * counted(rows[400:], 0)[:, t]
    torch.testing.assert_close(counts.log_prob(rows[400:], power), expected, rtol=1e-6, atol=1e-5)


def test_ngram_chooses_its_sharpening_by_held_out_likelihood() -> None:
    rows = sentences(400)
    model = NGram(NGram.Config(batch_size=40, batches=10), SPEC)
    collect(model, rows)
    likelihood = {}
    for sharpen in (0.6, 0.8, 1.0, 1.2, 1.5, 2.0):
        other = NGram(NGram.Config(sharpen=sharpen, batch_size=38, batches=10), SPEC)
        collect(other, rows[20:])
        likelihood[sharpen] = other.log_prob(rows[:20]).sum().item()
    assert model.sharpening.item() == pytest.approx(max(likelihood, key=likelihood.__getitem__))


def test_ngram_forgets_its_counts_when_its_state_is_replaced() -> None:
    a, b = (NGram(NGram.Config(sharpen=1.0, batch_size=8, batches=5), SPEC) for _ in range(2))
    collect(a, sentences(40))
    collect(b, sentences(40, seed=2))
    probe = sentences(10, seed=3)
    assert not torch.equal(a.log_prob(probe), b.log_prob(probe))
    b.load_state_dict(a.state_dict())
    assert torch.equal(a.log_prob(probe), b.log_prob(probe))


def test_mle_learns_a_sentence() -> None:
    torch.manual_seed(0)
    model = MLE(MLE.Config(batch_size=4, steps=200), SPEC)
    row = torch.tensor([[3, 1, 4, 0, 0]])
    nll = [model.mle_step(itertools.repeat(row.repeat(4, 1)))["nll"] for _ in range(200)]
    assert nll[0].item() == pytest.approx(math.log(6), abs=0.2)
    assert model.log_prob(row).item() > -0.1
    assert (model.sample(50) == row).all(1).float().mean() > 0.9


def test_mle_averages_over_tokens_and_not_over_padding() -> None:
    model = MLE(MLE.Config(batch_size=2, steps=1), SPEC)
    rows = torch.tensor([[3, 0, 0, 0, 0], [1, 2, 3, 4, 5]])
    expected = -model.log_prob(rows).sum() / 7
    assert model.mle_step(iter([rows]))["nll"].item() == pytest.approx(expected.item(), abs=1e-5)


def test_constant_reward_is_seqgan_with_reward_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Same generator, same samples, rewards of 1: the same update, bit for bit."""
    torch.manual_seed(0)
    control = ConstantReward(ConstantReward.Config(batch_size=4), SPEC)
    gan = SeqGAN(SeqGAN.Config(batch_size=4, pool_batches=1), SPEC)
    gan.generator.load_state_dict(control.generator.state_dict())
    ones = lambda model, tokens, *_: ((tokens == 0).cumsum(1) <= (tokens == 0).long()).float()  # noqa: E731
    monkeypatch.setattr("baselines.seqgan.rollout_rewards", ones)
    for step in range(5):
        torch.manual_seed(step)
        ours = control.generator_step(iter([]))
        torch.manual_seed(step)
        theirs = gan.generator_step(iter([]))
        assert torch.equal(ours["g_loss"], theirs["g_loss"])
        assert torch.equal(ours["entropy"], theirs["entropy"])
    for key, value in control.generator.state_dict().items():
        assert torch.equal(value, gan.generator.state_dict()[key]), key


def test_noise_has_mean_0_and_weights_each_token_of_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """The Q of equation 2."""
    torch.manual_seed(0)
    control = ConstantReward(ConstantReward.Config(batch_size=400, reward="noise"), SPEC)
    taken: list[tuple[Tensor, Tensor]] = []
    weighted = control.generator.weighted_nll
    monkeypatch.setattr(control.generator, "weighted_nll", lambda *given: taken.append(given) or weighted(*given))
    control.generator_step(iter([]))
    ((tokens, rewards),) = taken
    ended = (tokens == 0).cumsum(1) - (tokens == 0).long() > 0
    assert (rewards[ended] == 0).all()
    noise = rewards[~ended]
    assert (noise.abs() <= 0.5).all()
    assert abs(noise.mean().item()) < 4 / math.sqrt(12 * len(noise))
    assert noise.std().item() == pytest.approx(1 / math.sqrt(12), rel=0.1)


def test_scales_share_the_generator_of_pretraining() -> None:
    """The control is one only where it starts from the generator that SeqGAN starts from."""
    for scale, settings in SeqGAN.scales.items():
        assert ConstantReward.scales[scale]["mle_steps"] == settings["mle_steps"]
        assert ConstantReward.scales[scale]["g_steps"] == settings["iterations"] * settings.get("g_steps", 1)
    assert ConstantReward.Config().g_steps == SeqGAN.Config().iterations * SeqGAN.Config().g_steps


@pytest.mark.parametrize("ends", [True, False])
def test_uniform_costs_the_logarithm_of_the_vocabulary_per_token(ends: bool) -> None:
    spec = SPEC if ends else SequenceSpec(vocab_size=6, max_len=5, bos_id=0, pad_id=None, eos_id=None)
    model = Uniform(Uniform.Config(), spec)
    rows = torch.tensor([[1, 2, 0, 0, 0], [5, 4, 3, 2, 1], [0, 0, 0, 0, 0]])
    tokens = torch.tensor([3, 5, 1] if ends else [5, 5, 5])
    torch.testing.assert_close(model.log_prob(rows), -tokens * math.log(6))
    torch.testing.assert_close(model.log_prob(rows, temperature=0.5), -tokens * math.log(6))
    torch.manual_seed(0)
    first = model.sample(6_000, temperature=0.5)[:, 0].bincount(minlength=6)
    assert ((first - 1_000).abs() < 5 * math.sqrt(1_000)).all()
    (phase,) = model.phases()
    assert phase.step(iter([]))["nll"].item() == pytest.approx(math.log(6))
