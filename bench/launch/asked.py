"""What the commands that train take alike, `run`, `suite` and `reproduce`: each option once, for all of them."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from bench.terminal import Experiment, Runs, Settings, TrackingUri
from bench.tracking.options import TrackerName, TrackingOptions, default_uri

if TYPE_CHECKING:
    from bench.config import RunConfig
    from bench.launch.options import LaunchOptions

__all__ = ["PLAN_FIELDS", "Asked", "with_options"]

PLAN_FIELDS = (
    "the plan. `plan` has a row for each setting: label, model, task, scale, config_hash; its phases (name, steps, "
    "seconds_per_step or null, measured_on); its runs (run_id, seed, folder, state: new, begun or completed, "
    "steps_done by phase, completed). `scored`: what is scored without training (label, task). "
    "`executor`: null, or what --executor would submit (engine, runs, jobs). Of all: jobs, runs, runs_left, "
    "steps_left, seconds_left as far as it is known, unknown_time (label: phases)."
)
"""What `--dry-run --json` prints, for `--help`."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Options as they were typed: each field is one, by its name and with its default."""

    settings: Settings = None
    runs: Runs = Path("runs")
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="Runs side by side, each in its own process; 1 if not given.", show_default=False),
    ] = None
    jobs_per_gpu: Annotated[
        int | None, typer.Option(min=1, help="Instead of --jobs: runs side by side on each GPU.", show_default=False)
    ] = None
    save_every: Annotated[float, typer.Option(min=0, help="Seconds between checkpoints.")] = 60.0
    tracker: Annotated[TrackerName, typer.Option(help="Where runs are shown, beside the files.")] = TrackerName.mlflow
    tracking_uri: TrackingUri = None
    experiment: Experiment = None
    executor: Annotated[
        str | None,
        typer.Option(help="Submit the runs and end; `collect` follows them. A TOML file, or slurm, ray or local."),
    ] = None
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Only print what would be done, what is done already, and the time. Writes nothing."
        ),
    ] = False
    measure: Annotated[
        bool,
        typer.Option("--measure", help="With --dry-run: where no time is known, try a few steps of each phase here."),
    ] = False

    def check(self, *, json: bool = False) -> None:
        """Raise ValueError for what goes with `--dry-run` and stands alone; `json` where `--json` is such an option."""
        if self.measure and not self.dry_run:
            raise ValueError("--measure goes with --dry-run: a run measures itself")
        if json and not self.dry_run:
            raise ValueError("--json goes with --dry-run: the scores of runs are in their record.json")

    def values(self) -> dict[str, Any]:
        """The settings, as TOML reads them."""
        from bench.config import parse_settings

        return parse_settings(self.settings or ())

    def options(
        self, configs: Sequence[RunConfig], *, rerun: bool = False, deadline: float = math.inf
    ) -> LaunchOptions:
        """How these runs are done. Raises ValueError for options that exclude each other."""
        from bench.launch.options import LaunchOptions, slots

        uri = self.tracking_uri or default_uri(self.runs)
        return LaunchOptions(
            runs=self.runs,
            slots=slots(configs, self.jobs, self.jobs_per_gpu),
            tracking=TrackingOptions(self.tracker, uri, self.experiment or None),
            rerun=rerun,
            save_every=self.save_every,
            deadline=deadline,
        )


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """A command with a parameter of type `Asked` -> the same with one for each field in its place, for typer."""
    signature = inspect.signature(command, eval_str=True)
    place = next(name for name, parameter in signature.parameters.items() if parameter.annotation is Asked)
    names = [field.name for field in dataclasses.fields(Asked)]
    flat = signature.replace(parameters=list(_flat(signature)))

    @functools.wraps(command)
    def called(*words: Any, **options: Any) -> None:
        bound = flat.bind(*words, **options)
        bound.apply_defaults()
        given = bound.arguments
        command(**{place: Asked(**{name: given.pop(name) for name in names})}, **given)

    called.__dict__["__signature__"] = flat
    called.__annotations__ = {name: parameter.annotation for name, parameter in flat.parameters.items()}
    return called


def _flat(signature: inspect.Signature) -> Iterator[inspect.Parameter]:
    types = get_type_hints(Asked, include_extras=True)
    for parameter in signature.parameters.values():
        if parameter.annotation is not Asked:
            yield parameter
            continue
        for field in dataclasses.fields(Asked):
            yield inspect.Parameter(field.name, parameter.kind, default=field.default, annotation=types[field.name])
