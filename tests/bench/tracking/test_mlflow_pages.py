"""MLflow's own pages in a real browser: the prepared views open, with their charts and every model in them."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.paths import ROOT
from playwright.sync_api import Page, expect, sync_playwright

from bench.config import RunConfig
from bench.run.runner import run
from bench.tracking import views
from bench.tracking.mlflow import MlflowTracker
from bench.tracking.mlflow_store import default_uri
from bench.tracking.sync import experiments_of

pytest.importorskip("mlflow")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_PATIENCE = 120.0
"""Seconds: a loaded machine is slow, and slowness is not what is tested."""
MODELS = {"mle": {"steps": 5}, "ngram": {}, "repeat_one": {}}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a database of small runs on grammar: three models, two seeds each."""
    if CHROMIUM is None:
        pytest.skip("no chromium, chromium-browser or google-chrome is installed")
    folder = tmp_path_factory.mktemp("runs")
    values = {"task": "grammar", "scale": "smoke", "n_samples": 40, "device": "cpu", "temperatures": (0.5,)}
    values["metrics"] = ("bleu", "self_bleu", "validity")
    for model, settings in MODELS.items():
        for seed in range(2):
            config = RunConfig.model_validate({**values, "model": model, "seed": seed, "model_settings": settings})
            tracker = MlflowTracker(default_uri(folder), system_metrics=False)
            assert run(config.resolve(), folder, trackers=[tracker]).status == "completed"
    return folder


@pytest.fixture(scope="module")
def server(runs: Path) -> Iterator[str]:
    """The address of `mlflow ui` on that database."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["--backend-store-uri", default_uri(runs), "--port", str(port), "--workers", "1"]
    environment = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (runs / "ui.log").open("wb") as log:
        started = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "ui", *words],
            cwd=ROOT,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    address = f"http://127.0.0.1:{port}/"
    try:
        until = time.monotonic() + _PATIENCE
        while not answers(address):
            assert started.poll() is None, (runs / "ui.log").read_text()
            assert time.monotonic() < until, (runs / "ui.log").read_text()
            time.sleep(0.3)
        yield address
    finally:
        os.killpg(started.pid, signal.SIGTERM)  # its own group: the server's workers, too
        started.wait(timeout=60)


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=10) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.fixture
def page(server: str) -> Iterator[Page]:
    expect.set_options(timeout=1000 * _PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        tab = browser.new_page(viewport={"width": 1400, "height": 1000}, reduced_motion="reduce")
        tab.set_default_timeout(1000 * _PATIENCE)
        tab.route("**/*", lambda route: route.continue_() if route.request.url.startswith(server) else route.abort())
        yield tab
        browser.close()


def test_the_prepared_views_open_with_every_model(page: Page, server: str, runs: Path) -> None:
    """Offline: what is not of this server is refused."""
    folders = [path.parent for path in runs.glob("*/run.json")]
    ((name, number),) = experiments_of(folders, default_uri(runs)).items()
    assert name == "textgan-bench/grammar@1 (smoke)"

    page.goto(views.address(server, number))
    menu = page.get_by_test_id("saved-views-trigger")
    expect(menu).to_have_text("Models compared")
    for model in MODELS:
        expect(page.get_by_text(re.compile(rf"^Group: {model} [0-9a-f]{{4}}")).first).to_be_visible()
    for section in ("Quality against diversity", "Temperature sweep"):
        expect(page.get_by_text(section, exact=True)).to_be_attached()
    expect(page.get_by_text("score/self_bleu_5 vs. score/bleu_5", exact=True)).to_be_attached()
    plot = page.locator(".js-plotly-plot").first
    expect(plot.locator(".scatterlayer path.point")).to_have_count(len(MODELS))

    menu.click()
    for view in views.VIEWS:
        expect(page.get_by_text(view.name, exact=True).last).to_be_visible()
    page.get_by_text("Leaderboard", exact=True).last.click()
    expect(menu).to_have_text("Leaderboard")
    for column in ("seeds", "mean/validity", "sd/validity"):
        expect(page.get_by_role("columnheader", name=column, exact=True).first).to_be_attached()
    for model in MODELS:
        expect(page.get_by_role("link", name=re.compile(rf"^{model} [0-9a-f]{{4}} "))).to_be_visible()

    page.goto(views.address(server, number, "textgan-bench-samples"))
    expect(menu).to_have_text("Samples")
    expect(page.get_by_role("img").and_(page.locator("[src*='get-artifact']")).nth(2)).to_be_attached()

    page.goto(views.address(server, number, "textgan-bench-training"))
    expect(menu).to_have_text("Training")
    expect(page.get_by_text("Scores while it trains", exact=True)).to_be_attached()
    for section in ("Alarms and cost", "train/mle"):
        expect(page.get_by_text(section, exact=True)).to_be_attached()
