"""The static page in a real browser: it sorts, filters and opens runs, and nothing that a record holds is run."""

import bz2
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from helpers.records import evaluation, record
from helpers.site_of_tests import EVIL, board_page, write_runs
from playwright.sync_api import Browser, Page, expect, sync_playwright

from bench.record import Alarm
from leaderboards.boards import build
from leaderboards.render.page.site import write_page
from leaderboards.schema import Boards

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_PATIENCE = 60_000
"""Milliseconds: a loaded machine is slow, and slowness is not what is tested."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=_PATIENCE)
    if CHROMIUM is None:
        pytest.skip("no chromium, chromium-browser or google-chrome is installed")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
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
    expect(samples.nth(3)).to_have_text("(an empty sentence)")
    page.get_by_label("Search in the samples").fill("CAT")
    expect(samples).to_have_count(2)
    expect(samples.locator("mark")).to_have_text(["cat", "cat"])
    expect(page.locator("#find .count")).to_have_text("2 of 5 sentences")
    page.get_by_label("Search in the samples").fill("")
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
    assert set(legend) >= {"real_text (train)", "mle", "seqgan"}
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
        assert page.locator("img:not(.front), main script:not([type])").count() == 0
    expect(page.locator("#chart-curves .legendtext").first).to_contain_text("<script>alert(1)</script>")


def test_the_first_page_loads_its_picture_and_no_other_figure(page: Page, site: Path) -> None:
    """plotly and the data are loaded where they are looked at."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(Path(urlsplit(request.url).path).name))
    page.goto((site / "index.html").as_uri())
    expect(page.get_by_role("img")).to_be_visible()
    page.wait_for_function("document.querySelector('img.front').complete")  # it is loaded when the page stands
    assert asked == ["index.html", "page.css", "page.js", "quality-diversity.svg"]
    drawn = page.evaluate("document.querySelector('img.front').naturalWidth")
    assert drawn > 300
    page.emulate_media(color_scheme="dark")
    expect(page.locator("img.front.dark")).to_be_visible()
    expect(page.locator("img.front.light")).to_be_hidden()
    page.locator("#theme").click()
    expect(page.locator("#theme")).to_have_text("Theme: light")
    expect(page.locator("img.front.light")).to_be_visible()
    expect(page.locator("img.front.dark")).to_be_hidden()
