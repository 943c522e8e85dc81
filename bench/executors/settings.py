"""Where runs go, as a file says it: `--executor slurm.toml`, or the name of an engine, where its defaults will do."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bench.config import check_values, explain_error
from bench.places import check_file
from bench.registry import suggest

__all__ = ["Engine", "ExecutorSettings", "read_executor"]

Engine = Literal["local", "slurm", "ray"]
_Count = Annotated[int, Field(ge=1, strict=True)]


class ExecutorSettings(BaseModel):
    """What an engine is asked for, for each job. A setting that an engine has no use for is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    engine: Engine
    runs_per_job: _Count = 1
    """Short runs, one after another in a job."""
    gpus: Annotated[float, Field(ge=0)] = 0
    """With any, runs are on CUDA, otherwise on the CPU. Ray also gives a fraction of one."""
    cpus: _Count = 1
    memory_gb: Annotated[float, Field(gt=0)] | None = None
    """None: what the cluster gives."""
    time: Annotated[int, Field(ge=2, strict=True)] = 60
    """Minutes of a job. Shortly before their end it saves and goes back to the queue, as often as it takes."""
    max_jobs: _Count | None = None
    """At once. None: 256 of Slurm, and one of this machine's processes."""
    partition: str = ""
    """"": the cluster's default."""
    setup: tuple[str, ...] = ()
    """Commands of the shell before a job's Python, such as `module load cuda`."""
    python: str = ""
    """Of the workers. "": the Python of the command."""
    sbatch: Mapping[str, str | int | Literal[True]] = Field(default_factory=dict)
    """Any other option of sbatch: `{ account = "x" }`."""
    address: str = ""
    """Of Ray's head. "": the cluster that this machine is part of."""


_USED: Mapping[Engine, set[str]] = {
    "local": {"gpus", "max_jobs", "runs_per_job", "python"},
    "slurm": set(ExecutorSettings.model_fields) - {"address"},
    "ray": {"gpus", "cpus", "memory_gb", "runs_per_job", "address"},
}


def read_executor(given: str) -> ExecutorSettings:
    """Of a TOML file, or of the name of an engine. Raises ValueError with the nearest name, OSError (no such file)."""
    path = Path(given)
    if not path.is_file() and path.suffix != ".toml":
        if given not in get_args(Engine):
            raise ValueError(
                f"--executor takes a TOML file or an engine, got {given!r}; {suggest(given, get_args(Engine))}"
            )
        return _checked({"engine": given}, given)
    check_file(path)
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return _checked(values, str(path))


def _checked(values: Mapping[str, Any], where: str) -> ExecutorSettings:
    try:
        settings = ExecutorSettings.model_validate(values)
    except ValidationError as error:
        raise ValueError(f"{where}: {explain_error(error, lambda _: ExecutorSettings.model_fields)}") from None
    check_values(values, settings, f"{where}: ")
    if unused := sorted(settings.model_fields_set - _USED[settings.engine] - {"engine"}):
        raise ValueError(
            f'{where}: engine = "{settings.engine}" has no use for {", ".join(unused)}; '
            f"it takes {', '.join(sorted(_USED[settings.engine] - {'engine'}))}"
        )
    if settings.engine != "ray" and settings.gpus % 1:
        raise ValueError(f'{where}: gpus takes a whole number, got {settings.gpus:g}; engine = "ray" takes a fraction')
    return settings
