"""The Transformer against one written plainly, its cache against teacher forcing, and its budget beside MLE's."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.common.networks.transformer import Transformer
from baselines.common.spec import SequenceSpec
from baselines.masked_diffusion import MaskedDiffusion
from baselines.mle import MLE
from baselines.transformer_mle import TransformerMLE

FIXED = SequenceSpec(vocab_size=7, max_len=5, bos_id=0, pad_id=None, eos_id=None)
ENDING = SequenceSpec(vocab_size=7, max_len=5, bos_id=1, pad_id=2, eos_id=3)


def made(spec: SequenceSpec = FIXED, **settings: Any) -> TransformerMLE:
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"dim": 12, "layers": 2, "heads": 3, "batch_size": 8, "steps": 4}
    return loud(TransformerMLE(TransformerMLE.Config(**{**sizes, **settings}), spec))


def loud(model: Any) -> Any:
    """Every parameter far from its initial value, so that none can be left out unseen."""
    with torch.no_grad():
        for parameter in model.parameters():
            nn.init.normal_(parameter, std=0.5)
    return model


def plain(network: Transformer, read: list[int], *, causal: bool) -> Tensor:
    """One sentence, position by position and head by head -> (T, V) logits."""
    x = [network.embedding.weight[word] + network.positions[t] for t, word in enumerate(read)]
    for block in network.blocks:
        normed = [block.attention_norm(row) for row in x]
        size = len(x[0]) // block.heads
        queries, keys, values = ([part @ row for row in normed] for part in block.read.weight.chunk(3))
        after = []
        for t in range(len(x)):
            seen = range(t + 1 if causal else len(x))
            heads = []
            for head in range(block.heads):
                part = slice(head * size, (head + 1) * size)
                scores = torch.stack([queries[t][part] @ keys[s][part] / math.sqrt(size) for s in seen])
                shares = scores.exp() / scores.exp().sum()
                heads.append(sum(share * values[s][part] for share, s in zip(shares, seen, strict=True)))
            row = x[t] + block.write.weight @ torch.cat(heads) + block.write.bias
            inner = functional.gelu(block.up.weight @ block.feed_norm(row) + block.up.bias)
            after.append(row + block.down.weight @ inner + block.down.bias)
        x = after
    words = network.embedding.weight[: network.spec.vocab_size]
    return torch.stack([words @ network.norm(row) + network.bias for row in x])


@pytest.mark.parametrize("causal", [True, False])
def test_the_network_is_the_plain_one(causal: bool) -> None:
    torch.manual_seed(1)
    network = loud(Transformer(FIXED, dim=12, layers=2, heads=3, causal=causal, dropout=0.5, extra=1)).double()
    rows = torch.randint(8, (3, 5))
    hidden = network.hidden(rows)
    for row, h in zip(rows.tolist(), hidden, strict=True):
        expected = plain(network, row, causal=causal)
        torch.testing.assert_close(h @ network.weight.t() + network.bias, expected, rtol=0, atol=1e-10)


def test_likelihood_is_equation_1_and_loss_equation_3() -> None:
    model = made(ENDING, dropout=0.0).double()
    rows = torch.tensor([[4, 3, 2, 2, 2], [5, 6, 1, 0, 4], [3, 2, 2, 2, 2]])
    expected, tokens = [], 0
    for row in rows.tolist():
        length = row.index(3) + 1 if 3 in row else 5
        log_p = plain(model.model, [1, *row[:-1]], causal=True).log_softmax(1)
        expected.append(sum(log_p[t, row[t]] for t in range(length)))
        tokens += length
    torch.testing.assert_close(model.log_prob(rows), torch.stack(expected), rtol=0, atol=1e-10)
    loss = model.imitate(rows)["nll"]
    assert loss.item() == pytest.approx(-sum(expected).item() / tokens, abs=1e-10)


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_the_cache_is_teacher_forcing(temperature: float) -> None:
    """What a step says after a prefix is what the whole prefix, read at once, says."""
    model = made().double()
    network, rows = model.model, torch.randint(7, (4, 5))
    cache = network.empty_cache(4)
    steps = torch.stack([network.step(rows[:, t], t, cache) for t in range(5)], 1)
    torch.testing.assert_close(steps, network.hidden(rows), rtol=0, atol=1e-12)
    torch.manual_seed(0)
    more = model.sample(300, temperature=temperature)  # more than are written at once
    assert more.shape == (300, 5)


def test_dropout_is_of_training_alone() -> None:
    model = made(dropout=0.5)
    rows = torch.randint(7, (4, 5))
    assert model.training
    assert torch.equal(model.log_prob(rows), model.log_prob(rows))
    torch.manual_seed(0)
    first = model.model.hidden(rows, dropout=True)
    assert not torch.allclose(first, model.model.hidden(rows, dropout=True))


def test_learns_what_follows_what() -> None:
    spec = SequenceSpec(vocab_size=6, max_len=5, bos_id=0, pad_id=None, eos_id=None)
    torch.manual_seed(0)
    settings = TransformerMLE.scales["smoke"]
    model = TransformerMLE(TransformerMLE.Config(**settings), spec)
    for _ in range(60):
        model.imitate((torch.randint(6, (16, 1)) + torch.arange(5)) % 6)
    samples = model.sample(500)
    assert ((samples[:, 1:] - samples[:, :-1]) % 6 == 1).float().mean() > 0.9


def test_the_width_is_shared_by_the_heads() -> None:
    with pytest.raises(ValueError, match="dim must be a multiple of heads, got dim=10 and heads=3"):
        made(dim=10)


@pytest.mark.parametrize("model", [TransformerMLE, MaskedDiffusion])
def test_the_budget_is_that_of_mle(model: Any) -> None:
    """As many real sentences at each scale."""
    for scale in ("small", "paper"):
        ours = model.Config(**model.scales.get(scale, {}))
        theirs = MLE.Config(**MLE.scales.get(scale, {}))
        assert (ours.steps, ours.batch_size) == (theirs.steps, theirs.batch_size)
