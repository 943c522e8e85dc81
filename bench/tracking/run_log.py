"""What a run prints and is warned of, each line with its time, in its folder's `run.log`: for reading, never read back.

Every attempt at the run appends to it. It holds at most `MOST` bytes: of a longer one the middle is left out, so that
how it began and how it ended stay. What has become of a run is in its record and its diary; a log that cannot be
written costs a run nothing.
"""

from __future__ import annotations

import io
import logging
import os
import re
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO, cast

from bench.record import write_atomic
from bench.run_folder import LOG
from bench.text.escapes import shown

__all__ = ["MOST", "RunLog"]

MOST = 1 << 20
"""Bytes of a log."""
_BEGINNING, _END = MOST // 8, MOST // 2
"""Bytes that stay where it would be longer."""
_LINE = 10_000
"""Characters of a line."""
_COLOURS = re.compile(r"\x1b\[[\d;]*m")
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


class RunLog:
    """The log of one run while it is `opened`.

    `alone`: the process has no terminal of its own to print to, as a worker: nothing is passed on, and what is written
    past Python, by a library that crashes, is kept too.
    """

    def __init__(self, *, alone: bool = False) -> None:
        self.lines = 0
        """Kept of what was printed, `note` not counted."""
        self._alone = alone
        self._path = Path()
        self._file = -1
        self._lock = threading.RLock()

    @contextmanager
    def opened(self, folder: Path, stop: type[Exception]) -> Iterator[None]:
        """Inside, what Python code prints and warns of is kept in the folder; so is an exception that leaves.

        Of a `stop`, which is no failure, what it says is kept.
        """
        self._path = folder / LOG
        with suppress(OSError):  # a link or a pipe lies there, the disk is full: there is no log
            self._file = os.open(self._path, _FLAGS, 0o644)
        streams, descriptors = (sys.stdout, sys.stderr), self._taken()
        kept = [_Kept(stream, self, passed_on=not self._alone) for stream in streams]
        handlers = [(handler, handler.stream) for handler in _stream_handlers()]
        for handler, stream in handlers:
            for one in (one for one in kept if one.is_of(stream)):
                handler.setStream(one)
        sys.stdout, sys.stderr = cast("list[TextIO]", kept)
        try:
            with warnings.catch_warnings():
                pass  # makes Python forget which warnings it gave already: each run of a process has its own
            yield
        except stop as error:
            self.note(str(error))
            raise
        except BaseException:
            self.note(traceback.format_exc().rstrip())
            raise
        finally:
            for one in kept:
                one.end()
            sys.stdout, sys.stderr = streams
            for handler, stream in handlers:
                handler.setStream(stream)
            self._give_back(descriptors)
            self._close()

    def note(self, text: str) -> None:
        """Add lines of the harness."""
        for line in text.split("\n"):
            self._write(line)

    def keep(self, line: str) -> None:
        """Add a line that was printed."""
        self.lines += 1
        self._write(line)

    def _write(self, line: str) -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        content = f"{now} {shown(_COLOURS.sub('', line[:_LINE]))}\n".encode(errors="backslashreplace")
        with self._lock, suppress(OSError):
            if self._file >= 0:
                os.write(self._file, content)  # at once: a kill loses nothing
                if os.fstat(self._file).st_size > MOST:
                    self._shorten()

    def _shorten(self) -> None:
        with self._path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            beginning = file.read(_BEGINNING).rpartition(b"\n")[0]
            file.seek(size - _END)
            end = file.read(_END).partition(b"\n")[2]
        left_out = f"\n… {size - len(beginning) - len(end)} bytes left out …\n".encode()
        write_atomic(self._path, beginning + left_out + end)
        file_now = os.open(self._path, _FLAGS)
        os.dup2(file_now, self._file, inheritable=False)
        os.close(file_now)
        if self._alone:
            self._direct()

    def _taken(self) -> tuple[int, ...]:
        """Copies of the process's own outputs, which lead into the log from now on; nothing where they are left."""
        if not self._alone or self._file < 0:
            return ()
        copies = (os.dup(1), os.dup(2))
        self._direct()
        return copies

    def _direct(self) -> None:
        for output in (1, 2):
            os.dup2(self._file, output)

    @staticmethod
    def _give_back(copies: tuple[int, ...]) -> None:
        for output, copy in enumerate(copies, 1):
            os.dup2(copy, output)
            os.close(copy)

    def _close(self) -> None:
        with self._lock:
            if self._file >= 0:
                os.close(self._file)
            self._file = -1


def _stream_handlers() -> list[Any]:
    """The handlers of logging that write to a stream: they hold the one that was there when they were made."""
    loggers = [
        logging.getLogger(),
        *(one for one in logging.root.manager.loggerDict.values() if hasattr(one, "handlers")),
    ]
    found = {id(handler): handler for logger in loggers for handler in logger.handlers}
    return [handler for handler in found.values() if isinstance(vars(handler).get("stream"), io.TextIOBase)]


class _Kept:
    """A stream whose lines are kept; what is not said here is the stream's."""

    def __init__(self, stream: TextIO, log: RunLog, *, passed_on: bool) -> None:
        self._stream = stream
        self._log = log
        self._passed_on = passed_on
        self._begun = ""
        self.rich_proxied_file = getattr(stream, "rich_proxied_file", stream)
        """Where bars are drawn: past the log."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def is_of(self, stream: Any) -> bool:
        """Whether it is the stream that is kept here, or what that one leads to."""
        return stream is self._stream or stream is self.rich_proxied_file

    def write(self, text: str) -> int:
        """Pass text on and keep its lines; of a line that overwrites itself, as a bar does, what was written last."""
        if self._passed_on:
            self._stream.write(text)
        *lines, begun = (self._begun + text).split("\n")
        for line in lines:
            if line := _last_writing(line).rstrip():
                self._log.keep(line)
        self._begun = _last_writing(begun)[:_LINE]
        return len(text)

    def writelines(self, lines: Any) -> None:
        """As `write` does."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Of the stream; lines are kept at once."""
        if self._passed_on:
            self._stream.flush()

    def end(self) -> None:
        """Keep the line that was begun."""
        if self._begun:
            self._log.keep(self._begun)
        self._begun = ""


def _last_writing(line: str) -> str:
    return line.rstrip("\r").rpartition("\r")[2]
