"""The whole state of a training, in one file that is replaced in one move.

A checkpoint is the model, its named optimisers, the position in the stream of real sentences, torch's random state
and how far the training is: tensors and plain values, no pickled objects. Reading it back and going on gives bit for
bit what an uninterrupted run gives.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors.torch import load_file, save

from baselines.common.interface import TextGenerator
from bench.batches import BatchStream
from bench.randomness import random_state, restore_random_state
from bench.record import Alarm, Evaluation, PhaseCost, as_json, decode, write_atomic

__all__ = [
    "CheckpointError",
    "TrainingState",
    "load_checkpoint",
    "load_weights",
    "read_state",
    "save_checkpoint",
    "save_weights",
]


class CheckpointError(ValueError):
    """A checkpoint cannot be read; says what to do with the file."""


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
    pending: dict[str, float] = field(default_factory=dict)
    """The latest of what steps of this phase returned and the diary does not have yet."""
    finished: bool = False
    """The evaluation at the end is done."""


def save_checkpoint(path: Path, model: TextGenerator, stream: BatchStream, state: TrainingState) -> None:
    """Write everything in one move: a kill leaves the old checkpoint or the new one. Raises OSError on a full disk."""
    content = {
        "model": model.state_dict(),
        "optimizers": {name: optimizer.state_dict() for name, optimizer in model.optimizers.items()},
        "stream": stream.state(),
        "random": random_state(),
        "progress": json.dumps(as_json(state)),
    }
    # Through memory: on a full disk torch.save raises RuntimeError, which could be anything; write_atomic OSError.
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_atomic(path, buffer.getbuffer())


def load_checkpoint(path: Path, model: TextGenerator, stream: BatchStream, device: torch.device) -> TrainingState:
    """Put the state back into a fresh model and stream. Raises `CheckpointError`."""
    with _readable(path):
        content = torch.load(path, map_location=device, weights_only=True)
        model.load_state_dict(content["model"])
        for name, optimizer in model.optimizers.items():
            optimizer.load_state_dict(content["optimizers"][name])
        stream.restore(content["stream"])
        restore_random_state(content["random"])
        return decode(TrainingState, json.loads(content["progress"]), "progress")


def read_state(path: Path) -> TrainingState:
    """How far a checkpoint is, without its model. Raises `CheckpointError`."""
    with _readable(path):
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        return decode(TrainingState, json.loads(content["progress"]), "progress")


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """What torch and we raise for a file that is damaged, or of another version of the model, says what to do."""
    try:
        yield
    except (RuntimeError, LookupError, TypeError, ValueError, OSError, EOFError, UnpicklingError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CheckpointError(f"cannot resume from {path} ({reason}); delete it to train from the start") from error


def save_weights(path: Path, model: TextGenerator) -> None:
    """Parameters and buffers as safetensors: what `sample` reads from a finished run."""
    state = {name: value for name, value in model.state_dict().items() if isinstance(value, torch.Tensor)}
    # The format takes each tensor alone and in the order of its dimensions, whatever it is in memory.
    write_atomic(path, save({name: t.cpu().clone(memory_format=torch.contiguous_format) for name, t in state.items()}))


def load_weights(path: Path, model: TextGenerator, device: torch.device) -> None:
    """Read `save_weights` back. Raises ValueError if the weights belong to another model."""
    try:
        outcome = model.load_state_dict(load_file(path, device=str(device)), strict=False)
    except RuntimeError as error:
        raise ValueError(f"{path} does not fit {type(model).__name__}: {error}") from error
    missing = [name for name in outcome.missing_keys if not name.endswith("_extra_state")]
    if missing or outcome.unexpected_keys:
        raise ValueError(f"{path} does not fit {type(model).__name__}: {(missing + outcome.unexpected_keys)[0]}")
