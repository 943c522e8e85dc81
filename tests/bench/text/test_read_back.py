"""What the harness writes is read back word for word, for every task; what others tokenised, nearly so."""

from __future__ import annotations

import bz2
import json
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.commands import call_bench
from helpers.records import evaluation, record
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.config import build, plain
from bench.registry import find, names
from bench.score.references import References
from bench.score.scoring import write_samples
from bench.task import Task, Vocabulary
from bench.text.sample_files import read_samples

SETTINGS = {"text_file": {"path": "any.txt", "by": "character"}, "characters": {"source": "grammar", "length": 8}}
SETTINGS |= {key: {"texts": {"a": "any.txt", "b": "other.txt"}} for key in ("labelled_file", "rewriting_file")}
TASKS: dict[str, Task] = {name: build(find("tasks", name), SETTINGS.get(name, {}), name) for name in names("tasks")}
TASKS["text_file by word"] = build(find("tasks", "text_file"), {"path": "any.txt", "lower": True}, "text_file")
TASKS["emnlp_news as written"] = build(find("tasks", "emnlp_news"), {"lower": False}, "emnlp_news")
TASKS |= {
    f"references {cut}": References(references=Path("real.txt"), tokenizer=cut)  # type: ignore[arg-type]
    for cut in ("blanks", "english", "english_lower", "characters")
}
PIECES = st.sampled_from(
    [
        *[
            "a",
            "dog",
            "u.s.",
            "U.S.",
            "can't",
            "cannot",
            "gimme",
            "--",
            "...",
            "<eos>",
            "null",
            "17",
            "%s",
            "$5",
            "é",
            "明",
            "İ",
        ],
        *"\"'`.,;:()[]{}…“”‘’«»&@#\\\ufeff\t\u00a0\u2028\x1c ",
        *["''", "``", '"a"', '["a"]', '{"text":"a"}', "['a']"],
    ]
)
LINES = st.lists(st.tuples(PIECES, st.sampled_from(["", " "])).map("".join), max_size=12).map("".join)

pytestmark = pytest.mark.usefixtures("own_cache")


def write(folder: Path, name: str, task: Task, sentences: list[list[str]]) -> Path:
    """A file of samples with its record, as a run or `score --runs` leaves them."""
    path = folder / "samples.txt"
    sha256 = write_samples(path, [" ".join(words) for words in sentences])
    one = replace(evaluation(unique=0.5), samples_file=path.name, samples_sha256=sha256)
    public = "real.txt" if isinstance(task, References) else name.partition(" ")[0]
    record("mle", 0, one, task=public, task_config=plain(task)).write(folder / "record.json")
    return path


def read(path: Path, task: Task, **options: str) -> list[list[str]]:
    return [s.split(" ") if s else [] for s in read_samples(path, task, Vocabulary(()), **options).sentences]  # type: ignore[arg-type]


@pytest.mark.parametrize("name", TASKS)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(LINES, min_size=1, max_size=4))
def test_every_task_reads_its_own_samples_word_for_word(name: str, lines: list[str], tmp_path: Path) -> None:
    task = TASKS[name]
    sentences = [task.tokenize(line.replace("\n", " ")) for line in lines]
    if not any(sentences):
        return
    path = write(tmp_path, name, task, sentences)
    assert read(path, task) == sentences
    packed = path.with_name("samples.txt.bz2")  # as the leaderboard keeps it
    packed.write_bytes(bz2.compress(path.read_bytes()))
    assert read(packed, task) == sentences
    copy = tmp_path / "copy"
    copy.mkdir(exist_ok=True)
    if not sentences[0] or not sentences[0][0].startswith("\ufeff"):  # at the start of any other file, a mark
        (copy / "copy.txt").write_bytes(path.read_bytes())
        assert read(copy / "copy.txt", task, format="tokens") == sentences


def test_only_the_file_that_the_record_names_and_only_for_words_of_one_kind(tmp_path: Path) -> None:
    task = TASKS["image_coco"]
    words = ["the", "shop", "(", "u.s", ".", ")", "``", "is", "can't"]
    path = write(tmp_path, "image_coco", task, [words])
    assert read(path, task) == [words]
    cut = [[*words[:-1], "ca", "n't"]]
    for other in ("emnlp_news", "references english_lower"):
        assert read(path, TASKS[other]) == [words]  # the same tokenizer
    assert read(path, TASKS["references characters"])[0][:4] == ["t", "h", "e", "s"]
    assert read(path, task, format="text") == cut  # asked for
    path.write_text(path.read_text() + "a dog\n")
    assert read(path, task) == [*cut, ["a", "dog"]]  # another file than the record's
    path = write(tmp_path, "image_coco", task, [words])
    (tmp_path / "record.json").write_text("{}")
    assert read(path, task) == cut  # somebody else's file of that name


def test_a_record_makes_no_file_run(tmp_path: Path) -> None:
    task = TASKS["image_coco"]
    path = write(tmp_path, "image_coco", task, [["can't"]])
    ran = tmp_path / "ran"
    (tmp_path / "evil.py").write_text(f"open({str(ran)!r}, 'w')\n")
    document = json.loads((tmp_path / "record.json").read_text())
    (tmp_path / "record.json").write_text(json.dumps({**document, "task": f"{tmp_path / 'evil.py'}:Task"}))
    assert read(path, task) == [["ca", "n't"]]
    assert not ran.exists()


QUOTED = [
    f'"The {place} is shut." {name} walks to the {place}.' for place in ("shop", "zoo") for name in ("Nina", "Tom")
]


def test_samples_of_a_record_get_the_scores_of_the_record(tmp_path: Path) -> None:
    real, mine = tmp_path / "real.txt", tmp_path / "mine.txt"
    real.write_text("\n".join(QUOTED) + "\n")
    mine.write_text("\n".join(QUOTED[::-1] * 2).replace("goes", "runs") + "\n")

    def scores(path: Path, *more: str) -> dict[str, object]:
        how = ["--references", str(real), "--tokenizer", "english", "--json", *more]
        return dict(json.loads(call_bench("score", path, *how).stdout)["files"][0])

    first = scores(mine, "--runs", str(tmp_path / "runs"))
    kept = Path(str(first["record"])).with_name("samples.txt")
    again = scores(kept)
    assert again["scores"] == first["scores"]
    assert again["read_as"] == "words, as record.json beside it says"
    copy = tmp_path / "copy.txt"
    copy.write_bytes(kept.read_bytes())
    assert scores(copy)["scores"] == first["scores"]


@pytest.mark.parametrize(
    "line", [*QUOTED, 'He said "no."', '"Stop," she said. "It is u.s."; he left.', 'It\'s "the U.S." again.']
)
def test_a_line_that_is_tokenised_already_stays(line: str) -> None:
    for name in ("english", "english_lower"):
        task = TASKS[f"references {name}"]
        words = task.tokenize(line)
        assert task.tokenize(" ".join(words)) == words
