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
from baselines.leakgan import generator
from baselines.leakgan.features import PrefixReader, prefix_features
from baselines.leakgan.generator import Walk
from baselines.leakgan.rewards import boundary_scores, rescaled


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


@pytest.mark.parametrize("spec", slow.SPECS.values(), ids=slow.SPECS)
def test_likelihood_and_every_next_word(spec: SequenceSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    """Teacher forcing in one batch and the walk word by word, at evaluation temperature 1.5."""
    gan = slow.gan_of(spec, evaluation_temperature=1.5)
    tokens = slow.sentences(spec, 8)
    log_p = []
    for row in tokens.tolist():
        features = [slow.features_at(gan, row, t) for t in range(spec.max_len + 1)]
        log_p.append(torch.stack(slow.next_log_p(gan, row, slow.block_goals(gan, features, late=False), 1.5)))
    expected = torch.stack(log_p)  # (B, T, V)
    sums = [
        p[: slow.end(row, spec)].gather(1, x[: slow.end(row, spec), None]).sum()
        for p, x, row in zip(expected, tokens, tokens.tolist(), strict=True)
    ]
    torch.testing.assert_close(gan.log_prob(tokens), torch.stack(sums).detach(), rtol=0, atol=1e-9)
    labels = expected[:, 0].detach().gather(1, tokens[:, :1])[:, 0]
    torch.testing.assert_close(gan.label_log_prob(tokens), labels, rtol=0, atol=1e-9)

    seen, inside = torch.zeros_like(expected.detach()), counted(tokens, spec.eos_id)
    positions = iter(range(spec.max_len))

    def spy(logits: Tensor) -> Tensor:
        assert logits[:, spec.vocab_size :].eq(-math.inf).all()
        position = next(positions)
        left = inside[:, position]  # what has ended is walked no further
        seen[left, position] = logits[:, : spec.vocab_size].log_softmax(1)
        return tokens[None, left, position]

    monkeypatch.setattr(generator, "draw", spy)
    monkeypatch.setattr(gan, "_draw", lambda n, m: gan.generator.sample(gan.discriminator, n, lambda _: m))
    assert torch.equal(gan.sample(len(tokens)), tokens)
    torch.testing.assert_close(seen, expected.detach().where(inside[..., None], 0.0), rtol=0, atol=1e-9)


def test_a_sentence_does_not_depend_on_its_batch() -> None:
    gan = slow.gan_of(slow.ENDING)
    tokens = slow.sentences(slow.ENDING, 9)
    alone = torch.cat([gan.log_prob(row[None]) for row in tokens])
    torch.testing.assert_close(gan.log_prob(tokens), alone)


@pytest.mark.parametrize("goals", ["aligned", "released"])
@pytest.mark.parametrize("spec", slow.SPECS.values(), ids=slow.SPECS)
def test_mle_step(spec: SequenceSpec, goals: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Equation 5 to both gradients; the discriminator has none."""
    gan = slow.gan_of(spec, goals=goals)
    slow.freeze(gan, monkeypatch)
    tokens = slow.sentences(spec, 6)
    parts = slow.parts(gan, tokens, late=goals == "released")
    nll = -slow.mean(p for part in parts for p in part["log_p"])
    cosine = slow.mean(x for part in parts for x in part["blocks"])
    values = gan.mle_step(iter([tokens]))
    assert values["nll"].item() == pytest.approx(nll.item(), abs=1e-9)
    assert values["cosine"].item() == pytest.approx(cosine.item(), abs=1e-9)
    slow.assert_gradients(gan.generator.worker, nll)
    slow.assert_gradients(gan.generator.manager, -cosine)
    assert all(p.grad is None for p in gan.discriminator.parameters())


@pytest.mark.parametrize("cosine", ["per_sample", "released"])
@pytest.mark.parametrize("rank", ["sorted", "released"])
@pytest.mark.parametrize(
    ("spec", "clip"), [(slow.FIXED, 1e9), (slow.ENDING, 1e-3), (slow.SHARED_ID, 1e9)], ids=slow.SPECS
)
def test_generator_step(
    spec: SequenceSpec, clip: float, rank: str, cosine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Equations 6 to 8, with given samples and scores, to both gradients after clipping."""
    gan = slow.gan_of(spec, rank=rank, cosine=cosine, goals="aligned", clip_norm=clip)
    slow.freeze(gan, monkeypatch)
    tokens = slow.sentences(spec, 6)
    n_blocks = math.ceil(spec.max_len / 3)
    scores = torch.rand(6, n_blocks, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    monkeypatch.setattr(gan, "_draw", lambda *_: tokens)
    monkeypatch.setattr(leakgan, "boundary_scores", lambda *_: scores)
    parts = slow.parts(gan, tokens, late=False)
    begun = [[k < len(part["blocks"]) for k in range(n_blocks)] for part in parts]
    rewards = slow.rescaled(scores.tolist(), begun, rank)
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
    values = gan.generator_step(iter([]), iteration=0)
    assert values["manager_loss"].item() == pytest.approx(manager_loss.item(), abs=1e-9)
    assert values["worker_loss"].item() == pytest.approx(worker_loss.item(), abs=1e-9)
    flat = [s for row, used in zip(scores.tolist(), begun, strict=True) for s, u in zip(row, used, strict=True) if u]
    assert values["reward"].item() == pytest.approx(slow.mean(iter(flat)))
    slow.assert_gradients(gan.generator.worker, worker_loss, clip)
    slow.assert_gradients(gan.generator.manager, manager_loss, clip)
    assert all(p.grad is None for p in gan.discriminator.parameters())


def test_rescaled_activation() -> None:
    """Equation 7 with ties and with sentences that have ended; the mean of released rewards is that of the code."""
    scores = torch.rand(9, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    valid = torch.ones(9, 4, dtype=torch.bool)
    valid[[1, 2, 7], 2:] = False
    valid[:, 3] = False
    for rank in ("sorted", "released"):
        expected = torch.tensor(slow.rescaled(scores.tolist(), valid.tolist(), rank), dtype=torch.float64)
        torch.testing.assert_close(rescaled(scores, valid, rank), expected)
    tied = rescaled(torch.tensor([[0.5], [0.2], [0.5], [0.9]]), torch.ones(4, 1, dtype=torch.bool), "sorted")
    torch.testing.assert_close(tied[:, 0], (16 * (torch.tensor([3, 1, 3, 4]) / 4 - 0.5)).sigmoid())
    released = rescaled(torch.rand(64, 5), torch.ones(64, 5, dtype=torch.bool), "released")
    assert released.mean().item() == pytest.approx(0.507807, abs=1e-6)  # github.com/CR-Gjx/LeakGAN/issues/17, x 4


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
