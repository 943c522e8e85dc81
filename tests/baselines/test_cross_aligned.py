"""The cross-aligned autoencoder against its equations, each written out again."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from baselines.common.networks.gumbel import gumbel_softmax
from baselines.cross_aligned import CrossAligned
from bench.check.labels import LABELLED

SPEC = LABELLED
T = SPEC.max_len
END = 0


def model(**settings: Any) -> CrossAligned:
    torch.manual_seed(0)
    sizes = {"embedding_dim": 6, "style_dim": 3, "content_dim": 5, "filters": 4, "batch_size": 8}
    found = CrossAligned(CrossAligned.Config(**{**sizes, "dropout": 0.0, "places": 0, "gamma": 0.5, **settings}), SPEC)
    with torch.no_grad():
        for parameter in found.parameters():
            parameter.mul_(3)  # so that states and words differ
    return found


def sentences(n: int = 8) -> Tensor:
    """Of both classes, some with an end."""
    generator = torch.Generator().manual_seed(1)
    words = [i for i in range(SPEC.vocab_size) if i not in (*SPEC.class_ids, END)]
    ids = torch.tensor(words)[torch.randint(len(words), (n, T), generator=generator)]
    ids[:, 0] = torch.tensor(SPEC.class_ids).repeat(n)[:n]
    ids[::2, -1] = END
    return ids


def batches(tokens: Tensor) -> Any:
    while True:
        yield tokens


def test_the_content_is_what_a_gru_keeps_of_words_read_from_the_end() -> None:
    net = model().autoencoder
    words, own = sentences()[:, 1:], torch.tensor([0, 1] * 4)
    w_read, w_state, b_read, b_state = net.reader.all_weights[0]
    state = torch.cat([net.read_style.weight[own], torch.zeros(8, 5)], 1)
    for t in reversed(range(T - 1)):
        state = torch.gru_cell(net.embedding.weight[words[:, t]], state, w_read, w_state, b_read, b_state)
    assert torch.allclose(net.content(words, own), state[:, 3:], atol=1e-6)
    begin = net.begin(state[:, 3:], 1 - own)
    assert torch.equal(begin, torch.cat([net.write_style.weight[1 - own], state[:, 3:]], 1))


def test_what_is_written_freely_has_the_states_of_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """With words that are all but one-hot, teacher forcing of the same words gives the same states."""
    net = model().autoencoder
    drawn: list[Tensor] = []

    def kept(logits: Tensor, beta: float) -> tuple[Tensor, Tensor]:
        soft, words = gumbel_softmax(logits, beta)
        drawn.append(words)
        return soft, words

    monkeypatch.setattr("baselines.common.networks.autoencoder.gumbel_softmax", kept)
    states = net.free(torch.randn(200, 8), 1e6)
    words = torch.stack(drawn, 1)
    assert not (words[..., None] == torch.tensor(SPEC.class_ids)).any()
    assert (words[:, 0] == END).any(), "some end at once"
    told, logits = net.told(states[:, 0], words)
    assert torch.allclose(states, told, atol=1e-4)
    ended = (words[:, 0] == END).nonzero().flatten()
    assert states[ended, :2].ne(0).any(2).all()
    assert states[ended, 2:].eq(0).all()
    likely = logits.softmax(2)[:, 0, END].mean()
    assert abs((words[:, 0] == END).float().mean() - likely) < 4 * (likely / 200).sqrt(), "drawn, not likeliest"


def test_an_answer_is_the_likeliest_word_at_each_place() -> None:
    found = model()
    tokens = sentences()
    labels = tokens[:, 0].flip(0)
    answers = found.transfer(tokens, labels)
    assert torch.equal(answers[:, 0], labels)
    content = found.autoencoder.content(tokens[:, 1:], tokens[:, 0] - SPEC.class_ids[0])
    begin = found.autoencoder.begin(content, labels - SPEC.class_ids[0])
    _, logits = found.autoencoder.told(begin, answers[:, 1:])
    inside = (answers[:, 1:] == END).int().cumsum(1) <= (answers[:, 1:] == END).int()
    assert torch.equal(logits.argmax(2)[inside], answers[:, 1:][inside])
    assert not torch.equal(answers, found.transfer(tokens, tokens[:, 0]))


def by_hand(found: CrossAligned, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Reconstruction, the critics' loss and the adversarial loss, sentence by sentence."""
    net, critic = found.autoencoder, found.critic
    own = tokens[:, 0] - SPEC.class_ids[0]
    other = (own + torch.randint(1, 2, own.shape)) % 2
    content = net.content(tokens[:, 1:], own)
    states, logits = net.told(net.begin(content, own), tokens[:, 1:])
    written = net.free(net.begin(content, other), 1 / found.config.gamma)
    reconstruction = torch.zeros(())
    for b, row in enumerate(tokens[:, 1:]):
        for t, word in enumerate(row.tolist()):
            reconstruction = reconstruction - logits[b, t].log_softmax(0)[word] / len(tokens)
            if word == END:
                break
    real = torch.stack([critic(states)[b, own[b]] for b in range(len(tokens))])
    generated = torch.stack([critic(written)[b, other[b]] for b in range(len(tokens))])
    cost = functional.binary_cross_entropy_with_logits
    d_loss = cost(real, torch.ones(8)) + cost(generated, torch.zeros(8))
    per_class = sum(cost(generated[other == k], torch.ones(int((other == k).sum()))) for k in (0, 1))
    assert isinstance(per_class, Tensor)
    return reconstruction, d_loss, per_class


def test_a_step_is_equations_5_and_7() -> None:
    """The losses that are logged, the update of the critics by their loss alone, then that of the autoencoder."""
    found, tokens = model(d_limit=1e9, rho=2.0), sentences()
    again = deepcopy(found)
    torch.manual_seed(7)
    told = found.adversarial_step(batches(tokens))
    torch.manual_seed(7)
    reconstruction, d_loss, _ = by_hand(again, tokens)
    assert torch.allclose(told["d_loss"], d_loss, atol=1e-5)
    assert torch.allclose(told["reconstruction"], reconstruction, atol=1e-5)
    critics = list(again.critic.parameters())
    for p, slope in zip(critics, torch.autograd.grad(d_loss, critics), strict=True):
        p.grad = slope
    again.optimizers["critic"].step()
    for a, b in zip(found.critic.parameters(), again.critic.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)
    torch.manual_seed(7)
    reconstruction, _, adversarial = by_hand(again, tokens)
    assert torch.allclose(told["g_loss"], adversarial, atol=1e-4)
    ours = list(again.autoencoder.parameters())
    slopes = torch.autograd.grad(reconstruction + 2 * adversarial, ours)
    for p, slope in zip(ours, slopes, strict=True):
        p.grad = slope
    torch.nn.utils.clip_grad_norm_(ours, 30.0)
    again.optimizers["autoencoder"].step()
    for a, b in zip(found.autoencoder.parameters(), ours, strict=True):
        assert torch.allclose(a, b, atol=1e-5)


def test_a_critic_that_knows_nothing_teaches_nothing() -> None:
    shut, alone = model(d_limit=1e-9), model()
    tokens = sentences()
    shut.adversarial_step(batches(tokens))
    alone.reconstruction_step(batches(tokens))
    for a, b in zip(shut.autoencoder.parameters(), alone.autoencoder.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_words_are_moved_a_little_and_the_end_and_what_follows_it_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    found = model(places=1)
    read: list[Tensor] = []
    monkeypatch.setattr(found.autoencoder, "content", lambda words, _, dropout: read.append(words))
    words = torch.tensor([[2, 3, 4, 5, 0, 0, 0]]).repeat(500, 1)
    found._content(words, torch.zeros(500, dtype=torch.int64))
    assert SPEC.eos_id == END
    assert read[0][:, 5:].eq(0).all()
    place = (read[0][:, None, :] == torch.tensor([2, 3, 4, 5, 0])[:, None]).int().argmax(2)
    assert (place - torch.arange(5)).abs().max() == 1
    assert (place[:, 4] == 4).all()  # an end stays behind its words
    assert (place == torch.arange(5)).all(1).float().mean() < 0.8


def test_critics_of_two_classes_share_nothing() -> None:
    critic = model().critic
    states = torch.randn(4, T, 8)
    of_first, of_second = (
        torch.autograd.grad(critic(states)[:, k].sum(), [next(critic.windows[0].parameters())])[0] for k in (0, 1)
    )
    assert of_first[:4].ne(0).any()
    assert of_first[4:].eq(0).all()
    assert of_second[:4].eq(0).all()
    assert of_second[4:].ne(0).any()


def test_a_gradient_passes_through_the_words_that_are_written_freely() -> None:
    net = model().autoencoder
    (slope,) = torch.autograd.grad(net.free(torch.randn(50, 8), 2.0).sum(), [net.output.weight])
    assert slope.ne(0).any()
