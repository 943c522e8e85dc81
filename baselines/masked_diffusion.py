"""Masked diffusion: a Transformer that sees all positions learns to fill in masked words, and writes in any order.

**Paper**: Simple and Effective Masked Diffusion Language Models (MDLM), Sahoo et al., NeurIPS 2024,
https://arxiv.org/abs/2406.07524; the process: Structured Denoising Diffusion Models in Discrete State-Spaces (D3PM),
Austin et al., NeurIPS 2021, https://arxiv.org/abs/2107.03006; the same loss: Simplified and Generalized Masked
Diffusion for Discrete Data (MD4), Shi et al., NeurIPS 2024, https://arxiv.org/abs/2406.04329

**Equations** (x a sentence of T positions, z_t what is left of it at time t, m the mask)

1. forward, absorbing, log-linear: each position of z_t is m with probability t, else that of x; 0 < t <= 1
2. reverse: a word that is there stays; a masked one is drawn from p(. | z_t) = softmax(W h + b), which never gives m
3. -log p(x) <= E_{t ~ U(0, 1)} E_{z_t} (1 / t) sum_{i: z_t,i = m} -log p(x_i | z_t): the loss, divided by T
4. the same bound with time integrated out, of k masks at positions S that are drawn without replacement:
   E_{k ~ U{1..T}} E_{|S| = k} (T / k) sum_{i in S} -log p(x_i | x without S)
5. ancestral sampling: reverse from all m; in continuous time words come one by one, in an order that is uniform

Equation 4 follows from integral t^(k-1) (1-t)^(T-k) dt = (k-1)! (T-k)! / T! and is the bound of models of any order
(Uria et al. 2014, https://arxiv.org/abs/1310.1757; Hoogeboom et al. 2022, https://arxiv.org/abs/2110.02037). It has no
weight above T, so it needs fewer draws than equation 3; `nll_bound` is it.

**Length**: the row of T positions is the sequence, end token and padding included. So the model says where a sentence
ends by writing the end token, and learns padding after it; words that it writes after the first end token are cut.
The bound is of the whole row, so it is one on the sentence too: its probability is that of all rows that are cut to it.

**Differences** (released code: kuleshov-group/mdlm c112c52)

- Times. Code: of n sentences each has a number from its own n-th of the interval, from .001 up (diffusion.py:800-809;
  `sampling_eps`), and words are masked with probability .999 t (noise_schedule.py:126-144). Ours: one number for the
  batch, spread evenly over it, from .001 up, and t. What that leaves out of equation 3 is in `nll_bound`, which has no
  least time.
- Network. Code: a DiT, 12 layers of width 768, rotary positions; times are not read (`time_conditioning: False`), since
  the number of masks tells them (Ou et al. 2024, https://arxiv.org/abs/2406.03736). Ours: that of `transformer_mle`,
  without the causal mask and with one more id, so that the two rows differ in what they learn alone; no times either.
- Padding. Code: read and never scored where sentences are not joined (diffusion.py:908-912). Ours: scored, as above.
- Optimiser. Code: 1,000,000 steps of 512 sentences, Adam at 3e-4 after a warm-up, EMA .9999. Ours: as many real
  sentences as `mle` has at each scale and the rate of `transformer_mle`; `ema_decay` is a setting, off. An equal budget
  of sentences is not one of time: the record has the seconds of each phase.
- Sampling. Code: a fixed number of steps, in each of which a masked word is drawn with probability (t - s) / t. Ours:
  T steps of one word each, which is equation 5 without an error of time steps; `sampling_steps` fewer draw equal shares
  of the positions at once, each word by itself. `nll_bound` is of one word at a time.
- Random numbers. Code: the Gumbel trick in 32 bits (:24-28), whose largest numbers are cut off, which is a temperature
  under 1 and flatters scores of quality (Zheng et al. 2024, https://arxiv.org/abs/2409.02908). Ours: an exact
  categorical draw in 64 bits. The temperature divides the logits of the words, and nothing else.
- No `log_prob`: equation 5's probability is a mean over all orders, and only its bound can be had.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from baselines.common.bases import TransformerConfig
from baselines.common.fast.graphs import replayed
from baselines.common.fast.kernels import product
from baselines.common.fast.likelihood import finished, tiles
from baselines.common.fast.sampling import draw
from baselines.common.interface import Batches, Phase, PositiveInt, SequenceSpec, TextGenerator
from baselines.common.networks.transformer import Transformer
from baselines.common.training.averages import WeightAverage
from baselines.common.training.optimizer import adam, update

__all__ = ["MaskedDiffusion"]

_AT_ONCE = 256  # sentences that are sampled or scored at once
_LEAST_TIME = 1e-3


class MaskedDiffusion(TextGenerator):
    """The denoiser of equation 2, trained by equation 3."""

    @dataclass(frozen=True, kw_only=True)
    class Config(TransformerConfig):
        """Defaults: the network and the budget of `transformer_mle`."""

        sampling_steps: PositiveInt | None = None
        """Steps in which a sentence is written; None, or more than T: one word a step, T steps."""

    scales: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {"batch_size": 16, "steps": 60, "dim": 16, "layers": 2, "heads": 2, "lr": 1e-2},
        # As many real sentences as MLE at this scale: 25 epochs of 156 batches.
        "small": {"steps": 3_900, "dim": 64, "layers": 2, "heads": 4, "lr": 1e-3},
    }

    config: Config

    def __init__(self, config: MaskedDiffusion.Config, spec: SequenceSpec) -> None:
        super().__init__(config, spec)
        c = config
        self.mask_id = spec.vocab_size
        self.model = Transformer(
            spec, dim=c.dim, layers=c.layers, heads=c.heads, causal=False, dropout=c.dropout, extra=1
        )
        self.optimizers = {"diffusion": adam(self.model, c.lr)}
        self.average = WeightAverage(self.model, c.ema_decay, after=[self.optimizers["diffusion"]])

    def phases(self) -> Sequence[Phase]:
        """One phase: equation 3."""
        return [Phase("diffusion", self.config.steps, self.diffusion_step)]

    def diffusion_step(self, batches: Batches) -> Mapping[str, Tensor]:
        """One update on one batch of real sentences."""
        return self.denoise(next(batches))

    @replayed()
    def denoise(self, tokens: Tensor) -> Mapping[str, Tensor]:
        """Equation 3 on real sentences x (B, T), per position."""
        times = self._times(len(tokens))
        masked = torch.rand(tokens.shape, device=tokens.device) < times
        weights = masked / (times * tokens.numel())
        loss = self.model.weighted_nll(tokens.masked_fill(masked, self.mask_id), tokens, weights)
        update(self.optimizers["diffusion"], loss, max_norm=self.config.clip_norm)
        return {"loss": loss.detach()}

    def _times(self, n: int) -> Tensor:
        """(n, 1): each uniform from the least time to 1, together spread evenly."""
        device = self.model.bias.device
        spread = (torch.rand((), device=device) + torch.arange(n, device=device) / n) % 1
        return (_LEAST_TIME + (1 - _LEAST_TIME) * spread)[:, None]

    def sample(self, n: int, *, temperature: float = 1.0) -> Tensor:
        """Equation 5; the temperature divides the logits of the words."""
        if not temperature > 0:
            raise ValueError(f"temperature must be over 0, got {temperature}")
        with self.average.applied():
            sizes = [min(_AT_ONCE, n - start) for start in range(0, n, _AT_ONCE)]
            return torch.cat([self._write(size, temperature) for size in sizes])

    @torch.no_grad()
    def _write(self, n: int, temperature: float) -> Tensor:
        length, device = self.spec.max_len, self.model.bias.device
        rows = torch.full((n, length), self.mask_id, device=device)
        order = torch.rand(n, length, device=device).argsort(1)
        for positions in order.tensor_split(min(self.config.sampling_steps or length, length), 1):
            hidden = self.model.hidden(rows)
            hidden = hidden.gather(1, positions[..., None].expand(-1, -1, hidden.shape[2])).flatten(0, 1)
            rows.scatter_(1, positions, self._draw(hidden / temperature, temperature).view_as(positions))
        return finished(rows, self.spec)

    def _draw(self, hidden: Tensor, temperature: float) -> Tensor:
        """Vectors (N, E), divided by the temperature -> (N,): a word each."""
        bias, words = self.model.bias / temperature, []
        for tile in tiles(len(hidden), hidden.device, 256):
            logits = product(hidden[tile], self.model.weight, bias)
            words.append(draw(logits.double())[0])  # 64 bits: see Differences
        return torch.cat(words)

    @torch.no_grad()
    def nll_bound(self, tokens: Tensor, *, draws: int = 1) -> Tensor:
        """(B, T) -> (B,): equation 4 by `draws` masks of each sentence, nats. Its expectation is the bound.

        The numbers of masks of a sentence are spread evenly over 1 .. T, each of them uniform; sentences are
        independent. Random numbers are drawn on the CPU, so that a seed means the same masks on every device.
        """
        if draws < 1:
            raise ValueError(f"draws must be at least 1, got {draws}")
        with self.average.applied():
            return torch.cat([self._bound(part, draws) for part in finished(tokens, self.spec).split(_AT_ONCE)])

    def _bound(self, tokens: Tensor, draws: int) -> Tensor:
        n, length = tokens.shape
        start, total = torch.rand(n, 1, dtype=torch.float64), self.model.bias.new_zeros(n)
        for k in range(draws):
            count = ((start + k / draws) % 1 * length).long().clamp(max=length - 1) + 1  # (n, 1)
            rank = torch.rand(n, length, dtype=torch.float64).argsort(1).argsort(1)
            masked, count = (rank < count).to(tokens.device), count.squeeze(1).to(tokens.device)
            total += self._masked_nll(tokens, masked) * (length / count)
        return total / draws

    def _masked_nll(self, tokens: Tensor, masked: Tensor) -> Tensor:
        """Sentences and masks (B, T) -> (B,): sum over the masked positions of -log p(x_i | the others), nats."""
        hidden = self.model.hidden(tokens.masked_fill(masked, self.mask_id))
        cost = torch.zeros_like(tokens, dtype=hidden.dtype)
        cost[masked] = -self.model.log_prob(hidden[masked], tokens[masked])
        return cost.sum(1)
