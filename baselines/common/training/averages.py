"""Averages of a module's weights over its updates: a generator to sample from, and a past to stay close to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from baselines.common.training.state import Counter

__all__ = ["Histories", "WeightAverage"]


class WeightAverage(nn.Module):
    """sum_i decay^(t-i) theta_i / sum_i decay^(t-i) over the values theta_1 .. theta_t that a module's parameters had.

    `decay` 1 is the plain mean; 0 is off: nothing is kept. Under 1 it is the moving average of Yazici et al.,
    "The Unusual Effectiveness of Averaging in GAN Training", ICLR 2019, but for its start: theirs keeps a share decay^t
    of the initial value, ours, like Adam's moments, none. The means are buffers, which do not count as parameters.
    """

    def __init__(self, module: nn.Module, decay: float, *, after: Sequence[Optimizer] = ()) -> None:
        """The average takes in the parameters after each step of the optimisers in `after`."""
        super().__init__()
        self.decay = decay
        if not decay:
            return
        self._averaged = (module,)  # in a tuple, so that it is no part of this module
        self.updates = Counter()
        for index, parameter in enumerate(self._parameters_averaged()):
            self.register_buffer(f"mean_{index}", torch.zeros_like(parameter, requires_grad=False))
        for optimizer in after:
            optimizer.register_step_post_hook(lambda *_: self.advance())

    def _parameters_averaged(self) -> list[Tensor]:
        return [p for p in self._averaged[0].parameters() if p.requires_grad]

    def _means(self) -> list[Tensor]:
        return list(self.buffers())

    @torch.no_grad()
    def advance(self) -> None:
        """Take in the parameters as they are now."""
        self.updates.advance()
        t = self.updates.value
        share = 1 / t if self.decay == 1 else (1 - self.decay) / (1 - self.decay**t)
        for mean, parameter in zip(self._means(), self._parameters_averaged(), strict=True):
            mean.lerp_(parameter, share)

    def distance(self) -> Tensor:
        """||theta - average||^2, a scalar with the gradient of theta; the average is a constant to it."""
        pairs = zip(self._parameters_averaged(), self._means(), strict=True)
        return torch.stack([(parameter - mean).square().sum() for parameter, mean in pairs]).sum()

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Inside, the module has the averaged parameters; where nothing was averaged yet, its own."""
        if not self.decay or not self.updates.value:
            yield
            return
        parameters = [p.detach() for p in self._parameters_averaged()]
        own = [p.clone() for p in parameters]
        _copy(parameters, self._means())
        try:
            yield
        finally:
            _copy(parameters, own)


def _copy(into: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    for tensor, value in zip(into, values, strict=True):
        tensor.copy_(value)


class Histories(nn.Module):
    """Historical averaging: weight ||theta - (1/t) sum_{i=1..t} theta_i||^2 for each side of a GAN.

    Salimans et al., "Improved Techniques for Training GANs", NeurIPS 2016, section 3.3. t counts a side's updates from
    the first adversarial one on, that is, while `adversarial_updates` counts more than 0.
    """

    def __init__(self, weight: float, adversarial_updates: Counter, sides: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self._weight = weight
        self._adversarial_updates = (adversarial_updates,)  # the model's, not this module's
        self.sides = nn.ModuleDict({name: WeightAverage(side, 1.0) for name, side in sides.items()} if weight else {})

    def forward(self, name: str) -> Tensor | float:
        """What the loss of an update of this side gains; 0 where averaging is off. To be asked once per update."""
        if not self._weight or not self._adversarial_updates[0].value:
            return 0.0
        average = self.sides[name]
        assert isinstance(average, WeightAverage)
        average.advance()
        return self._weight * average.distance()
