"""`python -m bench …` in a process of its own that need not load torch again: it is forked from one that has.

A process like any other: it can be killed, interrupted and limited. What is ours is imported in each anew; libraries
are there already. A test of start-up itself, of imports or of the shell takes `subprocess`.
"""

from __future__ import annotations

import functools
import io
import multiprocessing
import os
import resource
import runpy
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from multiprocessing import forkserver
from pathlib import Path
from unittest.mock import patch

from helpers.paths import ROOT

__all__ = ["Program", "start"]

_LIBRARIES = ("numpy", "scipy.optimize", "scipy.sparse", "scipy.stats", "torch", "safetensors.torch", "nltk", "pandas")
_LIBRARIES += ("pydantic", "rich.progress", "typer", "mlflow", "mlflow.store.tracking.sqlalchemy_store")
_context = multiprocessing.get_context("forkserver")


@functools.cache
def _serve() -> None:
    """Start the process that others are forked from, once; with MLflow's telemetry there would be a thread in it."""
    _context.set_forkserver_preload(list(_LIBRARIES))
    with patch.dict(os.environ, {"MLFLOW_DISABLE_TELEMETRY": "true"}):
        forkserver.ensure_running()


class Program:
    """A program under way, with as much of `subprocess.Popen` as tests ask for."""

    def __init__(
        self,
        module: str,
        words: list[str],
        cwd: Path,
        environment: Mapping[str, str],
        *,
        session: bool = False,
        most_bytes: int = 0,
    ) -> None:
        self.args = [module, *words]
        self._encoding = environment.get("PYTHONIOENCODING", "utf-8")
        self._folder = tempfile.TemporaryDirectory()
        out, err = (Path(self._folder.name, name) for name in ("out", "err"))
        self._said = out, err
        _serve()
        arguments = (module, words, str(cwd), dict(environment), str(out), str(err), session, most_bytes)
        self._process = _context.Process(target=_become, args=arguments)
        self._process.start()
        assert self._process.pid is not None
        self.pid: int = self._process.pid

    @property
    def returncode(self) -> int | None:
        """As `subprocess` has it; None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """The same."""
        return self.returncode

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()

    def send_signal(self, number: int) -> None:
        """Any signal."""
        os.kill(self.pid, number)

    def wait(self, timeout: float | None = None) -> int:
        """Until its end. Raises `subprocess.TimeoutExpired`."""
        self._process.join(timeout)
        if (code := self.returncode) is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0, self._read(0), self._read(1))
        return code

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """What it has printed up to its end."""
        self.wait(timeout)
        return self._read(0), self._read(1)

    def _read(self, number: int) -> str:
        path = self._said[number]
        return path.read_text(encoding=self._encoding, errors="replace") if path.exists() else ""


def start(
    module: str,
    *words: object,
    cwd: Path = ROOT,
    env: Mapping[str, str] | None = None,
    session: bool = False,
    most_bytes: int = 0,
) -> Program:
    """`python -m module words…`, or a file of Python.

    `session`: it is the head of a group of processes, as in a terminal; `most_bytes`: no file may grow larger.
    """
    environment = os.environ if env is None else env
    return Program(module, list(map(str, words)), cwd, environment, session=session, most_bytes=most_bytes)


def _become(
    module: str,
    words: list[str],
    cwd: str,
    environment: dict[str, str],
    out: str,
    err: str,
    session: bool,
    most_bytes: int,
) -> None:
    """In the new process: everything that a shell would have set, and then the program."""
    if session:
        os.setsid()
    for number, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    for stream in (sys.stdout, sys.stderr):
        assert isinstance(stream, io.TextIOWrapper)
        errors = "strict" if stream is sys.stdout else "backslashreplace"  # as Python has them
        stream.reconfigure(encoding=environment.get("PYTHONIOENCODING", "utf-8"), errors=errors)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    sys.path[:0] = [cwd, *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    sys.argv = [module, *words]
    if most_bytes:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if module.endswith(".py"):
        runpy.run_path(module, run_name="__main__")
    else:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
