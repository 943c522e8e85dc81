"""The commands. Each looks everything up and checks it before anything slow starts, and loads only what it needs."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import re
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import typer

from bench.api import configs_of, load
from bench.config import Resolved, Scale, parse_settings
from bench.launch.options import LaunchOptions, slots
from bench.places import SUITES
from bench.registry import Kind, find, names, suggest
from bench.reproduce.cli import reproduce_command
from bench.run_folder import find_starts
from bench.run_settings import MOST_SENTENCES
from bench.score.cli import explain_command, score_command
from bench.streams import INTERRUPTED
from bench.suite import read_suite
from bench.terminal import (
    Experiment,
    Jobs,
    JobsPerGpu,
    Metrics,
    Rerun,
    Runs,
    SaveEvery,
    Settings,
    TrackerOption,
    TrackingUri,
    UserErrors,
    console,
    errors,
)
from bench.tracking.mlflow import sync
from bench.tracking.options import EXPERIMENT, TrackerName, TrackingOptions, default_uri

__all__ = ["app", "describe", "spread"]


def describe(member: type[Any], name: str) -> str:
    """Name, docstring, settings with defaults and what they mean."""
    settings = getattr(member, "Config", member)
    about = inspect.getdoc(inspect.getmodule(member)) or inspect.getdoc(member) or ""
    lines = [name, "", about, "", "Settings (--set name=value):"]
    texts = {key: text for cls in reversed(settings.__mro__[:-1]) for key, text in _field_texts(cls).items()}
    for field in dataclasses.fields(settings):
        default = "required" if field.default is dataclasses.MISSING else repr(field.default)
        lines.append(f"  {field.name} = {default}")
        lines += textwrap.wrap(texts.get(field.name, ""), 100, initial_indent=" " * 6, subsequent_indent=" " * 6)
    for scale, changes in getattr(member, "scales", {}).items():
        lines.append(f"Scale {scale}: {', '.join(f'{k}={v!r}' for k, v in changes.items()) or 'as published'}")
    return "\n".join(lines)


def _field_texts(cls: type[Any]) -> dict[str, str]:
    """Field -> the string that stands below it in the class body."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    except (OSError, TypeError):
        return {}
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    texts: dict[str, str] = {}
    for field, text in itertools.pairwise(body):
        match field, text:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(words))):
                texts[name] = " ".join(words.split())
    return texts


app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="textgan-bench: train text GANs, score them, compare them.",
)

Listed = Literal["models", "tasks", "metrics", "suites"]
Seeds = Annotated[list[int], typer.Option("--seed", help="Seeds, as many as you like: --seed 0 1 2.", min=0)]


def spread(arguments: Sequence[str]) -> list[str]:
    """`--seed 0 1 2` -> `--seed 0 --seed 1 --seed 2`, likewise `--temperature .8 1` and `--set a=1 b=2`."""
    takes = {"--seed": r"\d+", "--temperature": r"\d*\.?\d+", "--set": r"[\w.]+=.*"}
    result: list[str] = []
    option = ""
    for argument in arguments:
        if argument in takes:
            option = argument
        elif option and re.fullmatch(takes[option], argument, re.DOTALL):
            if result[-1] != option:
                result.append(option)
        else:
            option = ""
        result.append(argument)
    return result


@app.command("run")
def run_command(
    model: Annotated[str, typer.Argument(help="A name from `list models`, or my_gan.py:MyGAN.")],
    task: Annotated[str, typer.Argument(help="A name from `list tasks`, or my_task.py:MyTask.")],
    seed: Seeds = [0],  # noqa: B006 - typer copies it
    scale: Annotated[Scale, typer.Option(help="paper is the published setting.")] = "paper",
    settings: Settings = None,
    temperature: Annotated[list[float] | None, typer.Option(help="Temperatures scored at the end, beside 1.")] = None,
    metric: Metrics = None,
    runs: Runs = Path("runs"),
    jobs: Jobs = None,
    jobs_per_gpu: JobsPerGpu = None,
    rerun: Rerun = False,
    save_every: SaveEvery = 60.0,
    tracker: TrackerOption = TrackerName.mlflow,
    tracking_uri: TrackingUri = None,
    experiment: Experiment = EXPERIMENT,
) -> None:
    """Train a model on a task, one run per seed, and score it."""
    with UserErrors():
        configs = configs_of(
            model,
            task,
            seeds=seed,
            scale=scale,
            settings=parse_settings(settings or ()),
            temperatures=temperature or (1.0,),
            metrics=metric or (),
        )
        options = LaunchOptions(
            runs=runs,
            slots=slots(configs, jobs, jobs_per_gpu),
            tracking=TrackingOptions(tracker, tracking_uri or default_uri(runs), experiment),
            rerun=rerun,
            save_every=save_every,
        )
        _launch([config.resolve() for config in configs], options)


@app.command("suite")
def suite_command(
    path: Annotated[Path, typer.Argument(help="A suite file, or the name of one of `list suites`.")],
    settings: Settings = None,
    runs: Runs = Path("runs"),
    jobs: Jobs = None,
    jobs_per_gpu: JobsPerGpu = None,
    rerun: Rerun = False,
    save_every: SaveEvery = 60.0,
    tracker: TrackerOption = TrackerName.mlflow,
    tracking_uri: TrackingUri = None,
    experiment: Experiment = EXPERIMENT,
) -> None:
    """Do all runs of a suite. Run it again to go on where it stopped."""
    with UserErrors():
        configs = read_suite(_suite_path(path), parse_settings(settings or ()))
        options = LaunchOptions(
            runs=runs,
            slots=slots(configs, jobs, jobs_per_gpu),
            tracking=TrackingOptions(tracker, tracking_uri or default_uri(runs), experiment),
            rerun=rerun,
            save_every=save_every,
        )
        _launch([config.resolve() for config in configs], options)


def _suite_path(path: Path) -> Path:
    if path.is_file():
        return path
    if str(path) in _suites():
        return SUITES / f"{path}.toml"
    raise ValueError(f"no suite file {str(path)!r}; {suggest(str(path), _suites())}")


def _suites() -> list[str]:
    return sorted(path.relative_to(SUITES).with_suffix("").as_posix() for path in SUITES.rglob("*.toml"))


def _launch(resolved: Sequence[Resolved], options: LaunchOptions) -> None:
    """Train, say where the records are, and end with the exit code of how it went."""
    from bench.launch.start import start, table_hint

    outcomes = start(resolved, options, console=console)
    console.print(f"\n{len(outcomes)} runs in {options.runs}. Table: {table_hint(options.runs)}")
    bad = [outcome for outcome in outcomes if outcome.status != "completed"]
    if any(outcome.status == "stopped" for outcome in bad):
        errors.print("Stopped. The same command goes on where it stopped.")
        raise typer.Exit(INTERRUPTED)
    if bad:
        raise typer.Exit(1)


app.command("score")(score_command)
app.command("explain-score")(explain_command)
app.command("reproduce")(reproduce_command)


@app.command("sample")
def sample_command(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    n: Annotated[int, typer.Option("-n", min=1, max=MOST_SENTENCES, help="Sentences.")] = 20,
    temperature: Annotated[float, typer.Option(min=1e-3)] = 1.0,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    model: Annotated[
        str | None, typer.Option(help="Of a run of your own model: its file, my_gan.py:MyGAN. A record's is not run.")
    ] = None,
    task: Annotated[str | None, typer.Option(help="Likewise for a task of your own.")] = None,
) -> None:
    """Print sentences from a finished run."""
    with UserErrors():
        for sentence in load(run, model=model, task=task).sample(n, temperature=temperature, seed=seed):
            typer.echo(sentence)


@app.command("list")
def list_command(kind: Annotated[Listed | None, typer.Argument(help="One kind only.")] = None) -> None:
    """Models, tasks, metrics and suites by name."""
    kinds: Iterable[str] = [kind] if kind else get_args(Listed)
    for each in kinds:
        known = _suites() if each == "suites" else names(_kind(each))
        console.print(f"{each}: {', '.join(known)}")


@app.command("show")
def show_command(name: Annotated[str, typer.Argument(help="A model, task or metric.")]) -> None:
    """What a model, task or metric is, with its settings and their defaults."""
    with UserErrors():
        kinds: list[Kind] = [k for k in get_args(Kind) if name in names(k)]
        if not kinds and ":" not in name:
            everything = [n for k in get_args(Kind) for n in names(k)]
            raise KeyError(f"no {name!r} among models, tasks and metrics; {suggest(name, everything)}")
        kind = kinds[0] if kinds else "models"
        console.print(describe(find(kind, name), name))


def _kind(name: str) -> Kind:
    return next(kind for kind in get_args(Kind) if kind == name)


@app.command("sync")
def sync_command(
    runs: Annotated[Path, typer.Argument(help="Folder that holds run folders.")],
    tracking_uri: TrackingUri = None,
    experiment: Experiment = EXPERIMENT,
) -> None:
    """Rebuild MLflow from run folders."""
    with UserErrors():
        folders = [path.parent for path in find_starts(runs)]
        if not folders:
            raise ValueError(f"no run.json below {runs}")
        uri = tracking_uri or default_uri(runs)
        synced = sync(folders, uri, experiment)
        console.print(f"{len(synced.runs)} runs in {uri}, experiment {experiment}")
        for folder, reason in synced.errors:
            errors.print(f"{folder}: {reason}", style="red")
        if synced.errors:
            raise typer.Exit(1)
