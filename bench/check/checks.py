"""The contract of a model in seconds: each check with what it found, or with what is wrong and what would be right.

What a model does on the sentences of a task is tried there, in a few steps. What takes many trainings, or all sentences
that there are, is tried on three words (`TINY`), where a model takes such sentences.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import time
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from baselines.common.interface import TextGenerator
from baselines.common.spec import SequenceSpec
from bench.check.cases import TINY, Case, NotTriedError, kinds_of
from bench.check.labels import LABELLED, check_labels
from bench.check.likelihood import check_agreement, check_likelihood, check_likelihood_at, check_padding
from bench.check.sampling import check_samples, check_temperature
from bench.check.training import (
    check_evaluation,
    check_parameters,
    check_phases,
    check_resume,
    check_seed,
    check_steps,
)
from bench.check.waits import check_waits
from bench.config import build, plain
from bench.randomness import isolated
from bench.registry import find
from bench.run.contract import ContractError, check_class
from bench.score.drawing import draw
from bench.task import TextData

__all__ = ["NAMES", "Result", "Status", "check_model"]

Status = Literal["passed", "failed", "skipped"]

_MOST = 4
"""Steps of each phase on a task's sentences."""
_MOST_TINY = 6
"""Steps of each phase on three words."""
_OTHER_TEMPERATURE = 0.6


@dataclass(frozen=True, kw_only=True)
class Result:
    """What one check found."""

    check: str
    status: Status
    told: str
    seconds: float


@dataclass(frozen=True)
class _Model:
    """A model that is checked: what is known of it is found when a check asks for it."""

    name: str
    settings: Mapping[str, Any]
    scale: str
    data: TextData

    @functools.cached_property
    def cls(self) -> type[TextGenerator]:
        """Raises KeyError, ValueError or ContractError for what the file or the class alone shows."""
        found: type[TextGenerator] = find("models", self.name)
        check_class(found)
        return found

    @functools.cached_property
    def file(self) -> Path | None:
        """Of its class, if that could be imported."""
        found = vars(self).get("cls")
        return None if found is None else Path(inspect.getfile(found)).resolve()

    @functools.cached_property
    def config(self) -> Any:
        """Its settings."""
        return _checked_settings(self.cls, self.settings, self.scale, self.name)

    @functools.cached_property
    def on_task(self) -> Case:
        """A few steps on a task's sentences."""
        spec, train = self.data.spec, self.data.train
        return Case(model=self.cls, config=self.config, spec=spec, train=train, most=_MOST)

    @functools.cached_property
    def too_small(self) -> str:
        """Why it cannot be tried on three words, although it trains on a task's; empty: it can."""
        try:
            for spec in TINY.values():
                draw(dataclasses.replace(_on_three_words(self.on_task, spec), most=1).trained, 3, seed=0)
        except Exception as error:  # noqa: BLE001 - layers of fixed sizes raise what they like
            return (
                f"not tried on sentences of three words, where all can be listed: there it raises {_first_line(error)}"
            )
        return ""

    def tiny(self, kind: str = "ending") -> Case:
        """On three words. Raises `NotTriedError` where it does not take them."""
        if self.too_small:
            raise NotTriedError(self.too_small)
        return self._tiny[kind]

    @functools.cached_property
    def _tiny(self) -> Mapping[str, Case]:
        return {kind: _on_three_words(self.on_task, spec) for kind, spec in TINY.items()}

    @property
    def labelled(self) -> Case:
        """On three words and two labels. Raises `NotTriedError` where it does not take so few."""
        if self.too_small:
            raise NotTriedError(self.too_small)
        return _on_three_words(self.on_task, LABELLED)

    @property
    def small(self) -> Case:
        """For what takes many trainings: three words, or else the task's sentences."""
        return self.on_task if self.too_small else self.tiny()


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _on_three_words(case: Case, spec: SequenceSpec) -> Case:
    return dataclasses.replace(case, spec=spec, train=None, most=_MOST_TINY)


def _of_kinds(check: Callable[[Case], str], *kinds: str) -> Callable[[_Model], str]:
    """A check on several kinds of sentences; what it says is of the last that it applies to."""

    def run(model: _Model) -> str:
        return [check(model.tiny(kind)) for kind in kinds][-1]

    return run


def _kinds(model: _Model) -> str:
    """It takes sentences of each kind that tasks have, in the sizes of this task."""
    for told, spec in kinds_of(model.on_task.spec).items():
        case = dataclasses.replace(model.on_task, spec=spec, train=None, most=1)
        try:
            draw(case.trained, 3, seed=0)
        except Exception as error:
            said = _words(error, model.file)
            raise ContractError(f"it fails on sentences {told}, as some tasks have: {said}") from error
    return "of one length, and with an end token, which may be the start and the padding too"


def _class(model: _Model) -> str:
    line = inspect.getsourcelines(model.cls)[1]
    return f"{model.cls.__name__} in {Path(inspect.getfile(model.cls)).name}, line {line}"


def _settings(model: _Model) -> str:
    return f"{len(plain(model.config))}, at scale {model.scale}, all of the types that they declare"


_ALL = ("fixed", "own_ids", "ending")
_CHECKS: Mapping[str, Callable[[_Model], str]] = {
    "class": _class,
    "settings": _settings,
    "phases": lambda model: check_phases(model.on_task),
    "steps": lambda model: check_steps(model.on_task),
    "samples": lambda model: check_samples(model.on_task),
    "kinds of sentences": _kinds,
    "parameters": lambda model: check_parameters(model.small),
    "seed": lambda model: check_seed(model.small),
    "resume": lambda model: check_resume(model.small),
    "evaluation": lambda model: check_evaluation(model.small),
    "temperature": lambda model: check_temperature(model.small),
    "log_prob": _of_kinds(check_likelihood, *_ALL),
    "after the end": _of_kinds(check_padding, "own_ids", "ending"),
    "log_prob and sample": _of_kinds(check_agreement, *_ALL),
    "log_prob at a temperature": _of_kinds(
        functools.partial(check_likelihood_at, temperature=_OTHER_TEMPERATURE), *_ALL
    ),
    "labels": lambda model: check_labels(model.labelled),
    "no waiting": lambda model: check_waits(model.on_task),
}
NAMES = tuple(_CHECKS)
_NEEDED = ("class", "settings", "phases", "steps")
"""Where one of these fails, nothing that follows can be tried."""


def check_model(
    name: str, settings: Mapping[str, Any], scale: str, data: TextData, only: Collection[str] = NAMES
) -> Iterator[Result]:
    """Every check of a model, by its name or `my_gan.py:MyGAN`, as it is done; settings are changes of the scale's.

    `only`: the checks to do, beside those that all others need.
    """
    model, lacking = _Model(name, settings, scale, data), ""
    for check, act in _CHECKS.items():
        if check not in (*_NEEDED, *only):
            continue
        if lacking:
            yield Result(check=check, status="skipped", told=f"not tried before {lacking!r} is right", seconds=0.0)
            continue
        with _one_thread():  # what is computed is small: several threads take longer
            result = _result(check, act, model)
        if result.status == "failed" and check in _NEEDED:
            lacking = check
        yield result


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _result(check: str, act: Callable[[_Model], str], model: _Model) -> Result:
    """Do one check; whatever a model raises in it is said with the line of its file that did."""
    begun = time.perf_counter()
    status: Status = "passed"
    with isolated(0):
        try:
            told = act(model)
        except NotTriedError as reason:
            status, told = "skipped", str(reason)
        except ContractError as error:
            status, told = "failed", str(error)
        except Exception as error:  # noqa: BLE001 - a model may raise anything, and that is what is told
            status, told = "failed", _words(error, model.file)
    return Result(check=check, status=status, told=told, seconds=time.perf_counter() - begun)


def _words(error: Exception, file: Path | None) -> str:
    """What was raised, and where in the model's own file; what the harness raises in words is said as it is."""
    text = str(error.args[0] if isinstance(error, KeyError) and error.args else error).strip() or type(error).__name__
    frames = [f for f in traceback.extract_tb(error.__traceback__) if file and Path(f.filename).resolve() == file]
    if not frames:
        return text if isinstance(error, ValueError | KeyError) else f"{type(error).__name__}: {text}"
    place = f"{Path(frames[-1].filename).name}, line {frames[-1].lineno}: `{frames[-1].line}`"
    return f"{place}: {type(error).__name__}: {text}"


def _checked_settings(model: type[Any], settings: Mapping[str, Any], scale: str, name: str) -> Any:
    """The settings of a scale. Raises ContractError where a default is missing, or not of the type that it declares."""
    for field in dataclasses.fields(model.Config):
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ContractError(f"{name}: the setting {field.name} has no default; each needs one, the published value")
    usual = {
        field.name: field.default
        for field in dataclasses.fields(model.Config)
        if field.default is not dataclasses.MISSING
    }
    try:
        build(model.Config, usual, name)  # a dataclass does not look at its defaults
    except (ValueError, KeyError) as error:
        raise ContractError(f"{error.args[0]}: that is its default") from error
    for reduced, changes in model.scales.items():
        if reduced not in ("smoke", "small", "paper"):
            raise ContractError(f"scales has {reduced!r}; there are smoke and small, and paper is the defaults")
        try:
            build(model.Config, {**changes, **settings}, name)
        except (ValueError, KeyError) as error:
            raise ContractError(f"scale {reduced}: {error.args[0]}") from error
    return build(model.Config, {**model.scales.get(scale, {}), **settings}, name)
