"""The whole state of a training, in one file that is replaced in one move.

A checkpoint is the model, its named optimisers, the position in the stream of real sentences, torch's random state
and the trainer's progress: tensors and plain values, no pickled objects. Reading it back and going on gives bit for
bit what an uninterrupted run gives.
"""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save

from baselines.common.interface import TextGenerator
from bench.batches import BatchStream
from bench.randomness import random_state, restore_random_state
from bench.record import Alarm, Evaluation, as_json, read_evaluation, write_atomic

__all__ = [
    "PhaseProgress",
    "Progress",
    "load_checkpoint",
    "load_weights",
    "read_progress",
    "save_checkpoint",
    "save_weights",
]


@dataclasses.dataclass
class PhaseProgress:
    """What a phase has taken so far; the fields of `PhaseCost`."""

    name: str
    steps: int = 0
    seconds: float = 0.0
    """Time in steps; evaluation and saving left out."""
    real_sentences: int = 0
    peak_resident_bytes: int | None = None
    peak_gpu_bytes: int | None = None


@dataclasses.dataclass
class Progress:
    """Where a training stands."""

    phase: int = 0
    """Index of the phase under way."""
    phases: list[PhaseProgress] = dataclasses.field(default_factory=list)
    """One for each phase of the model, begun or not."""
    step: int = 0
    """Steps of all phases done."""
    evaluations: list[Evaluation] = dataclasses.field(default_factory=list)
    alarms: list[Alarm] = dataclasses.field(default_factory=list)
    log_position: int = 0
    """Bytes of the log that belong to this state: what comes after is done again."""
    pending: dict[str, float] = dataclasses.field(default_factory=dict)
    """What steps returned and the log does not have yet."""
    finished: bool = False
    """The evaluation at the end is done."""


def save_checkpoint(path: Path, model: TextGenerator, stream: BatchStream, progress: Progress) -> None:
    """Write everything in one move: a kill leaves the old checkpoint or the new one. Raises OSError on a full disk."""
    state = {
        "model": model.state_dict(),
        "optimizers": {name: optimizer.state_dict() for name, optimizer in model.optimizers.items()},
        "stream": stream.state(),
        "random": random_state(),
        "progress": json.dumps(
            {**dataclasses.asdict(progress), "evaluations": [as_json(e) for e in progress.evaluations]}
        ),
    }
    # Through memory: on a full disk torch.save raises RuntimeError, which could be anything; write_atomic OSError.
    content = io.BytesIO()
    torch.save(state, content)
    write_atomic(path, content.getbuffer())


def load_checkpoint(path: Path, model: TextGenerator, stream: BatchStream, device: torch.device) -> Progress:
    """Put the state back into a fresh model and stream. Raises ValueError that says what to do with the file."""
    try:
        state = torch.load(path, map_location=device, weights_only=True)
        model.load_state_dict(state["model"])
        for name, optimizer in model.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
    except (RuntimeError, KeyError, ValueError, EOFError) as error:
        raise ValueError(f"cannot resume from {path} ({error}); delete it to train from the start") from error
    stream.restore(state["stream"])
    restore_random_state(state["random"])
    return _progress(json.loads(state["progress"]))


def read_progress(path: Path) -> Progress:
    """How far a checkpoint is, without its model. Raises ValueError that says what to do with the file."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        return _progress(json.loads(state["progress"]))
    except (RuntimeError, KeyError, ValueError, EOFError) as error:
        raise ValueError(f"cannot read {path} ({error}); delete it to train from the start") from error


def _progress(document: dict[str, Any]) -> Progress:
    evaluations = [read_evaluation(evaluation) for evaluation in document.pop("evaluations")]
    phases = [PhaseProgress(**phase) for phase in document.pop("phases")]
    alarms = [Alarm(**alarm) for alarm in document.pop("alarms")]
    return Progress(**document, phases=phases, evaluations=evaluations, alarms=alarms)


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
