"""What a run prints: in its folder, with times, over all attempts, bounded, and harmless to read."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from rich.console import Console

from bench.tracking.run_log import MOST, RunLog

STAMPED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ ")


class Stopped(Exception):  # noqa: N818 - as the runner's, it is no failure
    pass


def say(*parts: str) -> None:
    """As `print` writes its words: each by itself."""
    sys.stdout.writelines(parts)


def lines(folder: Path) -> list[str]:
    found = (folder / "run.log").read_text(encoding="utf-8").splitlines()
    assert all(STAMPED.match(line) for line in found)
    return [STAMPED.sub("", line, count=1) for line in found]


def test_prints_and_logging_are_kept_and_passed_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stream = logging.StreamHandler(sys.stderr)  # as torch's: it holds the stream of when it was made
    logger = logging.getLogger("some.library")
    logger.addHandler(stream)
    before = sys.stdout, sys.stderr
    for attempt in (1, 2):
        log = RunLog()
        with log.opened(tmp_path, stop=Stopped):
            say("loss", " ", str(attempt), "\n")
            say("half")
            say(" a line\n")
            logger.warning("of a library")
            log.note("ours")
        assert log.lines == 3
    logger.removeHandler(stream)
    assert (sys.stdout, sys.stderr) == before
    assert stream.stream is before[1]
    kept = lines(tmp_path)
    for text in ("loss 1", "loss 2", "half a line", "of a library", "ours"):
        assert text in kept
    assert "loss 1\nhalf a line\n" in capsys.readouterr().out


def test_bars_are_drawn_past_the_log(tmp_path: Path) -> None:
    console = Console(stderr=True)
    with RunLog().opened(tmp_path, stop=Stopped):
        console.print("bar")
    assert lines(tmp_path) == []


def test_a_failure_is_kept_with_its_traceback_and_a_stop_in_words(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), RunLog().opened(tmp_path, stop=Stopped):
        _ = 1 / 0
    with pytest.raises(Stopped), RunLog().opened(tmp_path, stop=Stopped):
        raise Stopped("saved at step 3")
    kept = lines(tmp_path)
    assert kept[0] == "Traceback (most recent call last):"
    assert kept[-2:] == ["ZeroDivisionError: division by zero", "saved at step 3"]


def test_what_is_printed_steers_no_terminal_and_a_bar_is_one_line(tmp_path: Path) -> None:
    with RunLog(alone=False).opened(tmp_path, stop=Stopped):
        say("\x1b[31mred\x1b[0m \x1b]0;title\x07 \u202eback\n")
        for i in range(100):
            say(f"\r{i}%")
        say("\n")
    assert lines(tmp_path) == [r"red \x1b]0;title\x07 \u202eback", "99%"]


def test_of_a_long_log_the_beginning_and_the_end_stay(tmp_path: Path) -> None:
    with RunLog().opened(tmp_path, stop=Stopped):
        for i in range(300):
            sys.stdout.write(f"{i} {'x' * 9_000}\n")
        sys.stdout.write("the end\n")
    path = tmp_path / "run.log"
    assert path.stat().st_size <= MOST + 20_000
    text = path.read_text(encoding="utf-8")
    assert re.match(rf"{STAMPED.pattern}0 x", text)
    assert text.endswith("the end\n")
    assert "bytes left out" in text
    assert [p.name for p in tmp_path.iterdir()] == ["run.log"]


def test_what_is_no_file_of_ours_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("theirs")
    (tmp_path / "run.log").symlink_to(tmp_path / "target")
    with RunLog().opened(tmp_path, stop=Stopped):
        say("anything\n")
    assert (tmp_path / "target").read_text() == "theirs"
    (tmp_path / "run.log").unlink()
    os.mkfifo(tmp_path / "run.log")
    with RunLog().opened(tmp_path, stop=Stopped):
        say("nobody reads it, and nothing waits\n")


def test_of_a_worker_all_is_kept_even_what_a_crash_says(tmp_path: Path) -> None:
    program = """
        import ctypes, faulthandler, os, sys, warnings
        from pathlib import Path
        from bench.tracking.run_log import RunLog
        faulthandler.enable(2)
        log = RunLog(alone=True)
        with log.opened(Path(sys.argv[1]), stop=KeyError):
            print("printed")
            os.write(2, b"written past Python\\n")
            warnings.warn("given once for each place")
        print("on the terminal again", log.lines)
        sys.stdout.flush()
        with log.opened(Path(sys.argv[1]), stop=KeyError):
            print("no end of a line", end="", flush=True)
            print()
            warnings.warn("given once for each place")
            ctypes.string_at(0)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert (done.stdout, done.stderr) == ("on the terminal again 2\n", "")
    text = (tmp_path / "run.log").read_text(encoding="utf-8")
    warning = "UserWarning: given once for each place\n"
    order = ["printed\n", "written past Python\n", "no end of a line\n", "Fatal Python error: Segmentation fault"]
    places = [text.index(part) for part in order]
    assert places == sorted(places)
    assert text.count(warning) == 2
