"""Runs in one file: what is packed is added as a folder would be, and what was changed on the way is refused."""

from __future__ import annotations

import json
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import stored_runs as runs
from helpers.commands import call_leaderboards

from bench.hand_in import bundle as bundles
from bench.hand_in.bundle import opened, pack
from bench.record import read_record
from bench.run_folder import TRAINED_BY
from leaderboards.boards import build
from leaderboards.repository.add import add
from leaderboards.repository.verify import verify

Files = dict[str, bytes]


@pytest.fixture(scope="module")
def run(toy_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return runs.copy(toy_run, tmp_path_factory.mktemp("packed") / "run")


@pytest.fixture(scope="module")
def bundle(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of one run of a model in a file."""
    return pack([run / "record.json"], tmp_path_factory.mktemp("bundle") / "bundle.zip").path


def command(*arguments: object, code: int = 0) -> str:
    return call_leaderboards(*arguments, code=code).output.replace("\n", " ")


def contents(folder: Path) -> Files:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def read(path: Path) -> Files:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def written(path: Path, files: Files) -> Path:
    """As anybody packs a folder again."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def with_another(files: Files, path: Path) -> Files:
    """Beside the run of a bundle another one, whole."""
    name = read_record(path / "record.json").run_id
    other = {f"{name}/record.json": (path / "record.json").read_bytes()}
    for file in path.iterdir():
        if file.name in ("samples.txt", "samples-after-mle.txt", "model.py"):
            other[f"{name}/{file.name}"] = file.read_bytes()
    return {**files, **other, "manifest.json": manifest({**files, **other})}


def manifest(files: Files) -> bytes:
    hashes = {name: runs.sha256(content) for name, content in files.items() if name != "manifest.json"}
    return json.dumps({"schema_version": 1, "files": hashes}).encode()


def test_a_bundle_is_added_as_its_folder_is(run: Path, bundle: Path, tmp_path: Path) -> None:
    add(run / "record.json", tmp_path / "of-folder")
    assert "added" in command("add", bundle, "--results", tmp_path / "of-bundle")
    assert contents(tmp_path / "of-folder") == contents(tmp_path / "of-bundle")
    assert {r.state for r in verify([tmp_path / "of-bundle"])} == {"verified"}
    again = written(tmp_path / "packed again.zip", {"run/": b"", **read(bundle)})
    both = command("add", again, run, bundle, "--results", tmp_path / "of-bundle")
    assert both.count("there already") == 3, "bundles and folders go together"


def test_the_same_runs_give_the_same_bytes(run: Path, bundle: Path, tmp_path: Path) -> None:
    told = pack([run / "record.json"] * 2, tmp_path / "again.zip")
    assert told.path.read_bytes() == bundle.read_bytes()
    assert told.warnings == told.left_out == []
    (folder,) = {name.partition("/")[0] for name in read(bundle)} - {"manifest.json"}
    kept = {"record.json", "samples.txt.bz2", "samples-after-mle.txt.bz2", "model.py.bz2"}
    numbers = {"log-probs-samples.npz", "log-probs-samples-after-mle.npz"}
    assert set(read(bundle)) == {"manifest.json", *(f"{folder}/{name}" for name in kept | numbers)}
    row = Path(add(run / "record.json", tmp_path / "results").folder)
    assert pack([row / "record.json"], tmp_path / "of-row.zip").path.read_bytes() == bundle.read_bytes()


Change = Callable[[Files], Files]


def changed(name: str, content: bytes | None) -> Change:
    """One file another, or (None) away."""

    def change(files: Files) -> Files:
        place = next(each for each in files if each.endswith(name))
        return {k: v if k != place else content for k, v in files.items() if k != place or content is not None}  # type: ignore[misc]

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (changed("samples.txt.bz2", b"other"), "samples.txt.bz2 has the SHA-256"),
        (changed("record.json", b"{}"), "record.json has the SHA-256"),
        (changed("model.py.bz2", None), "model.py.bz2 stands in manifest.json and is not in the bundle"),
        (
            lambda files: {
                **files,
                next(n for n in files if n.endswith("/model.py.bz2")).partition("/")[0] + "/more": b"",
            },
            "/more is in the bundle and does not stand in manifest.json",
        ),
    ],
)
def test_a_run_that_was_changed_is_refused_and_another_one_is_added(
    bundle: Path, tmp_path: Path, change: Change, said: str
) -> None:
    other = runs.hand_in(_text(tmp_path), tmp_path / "other")
    files = change(with_another(read(bundle), other))
    told = command("add", written(tmp_path / "b.zip", files), "--results", tmp_path / "results", code=1)
    assert said in told
    assert "refused: " in told
    assert [read_record(p).model for p in (tmp_path / "results").rglob("record.json")] == ["Somebody's samples"]
    assert len(list((tmp_path / "results").rglob("record.json"))) == 1, "nothing is half there"


def _text(folder: Path) -> Path:
    (folder / "published.txt").write_text("the dog sleeps\na cat sees the dog\n" * 6)
    return folder / "published.txt"


def test_hashes_of_the_sender_do_not_make_a_record_true(bundle: Path, tmp_path: Path) -> None:
    files = read(bundle)
    place = next(name for name in files if name.endswith("record.json"))
    files[place] = files[place].replace(b'"status": "completed"', b'"status": "failed"')
    files["manifest.json"] = manifest(files)
    told = command("add", written(tmp_path / "b.zip", files), "--results", tmp_path / "results", code=1)
    assert "its checksum differs" in told
    assert not list((tmp_path / "results").rglob("record.json"))


@pytest.mark.parametrize(
    "name",
    ["../outside.txt", "/outside.txt", "run/../../outside", "run/a/b", "run\\..\\outside", "C:outside", "run/..", "x"],
)
def test_a_place_outside_is_refused_with_all_the_rest(bundle: Path, tmp_path: Path, name: str) -> None:
    files = {**read(bundle), name: b"x"}
    for each in (files, {**files, "manifest.json": manifest(files)}):
        (tmp_path / "here").mkdir(exist_ok=True)
        path = written(tmp_path / "here" / "b.zip", each)
        told = command("add", path, "--results", tmp_path / "results", code=1)
        assert "refused as a whole" in told
        assert "is no place in a bundle" in told
    assert not list(tmp_path.rglob("outside*"))
    assert not list((tmp_path / "results").rglob("record.json"))


def test_links_sizes_and_what_is_no_bundle_are_refused_before_anything_is_unpacked(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = zipfile.ZipInfo("run/link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    (tmp_path / "torn.zip").write_bytes(bundle.read_bytes()[:500])
    written(tmp_path / "empty.zip", {"run/record.json": b""})
    written(tmp_path / "capitals.zip", {**read(bundle), "Run/record.json": b"", "run/record.json": b""})
    with zipfile.ZipFile(tmp_path / "large.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(3):
            archive.writestr(f"run/{number}", b"\0" * 300_000)
    for name, said in (
        ("link.zip", "is a link or a device"),
        ("torn.zip", "is no bundle of runs"),
        ("empty.zip", "it has no manifest.json: `leaderboards pack` makes a bundle"),
        ("capitals.zip", "differ in capitals alone"),
    ):
        assert said in command("add", tmp_path / name, "--results", tmp_path / "results", code=1)
    monkeypatch.setattr(bundles, "MOST_UNPACKED", 800_000)
    assert "take 900,000 bytes" in command("add", tmp_path / "large.zip", "--results", tmp_path / "r", code=1)
    monkeypatch.setattr(bundles, "MOST_UNPACKED", 1_000_000)
    monkeypatch.setattr(bundles, "MOST_BYTES", 200_000)
    assert "'run/0' takes 300,000 bytes" in command("add", tmp_path / "large.zip", "--results", tmp_path / "r", code=1)
    monkeypatch.undo()
    monkeypatch.setattr(bundles, "MOST_OF_RUN", 1_000)
    assert "at most 1,000 of one run" in command("add", bundle, "--results", tmp_path / "results", code=1)
    assert not list(tmp_path.rglob("record.json"))


def test_a_file_that_says_it_is_shorter_than_it_is_costs_no_more_than_it_says(tmp_path: Path) -> None:
    files = {"run/record.json": b"\0" * 50_000}
    path = written(tmp_path / "lies.zip", {**files, "manifest.json": manifest(files)})
    content = path.read_bytes()
    path.write_bytes(content.replace((50_000).to_bytes(4, "little"), (50).to_bytes(4, "little")))
    with opened(path) as found, pytest.raises(ValueError, match=r"cannot be unpacked|SHA-256"):
        found.unpack("run", tmp_path)
    assert not (tmp_path / "run").exists()


def test_who_trained_it_goes_along_and_stands_in_the_table(run: Path, tmp_path: Path) -> None:
    real_text = runs.hand_in(_text(tmp_path), tmp_path / "text", "real_text")
    told = command("pack", run, real_text, "--out", tmp_path / "b.zip", "--trained-by", "Ada Lovelace")
    assert "packed 2 runs into" in told
    assert sum(name.endswith(TRAINED_BY) for name in read(tmp_path / "b.zip")) == 1, "nobody trained real text"
    told = command("pack", run, "--out", tmp_path / "b.zip", "--trained-by", "Ada Lovelace")
    assert "packed 1 run into" in told
    assert "Bob" in command("add", tmp_path / "b.zip", "--results", tmp_path / "r", "--trained-by", "Bob", code=1)
    command("add", tmp_path / "b.zip", "--results", tmp_path / "results")
    place = next((tmp_path / "results").rglob(TRAINED_BY)).parent
    assert (place / "record.json").read_bytes() == (run / "record.json").read_bytes()
    assert {r.state for r in verify([tmp_path / "results"])} == {"verified"}
    row = build([tmp_path / "results"]).boards[0].rows[0]
    assert (row.trained_by, row.tier) == (["Ada Lovelace"], "reported")
    assert "an equal record, trained by Ada Lovelace" in command(
        "add", run, "--results", tmp_path / "results", "--trained-by", "Bob", code=1
    )
    (place / TRAINED_BY).write_text('{"trained_by": "<b>"}')
    (report,) = verify([tmp_path / "results"])
    assert (report.state, "without <, >" in report.reasons[0]) == ("different", True)


def test_what_is_not_whole_is_left_out_and_what_will_be_refused_is_said(run: Path, tmp_path: Path) -> None:
    whole, torn, dirty = (runs.copy(run, tmp_path / name) for name in ("whole", "torn", "dirty"))
    (torn / "samples.txt").unlink()
    runs.change_json(torn, lambda d: d.update(run_id="torn"))
    runs.change_json(dirty, lambda d: d["environment"].update({"git.dirty": True}) or d.update(run_id="dirty"))
    told = command("pack", whole, torn, dirty, "--out", tmp_path / "b.zip", code=1)
    assert "packed 2 runs" in told
    assert "samples.txt is missing beside the record" in told
    assert "`leaderboards add` will refuse it" in told
    assert "uncommitted changes" in told
    assert "there is no run to hand in" in command("pack", torn, "--out", tmp_path / "c.zip", code=2)
    assert not (tmp_path / "c.zip").exists()
