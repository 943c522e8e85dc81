"""A model that is not what `baselines/common/interface.py` asks for: told in words, with the place and the right form.

What a class shows is checked when its name is looked up; what needs data, before the first run of a command; what a
step returns, at every step, and what is drawn and how likely it is, at every evaluation. Of a user's own model these
are tried once, before anything is trained.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.registry import suggest

if TYPE_CHECKING:  # torch: not where names are only looked up
    from baselines.common.interface import Phase, TextGenerator
    from baselines.common.spec import SequenceSpec
    from bench.config import Resolved
    from bench.task import Task, TextData

__all__ = [
    "ContractError",
    "built",
    "check_class",
    "check_kind",
    "check_seeded",
    "check_values",
    "checked_phases",
    "place_of",
    "steps_of",
]

_PHASES = 'phases() returns a list, as [Phase("mle", self.config.steps, self.step)]'
_RETURNED = 'a step returns what is to be logged, as {"loss": loss.detach()}'


class ContractError(ValueError):
    """A model breaks the contract between models and the harness."""


def place_of(thing: Any) -> str:
    """`my_gan.py, line 12` of a class or a function; the name alone, where its source is not there."""
    thing = inspect.unwrap(getattr(thing, "func", thing))  # of a partial, what it calls
    try:
        return f"{Path(inspect.getfile(thing)).name}, line {inspect.getsourcelines(thing)[1]}"
    except (OSError, TypeError):
        return str(getattr(thing, "__qualname__", thing))


def _takes(function: Callable[..., Any], *arguments: Any, **named: Any) -> bool:
    """Whether it can be called so."""
    try:
        inspect.signature(function).bind(*arguments, **named)
    except TypeError:
        return False
    except ValueError:  # no signature is known
        return True
    return True


def check_class(model: type[Any]) -> None:
    """Raise ContractError for what the class alone shows."""
    name = model.__name__
    calls: list[tuple[str, tuple[Any, ...], dict[str, Any], str]] = [
        ("__init__", (None, None, None), {}, "def __init__(self, config, spec)"),
        ("phases", (None,), {}, "def phases(self)"),
        ("sample", (None, 1), {"temperature": 1.0}, "def sample(self, n, *, temperature=1.0)"),
        ("log_prob", (None, None), {}, "def log_prob(self, tokens)"),
        ("transfer", (None, None, None), {}, "def transfer(self, tokens, labels)"),
        ("label_log_prob", (None, None), {}, "def label_log_prob(self, tokens)"),
        ("nll_bound", (None, None), {"draws": 1}, "def nll_bound(self, tokens, *, draws=1)"),
    ]
    for method, arguments, named, right in calls:
        function = getattr(model, method, None)
        if function is not None and not _takes(function, *arguments, **named):
            why = f"{place_of(function)}: {name}.{method} is called as `{right}`, and cannot be"
            if _takes(function, *arguments, **named, labels=None):
                why += ": labels needs the default None"
            raise ContractError(why)
    _check_config(model, name)


def check_kind(model: type[Any], task: Task) -> None:
    """Raise ContractError where the model cannot do what the task asks for, with who can."""
    from bench.registry import find, names
    from bench.rewriting.data import RewritingTask

    rewrites = hasattr(model, "transfer")
    if isinstance(task, RewritingTask):
        if not rewrites and "labels" not in inspect.signature(model.sample).parameters:
            raise ContractError(
                f"{model.__name__} rewrites no sentences, and {task.name} asks for nothing else: give it a model with "
                "`transfer(self, tokens, labels)`, or one that can be told a class, `sample(self, n, *, labels)`"
            )
    elif rewrites:
        fitting = [name for name in names("tasks") if issubclass(find("tasks", name), RewritingTask)]
        raise ContractError(
            f"{model.__name__} rewrites sentences, and {task.name} asks for none: give it {', '.join(fitting)}"
        )


def _check_config(model: type[Any], name: str) -> None:
    from baselines.common.interface import BaseConfig

    config = model.Config
    if not inspect.isclass(config) or not issubclass(config, BaseConfig):
        raise ContractError(
            f"{place_of(config)}: {name}.Config must extend BaseConfig, which has batch_size and shuffle: "
            "`class Config(BaseConfig)`"
        )
    fields = {field.name for field in dataclasses.fields(config)}
    own = [key for key, hint in vars(config).get("__annotations__", {}).items() if "ClassVar" not in str(hint)]
    if left_out := [key for key in own if key not in fields]:
        raise ContractError(
            f"{place_of(config)}: {left_out[0]} is no setting, because {name}.Config is no dataclass of its own: write "
            "@dataclass(frozen=True, kw_only=True) above it"
        )
    plain = [key for key, value in vars(config).items() if isinstance(value, int | float | str) and key[0] != "_"]
    if untyped := [key for key in plain if key not in fields and key not in own and key not in _annotated(config)]:
        key = untyped[0]
        raise ContractError(
            f"{place_of(config)}: {key} is no setting, because it has no type: write "
            f"{key}: {type(vars(config)[key]).__name__} = {vars(config)[key]!r}, or ClassVar where it is none"
        )


def _annotated(config: type[Any]) -> set[str]:
    """Names that a class or one that it extends annotates."""
    return {name for each in config.__mro__ for name in vars(each).get("__annotations__", {})}


def built(model: type[Any], config: Any, spec: SequenceSpec) -> TextGenerator:
    """The model. Raises ContractError where its `__init__` does not begin as it must, and what else that raises."""
    import torch

    create: Any = model.__new__
    made, seed = create(model), torch.initial_seed()
    first = f"{place_of(model.__init__)}: __init__ of {model.__name__} must begin with super().__init__(config, spec)"
    try:
        made.__init__(config, spec)
    except Exception as error:
        if "_modules" not in vars(made):  # of torch's Module, which was not there yet
            raise ContractError(first) from error
        raise
    if any(name not in vars(made) for name in ("_modules", "config", "spec", "optimizers")):
        raise ContractError(first)
    check_seeded(seed, model.__init__)
    generator: TextGenerator = made
    return generator


def check_seeded(seed: int, by: Callable[..., Any]) -> None:
    """Raise ContractError if torch's generators do not go on from `seed`, as somebody's function has seeded them."""
    import torch

    if torch.initial_seed() != seed:
        raise ContractError(
            f"{place_of(by)}: torch's generators were seeded (torch.manual_seed), so that all seeds would be one run; "
            "the harness seeds them once, before __init__"
        )


def checked_phases(model: TextGenerator, last: str = "") -> list[Phase]:
    """Its phases, to the one named `last` if there is a name. Raises ContractError where they are none."""
    from baselines.common.interface import Phase

    place = place_of(type(model).phases)
    try:
        phases = model.phases()
    except Exception as error:
        raise ContractError(f"{place}: phases() must name the steps and do none; it raised {_error(error)}") from error
    if not isinstance(phases, Sequence) or isinstance(phases, str):
        raise ContractError(f"{place}: {_PHASES}; got {_told(phases)}")
    if not phases:
        raise ContractError(f"{place}: {_PHASES}; got an empty list, so that nothing would be trained")
    for number, phase in enumerate(phases):
        what = f"phases()[{number}]"
        if not isinstance(phase, Phase):
            raise ContractError(f"{place}: {what} is {_told(phase)}, not a Phase: {_PHASES}")
        if not isinstance(phase.name, str) or not re.fullmatch(r"[^\W_][\w .+-]{0,59}", phase.name):
            raise ContractError(
                f"{place}: {what} is named {phase.name!r:.80}; a name, which names files too, is of at most 60 "
                "letters, digits, blanks, '_', '.', '+' and '-', and begins with one of the first two"
            )
        if type(phase.steps) is not int or phase.steps < 0:
            raise ContractError(f"{place}: {what}.steps is {phase.steps!r}; a whole number from 0 on is needed")
        if not callable(phase.step):
            raise ContractError(
                f"{place}: {what}.step is {_told(phase.step)}: name the method, self.step, and do not call it"
            )
        if not _takes(phase.step, None):
            raise ContractError(
                f"{place_of(phase.step)}: the step of phase {phase.name!r} is called with the stream of batches: "
                "def step(self, batches)"
            )
    names = [phase.name for phase in phases]
    folded = [name.casefold() for name in names]
    if twice := [name for name in names if folded.count(name.casefold()) > 1]:
        raise ContractError(
            f"{place}: two phases are named {twice[0]!r}, capitals apart; records, tables and files tell them by name"
        )
    if last and last not in names:
        raise ContractError(f"{type(model).__name__} has no phase {last!r} to end with; {suggest(last, names)}")
    return list(phases)[: names.index(last) + 1] if last else list(phases)


def check_values(values: Any, phase: Phase) -> None:
    """Raise ContractError for what a step returned, if it cannot be logged. Reads no tensor, so that no step waits."""
    from torch import Tensor

    if isinstance(values, Mapping):
        wrong = next((item for item in values.items() if not _can_be_logged(*item, Tensor)), None)
        if wrong is None:
            return
        what = f"its {wrong[0]!r} is {_told(wrong[1])}"
        what += {
            float: ": leave out .item()",
            int: ": write torch.tensor(…)",
        }.get(type(wrong[1]), ": a 0-d tensor is needed, as loss.mean().detach()")
        if not isinstance(wrong[0], str):
            what = f"its name {wrong[0]!r} is {_told(wrong[0])}: a name is text"
    else:
        what = f"it returned {_told(values)}"
        what += {type(None): ": is `return` missing?"}.get(type(values), "")
    raise ContractError(f"{place_of(phase.step)}: phase {phase.name!r}: {_RETURNED}; {what}")


def _can_be_logged(name: Any, value: Any, tensor: type[Any]) -> bool:
    return isinstance(name, str) and isinstance(value, tensor) and value.ndim == 0


def _error(error: Exception) -> str:
    """With the line that raised it."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} ({error}) in {Path(frame.filename).name}, line {frame.lineno}: `{frame.line}`"


def _told(value: Any) -> str:
    """What a value is, in words."""
    if value is None:
        return "None"
    if hasattr(value, "shape"):
        return f"a {type(value).__name__} of shape {tuple(value.shape)}"
    return f"{'an' if type(value).__name__[0] in 'aeiou' else 'a'} {type(value).__name__}"


def steps_of(resolved: Resolved, data: TextData) -> dict[str, int]:
    """The steps of each phase of a run. Raises ContractError.

    Nothing where the model cannot be built for another reason: its run meets that too, and records it.
    """
    broken: ContractError | None = None
    with suppress(Exception):
        try:
            model = built(resolved.model_class, resolved.model_config, data.spec)
            phases = checked_phases(model, resolved.run.last_phase)
            if resolved.model_source is not None and resolved.device_kind == "cpu":
                _try_a_step(phases, resolved, data)
                _try_to_sample(model, data)
            return {phase.name: phase.steps for phase in phases}
        except ContractError as error:
            broken = error
    if broken is not None:
        raise broken
    return {}


def _try_a_step(phases: Sequence[Phase], resolved: Resolved, data: TextData) -> None:
    """One step of a user's own model, thrown away: what it returns is known before anything is set up."""
    import torch

    from bench.randomness import isolated
    from bench.run.batches import BatchStream

    phase = next((phase for phase in phases if phase.steps), None)
    if phase is None:
        return
    config = resolved.model_config
    returned: list[Any] = []
    with isolated(0), suppress(Exception):  # an error of the step itself is met by the run too, which records it
        device = torch.device("cpu")
        stream = BatchStream(data.train, config.batch_size, shuffle=config.shuffle, seed=0, device=device)
        returned.append(phase.step(stream))
    for values in returned:
        check_values(values, phase)


def _try_to_sample(model: TextGenerator, data: TextData) -> None:
    """Two sentences drawn, and the likelihood of two: a wrong form is told before the training and not after it."""
    import torch

    from baselines.common.interface import HasLogProb, Rewriter
    from bench.randomness import isolated
    from bench.score.drawing import check_drawn

    drawn: list[Any] = []
    found: list[Any] = []
    model.eval()
    if not isinstance(model, Rewriter):
        with isolated(0), suppress(Exception), torch.no_grad():  # not every model can be sampled before its training
            drawn.append(model.sample(2))
    if isinstance(model, HasLogProb):
        with isolated(0), suppress(Exception), torch.no_grad():
            found.append(model.log_prob(torch.from_numpy(data.train[:2])))
    name, n = type(model).__name__, len(data.train[:2])
    for ids in drawn:
        try:
            check_drawn(ids, 2, data.spec, f"{name}.sample(2)")
        except ValueError as error:
            raise ContractError(f"{place_of(model.sample)}: {error}") from None
    for values in found:
        if not isinstance(values, torch.Tensor) or tuple(values.shape) != (n,):
            raise ContractError(
                f"{place_of(model.log_prob)}: {name}.log_prob of {n} sentences must return a tensor of shape ({n},), a "
                f"number for each, got {_told(values)}"
            )
