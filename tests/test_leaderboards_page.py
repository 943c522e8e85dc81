"""The static page: what it says, what it refuses to run, and how it behaves in a real browser."""

import bz2
import gzip
import html.parser
import importlib.util
import json
import lzma
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from bench import registry
from bench.record import Alarm, RunRecord
from leaderboards.aggregate import build
from leaderboards.html import write_page
from leaderboards.page.citation import AUTHOR, TITLE, VERSION, bibtex
from leaderboards.page.files import read_diary, read_lines, read_nearest
from leaderboards.page.glossary import definition
from leaderboards.schema import Boards

_SPEC = importlib.util.spec_from_file_location("records", Path(__file__).with_name("leaderboards_records.py"))
_RECORDS = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_RECORDS)
evaluation, example, record = _RECORDS.evaluation, _RECORDS.example, _RECORDS.record

ROOT = Path(__file__).resolve().parents[1]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SENTENCES = ["a cat sits on a mat .", "a dog runs .", "", "the cat sleeps ."]
_PATIENCE = 60_000
"""Milliseconds: a loaded machine is slow, and slowness is not what is tested."""
EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\u202e"


def write_runs(folder: Path, records: list[RunRecord]) -> None:
    """Records with samples for every evaluation, a diary, and nearest training sentences."""
    for i, one in enumerate(records):
        run = folder / f"r{i:02d}"
        named = []
        for j, e in enumerate(one.evaluations):
            name = f"samples-{j}.txt"
            named.append(replace(e, samples_file=name, samples_sha256="0" * 64, step=100 * (j + 1)))
            run.mkdir(parents=True, exist_ok=True)
            lines = [f"{one.model} {one.seed} {j}", *SENTENCES]
            (run / f"{name}.bz2").write_bytes(bz2.compress("".join(f"{line}\n" for line in lines).encode()))
        replace(one, evaluations=tuple(named)).write(run / "record.json")
        event = {"kind": "train", "phase": "mle", "step": 1, "values": {"nll": 3.5, "bad": None}}
        (run / "train.jsonl").write_text("".join(json.dumps({**event, "step": s}) + "\n" for s in range(1, 9)) + '{"ki')
        nearest = [{"sample": SENTENCES[1], "nearest": "a dog runs fast .", "similarity": 0.75}]
        (run / "nearest.json").write_text(json.dumps(nearest))


@pytest.fixture(scope="module")
def boards(tmp_path_factory: pytest.TempPathFactory) -> Boards:
    runs = tmp_path_factory.mktemp("records")
    write_runs(runs, example())
    return build([runs])


@pytest.fixture(scope="module")
def site(boards: Boards, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_page(boards, tmp_path_factory.mktemp("page")).parent


def board_page(site: Path) -> Path:
    (found,) = site.glob("board-*.html")
    return found


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
    (line,) = [t for t in learned["figures"][0]["data"] if t["kind"] == "line"]
    assert line["y"][0] == pytest.approx((0.69 + 0.71 + 0.70) / 3)


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
    assert data["nearest"] == {"a dog runs .": ["a dog runs fast .", 0.75]}
    logged = next(f for f in data["figures"] if f["name"] == "logged: nll")
    assert logged["data"][0]["x"] == list(range(1, 9))


def test_samples_are_cut_to_what_is_asked(boards: Boards, tmp_path: Path) -> None:
    write_page(boards, tmp_path, samples=4)
    for path in tmp_path.glob("data/run-*.js"):
        first, *others = _data(path).get("sets") or [{"lines": []}]
        assert len(first["lines"]) <= 4
        assert all(len(s["lines"]) <= 1 for s in others)


@pytest.mark.parametrize(
    ("suffix", "compress"), [("", bytes), (".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)]
)
def test_samples_are_read_plain_or_compressed(tmp_path: Path, suffix: str, compress) -> None:
    (tmp_path / f"s.txt{suffix}").write_bytes(compress(("a b\n\nc é\r\n" + "x" * 900 + "\nlast").encode()))
    assert read_lines(tmp_path, "s.txt", 3) == ["a b", "", "c é"]
    assert read_lines(tmp_path, "s.txt", 9) == ["a b", "", "c é", "x" * 400 + "…", "last"]
    assert read_lines(tmp_path, "other.txt", 3) is None


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_a_bomb_is_read_only_so_far(tmp_path: Path, compress) -> None:
    suffix = {gzip.compress: ".gz", bz2.compress: ".bz2", lzma.compress: ".xz"}[compress]
    (tmp_path / f"s.txt{suffix}").write_bytes(compress(b"a\n" + b"0" * 5_000_000))
    assert read_lines(tmp_path, "s.txt", 200) == ["a"]


def test_no_file_outside_the_folder_is_shown(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (tmp_path / "secret.txt").write_text("secret\n")
    (run / "link.txt").symlink_to(tmp_path / "secret.txt")
    for name in ("../secret.txt", str(tmp_path / "secret.txt"), "link.txt", "a\0b", ""):
        assert read_lines(run, name, 5) is None


def test_files_that_are_not_what_they_say(tmp_path: Path) -> None:
    (tmp_path / "s.txt.gz").write_bytes(b"not gzip")
    with pytest.raises(ValueError, match=r"s\.txt\.gz cannot be decompressed"):
        read_lines(tmp_path, "s.txt", 5)
    for text in ('{"sample": 1}', "[1]", '[{"sample": "a", "nearest": "b", "similarity": NaN}]', "[" * 100_000):
        (tmp_path / "nearest.json").write_text(text)
        with pytest.raises(ValueError, match=r"nearest\.json is no list of sample, nearest and similarity"):
            read_nearest(tmp_path)
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
    (tmp_path / "runs" / "r00" / "nearest.json").write_text("{")
    write_page(build([tmp_path / "runs"]), tmp_path / "page")
    (page,) = tmp_path.glob("page/runs/*.html")
    assert "nearest.json is no list" in page.read_text()


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
    assert f"- name: {AUTHOR}" in facts
    assert f"\nversion: {VERSION}\n" in facts
    (board,) = boards.boards
    row = next(row for row in board.rows if row.model == "seqgan")
    entry = bibtex(board, row)
    assert entry.startswith("@misc{textgan-bench-image-coco-seqgan-")
    assert "year   = {2026}" in entry
    assert r"image\_coco version 1, scale small" in entry
    assert "seeds 0, 1, 2" in entry
    evil = bibtex(board, replace(row, label="}} \\input{x} %&\n@book{"))
    assert evil.count("{") - evil.count(r"\{") == evil.count("}") - evil.count(r"\}")
    assert "@book" in evil.splitlines()[-2]


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
    assert "rows are not shown here" in index
    assert "copy_train" in index
    assert board_page(tmp_path / "page").read_text().count('<th scope="row">') >= 21


# In a browser.


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=_PATIENCE)
    if CHROMIUM is None:
        pytest.skip("no chromium, chromium-browser or google-chrome is installed")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A tab. Whatever it did: no error, no dialog, and no request but for files."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, permissions=["clipboard-read"])
    tab = context.new_page()
    tab.set_default_timeout(_PATIENCE)
    wrong: list[str] = []
    tab.on("console", lambda message: message.type in ("error", "warning") and wrong.append(message.text))
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.on("dialog", lambda dialog: (wrong.append(f"dialog {dialog.message}"), dialog.dismiss()))
    tab.on("request", lambda request: request.url.startswith(("file:", "data:", "blob:")) or wrong.append(request.url))
    yield tab
    context.close()
    assert not wrong


def test_sort_filter_columns_and_definitions(page: Page, site: Path) -> None:
    page.goto(board_page(site).as_uri())
    table = page.locator("#scores-1")
    names = lambda: [text.split()[1] for text in table.locator("tbody tr:not(.group) th").all_inner_texts()]  # noqa: E731
    assert names() == ["real_text", "copy_train", "mle", "seqgan", "leakgan"]
    head = table.get_by_role("button", name="bleu_2 ↑", exact=True)
    head.click()  # the highest first, within the groups
    assert names() == ["real_text", "copy_train", "seqgan", "mle", "leakgan"]
    assert table.locator("th[aria-sort]").get_attribute("aria-sort") == "descending"
    head.press("Enter")
    assert names() == ["real_text", "copy_train", "mle", "seqgan", "leakgan"]
    tip = page.get_by_role("tooltip")
    expect(tip).to_contain_text("BLEU. How much of each sample a real sentence could hold")
    page.keyboard.press("Escape")
    expect(tip).to_be_hidden()

    tools = page.locator("[data-for='scores-1']")
    tools.get_by_role("searchbox").fill("gan")
    expect(tools.get_by_role("status")).to_have_text("2 rows")
    assert table.locator("tbody tr:not(.group):visible").count() == 2
    tools.get_by_role("searchbox").fill("")

    assert table.get_by_role("columnheader", name="rank in bleu_2").count() == 0
    tools.get_by_text("Ranks", exact=True).click()
    expect(table.get_by_role("columnheader", name="rank in bleu_2")).to_be_visible()
    expect(table.get_by_role("columnheader", name="bleu_2 ↑", exact=True)).to_be_hidden()


def test_from_the_index_to_a_run_and_its_samples(page: Page, site: Path, boards: Boards) -> None:
    page.goto((site / "index.html").as_uri())
    page.get_by_role("link", name="seqgan", exact=True).click()
    row = page.locator("details[open]")
    expect(row.locator("summary")).to_contain_text("seqgan")
    command = next(row for row in boards.boards[0].rows if row.model == "seqgan").command
    row.get_by_role("button", name="the command").click()
    expect(row.get_by_role("button", name="the command")).to_contain_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == command
    row.get_by_role("link", name="seed 1").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("seqgan, seed 1")
    samples = page.locator("#list li")
    expect(samples).to_have_count(5)
    expect(samples.nth(2)).to_contain_text("nearest in training (0.75): a dog runs fast .")
    expect(samples.nth(3)).to_have_text("(an empty sentence)")
    page.get_by_label("Search in the samples").fill("CAT")
    expect(samples).to_have_count(2)
    expect(samples.locator("mark")).to_have_text(["cat", "cat"])
    expect(page.locator("#find .count")).to_have_text("2 of 5 sentences")
    page.get_by_label("Search in the samples").fill("")
    page.get_by_label("nearest to training text first").check()
    expect(samples.first).to_contain_text("a dog runs .")
    page.get_by_label("Drawn at").select_option("end of training, T = 0.5")
    expect(page.locator("#list")).to_contain_text("seqgan 1 1")
    page.locator("#chart-figures").scroll_into_view_if_needed()
    expect(page.locator("#chart-figures[data-drawn='logged: nll']")).to_be_visible()


def test_figures_are_valid_and_open_runs(page: Page, site: Path) -> None:
    page.goto(board_page(site).as_uri())
    for kind in ("curves", "learning"):
        page.locator(f"#chart-{kind}").scroll_into_view_if_needed()
        page.wait_for_selector(f"#chart-{kind}[data-drawn]")
        found = page.evaluate(
            f"(({{ data, layout }}) => Plotly.validate(data, layout) ?? [])(document.getElementById('chart-{kind}'))"
        )
        assert [one["msg"] for one in found if one["code"] != "unused"] == []
    legend = page.locator("#chart-curves .legendtext").all_text_contents()
    assert set(legend) >= {"real_text", "mle", "seqgan"}
    page.evaluate(
        "(box => box.emit('plotly_click', { points: [{ data: box.data.find(t => t.mode === 'markers'"
        " && t.name === 'seqgan'), customdata: ['1', 2] }] }))(document.getElementById('chart-curves'))"
    )
    expect(page.get_by_role("heading", level=1)).to_contain_text("seqgan, seed 2")


def test_the_theme_is_remembered(page: Page, site: Path) -> None:
    page.emulate_media(color_scheme="dark")
    page.goto((site / "index.html").as_uri())
    ground = lambda: page.evaluate("getComputedStyle(document.body).backgroundColor")  # noqa: E731
    dark = ground()
    page.locator("#theme").click()
    expect(page.locator("#theme")).to_have_text("Theme: light")
    assert ground() == "rgb(255, 255, 255)" != dark
    page.goto((site / "compare.html").as_uri())
    assert ground() == "rgb(255, 255, 255)"
    page.locator("#theme").press("Enter")
    assert ground() == dark


def test_two_models_side_by_side(page: Page, site: Path) -> None:
    page.goto((site / "compare.html").as_uri())
    expect(page.locator("#left-list li")).to_have_count(5)
    assert page.locator("#left option:checked").inner_text() == "mle, seed 0"
    page.locator("#right").select_option("seqgan, seed 2")
    expect(page.locator("#right-list")).to_contain_text("seqgan 2 2")
    page.locator("#right-set").select_option("after mle, T = 1")
    expect(page.locator("#right-list")).to_contain_text("seqgan 2 0")
    page.locator("#query").fill("dog")
    expect(page.locator("#left-list mark")).to_have_count(1)
    expect(page.locator("#right-list li")).to_have_count(1)
    address = page.url
    page.goto("about:blank")
    page.goto(address)
    expect(page.locator("#right option:checked")).to_have_text("seqgan, seed 2")


@pytest.mark.parametrize("name", ["index", "board", "run", "compare"])
def test_accessible_in_both_themes_and_no_wider_than_a_phone(page: Page, site: Path, name: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    run = next(p for p in site.glob("runs/*.html") if "seqgan" in p.read_text())
    page.goto({"board": board_page(site), "run": run}.get(name, site / f"{name}.html").as_uri())
    for chart in page.locator(".chart").all():
        chart.scroll_into_view_if_needed()
    expect(page.locator(".chart:not([data-drawn])")).to_have_count(0)
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    for theme in ("light", "dark"):
        page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
        only = {"runOnly": ["color-contrast"]} if theme == "dark" else {}  # nothing else depends on the theme
        found = Axe().run(page, options={"preload": False, **only}).response["violations"]
        serious = [v for v in found if v["impact"] in ("serious", "critical")]
        assert not serious, [(v["id"], v["nodes"][0]["html"]) for v in serious]
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_nothing_of_a_record_is_run(page: Page, tmp_path: Path) -> None:
    changes = {
        "model_config": {EVIL: EVIL, "list": [EVIL]},
        "task": f"x{EVIL}",
        "task_config": {EVIL: EVIL},
        "data_facts": {EVIL: EVIL},
        "environment": {EVIL: EVIL, "device": EVIL},
        "scale": EVIL,
        "selection": EVIL,
        "alarms": (Alarm(kind="collapse", phase=EVIL, step=1, message=EVIL),),
    }
    records = []
    for seed, model in enumerate((EVIL, f"{EVIL}2")):
        scored = (
            evaluation("phase_end", phase="mle", bleu_2=0.4, self_bleu_2=0.8),
            evaluation(bleu_2=0.5, self_bleu_2=0.9 - seed / 10),
            evaluation(temperature=0.5, bleu_2=0.6, self_bleu_2=0.95),
        )
        skipped = tuple(replace(e, skipped={EVIL: EVIL}, phase=EVIL) for e in scored)
        records.append(record(model, seed, *skipped, run_id=f"r{seed}", config_hash=f"c{seed}", **changes))
    write_runs(tmp_path / "runs", records)
    for run in (tmp_path / "runs").iterdir():
        for path in run.glob("samples-*.bz2"):
            path.write_bytes(bz2.compress(f"{EVIL}\n</script><!--<script>\u2028\n".encode()))
        (run / "nearest.json").write_text(json.dumps([{"sample": EVIL, "nearest": EVIL, "similarity": 1}]))
        (run / "train.jsonl").write_text(json.dumps({"kind": "train", "phase": EVIL, "step": 1, "values": {EVIL: 1.0}}))
    boards = build([tmp_path / "runs"])
    assert not boards.problems
    site = write_page(boards, tmp_path / "page").parent
    for path in (site / "index.html", min(site.glob("runs/*.html")), site / "compare.html", board_page(site)):
        page.goto(path.as_uri())
        for chart in page.locator(".chart").all():
            chart.scroll_into_view_if_needed()
        expect(page.locator(".chart:not([data-drawn])")).to_have_count(0)
        if page.locator("ol.samples").count():
            expect(page.locator("ol.samples li").first).to_contain_text("<script>alert(1)</script>")
        assert page.locator("img, main script:not([type])").count() == 0
    expect(page.locator("#chart-curves .legendtext").first).to_contain_text("<script>alert(1)</script>")


def test_the_first_page_loads_no_figure(page: Page, site: Path) -> None:
    """plotly and the data are loaded where they are looked at."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(Path(urlsplit(request.url).path).name))
    page.goto((site / "index.html").as_uri())
    assert asked == ["index.html", "page.css", "page.js"]
