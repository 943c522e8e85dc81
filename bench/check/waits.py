"""No step waits for the device: found without one, on tensors that have no data.

Steps run on PyTorch's device `meta`: models take the ways they take on a GPU, and every operation is seen before it
happens. What needs a number on the host is found with the place that asked for it, and gets an answer, so that the step
goes on.
"""

from __future__ import annotations

import dataclasses
import inspect
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from baselines.common.spec import SequenceSpec
from bench.check.cases import Case, NotTriedError
from bench.places import ROOT
from bench.run.contract import ContractError, check_values

__all__ = ["Place", "Unanswered", "Waits", "check_waits", "waits_of"]

aten = torch.ops.aten
_ANSWER = 4
"""What every number is that a step asks the device for."""
_MOST = 4
"""Steps of each phase that are tried."""
_SHORT = 6
"""Words of the sentences they are tried on: what waits at each word waits at the first, and without data an operation
costs more than with them."""
_ITS_OWN = ("_tensor.py", "_ops.py", "functional.py", "module.py", "eval_frame.py")
"""Files of torch through which a plain operation comes, and any call of a layer."""
_HOW = {
    aten._local_scalar_dense: "a number is read (.item(), float(), if, print)",
    aten._to_copy: "a tensor is copied to the host (.cpu(), .tolist(), .numpy())",
    aten.copy_: "a number or a tensor is copied from the host",
    aten.index: "a mask decides the shape (x[mask])",
    aten.nonzero: "nonzero decides the shape",
    aten.equal: "torch.equal reads a number",
}


@dataclasses.dataclass(frozen=True)
class Place:
    """Where the host waits for the device, or the device for the host."""

    file: str
    line: int
    function: str
    text: str
    """Of the line."""
    operation: Any
    callee: str = ""
    """`transformer.py: forward`, where code of a library that the line calls asked for it."""

    def told(self) -> str:
        """For people."""
        how = _HOW.get(self.operation, f"{self.operation} waits")
        within = f", inside the library that it calls ({self.callee})" if self.callee else ""
        return f"{Path(self.file).name}, line {self.line}: `{self.text}`: {how}{within}"


class Unanswered(RuntimeError):  # noqa: N818 - what a step asked
    """A step waits where no answer can be made up, or mixes tensors of two devices."""


class Waits(TorchDispatchMode):
    """Collects the places of all that makes the host wait for the device, or the device for the host.

    `inside` is the folder or the file whose innermost function is named.
    """

    def __init__(self, inside: Path) -> None:
        super().__init__()
        self.found: list[Place] = []
        self._inside = inside

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Every operation comes through here."""
        kwargs = kwargs or {}
        tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
        if not any(x.device.type == "meta" for x in tensors):
            return func(*args, **kwargs)
        name = func.overloadpacket
        if name in (aten._unique2, aten.unique_dim, aten.masked_select):
            raise Unanswered(f"{self._place(name).told()}, and nothing answers")
        if name in (aten._local_scalar_dense, aten.equal):
            return self._answer(name, _ANSWER)
        if name is aten.nonzero:
            (mask,) = args
            return self._answer(name, mask.new_empty(mask.numel(), mask.dim(), dtype=torch.int64))
        if name in (aten.index, aten.index_put_, aten.index_put):
            masks = [x for x in args[1] if x is not None and x.dtype in (torch.bool, torch.uint8)]
            if masks and name is aten.index:
                rows = [x.new_empty(x.numel(), dtype=torch.int64) for x in masks for _ in range(x.dim())]
                return self._answer(name, func(args[0], rows))
            if masks and args[2].numel() > 1:  # one number is filled in where the mask is
                self._answer(name, None)
        if name is aten._to_copy and torch.device(kwargs.get("device") or "meta").type == "cpu":
            return self._answer(name, torch.full(args[0].shape, _ANSWER, dtype=kwargs.get("dtype") or args[0].dtype))
        if name is aten.copy_ and (args[0].dim() == args[1].dim() == 0 or args[0].device != args[1].device):
            self._answer(name, None)  # x[2] = 1 copies a number from the host, x[2:] = 1 fills
        elif any(x.device.type == "cpu" and x.dim() for x in tensors):
            raise Unanswered(f"{self._place(name).told()} of tensors on two devices")
        return func(*args, **kwargs)

    def _answer(self, name: Any, answer: Any) -> Any:
        self.found.append(self._place(name))
        return answer

    def _place(self, name: Any) -> Place:
        stack = [f for f in traceback.extract_stack() if f.filename != __file__]
        own = next((i for i in reversed(range(len(stack))) if Path(stack[i].filename).is_relative_to(self._inside)), -1)
        if own < 0:
            return Place("elsewhere", 0, "elsewhere", "", name)
        place = stack[own]
        called = [(Path(f.filename).name, f.name) for f in stack[own + 1 :]]
        callee = next((f"{file}: {function}" for file, function in called if file not in _ITS_OWN), "")
        return Place(place.filename, place.lineno or 0, place.name, place.line or "", name, callee)


def _batches(size: int, spec: SequenceSpec) -> Iterator[Tensor]:
    while True:
        yield torch.empty(size, spec.max_len, dtype=torch.int64, device="meta")


def waits_of(case: Case, inside: Path) -> list[Place]:
    """The places where steps of all phases wait. Raises `Unanswered`, and what a step raises that has not waited."""
    with torch.device("meta"):
        model = case.model(case.config, case.spec)
    mode, batches = Waits(inside), _batches(case.config.batch_size, case.spec)
    try:
        for phase in model.phases():
            with mode:
                for _ in range(min(phase.steps, _MOST)):
                    check_values(phase.step(batches), phase)
    except Exception:
        if not mode.found:  # behind a made-up answer a step may do anything
            raise
    return mode.found


def _waits_of_short(case: Case, inside: Path) -> list[Place]:
    """On sentences of few words; of the case's own length where the model does not take so few."""
    short = dataclasses.replace(case, spec=dataclasses.replace(case.spec, max_len=min(case.spec.max_len, _SHORT)))
    try:
        return waits_of(short, inside)
    except Exception:
        if short.spec == case.spec:
            raise
        return waits_of(case, inside)


_KEEP = "keep tensors (the harness reads what is returned when it logs it)"
_KEEP_ASKING = "call it so that it need not ask, as `is_causal=True` beside a causal mask does"


def check_waits(case: Case) -> str:
    """On sentences of one length, nothing that a step does needs a number on the host."""
    fixed = dataclasses.replace(case, spec=dataclasses.replace(case.spec, pad_id=None, eos_id=None))
    if not case.make().optimizers:
        raise NotTriedError("it has no optimizer: its steps count, on the host")
    file = Path(inspect.getfile(case.model)).resolve()
    inside = file if not file.is_relative_to(ROOT / "baselines") else ROOT / "baselines"
    try:
        found = _waits_of_short(fixed, inside)
    except Unanswered as error:
        if "two devices" in str(error):
            text = f"{error}: make tensors on the model's device, as torch.zeros(3, device=tokens.device)"
            raise ContractError(text) from error
        raise ContractError(f"{error}: a step waits for the device there, because the data decide the shape") from error
    except Exception as error:
        text = str(error).splitlines()[0] if str(error) else ""
        raise NotTriedError(f"cannot be tried without data ({type(error).__name__}: {text})") from error
    if found:
        more = f", and at {len(set(found)) - 1} other places" if len(set(found)) > 1 else ""
        raise ContractError(
            f"a step waits for the device at {found[0].told()}{more}: on a GPU each step would stand still there; "
            f"{_KEEP_ASKING if found[0].callee else _KEEP}"
        )
    return "no step waits for the device"
