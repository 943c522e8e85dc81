"""What is added to a loss: gradient penalties on a critic, feature matching on a generator."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from baselines.common.networks.cnn import CNNClassifier

__all__ = ["feature_distance", "gradient_penalty", "matching_rewards", "slope_penalty"]


def gradient_penalty(
    critic: Callable[[Tensor], Tensor],
    real: Tensor,
    generated: Tensor,
    *,
    slope: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """mean_b (||grad critic(x_b)||_2 - 1)^2, x_b drawn evenly between real_b and generated_b.

    Gulrajani et al., "Improved Training of Wasserstein GANs", NeurIPS 2017, equation 3. Real and generated inputs
    (B, ...), the critic (B, ...) -> (B,); each row has its own point, and the norm is over the whole row. The critic
    must treat rows separately (no batch norm). The result is differentiable in the critic's parameters. `slope` gives
    the gradients (B, ...) where the critic has a faster way to them than autograd.
    """
    share = torch.rand(len(real), *[1] * (real.dim() - 1), device=real.device, dtype=real.dtype)
    between = real.lerp(generated, share).detach()
    slopes = _slope(critic, between) if slope is None else slope(between)
    penalty: Tensor = (slopes.flatten(1).norm(dim=1) - 1).square().mean()
    return penalty


def _slope(critic: Callable[[Tensor], Tensor], points: Tensor) -> Tensor:
    points.requires_grad_()
    (slopes,) = torch.autograd.grad(critic(points).sum(), points, create_graph=True)
    return slopes


def slope_penalty(discriminator: CNNClassifier, tokens: Tensor, real: Tensor, *, weight: float) -> Tensor | float:
    """Sentences (B, T), labels (B,) -> `weight` times the gradient penalty of log D - log(1 - D), dropout on.

    Points are sentences of word vectors between a real and a generated one, the first with the first, and so on;
    0 where there are none of a kind.
    """
    n = min(int(real.sum()), int((1 - real).sum())) if weight else 0
    if not n:
        return 0.0
    words = discriminator.embedding(tokens)

    def critic(between: Tensor) -> Tensor:
        generated, genuine = discriminator.judge(discriminator.read(between), dropout=True).unbind(1)
        return genuine - generated

    return weight * gradient_penalty(critic, words[real == 1][:n], words[real == 0][:n])


def feature_distance(real: Tensor, generated: Tensor) -> Tensor:
    """||mean_b f(real_b) - mean_b f(generated_b)||^2 of features (B, F); of (B, R, F) the mean over R of the distances.

    Salimans et al., "Improved Techniques for Training GANs", NeurIPS 2016, section 3.1: generated sentences shall have
    the mean features of real ones, here those before dropout and output. For a generator that the gradient reaches
    through its samples.
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
