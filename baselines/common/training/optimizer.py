"""Adam and RMSProp as the released codes of the SeqGAN line use them, and one update of either."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from baselines.common.networks.normalisation import iterate_after

__all__ = ["RMSProp", "adam", "frozen", "update"]

_FUSED = {"cpu", "cuda"}


def _eager(method: Callable[..., Any]) -> Callable[..., Any]:
    """What lies below the wrappers by which torch keeps its compiler out of a method.

    The first call of one of them loads the compiler, a second of every process, and nothing here is compiled.
    """
    return inspect.unwrap(method)


class _Eager(Optimizer):
    """An optimiser that never meets `torch.compile`."""

    add_param_group = _eager(Optimizer.add_param_group)
    zero_grad = _eager(Optimizer.zero_grad)
    state_dict = _eager(Optimizer.state_dict)
    load_state_dict = _eager(Optimizer.load_state_dict)


class _Adam(_Eager, Adam):
    """Adam of torch; how often it stepped, its means and its kernels are torch's."""

    step = torch.no_grad()(_eager(Adam.step))


def adam(module: nn.Module, lr: float, betas: tuple[float, float] = (0.9, 0.999)) -> Adam:
    """Adam over what the module trains, in one fused kernel where there is one; spectral norms follow its steps."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    optimizer = _Adam(parameters, lr=lr, betas=betas, fused=all(p.device.type in _FUSED for p in parameters))
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


class RMSProp(_Eager):
    """RMSProp as TensorFlow 1 has it: g / sqrt(mean of g^2 + epsilon), the mean 1 at first, with a decay of 0.9.

    `torch.optim.RMSprop` starts from 0 and adds epsilon outside of the root. The start matters: where gradients are
    small, the first hundred steps are small. What has a gradient of 0 keeps its mean, as the rows of an embedding that
    no sentence of a batch has; TensorFlow updates those that it has alone.
    """

    def __init__(self, module: nn.Module, lr: float, *, decay: float = 0.9, epsilon: float = 1e-10) -> None:
        super().__init__([p for p in module.parameters() if p.requires_grad], {"lr": lr})
        self._decay, self._epsilon = decay, epsilon

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One update of everything that has a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if (gradient := parameter.grad) is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["mean_square"] = torch.ones_like(parameter)
                mean = state["mean_square"]
                mean.lerp_(gradient.square(), (gradient != 0).to(gradient.dtype) * (1 - self._decay))
                parameter.sub_(group["lr"] * gradient * (mean + self._epsilon).rsqrt())
