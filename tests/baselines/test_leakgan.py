"""LeakGAN's networks, losses and rewards against slow, obvious implementations of its equations."""

from __future__ import annotations

import math

import pytest
import torch
from helpers import leakgan_slow as slow
from torch import Tensor

from baselines import leakgan
from baselines.common.fast.likelihood import counted
from baselines.common.spec import SequenceSpec
from baselines.leakgan import LeakGAN, generator
from baselines.leakgan.features import PrefixReader, prefix_features
from baselines.leakgan.generator import Walk
from baselines.leakgan.rewards import agreement, boundary_scores, rescaled


@pytest.mark.parametrize("spec", slow.SPECS.values(), ids=slow.SPECS)
def test_prefix_features_are_those_of_the_padded_prefix(spec: SequenceSpec) -> None:
    gan = slow.gan_of(spec)
    tokens = slow.sentences(spec, 5)
    features = prefix_features(gan.discriminator, tokens)
    expected = torch.stack(
        [torch.stack([slow.features_at(gan, row, t) for t in range(spec.max_len + 1)]) for row in tokens.tolist()]
    )
    assert len(expected.flatten(0, 1).unique(dim=0)) > 20
    torch.testing.assert_close(features, expected, rtol=0, atol=1e-12)
    reader = PrefixReader(gan.discriminator, spec.max_len)
    reading = reader.start(len(tokens))
    for position in range(spec.max_len):
        reading = reader.read(reading, tokens[:, position], position)
    torch.testing.assert_close(reader.score(reading), gan.discriminator.score(tokens), rtol=0, atol=1e-12)


def test_features_that_are_wanted_are_the_same_and_the_others_are_0() -> None:
    torch.manual_seed(6)
    spec = slow.ENDING
    gan = slow.gan_of(spec)
    tokens = torch.randint(spec.vocab_size, (9, spec.max_len))
    wanted = torch.rand(9, spec.max_len + 1) < 0.4
    wanted[0], wanted[1], wanted[2, 1:] = False, True, False
    features = prefix_features(gan.discriminator, tokens, wanted)
    every = prefix_features(gan.discriminator, tokens)
    torch.testing.assert_close(features[wanted], every[wanted], rtol=0, atol=1e-12)
    assert not features[:, 1:][~wanted[:, 1:]].any()
    assert features[1:, 0].equal(features[:1, 0].expand(8, -1))


def test_prefix_features_with_all_windows() -> None:
    """Length 40, all window sizes and the long one: the network itself on padded prefixes."""
    spec = SequenceSpec(vocab_size=9, max_len=40, bos_id=0, pad_id=None, eos_id=None)
    gan = slow.gan_of(spec, d_long_window=30)
    tokens = slow.sentences(spec, 2)
    features = prefix_features(gan.discriminator, tokens)
    assert features.shape == (2, 41, 1_880)
    for t in (0, 1, 17, 39, 40):
        prefix = tokens.clone()
        prefix[:, t:] = spec.vocab_size
        logits = gan.discriminator.output(features[:, t])
        torch.testing.assert_close(logits, gan.discriminator(prefix, dropout=False), rtol=0, atol=1e-11)


@pytest.mark.parametrize("first_goals", [1, 3])
@pytest.mark.parametrize("spec", slow.SPECS.values(), ids=slow.SPECS)
def test_likelihood_and_every_next_word(spec: SequenceSpec, first_goals: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Teacher forcing in one batch and the walk word by word, at evaluation temperature 1.5."""
    gan = slow.gan_of(spec, evaluation_temperature=1.5, first_goals=first_goals)
    tokens = slow.sentences(spec, 8)
    inside = counted(tokens, spec.eos_id)
    places = torch.arange(len(tokens)) % first_goals
    log_p = torch.stack([_log_p(gan, row, first_goals) for row in tokens.tolist()])  # (B, P, T, V)
    chosen = log_p.gather(3, tokens[:, None, :, None].expand(-1, first_goals, -1, 1))[..., 0]
    sums = (chosen * inside[:, None]).sum(2).exp().mean(1).log()
    torch.testing.assert_close(gan.log_prob(tokens), sums, rtol=0, atol=1e-9)
    torch.testing.assert_close(gan.label_log_prob(tokens), chosen[:, :, 0].exp().mean(1).log(), rtol=0, atol=1e-9)

    expected = log_p[torch.arange(len(tokens)), places]  # (B, T, V)
    seen = torch.zeros_like(expected)
    positions = iter(range(spec.max_len))

    def spy(logits: Tensor) -> Tensor:
        assert logits[:, spec.vocab_size :].eq(-math.inf).all()
        position = next(positions)
        left = inside[:, position]  # what has ended is walked no further
        seen[left, position] = logits[:, : spec.vocab_size].log_softmax(1)
        return tokens[None, left, position]

    monkeypatch.setattr(generator, "draw", spy)
    monkeypatch.setattr(gan.generator, "places", lambda *_: places)
    assert torch.equal(gan.sample(len(tokens)), tokens)
    torch.testing.assert_close(seen, expected.where(inside[..., None], 0.0), rtol=0, atol=1e-9)


def _log_p(gan: LeakGAN, row: list[int], first_goals: int) -> Tensor:
    """(P, T, V): at evaluation temperature 1.5, after each first goal."""
    features = [slow.features_at(gan, row, t) for t in range(len(row) + 1)]
    goals = [slow.block_goals(gan, features, late=False, place=place) for place in range(first_goals)]
    return torch.stack([torch.stack(slow.next_log_p(gan, row, each, 1.5)) for each in goals]).detach()


def test_what_is_sampled_with_several_first_goals_has_the_probability_it_is_said_to_have() -> None:
    """All first words, and second words after a label, which tells of the goal that it was written with."""
    gan, n = slow.gan_of(slow.FIXED, first_goals=4), 2_000
    with torch.no_grad():
        gan.generator.worker.output.mul_(3)
    v = slow.FIXED.vocab_size
    log_p = gan.generator.first_log_prob(torch.cartesian_prod(torch.arange(v), torch.arange(v)), 1.0)  # (V V, P)
    pairs = log_p.logsumexp(1).exp().view(v, v)
    assert (log_p.exp() * 4).view(v, v, 4).std(2).max() > 0.05, "the goals differ"
    drawn = gan.sample(n)
    _assert_drawn_from(pairs.sum(1), drawn[:, 0])
    label = int(log_p.exp().view(v, v, 4).sum(1).std(1).argmax())  # of which the goals think most differently
    told = gan.sample(n, labels=torch.full((n,), label))
    assert (told[:, 0] == label).all()
    _assert_drawn_from(pairs[label] / pairs[label].sum(), told[:, 1])


def _assert_drawn_from(p: Tensor, words: Tensor) -> None:
    share = torch.bincount(words, minlength=len(p)).double() / len(words)
    assert ((share - p).abs() < 4.5 * (p * (1 - p) / len(words)).sqrt() + 1e-9).all(), (share, p)


def test_a_sentence_does_not_depend_on_its_batch() -> None:
    gan = slow.gan_of(slow.ENDING)
    tokens = slow.sentences(slow.ENDING, 9)
    alone = torch.cat([gan.log_prob(row[None]) for row in tokens])
    torch.testing.assert_close(gan.log_prob(tokens), alone)


@pytest.mark.parametrize("first_goals", [1, 4])
@pytest.mark.parametrize("goals", ["aligned", "released"])
@pytest.mark.parametrize("spec", slow.SPECS.values(), ids=slow.SPECS)
def test_mle_step(spec: SequenceSpec, goals: str, first_goals: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Equation 5 to both gradients; the discriminator has none."""
    manager_loss = "mean" if first_goals == 1 else "released"
    gan = slow.gan_of(spec, goals=goals, first_goals=first_goals, manager_loss=manager_loss)
    slow.freeze(gan, monkeypatch)
    tokens = slow.sentences(spec, 6)
    again = 1 if manager_loss == "mean" else 6 * math.ceil(spec.max_len / gan.config.horizon)
    parts = slow.parts(gan, tokens, late=goals == "released")
    nll = -slow.mean(p for part in parts for p in part["log_p"])
    cosine = slow.mean(x for part in parts for x in part["blocks"])
    values = gan.mle_step(iter([tokens]))
    assert values["nll"].item() == pytest.approx(nll.item(), abs=1e-9)
    assert values["cosine"].item() == pytest.approx(cosine.item(), abs=1e-9)
    slow.assert_gradients(gan.generator.worker, nll)
    slow.assert_gradients(gan.generator.manager, -cosine / again)
    assert all(p.grad is None for p in gan.discriminator.parameters())


@pytest.mark.parametrize("phase", ["manager_mle", "manager"])
def test_the_managers_adam_is_that_of_tensorflow(phase: str) -> None:
    """TensorFlow 1 `AdamOptimizer`, with gradients about its epsilon; also where training stops and goes on."""
    gans = [slow.gan_of(slow.FIXED, manager_loss="released") for _ in range(2)]
    (parameter, *_), (again, *_) = (gan.optimizers[phase].param_groups[0]["params"] for gan in gans)
    expected, m, v = parameter.detach().clone(), 0.0, 0.0
    for step in range(1, 9):
        gan = gans[0] if step <= 4 else gans[1]
        if step == 5:
            gan.optimizers[phase].load_state_dict(gans[0].optimizers[phase].state_dict())
            again.data.copy_(parameter)
        moved = parameter if step <= 4 else again
        gradient = 1e-8 * torch.randn(moved.shape, dtype=moved.dtype)
        moved.grad = gradient
        gan.optimizers[phase].step()
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient.square()
        rate = 1.5e-3 * (1 - 0.999**step) ** 0.5 / (1 - 0.9**step)
        expected = expected - rate * m / (v.sqrt() + 1e-8)
        torch.testing.assert_close(moved.detach(), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("cosine", ["per_sample", "released"])
@pytest.mark.parametrize("rank", ["sorted", "released"])
@pytest.mark.parametrize(
    ("spec", "clip"), [(slow.FIXED, 1e9), (slow.ENDING, 1e-3), (slow.SHARED_ID, 1e9)], ids=slow.SPECS
)
def test_generator_step(
    spec: SequenceSpec, clip: float, rank: str, cosine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Equations 6 to 8, with given samples and scores, to both gradients after clipping."""
    first_goals = 6 if rank == "released" else 1
    gan = slow.gan_of(spec, rank=rank, cosine=cosine, goals="aligned", clip_norm=clip, first_goals=first_goals)
    slow.freeze(gan, monkeypatch)
    tokens = slow.sentences(spec, 6)
    n_blocks = math.ceil(spec.max_len / 3)
    scores = torch.rand(6, n_blocks, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    monkeypatch.setattr(gan, "_draw", lambda *_: tokens)
    monkeypatch.setattr(leakgan, "boundary_scores", lambda *_: scores)
    parts = slow.parts(gan, tokens, late=False)
    begun = [[k < len(part["blocks"]) for k in range(n_blocks)] for part in parts]
    torch.manual_seed(3)
    ranked = scores if rank == "sorted" else torch.rand_like(scores)
    rewards = slow.rescaled(ranked.tolist(), begun)
    if cosine == "released":
        block_cosine = slow.mean(x for part in parts for x in part["blocks"])
        word_cosine = slow.mean(x for part in parts for x in part["words"])
        for part in parts:
            part["blocks"] = [block_cosine] * len(part["blocks"])
            part["words"] = [word_cosine] * len(part["words"])
    manager_loss = -slow.mean(
        r * x for row, part in zip(rewards, parts, strict=True) for r, x in zip(row, part["blocks"], strict=False)
    )
    worker_loss = -slow.mean(x * p for part in parts for x, p in zip(part["words"], part["log_p"], strict=True))
    torch.manual_seed(3)
    values = gan.generator_step(iter([]), iteration=0)
    assert values["manager_loss"].item() == pytest.approx(manager_loss.item(), abs=1e-9)
    assert values["worker_loss"].item() == pytest.approx(worker_loss.item(), abs=1e-9)
    flat = [s for row, used in zip(scores.tolist(), begun, strict=True) for s, u in zip(row, used, strict=True) if u]
    assert values["reward"].item() == pytest.approx(slow.mean(iter(flat)))
    slow.assert_gradients(gan.generator.worker, worker_loss, clip)
    slow.assert_gradients(gan.generator.manager, manager_loss, clip)
    assert all(p.grad is None for p in gan.discriminator.parameters())


def test_rescaled_activation() -> None:
    """Equation 7 with ties and with sentences that have ended."""
    scores = torch.rand(9, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    valid = torch.ones(9, 4, dtype=torch.bool)
    valid[[1, 2, 7], 2:] = False
    valid[:, 3] = False
    expected = torch.tensor(slow.rescaled(scores.tolist(), valid.tolist()), dtype=torch.float64)
    torch.testing.assert_close(rescaled(scores, valid, "sorted"), expected)
    drawn = rescaled(scores, valid, "released")  # the same rewards in another order
    torch.testing.assert_close(drawn.sort(0).values, expected.sort(0).values)
    assert torch.equal(drawn > 0, valid)
    tied = rescaled(torch.tensor([[0.5], [0.2], [0.5], [0.9]]), torch.ones(4, 1, dtype=torch.bool), "sorted")
    torch.testing.assert_close(tied[:, 0], (16 * (torch.tensor([3, 1, 3, 4]) / 4 - 0.5)).sigmoid())


def test_released_ranks_are_drawn_for_each_block() -> None:
    """Neither scores nor places have a part in them, so that sentences among others have the mean of all."""
    scores, valid = torch.linspace(0, 1, 128)[:, None].expand(-1, 400), torch.ones(128, 400, dtype=torch.bool)
    torch.manual_seed(0)
    rewards = rescaled(scores, valid, "released")
    assert rewards.mean().item() == pytest.approx(0.5039, abs=1e-4)
    # the mean of 400 rewards has a standard deviation of .43 / 20, that of 64 rows of .43 / 160 or less
    assert (rewards.mean(1) - 0.5039).abs().max() < 0.1
    assert rewards[:64].mean().item() == pytest.approx(0.5039, abs=0.01)


def test_the_managers_released_loss_has_the_size_of_the_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    """64 sentences, 4 roll-outs, one cosine for all: minus .12695 times it (github.com/CR-Gjx/LeakGAN/issues/17)."""
    gan = slow.gan_of(slow.FIXED, rank="released", cosine="released", manager_loss="released", rollouts=4)
    tokens = slow.sentences(slow.FIXED, 64)
    monkeypatch.setattr(gan, "_draw", lambda *_: tokens)
    features, goals, _, begun = gan._read(tokens, all_features=True)
    cosine = agreement(features, goals, gan.config.horizon)[begun].mean().item()
    loss = gan.generator_step(iter([]), iteration=0)["manager_loss"].item()
    assert loss == pytest.approx(-0.126952 * cosine, rel=1e-4)
    gan = slow.gan_of(slow.FIXED, rank="released", cosine="released", manager_loss="mean", rollouts=4)
    monkeypatch.setattr(gan, "_draw", lambda *_: tokens)
    mean = gan.generator_step(iter([]), iteration=0)["manager_loss"].item()
    assert mean == pytest.approx(4 * loss, rel=1e-4)


@pytest.mark.parametrize("spec", slow.SPECS.values(), ids=slow.SPECS)
@pytest.mark.parametrize("n", [1, 3])
def test_boundary_scores_where_the_generator_is_deterministic(spec: SequenceSpec, n: int) -> None:
    gan = slow.gan_of(spec)
    with torch.no_grad():
        gan.generator.worker.output.mul_(1e4)  # the most likely word has all of the probability
    tokens = slow.sentences(spec, 8)
    horizon, expected = gan.config.horizon, []
    for row in tokens.tolist():
        lengths = [*range(horizon, spec.max_len, horizon), spec.max_len]
        completed = []
        for length in lengths:
            sentence = row[:length]
            while len(sentence) < spec.max_len:
                sentence = [*sentence, 0]
                filled = sentence + [0] * (spec.max_len - len(sentence))
                features = [slow.features_at(gan, filled, t) for t in range(len(sentence) + 1)]
                features += [features[-1]] * (spec.max_len + 1 - len(features))  # of the future; no goal has it
                log_p = slow.next_log_p(gan, filled, slow.block_goals(gan, features, late=False))
                sentence[-1] = int(log_p[len(sentence) - 1].argmax())
                sentence = slow.padded(sentence, spec)
            completed.append(sentence)
        expected.append(gan.discriminator.score(torch.tensor(completed)))
    assert len(torch.stack(expected).unique()) > 8
    got = boundary_scores(Walk(gan.generator, gan.discriminator, to_score=True), tokens, n, horizon)
    torch.testing.assert_close(got, torch.stack(expected), rtol=0, atol=1e-9)


@pytest.mark.parametrize("spec", [slow.FIXED, slow.ENDING], ids=["fixed", "ending"])
def test_boundary_scores_are_expectations(spec: SequenceSpec) -> None:
    """The last boundary before the end, where the completions can be enumerated."""
    gan = slow.gan_of(spec)
    tokens, n, length = slow.sentences(spec, 2), 400, 6
    got = boundary_scores(Walk(gan.generator, gan.discriminator, to_score=True), tokens, n, gan.config.horizon)
    for b, row in enumerate(tokens.tolist()):
        possible = torch.tensor([[*row[:length], v] for v in range(spec.vocab_size)])
        possible = torch.tensor([slow.padded(r, spec) for r in possible.tolist()]).unique(dim=0)
        p = gan.log_prob(possible).softmax(0)  # given the prefix
        values = gan.discriminator.score(possible)
        expected = (p * values).sum()
        spread = ((p * (values - expected) ** 2).sum() / n).sqrt()
        assert abs(got[b, 1] - expected) < 4.5 * spread + 1e-9
        assert got[b, 2].item() == pytest.approx(gan.discriminator.score(tokens[b : b + 1]).item())
