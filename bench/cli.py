"""The commands. Each looks everything up and checks it before anything slow starts, and loads only what it needs."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import typer
from typer._completion_shared import get_completion_script, install

from bench.api import configs_of, load
from bench.attack.cards import bullets
from bench.attack.cli import attack_command
from bench.check.cli import check_command, new_command
from bench.config import Resolved, Scale, parse_settings, read_seeds
from bench.doctor.cli import doctor_command
from bench.executors.cli import collect_command
from bench.interrupts import INTERRUPTED
from bench.launch.options import LaunchOptions, slots
from bench.places import METRICS, PAPER, RESULTS, SCRIPTS, SUITES, check_file, check_folder, command, examples
from bench.record import with_settings
from bench.registry import Kind, find, first_line, is_file, names, suggest
from bench.reproduce.cli import reproduce_command
from bench.reproduce.presets import preset_names
from bench.rewriting.cli import human_ratings_command, rewrite_command
from bench.run_folder import find_starts
from bench.run_settings import MOST_HEAT, MOST_SENTENCES
from bench.score.cli import explain_command, score_command
from bench.streams import SafeGroup, Version, help_by, shown
from bench.suite import SuiteConfig, read_rows, read_suite
from bench.terminal import (
    DryRun,
    ExecutorOption,
    Experiment,
    Jobs,
    JobsPerGpu,
    Measure,
    Metrics,
    PlanAsJson,
    Rerun,
    Runs,
    SaveEvery,
    Seeds,
    Settings,
    TrackerOption,
    TrackingUri,
    UserErrors,
    check_dry,
    console,
    counted,
    errors,
)
from bench.tracking.options import TrackerName, TrackingOptions, default_uri
from bench.tracking.sync import sync

__all__ = ["app", "describe", "describe_suite", "spread"]


def describe(member: type[Any], name: str) -> str:
    """Name, docstring, settings with defaults and what they mean."""
    settings = getattr(member, "Config", member)
    is_metric = hasattr(member, "better")
    about = inspect.getdoc(inspect.getmodule(member)) or inspect.getdoc(member) or ""
    lines = [name, "", about, ""]
    if is_metric:
        better = {"real": "best near the value of real text"}.get(member.better, f"{member.better} is better")
        lines += [f"Version {member.version}; {better}.", ""]
    lines.append(f"Settings (--set {f'{name}.' if is_metric else ''}name=value):")
    texts = {key: text for cls in reversed(settings.__mro__[:-1]) for key, text in _field_texts(cls).items()}
    for field in dataclasses.fields(settings):
        default = "required" if field.default is dataclasses.MISSING else repr(field.default)
        lines.append(f"  {field.name} = {default}")
        lines += textwrap.wrap(texts.get(field.name, ""), 100, initial_indent=" " * 6, subsequent_indent=" " * 6)
    for scale, changes in getattr(member, "scales", {}).items():
        lines.append(f"Scale {scale}: {', '.join(f'{k}={v!r}' for k, v in changes.items()) or 'as published'}")
    if is_metric and (attacks := bullets(name)):
        lines += ["What fools it (" + command("bench", "attack", here=False) + "):"]
        lines += [
            textwrap.fill(re.sub(r"\*\*|`", "", text), 106, initial_indent="  ", subsequent_indent="      ")
            for text in attacks
        ]
    if (card := METRICS / name / "README.md").is_file():
        lines.append(f"Card: {card}")
    return "\n".join(lines)


def describe_suite(name: str) -> str:
    """What a suite does: its runs, and the texts that it only scores, with the command."""
    path = _suite_path(Path(name))
    suite = SuiteConfig.read(path)
    rows = read_rows(path, suite)
    preset = path.parent == PAPER
    lines = [name, "", suite.description, "", f"File: {path}"]
    n_runs = sum(len(row.configs) for row in rows)
    lines.append(f"{counted(n_runs, 'run')}:" if rows else "Nothing is trained.")
    for row in rows:
        first = row.configs[0]
        what = with_settings(f"{first.model} on {first.task}", {**first.model_settings, **first.task_settings})
        label = f"{row.notes.label}: " if row.notes.label else ""
        seeds = ", ".join(str(config.seed) for config in row.configs)
        lines.append(f"  {label}{what}, scale {first.scale}, seed{'s' * (len(row.configs) > 1)} {seeds}")
    lines += [f"  scored: {text.name} on {text.task}" for text in suite.samples]
    lines += [f"  scored: {text.name} on {text.task}" for text in suite.rewritten]
    lines += [f"  scored: real text on {text.task}" for text in suite.real_text]
    given = command("bench", "reproduce", path.stem) if preset else command("bench", "suite", Path(name))
    lines.append(f"{'Compared with what was published' if preset else 'All of it'}: {given}")
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
    cls=SafeGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings=help_by(),
)

Listed = Literal["models", "tasks", "metrics", "suites", "presets"]
Shell = Literal["bash", "zsh", "fish", "powershell"]


@app.callback()
def _described(version: Version = False) -> None:
    """textgan-bench: train text GANs, score them, compare them."""


def _beginning(known: Callable[[], Iterable[str]]) -> Callable[[str], list[str]]:
    """For a shell: which names go on with what is typed."""
    return lambda incomplete: [name for name in known() if name.startswith(incomplete)]


def spread(arguments: Sequence[str]) -> list[str]:
    """`--seed 0 1 2` -> `--seed 0 --seed 1 --seed 2`, likewise every option that takes several values.

    A word after such an option is one more value of it if it can be one; `sample` takes one of each.
    """
    if list(arguments[:1]) == ["sample"]:
        return list(arguments)
    result: list[str] = []
    option = ""
    for argument in arguments:
        name = argument.partition("=")[0]
        if name in _TAKES_SEVERAL:
            option = name
        elif option and (result[-1] == option or (argument[:2] != "--" and _TAKES_SEVERAL[option](argument))):
            if result[-1] != option:
                result.append(option)
        else:
            option = ""
        result.append(argument)
    return result


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _is_name(word: str, known: Sequence[str] = ()) -> bool:
    """Whether a word that follows a list of names goes on with it: it is no option, no file, and not among `known`."""
    return word[:1] != "-" and word not in known and not is_file(word) and not Path(word).exists()


_TAKES_SEVERAL: Mapping[str, Callable[[str], bool]] = {
    "--seed": lambda word: re.fullmatch(r"-?\d[\d,.:-]*", word) is not None,
    "--temperature": _is_number,
    "--set": lambda word: re.fullmatch(r"[\w.]+=.*", word, re.DOTALL) is not None,
    "--metric": lambda word: (
        re.fullmatch(r"\w+", word) is not None and _is_name(word, [*names("tasks"), *names("models")])
    ),
    "--name": lambda word: _is_name(word, names("tasks")),
    "--row": lambda word: _is_name(word, preset_names()),
}
"""Option -> whether a word can be one more value of it. The words of `run`, `score` and `reproduce` come first or last,
and may come after such a list."""


_models, _tasks = _beginning(lambda: names("models")), _beginning(lambda: names("tasks"))


@app.command(
    "run",
    epilog=examples(
        "bench",
        "run mle grammar --scale smoke",
        "run seqgan grammar --scale small --seed 0-2 --jobs 2",
        "run seqgan oracle_lstm --set rollouts=8 task.length=40 --temperature 0.7 1.5",
        "run my_gan.py:MyGAN grammar --seed 0 1 2",
    ),
)
def run_command(
    model: Annotated[
        str, typer.Argument(help="A name from `list models`, or my_gan.py:MyGAN.", autocompletion=_models)
    ],
    task: Annotated[str, typer.Argument(help="A name from `list tasks`, or my_task.py:MyTask.", autocompletion=_tasks)],
    seed: Seeds = None,
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
    experiment: Experiment = None,
    executor: ExecutorOption = None,
    dry_run: DryRun = False,
    measure: Measure = False,
    as_json: PlanAsJson = False,
) -> None:
    """Train a model on a task, one run per seed, and score it."""
    with UserErrors():
        check_dry(dry_run, measure=measure, json=as_json)
        if model in names("tasks") and task in names("models"):
            raise ValueError(f"the model comes first: {command('bench', 'run', task, model)}")
        configs = configs_of(
            model,
            task,
            seeds=read_seeds(seed or [0]),
            scale=scale,
            settings=parse_settings(settings or ()),
            temperatures=temperature or (1.0,),
            metrics=metric or (),
        )
        options = LaunchOptions(
            runs=runs,
            slots=slots(configs, jobs, jobs_per_gpu),
            tracking=TrackingOptions(tracker, tracking_uri or default_uri(runs), experiment or None),
            rerun=rerun,
            save_every=save_every,
        )
        resolved = [config.resolve() for config in configs]
        if dry_run:
            _plan(resolved, options, executor, measure=measure, as_json=as_json)
        else:
            _launch(resolved, options, executor)


@app.command(
    "suite",
    epilog=examples(
        "bench", "suite demo --jobs 2", "suite learns_grammar --seed 0-5", "suite my_suite.toml --set n_samples=2000"
    ),
)
def suite_command(
    path: Annotated[
        Path,
        typer.Argument(
            help="A suite file, or the name of one of `list suites`.",
            autocompletion=_beginning(lambda: _suites()),
        ),
    ],
    seed: Seeds = None,
    settings: Settings = None,
    runs: Runs = Path("runs"),
    jobs: Jobs = None,
    jobs_per_gpu: JobsPerGpu = None,
    rerun: Rerun = False,
    save_every: SaveEvery = 60.0,
    tracker: TrackerOption = TrackerName.mlflow,
    tracking_uri: TrackingUri = None,
    experiment: Experiment = None,
    executor: ExecutorOption = None,
    dry_run: DryRun = False,
    measure: Measure = False,
    as_json: PlanAsJson = False,
) -> None:
    """Do all runs of a suite. Run it again to go on where it stopped."""
    with UserErrors():
        check_dry(dry_run, measure=measure, json=as_json)
        configs = read_suite(_suite_path(path), parse_settings(settings or ()), read_seeds(seed or ()))
        options = LaunchOptions(
            runs=runs,
            slots=slots(configs, jobs, jobs_per_gpu),
            tracking=TrackingOptions(tracker, tracking_uri or default_uri(runs), experiment or None),
            rerun=rerun,
            save_every=save_every,
        )
        resolved = [config.resolve() for config in configs]
        if dry_run:
            _plan(resolved, options, executor, measure=measure, as_json=as_json)
        else:
            _launch(resolved, options, executor)


def _suite_path(path: Path) -> Path:
    """Of a suite file, or of one of ours by its name; that of a preset may leave out its folder, `paper/`."""
    if path.is_file():
        return path
    for name in (str(path), f"{PAPER.name}/{path}"):
        if name in _suites():
            return SUITES / f"{name}.toml"
    if path.suffix == ".toml" or path.exists():
        check_file(path)
    raise ValueError(f"no suite file {str(path)!r}; {suggest(str(path), _suites())}")


def _suites() -> list[str]:
    return sorted(path.relative_to(SUITES).with_suffix("").as_posix() for path in SUITES.rglob("*.toml"))


def _is_preset(suite: str) -> bool:
    return suite.startswith(f"{PAPER.name}/")


def _plan(
    resolved: Sequence[Resolved], options: LaunchOptions, executor: str | None, *, measure: bool, as_json: bool
) -> None:
    """Say what `_launch` would do, and do none of it."""
    from bench.reproduce import report
    from bench.reproduce.plan import plan_runs
    from bench.reproduce.state import read_found

    submitted = None
    if executor is not None:
        from bench.executors.start import target

        to = target(executor, options)
        resolved = [to.resolve(each.run) for each in resolved]
        submitted = to.planned(resolved, options.runs)
    found = read_found([RESULTS, options.runs])
    plans = plan_runs(resolved, found, options.runs, rerun=options.rerun, measure=measure)
    if as_json:
        console.print_json_text(report.plan_json(plans, len(options.slots), executor=submitted))
        return
    for line in report.plan_lines(plans, len(options.slots)):
        console.print(line)
    if submitted is not None:
        console.print(report.executor_line(submitted))
    console.print(report.dry_line(plans, measured=measure))


def _launch(resolved: Sequence[Resolved], options: LaunchOptions, executor: str | None = None) -> None:
    """Train, say where the records are, and end with the exit code of how it went; or submit, and end."""
    from bench.launch.findings import came_out
    from bench.launch.start import start, summary, table_hint

    if executor is not None:
        from bench.executors.start import submit_runs

        submit_runs(resolved, options, executor, console=console)
        return
    outcomes = start(resolved, options, console=console)
    for line in came_out(resolved, outcomes, options.runs):
        console.print(line)
    console.print(f"\n{summary(outcomes, options.runs)}. Table: {table_hint(options.runs)}")
    bad = [outcome for outcome in outcomes if outcome.status != "completed"]
    if any(outcome.status == "stopped" for outcome in bad):
        errors.print("Stopped. The same command goes on where it stopped.")
        raise typer.Exit(INTERRUPTED)
    if bad:
        raise typer.Exit(1)


app.command("new")(new_command)
app.command("check")(check_command)
app.command(
    "score",
    epilog=examples(
        "bench",
        "score samples.txt grammar",
        "score mine.txt theirs.txt image_coco --name mine theirs",
        "score samples.jsonl --references test.txt --training train.txt --csv scores.csv",
        "score samples.txt grammar --metric bleu self_bleu --json",
    ),
)(score_command)
app.command("explain-score")(explain_command)
app.command("attack")(attack_command)
app.command("doctor")(doctor_command)
app.command(
    "rewrite",
    epilog=examples(
        "bench",
        "rewrite runs/rewriting_file-cycle_gan-0-1a2b3c4d5e6f --label positive",
        "rewrite runs/rewriting_file-cycle_gan-0-1a2b3c4d5e6f my_reviews.txt --label positive -n 100",
    ),
)(rewrite_command)
app.command("collect")(collect_command)
app.command("human-ratings")(human_ratings_command)
app.command(
    "reproduce",
    epilog=examples(
        "bench",
        "reproduce --list",
        "reproduce seqgan-oracle20 --scale small --seed 0",
        "reproduce seqgan-oracle20 --dry-run --measure",
        "reproduce seqgan-oracle20 --budget 2h --jobs 2",
    ),
)(reproduce_command)


@app.command("sample")
def sample_command(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    n: Annotated[int, typer.Option("-n", min=1, max=MOST_SENTENCES, help="Sentences.")] = 20,
    temperature: Annotated[float, typer.Option(help="Logits are divided by it.")] = 1.0,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    label: Annotated[
        str | None, typer.Option(help="Of a run on text with classes: the class of all sentences, as positive.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Of a run of your own model: its file, my_gan.py:MyGAN. A record's is not run.")
    ] = None,
    task: Annotated[str | None, typer.Option(help="Likewise for a task of your own.")] = None,
) -> None:
    """Print sentences from a finished run."""
    with UserErrors():
        if not 0 < temperature <= MOST_HEAT:
            raise ValueError(f"--temperature is above 0 and at most {MOST_HEAT:g}, got {temperature:g}")
        check_folder(run, "sample")
        trained = load(run, model=model, task=task)
        for sentence in trained.sample(n, temperature=temperature, seed=seed, label=label):
            console.print_document(shown(sentence) if console.is_terminal else sentence)


@app.command("list")
def list_command(kind: Annotated[Listed | None, typer.Argument(help="One kind only.")] = None) -> None:
    """Models, tasks, metrics, suites and presets by name, each with a line on it; `show NAME` tells the rest.

    A suite is a file of runs; a preset is one that `reproduce` compares with what was published.
    """
    kinds: Iterable[str] = [kind] if kind else get_args(Listed)
    for each in kinds:
        if each in ("suites", "presets"):
            folder = PAPER if each == "presets" else SUITES
            listed = preset_names() if each == "presets" else [name for name in _suites() if not _is_preset(name)]
            lines = {name: SuiteConfig.read(folder / f"{name}.toml").description for name in listed}
        else:
            lines = {name: first_line(_kind(each), name) for name in names(_kind(each))}
        console.print(f"{each}:")
        width = max(map(len, lines))
        for name, line in lines.items():
            console.print(f"  {name:<{width}}  {line}".rstrip())


@app.command("show")
def show_command(
    name: Annotated[
        str,
        typer.Argument(
            help="A model, task, metric, suite or preset.", autocompletion=_beginning(lambda: _everything())
        ),
    ],
) -> None:
    """What a model, task or metric is, with its settings and their defaults; what a suite does."""
    with UserErrors():
        kinds: list[Kind] = [k for k in get_args(Kind) if name in names(k)]
        if kinds or is_file(name):
            kind = kinds[0] if kinds else _kind_of_file(name)
            console.print(describe(find(kind, name), name))
        elif name in _suites() or name in preset_names() or Path(name).is_file():
            console.print(describe_suite(name))
        else:
            kinds_of_all = ", ".join(get_args(Listed))
            raise KeyError(f"no {name!r} among {kinds_of_all}; {suggest(name, _everything())}")


def _everything() -> list[str]:
    """All that `show` shows by name."""
    return [*(n for k in get_args(Kind) for n in names(k)), *_suites(), *preset_names()]


def _kind_of_file(name: str) -> Kind:
    """What `file.py:Class` is; a model, where it is neither a task nor a metric."""
    others: list[Kind] = ["tasks", "metrics"]
    for kind in others:
        with suppress(KeyError):
            find(kind, name)
            return kind
    return "models"


def _kind(name: str) -> Kind:
    return next(kind for kind in get_args(Kind) if kind == name)


@app.command("completion")
def completion_command(
    shell: Annotated[Shell, typer.Argument(help="The shell that is to complete.")],
    to_install: Annotated[
        bool, typer.Option("--install", help="Put it where the shell reads it, in place of printing it.")
    ] = False,
) -> None:
    """Print the script by which a shell completes the commands, options and names of textgan-bench."""
    with UserErrors():
        for script in SCRIPTS.values():
            variable = f"_{script.replace('-', '_').upper()}_COMPLETE"
            if to_install:
                _, path = install(shell=shell, prog_name=script, complete_var=variable)
                console.print(f"{script}: {path}")
            else:
                console.print_document(get_completion_script(prog_name=script, complete_var=variable, shell=shell))
        if to_install:
            console.print("It is there in the next shell that you start.")


@app.command("sync")
def sync_command(
    runs: Annotated[Path, typer.Argument(help="Folder that holds run folders.")],
    tracking_uri: TrackingUri = None,
    experiment: Experiment = None,
) -> None:
    """Rebuild MLflow from run folders."""
    with UserErrors():
        check_folder(runs, "sync")
        folders = [path.parent for path in find_starts(runs)]
        if not folders:
            raise ValueError(f"no run.json below {runs}")
        uri = tracking_uri or default_uri(runs)
        synced = sync(folders, uri, experiment or None)
        console.print(f"{counted(len(synced.runs), 'run')} in {uri}")
        if synced.runs:
            tracking = TrackingOptions(TrackerName.mlflow, uri, experiment or None)
            console.print(tracking.hint([folder for folder, _ in synced.runs]))
        for folder, reason in synced.errors:
            errors.print(f"{folder}: {reason}", style="red")
        if synced.errors:
            raise typer.Exit(1)
