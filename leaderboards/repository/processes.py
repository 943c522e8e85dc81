"""One function of many things in several processes; the death of one costs its thing alone."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

from bench.interrupts import start_shielded

__all__ = ["side_by_side"]

Answer = TypeVar("Answer")

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    item: int


def side_by_side(
    work: Callable[..., Answer], items: Sequence[tuple[Any, ...]], jobs: int, lost: Callable[[tuple[Any, ...]], Answer]
) -> list[Answer]:
    """`work(*item)` of each item, in order, `jobs` at a time; `lost(item)` where the process of an item died.

    A process does one item after another, so that what it has loaded serves the next. Ctrl-C is for the caller alone;
    its processes end with it.
    """
    for name in _THREADS:  # a process each; their matrix products must not fight for the cores
        os.environ.setdefault(name, "1")
    answers: dict[int, Answer] = {}
    waiting = list(reversed(range(len(items))))
    workers: list[_Worker] = []
    try:
        while waiting or workers:
            while waiting and len(workers) < jobs:
                workers.append(_start(work))
                _next(workers[-1], items, waiting)
            ready = wait([worker.pipe for worker in workers])
            for worker in [worker for worker in workers if worker.pipe in ready]:
                try:
                    answers[worker.item] = worker.pipe.recv()
                except (EOFError, OSError):
                    answers[worker.item] = lost(items[worker.item])
                    workers.remove(worker)
                    continue
                if waiting:
                    _next(worker, items, waiting)
                else:
                    worker.pipe.close()
                    workers.remove(worker)
    finally:
        for worker in workers:
            worker.process.kill()
    return [answers[index] for index in range(len(items))]


def _next(worker: _Worker, items: Sequence[tuple[Any, ...]], waiting: list[int]) -> None:
    worker.item = waiting.pop()
    try:
        worker.pipe.send(items[worker.item])
    except OSError:
        return  # it has just died, which is noticed where its answer is read


def _start(work: Callable[..., Any]) -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(work, theirs), daemon=True)
    start_shielded(process, signal.SIGINT)
    theirs.close()  # the worker's end: closed here, its death reads as the end of the stream
    return _Worker(process, ours, -1)


def _serve(work: Callable[..., Any], pipe: Connection) -> None:
    while True:
        try:
            item = pipe.recv()
        except (EOFError, OSError):
            return
        pipe.send(work(*item))
