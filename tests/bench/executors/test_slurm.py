"""A real Slurm of two nodes on this machine: jobs killed, cancelled, preempted or out of time, and a dead node."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from helpers.slurm import Cluster, slurm_cluster, why_no_slurm
from helpers.submitted import finals, said, wait_until

from bench.executors.jobs import Submitted, read_submitted
from bench.places import SUITES
from bench.run_folder import CHECKPOINT, LOG

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(why_no_slurm()), reason=why_no_slurm())]

STEPS = """
[models.mle]
steps = 60
[models.constant_reward]
mle_steps = 60
[models.seqgan]
mle_steps = 60
"""
"""So many that a run can be caught before its end."""


def demo_at_smoke_scale() -> str:
    """The suite `demo`, every row of it once, with fewer steps and sentences."""
    rows = SUITES.joinpath("demo.toml").read_text().partition("[models.")[0]
    for size, smaller in (
        ('scale = "small"', 'scale = "smoke"'),
        ("seeds = [0, 1, 2]", "seeds = [0]"),
        ("n_samples = 1_000", "n_samples = 200"),
    ):
        assert size in rows
        rows = rows.replace(size, smaller)
    return rows + STEPS


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[Cluster]:
    """Not below pytest's folder, whose parents others may not enter."""
    pytest.importorskip("submitit")
    with (
        tempfile.TemporaryDirectory() as folder,
        pytest.MonkeyPatch.context() as patch,
        slurm_cluster(Path(folder)) as found,
    ):
        for name, value in found.place.items():
            patch.setenv(name, value)
        yield found


def worker_of(run: Submitted) -> psutil.Process | None:
    """The Python that Slurm started for the job of a run."""
    for process in psutil.process_iter(["cmdline"]):
        if "submitit.core._submit" in (line := process.info["cmdline"] or ()) and "srun" not in line[0]:
            told = process.environ()
            array = told.get("SLURM_ARRAY_JOB_ID")
            if run.job.id == (f"{array}_{told['SLURM_ARRAY_TASK_ID']}" if array else told["SLURM_JOB_ID"]):
                return process
    return None


def caught(run: Submitted) -> psutil.Process:
    """The process that is at this run, stopped as soon as there is a checkpoint."""
    wait_until((run.folder / CHECKPOINT).is_file, 300)
    worker = worker_of(run)
    assert worker is not None
    worker.suspend()
    return worker


def slurm(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def test_every_way_to_lose_a_job_ends_with_the_records_of_two_local_processes(cluster: Cluster, tmp_path: Path) -> None:
    runs, suite, executor = tmp_path / "runs", tmp_path / "demo.toml", tmp_path / "slurm.toml"
    suite.write_text(demo_at_smoke_scale())
    executor.write_text('engine = "slurm"\ntime = 2\npartition = "cpu"\nmax_jobs = 2\n')
    submission = ("suite", suite, "--runs", runs, "--executor", executor, "--save-every", 0)
    assert "would give 12 runs to slurm, in 12 jobs" in said(*submission, "--dry-run")
    assert "12 runs submitted" in said(*submission)
    trained = [each for each in read_submitted(runs) if each.config.model in ("mle", "constant_reward", "seqgan")]
    late, killed, cancelled, orphaned, *_ = trained

    caught(late)  # until Slurm's signal that its time is up, which lets a process go on; the rest is on the other node
    caught(killed).kill()
    worker = caught(cancelled)
    slurm("scancel", cancelled.job.id)
    worker.resume()
    node = caught(orphaned).environ()["SLURMD_NODENAME"]
    cluster.kill_node(node)
    assert "done: 10 running: 0 queued: 0 failed: 0 lost: 2" in said("collect", "--runs", runs, "--wait", code=1)
    cluster.start_node(node)  # what ran on it went on elsewhere while it was dead
    assert "2 runs submitted again" in said("collect", "--runs", runs, "--resubmit")
    assert "2 runs cancelled, in 2 jobs" in said("collect", "--runs", runs, "--cancel", "--wait")
    assert "2 runs submitted again" in said("collect", "--runs", runs, "--resubmit", "--wait")
    for each in (killed, cancelled, orphaned, late):
        assert "goes on after step" in (each.folder / LOG).read_text()
    assert "0 runs submitted; 12 done" in said(*submission)
    said("suite", suite, "--runs", tmp_path / "here", "--jobs", 2, "--tracker", "none")
    assert len(finals(runs)) == 12
    assert finals(runs) == finals(tmp_path / "here")


def test_a_preempted_job_saves_and_is_put_back_by_slurm(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    run = ("run", "mle", "grammar", "--scale", "smoke", "--set", "n_samples=50", "--metric", "unique")
    said(*run, "--set", "steps=400", "--save-every", 0, "--runs", runs, "--executor", "slurm")
    (preempted,) = read_submitted(runs)
    worker = caught(preempted)
    urgent = ("sbatch", "--partition=first", "--ntasks=2", "--output=/dev/null", "--wrap=sleep 1")
    slurm(*urgent, f"--chdir={tmp_path}")
    worker.resume()
    assert "done: 1" in said("collect", "--runs", runs, "--wait")
    assert "goes on after step" in (preempted.folder / LOG).read_text()
