"""Names and settings are resolved first, and an error says what would be right."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from helpers.paths import TOY

from bench import config
from bench.config import Resolved, RunConfig, assign, build_metrics, make_runs, parse_settings, plain
from bench.registry import find, names
from bench.suite import SuiteConfig, read_suite


def resolve(**settings: object):
    values = {"model": TOY, "task": "oracle_lstm", "scale": "smoke", **settings}
    return RunConfig.model_validate(values).resolve()


def test_names_are_the_files_of_a_folder() -> None:
    assert "oracle_lstm" in names("tasks")
    assert {"bleu", "self_bleu"} <= set(names("metrics"))
    assert not {"common", "_oracle", "__init__"} & {*names("models"), *names("tasks"), *names("metrics")}


def test_every_name_is_one_class_of_its_kind() -> None:
    for kind in ("models", "tasks", "metrics"):
        for name in names(kind):  # type: ignore[arg-type]
            assert isinstance(find(kind, name), type)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"task": "oracle_lstn"}, "no 'oracle_lstn' in bench/tasks; did you mean 'oracle_lstm'?"),
        ({"model": "nothing.py:X"}, "no file 'nothing.py'"),
        ({"model": TOY.replace("ToyGAN", "ToyGun")}, "no class 'ToyGun'"),
        ({"model_settings": {"mle_step": 3}}, "has no setting 'mle_step'; did you mean 'mle_steps'?"),
        ({"model_settings": {"mle_steps": "abc"}}, "mle_steps takes an integer, got 'abc'"),
        ({"model_settings": {"mle_steps": 0}}, "mle_steps: input should be greater than 0, got 0"),
        ({"task_settings": {"parameters": "texygen"}}, "parameters is one of 'seeded'"),
        ({"metrics": ("blue",)}, "no 'blue' in metrics; did you mean 'bleu'?"),
    ],
)
def test_errors_name_what_is_wrong_and_what_is_near(wrong: dict[str, object], expected: str) -> None:
    with pytest.raises((KeyError, ValueError)) as caught:
        resolve(**wrong)
    assert expected in caught.value.args[0]


def test_set_finds_the_owner_of_a_name() -> None:
    values = parse_settings(["lr=0.5", "n_train=300", "n_samples=20", "model.batch_size=8", "path=my text.txt"])
    assert values["path"] == "my text.txt"
    values.pop("path")
    config = assign(values, {"model": TOY, "task": "oracle_lstm"})
    assert config["model_settings"] == {"lr": 0.5, "batch_size": 8}
    assert config["task_settings"] == {"n_train": 300}
    assert config["n_samples"] == 20


def test_set_refuses_an_unknown_name_with_the_nearest() -> None:
    with pytest.raises(KeyError, match="no setting 'n_sample'; did you mean 'n_samples'"):
        assign({"n_sample": 2}, {"model": TOY, "task": "oracle_lstm"})
    with pytest.raises(ValueError, match="--set takes key=value"):
        parse_settings(["lr"])


@pytest.mark.parametrize("key", ["seed", "run.seed", "model", "task"])
def test_what_makes_the_run_is_no_setting(key: str) -> None:
    with pytest.raises(KeyError, match="is no setting: give it as"):
        assign({key: 5}, {"model": "mle", "task": "grammar"})


def test_a_metric_is_set_by_its_name() -> None:
    values = parse_settings(["lm_score.order=3", "lr=0.5", "lm_score.corpus=training"])
    found = assign(values, {"model": TOY, "task": "grammar", "scale": "smoke"})
    assert found["metric_settings"] == {"lm_score": {"order": 3, "corpus": "training"}}
    assert found["model_settings"] == {"lr": 0.5}
    changed = RunConfig.model_validate(found)
    plain = changed.model_copy(update={"metric_settings": {}})
    assert plain.resolve().config_hash != changed.resolve().config_hash
    with pytest.raises(KeyError, match="lm_score has no setting 'ordr'; did you mean 'order'"):
        build_metrics(("lm_score",), {"lm_score": {"ordr": 3}})
    with pytest.raises(KeyError, match="chrf is set, but is not among the metrics"):
        build_metrics(("lm_score",), {"chrf": {}})


def test_the_row_does_not_depend_on_the_seed_but_the_run_does() -> None:
    one, two = resolve(seed=0), resolve(seed=1)
    assert one.config_hash == two.config_hash
    assert one.run_id != two.run_id
    assert resolve(model_settings={"lr": 0.1}).config_hash != one.config_hash
    assert resolve(n_samples=7).config_hash != one.config_hash
    assert resolve(task_settings={"n_train": 300}).config_hash != one.config_hash


def test_another_precision_is_another_row() -> None:
    usual, given, tf32 = (resolve(**s) for s in ({}, {"fp32_precision": "ieee"}, {"fp32_precision": "tf32"}))
    assert (usual.config_hash, usual.run_id) == (given.config_hash, given.run_id)
    assert len({usual.config_hash, tf32.config_hash, resolve(fp32_precision="bf16").config_hash}) == 3
    with pytest.raises(ValueError, match="'ieee', 'tf32' or 'bf16'"):
        resolve(fp32_precision="fp16")


def test_a_change_of_the_source_is_another_run(tmp_path: Path) -> None:
    source = Path(TOY.partition(":")[0]).read_text()
    ids = []
    for i, text in enumerate((source, source.replace("lr: PositiveFloat = 0.05", "lr: PositiveFloat = 0.05  # same"))):
        path = tmp_path / f"toy_copy_{i}.py"
        path.write_text(text)
        ids.append(resolve(model=f"{path}:ToyGAN"))
    assert ids[0].run_id != ids[1].run_id


def test_a_suite_is_the_product_of_its_lists(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        f'scale = "smoke"\nseeds = [3, 4]\n[[runs]]\nmodel = ["{TOY}"]\ntask = ["oracle_lstm"]\n'
        f'[[runs]]\nmodel = "{TOY}"\ntask = "oracle_lstm"\nseeds = [9]\nmodel_settings = {{lr = 0.2}}\n'
        f"[tasks.oracle_lstm]\nn_train = 300\n[models.'{TOY}']\nlr = 0.7\n"
    )
    configs = read_suite(path, {"n_samples": 50})
    assert [c.seed for c in configs] == [3, 4, 9]
    assert [c.model_settings["lr"] for c in configs] == [0.7, 0.7, 0.2]
    assert {c.task_settings["n_train"] for c in configs} == {300}
    assert {c.n_samples for c in configs} == {50}


MLE = '[[runs]]\nmodel = "mle"\ntask = "grammar"\n'
WRONG_SUITES = [
    ("seeds = [1]\n", "no [[runs]]"),
    ("= 3", "is not a suite"),
    ('[[runs]]\nmodel = "mle"\n', "runs[0]: it lacks 'task'"),
    (f"[models.mlee]\nsteps = 3\n{MLE}", "no run of model 'mlee'; did you mean 'mle'"),
    (f"sampels = 3\n{MLE}", "sampels is not a setting; did you mean 'samples'?"),
    (f"[[samples]]\nnmae = 1\n{MLE}", "samples[0].nmae is not a setting; did you mean 'name'?"),
    (f"{MLE}seed = 3\n", "runs[0].seed is not a setting; did you mean 'seeds'?"),
    (f'{MLE}[[runs.expected]]\npublishd = "x"\n', "runs[0].expected[0].publishd is not a setting; did you mean"),
    (f"seeds = 5\n{MLE}", "seeds takes a list, got 5"),
    (f'{MLE}seeds = "012"\n', "runs[0].seeds takes a list, got '012'"),
    (f"{MLE}seeds = [0, true]\n", "runs[0].seeds[1] takes an integer, got True"),
    (f"{MLE}seeds = []\n", "runs[0].seeds: the list is empty"),
    (f"{MLE}seeds = [0, 1, 0]\n", "runs[0].seeds: 0 stands twice in the list"),
    (f"model = 1\n{MLE}", "model: a name is expected, or a list of names, got 1"),
    ('[[runs]]\nmodel = [["mle"]]\ntask = "grammar"\n', "runs[0].model[0] takes text, got ['mle']"),
    ('[[runs]]\nmodel = "mle"\ntask = {}\n', "runs[0].task: a name is expected, or a list of names, got {}"),
    ('[[runs]]\nmodel = 1.5\ntask = "grammar"\n', "runs[0].model: a name is expected, or a list of names, got 1.5"),
    (f'[["mle"]]\n{MLE}', "mle is not a setting"),
    (f"{MLE}n_samples = 2020-01-01\n", "runs[0].n_samples takes an integer, got 2020-01-01"),
    (f"{MLE}n_samples = true\n", "runs[0].n_samples takes a number, got True"),
    (f"metric_settings = inf\n{MLE}", "metric_settings takes a table, got inf"),
    (f"{MLE}metric_settings = {{bleu = 1}}\n", "runs[0].metric_settings.bleu takes a table, got 1"),
    (f"{MLE}model_settings = 1\n", "runs[0].model_settings takes a table, got 1"),
    (f"{MLE}model_settings = {{lr = true}}\n", "runs[0]: mle: lr takes a number, got True"),
    (
        f"{MLE}model_settings = {{lr = {'[' * 30}{']' * 30}}}\n",
        "runs[0].model_settings: lists or tables in",
    ),
    (f"{MLE}metrics = ['bleuu']\n", "runs[0]: no 'bleuu' in metrics; did you mean 'bleu'?"),
    (f"models = {{mle = 1}}\n{MLE}", "models.mle takes a table, got 1"),
    (f"[samples]\n{MLE}", "samples takes a list, got {}"),
    (f"a = 1\na = 2\n{MLE}", "is not a suite: Cannot overwrite a value (at line 2"),
    (f"x = {'[' * 5_000}", "is not a suite: lists or tables in one another without end"),
    (f"#{'x' * (1 << 20)}", "at most 1048576 are read"),
    (f"[[runs]]\nmodel = '{'x' * 300}.py:A'\ntask = 'grammar'\n", "runs[0]: no file 'xxx"),
]


@pytest.mark.parametrize(("text", "expected"), WRONG_SUITES, ids=range(len(WRONG_SUITES)))
def test_a_wrong_suite_is_named_with_the_key_and_what_would_be_right(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(ValueError) as caught:
        read_suite(path)
    assert str(path) in str(caught.value)
    assert expected in str(caught.value)


def test_true_is_no_number_and_a_name_is_text() -> None:
    with pytest.raises(ValueError, match="mle: lr takes a number, got True"):
        resolve(model="mle", task="grammar", model_settings={"lr": True})
    with pytest.raises(ValueError, match="n_samples takes a number, got True"):
        make_runs({"model": TOY, "task": "oracle_lstm", "n_samples": True}, [0])
    with pytest.raises(ValueError, match="seed takes an integer, got '0'"):
        make_runs({"model": TOY, "task": "oracle_lstm"}, "012")  # type: ignore[arg-type]
    with pytest.raises(KeyError, match="is text, got 3"):
        find("models", 3)  # type: ignore[arg-type]
    assert make_runs({"model": TOY, "task": "oracle_lstm", "cuda_graphs": True}, [0])[0].cuda_graphs


def test_seeds_must_not_be_negative() -> None:
    with pytest.raises(ValueError, match="seed"):
        make_runs({"model": TOY, "task": "oracle_lstm"}, [-1])


SUITES = [path for path in sorted(Path(config.__file__).parent.glob("suites/**/*.toml")) if SuiteConfig.read(path).runs]


@pytest.mark.parametrize("path", SUITES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_suite_of_the_project_resolves(path: Path) -> None:
    runs = [run.resolve() for run in read_suite(path)]
    assert len({run.run_id for run in runs}) == len(runs) > 0
    assert {run.run.seed for run in runs} >= {0, 1, 2}


def test_settings_that_are_not_the_scales_are_said_by_name() -> None:
    def resolve(**settings: object) -> Resolved:
        return RunConfig.model_validate({"task": "grammar", **settings}).resolve()

    own = resolve(model="seqgan", scale="small")
    assert own.changed == {}
    assert own.title() == "seqgan · grammar · seed 0 · small"
    spelled = resolve(model="seqgan", scale="small", model_settings={"mle_steps": own.model_config.mle_steps})
    assert spelled.changed == {}  # a default that is spelled out is none
    other = resolve(model="seqgan", model_settings={"mle_steps": 5, "iterations": 1})
    assert other.changed == {"mle_steps": 5, "iterations": 1}
    assert other.title() == "seqgan (mle_steps=5, iterations=1) · grammar · seed 0 · custom"
    assert resolve(model="mle", model_settings=plain(resolve(model="mle", scale="small").model_config)).changed


def test_a_model_of_a_file_is_its_class_and_its_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "one_model.py"
    source = Path(TOY.partition(":")[0]).read_text()
    file.write_text(source)
    monkeypatch.chdir(tmp_path)
    spelled = [
        resolve(model=f"{path}:ToyGAN")
        for path in ("one_model.py", "./one_model.py", file, "../" + str(file.relative_to(tmp_path.parent)))
    ]
    assert {each.model_name for each in spelled} == {"one_model.py:ToyGAN"}
    assert len({(each.config_hash, each.run_id, each.folder(tmp_path)) for each in spelled}) == 1
    copy = tmp_path / "renamed.py"
    copy.write_text(source)
    assert resolve(model="renamed.py:ToyGAN").config_hash == spelled[0].config_hash
    file.write_text(source.replace("return 1", "return  1") + "\n# another program\n")
    edited = resolve(model="one_model.py:ToyGAN")  # in the same process: loaded anew
    assert edited.config_hash != spelled[0].config_hash
    assert edited.model_class is not spelled[0].model_class
    assert edited.model_source == file.read_bytes()


def test_what_a_model_of_a_file_imports_of_the_users_is_part_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "my_parts"
    folder.mkdir()
    (folder / "__init__.py").write_text("from .deeper_parts import WIDTH\n")
    (folder / "deeper_parts.py").write_text("import numpy, torch\nWIDTH = 3\n")
    file = tmp_path / "model_of_parts.py"
    source = Path(TOY.partition(":")[0]).read_text()
    file.write_text(source.replace("\nclass ", "\nfrom my_parts import WIDTH\n\nclass ", 1))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    first = resolve(model="model_of_parts.py:ToyGAN")
    before = first.config_hash
    assert list(first.sources) == ["model", "task", "model.py", "import my_parts", "import my_parts.deeper_parts"]
    assert resolve(model="model_of_parts.py:ToyGAN").model_class is first.model_class
    (folder / "deeper_parts.py").write_text("import numpy, torch\nWIDTH = 33\n")
    edited = resolve(model="model_of_parts.py:ToyGAN")
    assert edited.config_hash != before
    assert sys.modules[edited.model_class.__module__].WIDTH == 33  # in the same process: loaded anew
    assert list(resolve(model=TOY).sources) == ["model", "task", "model.py"]  # ours, and what is installed, is none


def test_a_text_is_what_is_in_the_file_not_where_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.txt").write_text("a b c\n" * 20)
    (tmp_path / "copy.txt").write_text("a b c\n" * 20)

    def ids(path: object) -> set[tuple[str, str]]:
        text = resolve(task="text_file", task_settings={"path": str(path)})
        rows = resolve(task="characters", task_settings={"source": str(path)})
        assert text.task_settings["path"] == rows.task_settings["source"] == str(path)  # as it was given, to run again
        assert {list(each.sources)[-1] for each in (text, rows)} == {"file of path", "file of source"}
        return {(text.config_hash, text.run_id), (rows.config_hash, rows.run_id)}

    first = ids("x.txt")
    assert len(first) == 2
    assert first == ids("./x.txt") == ids(tmp_path / "x.txt") == ids("copy.txt")
    (tmp_path / "x.txt").write_text("a b d\n" * 20)
    assert not first & ids("x.txt")


def test_a_setting_without_end_is_refused() -> None:
    with pytest.raises(ValueError, match="--set x: lists or tables in one another, more than 20 deep"):
        parse_settings([f"x={'[' * 30}{']' * 30}"])
    with pytest.raises(ValueError, match="--set x: lists or tables in one another without end"):
        parse_settings([f"x={'[' * 3_000}"])


def test_a_setting_that_was_added_later_makes_no_new_row_at_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the model did not have it; another value is another row."""
    usual = RunConfig(model="seqgan", task="grammar").resolve()
    assert "pool_order" in usual.model_settings
    spelled = RunConfig(model="seqgan", task="grammar", model_settings={"pool_order": "fixed"}).resolve()
    other = RunConfig(model="seqgan", task="grammar", model_settings={"pool_order": "shuffled"}).resolve()
    assert usual.config_hash == spelled.config_hash != other.config_hash
    monkeypatch.setattr(config, "_without_added", plain)
    assert RunConfig(model="seqgan", task="grammar").resolve().config_hash != usual.config_hash
