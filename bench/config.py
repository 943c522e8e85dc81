"""Settings of a run. Everything is resolved and checked here, before any data is loaded.

Three sources, the later wins: defaults in the class (and its reduced scale), the suite's TOML, `--set key=value`.
"""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import inspect
import itertools
import re
import reprlib
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, get_type_hints

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError

from bench.environment import package_version
from bench.record import (
    CUSTOM,
    LARGEST_NUMBER,
    check_size,
    code_hash,
    deeper_than,
    named_files,
    short_hash,
    with_settings,
)
from bench.registry import find, names, own_modules, own_source, public_name, suggest
from bench.run.contract import check_class, check_kind
from bench.run.scales import Scale
from bench.run_folder import MODEL_SOURCE, folder_name
from bench.run_settings import RunSettings

__all__ = [
    "Resolved",
    "RunConfig",
    "Scale",
    "assign",
    "build",
    "build_metrics",
    "check_values",
    "explain_error",
    "flat_enough",
    "make_runs",
    "parse_settings",
    "plain",
    "read_seeds",
    "setting_names",
    "shown_value",
    "source_hash",
    "split_metrics",
]

LARGEST_INTEGER = 10**15
_DEEPEST = 20
"""Of lists and tables in one another in a setting."""


class RunConfig(RunSettings):
    """One run: a model on a task with one seed."""

    model: str
    """Name in `baselines/` or of an installed package, or `my_gan.py:MyGAN`."""
    task: str
    """Name in `bench/tasks/` or of an installed package, or `my_task.py:MyTask`."""
    seed: Annotated[int, Field(ge=0, lt=2**63, strict=True)] = 0
    scale: Scale = "paper"
    """Defaults to start from: `paper` is the published setting; `small` and `smoke` are reduced and say so."""
    model_settings: Annotated[dict[str, Any], Field(default_factory=dict)]
    task_settings: Annotated[dict[str, Any], Field(default_factory=dict)]

    def resolve(self, *, elsewhere: bool = False) -> Resolved:
        """Look every name up and check every setting. Raises KeyError or ValueError that says what would be right.

        `elsewhere`: another machine will do the run, whose devices are not looked for here.
        """
        model_class, task_class = find("models", self.model), find("tasks", self.task)
        check_class(model_class)
        _check_quickly(model_class.Config, task_class)
        task = build(task_class, task_class.scales.get(self.scale, {}) | self.task_settings, self.task)
        settings = model_class.scales.get(self.scale, {}) | self.model_settings
        config = build(model_class.Config, settings, self.model)
        check_kind(model_class, task)
        chosen = self.metrics or _usual_metrics(model_class, task)
        metrics = build_metrics(chosen, self.metric_settings)
        temperatures = tuple(sorted({1.0, *self.temperatures}))
        run = self.model_copy(update={"temperatures": temperatures})
        for owner, kept in ((self.model, config), (self.task, task)):
            check_size(plain(kept), owner)
        return Resolved(
            run=run,
            model_class=model_class,
            model_config=config,
            task=task,
            metrics=metrics,
            elsewhere=elsewhere,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Resolved:
    """A run whose names are classes and whose settings are checked objects."""

    run: RunConfig
    model_class: type[Any]
    model_config: Any
    task: Any
    metrics: tuple[Any, ...]
    elsewhere: bool = False
    """Its device is that of another machine."""

    @cached_property
    def model_settings(self) -> dict[str, Any]:
        """The model's settings, resolved, as plain values."""
        return plain(self.model_config)

    @cached_property
    def changed(self) -> dict[str, Any]:
        """The model's settings that are not the scale's own. A setting without a default must be set and is none."""
        config_class, scale = self.model_class.Config, self.model_class.scales.get(self.run.scale, {})
        must = [f.name for f in dataclasses.fields(config_class) if f.init and _has_no_default(f)]
        needed = {name: getattr(self.model_config, name) for name in must}
        usual = plain(build(config_class, needed | scale, self.run.model))
        return {name: value for name, value in self.model_settings.items() if value != usual[name]}

    def title(self) -> str:
        """For people: `seqgan · grammar · seed 0`; a reduced scale is said, and so are changed settings, by name."""
        reduced = [self.run.scale] if self.run.scale != "paper" else []
        said = ", ".join([*reduced, *([CUSTOM] if self.changed else [])])
        name = f"{with_settings(self.model_name, self.changed)} · {self.task_name} · seed {self.run.seed}"
        return f"{name} · {said}" if said else name

    @cached_property
    def task_settings(self) -> dict[str, Any]:
        """The task's settings, resolved, as plain values."""
        return plain(self.task)

    @cached_property
    def file_hashes(self) -> dict[str, str]:
        """Setting of the task that names a file of the user's -> SHA-256 of it."""
        return self.task.file_hashes()

    @cached_property
    def config_hash(self) -> str:
        """What makes a row of a table: all that can move a score, but the seed, the code and the machine."""
        row = {
            "schema": 1,  # of this hash, not of records: a row goes on over versions of the record
            "model": _identity(self.run.model, self.model_class),
            "model_settings": _without_added(self.model_config),
            "task": f"{_identity(self.run.task, type(self.task))}@{self.task.version}",
            "task_settings": self.task_settings | self.file_hashes,
            "scale": self.run.scale,
            "n_samples": self.run.n_samples,
            "metrics": [[m.name, m.version, plain(m)] for m in self.metrics],
        }
        if self.run.fp32_precision != "ieee":
            row["fp32_precision"] = self.run.fp32_precision
        if self.run.selection != "last":
            row["selection"] = [self.run.selection, self.run.select_every]
        if self.run.last_phase:
            row["last_phase"] = self.run.last_phase
        return short_hash(row)

    @property
    def text_metrics(self) -> tuple[Any, ...]:
        """Those that real text is scored by as well: what the model alone brings along is not among them."""
        brought = () if self.run.metrics else set(_usual_metrics(self.model_class, self.task)) - {*self.task.metrics}
        return tuple(metric for metric in self.metrics if metric.name not in brought)

    @property
    def model_name(self) -> str:
        """As records call it: `seqgan`, or `my_gan.py:MyGAN` however its path was spelled."""
        return public_name(self.run.model, self.model_class)

    @property
    def task_name(self) -> str:
        """As records call it."""
        return public_name(self.run.task, type(self.task))

    @cached_property
    def model_source(self) -> bytes | None:
        """The file of a user's own model, to be kept with its record; None for a registered one."""
        return own_source(self.run.model, self.model_class)

    @cached_property
    def sources(self) -> dict[str, str]:
        """SHA-256 of the code of model and task, with the parts that they share, and of each of a user's own files."""
        found = {"model": source_hash(self.model_class), "task": source_hash(type(self.task))}
        return found | own_hashes(self.run.model, self.model_class) | named_files(self.file_hashes)

    @cached_property
    def run_id(self) -> str:
        """What makes a run: the row, the seed, when it is evaluated, CPU or GPU, and the sources of model and task.

        A finished run is found by it and not run again; after a change of a source it is another run.
        """
        run = self.run
        how = run.model_dump(include={"seed", "temperatures", "evaluate_every", "log_every", "on_alarm", "threads"})
        if run.cuda_graphs and self.device_kind == "cuda":
            how["cuda_graphs"] = True
        if run.evaluate_at:
            how["evaluate_at"] = sorted(set(run.evaluate_at))
        alarms = run.model_dump(include={"alarm_unique", "alarm_entropy"})
        sources = [self.sources["model"], self.sources["task"]]
        version = package_version("textgan-bench")
        return short_hash([self.config_hash, how, alarms, self.device_kind, sources, version])

    @cached_property
    def device(self) -> str:
        """`cpu`, `cuda` or `cuda:1`. Raises ValueError where there is no such device."""
        if self.elsewhere and self.run.device != "auto":
            return self.run.device
        import torch  # names are listed and text is scored without it

        if self.run.device == "auto":
            return "cuda" if torch.cuda.is_available() else "cpu"
        try:
            torch.empty(0, device=self.run.device)
            if (kind := torch.device(self.run.device).type) not in ("cpu", "cuda"):
                raise RuntimeError(f"nothing here trains on {kind}")
        except (RuntimeError, AssertionError) as error:
            reason = str(error).splitlines()[0]
            others = "cpu or auto" if self.run.device.startswith("cuda") else "cpu, cuda or auto"
            raise ValueError(f"no device {self.run.device!r} here ({reason}); use {others}") from error
        return self.run.device

    @property
    def device_kind(self) -> str:
        """`cpu` or `cuda`: a run that goes on with another GPU is the same run."""
        return self.device.partition(":")[0]

    def folder(self, runs: Path) -> Path:
        """`runs/<task>-<model>-<seed>-<run_id>`."""
        return runs / folder_name(self.task_name, self.model_name, self.run.seed, self.run_id)

    @cached_property
    def run_settings(self) -> RunSettings:
        """The run's own settings as they take effect, for its record: a function of what the run is.

        A default that was spelled out is as if it had not been; the device is its kind.
        """
        own = RunSettings.model_validate(self.run.model_dump(include=set(RunSettings.model_fields)))
        usual = tuple(m.name for m in self.metrics) == _usual_metrics(self.model_class, self.task)
        changed = {m.name: _other_than_default(m) for m in self.metrics}
        effective = {
            "metrics": () if usual else tuple(m.name for m in self.metrics),
            "metric_settings": {name: settings for name, settings in changed.items() if settings},
            "evaluate_at": tuple(sorted(set(own.evaluate_at))),
            "device": self.device_kind,
            "cuda_graphs": own.cuda_graphs and self.device_kind == "cuda",
        }
        return own.model_copy(update=effective)


def _has_no_default(setting: dataclasses.Field[Any]) -> bool:
    return setting.default is dataclasses.MISSING and setting.default_factory is dataclasses.MISSING


def _check_quickly(*settings_classes: type[Any]) -> None:
    """Leave with each class what pydantic checks it with, where pydantic looks for it.

    To make that takes a hundred times as long as to use it, and a suite resolves the same classes for each of its runs.
    """
    for each in settings_classes:
        if "__pydantic_validator__" not in vars(each):
            made: TypeAdapter[Any] = TypeAdapter(each)
            each.__pydantic_core_schema__ = made.core_schema
            each.__pydantic_validator__ = made.validator
            each.__pydantic_serializer__ = made.serializer


def _usual_metrics(model_class: type[Any], task: Any) -> tuple[str, ...]:
    """The metrics of a run that names none: the task's, and that of a bound where a model has no likelihood."""
    bound = hasattr(model_class, "nll_bound") and not hasattr(model_class, "log_prob")
    return (*task.metrics, *(["nll_bound"] if bound and "nll_gen" in task.metrics else []))


def build_metrics(chosen: Sequence[str], settings: Mapping[str, Mapping[str, Any]]) -> tuple[Any, ...]:
    """Checked metrics. Raises KeyError for settings of a metric that is not among them."""
    if unused := sorted(set(settings) - set(chosen)):
        raise KeyError(f"{unused[0]} is set, but is not among the metrics; {suggest(unused[0], chosen)}")
    classes = [find("metrics", name) for name in chosen]
    _check_quickly(*classes)
    return tuple(
        build(each, own, name) if (own := settings.get(name)) else _with_defaults(each, name)
        for name, each in zip(chosen, classes, strict=True)
    )


_WITH_DEFAULTS: dict[type[Any], Any] = {}


def _with_defaults(metric: type[Any], name: str) -> Any:
    """One for all who ask: a metric is pure and its settings stay as they are. Many presets ask for the same ones."""
    if metric not in _WITH_DEFAULTS:
        _WITH_DEFAULTS[metric] = build(metric, {}, name)
    return _WITH_DEFAULTS[metric]


def _other_than_default(metric: Any) -> dict[str, Any]:
    usual = plain(_with_defaults(type(metric), metric.name))
    return {name: value for name, value in plain(metric).items() if usual[name] != value}


def plain(settings: Any) -> dict[str, Any]:
    """A settings object as JSON values."""
    values: dict[str, Any] = TypeAdapter(type(settings)).dump_python(settings, mode="json")
    return values


def _without_added(settings: Any) -> dict[str, Any]:
    """As `plain`, without `ADDED` settings (`baselines/common/interface.py`) that are at their default."""
    later = {f.name: f.default for f in dataclasses.fields(settings) if f.metadata.get("added")}
    return {name: value for name, value in plain(settings).items() if name not in later or value != later[name]}


def setting_names(settings_class: type[Any]) -> list[str]:
    """Names of the settings of a model's `Config`, a task or a metric."""
    return [f.name for f in dataclasses.fields(settings_class) if f.init]


def build(settings_class: type[Any], values: Mapping[str, Any], owner: str) -> Any:
    """A checked settings object. `owner` is the public name that an error speaks of."""
    for name in values:
        if name not in setting_names(settings_class):
            raise KeyError(f"{owner} has no setting {name!r}; {suggest(name, setting_names(settings_class))}")
    try:
        settings = TypeAdapter(settings_class).validate_python(dict(values))
    except ValidationError as error:
        raise ValueError(f"{owner}: {explain_error(error)}") from error
    except PydanticSchemaGenerationError as error:
        raise ValueError(f"{owner}: {_no_setting(settings_class)}") from error
    check_values(values, settings, f"{owner}: ")
    return settings


def _no_setting(settings_class: type[Any]) -> str:
    """Which setting has a type that no text can be read as."""
    for name, kind in get_type_hints(settings_class, include_extras=True).items():
        try:
            TypeAdapter(kind)
        except PydanticSchemaGenerationError:
            return (
                f"the setting {name} has the type {getattr(kind, '__name__', kind)}, which no setting can have: int, "
                "float, str, bool, None, Literal, Enum, Path, and tuples, lists and tables of these"
            )
    return "a setting has a type that no setting can have"


def check_values(values: Mapping[str, Any], settings: Any, where: str = "") -> None:
    """What pydantic takes and no setting is, `settings` being what it made of it. Raises ValueError.

    `true` and `false` are no numbers, although Python takes them for 1 and 0. A number over `LARGEST_NUMBER`, or one
    that is not finite, could not stand in a record; an integer over `LARGEST_INTEGER` is no size of anything.
    """
    for name, value in values.items():
        if (wish := _other_than_number(value, getattr(settings, name, None))) is not None:
            raise ValueError(f"{where}{name} takes {wish}, got {shown_value(value)}")


def _other_than_number(given: Any, taken: Any) -> str | None:
    """What is expected in the place of a value that is no number as settings have it; None: it is one, or no number."""
    if isinstance(given, list | tuple) and isinstance(taken, list | tuple):
        return next(filter(None, map(_other_than_number, given, taken)), None)
    if isinstance(taken, bool) or not isinstance(taken, int | float):
        return None
    if isinstance(given, bool):
        return "a number"
    if isinstance(taken, int) and abs(taken) > LARGEST_INTEGER:
        return f"an integer of at most {LARGEST_INTEGER:,}"
    return None if abs(taken) <= LARGEST_NUMBER else f"a finite number of at most {LARGEST_NUMBER:g}"


_TYPES = {
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
    "string": "text",
    "tuple": "a list",
    "list": "a list",
    "dict": "a table",
    "model": "a table",
    "dataclass": "a table",
}
_BY_OPTION: Mapping[int | str, str] = {"temperatures": "--temperature", "metrics": "--metric", "scale": "--scale"}
"""Settings of a run that the command line has options for."""
_UNIONS = re.compile(r"(int|float|str|constrained-\w+|(dict|tuple|list|function-\w+|nullable|union)\[.*\])")
"""What pydantic puts into the place of an error beside names of fields."""


def explain_error(
    error: ValidationError, known: Callable[[Sequence[int | str]], Iterable[str]] | None = None, inside: str = ""
) -> str:
    """The first complaint of pydantic in our words: `runs[0].rollouts takes an integer, got 'abc'`.

    `known` says what may stand at a place; `inside` is a part of it that nobody wrote.
    """
    found = error.errors(include_url=False)
    first = next((each for each in found if each["type"] == "extra_forbidden"), found[0])  # it tells why another lacks
    place = [part for part in first["loc"] if isinstance(part, int) or not _UNIONS.fullmatch(part)]
    said = place[1:] if place and place[0] == inside else place
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in said).strip(".") or "settings"
    if known is None and said and said[0] in _BY_OPTION:
        where = f"{said[0]} ({_BY_OPTION[said[0]]})"
    kind = first["type"].partition("_")[0]
    match first["type"]:
        case "value_error":
            return f"{where}: {first['ctx']['error']}" if said else str(first["ctx"]["error"])
        case "missing":
            return f"{where} must be set" + (f" (--set {where}=...)" if known is None else "")
        case "literal_error":
            return f"{where} is one of {first['ctx']['expected']}, got {shown_value(first['input'])}"
        case "extra_forbidden":
            return f"{where} is not a setting" + (f"; {suggest(str(place[-1]), known(place[:-1]))}" if known else "")
    if kind in _TYPES and first["type"].endswith(("_parsing", "_type", "_from_float")):
        return f"{where} takes {_TYPES[kind]}, got {shown_value(first['input'])}"
    wish = first["msg"][0].lower() + first["msg"][1:]
    return f"{where}: {wish}, got {shown_value(first['input'])}"


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 100


def shown_value(value: Any) -> str:
    """A value as a message has it: short, however long it is, and a date as it is written."""
    return value.isoformat() if isinstance(value, datetime.date | datetime.time) else _SHORT.repr(value)


def flat_enough(value: Any) -> Any:
    """The same, if its lists and tables lie in one another as settings do. Raises ValueError."""
    if deeper_than(value, _DEEPEST):
        raise ValueError(f"lists or tables in one another, more than {_DEEPEST} deep")
    return value


def parse_settings(assignments: Sequence[str]) -> dict[str, Any]:
    """`["rollouts=8", "path=my.txt"]` -> values. A value is read as TOML; what is not TOML is text."""
    values: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not key:
            raise ValueError(f"--set takes key=value, got {shown_value(assignment)}")
        try:
            document = tomllib.loads(f"value = {text}")
            values[key] = flat_enough(document["value"]) if len(document) == 1 else text
        except tomllib.TOMLDecodeError:
            values[key] = text
        except (ValueError, RecursionError) as error:
            reason = "lists or tables in one another without end" if isinstance(error, RecursionError) else error
            raise ValueError(f"--set {key}: {reason}") from None
    return values


_ELSEWHERE = {
    "model": "the first word of `run`, or `model` of a suite",
    "task": "the second word of `run`, or `task` of a suite",
    "seed": "--seed, or `seeds` of a suite",
}
"""Where that is said which makes a run and could be taken for a setting of it."""


def assign(values: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """Put each `--set` where it belongs: the model's settings, the task's, or the run's own.

    A name that two of them have must say which: `model.length`, `task.length`, `run.device`; a metric's setting always
    says whose: `lm_score.order`. Model, task and seed make the run and are no settings of it.
    """
    model_class, task_class = find("models", config["model"]), find("tasks", config["task"])
    owners = {
        "model": setting_names(model_class.Config),
        "task": setting_names(task_class),
        "run": [n for n in RunConfig.model_fields if not n.endswith("_settings") and n not in _ELSEWHERE],
    }
    result = {**config, "model_settings": {**config.get("model_settings", {})}}
    result["task_settings"] = {**config.get("task_settings", {})}
    values, metric_settings = split_metrics(values)
    result["metric_settings"] = {**config.get("metric_settings", {}), **metric_settings}
    for key, value in values.items():
        prefix, _, name = key.rpartition(".")
        if prefix in ("", "run") and name in _ELSEWHERE and not any(name in names for names in owners.values()):
            raise KeyError(f"{name} is no setting: give it as {_ELSEWHERE[name]}")
        having = [o for o in ([prefix] if prefix else owners) if name in owners.get(o, [])]
        if len(having) > 1:
            raise KeyError(f"{name!r} is a setting of {' and '.join(having)}; write {having[0]}.{name}=...")
        if not having:
            known = itertools.chain.from_iterable(owners.values())
            who = f"{config['model']} on {config['task']}"
            raise KeyError(f"{who} has no setting {key!r}; {suggest(name, known)}")
        if having[0] == "run":
            result[name] = value
        else:
            result[f"{having[0]}_settings"][name] = value
    return result


def split_metrics(values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Settings of metrics (`lm_score.order`) apart from all others."""
    others, of_metrics = {}, dict[str, dict[str, Any]]()
    for key, value in values.items():
        prefix, _, name = key.partition(".")
        if name and prefix in names("metrics"):
            of_metrics.setdefault(prefix, {})[name] = value
        else:
            others[key] = value
    return others, of_metrics


_MOST_SEEDS = 10_000


def read_seeds(values: Iterable[object]) -> list[int]:
    """`["0-2", "7"]` -> [0, 1, 2, 7], each once. Raises ValueError that says how seeds are written."""
    seeds: dict[int, None] = {}
    for value in values:
        found = None if isinstance(value, bool) else re.fullmatch(r"(\d{1,18})(?:-(\d{1,18}))?", str(value))
        if found is None:
            numbers = re.findall(r"\d+", str(value))
            between = "-" if re.fullmatch(r"\d+\s*(\.\.\.?|:|–|-)\s*\d+", str(value)) else " "
            several = between == "-" or len(str(value).replace(",", " ").split()) > 1
            meant = f": write --seed {between.join(numbers)}, without quotes" if several and numbers else ""
            raise ValueError(f"seeds are whole numbers from 0 on, as --seed 0 1 2 or 0-2, got {str(value)!r}{meant}")
        first, last = int(found[1]), int(found[2] or found[1])
        if last < first:
            raise ValueError(f"seeds {value}: that ends before it begins: write --seed {last}-{first}")
        if last - first >= _MOST_SEEDS:
            raise ValueError(f"seeds {value} are {last - first + 1:,} runs; at most {_MOST_SEEDS:,}")
        seeds |= dict.fromkeys(range(first, last + 1))
    return list(seeds)


def make_runs(config: Mapping[str, Any], seeds: Sequence[int]) -> list[RunConfig]:
    """One checked `RunConfig` per seed."""
    try:
        runs = [RunConfig.model_validate({**config, "seed": seed}) for seed in seeds]
    except ValidationError as error:
        raise ValueError(explain_error(error)) from error
    for run in runs:
        check_values(config, run)
    return runs


def _identity(name: str, member: type[Any]) -> str:
    """What makes a model or a task the same in two runs: its name; of a user's own file, class and content."""
    code = code_hash(own_hashes(name, member))
    return name if code is None else f"{member.__name__}@{code}"


def own_hashes(name: str, member: type[Any]) -> dict[str, str]:
    """SHA-256 of a user's own file, as it is kept with the record, and of what it imports of the user's; else empty."""
    if (source := own_source(name, member)) is None:
        return {}
    beside = {f"import {module}": path.read_bytes() for module, path in own_modules(name, member).items()}
    return {n: hashlib.sha256(content).hexdigest() for n, content in {MODEL_SOURCE: source, **beside}.items()}


def source_hash(member: type[Any]) -> str:
    """Hash of the file of a class and of the parts it may share (`common/` and `_*.py` beside it)."""
    source = Path(inspect.getfile(member))
    shared = [*source.parent.glob("common/**/*.py"), *source.parent.glob("_*.py")]
    if source.name == "__init__.py":
        shared += [*source.parent.glob("*.py"), *source.parent.parent.glob("common/**/*.py")]
    total = hashlib.sha256()
    for path in sorted({source, *shared}):
        total.update(path.read_bytes())
    return total.hexdigest()
