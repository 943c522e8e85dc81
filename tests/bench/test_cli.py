"""The commands as a user gives them: in processes of their own where they begin work, killed, stopped, and misused."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from helpers import programs
from helpers.commands import call_bench
from helpers.paths import ROOT, TOY
from helpers.programs import Program
from typer.testing import CliRunner

from bench.cli import app, spread
from bench.record import read_record
from bench.run_settings import RunSettings

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200", "NO_COLOR": "1"}


def start(*arguments: object, most_bytes: int = 0) -> Program:
    return programs.start("bench", *arguments, env=ENVIRONMENT, most_bytes=most_bytes)


def command(*arguments: object) -> tuple[int, str]:
    process = start(*arguments)
    out, err = process.communicate(timeout=300)
    assert process.returncode is not None
    return process.returncode, out + err


def here(*arguments: object) -> tuple[int, str]:
    """The same in this process, of what is told before anything is begun."""
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, spread(list(map(str, arguments))))
    return result.exit_code, result.output


def toy_run(runs: Path, *more: object) -> tuple[object, ...]:
    return ("run", TOY, "oracle_lstm", "--scale", "smoke", "--runs", runs, "--tracker", "none", *more)


def test_several_values_follow_one_option() -> None:
    assert spread(["run", "a", "b", "--seed", "0", "1", "--set", "x=1", "y=2", "--jobs", "2"]) == [
        "run", "a", "b", "--seed", "0", "--seed", "1", "--set", "x=1", "--set", "y=2", "--jobs", "2",
    ]  # fmt: skip
    assert spread(["--temperature", ".5", "1.5", "seqgan"]) == ["--temperature", ".5", "--temperature", "1.5", "seqgan"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["run", "seqgn", "grammar"], "no 'seqgn' in baselines; did you mean 'seqgan'?"),
        (["run", "seqgan", "grammer"], "did you mean 'grammar'?"),
        (["run", "SeqGAN", "grammar"], "no 'SeqGAN' in baselines; did you mean 'seqgan'?"),
        (["run", "seqgan", "grammar", "--set", "rollout=3"], "has no setting 'rollout'; did you mean 'rollouts'?"),
        (["run", "seqgan", "grammar", "--set", "rollouts=abc"], "seqgan: rollouts takes an integer, got 'abc'"),
        (["run", "mle", "text_file"], "text_file: path must be set (--set path=...)"),
        (["run", "mle", "grammar", "--set", "device=cuda:77"], "no device 'cuda:77' here"),
        (["run", "mle", "grammar", "--set", "device=meta"], "nothing here trains on meta); use cpu, cuda or auto"),
        (["run", "mle", "grammar", "--tracking-uri", "./mlruns"], "MLflow 3 refuses folders"),
        (["suite", "demmo"], "no suite file 'demmo'; did you mean 'demo'?"),
        (["score", "nothing.txt", "grammar"], "no file 'nothing.txt'"),
        (["sample", "nowhere"], "holds no record.json"),
        (["show", "seqgn"], "did you mean 'seqgan'?"),
        (["sync", "nowhere"], "no run.json below nowhere"),
    ],
)
def test_a_wrong_word_is_one_line_and_exit_2(arguments: list[str], expected: str, tmp_path: Path) -> None:
    folder = ["--runs", str(tmp_path)] if arguments[0] in ("run", "suite") else []
    code, output = here(*arguments, *folder)
    assert code == 2
    assert expected in output
    assert "Traceback" not in output
    assert list(tmp_path.iterdir()) == []


def test_run_then_sample_then_list(tmp_path: Path) -> None:
    code, output = command(*toy_run(tmp_path, "--seed", 0, 1, "--set", "n_samples=100"))
    assert code == 0, output
    assert output.count("completed  ") == 2
    assert f"python -m leaderboards build {tmp_path}" in output
    folder = next(tmp_path.glob("oracle_lstm-toy_gan-0-*"))
    arguments = ("sample", folder, "-n", 3, "--temperature", 0.8, "--model", TOY)
    first, second = command(*arguments), CliRunner().invoke(app, list(map(str, arguments)))  # two processes, one draw
    assert first == (second.exit_code, second.output)
    assert re.fullmatch(r"((\d+ ){7}\d+\n){3}", first[1])
    assert {record.seed for record in map(read_record, tmp_path.glob("*/record.json"))} == {0, 1, None}
    listed = call_bench("list", "metrics")
    assert "self_bleu" in listed.output


def test_failed_runs_cost_the_others_nothing(tmp_path: Path) -> None:
    suite = tmp_path / "mixed.toml"
    suite.write_text(
        f'scale = "smoke"\ntask = "oracle_lstm"\nmodel = "{TOY}"\nn_samples = 50\n'
        "[[runs]]\nmodel_settings = {raise_at = 2}\n[[runs]]\nseeds = [1]\n"
    )
    for jobs in (1, 2):
        runs = tmp_path / f"runs{jobs}"
        code, output = command("suite", suite, "--runs", runs, "--tracker", "none", "--jobs", jobs)
        assert code == 1
        assert "RuntimeError: the toy is broken" in output
        statuses = [read_record(path).status for path in runs.glob("*toy_gan*/record.json")]
        assert sorted(statuses) == ["completed", "failed"]


def wait_for_phase(runs: Path, phase: str, process: Program) -> None:
    """Until the log on disk holds a step of the phase, so that the kill falls into it, and there is a checkpoint."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        logs = [path.read_text(errors="replace") for path in runs.glob("*/train.jsonl")]
        saved = process.args[-1] != "0" or list(runs.glob("*/checkpoint.pt"))  # --save-every 0
        if saved and any(f'"phase":"{phase}"' in log for log in logs):
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    raise AssertionError(f"phase {phase} was never reached")


SEQGAN = ("run", "seqgan", "oracle_lstm", "--scale", "smoke", "--tracker", "none", "--set", "n_samples=300")
SEQGAN += ("log_every=1",)


@pytest.fixture(scope="session")
def whole_seqgan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("whole")
    code, output = command(*SEQGAN, "--runs", runs)
    assert code == 0, output
    return next(runs.glob("*seqgan*"))


@pytest.mark.parametrize("phase", ["mle", "discriminator", "adversarial"])
def test_kill_9_in_each_phase_of_seqgan_then_the_same_record(phase: str, tmp_path: Path, whole_seqgan: Path) -> None:
    process = start(*SEQGAN, "--runs", tmp_path, "--save-every", 0)
    wait_for_phase(tmp_path, phase, process)
    process.kill()
    process.communicate()
    folder = next(tmp_path.glob("*seqgan*"))
    assert not (folder / "record.json").exists()
    assert (folder / "checkpoint.pt").exists()
    code, output = command(*SEQGAN, "--runs", tmp_path)
    assert code == 0, output
    assert read_record(folder / "record.json").content() == read_record(whole_seqgan / "record.json").content()
    for name in ("samples.txt", "samples-after-mle.txt", "samples-after-discriminator.txt", "weights.safetensors"):
        assert (folder / name).read_bytes() == (whole_seqgan / name).read_bytes(), name
    assert not list(folder.glob(".*.tmp"))


def test_a_checkpoint_that_does_not_fit_is_a_clear_error_and_costs_nothing(tmp_path: Path, whole_seqgan: Path) -> None:
    """No file may grow over 1 MB here, as on a full disk; SeqGAN's checkpoint is larger."""
    process = start(*SEQGAN, "--runs", tmp_path, most_bytes=1_000_000)
    output = "".join(process.communicate(timeout=120))
    assert process.returncode == 1, output
    assert "File too large; what was saved is whole, and the same command goes on from it" in output.replace("\n", " ")
    folder = next(tmp_path.glob("*seqgan*"))
    assert not {"checkpoint.pt", "record.json"} & {path.name for path in folder.iterdir()}
    assert not list(folder.glob(".*.tmp"))
    assert command(*SEQGAN, "--runs", tmp_path)[0] == 0
    assert read_record(folder / "record.json").content() == read_record(whole_seqgan / "record.json").content()


LONG = ("--set", "mle_steps=1000000", "n_samples=50")


@pytest.mark.parametrize("jobs", [1, 2])
def test_ctrl_c_saves_and_stops(tmp_path: Path, jobs: int) -> None:
    process = start(*toy_run(tmp_path, "--seed", 0, 1, "--jobs", jobs, *LONG))
    wait_for_phase(tmp_path, "mle", process)
    process.send_signal(signal.SIGINT)
    output = "".join(process.communicate(timeout=60))
    assert process.returncode == 130, output
    assert "The same command goes on where it stopped" in output
    assert "state saved" in output
    assert list(tmp_path.glob("*toy_gan-0*/checkpoint.pt"))
    assert not list(tmp_path.glob("*toy_gan*/record.json"))


def test_a_killed_worker_costs_only_its_run(tmp_path: Path) -> None:
    suite = tmp_path / "two.toml"
    suite.write_text(
        f'scale = "smoke"\ntask = "oracle_lstm"\nmodel = "{TOY}"\nn_samples = 50\n'
        "[[runs]]\nmodel_settings = {mle_steps = 1000000}\n[[runs]]\nseeds = [1]\n"
    )
    runs = tmp_path / "runs"
    process = start("suite", suite, "--runs", runs, "--tracker", "none", "--jobs", 2)
    wait_for_phase(runs, "adversarial", process)  # the short one is well on its way, the long one has begun
    deadline = time.monotonic() + 60
    while not list(runs.glob("*toy_gan-0*/train.jsonl")) and time.monotonic() < deadline:
        time.sleep(0.05)
    victims = [p for p in psutil.Process(process.pid).children() if "spawn_main" in " ".join(p.cmdline())]
    for _ in range(600):
        if list(runs.glob("*toy_gan-1*/record.json")):
            break
        time.sleep(0.1)
    for victim in victims:
        with contextlib.suppress(psutil.NoSuchProcess):  # the short one has ended by itself
            victim.kill()
    output = "".join(process.communicate(timeout=60))
    assert process.returncode == 1, output
    assert "its process died (exit code -9)" in output
    assert "completed  " in output


def test_an_orphaned_worker_saves_and_stops(tmp_path: Path) -> None:
    """kill -9 of the launcher: no worker goes on alone and blocks the same command."""
    arguments = toy_run(tmp_path, "--seed", 0, 1, "--jobs", 2, *LONG)
    process = start(*arguments)
    wait_for_phase(tmp_path, "mle", process)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("*toy_gan-0*/checkpoint.pt")) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert list(tmp_path.glob("*toy_gan-0*/checkpoint.pt"))


def test_a_read_only_folder_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    code, output = here(*toy_run(tmp_path / "file"))
    assert code == 2
    assert "--runs takes a folder" in output
    assert "Traceback" not in output


def test_score_reads_anybodys_file(tmp_path: Path) -> None:
    samples = tmp_path / "mine.txt"
    samples.write_text("the dog sleeps\n\nthe dog sleeps\nqwerty\n")
    code, output = command("score", samples, "grammar", "--json", "--runs", tmp_path / "runs", "--name", "mine")
    assert code == 0, output
    (file,) = json.loads(output)["files"]
    assert file["name"] == "mine"
    scores = file["scores"]
    assert scores["unique"]["value"] == 0.75
    assert scores["bleu_2"]["signature"].endswith("samples:4|v:1")
    written = read_record(next((tmp_path / "runs").glob("*/record.json")))
    assert written.evaluations[0].scores.keys() == scores.keys()
    assert (written.model, written.origin) == ("mine", "samples")
    code, output = command("score", samples, "grammar")
    assert code == 0
    assert "1 empty line, scored as an empty sentence" in output
    assert "absent: nll_gen" in output


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("empty.txt", b"", "is empty"),
        ("binary.txt", b"fine\nnot \0 fine\n", "line 2, byte 9: a zero byte"),
        ("latin.txt", "fine\ncaf\u00e9\n".encode("latin-1"), "line 2, byte 8: 0xe9 is not UTF-8"),
        ("torn.txt.gz", b"\x1f\x8b\x08", "is no whole gzip file"),
    ],
)
def test_score_says_what_is_wrong_with_a_file(name: str, content: bytes, expected: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    code, output = here("score", tmp_path / name, "grammar")
    assert code == 2
    assert expected in output


def test_score_and_help_load_no_torch(tmp_path: Path) -> None:
    samples = tmp_path / "mine.txt"
    samples.write_text("the dog sleeps\n")
    for arguments in (["--help"], ["list"], ["score", str(samples), "grammar"]):
        code = (
            f"import sys; sys.argv = ['bench', *{arguments!r}]\n"
            "from bench.__main__ import main\n"
            "try: main()\n"
            "except SystemExit as end: assert not end.code, end.code\n"
            "found = {'torch', 'mlflow', 'evaluate'} & set(sys.modules)\n"
            "assert not found, found\n"
        )
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_show_tells_every_setting_of_a_run_and_what_it_means() -> None:
    code, output = here("show", "run")
    assert code == 0
    lines = output.splitlines()
    for name in RunSettings.model_fields:
        (place,) = (i for i, line in enumerate(lines) if line.startswith(f"  {name} = "))
        assert lines[place + 1].startswith("      "), name
    assert "  on_alarm = 'record'" in lines


def test_show_tells_every_setting() -> None:
    code, output = here("show", "seqgan")
    assert code == 0
    assert "rollouts = 16" in output
    assert "Paper" in output
