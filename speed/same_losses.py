"""Whether models are the same on a device as on the CPU: losses with the same random numbers, and what they draw.

A device draws other random numbers than the CPU from one seed. So here every random number of either is the CPU's
generator's: what is left between the losses is rounding, and it is what a precision costs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from baselines.common.interface import HasLogProb, TextGenerator
from bench.check.cases import TINY, Case, all_sentences, blank, made_up
from bench.check.likelihood import chi_square
from bench.config import build
from bench.randomness import isolated
from bench.registry import find
from bench.run.batches import BatchStream
from bench.run.hardware import exact_products, use_precision
from bench.run_settings import Precision

__all__ = ["Compared", "Drawn", "DrawnOnCpu", "compare_draws", "compare_losses"]

_STEPS = 3
"""Of each phase: after more of them, Adam's full steps along gradients that are nearly 0 part two devices."""
_DRAWN = 20_000


class DrawnOnCpu(TorchDispatchMode):
    """Inside, every random number is of torch's generator of the CPU, and then moved to where it was asked for."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Each operation that torch itself marks as random is done on the CPU."""
        kwargs = dict(kwargs or {})
        if torch.Tag.nondeterministic_seeded not in func.tags:
            return func(*args, **kwargs)
        given = next((x for x in args if isinstance(x, Tensor)), None)
        device = torch.device(kwargs.get("device") or (torch.device("cpu") if given is None else given.device))
        if kwargs.get("device") is not None:
            kwargs["device"] = torch.device("cpu")
        args_here, kwargs_here = tree_map(_on_cpu, (args, kwargs))
        found = func(*args_here, **kwargs_here)
        if func._schema.is_mutable:  # it fills its first argument
            args[0].copy_(found)
            return args[0]
        return tree_map(lambda x: x.to(device) if isinstance(x, Tensor) else x, found)


def _on_cpu(x: Any) -> Any:
    return x.cpu() if isinstance(x, Tensor) else x


@dataclass(frozen=True, kw_only=True)
class Compared:
    """The steps of one model on a device, beside the same steps on the CPU in exact products."""

    model: str
    precision: Precision
    steps: int = 0
    difference: float | None = None
    """The greatest between two values that a step gives, of max(1, |value|); None where it could not be tried."""
    where: str = ""
    """Phase, step and name of that value."""
    reason: str = ""
    """Why there is none."""


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """Sentences drawn on a device, beside the probabilities that the model gives them on the CPU."""

    model: str
    n: int = 0
    p: float | None = None
    """Of a chi-square test over all sentences; small: they are not drawn with those probabilities."""
    reason: str = ""


def _case(name: str) -> Case:
    cls = find("models", name)
    config = build(cls.Config, {**cls.scales.get("smoke", {}), "batch_size": 8}, name)
    return Case(model=cls, config=config, spec=TINY["ending"], most=_STEPS)


def _told(case: Case, device: torch.device) -> list[tuple[str, Mapping[str, float]]]:
    """What each step gives."""
    torch.manual_seed(0)
    model = case.make().to(device).train()
    rows = made_up(case.spec, 17 * case.config.batch_size)
    stream = BatchStream(rows, case.config.batch_size, shuffle=case.config.shuffle, seed=0, device=device)
    names = [f"{name}, step {i + 1}" for name, steps in case.sizes(model).items() for i in range(steps)]
    with isolated(1), DrawnOnCpu():
        given = [step(stream) for step in case.steps(model)]
    return [(name, {key: float(v) for key, v in values.items()}) for name, values in zip(names, given, strict=True)]


def compare_losses(models: Iterable[str], device: torch.device, precision: Precision) -> list[Compared]:
    """Each model's first steps of every phase, on sentences of three words of a vocabulary of four."""
    found = []
    for name in models:
        try:
            case = _case(name)
            with exact_products("ieee"):
                expected = _told(case, torch.device("cpu"))
            use_precision(precision)
            got = _told(case, device)
        except Exception as error:  # noqa: BLE001 - told with the others, which go on
            found.append(Compared(model=name, precision=precision, reason=f"{type(error).__name__}: {error}"))
            continue
        finally:
            use_precision("ieee")
        differences = [
            (abs(ours[key] - value) / max(1.0, abs(value)), f"{where}, {key}")
            for (where, values), (_, ours) in zip(expected, got, strict=True)
            for key, value in values.items()
            if not (math.isnan(value) and math.isnan(ours[key]))
        ]
        most, where = max(differences, default=(0.0, ""), key=lambda pair: (math.isnan(pair[0]), pair[0]))
        found.append(Compared(model=name, precision=precision, steps=len(got), difference=most, where=where))
    return found


def compare_draws(models: Iterable[str], device: torch.device) -> list[Drawn]:
    """Each model after its first steps: 20,000 sentences of the device, all sentences' probabilities of the CPU."""
    return [_drawn(name, device) for name in models]


def _drawn(name: str, device: torch.device) -> Drawn:
    try:
        case = _case(name)
        model: TextGenerator = case.trained
        if not isinstance(model, HasLogProb):
            return Drawn(model=name, reason="it has no log_prob")
        sentences = all_sentences(case.spec)
        with isolated(2), torch.no_grad():
            log_prob = model.log_prob(sentences).double()
            ids = model.to(device).sample(_DRAWN).cpu()
        p, _, _ = chi_square(blank(ids, case.spec), sentences, log_prob)
    except Exception as error:  # noqa: BLE001 - told with the others, which go on
        return Drawn(model=name, reason=f"{type(error).__name__}: {error}")
    return Drawn(model=name, n=_DRAWN, p=p)
