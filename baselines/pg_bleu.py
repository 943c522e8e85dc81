"""PG-BLEU: SeqGAN's policy gradient with BLEU against real sentences in the place of the discriminator.

**Paper**: the row PG-BLEU of SeqGAN, Yu et al., AAAI 2017, https://arxiv.org/abs/1609.05473; BLEU: Papineni et al.,
ACL 2002, https://aclanthology.org/P02-1040

**Equations** (G the generator, S the references: real sentences)

1. pre-training: loss = -(1 / number of tokens) sum_{b,t} log G(x_{b,t} | x_{b,<t}) on real sentences x
2. score: BLEU-3(x, S) = brevity (p_1 p_2 p_3)^(1/3), p_n the share of the n-grams of x that are in a reference, each
   counted as often as in the reference that has it most often; brevity = min(1, exp(1 - r / |x|)), r the length of a
   reference that is nearest to |x|, of two the shorter; a p_n of 0 is left out of the product, and where p_1 is 0 so is
   the score
3. reward: Q(x_<t, x_t) = (1 / N) sum_n BLEU-3(x^n, S), x^n a completion of x_1..x_t by G; at the end BLEU-3(x, S)
4. policy gradient: loss = -sum_{b,t} log G(x_{b,t} | x_{b,<t}) Q(x_{b,<t}, x_{b,t}) on own samples x

**Differences** (SeqGAN's release of September 2016: LantaoYu/SeqGAN at 870949a, pg_bleu/; HEAD has it no more)

- References. Code: each training sentence with probability .4 (pg_bleu.py:94-103), about 3,994 of 9,984. Ours: the
  first `reference_batches` of the stream, 62 x 64 = 3,968; the oracle's sentences are drawn independently.
- BLEU. Code: NLTK's of the day (rollout.py:89; weights 1/3, pg_bleu.py:165). In 3.2 and 3.2.1 (March and April 2016)
  orders without a match are left out, while the weights of the others stay 1/3, so that a sentence without a trigram
  in common gets more than one with few: (p_1 p_2)^(1/3). In 3.1 (2015) it got 0. Which one was installed is not
  recorded. Ours: as 3.2.1; `unmatched = zero` is BLEU as it was defined. The end token is no word.
- Roll-outs. Code: 1 (pg_bleu.py:165), by the live generator (rollout.py:21-23). Ours: the same.
- Published number. Code: the best of 800 evaluations after pre-training (pg_bleu.py:24,169-180).
- Optimiser. Code: Adam with its default rate .001, a state for each phase (pg_bleu.py:35-37). Ours: the same.
- Roll-out scores, the sum over batch and time, and clipping are SeqGAN's (model.py:115-126).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from baselines.common.bases import LanguageModelBase, LanguageModelConfig
from baselines.common.fast.likelihood import counted
from baselines.common.interface import Batches, Phase, PositiveFloat, PositiveInt, SequenceSpec
from baselines.common.networks.lstm import LSTMLanguageModel
from baselines.common.training.averages import WeightAverage
from baselines.common.training.optimizer import adam, update
from baselines.common.training.rollout import rollout_rewards
from baselines.common.training.state import Counter

__all__ = ["PGBLEU"]

_ORDERS = (1, 2, 3)


class PGBLEU(LanguageModelBase):
    """SeqGAN's generator, rewarded by n-grams."""

    @dataclass(frozen=True, kw_only=True)
    class Config(LanguageModelConfig):
        """Defaults: the setting of SeqGAN's first release."""

        lr: PositiveFloat = 1e-3
        """Adam; pre-training and policy gradient have a state each."""
        mle_steps: PositiveInt = 31_200
        """Pre-training: 200 epochs of 156 batches."""
        reference_batches: PositiveInt = 62
        """Batches of the stream that are the references: 3,968 sentences."""
        g_steps: PositiveInt = 800
        """Updates by equation 4."""
        rollouts: PositiveInt = 1
        """N: completions of each prefix."""
        unmatched: Literal["skipped", "zero"] = "skipped"
        """What a p_n of 0 does in equation 2: it is left out, or makes the score 0."""

        def __post_init__(self) -> None:
            """Refuse references that pre-training would not reach."""
            if self.reference_batches > self.mle_steps:
                raise ValueError(
                    "references are the first sentences of pre-training: reference_batches must be at most mle_steps, "
                    f"got {self.reference_batches} and {self.mle_steps}"
                )

    scales: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {"batch_size": 16, "mle_steps": 40, "reference_batches": 4, "g_steps": 4},
        # SeqGAN's pre-training at this scale, and as many generator updates.
        "small": {"lr": 1e-2, "mle_steps": 1_560, "g_steps": 10, "rollouts": 4},
    }

    config: Config
    generator: LSTMLanguageModel

    def __init__(self, config: PGBLEU.Config, spec: SequenceSpec) -> None:
        super().__init__(config, spec)
        self.generator = LSTMLanguageModel(spec, embedding_dim=config.embedding_dim, hidden_dim=config.hidden_dim)
        self.bleu = BLEUReward(
            spec, references=config.reference_batches * config.batch_size, skips=config.unmatched == "skipped"
        )
        self.optimizers = {"mle": adam(self.generator, config.lr), "generator": adam(self.generator, config.lr)}
        self.average = WeightAverage(self.generator, config.ema_decay, after=list(self.optimizers.values()))

    def phases(self) -> Sequence[Phase]:
        """Pre-training, in which the references are kept, then policy gradient."""
        return [
            Phase("mle", self.config.mle_steps, self.mle_step),
            Phase("policy_gradient", self.config.g_steps, self.generator_step),
        ]

    def mle_step(self, batches: Batches) -> Mapping[str, Tensor]:
        """Equation 1 on one batch of real sentences; the first ones become references."""
        tokens = next(batches)
        self.bleu.add(tokens)
        return self.imitate(tokens)

    def generator_step(self, batches: Batches) -> Mapping[str, Tensor]:
        """Equations 3 and 4 on one batch of own samples; no real sentence is taken."""
        tokens = self.generator.sample(self.config.batch_size)
        rewards = rollout_rewards(self.generator, tokens, self.bleu.score, self.config.rollouts)
        reward = rewards.sum() / counted(tokens, self.spec.eos_id).sum()
        entropy = self.generator.entropy(tokens)
        loss = self.generator.weighted_nll(tokens, rewards)
        update(self.optimizers["generator"], loss, max_norm=self.config.clip_norm)
        return {"g_loss": loss.detach(), "reward": reward, "entropy": entropy}


class BLEUReward(nn.Module):
    """Equation 2 for many sentences at once, on any device and without waiting for it.

    That an n-gram is in x for the r-th time counts if some reference has it at least r times, that is, has it for the
    r-th time. So each occurrence in the references is kept as one number, made of its words and of r, and the numbers
    are sorted; one in x is looked up.
    """

    def __init__(self, spec: SequenceSpec, *, references: int, skips: bool) -> None:
        super().__init__()
        self.spec, self._orders, self._skips = spec, [n for n in _ORDERS if n <= spec.max_len], skips
        if spec.vocab_size ** _ORDERS[-1] * (spec.max_len + 1) >= 2**63:
            raise ValueError(
                f"pg_bleu numbers n-grams of {_ORDERS[-1]} words by 64 bits, "
                f"for which {spec.vocab_size} words and {spec.max_len} positions are too many"
            )
        self.filled = Counter()
        for n in self._orders:
            places = references * (spec.max_len - n + 1)
            self.register_buffer(f"occurrences_{n}", torch.full((places,), -1, dtype=torch.int64))
        self.lengths: Tensor
        self.register_buffer("lengths", torch.full((references,), -1, dtype=torch.int64))

    @torch.no_grad()
    def add(self, tokens: Tensor) -> None:
        """Keep real sentences (B, T) as references, until there are enough."""
        start = self.filled.value * len(tokens)
        if start >= len(self.lengths):
            return
        self.filled.advance()
        self.lengths[start : start + len(tokens)] = self._lengths(tokens)
        for n in self._orders:
            found, inside = self._occurrences(tokens, n)
            kept, places = self.get_buffer(f"occurrences_{n}"), found.shape[1]
            # Sorted, what is empty, or beyond the end of a sentence, is -1 and stands in front, to be written over.
            empty = (len(self.lengths) - start) * places
            kept[empty - found.numel() : empty] = found.where(inside, -1).flatten()
            kept.copy_(kept.sort().values)

    @torch.no_grad()
    def score(self, tokens: Tensor) -> Tensor:
        """(N, T) -> (N,)."""
        none = torch.zeros(len(tokens), device=tokens.device)
        first, *others = (self._precision(tokens, n) if n in self._orders else none for n in _ORDERS)
        product = first
        for precision in others:
            product = product * (precision.where(precision > 0, 1.0) if self._skips else precision)
        return self._brevity(self._lengths(tokens)) * product ** (1 / len(_ORDERS))

    def _precision(self, tokens: Tensor, n: int) -> Tensor:
        found, inside = self._occurrences(tokens, n)
        known = self.get_buffer(f"occurrences_{n}")
        place = torch.searchsorted(known, found).clamp(max=len(known) - 1)
        matched = (known[place] == found) & inside
        return matched.sum(1) / inside.sum(1).clamp(min=1)

    def _brevity(self, length: Tensor) -> Tensor:
        """(N,) -> (N,): by a table of all lengths."""
        every = torch.arange(self.spec.max_len + 1, device=length.device)
        kept = self.lengths
        far = 2 * len(every) * (len(every) + 1)
        cost = ((kept - every[:, None]).abs() * len(every) + kept).masked_fill(kept < 0, far)
        nearest = kept[cost.argmin(1)]
        factor = torch.exp(1 - nearest / every.clamp(min=1)).clamp(max=1)
        return factor[length]

    def _lengths(self, tokens: Tensor) -> Tensor:
        """(N, T) -> (N,): words, the end token not among them."""
        words = counted(tokens, self.spec.eos_id)
        return (words if self.spec.eos_id is None else words & (tokens != self.spec.eos_id)).sum(1)

    def _occurrences(self, tokens: Tensor, n: int) -> tuple[Tensor, Tensor]:
        """(N, T) -> (N, L), (N, L): each n-gram and for which time it is there, as one number; which are inside."""
        number = torch.zeros_like(tokens[:, n - 1 :])
        for k in range(n):
            number = number * self.spec.vocab_size + tokens[:, k : tokens.shape[1] - n + 1 + k]
        place = torch.arange(number.shape[1], device=tokens.device)
        same = (number[:, :, None] == number[:, None, :]) & (place <= place[:, None])
        times = same.sum(2)  # (N, L): itself and those before it
        inside = place + n <= self._lengths(tokens)[:, None]
        return number * (self.spec.max_len + 1) + times, inside
