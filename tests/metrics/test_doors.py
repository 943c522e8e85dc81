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
SEMANTIC = ["frechet_embedding_distance", "mauve", "prdc", "vendi_embedding"]  # an extra, more sentences than here
HEADINGS = ["Definition", "Direction and range", "What fools it", "Cost", "Source", "Example"]

SAMPLES = ["a man rides a horse", "a dog", "a man rides a bike", "a dog", ""]
REFERENCES = ["a man rides a bike", "a dog runs", "two men"]
TRAINING = ["a dog", "a man sits"]

NO_SENTENCES: list[tuple[dict[str, object], str]] = [
    ({"reference_corpus": "a dog"}, "reference_corpus is a list of sentences, got str 'a dog': put a single one in a"),
    ({"training_corpus": "a dog"}, "training_corpus is a list of sentences, got str"),
    ({"predictions": "a dog"}, "predictions is a list of sentences, got str 'a dog'"),
    ({"reference_corpus": 3}, "reference_corpus is a list of sentences, got int 3"),
    ({"reference_corpus": {"a dog": 1}}, "reference_corpus is a list of sentences, got dict"),
    ({"reference_corpus": ["a dog", None]}, "reference_corpus[1] is a text or a list of tokens, got None"),
    ({"predictions": [None]}, "predictions[0] is a text or a list of tokens, got None"),
    ({"predictions": [["a", None]]}, "predictions[0] is a list of tokens, and None is none"),
    ({"predictions": ["a", ["b"]]}, "predictions[1] and predictions[0] are not both texts"),
    ({"predictions": []}, "predictions is an empty list: expected sentences"),
    ({"reference_corpus": [["a dog runs"]]}, "reference_corpus[0] is a list of tokens, and str 'a dog runs' is none"),
    ({"orders": 2}, "orders: Input should be a valid tuple, got int 2"),
    ({"orders": [2, 2]}, "bleu: orders must be different whole numbers"),
]
NO_IDS: list[tuple[object, str]] = [
    ([[1, 2], [3]], "predictions[1] has 1 ids, predictions[0] has 2: all rows have one length"),
    ([[1, 2], [3, None]], "predictions[1] is a row of ids, and None is none"),
    ([[1, 2], None], "predictions[1] is a list of ids, got None"),
    ([1, 2], "predictions[0] is a list of ids, got int 1"),
    ([[1.5, 2]], "predictions[0] is a row of ids, and float 1.5 is none"),
    ("12", "predictions is a list of rows of ids, got str '12'"),
]

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
    "model_nll_bound": lambda rows, draws: np.full(len(rows), 3.0),
    "model_label_log_prob": lambda rows: np.full(len(rows), -1.0),
}
text = {
    "predictions": given["samples"],
    "reference_corpus": given["references"],
    "training_corpus": given["training"],
    "is_valid": lambda words: len(words) == 2,
}
for name in given["metrics"]:
    columns = {"predictions": ids, "references": ids, **likelihoods, "eos_id": 0} if name.startswith("nll") else text
    if name in ("class_accuracy", "per_class"):
        columns = {**text, **given["labelled"]}
    if name in given["rewriting_metrics"]:
        columns = {**text, **given["rewriting"], "judge": lambda words: "positive" if "man" in words else "negative"}
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
nll = evaluate.load("metrics/nll_oracle")
text = {"predictions": ["a dog"], "reference_corpus": ["a dog runs"]}
rows = {"predictions": ids, "oracle_log_prob": likelihoods["oracle_log_prob"]}
results["refused"] = []
for door, keywords, wrong in [
    *[(bleu, text, wrong) for wrong in given["no_sentences"]],
    *[(nll, rows, {"predictions": wrong}) for wrong in given["no_ids"]],
]:
    try:
        results["refused"].append(door.compute(**{**keywords, **wrong}))
    except ValueError as error:
        results["refused"].append(str(error))
chosen = [[2, 3], (2, 3), np.array([2, 3])]
results["orders"] = [bleu.compute(**text, orders=orders)["bleu_signature"] for orders in chosen]
arrays = [np.array(ids), [np.array(row) for row in ids]]
results["arrays"] = [nll.compute(**{**rows, "predictions": array})["nll_oracle"] for array in arrays]
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
    given["labelled"] = {"labels": [0, 1, 0, 1, 0], "reference_labels": [0, 1, 1], "posteriors": [[0.9, 0.1]] * 5}
    given["rewriting_metrics"] = ["exact_match", "input_bleu", "reference_bleu", "target_nll", "transfer"]
    given["rewriting"] = {
        "inputs": SAMPLES[::-1],
        "wanted": ["negative", "positive"] * 2 + ["negative"],
        "answers": [SAMPLES],
        "right": True,
        "class_corpora": {"negative": TRAINING, "positive": REFERENCES},
    }
    given["no_sentences"], given["no_ids"] = ([wrong for wrong, _ in each] for each in (NO_SENTENCES, NO_IDS))
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
    assert scores <= registry.find("metrics", name)().keys().keys()


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


def test_what_is_no_list_of_sentences_is_refused_by_name_and_place(results):
    expected = [message for each in (NO_SENTENCES, NO_IDS) for _, message in each]
    assert len(results["refused"]) == len(expected)
    for refusal, message in zip(results["refused"], expected, strict=True):
        assert isinstance(refusal, str), (message, refusal)
        assert message in refusal


def test_a_setting_has_one_signature_however_it_is_written(results):
    assert results["orders"] == ["bleu|orders:2-3|smoothing:method1|refs:1|samples:1|v:1"] * 3
    assert results["arrays"] == [1.5, 1.5]
    assert Bleu(orders=[2, 3]).settings(inputs()) == Bleu(orders=(2, 3)).settings(inputs())


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
