"""LeakGAN's equations, slow and obvious, in float64: one sentence and one token at a time. Not a test."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from helpers.sentences import end, padded
from torch import Tensor, nn

from baselines.common.spec import SequenceSpec
from baselines.leakgan import LeakGAN

FIXED = SequenceSpec(vocab_size=5, max_len=7, bos_id=1, pad_id=None, eos_id=None)
ENDING = SequenceSpec(vocab_size=6, max_len=7, bos_id=1, pad_id=2, eos_id=3)
SHARED_ID = SequenceSpec(vocab_size=5, max_len=6, bos_id=0, pad_id=0, eos_id=0)
SPECS = {"fixed": FIXED, "ending": ENDING, "shared_id": SHARED_ID}
SIZES: dict[str, Any] = {"embedding_dim": 3, "hidden_dim": 4, "goal_dim": 2, "horizon": 3, "d_embedding_dim": 3}


def gan_of(spec: SequenceSpec, **settings: Any) -> LeakGAN:
    """Float64, and far from uniform, so that what was read and which goal is followed matters."""
    torch.manual_seed(0)
    config = LeakGAN.Config(**{**SIZES, "batch_size": 6, "pool_batches": 2, "clip_norm": 1e9, **settings})
    gan = LeakGAN(config, spec).double()
    with torch.no_grad():
        gan.generator.manager.lstm.get_parameter("weight_ih_l0").mul_(0.3)  # no saturated gates
        gan.generator.manager.first_goals.mul_(5)
        gan.generator.worker.output.mul_(30)
        gan.discriminator.output.weight.mul_(3)
    return gan


def sentences(spec: SequenceSpec, n: int, seed: int = 1) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    rows = torch.randint(spec.vocab_size, (n, spec.max_len), generator=random).tolist()
    return torch.tensor([padded(row, spec) for row in rows])


def features_at(gan: LeakGAN, row: list[int], t: int) -> Tensor:
    """f(s_t): the whole network on the sentence whose tokens after the first t are "unread", window by window."""
    d = gan.discriminator
    ids = row[:t] + [gan.spec.vocab_size] * (gan.spec.max_len - t)
    words = d.embedding.weight[torch.tensor(ids)]
    pooled = []
    for weight, bias in zip(d.filters, d.filter_biases, strict=True):
        size = weight.shape[2]
        places = [torch.einsum("nej,je->n", weight, words[p : p + size]) for p in range(len(ids) - size + 1)]
        pooled.append((torch.stack(places) + bias).relu().max(0).values)
    x = torch.cat(pooled)
    gate = (d.gate.weight @ x + d.gate.bias).sigmoid()
    return (gate * (d.transform.weight @ x + d.transform.bias).relu() + (1 - gate) * x).detach()


def lstm_step(lstm: nn.LSTM, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """The textbook, one bias per gate."""
    w, u, b = (lstm.get_parameter(f"{name}_l0").chunk(4) for name in ("weight_ih", "weight_hh", "bias_ih"))
    i, f, g, o = (w[k] @ x + u[k] @ h + b[k] for k in range(4))
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def unit(x: Tensor) -> Tensor:
    norm = (x * x).sum().sqrt()
    return x / norm if norm > 0 else x


def block_goals(gan: LeakGAN, features: list[Tensor], *, late: bool, place: int = 0) -> list[Tensor]:
    """Equations 2 and 3: G_k of every block, G_0 that of this place; `late` sums g_{(k-1)c+1} .. g_{kc}."""
    manager, horizon = gan.generator.manager, gan.config.horizon
    h = c = torch.zeros(gan.config.hidden_dim, dtype=torch.float64)
    g = []
    for feature in features:
        h, c = lstm_step(manager.lstm, feature, h, c)
        g.append(unit(manager.goal.weight @ h + manager.goal.bias))
    goals = [manager.first_goals[place]]
    for k in range(1, math.ceil(gan.spec.max_len / horizon)):
        chosen = [(k - 1) * horizon + i + late for i in range(horizon)]
        goals.append(torch.stack([g[i] for i in chosen]).sum(0))
    return goals


def next_log_p(gan: LeakGAN, row: list[int], goals: list[Tensor], multiplier: float = 1.0) -> list[Tensor]:
    """Equation 4: log p(. | s_t) for every t, with goals that have no gradient."""
    worker = gan.generator.worker
    h = c = torch.zeros(gan.config.hidden_dim, dtype=torch.float64)
    out = []
    for t, word in enumerate([gan.spec.bos_id, *row[:-1]]):
        h, c = lstm_step(worker.lstm, worker.embedding.weight[word], h, c)
        w = unit(worker.project.weight @ goals[t // gan.config.horizon].detach())
        table = worker.output.view(gan.spec.vocab_size, len(h) + 1, len(w))
        o = torch.einsum("vhk,h->vk", table[:, :-1], h) + table[:, -1]
        out.append((o @ w * multiplier).log_softmax(0))
    return out


def cosine_at(features: list[Tensor], goal: Tensor, began: int, now: int) -> Tensor:
    return (unit(features[now] - features[began]) * unit(goal)).sum()


def rescaled(scores: list[list[float]], valid: list[list[bool]]) -> list[list[float]]:
    out = [[0.0] * len(row) for row in scores]
    for k in range(len(scores[0])):
        rows = sorted((b for b in range(len(scores)) if valid[b][k]), key=lambda b: scores[b][k])
        for place, b in enumerate(rows, 1):
            out[b][k] = 1 / (1 + math.exp(-16 * (place / len(rows) - 0.5)))
    return out


def parts(gan: LeakGAN, tokens: Tensor, late: bool) -> list[dict[str, Any]]:
    """Per sentence: its length, log p of its tokens, cosines of its tokens and of its blocks."""
    horizon, out = gan.config.horizon, []
    for b, row in enumerate(tokens.tolist()):
        features = [features_at(gan, row, t) for t in range(len(row) + 1)]
        goals = block_goals(gan, features, late=late, place=b % gan.config.first_goals)
        log_p = next_log_p(gan, row, goals)
        stop = end(row, gan.spec)
        blocks = [k for k in range(len(goals)) if k * horizon < stop]
        out.append(
            {
                "log_p": [log_p[t][row[t]] for t in range(stop)],
                "words": [
                    cosine_at(features, goals[t // horizon], t // horizon * horizon, t + 1).detach()
                    for t in range(stop)
                ],
                "blocks": [
                    cosine_at(features, goals[k], k * horizon, min((k + 1) * horizon, len(row))) for k in blocks
                ],
            }
        )
    return out


def mean(values: Iterator[Any]) -> Any:
    values_list = list(values)
    return sum(values_list) / len(values_list)


def assert_gradients(module: nn.Module, loss: Tensor, clip: float = 1e9) -> None:
    named = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
    expected = torch.autograd.grad(loss, [p for _, p in named])
    norm = torch.cat([gradient.flatten() for gradient in expected]).norm().item()
    for (name, parameter), gradient in zip(named, expected, strict=True):
        assert gradient.any(), name
        assert parameter.grad is not None
        scaled = gradient * min(1.0, clip / (norm + 1e-6))  # as torch clips
        torch.testing.assert_close(
            parameter.grad, scaled, rtol=1e-5, atol=1e-10, msg=lambda m, name=name: f"{name}: {m}"
        )


def freeze(gan: LeakGAN, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradients are left to be looked at, parameters stay."""
    for optimizer in gan.optimizers.values():
        monkeypatch.setattr(optimizer, "step", lambda: None)


def stream(gan: LeakGAN) -> Iterator[Tensor]:
    for seed in itertools.count():
        yield sentences(gan.spec, gan.config.batch_size, seed)
