"""Maximum likelihood with a Transformer: the language model of today, as a reference beside the LSTM's.

**Paper**: Attention Is All You Need, Vaswani et al., NIPS 2017, https://arxiv.org/abs/1706.03762; layer normalisation
before each sublayer: On Layer Normalization in the Transformer Architecture, Xiong et al., ICML 2020,
https://arxiv.org/abs/2002.04745

**Equations** (e: vectors of words, which are those of the output too; s: learned vectors of positions)

1. p(x) = prod_t p(x_t | x_<t), with p(. | x_<t) = softmax(W h_t + b) and h = norm(z^L)
2. z^0_t = e(x_{t-1}) + s_t; y^l = z^{l-1} + attention(norm(z^{l-1})), z^l = y^l + feed-forward(norm(y^l)); position t
   attends to those up to t
3. loss = -(1 / number of tokens) sum_{b,t} log p(x_{b,t} | x_{b,<t})

**Differences**

- Paper: an encoder and a decoder, for translation. Ours: the decoder alone, without attention to an encoder.
- Paper: normalisation after each sublayer, and a warm-up of the learning rate. Ours: before, as Xiong et al., who show
  that the warm-up can go; the rate is constant, theirs without a warm-up (.0005).
- Paper: sinusoidal positions, ReLU, beta_2 = .98, label smoothing .1. Ours: learned positions (the paper finds them
  equal), GELU, Adam's usual beta_2, none: smoothing would change the likelihood that is measured.
- Paper: word vectors times sqrt(width). Ours: not; initial values are GPT-2's.
- Budget. No paper trains it on these tasks. Ours: at each scale as many real sentences as `mle` has there, in batches
  of the same size. That is an equal budget of sentences, not of time: a step costs some times as much (the record has
  the seconds of each phase). Sizes are the paper's base model at full scale, 2 layers of width 64 at `small`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from baselines.common.bases import TransformerConfig
from baselines.common.fast.graphs import replayed
from baselines.common.fast.kernels import product
from baselines.common.fast.likelihood import counted
from baselines.common.fast.sampling import draw, write_words
from baselines.common.interface import Batches, Phase, SequenceSpec, TextGenerator
from baselines.common.networks.transformer import Transformer
from baselines.common.training.averages import WeightAverage
from baselines.common.training.optimizer import adam, update

__all__ = ["TransformerMLE"]

_AT_ONCE = 256  # sentences that are sampled or scored at once


class TransformerMLE(TextGenerator):
    """The language model of equations 1 and 2, trained by equation 3."""

    @dataclass(frozen=True, kw_only=True)
    class Config(TransformerConfig):
        """Defaults: the paper's base model, and as many sentences as `mle`."""

    scales: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {"batch_size": 16, "steps": 60, "dim": 16, "layers": 2, "heads": 2, "lr": 1e-2},
        # As many real sentences as MLE at this scale: 25 epochs of 156 batches.
        "small": {"steps": 3_900, "dim": 64, "layers": 2, "heads": 4, "lr": 1e-3},
    }

    config: Config

    def __init__(self, config: TransformerMLE.Config, spec: SequenceSpec) -> None:
        super().__init__(config, spec)
        c = config
        self.model = Transformer(
            spec, dim=c.dim, layers=c.layers, heads=c.heads, causal=True, dropout=c.dropout, extra=0
        )
        self.optimizers = {"mle": adam(self.model, c.lr)}
        self.average = WeightAverage(self.model, c.ema_decay, after=[self.optimizers["mle"]])

    def phases(self) -> Sequence[Phase]:
        """One phase: equation 3."""
        return [Phase("mle", self.config.steps, self.mle_step)]

    def mle_step(self, batches: Batches) -> Mapping[str, Tensor]:
        """One update on one batch of real sentences."""
        return self.imitate(next(batches))

    @replayed()
    def imitate(self, tokens: Tensor) -> Mapping[str, Tensor]:
        """Equation 3 on real sentences x (B, T)."""
        inside = counted(tokens, self.spec.eos_id).to(self.model.bias.dtype)
        loss = self.model.weighted_nll(self._read(tokens), tokens, inside / inside.sum())
        update(self.optimizers["mle"], loss, max_norm=self.config.clip_norm)
        return {"nll": loss.detach()}

    def sample(self, n: int, *, temperature: float = 1.0, labels: Tensor | None = None) -> Tensor:
        """Draw word by word from equation 1, after the labels (n,) where they are given.

        What was read is kept as keys and values.
        """
        if not temperature > 0:
            raise ValueError(f"temperature must be over 0, got {temperature}")
        with self.average.applied():
            sizes = [min(_AT_ONCE, n - start) for start in range(0, n, _AT_ONCE)]
            given = [None] * len(sizes) if labels is None else labels[:, None].split(_AT_ONCE)
            return torch.cat([self._write(size, temperature, part) for size, part in zip(sizes, given, strict=True)])

    @torch.no_grad()
    def _write(self, n: int, temperature: float, prefix: Tensor | None) -> Tensor:
        model, cache = self.model, self.model.empty_cache(n)
        weight, bias = model.weight / temperature, model.bias / temperature
        start = torch.full((n,), self.spec.bos_id, device=weight.device)
        return write_words(
            n,
            self.spec,
            (model.step(start, 0, cache), cache),
            draw=lambda state, _: draw(product(state[0], weight, bias))[0],
            read=lambda words, state, position: (model.step(words, position + 1, state[1]), state[1]),
            prefix=prefix,
        )

    @torch.no_grad()
    def log_prob(self, tokens: Tensor, *, temperature: float = 1.0) -> Tensor:
        """Equation 1: (B, T) -> (B,), nats."""
        with self.average.applied():
            return torch.cat([self._log_prob(part, temperature) for part in tokens.split(_AT_ONCE)])

    def label_log_prob(self, tokens: Tensor, *, temperature: float = 1.0) -> Tensor:
        """Equation 1 of the first word of each sentence: (B, T) -> (B,), nats."""
        return self.log_prob(tokens[:, :1], temperature=temperature)

    def _log_prob(self, tokens: Tensor, temperature: float) -> Tensor:
        hidden = self.model.hidden(self._read(tokens)).flatten(0, 1)
        log_p = self.model.log_prob(hidden, tokens.flatten(), temperature=temperature)
        return (log_p.view(tokens.shape) * counted(tokens, self.spec.eos_id)).sum(1)

    def _read(self, tokens: Tensor) -> Tensor:
        """The word before each position; the start token before the first."""
        return functional.pad(tokens[:, :-1], (1, 0), value=self.spec.bos_id)
