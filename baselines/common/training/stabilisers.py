"""Settings that steady the training of a GAN, the same for every model that has a discriminator.

By default all are off, or as the model's paper has them. What makes no sense for a model is refused before training.

- `d_norm`: spectral norm bounds how fast each layer can change its output (Miyato et al., ICLR 2018,
  https://arxiv.org/abs/1802.05957); weight norm trains length and direction of each filter apart (Salimans and Kingma,
  NeurIPS 2016, https://arxiv.org/abs/1602.07868); batch norm is of the features before the output layer (Ioffe and
  Szegedy, ICML 2015, https://arxiv.org/abs/1502.03167). `common/networks/normalisation.py`
- `d_keep`: dropout on the same features (Srivastava et al., JMLR 2014, https://jmlr.org/papers/v15/srivastava14a.html)
- `gradient_penalty`: Gulrajani et al., NeurIPS 2017, https://arxiv.org/abs/1704.00028; there, as usual, 10. Between
  what the discriminator reads: word vectors (SeqGAN, MaliGAN, LeakGAN), or relaxed words (RelGAN, WGAN-GP).
  `common/training/penalties.py`
- `feature_matching`: Salimans et al., NeurIPS 2016, https://arxiv.org/abs/1606.03498, section 3.1, there in place of
  the generator's loss, here beside it; through relaxed samples (RelGAN, WGAN-GP), or as a reward of each sentence
  (SeqGAN, MaliGAN, LeakGAN's worker). `common/training/penalties.py`
- `historical_averaging`: the same, section 3.3. `common/training/averages.py`
- `label_smoothing`: the same, section 3.4: one-sided, .1 there. For discriminators that are trained with labels.
- `ema_decay`: Yazici et al., ICLR 2019, https://arxiv.org/abs/1806.04498. The average is over all updates, those of
  pre-training too; training and roll-outs go on with the live generator. `common/training/averages.py`
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Interval

from baselines.common.interface import BaseConfig, NonNegativeFloat
from baselines.common.networks.normalisation import Norm

__all__ = ["AveragedConfig", "StabilisedConfig"]


@dataclass(frozen=True, kw_only=True)
class AveragedConfig(BaseConfig):
    """What a model with a generator can be set to."""

    ema_decay: Annotated[float, Interval(ge=0, lt=1)] = 0.0
    """Samples and likelihood are those of a moving average of the generator's weights with this decay; 0: the last."""


@dataclass(frozen=True, kw_only=True)
class StabilisedConfig(AveragedConfig):
    """What a model with a discriminator can be set to; by default nothing is on."""

    d_norm: Norm = "none"
    """Normalisation in the discriminator: of its weights (spectral, weight), or of its features over a batch."""
    d_keep: Annotated[float, Interval(gt=0, le=1)] = 1.0
    """Share of features that the discriminator's dropout keeps in training."""
    gradient_penalty: NonNegativeFloat = 0.0
    """Weight of the penalty that pulls the discriminator's slope between real and generated sentences to 1. 0: none."""
    feature_matching: NonNegativeFloat = 0.0
    """Weight, in the generator's loss, of the squared distance of mean discriminator features. 0: none."""
    historical_averaging: NonNegativeFloat = 0.0
    """Weight, on both sides, of the squared distance of the parameters from their mean so far. 0: none."""
    label_smoothing: Annotated[float, Interval(ge=0, lt=0.5)] = 0.0
    """By how much the discriminator's target for real sentences is less than 1; generated ones keep 0."""

    def __post_init__(self) -> None:
        """Refuse settings that contradict each other."""
        if self.d_norm == "batch" and self.gradient_penalty:
            raise ValueError(
                "d_norm = batch mixes the sentences of a batch, and gradient_penalty is about each by itself: "
                "set gradient_penalty to 0, or d_norm to spectral, weight or none"
            )
        for name, on in (("d_norm = batch", self.d_norm == "batch"), ("feature_matching", self.feature_matching)):
            if on and self.batch_size < 2:
                raise ValueError(f"{name} compares the sentences of a batch: batch_size must be at least 2, got 1")
