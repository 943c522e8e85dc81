"""`reproduce` as a user gives it: deadlines, stopping and going on, errors, and the committed `REPRODUCTION.md`."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from helpers import programs
from helpers.commands import call_bench
from helpers.paths import ROOT, TOY
from helpers.programs import Program
from rich.console import Console

from bench.config import RunConfig
from bench.hand_in.bundle import opened
from bench.launch.options import LaunchOptions
from bench.launch.workers import _Clock, launch
from bench.places import RESULTS
from bench.record import read_record
from bench.reproduce.cli import reproduce_command
from bench.reproduce.presets import preset_names, read_preset
from bench.reproduce.report import markdown
from bench.reproduce.state import read_found, state_of
from bench.run.runner import run
from bench.tracking.options import TrackerName

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200", "NO_COLOR": "1"}
SMOKE = ("seqgan-oracle20", "--row", "released setting", "--scale", "smoke", "--seed", "0", "--tracker", "none")
SMOKE += ("--set", "n_samples=200", "log_every=1", "iterations=4")


def start(*arguments: object) -> Program:
    return programs.start("bench", "reproduce", *arguments, env=ENVIRONMENT)


def command(*arguments: object) -> tuple[int | None, str, str]:
    process = start(*arguments)
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def test_the_clock_leaves_room_for_the_longest_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("bench.launch.workers.time", SimpleNamespace(time=lambda: now))
    clock = _Clock(130.0)
    assert not clock.is_up()  # nothing is known of pauses yet
    now = 110.0
    assert not clock.is_up()  # 110 + 10 < 130
    now = 112.0
    assert not clock.is_up()
    now = 119.0
    assert not clock.is_up()
    now = 120.0
    assert clock.is_up()  # another pause of 10 would end at 130


def test_a_deadline_saves_and_stops_and_what_follows_is_as_if_it_had_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Time goes on by a hundredth of a second at each look at the clock, however fast the machine is."""
    ticks = itertools.count()
    clock = SimpleNamespace(time=lambda: next(ticks) / 100, monotonic=time.monotonic)
    base = {"model": TOY, "task": "oracle_lstm", "scale": "smoke", "n_samples": 50, "log_every": 7}
    settings: dict[str, Any] = {**base, "model_settings": {"mle_steps": 200}, "evaluate_every": 60}
    resolved = [RunConfig.model_validate({**settings, "seed": seed}).resolve() for seed in (0, 1)]
    whole = [run(each, tmp_path / "whole") for each in resolved]
    monkeypatch.setattr("bench.launch.workers.time", clock)
    console, stops = Console(file=(tmp_path / "log").open("w")), 0
    for _ in range(30):
        options = LaunchOptions(runs=tmp_path / "cut", deadline=clock.time() + 1.0)  # about 50 steps
        outcomes = launch(resolved, options, console=console)
        assert all(outcome.at_deadline == (outcome.status == "stopped") for outcome in outcomes)
        stops += any(outcome.status == "stopped" for outcome in outcomes)
    assert 5 < stops < 29
    for each, record in zip(resolved, whole, strict=True):
        assert read_record(each.folder(tmp_path / "cut") / "record.json").content() == record.content()


def test_stopped_and_continued_it_gives_the_record_of_an_uninterrupted_run(tmp_path: Path) -> None:
    code, whole, _ = command(*SMOKE, "--runs", tmp_path / "whole", "--hand-in", bundle := tmp_path / "bundle.zip")
    assert code == 0
    with opened(bundle) as handed_in:
        assert [handed_in.unpack(run, tmp_path).parent.name for run in handed_in.runs] == list(handed_in.runs)
        assert len(handed_in.runs) == 1
    process = start(*SMOKE, "--runs", tmp_path / "cut", "--save-every", 0)
    deadline = time.monotonic() + 200
    while not any('"adversarial"' in path.read_text() for path in (tmp_path / "cut").glob("*seqgan*/train.jsonl")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=120)
    assert process.returncode in (130, 0)  # 0: it had just finished
    if process.returncode == 130:
        assert "Stopped, the state is saved; the same command goes on." in out
        code, out, _ = command(*SMOKE, "--runs", tmp_path / "cut")
        assert "goes on at step" in out
    assert code == 0
    records = [read_record(next((tmp_path / name).glob("*seqgan*/record.json"))) for name in ("whole", "cut")]
    assert records[0].content() == records[1].content()
    for text in (whole, out):
        verdicts = [line for line in text.splitlines() if ": published " in line]
        assert verdicts
        assert all("not comparable" in line and "scale smoke" in line for line in verdicts)
        for line in text.splitlines():
            assert "smoke" in line or line.startswith("all runs "), line


def test_a_budget_that_is_used_up_has_an_exit_code_of_its_own(tmp_path: Path) -> None:
    code, out, err = command(*SMOKE, "--runs", tmp_path, "--budget", "0.1s")
    assert code == 75, err
    assert "The budget is used up before the first step; it took" in out
    assert "the state is saved" not in out, "there is none"


def test_a_budget_holds_and_what_does_not_fit_is_said_before(tmp_path: Path) -> None:
    """The time of 300 runs is known by the record of one; the budget is for a few, however loaded the machine is."""
    small = ("seqgan-oracle20", "--row", "MLE, as many steps", "--scale", "smoke", "--tracker", "none")
    small += ("--set", "n_samples=200", "steps=400")
    begun = time.monotonic()
    assert command(*small, "--seed", "0", "--runs", tmp_path)[0] == 0
    of_one = time.monotonic() - begun
    begun = time.monotonic()
    code, out, err = command(*small, "--seed", "0-299", "--runs", tmp_path, "--budget", f"{3 + 2 * of_one:.1f}s")
    took = time.monotonic() - begun
    assert code == 75, err
    assert took < 3 + 4 * of_one + 10  # without a budget it would be minutes; a loaded machine takes seconds to end
    found = re.search(r"budget: \d+ s are left, and .+ of training are expected: it will stop", out)
    assert found is not None, out
    assert found.start() < out.index("already there, not trained again")
    assert re.search(r"300 runs in .*: 1 already there, .*\d+ not started", out), out


def test_json_is_one_document(tmp_path: Path) -> None:
    code, out, err = command(*SMOKE, "--set", "mle_steps=20", "--runs", tmp_path, "--json")
    assert code == 0, err
    document = json.loads(out)
    (preset,) = document["presets"]
    assert preset["name"] == "seqgan-oracle20"
    first = preset["rows"][0]["numbers"][0]
    assert (first["key"], first["published"], first["verdict"]) == ("nll_oracle", 8.6832, "not comparable")
    assert preset["rows"][0]["numbers"][-1]["values"].keys() == {"0"}
    assert [phase["name"] for phase in document["plan"][0]["phases"]] == ["mle", "discriminator", "adversarial"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["seqgn-oracle20"], "no preset 'seqgn-oracle20'; did you mean 'seqgan-oracle20'?"),
        ([], "which preset? Known: constant_reward-oracle20, "),
        (["mle-oracle20", "--budget", "9 minutes"], "--budget takes a number and s, m, h or d, such as 9m"),
        (["mle-oracle20", "--row", "released"], "has no row 'released'; did you mean 'released setting'?"),
        (["mle-oracle20", "--set", "stepps=3"], "has no setting 'stepps'; did you mean 'steps'?"),
        (["mle-oracle20", "--markdown"], "--markdown and --out go with --list"),
        (["mle-oracle20", "--hand-in", "b.zip", "--dry-run"], "--hand-in packs what was trained"),
        (["mle-oracle20", "--trained-by", "Ada"], "--trained-by goes with --hand-in FILE"),
        (["mle-oracle20", "--hand-in", "b.zip", "--trained-by", "<b>"], "without <, > and control characters"),
        (["texygen-image_coco", "--scale", "small"], "trains nothing"),
        (["texygen-image_coco"], "texygen_mle.txt is not on this machine and could not be downloaded"),
        (["mle-oracle20", "--device", "cuda:77"], "no device 'cuda:77' here"),
    ],
)
def test_a_wrong_word_or_missing_data_is_one_error_and_exit_2(
    arguments: list[str], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    monkeypatch.setenv("TEXTGAN_BENCH_DATA", str(tmp_path))
    monkeypatch.setenv("TEXTGAN_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("bench.data._download", lambda *_: (_ for _ in ()).throw(OSError("no network")))
    done = call_bench("reproduce", *arguments, "--runs", tmp_path / "runs", "--tracker", "none", code=2)
    assert expected in re.sub(r"\s+", " ", done.output)


def test_reproduction_md_is_what_the_command_writes(tmp_path: Path) -> None:
    """Whoever adds a record or a preset writes it anew: python -m bench reproduce --list --markdown --out …"""
    presets = [read_preset(name) for name in preset_names()]
    found = read_found([RESULTS])
    assert not found.unreadable
    expected = markdown([state_of(preset, found) for preset in presets])
    assert (ROOT / "REPRODUCTION.md").read_text(encoding="utf-8") == expected, (
        "write it anew: python -m bench reproduce --list --markdown --out REPRODUCTION.md"
    )
    code, out, err = command("--list", "mle-oracle20", "--runs", tmp_path)
    assert (code, err) == (0, "")
    assert out.endswith("has a record of; `reproduce NAME` trains your own.\n")
    code, out, err = command("--list", "--markdown", "--out", tmp_path / "R.md", "--runs", tmp_path)
    assert (code, out) == (0, ""), err
    assert (tmp_path / "R.md").read_text(encoding="utf-8") == expected


def test_a_published_number_is_shown_as_it_was_printed() -> None:
    """`0.230` in the paper is not `0.23`: the digits say how exactly it was measured."""
    text = (ROOT / "REPRODUCTION.md").read_text(encoding="utf-8")
    rows = [row for name in preset_names() for row in read_preset(name).rows]
    printed = {number.published[0].value for row in rows for number in row.numbers if len(number.published) == 1}
    assert any(value.endswith("0") for value in printed)
    assert not {value for value in printed if not re.search(rf"\| {re.escape(value)}[ ,]", text)}


def test_a_file_that_is_not_here_costs_its_own_row_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = {"label": "text", "task": "grammar", "metrics": ["unique"], "n_samples": 50}
    small = "task_settings = { n_train = 200, n_valid = 20, n_test = 60 }"
    lines = [f"{key} = {json.dumps(value)}" for key, value in real.items()]
    absent = ['name = "theirs"', 'file = "not-here.txt"', 'url = "https://localhost:1/x"', f'sha256 = "{"0" * 64}"']
    absent += ['task = "grammar"', 'metrics = ["unique"]', small, 'shown = ["unique"]']
    text = ["[[samples]]", *absent, "[[real_text]]", *lines, small, 'shown = ["unique"]']
    (tmp_path / "two.toml").write_text("\n".join(text))
    monkeypatch.setattr("bench.reproduce.presets.PAPER", tmp_path)
    monkeypatch.setattr("bench.data._RETRIES", 0)
    monkeypatch.setenv("TEXTGAN_BENCH_DATA", str(tmp_path))
    monkeypatch.setenv("TEXTGAN_BENCH_CACHE", str(tmp_path / "cache"))
    with pytest.raises(typer.Exit) as end:
        reproduce_command("two", runs=tmp_path / "runs", tracker=TrackerName.none)
    out = capsys.readouterr().out
    assert end.value.exit_code == 2
    assert "theirs: not scored:" in out
    assert "not-here.txt" in out
    assert len(list((tmp_path / "runs").glob("grammar-real_text-*/record.json"))) == 1
