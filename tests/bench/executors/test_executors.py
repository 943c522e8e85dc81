"""Runs that are given to an executor: the records of a plain run, nothing twice, and what is lost is found."""

from __future__ import annotations

import os
import signal
import stat
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from helpers.submitted import finals, said, wait_until

from bench.config import RunConfig
from bench.executors.base import Batch, library
from bench.executors.jobs import Submitted, read_submitted, states
from bench.executors.settings import read_executor
from bench.executors.worker import do_batch
from bench.run_folder import CHECKPOINT, LOG

RUN = ("run", "mle", "grammar", "--scale", "smoke", "--set", "n_samples=50", "--metric", "unique")
PRESET = """\
description = "MLE on a small English"
follows = ["nobody"]
scale = "smoke"
seeds = [0, 1]
n_samples = 50
log_every = 20
metrics = ["unique"]
[[runs]]
model = "mle"
task = "grammar"
label = "short"
model_settings = { steps = 60 }
"""
LONG = ("reproduce", "mine", "--scale", "smoke")


def caught(run: Submitted) -> psutil.Process:
    """The process that is at this run, stopped as soon as there is a checkpoint."""
    wait_until((run.folder / CHECKPOINT).is_file)
    (worker,) = psutil.Process(int(run.job.id)).children()
    worker.suspend()
    return worker


def goes_on(run: Submitted) -> bool:
    """It has left the checkpoint behind from which it began."""
    return "goes on after step" in (run.folder / LOG).read_text()


def test_what_left_was_killed_and_was_cancelled_ends_with_the_records_of_a_plain_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("submitit")
    (tmp_path / "mine.toml").write_text(PRESET)
    monkeypatch.setattr("bench.reproduce.presets.PAPER", tmp_path)
    runs = tmp_path / "runs"
    submission = (*LONG, "--save-every", 0, "--runs", runs, "--executor", "local")
    assert "--executor would give 2 runs to local, in 1 job" in said(*submission, "--dry-run")
    assert not runs.exists()
    told = said(*submission)
    assert "2 runs submitted" in told
    assert f"bench reproduce mine --list --runs {runs}" in told
    told, killed = read_submitted(runs)
    assert told.job == killed.job
    worker = caught(told)
    assert "0 runs submitted; 2 done or under way" in said(*submission)
    assert "--executor would give 0 runs to local, in 0 jobs" in said(*submission, "--dry-run")
    worker.send_signal(signal.SIGUSR2)  # as Slurm does before the end of the time
    worker.resume()
    worker = caught(killed)
    psutil.Process(int(killed.job.id)).kill()
    assert [state for _, state in states([told, killed])] == ["done", "running"]  # it has lost its overseer alone
    worker.kill()
    wait_until(lambda: states([killed])[0][1] == "lost")
    assert "done: 1 running: 0 queued: 0 failed: 0 lost: 1 mle" in said("collect", "--runs", runs, code=1)
    assert "1 run submitted again" in said("collect", "--runs", runs, "--resubmit")
    wait_until(lambda: goes_on(killed))
    worker = caught(read_submitted(runs)[1])
    assert "1 run cancelled, in 1 job" in said("collect", "--runs", runs, "--cancel")
    worker.resume()
    assert "done: 1 running: 0 queued: 0 failed: 0 lost: 1 mle" in said("collect", "--runs", runs, "--wait", code=1)
    assert "0 runs cancelled" in said("collect", "--runs", runs, "--cancel")
    assert "1 run submitted again" in said("collect", "--runs", runs, "--resubmit", "--wait")
    assert goes_on(told)
    assert (killed.folder / LOG).read_text().count("goes on after step") == 2
    assert "0 runs submitted; 2 done" in said(*submission)
    said(*LONG, "--runs", tmp_path / "here", "--tracker", "none")
    assert len(finals(runs)) == 2
    assert finals(runs) == finals(tmp_path / "here")


def test_settings_are_checked_with_the_nearest_name(tmp_path: Path) -> None:
    path = tmp_path / "cluster.toml"
    for text, message in {
        'engine = "slurm"\npartitoin = "x"\n': "did you mean 'partition'",
        'engine = "slrum"\n': "engine is one of 'local', 'slurm' or 'ray', got 'slrum'",
        'engine = "local"\npartition = "x"\ntime = 3\n': "has no use for partition, time",
        'engine = "slurm"\ngpus = 0.5\n': "gpus takes a whole number",
        'engine = "slurm"\ncpus = true\n': "cpus takes an integer|cpus takes a number",
        'engine = "slurm"\nmemory_gb = true\n': "memory_gb takes a number",
        'engine = "slurm"\ntime = 0\n': "time",
        "engine = slurm\n": "cluster.toml",
        "time = 3\n": "engine must be set",
    }.items():
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            read_executor(str(path))
    with pytest.raises(ValueError, match="did you mean 'slurm'"):
        read_executor("slrum")
    with pytest.raises(OSError, match=r"did you mean .*cluster\.toml"):
        read_executor(str(tmp_path / "clustr.toml"))
    path.write_text('engine = "ray"\ngpus = 0.25\n')
    assert read_executor(str(path)).gpus == 0.25


def test_what_does_not_go_together_is_said_before_anything_is_loaded(tmp_path: Path) -> None:
    command = (*RUN, "--runs", tmp_path / "runs", "--executor")
    assert "go without it" in said(*command, "local", "--jobs", 2, code=2)
    assert "the executor gives a job no GPU" in said(*command, "local", "--set", "device=cuda", code=2)
    assert "did you mean 'local'" in said(*command, "locla", code=2)
    assert "nothing was submitted" in said("collect", "--runs", tmp_path / "runs", code=2)
    assert "give one of them" in said("collect", "--runs", tmp_path, "--cancel", "--resubmit", code=2)
    assert not (tmp_path / "runs").exists()


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of Slurm's programs that take every job and say what the test writes."""
    pytest.importorskip("submitit")
    (folder := tmp_path / "bin").mkdir()
    for name, line in {
        "sbatch": "echo Submitted batch job 7",
        "squeue": f"cat {folder}/queue",
        "srun": "exit 1",
        "scancel": f"echo $@ > {folder}/cancelled",
    }.items():
        (folder / name).write_text(f"#!/bin/sh\n{line}\n")
        (folder / name).chmod(stat.S_IRWXU)
    (folder / "queue").write_text("")
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


def test_slurm_gets_an_array_and_what_it_does_not_list_is_lost(programs: Path, tmp_path: Path) -> None:
    runs, path = tmp_path / "runs", tmp_path / "slurm.toml"
    path.write_text(
        'engine = "slurm"\npartition = "gpu"\ntime = 240\nmemory_gb = 1.5\ngpus = 1\ncpus = 3\nmax_jobs = 2\n'
        'runs_per_job = 2\nsetup = ["module load cuda"]\nsbatch = { account = "mine" }\n'
    )
    submission = (*RUN, "--seed", "0-4", "--runs", runs, "--executor", path)
    assert "5 runs submitted" in said(*submission)
    told = next((runs / ".jobs").glob("*/*_submission.sh")).read_text()
    for line in (
        "#SBATCH --array=0-2%2",
        "#SBATCH --partition=gpu",
        "#SBATCH --time=240",
        "#SBATCH --mem=1536MB",
        "#SBATCH --gpus-per-node=1",
        "#SBATCH --cpus-per-task=3",
        "#SBATCH --account=mine",
        "#SBATCH --requeue",
        "#SBATCH --signal=USR2@90",
        "module load cuda",
    ):
        assert f"{line}\n" in told
    submitted = read_submitted(runs)
    assert [each.job.id for each in submitted] == ["7_0", "7_0", "7_1", "7_1", "7_2"]
    assert {each.config.device for each in submitted} == {"cuda"}  # although there may be none here
    (programs / "queue").write_text("7_0|RUNNING\n7_1|PENDING\n")
    assert [state for _, state in states(submitted)] == ["queued"] * 4 + ["lost"]
    assert "1 run submitted; 4 done or under way" in said(*submission)
    assert "lost: 1" in said("collect", "--runs", runs, code=1)
    (programs / "queue").write_text("7_0|RUNNING\n7_1|PENDING\n7|PENDING\n")
    assert "5 runs cancelled, in 3 jobs" in said("collect", "--runs", runs, "--cancel")
    assert (programs / "cancelled").read_text() == "7_0 7_1 7\n"
    (programs / "squeue").write_text("#!/bin/sh\necho no controller >&2\nexit 1\n")
    assert "no controller" in said("collect", "--runs", runs, "--resubmit", code=2)
    assert len(list((runs / ".jobs").glob("*.json"))) == 2


def test_a_damaged_document_of_jobs_is_named(tmp_path: Path) -> None:
    (folder := tmp_path / ".jobs").mkdir()
    (folder / "x.json").write_text("{")
    assert f"{folder / 'x.json'} is damaged" in said("collect", "--runs", tmp_path, code=2)


def test_a_job_does_what_it_can_and_fails_for_a_run_of_other_code(tmp_path: Path) -> None:
    values = {"model": "mle", "task": "grammar", "scale": "smoke", "n_samples": 20, "metrics": ["unique"]}
    config = RunConfig.model_validate(values | {"model_settings": {"steps": 2}, "device": "cpu"})
    right = config.resolve().run_id
    batch = Batch(configs=[config, config], run_ids=["0" * 12, right], runs=tmp_path, save_every=60.0)
    with pytest.raises(RuntimeError, match="both need the same version of the code"):
        do_batch(batch)
    assert [*finals(tmp_path)] == [right]
    do_batch(replace(batch, run_ids=[right, right]))


def test_what_is_not_installed_is_named_by_its_package() -> None:
    with pytest.raises(ValueError, match="needs no_such_engine: pip install no_such_engine"):
        library("no_such_engine")
