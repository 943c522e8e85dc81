"""A real Ray cluster of two nodes on this machine, one of which dies in the middle of a run.

Ray is told of a GPU in each, which nothing looks for: the runs are set to the CPU, and only their share is given out.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.submitted import finals, said, wait_until

from bench.executors.jobs import read_submitted
from bench.run_folder import CHECKPOINT, LOG

pytestmark = pytest.mark.slow

RUN = ("run", "mle", "grammar", "--scale", "smoke", "--set", "n_samples=50", "steps=400", "device=cpu")
LONG = (*RUN, "--metric", "unique", "--seed", "0-2")


@pytest.fixture
def cluster() -> Iterator[Any]:
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    found = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "num_gpus": 1})
    try:
        yield found
    finally:
        ray.shutdown()
        found.shutdown()


def test_what_ran_on_a_dead_node_goes_on_elsewhere(cluster: Any, tmp_path: Path) -> None:
    node = cluster.add_node(num_cpus=2, num_gpus=1)
    runs, executor = tmp_path / "runs", tmp_path / "ray.toml"
    executor.write_text(f'engine = "ray"\ngpus = 0.5\naddress = "{cluster.address}"\n')
    submission = (*LONG, "--runs", runs, "--executor", executor, "--save-every", 0)
    assert "3 runs submitted" in said(*submission)
    submitted = read_submitted(runs)
    wait_until(lambda: all((each.folder / CHECKPOINT).is_file() for each in submitted), 300)
    assert "0 runs submitted; 3 done or under way" in said(*submission)
    assert importlib.import_module("ray").available_resources()["GPU"] == 0.5  # two runs on one, one on the other
    cluster.remove_node(node, allow_graceful=False)
    assert "done: 3" in said("collect", "--runs", runs, "--wait")
    assert sum("goes on after step" in (each.folder / LOG).read_text() for each in submitted) >= 2
    said(*LONG, "--runs", tmp_path / "here", "--jobs", 2, "--tracker", "none")
    assert len(finals(runs)) == 3
    assert finals(runs) == finals(tmp_path / "here")

    said(*RUN, "--metric", "unique", "--seed", 3, *submission[len(LONG) :])
    unwanted = read_submitted(runs)[-1]
    wait_until((unwanted.folder / CHECKPOINT).is_file, 300)
    assert "1 run cancelled, in 1 job" in said("collect", "--runs", runs, "--cancel", "--wait")
    assert "done: 3 running: 0 queued: 0 failed: 0 lost: 1" in said("collect", "--runs", runs, code=1)
