"""A real Slurm of two nodes, both this machine, for a test: daemons, ports and keys, all in a folder."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

__all__ = ["NODES", "Cluster", "slurm_cluster", "why_no_slurm"]

NODES = ("n1", "n2")

_DAEMONS = ("munged", "slurmctld", "slurmd")
_CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmctldPort={ctld}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
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
SlurmdTimeout=10
SchedulerParameters=sched_min_interval=100000
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={n1} CPUs=1 RealMemory=1000 State=UNKNOWN
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={n2} CPUs=1 RealMemory=1000 State=UNKNOWN
PartitionName=cpu Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP PriorityTier=1 GraceTime=20
PartitionName=first Nodes=n1,n2 MaxTime=INFINITE State=UP PriorityTier=2 PreemptMode=OFF
"""


def why_no_slurm() -> str:
    """What is missing here; empty: nothing."""
    if missing := [name for name in _DAEMONS if _path(name) is None]:
        return f"no {', '.join(missing)}: apt install slurm-wlm munge"
    return "" if getpass.getuser() == "root" else "slurmd needs root"


def _path(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


class Cluster:
    """The daemons of a Slurm, all children of this process."""

    def __init__(self, folder: Path) -> None:
        self.place = {"SLURM_CONF": str(folder / "slurm.conf")}
        """The variable by which Slurm's programs find it."""
        self._folder = folder
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """All daemons, until both nodes take jobs."""
        folder, names = self._folder, ("socket", "pid-file", "log-file", "seed-file")
        (folder / "state").mkdir()
        folder.chmod(0o755)  # munged looks at it
        (folder / "munge.key").write_bytes(os.urandom(1024))
        (folder / "munge.key").chmod(0o400)
        host = socket.gethostname().partition(".")[0]
        ports = {name: _free_port() for name in ("ctld", *NODES)}
        (folder / "slurm.conf").write_text(_CONF.format(host=host, folder=folder, **ports))
        munge = [f"--{name}={folder}/munge.{name}" for name in names]
        self._start("munged", "munged", "--foreground", "--force", *munge, f"--key-file={folder}/munge.key")
        self._start("slurmctld", "slurmctld", "-D", "-c")
        for node in NODES:
            self.start_node(node)

    def start_node(self, node: str) -> None:
        """The daemon of a node, which takes jobs from then on."""
        self._start(node, "slurmd", "-D", "-c", "-N", node)
        self._wait_for(node)

    def kill_node(self, node: str) -> None:
        """The node's daemon and every process of its jobs at once, as where the power fails."""
        daemon = self._daemons.pop(node)
        daemon.kill()
        daemon.wait()
        jobs = [each for each in psutil.process_iter() if self._belongs(each, node)]
        parents = {each.ppid(): each.parent() for each in jobs}
        keepers = [each for each in parents.values() if each is not None and each.name() == "slurmstepd"]
        for process in (*keepers, *jobs):  # those first that would tell the controller how the others ended
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def stop(self) -> None:
        """Whatever goes on."""
        subprocess.run(["scancel", "--me", "--full"], env=os.environ | self.place, check=False, timeout=30)
        for daemon in reversed([*self._daemons.values()]):
            daemon.terminate()
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()

    def _belongs(self, process: psutil.Process, node: str) -> bool:
        """To a job on the node."""
        try:
            told = process.environ()
        except psutil.Error:
            return False
        return told.get("SLURMD_NODENAME") == node and told.get("SLURM_CONF") == self.place["SLURM_CONF"]

    def _start(self, name: str, program: str, *options: str) -> None:
        with (self._folder / "daemons.log").open("ab") as log:
            command = [str(_path(program)), *options]
            self._daemons[name] = subprocess.Popen(command, env=os.environ | self.place, stdout=log, stderr=log)
        time.sleep(0.5)

    def _wait_for(self, node: str) -> None:
        command = ["sinfo", "--noheader", "--format=%T", "--partition=cpu", f"--nodes={node}"]
        for _ in range(120):
            dead = [name for name, daemon in self._daemons.items() if daemon.poll() is not None]
            assert not dead, (dead, (self._folder / "daemons.log").read_text())
            told = subprocess.run(command, env=os.environ | self.place, capture_output=True, text=True, check=False)
            if told.stdout.strip() in ("idle", "mixed", "allocated"):
                return
            time.sleep(0.5)
        raise AssertionError((self._folder / "daemons.log").read_text() + (self._folder / "slurmctld.log").read_text())


@contextmanager
def slurm_cluster(folder: Path) -> Iterator[Cluster]:
    """Inside, the daemons run."""
    cluster = Cluster(folder)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
