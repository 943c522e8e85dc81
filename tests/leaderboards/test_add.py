"""`leaderboards add`: what becomes a row of the repository, what does not, and that nothing is half there."""

from __future__ import annotations

import bz2
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers import stored_runs as runs
from helpers.commands import call_leaderboards
from helpers.paths import TOY

from bench.record import RunRecord, read_record
from leaderboards.repository.add import PublishedFile, add, find_runs
from leaderboards.repository.results import place
from leaderboards.repository.verify import verify

LINES = [*["the dog sleeps", "a cat sees the dog", "the zorp sleeps", ""] * 3, "the dogs see a cat"]


LOG_PROBS = {"log-probs-samples.npz", "log-probs-samples-after-mle.npz"}


@pytest.fixture
def run(toy_run: Path, tmp_path: Path) -> Path:
    return runs.copy(toy_run, tmp_path / "run")


@pytest.fixture
def handed_in(tmp_path: Path) -> Path:
    (tmp_path / "published.txt").write_text("".join(f"{line}\n" for line in LINES))
    return runs.hand_in(tmp_path / "published.txt", tmp_path / "handed-in")


def command(*arguments: object, code: int = 0) -> str:
    return call_leaderboards(*arguments, code=code).output


def test_record_and_samples_are_copied(run: Path, tmp_path: Path) -> None:
    told = add(run / "record.json", tmp_path / "results")
    record = read_record(run / "record.json")
    folder = tmp_path / "results" / "grammar@1" / place(record).parts[1] / record.run_id
    assert told.new
    assert Path(told.folder) == folder
    assert told.bytes == sum(path.stat().st_size for path in folder.iterdir())
    assert (folder / "record.json").read_bytes() == (run / "record.json").read_bytes()
    kept = {path.name for path in folder.iterdir()} - {"record.json"}
    sentences = {"samples.txt.bz2", "samples-after-mle.txt.bz2", "model.py.bz2"}
    assert kept == sentences | LOG_PROBS, "the end, that of pre-training, the code"
    for name in LOG_PROBS:
        assert (folder / name).read_bytes() == (run / name).read_bytes()
    for name in sentences:
        assert bz2.decompress((folder / name).read_bytes()) == (run / name.removesuffix(".bz2")).read_bytes()


def test_the_same_run_gives_the_same_bytes_and_is_added_once(run: Path, tmp_path: Path) -> None:
    one, two = (add(run / "record.json", tmp_path / name) for name in ("one", "two"))
    assert [p.read_bytes() for p in sorted(Path(one.folder).iterdir())] == [
        p.read_bytes() for p in sorted(Path(two.folder).iterdir())
    ]
    runs.change(run, lambda r: replace(r, created_at="2025-01-01T00:00:00+00:00"))
    again = add(run / "record.json", tmp_path / "one")
    assert not again.new
    assert read_record(Path(one.folder) / "record.json").created_at != "2025-01-01T00:00:00+00:00"
    assert "there already" in command("add", run, "--results", tmp_path / "one")


@pytest.mark.parametrize(
    ("model", "folder"),
    [
        ("seqgan", "seqgan"),
        ("my_gan.py:MyGAN", "my_gan-MyGAN"),
        ("../mine/my gan.py:MyGAN", "mine-my-gan-MyGAN"),
        ("/srv/a/my_gan.py", "srv-a-my_gan-py"),
        ("LeakGAN, authors' samples", "LeakGAN-authors-samples"),
        ("..", "unnamed"),
        ("甲", "unnamed"),
        ("x" * 300, "x" * 60),
    ],
)
def test_a_models_name_becomes_one_harmless_folder(run: Path, model: str, folder: str) -> None:
    path = place(replace(read_record(run / "record.json"), model=model))
    assert path.parts[1] == folder
    assert len(path.parts) == 3


Change = Callable[[RunRecord], RunRecord]


def environment(**changes: Any) -> Change:
    return lambda record: replace(record, environment={**record.environment, **changes})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (environment(**{"git.dirty": True}), "uncommitted changes"),
        (environment(**{"git.dirty": None}), "uncommitted changes"),
        (environment(**{"git.sha": None}), "no commit is recorded"),
        (environment(**{"git.sha": "--output=/etc/x"}), "no commit is recorded"),
        (environment(**{"git.sha": "1" * 40}), "does not know the commit 111111111111"),
        (lambda r: replace(r, task="gramar"), "did you mean 'grammar'?"),
        (lambda r: replace(r, task="my_task.py:MyTask"), "a file of its author's"),
        (lambda r: replace(r, task="text_file", task_config={"path": "mine.txt"}), "a file of its author's"),
        (lambda r: replace(r, task_version=99), "grammar has version 1 here, the record is of version 99"),
        (lambda r: replace(r, task_config={"n_trian": 5}), "no setting 'n_trian'; did you mean 'n_train'"),
        (lambda r: replace(r, task_config={**r.task_config, "n_train": 10**9}), "over 1000000"),
        (lambda r: replace(r, task_config={}), "exactly the settings"),
        (lambda r: replace(r, data_sha256="0" * 64), "the data are 000000000000, grammar gives"),
        (lambda r: replace(r, evaluations=r.evaluations[:2]), "without an evaluation at its end"),
        (lambda r: replace(r, model="<script>alert(1)</script>"), "without <, >"),
        (lambda r: replace(r, sources={**(r.sources or {}), "import layers": "0" * 64}), "imports layers, a file of"),
    ],
)
def test_refused_is_what_nobody_could_check(run: Path, tmp_path: Path, change: Change, said: str) -> None:
    if "does not know" in said and not (runs.ROOT / ".git").exists():
        pytest.skip("no repository that could know a commit")
    runs.change(run, change)
    with pytest.raises(ValueError, match=r".") as error:
        add(run / "record.json", tmp_path / "results")
    assert said in str(error.value)
    assert str(run) in str(error.value)
    assert not (tmp_path / "results").exists()


def test_refused_are_samples_that_are_not_the_records(run: Path, tmp_path: Path) -> None:
    samples = run / "samples.txt"
    whole = samples.read_text()
    for content, said in ((whole.replace(" ", "  ", 1), "SHA-256"), (None, "samples.txt is missing")):
        samples.unlink()
        if content is not None:
            samples.write_text(content)
        with pytest.raises(ValueError, match=said):
            add(run / "record.json", tmp_path / "results")
    (tmp_path / "elsewhere").write_text(whole)
    samples.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="is a link"):
        add(run / "record.json", tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_the_same_run_in_the_words_of_another_version_is_there_already(run: Path, tmp_path: Path) -> None:
    """A direction and the reason of an absent score belong to the version that wrote them."""
    add(run / "record.json", tmp_path / "results")

    def older(record: RunRecord) -> RunRecord:
        said = [
            replace(
                e,
                scores={key: replace(score, better="lower") for key, score in e.scores.items()},
                skipped={**e.skipped, "mauve": "it was not there yet"},
            )
            for e in record.evaluations
        ]
        return replace(record, evaluations=tuple(said))

    runs.change(run, older)
    assert not add(run / "record.json", tmp_path / "results").new


def test_another_record_of_the_same_id_is_refused(run: Path, tmp_path: Path) -> None:
    first = add(run / "record.json", tmp_path / "results")
    before = (Path(first.folder) / "record.json").read_bytes()
    runs.change(run, lambda r: replace(r, n_parameters=7))
    with pytest.raises(ValueError, match="another record of this run_id"):
        add(run / "record.json", tmp_path / "results")
    assert (Path(first.folder) / "record.json").read_bytes() == before


def test_a_failed_run_is_a_row_too(tmp_path: Path) -> None:
    folder = runs.train(tmp_path, model_settings={"break_at": 3})
    assert read_record(folder / "record.json").status == "failed"
    told = add(folder / "record.json", tmp_path / "results")
    assert told.files == [min(LOG_PROBS), "model.py.bz2", "record.json", "samples-after-mle.txt.bz2"]


def test_nothing_is_left_of_a_write_that_broke_off(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, done = Path.write_bytes, []

    def full(path: Path, content: bytes) -> int:
        if len(done) == 2:
            raise OSError("no space left")
        done.append(path)
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="no space"):
        add(run / "record.json", tmp_path / "results")
    assert len(done) == 2
    assert not [path for path in (tmp_path / "results").rglob("*") if path.is_file() or path.name.startswith(".")]


def test_handed_in_samples_are_added_with_their_words(handed_in: Path, tmp_path: Path) -> None:
    told = add(handed_in / "record.json", tmp_path / "results")
    assert Path(told.folder).parent.name == "Somebody-s-samples"
    stored = bz2.decompress((Path(told.folder) / "samples.txt.bz2").read_bytes()).decode()
    assert stored.splitlines() == LINES


def test_of_somebody_elses_samples_hash_and_address_are_kept(handed_in: Path, run: Path, tmp_path: Path) -> None:
    file, url = tmp_path / "published.txt", "https://example.org/published.txt"
    told = add(handed_in / "record.json", tmp_path / "results", [PublishedFile(file=file, url=url)])
    assert told.files == ["record.json", "source.json"]
    source = json.loads((Path(told.folder) / "source.json").read_text())
    assert source == {"name": "published.txt", "url": url, "sha256": runs.sha256(file.read_bytes())}
    (tmp_path / "other.txt").write_text("the dog sleeps\n")
    for bad, said in (
        (PublishedFile(file=file, url="http://example.org/x"), "https address"),
        (PublishedFile(file=tmp_path / "other.txt", url=url), "does not hold the samples"),
    ):
        with pytest.raises(ValueError, match=said):
            add(handed_in / "record.json", tmp_path / "other", [bad])
    with pytest.raises(ValueError, match="samples that were handed in"):
        add(run / "record.json", tmp_path / "other", [PublishedFile(file=file, url=url)])


def test_an_unfinished_run_is_no_row(tmp_path: Path) -> None:
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "run.json").write_text("{}")
    with pytest.raises(FileNotFoundError, match=r"the runs below it have not ended"):
        find_runs([tmp_path / "begun"])
    assert "error: " in command("add", tmp_path / "begun", "--results", tmp_path / "results", code=2)


def test_command_adds_the_good_and_names_the_bad(run: Path, handed_in: Path, tmp_path: Path) -> None:
    runs.change(handed_in, lambda r: replace(r, task_version=99))
    told = command("add", run, handed_in, "--results", tmp_path / "results", code=1)
    assert "added  " in told
    assert f"refused: {handed_in / 'record.json'}" in told
    done = call_leaderboards("add", run, "--results", tmp_path / "again", "--json")
    (one,) = json.loads(done.stdout)["added"]
    assert one["new"]
    expected = ["model.py.bz2", "record.json", "samples-after-mle.txt.bz2", "samples.txt.bz2"]
    assert one["files"] == [*sorted(LOG_PROBS), *expected]
    assert "go together" in command("add", run, "--source-url", "https://example.org", code=2)


def test_the_source_of_a_model_in_a_file_is_kept_and_checked(run: Path, tmp_path: Path) -> None:
    folder = Path(add(run / "record.json", tmp_path / "results").folder)
    assert bz2.decompress((folder / "model.py.bz2").read_bytes()) == Path(TOY.partition(":")[0]).read_bytes()
    assert verify([tmp_path / "results"])[0].state == "verified"
    (folder / "model.py.bz2").write_bytes(bz2.compress(b"print('another model')"))
    assert "model.py.bz2 has the SHA-256" in verify([tmp_path / "results"])[0].reasons[0]
    (folder / "model.py.bz2").unlink()
    assert "model.py, the source of toy_gan.py:ToyGAN, is missing" in verify([tmp_path / "results"])[0].reasons[0]
    (run / "model.py").write_text("another model")
    with pytest.raises(ValueError, match=r"model\.py has the SHA-256 \w+, the record says"):
        add(run / "record.json", tmp_path / "others")
    runs.change(run, lambda r: replace(r, sources=None))
    with pytest.raises(ValueError, match="is not kept with the run: run it again"):
        add(run / "record.json", tmp_path / "others")


def score_of(key: str, value: float) -> Change:
    def changed(record: RunRecord) -> RunRecord:
        *before, last = record.evaluations
        return replace(record, evaluations=(*before, replace(last, scores={**last.scores, key: replace(
            last.scores[key], value=value)})))  # fmt: skip

    return changed


IMPOSSIBLE = [
    (score_of("nll_gen", -0.118), "nll_gen is -0.118, a probability over 1"),
    (score_of("validity", 1.5), "validity is 1.5, not between 0 and 1"),
    (lambda r: replace(r, n_parameters=-5), "n_parameters -5"),
    (lambda r: replace(r, phases=(replace(r.phases[0], seconds=-1.0), *r.phases[1:])), "has negative"),
    (lambda r: replace(r, evaluations=(*r.evaluations, replace(r.evaluations[-1], temperature=-1.0))), "ature -1"),
    (lambda r: replace(r, created_at="9999-01-01T00:00:00"), "lies in the future"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "said"), IMPOSSIBLE)
def test_what_is_impossible_is_refused_and_not_counted(run: Path, tmp_path: Path, change: Change, said: str) -> None:
    runs.change(run, change)
    with pytest.raises(ValueError, match=r".") as error:
        add(run / "record.json", tmp_path / "results")
    assert said in str(error.value)
    assert any(said in reason for reason in verify([run])[0].reasons)
    told = command("build", run, "--out", tmp_path, code=1)
    assert "is not counted" in told
    assert said.split()[0] in told


def test_smoke_runs_and_runs_without_a_score_are_no_rows(run: Path, tmp_path: Path) -> None:
    record = read_record(run / "record.json")
    for changed, said in (
        (replace(record, scale="smoke"), "scale smoke is for trying"),
        (replace(record, evaluations=tuple(replace(e, scores={}) for e in record.evaluations)), "without any score"),
    ):
        changed.write(run / "record.json")
        with pytest.raises(ValueError, match=said):
            add(run / "record.json", tmp_path / "results")


def test_a_failed_run_is_started_and_never_verified(tmp_path: Path) -> None:
    folder = runs.train(tmp_path / "runs", model_settings={"break_at": 3})
    add(folder / "record.json", tmp_path / "results")
    assert verify([tmp_path / "results"])[0].state == "no evidence"
    told = command("verify", tmp_path / "results", "--write", code=3)
    assert "1 no evidence" in told
    assert json.loads((tmp_path / "results" / "verified.json").read_text())["records"] == {}


def test_the_rounding_of_sums_makes_no_other_record(handed_in: Path, tmp_path: Path) -> None:
    add(handed_in / "record.json", tmp_path / "results")
    value = read_record(handed_in / "record.json").evaluations[-1].scores["bleu_2"].value
    runs.change(handed_in, score_of("bleu_2", value * (1 + 1e-14)))
    assert not add(handed_in / "record.json", tmp_path / "results").new
    runs.change(handed_in, score_of("bleu_2", value * (1 + 1e-3)))
    with pytest.raises(ValueError, match="holds another record"):
        add(handed_in / "record.json", tmp_path / "results")
