"""Maximum likelihood: the LSTM language model that every GAN of the SeqGAN line starts from, and must beat.

**Paper**: the MLE row of SeqGAN, Yu et al., AAAI 2017, https://arxiv.org/abs/1609.05473

**Equations**

1. p(x) = prod_t p(x_t | x_<t), with p(. | x_<t) = softmax(W h_t + b) and h_t = LSTM(x_{t-1}, h_{t-1})
2. loss = -(1 / number of tokens) sum_{b,t} log p(x_{b,t} | x_{b,<t})

**Differences** (released code: LantaoYu/SeqGAN e2b52fb; first release: 870949a of September 2016)

- Updates. First release, of which the paper's 9.038 must be: 350 epochs of 156 batches, Adam at 1e-3
  (pretrain_experiment.py:17,30-32). Released code, and its log: 120 epochs at 1e-2 (sequence_gan.py:18,91,111-120).
  Ours: the latter, in steps; the former is a row of preset `mle-oracle20`.
- Code: batches are fixed, in file order, in every epoch (dataloader.py:9-22). Ours: the same, a setting (`shuffle`).
- Code: the mean is over B T positions (generator.py:93-97), so in its descendants padding counts where sentences end
  early (geek-ai/Texygen utils/text_process.py:19-31). Ours: what follows the end token does not count. Texygen's text
  keeps words that come after a padding (:34-44), ours ends at the first end token; after MLE none come.
- Neither has dropout, decay of the learning rate, or early stopping; nor has ours. The model over-fits: on the
  published oracle NLL-oracle still falls while the NLL of held-out text rises.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from baselines.common.bases import LanguageModelBase, LanguageModelConfig
from baselines.common.interface import Phase, PositiveFloat, PositiveInt, SequenceSpec
from baselines.common.networks.lstm import LSTMLanguageModel
from baselines.common.training.averages import WeightAverage
from baselines.common.training.optimizer import adam

__all__ = ["MLE"]


class MLE(LanguageModelBase):
    """The language model of equation 1, trained by equation 2."""

    @dataclass(frozen=True, kw_only=True)
    class Config(LanguageModelConfig):
        """Defaults: the released setting of SeqGAN's pre-training."""

        lr: PositiveFloat = 1e-2
        """Adam."""
        steps: PositiveInt = 18_720
        """120 epochs of 156 batches."""

    scales: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {"batch_size": 16, "steps": 60},
        # 25 epochs of 156 batches: with V = 5000 and T = 20 a minute or two on one core, as SeqGAN at this scale.
        "small": {"steps": 3_900},
    }

    config: Config

    def __init__(self, config: MLE.Config, spec: SequenceSpec) -> None:
        super().__init__(config, spec)
        self.model = LSTMLanguageModel(spec, embedding_dim=config.embedding_dim, hidden_dim=config.hidden_dim)
        self.optimizers = {"mle": adam(self.model, config.lr)}
        self.average = WeightAverage(self.model, config.ema_decay, after=[self.optimizers["mle"]])

    @property
    def language_model(self) -> LSTMLanguageModel:
        """The model itself."""
        return self.model

    def phases(self) -> Sequence[Phase]:
        """One phase: equation 2."""
        return [Phase("mle", self.config.steps, self.mle_step)]
