"""Feature matching: generated sentences shall have the mean discriminator features of real ones.

Salimans et al., "Improved Techniques for Training GANs", NeurIPS 2016, section 3.1: ||E_real f(x) - E_G f(x)||^2,
where f is a layer of the discriminator; here the last one before dropout and output.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["feature_distance", "matching_rewards"]


def feature_distance(real: Tensor, generated: Tensor) -> Tensor:
    """||mean_b f(real_b) - mean_b f(generated_b)||^2 of features (B, F); of (B, R, F) the mean over R of the distances.

    For a generator that the gradient reaches through its samples.
    """
    return (generated.mean(0) - real.mean(0)).square().sum(-1).mean()


@torch.no_grad()
def matching_rewards(features: Callable[[Tensor], Tensor], real: Tensor, generated: Tensor) -> Tensor:
    """Real sentences (B', T) and own samples (B, T), B > 1 -> (B,): rewards whose policy gradient lowers the distance.

    For a generator that is only sampled; `features` is (B, T) -> (B, F). With mu = E_G f(x) and grad p = p grad log p,

        grad ||mu - mu_real||^2 = 2 (mu - mu_real) . E_G[f(x) grad log G(x)]
                                = -E_G[r(x) grad log G(x)],  r(x) = -2 (mu - mu_real) . (f(x) - mu),

    where E_G[grad log G(x)] = 0 lets a constant be taken from f. For sentence b, both mu are the mean of the other
    sentences. These are independent of it, so that the expectation over batches is the gradient; the mean over all,
    which has f(x_b) in it, is off by a term in 1/B.
    """
    matched, target = features(generated), features(real).mean(0)
    others = (matched.sum(0) - matched) / (len(matched) - 1)  # (B, F)
    return -2 * ((others - target) * (matched - others)).sum(1)
