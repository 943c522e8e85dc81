"""A real Slurm of one node, this machine, for a test: its daemons, ports and keys, in a folder and nowhere else."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["slurm_cluster", "why_no_slurm"]

_DAEMONS = ("munged", "slurmctld", "slurmd")
_CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmctldPort={ctld}
SlurmdPort={slurmd}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
ReturnToService=2
MinJobAge=300
KillWait=5
SchedulerParameters=sched_min_interval=100000
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=2000 State=UNKNOWN
PartitionName=cpu Nodes={host} Default=YES MaxTime=INFINITE State=UP PriorityTier=1 GraceTime=20
PartitionName=first Nodes={host} MaxTime=INFINITE State=UP PriorityTier=2 PreemptMode=OFF
"""


def why_no_slurm() -> str:
    """What is missing here; empty: nothing."""
    if missing := [name for name in _DAEMONS if _path(name) is None]:
        return f"no {', '.join(missing)}: apt install slurm-wlm munge"
    return "" if getpass.getuser() == "root" else "slurmd needs root"


def _path(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


@contextmanager
def slurm_cluster(folder: Path) -> Iterator[dict[str, str]]:
    """Inside, the daemons run; gives the variable by which Slurm's programs find them."""
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    folder.chmod(0o755)  # munged looks at it
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o400)
    conf = folder / "slurm.conf"
    host = socket.gethostname().partition(".")[0]
    conf.write_text(_CONF.format(host=host, ctld=_free_port(), slurmd=_free_port(), folder=folder))
    place = {"SLURM_CONF": str(conf)}
    munge = [f"--{name}={folder}/munge.{name}" for name in ("socket", "pid-file", "log-file", "seed-file", "key-file")]
    munge[-1] = f"--key-file={folder}/munge.key"
    commands = [["munged", "--foreground", "--force", *munge], ["slurmctld", "-D", "-c"], ["slurmd", "-D", "-c"]]
    daemons: list[subprocess.Popen[bytes]] = []
    try:
        with (folder / "daemons.log").open("wb") as log:
            for name, *options in commands:
                command = [str(_path(name)), *options]
                daemons.append(subprocess.Popen(command, env=os.environ | place, stdout=log, stderr=log))
                time.sleep(0.5)
        _wait_for_node(daemons, place, folder)
        yield place
    finally:
        subprocess.run(["scancel", "--me", "--full"], env=os.environ | place, check=False, timeout=30)
        for daemon in reversed(daemons):
            daemon.terminate()
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()


def _wait_for_node(daemons: list[subprocess.Popen[bytes]], place: dict[str, str], folder: Path) -> None:
    for _ in range(120):
        assert all(daemon.poll() is None for daemon in daemons), (folder / "daemons.log").read_text()
        command = ["sinfo", "--noheader", "--format=%T", "--partition=cpu"]
        told = subprocess.run(command, env=os.environ | place, capture_output=True, text=True, check=False).stdout
        if told.strip() in ("idle", "mixed"):
            return
        time.sleep(0.5)
    raise AssertionError((folder / "daemons.log").read_text() + (folder / "slurmctld.log").read_text())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
