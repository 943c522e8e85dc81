"""Each metric folder is complete: definition, card with runnable example, door for Hugging Face evaluate."""

from __future__ import annotations

import doctest
import json
import os
import re
import subprocess
import sys
from dataclasses import fields

import pytest
from helpers.paths import ROOT

from bench import registry
from metrics.bleu import Bleu
from metrics.common.base import Metric, MetricInputs
from metrics.common.tokens import Tokens
from metrics.self_bleu import SelfBleu

METRICS = sorted(path.name for path in (ROOT / "metrics").iterdir() if path.is_dir() and path.name[0] not in "_.")
METRICS.remove("common")
SEMANTIC = ["frechet_embedding_distance", "mauve"]  # they need an extra and, MAUVE, more sentences than there are here
HEADINGS = ["Definition", "Direction and range", "What fools it", "Cost", "Source", "Example"]

SAMPLES = ["a man rides a horse", "a dog", "a man rides a bike", "a dog", ""]
REFERENCES = ["a man rides a bike", "a dog runs", "two men"]
TRAINING = ["a dog", "a man sits"]

LOAD_ALL = """
import json, socket, sys

def refused(*_):
    raise OSError("a door asked for the network")

socket.socket.connect = socket.getaddrinfo = refused
import evaluate
import numpy as np

given = json.loads(sys.argv[1])
results, ids = {}, [[1, 2], [3, 0]]
likelihoods = {
    "oracle_log_prob": lambda rows: np.full(len(rows), -3.0),
    "model_log_prob": lambda rows: np.full(len(rows), -2.0),
}
text = {
    "predictions": given["samples"],
    "reference_corpus": given["references"],
    "training_corpus": given["training"],
    "is_valid": lambda words: len(words) == 2,
}
for name in given["metrics"]:
    columns = {"predictions": ids, "references": ids, **likelihoods, "eos_id": 0} if name.startswith("nll") else text
    keywords = {**columns, "is_valid": lambda words: len(words) == 2}
    try:
        results[name] = evaluate.load(f"metrics/{name}").compute(**keywords)
    except ValueError as error:
        if name not in given["may_be_absent"]:
            raise
        results[name] = {"absent": str(error)}
bleu = evaluate.load("metrics/bleu")
cut = {**text, "predictions": [s.split() for s in given["samples"]]}
cut["reference_corpus"] = [s.split() for s in given["references"]]
results["tokens"] = bleu.compute(**cut)
results["again"] = bleu.compute(**text)
results["settings"] = bleu.compute(**text, orders=(2,), smoothing="method0")
results["tokenizer"] = bleu.compute(**text, tokenizer=list)
both = evaluate.combine(["metrics/bleu", "metrics/self_bleu"])
results["combined"] = both.compute(**text)
likely = evaluate.combine(["metrics/nll_oracle", "metrics/nll_gen"])
results["combined likelihoods"] = likely.compute(predictions=ids, references=ids, **likelihoods)
try:
    bleu.compute(predictions=given["samples"])
except ValueError as error:
    results["error"] = str(error)
print(json.dumps(results))
"""


def tokens(sentences: list[str], numbering: dict[str, int], cut=str.split) -> Tokens:
    return Tokens.from_words(map(cut, sentences), numbering)


def inputs(cut=str.split) -> MetricInputs:
    numbering: dict[str, int] = {}
    return MetricInputs(samples=tokens(SAMPLES, numbering, cut), references=tokens(REFERENCES, numbering, cut))


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> dict[str, dict]:
    """All doors opened in one process without network; evaluate takes seconds to import."""
    given = {"samples": SAMPLES, "references": REFERENCES, "training": TRAINING, "metrics": METRICS}
    given["may_be_absent"] = SEMANTIC
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path_factory.mktemp("hf_home"))}
    command = [sys.executable, "-c", LOAD_ALL, json.dumps(given)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", METRICS)
def test_door(results, name):
    """The door gives the metric's own keys and its signature, or says why the metric is absent."""
    if "absent" in results[name]:
        assert re.match(rf"{name} (needs|found no) .*; `compute` takes predictions=, ", results[name]["absent"])
        return
    signature = results[name][f"{name}_signature"]
    assert signature.startswith(f"{name}|")
    assert signature.endswith(f"|v:{registry.find('metrics', name).version}")
    scores = results[name].keys() - {f"{name}_signature"}
    assert scores
    assert all(key.startswith(name) for key in scores)


def test_doors_give_the_metrics_scores(results):
    assert {key: results["again"][key] for key in Bleu().compute(inputs())} == Bleu().compute(inputs())
    assert results["tokens"] == results["again"]
    assert results["again"]["bleu_signature"] == "bleu|orders:2-5|smoothing:method1|refs:3|samples:5|v:1"
    set_up = Bleu(orders=(2,), smoothing="method0")
    expected = {**set_up.compute(inputs()), "bleu_signature": set_up.signature(inputs())}
    assert results["settings"] == expected
    assert results["tokenizer"]["bleu_2"] == Bleu().compute(inputs(cut=list))["bleu_2"]


def test_doors_combine(results):
    scores = {key: value for key, value in results["combined"].items() if not key.endswith("_signature")}
    assert scores == {**Bleu().compute(inputs()), **SelfBleu().compute(inputs())}
    likelihoods = results["combined likelihoods"]
    assert likelihoods["nll_oracle"] == 1.5
    assert likelihoods["nll_gen"] == likelihoods["nll_gen_padded"] == 1.0


def test_a_door_without_what_it_needs_says_so(results):
    assert results["error"].startswith("bleu needs reference sentences; `compute` takes predictions=, reference_corp")


def test_the_folders_are_the_names():
    assert set(METRICS) <= set(registry.names("metrics"))
    assert {"bleu", "self_bleu", "nll_oracle", "nll_gen", "distinct", "unique", "novelty", "validity"} <= set(METRICS)


@pytest.mark.parametrize("name", METRICS)
def test_folder(name):
    """One definition whose name is the folder's, with a direction, settings that are documented, and a door."""
    metric = registry.find("metrics", name)
    assert issubclass(metric, Metric)
    assert metric().name == name
    assert metric.version >= 1
    assert metric.better in ("higher", "lower", "real")
    assert (ROOT / "metrics" / name / f"{name}.py").is_file()
    needed = set(metric().needs)
    assert needed <= {field.name for field in fields(MetricInputs)}


@pytest.mark.parametrize("name", METRICS)
def test_card(name):
    """Headings in their order, the direction in words, every setting named, and an example that runs."""
    path = ROOT / "metrics" / name / "README.md"
    card = path.read_text(encoding="utf-8")
    assert re.findall(r"^## (.*)$", card, re.MULTILINE) == HEADINGS
    metric = registry.find("metrics", name)
    section = card.partition("## Direction and range")[2].partition("\n## ")[0]
    direction = "real text is the target" if metric.better == "real" else f"{metric.better} is better"
    assert direction in section.lower()
    for setting in fields(metric):
        assert f"`{setting.name}`" in card
    assert f"version {metric.version}" in card
    assert f'evaluate.load("metrics/{name}")' in card
    outcome = doctest.testfile(str(path), module_relative=False, encoding="utf-8")
    assert outcome.attempted > 4
    assert outcome.failed == 0


@pytest.mark.parametrize("name", METRICS)
def test_the_card_shows_the_signature(name):
    card = (ROOT / "metrics" / name / "README.md").read_text(encoding="utf-8")
    shown = re.search(rf"`({name}\|[^`]*)`", card)
    assert shown, "no signature in the card"
    numbering: dict[str, int] = {}
    given = MetricInputs(samples=tokens(SAMPLES, numbering), training=tokens(TRAINING, numbering))
    parts = [part.split(":")[0] for part in registry.find("metrics", name)().signature(given).split("|")]
    assert [part.split(":")[0] for part in shown[1].split("|")] == parts
