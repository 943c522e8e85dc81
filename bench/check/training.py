"""Checks of how a model trains: its phases and steps, its parameters, the seed, resuming, and evaluations between.

Each takes a `Case`, returns what it found in words, and raises `ContractError` where the contract is broken.
"""

from __future__ import annotations

import io
import itertools
import time
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from baselines.common.interface import TextGenerator
from bench.check.cases import Case, NotTriedError, different, made_up, other_name
from bench.randomness import random_state, restore_random_state
from bench.run.contract import ContractError, check_seeded, check_values, checked_phases, place_of
from bench.score.drawing import bound_of, draw, likelihood_of

__all__ = ["check_evaluation", "check_parameters", "check_phases", "check_resume", "check_seed", "check_steps"]

_PATIENCE = 8.0
"""Seconds in which every parameter has to be trained, beyond the steps that all checks do."""
_NAMED = 3
_OTHER_SEED = 20_170_218
"""That nobody is likely to set."""


def _listed(names: Iterable[str]) -> str:
    every = list(names)
    return ", ".join(every[:_NAMED]) + (f" and {len(every) - _NAMED} more" if len(every) > _NAMED else "")


def check_phases(case: Case) -> str:
    """A list of phases, the same at every call, which changes nothing."""
    model = case.make()
    before = {key: _copy(value) for key, value in model.state_dict().items()}
    first = [(phase.name, phase.steps) for phase in checked_phases(model)]
    again = [(phase.name, phase.steps) for phase in checked_phases(model)]
    if first != again:
        raise ContractError(f"phases() must be the same list at every call; it was {first}, and then {again}")
    if changed := [key for key, value in model.state_dict().items() if not _equal(value, before[key])]:
        raise ContractError(f"phases() must name the steps and do none; it changed {_listed(changed)}")
    return ", ".join(f"{name} ({steps:,} steps)" for name, steps in first)


def _copy(value: Any) -> Any:
    return value.clone() if isinstance(value, Tensor) else value


def _equal(a: Any, b: Any) -> bool:
    return torch.equal(a, b) if isinstance(a, Tensor) else bool(a == b)


def check_steps(case: Case) -> str:
    """Every step returns finite scalars without their graph; phases stay what they are."""
    model, stream = case.make(), case.stream()
    model.train()
    before = [(phase.name, phase.steps) for phase in checked_phases(model)]
    sizes, logged = case.sizes(model), []
    for phase in model.phases():
        names: dict[str, None] = {}
        for number in range(1, sizes[phase.name] + 1):
            values = phase.step(stream)
            check_values(values, phase)
            where = f"{place_of(phase.step)}: phase {phase.name!r}, step {number}"
            if not values:
                raise ContractError(f'{where}: it returned nothing to log: return {{"loss": loss.detach()}}')
            for name, value in values.items():
                if value.requires_grad:
                    raise ContractError(f"{where}: its {name!r} still has its graph: return {name}.detach()")
                if not value.isfinite():
                    raise ContractError(f"{where}: its {name!r} is {value.item()}: the training diverges")
            names |= dict.fromkeys(values)
        logged.append(f"{phase.name} logs {', '.join(names)}" if names else f"{phase.name} has no steps")
    after = [(phase.name, phase.steps) for phase in checked_phases(model)]
    if after != before:
        raise ContractError(f"phases() must be the same list at every call; training made it {after} of {before}")
    return "; ".join(logged)


def check_parameters(case: Case) -> str:
    """Every parameter has a gradient at some step, and is not what it was."""
    model, stream = case.make(), case.stream()
    named = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if not named:
        raise NotTriedError("it has no parameters")
    before = {name: p.detach().clone() for name, p in named.items()}
    model.train()
    no_gradient, same, done = set(named), set(named), 0
    for step in _enough_steps(case, model):
        step(stream)
        done += 1
        no_gradient = {name for name in no_gradient if (grad := named[name].grad) is None or not grad.any()}
        same = {name for name in same if torch.equal(named[name], before[name])}
        if not no_gradient and not same:
            break
    of = f"in {done} steps of all phases"
    if no_gradient:
        raise ContractError(
            f"{_listed(n for n in named if n in no_gradient)} had no gradient {of}: no loss depends on it, or it was "
            "cut off by detach() or no_grad(); what is not to be trained has requires_grad_(False)"
        )
    if same:
        raise ContractError(
            f"{_listed(n for n in named if n in same)} had a gradient and never changed {of}: no optimizer has it; "
            "what is not to be trained has requires_grad_(False)"
        )
    return f"all {len(named)} change ({sum(p.numel() for p in named.values()):,} numbers)"


def _enough_steps(case: Case, model: TextGenerator) -> Iterator[Any]:
    """The steps of a case, and of each phase more while there is time: a phase may train a part in later steps only."""
    sizes = case.sizes(model)
    ends = time.monotonic() + _PATIENCE
    for phase in checked_phases(model):
        for number in range(phase.steps):
            if number >= sizes[phase.name] and time.monotonic() > ends:
                break
            if number >= 20 * max(sizes[phase.name], 1):
                break
            yield phase.step


def check_seed(case: Case) -> str:
    """The same seed gives the same weights and the same sentences, and no seed is set but by the harness."""
    other, stream = case.make(seed=_OTHER_SEED), case.stream()
    for phase in checked_phases(other):
        phase.step(stream)
        check_seeded(_OTHER_SEED, phase.step)
    first, second = case.trained, case.train_again()
    if (name := different(first, second)) is not None:
        raise ContractError(
            f"two trainings of one seed differ in {name}: randomness comes from torch's global generators, never from "
            "random, numpy, the clock, or a generator of its own that is not seeded"
        )
    drawn = [draw(model, 20, seed=3) for model in (first, first, second)]
    if any((other != drawn[0]).any() for other in drawn[1:]):
        raise ContractError(
            "sample draws other sentences under the same seed: it may depend on torch's generators only"
        )
    return "the same weights and the same sentences, twice"


def check_resume(case: Case, *, thorough: bool = False) -> str:
    """Save in the middle of every phase and at the end, load into a fresh model, go on: the same bits.

    Each goes on to where the next was saved, and must have come to what was saved there.
    `thorough`: also a step after each middle, and at the end of every phase.
    """
    whole, stream = case.make().train(), case.stream()
    sizes = list(case.sizes(whole).values())
    ends = list(itertools.accumulate(sizes))
    middles = [end - size // 2 for end, size in zip(ends, sizes, strict=True)]
    if thorough:
        middles += [min(middle + 1, ends[-1]) for middle in middles] + ends  # a step's own period may end in the middle
    cuts = sorted({*middles, ends[-1]} - {0})
    saved: dict[int, tuple[bytes, int]] = {}
    for first, last in itertools.pairwise([0, *cuts]):
        case.advance(whole, stream, first, last)
        saved[last] = _state_of(whole), stream.state()
    for cut, following in itertools.pairwise([*cuts, ends[-1]]):
        content, taken = saved[cut]
        resumed, stream = case.make(seed=99).train(), case.stream(taken)
        _restore(resumed, content)
        case.advance(resumed, stream, cut, following)
        if (name := _other(saved[following], (_state_of(resumed), stream.state()))) is not None:
            raise ContractError(
                f"a training that was saved after step {cut} of {ends[-1]} and goes on differs in {name} after step "
                f"{following}: {_forgotten(case)}"
            )
        if following == ends[-1] and (draw(resumed, 20, seed=1) != draw(whole, 20, seed=1)).any():
            raise ContractError(
                f"a training that was saved after step {cut} goes on to other sentences: {_forgotten(case)}"
            )
    return f"from {len(saved)} checkpoints on, bit for bit"


def _state_of(model: TextGenerator) -> bytes:
    optimizers = {key: optimizer.state_dict() for key, optimizer in model.optimizers.items()}
    file = io.BytesIO()
    torch.save({"model": model.state_dict(), "optimizers": optimizers, "random": random_state()}, file)
    return file.getvalue()


def _other(expected: tuple[bytes, int], found: tuple[bytes, int]) -> str | None:
    """Name of the first thing in which two states are not the same bit for bit; None: in none."""
    if expected == found:  # as bytes, which is quick to see; they may differ where what they hold does not
        return None
    ours, theirs = (
        dict(_named(torch.load(io.BytesIO(content), weights_only=True))) | {"the batches taken": taken}
        for content, taken in (expected, found)
    )
    return other_name(ours, theirs)


def _named(value: Any, *inside: str) -> Iterator[tuple[str, Any]]:
    """Whatever dictionaries and lists hold, by where it stands: a parameter by its own name, as `model` comes first."""
    if isinstance(value, dict | list | tuple):
        for key, one in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _named(one, *inside, str(key))
    else:
        yield " ".join(inside[1:] if inside[0] == "model" else inside), value


def _restore(model: TextGenerator, content: bytes) -> None:
    state = torch.load(io.BytesIO(content), weights_only=True)
    model.load_state_dict(state["model"])
    for key, optimizer in model.optimizers.items():
        optimizer.load_state_dict(state["optimizers"][key])
    restore_random_state(state["random"])


def _forgotten(case: Case) -> str:
    """What a checkpoint of this model lacks, as far as it can be seen."""
    model, stream = case.make(), case.stream()
    kept = {id(optimizer) for optimizer in model.optimizers.values()}
    for name, value in vars(model).items():
        inside = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else [value]
        if name != "optimizers" and any(isinstance(each, Optimizer) and id(each) not in kept for each in inside):
            return f'self.{name} is an optimizer that no checkpoint holds: keep it as self.optimizers["{name}"]'
    before = dict(_plain_attributes(model))
    case.advance(model, stream)
    if changed := [name for name, value in _plain_attributes(model) if before.get(name) != value]:
        return (
            f"steps change self.{changed[0]}, which no checkpoint holds: make it a tensor by "
            f'self.register_buffer("{changed[0]}", …)'
        )
    return (
        "what a step needs of earlier ones must be a parameter, a buffer (register_buffer) or an optimizer in "
        "self.optimizers; a checkpoint holds nothing else"
    )


def _plain_attributes(model: TextGenerator) -> Iterator[tuple[str, str]]:
    """Attributes that are numbers, tensors, or lists of them, as text that can be compared."""
    for name, value in vars(model).items():
        if not name.startswith("_") and name not in ("training", "optimizers", "config", "spec", "graphs"):
            first = value[0] if isinstance(value, list | tuple) and value else value
            if isinstance(first, int | float | str | Tensor | None):
                yield name, repr(value)


def check_evaluation(case: Case, *, any_mode: bool = False) -> str:
    """Weights after all steps are the same bits, whether sentences are drawn and asked of it after each, or not.

    `any_mode`: moreover evaluation leaves a model in training or in evaluation mode, which the harness never does.
    """
    evaluated, stream = case.make().train(), case.stream()
    rows = made_up(case.spec, 16)
    total = len(case.steps(evaluated))
    for step in range(total):
        case.advance(evaluated, stream, step, step + 1)
        draw(evaluated, 3, seed=step)
        if (likelihood := likelihood_of(evaluated, torch.device("cpu"))) is not None:
            likelihood(rows)
        if (bound := bound_of(evaluated, torch.device("cpu"))) is not None:
            bound(rows, 1)
        if any_mode:
            evaluated.train(step % 2 == 0)
    if (name := different(case.trained, evaluated)) is not None:
        raise ContractError(
            f"a training with evaluations between its steps ends with another {name}: sample and log_prob may change "
            "nothing that a step uses, and log_prob may draw no random numbers"
        )
    return f"after each of {total} steps, and the same weights"
