"""Settings that steady the training of a GAN, the same for every model that has a discriminator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Interval

from baselines.common.interface import BaseConfig, NonNegativeFloat

__all__ = ["AveragedConfig", "Norm", "StabilisedConfig"]

Norm = Literal["none", "spectral", "weight", "batch"]


@dataclass(frozen=True, kw_only=True)
class AveragedConfig(BaseConfig):
    """What a model with a generator can be set to."""

    ema_decay: Annotated[float, Interval(ge=0, lt=1)] = 0.0
    """Samples and likelihood are those of a moving average of the generator's weights with this decay; 0: the last."""

    def __post_init__(self) -> None:
        """Refuse what is not there yet."""
        if self.ema_decay:
            raise ValueError(f"ema_decay is not available yet, leave it at 0; got {self.ema_decay}")


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
        """Refuse what is not there yet."""
        super().__post_init__()
        if self.d_norm != "none":
            raise ValueError(f"d_norm is not available yet, leave it at none; got {self.d_norm}")
        for name in ("feature_matching", "historical_averaging", "label_smoothing"):
            if value := getattr(self, name):
                raise ValueError(f"{name} is not available yet, leave it at 0; got {value}")
        model = type(self).__qualname__.partition(".")[0]
        if self.gradient_penalty and model not in ("RelGAN", "WGANGP"):
            raise ValueError(f"gradient_penalty is not available for {model} yet; leave it at 0")
        if self.d_keep != 1 and model == "WGANGP":
            raise ValueError(f"d_keep is not available for {model} yet; leave it at 1")
