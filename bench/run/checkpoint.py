"""The whole state of a training, in one file that is replaced in one move.

Checkpoints and weights carry the SHA-256 of what they hold, so that a damaged one is noticed and never trained on.
A checkpoint is the model, its named optimisers, the position in the stream of real sentences, torch's random state
and how far the training is: tensors and plain values, no pickled objects. Reading it back and going on gives bit for
bit what an uninterrupted run gives.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from baselines.common.interface import TextGenerator
from bench.randomness import random_state, restore_random_state
from bench.record import Alarm, Evaluation, PhaseCost, as_json, decode, write_atomic
from bench.run.batches import BatchStream
from bench.run.readings import StepValues
from bench.run_folder import open_regular

__all__ = [
    "CheckpointError",
    "DamagedError",
    "Selected",
    "TrainingState",
    "Weights",
    "before",
    "load_checkpoint",
    "load_latest",
    "load_weights",
    "read_state",
    "save_checkpoint",
    "save_weights",
    "weights_of",
]


_log = logging.getLogger(__name__)
_MAGIC = b"textgan-bench checkpoint 1\n"
_HEADER_BYTES = len(_MAGIC) + hashlib.sha256().digest_size
_SHA256 = "sha256"
_NO_WEIGHTS = "take it from a copy, or train again with --rerun"


class CheckpointError(ValueError):
    """A checkpoint cannot be read; says what to do with the file."""


class DamagedError(CheckpointError):
    """Its bytes are not those that were written."""


@dataclass(frozen=True, kw_only=True)
class Selected:
    """A state of the model that was better than all before it."""

    phase: str
    step: int
    """Of all phases."""
    nll: float
    """What the validation text cost under it, nats per token."""


Weights = dict[str, torch.Tensor]
"""Parameters and buffers by name."""


@dataclass
class TrainingState:
    """How far a training is, and what it has measured."""

    phase: int = 0
    """Index of the phase under way."""
    phases: list[PhaseCost] = field(default_factory=list)
    """One for each phase of the model, begun or not."""
    step: int = 0
    """Steps of all phases done."""
    evaluations: list[Evaluation] = field(default_factory=list)
    alarms: list[Alarm] = field(default_factory=list)
    log_position: int = 0
    """Bytes of the diary that belong to this state: what comes after them is done again."""
    step_values: StepValues = field(default_factory=StepValues)
    """What steps of this phase returned, and neither the diary nor an evaluation has yet."""
    selected: Selected | None = None
    """The best of the states looked at, where the best is to be kept."""
    finished: bool = False
    """The evaluation at the end is done."""


def weights_of(model: TextGenerator) -> Weights:
    """A copy of all parameters and buffers."""
    return {n: value.detach().clone() for n, value in model.state_dict().items() if isinstance(value, torch.Tensor)}


def save_checkpoint(
    path: Path, model: TextGenerator, stream: BatchStream, state: TrainingState, best: Weights | None = None
) -> None:
    """Write everything in one move: a kill leaves the old checkpoint or the new one. Raises OSError on a full disk.

    `best`: the weights of `state.selected`. The old checkpoint stays beside the new one, as `before(path)`.
    """
    content = {
        "model": model.state_dict(),
        "optimizers": {name: optimizer.state_dict() for name, optimizer in model.optimizers.items()},
        "stream": stream.state(),
        "random": random_state(),
        "progress": json.dumps(as_json(state)),
        **({"best": best} if best else {}),
    }
    # Through memory: on a full disk torch.save raises RuntimeError, which could be anything; write_atomic OSError.
    buffer = io.BytesIO()
    buffer.write(bytes(_HEADER_BYTES))
    torch.save(content, buffer)
    whole = buffer.getbuffer()
    whole[:_HEADER_BYTES] = _header(whole[_HEADER_BYTES:])
    write_atomic(path, whole, keep=before(path))


def before(path: Path) -> Path:
    """Where the checkpoint is that was replaced by the one at `path`."""
    return path.with_name(f"{path.stem}.before{path.suffix}")


def load_latest(
    path: Path, model: TextGenerator, stream: BatchStream, device: torch.device, best: Weights | None = None
) -> TrainingState | None:
    """Put the newest whole checkpoint back into a fresh model and stream; None: train from the start.

    `best` is filled with the weights of `TrainingState.selected`, if there is one. A damaged checkpoint is renamed,
    with a warning, and the one before it is taken. Raises `CheckpointError` for one that is whole and does not fit
    this model.
    """
    for place, next_place in ((path, "the checkpoint before it"), (before(path), "its start")):
        if not os.path.lexists(place):
            continue
        try:
            return load_checkpoint(place, model, stream, device, best)
        except DamagedError as error:
            aside = place.with_name(f"{place.name}.damaged")
            place.replace(aside)
            _log.warning("%s; it is kept as %s, and the run goes on from %s", error, aside.name, next_place)
    return None


def load_checkpoint(
    path: Path, model: TextGenerator, stream: BatchStream, device: torch.device, best: Weights | None = None
) -> TrainingState:
    """Put the state back into a fresh model and stream. Raises `CheckpointError`."""
    with _readable(path):
        content = _content(path, device)
        state = _state(content)
        theirs, ours = [phase.name for phase in state.phases], [phase.name for phase in model.phases()]
        if not theirs or theirs != ours[: len(theirs)] or state.phase > len(theirs):  # a run may end with any phase
            raise ValueError(f"it is in phase {state.phase} of {', '.join(theirs)}; the model has {', '.join(ours)}")
        model.load_state_dict(content["model"])
        for name, optimizer in model.optimizers.items():
            optimizer.load_state_dict(content["optimizers"][name])
        stream.restore(content["stream"])
        restore_random_state(content["random"])
        if best is not None:
            best.update(content.get("best", {}))
        return state


def read_state(path: Path) -> TrainingState:
    """How far a checkpoint is, without its model. Raises `CheckpointError`."""
    with _readable(path):
        return _state(_content(path, torch.device("cpu")))


def _header(content: memoryview) -> bytes:
    return _MAGIC + hashlib.sha256(content).digest()


def _content(path: Path, device: torch.device) -> dict[str, Any]:
    """What `save_checkpoint` wrote; not one bit of it is another. Raises `DamagedError`."""
    with open_regular(path) as file:
        whole = memoryview(file.read())
    if whole[:_HEADER_BYTES] != _header(whole[_HEADER_BYTES:]):
        raise DamagedError(f"{path} is damaged: its {len(whole):,} bytes are not those that were written")
    content: dict[str, Any] = torch.load(io.BytesIO(whole[_HEADER_BYTES:]), map_location=device, weights_only=True)
    return content


def _state(content: Mapping[str, Any]) -> TrainingState:
    """How far it is. Raises ValueError for a place where no training can be."""
    state = decode(TrainingState, json.loads(content["progress"]), "progress")
    numbers = {"phase": state.phase, "step": state.step, "log_position": state.log_position}
    numbers |= {"stream": content["stream"]} | {f"steps of {cost.name}": cost.steps for cost in state.phases}
    for name, value in numbers.items():
        if type(value) is not int or value < 0:
            raise ValueError(f"{name} is {value!r}")
    if state.step != sum(cost.steps for cost in state.phases):
        raise ValueError(f"step {state.step} is not the sum of its phases")
    return state


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """What torch and we raise for a file of another version of the model says what to do."""
    try:
        yield
    except CheckpointError:
        raise
    except (RuntimeError, LookupError, TypeError, ValueError, OSError, EOFError, UnpicklingError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CheckpointError(f"cannot resume from {path} ({reason}); delete it to train from the start") from error


def save_weights(path: Path, model: TextGenerator) -> None:
    """Parameters and buffers as safetensors, with their checksum: what `sample` reads from a finished run."""
    state = {name: value for name, value in model.state_dict().items() if isinstance(value, torch.Tensor)}
    # The format takes each tensor alone and in the order of its dimensions, whatever it is in memory.
    plain = {name: t.cpu().clone(memory_format=torch.contiguous_format) for name, t in state.items()}
    write_atomic(path, save(plain, {_SHA256: hashlib.sha256(save(plain)).hexdigest()}))


def load_weights(path: Path, model: TextGenerator, device: torch.device) -> None:
    """Read `save_weights` back. Raises ValueError if they are damaged, or belong to another model."""
    with open_regular(path) as file:
        content = file.read()
    try:
        tensors = load(content)
    except (SafetensorError, ValueError, LookupError, TypeError, RuntimeError) as error:
        raise ValueError(f"{path} is damaged and cannot be sampled from: {error}; {_NO_WEIGHTS}") from error
    known = _written_checksum(content)  # of versions before this: none
    if known is not None and known != hashlib.sha256(save(tensors)).hexdigest():
        reason = "its tensors are not those that were written"
        raise ValueError(f"{path} is damaged and cannot be sampled from: {reason}; {_NO_WEIGHTS}")
    try:
        outcome = model.load_state_dict({name: t.to(device) for name, t in tensors.items()}, strict=False)
    except RuntimeError as error:
        raise ValueError(f"{path} does not fit {type(model).__name__}: {error}") from error
    missing = [name for name in outcome.missing_keys if not name.endswith("_extra_state")]
    if missing or outcome.unexpected_keys:
        raise ValueError(f"{path} does not fit {type(model).__name__}: {(missing + outcome.unexpected_keys)[0]}")


def _written_checksum(content: bytes) -> str | None:
    """What the header of safetensors says beside the tensors' names."""
    length = int.from_bytes(content[:8], "little")
    found = (json.loads(content[8 : 8 + length]).get("__metadata__") or {}).get(_SHA256)
    return None if found is None else str(found)
