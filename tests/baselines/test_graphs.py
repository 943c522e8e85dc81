"""Replayed steps give what the steps themselves give, bit for bit.

Without a GPU a tape stands in for a CUDA graph: the operations of a step are written down, with the tensors and numbers
of that one call, and repeated on the same tensors, with no Python of the model.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import baselines.common.fast.graphs
from baselines.common.fast.graphs import Graphs, Recorder
from baselines.common.spec import SequenceSpec
from bench.config import RunConfig, build
from bench.registry import find

SPEC = SequenceSpec(vocab_size=20, max_len=6, bos_id=0, pad_id=None, eos_id=None)
ENDING = SequenceSpec(vocab_size=20, max_len=6, bos_id=1, pad_id=2, eos_id=3)
STEPS = 9
SMALL: Mapping[str, Mapping[str, Any]] = {
    "mle": {"steps": STEPS},
    "constant_reward": {"mle_steps": STEPS},
    "seqgan": {"mle_steps": STEPS, "d_pretrain_steps": STEPS, "pool_batches": 2, "d_steps": 3},
    "maligan": {"mle_steps": STEPS, "d_pretrain_steps": STEPS, "pool_batches": 2, "d_steps": 3},
    "rankgan": {"mle_steps": STEPS, "d_pretrain_steps": STEPS, "pool_batches": 2, "d_steps": 3},
    "sentigan": {"mle_steps": STEPS, "d_pretrain_steps": STEPS, "pool_batches": 2, "d_steps": 3},
    "scheduled_sampling": {"steps": STEPS, "epoch_steps": 2},
    "pg_bleu": {"mle_steps": STEPS, "reference_batches": 2},
    "leakgan": {"d_pretrain_steps": STEPS - 1, "mle_steps": 1, "rounds": 1},
    "relgan": {"mle_steps": STEPS, "iterations": 2},
    "wgan_gp": {"critic_steps": 8},
}
CASES: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in SMALL),
    ("seqgan", {"d_norm": "spectral", "label_smoothing": 0.1}),
    ("seqgan", {"d_norm": "weight", "feature_matching": 1.0}),
    ("maligan", {"d_norm": "batch"}),
    ("rankgan", {"d_norm": "spectral"}),
    ("sentigan", {"generators": 2, "label_smoothing": 0.1}),
    ("wgan_gp", {"d_norm": "spectral", "d_keep": 0.8}),
]


class Written(TorchDispatchMode):
    """What was done: operation, arguments, whether there are gradients, results."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[tuple[Any, Any, Any, bool, Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        results = func(*args, **(kwargs or {}))
        self.done.append((func, args, kwargs or {}, torch.is_grad_enabled(), results))
        return results

    def again(self) -> None:
        for func, args, kwargs, with_gradient, results in self.done:
            # oneDNN's LSTM looks at the mode to know whether there will be a backward pass.
            with torch._C._AutoDispatchBelowAutograd(), torch.set_grad_enabled(with_gradient):
                fresh = func(*args, **kwargs)
            for old, new in zip(tree_leaves(results), tree_leaves(fresh), strict=True):
                if isinstance(old, Tensor) and old.data_ptr() != new.data_ptr():
                    old.detach().copy_(new)


class Tape(Recorder):
    """For tests on a CPU: what is recorded does not happen, as on a GPU."""

    def __init__(self, model: Any) -> None:
        self.model, self.warm, self.recorded, self.replays = model, 0, 0, 0

    def aside(self, call: Callable[[], Mapping[str, Tensor]]) -> Mapping[str, Tensor]:
        self.warm += 1
        return call()

    def record(self, call: Callable[[], Mapping[str, Tensor]]) -> tuple[Mapping[str, Tensor], Callable[[], None]]:
        self.recorded += 1
        assert all(group["capturable"] for o in self.model.optimizers.values() for group in o.param_groups)
        tensors = state_of(self.model)
        before, random = [x.detach().clone() for x in tensors], torch.get_rng_state()
        with Written() as written:
            values = call()
        assert [x.data_ptr() for x in state_of(self.model)] == [x.data_ptr() for x in tensors]
        torch.set_rng_state(random)
        with torch.no_grad():
            for x, value in zip(tensors, before, strict=True):
                x.copy_(value)

        def replay() -> None:
            self.replays += 1
            written.again()

        return values, replay


def state_of(model: Any) -> list[Tensor]:
    states = [value for o in model.optimizers.values() for state in o.state.values() for value in state.values()]
    return [*model.parameters(), *model.buffers(), *states]


def made(name: str, spec: SequenceSpec = SPEC, device: str = "cpu", **settings: Any) -> Any:
    cls = find("models", name)
    torch.manual_seed(0)
    config = build(cls.Config, {**cls.scales["smoke"], "batch_size": 8, **SMALL[name], **settings}, name)
    return cls(config, spec).to(device)


def stream(spec: SequenceSpec = SPEC, batch_size: int = 8, device: str = "cpu") -> Iterator[Tensor]:
    generator = torch.Generator().manual_seed(1)
    while True:
        rows = torch.randint(4, spec.vocab_size, (batch_size, spec.max_len), generator=generator)
        if spec.eos_id is not None:
            place, end = torch.arange(spec.max_len), torch.randint(1, 8, (batch_size, 1), generator=generator)
            rows = rows.where(place < end, spec.pad_id).where(place != end, spec.eos_id)
        yield rows.to(device)


def trained(model: Any, batches: Iterator[Tensor]) -> list[Mapping[str, Tensor]]:
    """All phases; what each step gave, looked at only now."""
    torch.manual_seed(2)
    return [phase.step(batches) for phase in model.phases() for _ in range(min(phase.steps, STEPS))]


@pytest.mark.parametrize(("name", "settings"), CASES)
def test_replays_are_the_steps(name: str, settings: dict[str, Any]) -> None:
    plain, replaying = made(name, **settings), made(name, **settings)
    tape = Tape(replaying)
    replaying.graphs = Graphs(replaying.optimizers, tape)
    expected, random = trained(plain, stream()), torch.get_rng_state()
    got = trained(replaying, stream())
    assert torch.equal(torch.get_rng_state(), random)
    for ours, slow in zip(got, expected, strict=True):
        assert ours.keys() == slow.keys()
        assert all(torch.equal(ours[key], slow[key]) for key in slow)
    assert all(torch.equal(x, y) for x, y in zip(state_of(replaying), state_of(plain), strict=True))
    assert tape.recorded == (2 if name in ("seqgan", "maligan", "rankgan", "sentigan") else 1)
    assert tape.warm == 3 * tape.recorded
    assert tape.replays >= 4 * tape.recorded
    groups = [group for o in replaying.optimizers.values() for group in o.param_groups]
    assert not any(group["capturable"] for group in groups)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("mle", {"ema_decay": 0.9}),
        ("seqgan", {"historical_averaging": 0.1}),
        ("wgan_gp", {"historical_averaging": 0.1}),
    ],
)
def test_what_counts_on_the_host_is_not_replayed(
    name: str, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And would be wrong: a recording has the numbers of one step."""
    plain = trained(model := made(name, **settings), stream())
    for counting, same in ((baselines.common.fast.graphs._COUNTING, True), ((), False)):
        monkeypatch.setattr(baselines.common.fast.graphs, "_COUNTING", counting)
        other = made(name, **settings)
        tape = Tape(other)
        other.graphs = Graphs(other.optimizers, tape)
        values = trained(other, stream())
        assert (tape.warm == tape.recorded == 0) is same
        equal = all(torch.equal(x, y) for x, y in zip(state_of(model), state_of(other), strict=True))
        equal &= all(torch.equal(a[key], b[key]) for a, b in zip(values, plain, strict=True) for key in b)
        assert equal is same


def test_a_penalty_that_waits_is_not_replayed() -> None:
    model = made("seqgan", gradient_penalty=1.0)
    tape = Tape(model)
    model.graphs = Graphs(model.optimizers, tape)
    trained(model, stream())
    assert tape.recorded == 1  # pre-training


def test_each_shape_has_a_recording() -> None:
    model = made("mle")
    tape = Tape(model)
    model.graphs = Graphs(model.optimizers, tape)
    both = itertools.chain.from_iterable(zip(stream(), stream(batch_size=5), strict=True))
    for _ in range(14):
        model.mle_step(both)
    assert (tape.warm, tape.recorded, tape.replays) == (6, 2, 8)


def test_a_loaded_state_is_recorded_anew() -> None:
    """Loading gives an optimiser other tensors, which no recording knows."""
    plain, replaying = made("mle"), made("mle")
    tape = Tape(replaying)
    replaying.graphs = Graphs(replaying.optimizers, tape)
    for model in (plain, replaying):
        batches = stream()
        for _ in range(6):
            model.mle_step(batches)
        model.optimizers["mle"].load_state_dict(model.optimizers["mle"].state_dict())
        for _ in range(6):
            model.mle_step(batches)
    assert (tape.warm, tape.recorded, tape.replays) == (6, 2, 6)
    assert all(torch.equal(x, y) for x, y in zip(state_of(replaying), state_of(plain), strict=True))


def test_the_setting_is_part_of_runs_on_a_gpu_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"model": "mle", "task": "oracle_lstm", "scale": "smoke"}
    without, with_graphs = (RunConfig(**settings, cuda_graphs=on) for on in (False, True))
    on_cpu = [run.model_copy(update={"device": "cpu"}).resolve().run_id for run in (without, with_graphs)]
    assert on_cpu[0] == on_cpu[1]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert without.resolve().run_id != with_graphs.resolve().run_id
    assert without.resolve().config_hash == with_graphs.resolve().config_hash


@pytest.mark.cuda
@pytest.mark.parametrize("spec", [SPEC, ENDING], ids=["fixed", "ending"])
@pytest.mark.parametrize(("name", "settings"), CASES)
def test_graphs_are_the_steps(name: str, settings: dict[str, Any], spec: SequenceSpec) -> None:
    """In float64: sums on a GPU have no fixed order, and Adam makes full steps of the smallest gradients."""
    torch.set_default_dtype(torch.float64)
    try:
        plain, replaying = (made(name, spec, "cuda", **settings) for _ in range(2))
        replaying.graphs = Graphs(replaying.optimizers, Recorder())
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            expected, got = (trained(model, stream(spec, device="cuda")) for model in (plain, replaying))
    finally:
        torch.set_default_dtype(torch.float32)
    for ours, slow in zip(got, expected, strict=True):
        for key, value in slow.items():
            torch.testing.assert_close(ours[key], value, rtol=1e-6, atol=1e-9)
