"""Scheduled sampling: likelihood of real sentences, read more and more often through the model's own words.

**Paper**: Scheduled Sampling for Sequence Prediction with Recurrent Neural Networks, Bengio et al., NIPS 2015,
https://arxiv.org/abs/1506.03099; the row "SS" of SeqGAN, Yu et al., AAAI 2017, https://arxiv.org/abs/1609.05473

**Equations** (x a real sentence, y what the model reads)

1. y_t = x_t with probability e, else y_t ~ p(. | y_<t): one coin for each word
2. loss = -(1 / number of tokens) sum_{b,t} log p(x_{b,t} | y_{b,<t}); words that were drawn are constants to it
3. e = max(0, 1 - decrease epoch), linear in epochs counted from 1

**Differences** (SeqGAN's release of September 2016: LantaoYu/SeqGAN at 870949a, schedule_sampling/; not in HEAD)

- Coin. Bengio et al.: one for each word. Code: `tf.constant(random.random())` (model.py:90) is a number of the graph,
  and the same for every word of the whole run; with the seed of the script (schedule_sampling.py:17,91) it is .3975,
  and e ends at .4, so that no word is ever drawn: what the script trains is plain likelihood. Whether the paper's
  number was made by it is not known. Ours: `coin = word`; `released` compares e with .3975.
- Rate. Code: .002 less in each of 300 epochs of 156 batches (:16,117-119). Ours: the same, in steps.
- Published number. Code: the best of 300 evaluations, drawn 100,000 times for the paper (:128-133).
- Optimiser. Code: Adam with its default rate .001 (:30-32; the .01 of the model is ignored). Ours: .001.
- Code: the mean is over B T positions. Ours: what follows the end token does not count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from baselines.common.bases import LanguageModelBase, LanguageModelConfig
from baselines.common.fast.graphs import replayed
from baselines.common.fast.likelihood import counted
from baselines.common.interface import Batches, NonNegativeFloat, Phase, PositiveFloat, PositiveInt, SequenceSpec
from baselines.common.networks.lstm import Decoder, LSTMLanguageModel
from baselines.common.training.averages import WeightAverage
from baselines.common.training.optimizer import adam, update
from baselines.common.training.state import Counter

__all__ = ["ScheduledSampling"]

_COIN_OF_THE_GRAPH = 0.3974888769814575
"""`random.random()` after `random.seed(88)`: the coin of the released script."""


class ScheduledSampling(LanguageModelBase):
    """SeqGAN's language model, trained by equation 2."""

    @dataclass(frozen=True, kw_only=True)
    class Config(LanguageModelConfig):
        """Defaults: the setting of SeqGAN's first release, with a coin for each word."""

        lr: PositiveFloat = 1e-3
        """Adam."""
        steps: PositiveInt = 46_800
        """300 epochs of 156 batches."""
        epoch_steps: PositiveInt = 156
        """Steps of an epoch, after which e falls."""
        decrease: NonNegativeFloat = 0.002
        """By how much."""
        coin: Literal["word", "released"] = "word"
        """Equation 1, or the released script's one coin for the whole run."""

    scales: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {"batch_size": 16, "steps": 60, "epoch_steps": 10, "decrease": 0.2},
        # As many steps as MLE at this scale, and e falls as far as in the published setting, to .4.
        "small": {"lr": 1e-2, "steps": 3_900, "decrease": 0.024},
    }

    config: Config
    generator: LSTMLanguageModel

    def __init__(self, config: ScheduledSampling.Config, spec: SequenceSpec) -> None:
        super().__init__(config, spec)
        self.generator = LSTMLanguageModel(spec, embedding_dim=config.embedding_dim, hidden_dim=config.hidden_dim)
        self.optimizers = {"mle": adam(self.generator, config.lr)}
        self.average = WeightAverage(self.generator, config.ema_decay, after=[self.optimizers["mle"]])
        self.updates = Counter()

    def phases(self) -> Sequence[Phase]:
        """One phase: equation 2."""
        return [Phase("mle", self.config.steps, self.mle_step)]

    def rate(self) -> float:
        """Equation 3."""
        epoch = self.updates.value // self.config.epoch_steps + 1
        return max(0.0, 1 - self.config.decrease * epoch)

    def mle_step(self, batches: Batches) -> Mapping[str, Tensor]:
        """One update on one batch of real sentences."""
        tokens, rate = next(batches), self.rate()
        self.updates.advance()
        if self.config.coin == "released":
            rate = float(rate > _COIN_OF_THE_GRAPH)
        return self.imitate_from(tokens, tokens if rate == 1 else self.read(tokens, rate))

    @torch.no_grad()
    def read(self, tokens: Tensor, rate: float) -> Tensor:
        """Equation 1: real sentences (B, T) -> what is read in their place (B, T)."""
        decoder, out = Decoder(self.generator), tokens.clone()
        real = torch.rand(tokens.shape, device=tokens.device) < rate
        state = decoder.start(len(tokens))
        for t in range(tokens.shape[1] - 1):  # nothing is read after the last word
            out[:, t] = tokens[:, t].where(real[:, t], decoder.draw(state[0])[0])
            state = decoder.step(out[:, t], *state)
        return out

    @replayed()
    def imitate_from(self, tokens: Tensor, read: Tensor) -> Mapping[str, Tensor]:
        """Equation 2 on real sentences x (B, T) and what is read, y (B, T)."""
        inside = counted(tokens, self.spec.eos_id).to(self.generator.output.weight.dtype)
        loss = self.generator.weighted_nll(read, inside / inside.sum(), words=tokens)
        update(self.optimizers["mle"], loss, max_norm=self.config.clip_norm)
        return {"nll": loss.detach()}
