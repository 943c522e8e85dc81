"""Normalisation of discriminators: of their weights (spectral, weight) or of their features over a batch.

Nothing here knows `train()` and `eval()`: a score in a roll-out must not move a discriminator, whatever its mode.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations, parametrize
from torch.optim import Optimizer

__all__ = ["BatchNorm", "Norm", "SpectralNorm", "iterate_after", "normalise_weights"]

Norm = Literal["none", "spectral", "weight", "batch"]

_FIRST_ITERATIONS = 20


class SpectralNorm(nn.Module):
    """W -> W / sigma, sigma = u'Wv an estimate of the largest singular value of W as a matrix (outputs, all inputs).

    Miyato et al., "Spectral Normalization for Generative Adversarial Networks", ICLR 2018, equation 8: u and v are
    constants to the gradient and follow the singular vectors by one power iteration per update (algorithm 1).
    `torch.nn.utils` iterates whenever a module in training mode reads its weight, ours after an update alone.
    """

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.u: Tensor
        self.v: Tensor
        matrix = weight.detach().flatten(1)
        self.register_buffer("u", functional.normalize(torch.randn(matrix.shape[0]), dim=0))
        self.register_buffer("v", torch.zeros(matrix.shape[1]))
        for _ in range(_FIRST_ITERATIONS):
            self.iterate(weight)

    @torch.no_grad()
    def iterate(self, weight: Tensor) -> None:
        """One power iteration: v = W'u, u = Wv, each of length 1."""
        matrix = weight.flatten(1)
        self.v.copy_(functional.normalize(matrix.t() @ self.u, dim=0))
        self.u.copy_(functional.normalize(matrix @ self.v, dim=0))

    def forward(self, weight: Tensor) -> Tensor:
        """W / sigma."""
        return weight / torch.dot(self.u, weight.flatten(1) @ self.v)


class BatchNorm(nn.Module):
    """(N, F) -> (N, F): each feature with mean 0 and variance 1 over a batch; what is scored, by running statistics.

    Ioffe and Szegedy, "Batch Normalization", ICML 2015, without scale and shift: a linear layer follows. Real and
    generated sentences must be in one batch, or no linear layer behind could tell the one mean from the other.
    """

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.mean: Tensor
        self.variance: Tensor
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("variance", torch.ones(n_features))

    def forward(self, features: Tensor, *, learning: bool) -> Tensor:
        """Where `learning`, by the batch, whose statistics join the running ones with a share of .1."""
        return functional.batch_norm(features, self.mean, self.variance, training=learning)


def normalise_weights(module: nn.Module, norm: Norm) -> None:
    """Normalise the weights of all convolutions and linear layers; embeddings and biases stay as they are.

    `weight` is w = g v / ||v||, one g per output: Salimans and Kingma, "Weight Normalization", NeurIPS 2016, equation
    2, starting from the same w. Must come before the module's optimiser, which trains what is behind w.
    """
    if norm not in ("spectral", "weight"):
        return
    for layer in list(module.modules()):
        if isinstance(layer, nn.Linear | nn.Conv1d):
            names = ["weight"]
        elif isinstance(layer, nn.ParameterList):
            names = [name for name, weight in layer.named_parameters(recurse=False) if weight.dim() > 1]
        else:
            continue
        for name in names:
            if norm == "spectral":
                parametrize.register_parametrization(layer, name, SpectralNorm(getattr(layer, name)))
            else:
                parametrizations.weight_norm(layer, name)


def iterate_after(optimizer: Optimizer, module: nn.Module) -> None:
    """After each step of the optimiser, one power iteration for each spectrally normalised weight of the module."""
    normed = [part for part in module.modules() if isinstance(part, parametrize.ParametrizationList)]
    pairs = [(part[0], part.original) for part in normed if isinstance(part[0], SpectralNorm)]
    if not pairs:
        return

    def iterate(*_: object) -> None:
        for spectral, weight in pairs:
            spectral.iterate(weight)

    optimizer.register_step_post_hook(iterate)
