"""The static page: what it says, where its links lead, which files it reads and how far."""

import bz2
import html
import html.parser
import json
import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
from helpers.paths import ROOT
from helpers.records import evaluation, record, tables
from helpers.site_of_tests import EVIL, SENTENCES, board_page, write_runs

from bench import registry
from bench.attack.table import read_kept
from leaderboards.boards import build
from leaderboards.render.markdown import to_overview, to_pages
from leaderboards.render.page.citation import TITLE, bibtex
from leaderboards.render.page.files import first_sentences, read_diary
from leaderboards.render.page.glossary import definition
from leaderboards.render.page.site import write_page
from leaderboards.schema import Boards
from leaderboards.tables.board import page_tables, text_tables
from leaderboards.words import names_of


class _Links(html.parser.HTMLParser):
    """Addresses and anchors of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src") and value:
                self.links.append(value)
            if name == "id" and value:
                self.anchors.append(value)
            assert not name.startswith("on"), f"{tag} {name}"


def test_every_link_leads_somewhere_and_ids_are_unique(site: Path) -> None:
    pages = {path: _Links(path.read_text()) for path in site.rglob("*.html")}
    assert len(pages) == 1 + 1 + 1 + 1 + 13  # index, compare, metrics, one board, thirteen runs
    n_links = 0
    for path, page in pages.items():
        assert len(page.anchors) == len(set(page.anchors)), path
        for link in page.links:
            parts = urlsplit(link)
            assert not parts.scheme, link
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert target.is_file(), f"{path.name}: {link}"
            if parts.fragment and target in pages and target.name != "compare.html":
                assert parts.fragment in pages[target].anchors, f"{path.name}: {link}"
            n_links += 1
    assert n_links > 100


def test_nothing_is_asked_of_a_network_and_two_builds_are_equal(site: Path, boards: Boards, tmp_path: Path) -> None:
    again = write_page(boards, tmp_path).parent
    for path in sorted(path for path in site.rglob("*") if path.is_file()):
        content = path.read_bytes()
        assert content == (again / path.relative_to(site)).read_bytes()
        if path.suffix in (".html", ".css") or (path.suffix == ".js" and path.name != "plotly.min.js"):
            assert not re.search(rb"(https?:)?//[a-z]", content), path


def test_numbers_are_those_of_the_boards(site: Path, boards: Boards) -> None:
    (board,) = boards.boards
    drawing = _data(next(site.glob("data/*-curves.js")))
    (curve,) = board.curves
    (figure,) = drawing["figures"]
    means = {drawing["rows"][t["row"]]["name"]: t for t in figure["data"] if t["kind"] == "mean"}
    seeds = {drawing["rows"][t["row"]]["name"]: t for t in figure["data"] if t["kind"] == "seed"}
    for trace in curve.traces:
        assert means[trace.label]["x"] == pytest.approx([p.x.mean for p in trace.points], rel=1e-5)
        assert means[trace.label]["y"] == pytest.approx([p.y.mean for p in trace.points], rel=1e-5)
        assert seeds[trace.label]["y"] == pytest.approx([y for p in trace.points for _, _, y in p.seeds], rel=1e-5)
    row = next(row for row in board.rows if row.model == "seqgan")
    text = board_page(site).read_text()
    assert ">0.710<small>±.025</small>" in text  # 0.70, 0.72, 0.71: 4.303 * 0.01 / sqrt(3)
    assert row.command.partition(" --set")[0] in text
    learned = _data(next(site.glob("data/*-learning.js")))
    figure = next(figure for figure in learned["figures"] if figure["name"] == "bleu_2")
    (line,) = [t for t in figure["data"] if t["kind"] == "line"]
    assert line["y"][0] == pytest.approx((0.69 + 0.71 + 0.70) / 3)
    levels = {t["name"]: t["y"] for t in figure["data"] if t["kind"] == "level"}
    mle = next(row for row in board.rows if row.baseline)
    assert levels[f"{mle.label}, at its end"] == pytest.approx([mle.final["bleu_2"].mean] * 2, rel=1e-5)


def _data(path: Path) -> dict:
    text = path.read_text()
    return json.loads(text[text.index("{") : text.rindex("}") + 1])


def test_the_run_page_holds_the_record(site: Path, boards: Boards) -> None:
    failed = next(run for row in boards.boards[0].rows for run in row.runs if run.status == "failed")
    page = next(path for path in site.glob("runs/*.html") if failed.run_id in path.read_text())
    text = page.read_text()
    for told in ("the loss is nan at step 7", "Alarm (non_finite)", "adversarial", "steps per second"):
        assert told in text
    data = _data(next(p for p in site.glob("data/run-*.js") if '"seqgan 0 2"' in p.read_text()))
    assert data["sets"][0]["name"] == "end of training, T = 1"
    assert data["sets"][0]["lines"][1:] == SENTENCES
    logged = next(f for f in data["figures"] if f["name"] == "logged: nll")
    assert logged["data"][0]["x"] == list(range(1, 9))


def test_samples_are_cut_to_what_is_asked(boards: Boards, tmp_path: Path) -> None:
    write_page(boards, tmp_path, samples=4)
    for path in tmp_path.glob("data/run-*.js"):
        first, *others = _data(path).get("sets") or [{"lines": []}]
        assert len(first["lines"]) <= 4
        assert all(len(s["lines"]) <= 1 for s in others)


@pytest.mark.parametrize(("suffix", "compress"), [("", bytes), (".bz2", bz2.compress)])
def test_samples_are_read_plain_or_compressed(tmp_path: Path, suffix: str, compress) -> None:
    (tmp_path / f"s.txt{suffix}").write_bytes(compress(("a b\n\nc é\r\n" + "x" * 900 + "\nlast").encode()))
    assert first_sentences(tmp_path, "s.txt", 3) == ["a b", "", "c é"]
    assert first_sentences(tmp_path, "s.txt", 9) == ["a b", "", "c é", "x" * 400 + "…", "last"]
    assert first_sentences(tmp_path, "other.txt", 3) is None


def test_a_few_lines_of_a_large_file_are_read(tmp_path: Path) -> None:
    words = np.random.RandomState(0).randint(0, 10**6, (20_000, 5))
    lines = [" ".join(map(str, line)) for line in words]
    (tmp_path / "s.txt.bz2").write_bytes(packed := bz2.compress("".join(f"{line}\n" for line in lines).encode()))
    assert len(packed) > 200_000, "more than is shown of it"
    assert first_sentences(tmp_path, "s.txt", 50) == lines[:50]


def test_a_long_diary_is_read_to_its_end(tmp_path: Path) -> None:
    event = '{{"kind":"train","phase":"mle","step":{},"values":{{"loss":1.5,"a_name_of_some_length":2.25}}}}\n'
    (tmp_path / "train.jsonl").write_text("".join(map(event.format, range(1, 60_001))))
    assert (tmp_path / "train.jsonl").stat().st_size > 5_000_000
    assert read_diary(tmp_path, 100)["loss"]["mle"][-1][0] > 59_000


def test_a_bomb_is_read_only_so_far(tmp_path: Path) -> None:
    (tmp_path / "s.txt.bz2").write_bytes(bz2.compress(b"a\n" + b"0" * 5_000_000))
    assert first_sentences(tmp_path, "s.txt", 200) == ["a"]


def test_no_file_outside_the_folder_is_shown(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (tmp_path / "secret.txt").write_text("secret\n")
    (run / "link.txt").symlink_to(tmp_path / "secret.txt")
    for name in ("../secret.txt", str(tmp_path / "secret.txt"), "link.txt", "a\0b", ""):
        assert first_sentences(run, name, 5) is None


def test_files_that_are_not_what_they_say(tmp_path: Path) -> None:
    (tmp_path / "s.txt.bz2").write_bytes(b"not bzip2")
    with pytest.raises(ValueError, match=r"s\.txt\.bz2 cannot be decompressed"):
        first_sentences(tmp_path, "s.txt", 5)
    (tmp_path / "train.jsonl").write_text('[]\n7\n{"kind":"train","step":"1","values":{"a":1.0}}\n{"kind":"train"}\n')
    assert read_diary(tmp_path, 9) == {}


def test_a_long_diary_is_thinned(tmp_path: Path) -> None:
    events = ({"kind": "train", "phase": "mle", "step": s, "values": {"nll": s / 2}} for s in range(1000))
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    points = read_diary(tmp_path, 100)["nll"]["mle"]
    assert len(points) == 100
    assert points[1] == (10, 5.0)


def test_a_bad_file_is_told_on_the_page(tmp_path: Path) -> None:
    write_runs(tmp_path / "runs", [record("seqgan", 0, evaluation(bleu_2=0.5))])
    for path in (tmp_path / "runs" / "r00").glob("samples-*.bz2"):
        path.write_bytes(b"not bzip2")
    write_page(build([tmp_path / "runs"]), tmp_path / "page")
    (page,) = tmp_path.glob("page/runs/*.html")
    assert "samples-0.txt.bz2 cannot be decompressed" in page.read_text()


def test_every_metric_of_ours_is_defined() -> None:
    for name in registry.names("metrics"):
        card = definition(name)
        assert card.title != name, name
        assert 20 < len(card.text) < 400, name
        assert card.direction, name
        assert card.pitfalls, name
        assert "**" not in card.text + card.direction
        assert "](" not in card.text + card.direction
    for name in ("../bench", "no_such_metric", "", "a/b", EVIL):
        assert definition(name).text.startswith("No definition is stored here")


def test_the_citation_is_that_of_the_repository(boards: Boards) -> None:
    facts = (ROOT / "CITATION.cff").read_text()
    assert f'title: "{TITLE}"' in facts
    (board,) = boards.boards
    row = next(row for row in board.rows if row.model == "seqgan")
    entry = bibtex(board, row)
    assert entry.startswith("@misc{textgan-bench-image-coco-seqgan-")
    assert "year   = {2026}" in entry
    (author,) = re.findall(r"- name: (.+)", facts)
    (version,) = re.findall(r"^version: (.+)", facts, re.MULTILINE)
    assert f"author = {{{{{author}}}}}" in entry
    assert f"Version {version}. " in entry
    assert r"image\_coco version 1, scale small" in entry
    assert "seeds 0, 1, 2" in entry
    evil = bibtex(board, replace(row, label="}} \\input{x} %&\n@book{"))
    assert evil.count("{") - evil.count(r"\{") == evil.count("}") - evil.count(r"\}")
    assert "@book" in evil.splitlines()[-2]


def test_the_first_page_opens_with_the_figure_and_its_board_in_words(site: Path, boards: Boards) -> None:
    (board,) = boards.boards
    text = (site / "index.html").read_text()
    name = names_of(boards)[board.number]
    assert text.index('<img class="front light"') < text.index(f">{name}</a></h2>") < text.index('<table id="main-')
    light, dark = ((site / f"quality-diversity{ground}.svg").read_text() for ground in ("", "-dark"))
    assert "#ffffff" in light
    assert "#ffffff" not in dark
    assert "#101418" in dark
    shown = text[: text.index("<details>")]
    assert board.data_sha256[:12] not in shown
    assert board.data_sha256[:12] in text
    assert f"<h1>{name}</h1>" in board_page(site).read_text()


def test_the_attack_table_of_a_board_is_shown(boards: Boards, tmp_path: Path) -> None:
    """A board of the very data of a kept attack table: its lines are scores, no rows."""
    kept = next(table for table in read_kept() if table.task == "image_coco")
    of_data = {"task": kept.task, "task_version": kept.task_version, "data_sha256": kept.data_sha256}
    (board,) = boards.boards
    site = write_page(replace(boards, boards=(replace(board, **of_data),)), tmp_path).parent
    text = board_page(site).read_text()
    lines = text.partition('<table id="attacks-1"')[2].partition("</table>")[0]
    assert re.findall(r'<th scope="row">([^<]+)</th>', lines) == [
        c.key for c in kept.columns if c.key in board.meanings
    ]


def test_samples_that_are_numbers_are_folded(tmp_path: Path) -> None:
    for name, sentence in (("words", "a cat sits ."), ("ids", "4 17 2030")):
        write_runs(tmp_path / name / "runs", [record("mle", 0, evaluation(bleu_2=0.5))])
        for path in (tmp_path / name / "runs").rglob("samples-*.bz2"):
            path.write_bytes(bz2.compress(f"{sentence}\n".encode() * 9))
        page = write_page(build([tmp_path / name / "runs"]), tmp_path / name / "page").parent
        (run,) = page.glob("runs/*.html")
        before = run.read_text().partition('id="list"')[0].partition('id="samples"')[2]
        assert ("<details><summary>" in before) == (name == "ids")


def test_no_table_begins_with_a_score_that_only_references_have(tmp_path: Path) -> None:
    runs = [record("mle", seed, evaluation(validity=0.9, bleu_2=0.5), task="grammar") for seed in range(3)]
    runs.append(record("copy_train", 0, evaluation(nll_oracle=2.0, validity=1.0, bleu_2=0.6), task="grammar"))
    (board,) = tables(tmp_path, *runs).boards
    scores = page_tables(board)[0].columns
    keys = [column.title.split()[0] for column in scores if column.metric]
    assert keys.index("nll_oracle") > keys.index("validity")
    assert "Main" not in next(column for column in scores if column.title.startswith("nll_oracle ")).choices
    quality = next(table for table in text_tables(board) if table.title.startswith("Quality"))
    assert [c.title.split()[0] for c in quality.columns if c.metric].index("nll_oracle") > 0


def test_without_records(tmp_path: Path) -> None:
    page = write_page(Boards(boards=[], reasons=[], notices=[], problems=["r.json: no"]), tmp_path)
    assert "There is no board" in page.read_text()
    assert "r.json: no" in page.read_text()


def test_of_a_long_board_the_first_page_shows_references_and_front(tmp_path: Path) -> None:
    records = [record("mle", 0, evaluation(bleu_2=0.5), config_hash=f"c{i}", run_id=f"m{i}") for i in range(20)]
    records = [replace(one, model_config={"lr": i}) for i, one in enumerate(records)]
    records.append(record("copy_train", 0, evaluation(bleu_2=0.6)))
    write_runs(tmp_path / "runs", records)
    index = write_page(build([tmp_path / "runs"]), tmp_path / "page").read_text()
    assert index.count('<th scope="row">') < 20
    assert "rows not shown here" in index
    assert "copy_train" in index
    assert board_page(tmp_path / "page").read_text().count('<th scope="row">') >= 21


def test_the_list_of_boards_counts_every_row(tmp_path: Path) -> None:
    """Rows at another temperature stand apart on their board's page, and are rows of it."""
    apart = record("leakgan", 0, evaluation(bleu_2=0.5), model_config={"evaluation_temperature": 1.5})
    other = replace(apart, task_config={"split": "anew"}, run_id="other", config_hash="c-other")
    both = [record("mle", 0, evaluation(bleu_2=0.6)), apart]
    write_runs(tmp_path / "runs", [*both, other])
    index = write_page(build([tmp_path / "runs"]), tmp_path / "page").read_text()
    assert sorted(re.findall(r'class="soft">(\d+ rows?)</span>', index)) == ["1 row", "2 rows"]


def test_a_board_whose_rows_all_stand_apart_shows_them_first(tmp_path: Path) -> None:
    made = [record("leakgan", i, evaluation(bleu_2=0.5), model_config={"evaluation_temperature": 1.5}) for i in (0, 1)]
    real = record("real_text", None, evaluation("samples", phase="samples", bleu_2=0.7), origin="samples")
    for case in (made, [*made, real]):
        write_runs(tmp_path / str(len(case)) / "runs", case)
        boards = build([tmp_path / str(len(case)) / "runs"])
        folder = tmp_path / str(len(case)) / "page"
        index, page = write_page(boards, folder).read_text(), board_page(folder).read_text()
        for text in (index, page):
            assert text.count('<th scope="row">') == len(case) - 1  # the two seeds are one row
            assert text.count("drawn at another temperature than 1.") == 1
            assert "temperature 1." not in text.partition("<h2")[2].partition('id="reading"')[0]
        whole = next(text for text in to_pages(boards, "back.md").values() if "Main scores" in text)
        for text in (to_overview(boards, "boards"), whole):
            assert "leakgan" in text.partition("###")[2]
            assert "drawn at another temperature than 1." in text


def test_pages_speak_of_nothing_that_a_board_lacks(tmp_path: Path) -> None:
    files = [record(name, None, evaluation("samples", phase="samples", bleu_2=0.5)) for name in ("a", "b")]
    write_runs(tmp_path / "runs", [replace(each, origin="samples") for each in files])
    write_page(build([tmp_path / "runs"]), tmp_path / "page")
    text = board_page(tmp_path / "page").read_text()
    assert '<h2 id="scores">Scores</h2>' in text
    for absent in ("end of training", "MLE is", "Matched:", "Bold:", "†:", "‡:", "over seeds", "dashed ones"):
        assert absent not in text, absent
    early = replace(evaluation("phase_end", phase="mle", bleu_2=0.1), step=3)
    write_runs(tmp_path / "alone" / "runs", [record("seqgan", i, early, evaluation(bleu_2=0.6)) for i in range(3)])
    write_page(build([tmp_path / "alone" / "runs"]), tmp_path / "alone" / "page")
    text = board_page(tmp_path / "alone" / "page").read_text()
    assert "Dotted lines up mark the ends of a model's phases." in html.unescape(text)


def test_the_scores_of_a_run_begin_with_its_result(tmp_path: Path) -> None:
    early = replace(evaluation("phase_end", phase="mle", bleu_2=0.1), step=3)
    colder = evaluation(temperature=0.5, bleu_2=0.7)
    write_runs(tmp_path / "runs", [record("seqgan", 0, early, colder, evaluation(bleu_2=0.6))])
    write_page(build([tmp_path / "runs"]), tmp_path / "page")
    (page,) = (tmp_path / "page" / "runs").glob("*.html")
    headings = re.findall(r'<button type="button">([^<]*T = [^<]*)</button>', page.read_text())
    assert headings == ["end of training, T = 1", "end of training, T = 0.5", "after mle, T = 1"]


def test_a_run_page_writes_no_error_as_zero_that_is_not(tmp_path: Path) -> None:
    end = evaluation(bleu_2=0.5, bleu_3=0.5)
    scores = {"bleu_2": 0.00004, "bleu_3": 0.0}
    end = replace(end, scores={k: replace(end.scores[k], standard_error=error) for k, error in scores.items()})
    write_runs(tmp_path / "runs", [record("mle", 0, end)])
    write_page(build([tmp_path / "runs"]), tmp_path / "page")
    (page,) = (tmp_path / "page" / "runs").glob("*.html")
    assert [html.unescape(error) for error in re.findall(r"\(se (.*?)\)", page.read_text())] == ["<0.0001", "0.0000"]
