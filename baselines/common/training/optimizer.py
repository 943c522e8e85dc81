"""Adam as the released codes of the SeqGAN line use it, and one update of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from baselines.common.networks.normalisation import iterate_after

__all__ = ["adam", "frozen", "update"]

_FUSED = {"cpu", "cuda"}


def adam(module: nn.Module, lr: float, betas: tuple[float, float] = (0.9, 0.999)) -> Adam:
    """Adam over what the module trains, in one fused kernel where there is one; spectral norms follow its steps."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    optimizer = Adam(parameters, lr=lr, betas=betas, fused=all(p.device.type in _FUSED for p in parameters))
    iterate_after(optimizer, module)
    return optimizer


def update(optimizer: Optimizer, loss: Tensor, *, max_norm: float | None = None) -> None:
    """One step down the gradient of `loss`, which is clipped at a global norm of `max_norm`."""
    optimizer.zero_grad(set_to_none=True)
    parameters: Iterable[Tensor] = [p for group in optimizer.param_groups for p in group["params"]]
    # Only this optimiser's parameters: what the loss also reaches is neither computed nor left behind.
    loss.backward(inputs=list(parameters))
    if max_norm is not None:
        nn.utils.clip_grad_norm_(parameters, max_norm)
    optimizer.step()


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """What is computed inside has no gradient in the module's parameters, and none is prepared for."""
    trained = [p for p in module.parameters() if p.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)
