"""The configuration: what it accepts, how it refuses, and that its resolved form says the same."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from relatask.cli.config import ModelConfig, RunConfig
from relatask.cli.loading import load, override, parse, plain
from relatask.linear.solvers import SOLVERS
from relatask.notices import InputError
from relatask.study import BASELINES


def raw() -> dict:
    return {
        "version": 1,
        "data": {"path": "a.csv", "by": "school"},
        "tasks": {"score": None},
        "model": {"relation": {"name": "Pairwise"}},
        "output": {"folder": "runs/a"},
    }


def changed(change: str) -> RunConfig:
    values = raw()
    override(values, change)
    return parse(values, "run.yaml")


names = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=9)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("data.splitt={}", "data.splitt: is not a known key. Did you mean data.split?"),
        ("modle.kind=linear", "modle: is not a known key. Did you mean model?"),
        ("data.split={kind: kfold, test: .2}", "data.split.test: is not a known key. Expected one of: kind, k"),
        ("data.split={kind: kfolds}", "data.split.kind: 'kfolds' is unknown. Did you mean kfold"),
        ("data.split.kind=group", "data.split.column: is missing"),
        ("data.split={repeats: x}", "data.split.repeats: expected a whole number; got 'x'"),
        ("data.split={test: 1.5}", "data.split.test: expected a number < 1; got 1.5"),
        ("model.relation.strenght=1", "strenght: is not an option of Pairwise. Did you mean model.relation.strength"),
        ("model.relation.strength=-1", "strength: expected a number >= 0 or 'auto'; got -1"),
        ("model.relation.strength=abc", "strength: expected a number or 'auto'; got 'abc'"),
        ("model.relation=TraceNrm", "there is no relation 'TraceNrm'. Did you mean TraceNorm"),
        ("model.relation={name: Graph}", "Graph needs A"),
        ("model.relation=[]", "expected at least one relation"),
        ("model.relation=[Ridge, {name: TraceNorm, foo: 1}]", "model.relation.1.foo: is not an option of TraceNorm"),
        ("model.kind=mpl", "model.kind: 'mpl' is unknown. Did you mean mlp"),
        ("model.kind=forest", "model.kind: 'forest' is unknown. Expected one of: linear, mlp"),
        ("model={kind: mlp, epoch: 3}", "model.epoch: is not a known key. Did you mean model.epochs"),
        ("model={kind: mlp, dropout: 1}", "model.dropout: expected a number < 1; got 1"),
        ("model={kind: mlp, tol: 1e-3}", "model.tol: is not a known key"),
        ("model={kind: mlp, relation: Pairwise}", "a network does not choose the strength of Pairwise; give a number"),
        ("model={kind: mlp, relation: {name: Ridge, strength: auto}}", "a network does not choose a strength"),
        ("features.roles={x: text}", "features.roles: is for networks"),
        ("model.intercept=fre", "expected 'free', 'tied', 'common' or 'none'; got 'fre'. Did you mean free"),
        ("tasks.score={kind: multiclass}", "tasks.score.kind: multiclass is for networks here: write model.kind: mlp"),
        ("tasks.score={kind: detection}", "'detection' is no kind of a table's column: expected regression, binary"),
        ("tasks.score={kind: binery}", "'count' or 'multiclass'; got 'binery'. Did you mean binary"),
        ("tasks.score={kind: binary, metrics: [rmse]}", "rmse is no metric of kind binary. Expected some of: log_loss"),
        ("tasks.score={knd: regression}", "tasks.score.knd: is not a known key. Did you mean tasks.score.kind"),
        ("tasks.score={metrics: [rmsee]}", "no metric 'rmsee'; did you mean 'rmse'"),
        ("tasks.other=null", "one target is expected, got 2"),
        ("baselines=[singel]", "Did you mean single"),
        ("version=2", "version: expected 1; got 2"),
        ("data=null", "data: expected keys with values"),
        ("output={}", "output.folder: is missing"),
        ("nonsense", "expected key=value"),
        ("data.path.x=1", "which has no key 'x'"),
        ("data.path=[", "cannot be read as YAML"),
    ],
)
def test_what_is_wrong_is_named_with_its_path(change, words):
    with pytest.raises(InputError) as error:
        changed(change)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("change", "path", "value"),
    [
        ("model.relation.name=TraceNorm", "model.relation.0.name", "TraceNorm"),
        ("model.relation=TraceNorm", "model.relation.0.name", "TraceNorm"),
        ("model.relation.strength=1e-3", "model.relation.0.strength", 0.001),
        ("data.split.repeats=3", "data.split.repeats", 3),
        ("data.split={kind: kfold, k: 3}", "data.split.k", 3),
        ("features.exclude=[x, y]", "features.exclude", ["x", "y"]),
        ("model.tol=1e-5", "model.tol", 1e-5),
        ("output.folder=else", "output.folder", "else"),
        ("model.kind=text", "model.kind", "text"),
        ("model.kind=mlp", "model.sharing", "hard"),
        ("model={kind: mlp, balance: pcgrad}", "model.balance.method", "pcgrad"),
        ("model={kind: mlp, balance: {method: cagrad, c: 0.5}}", "model.balance.c", 0.5),
        ("model={kind: mlp, relation: {name: Pairwise, strength: 0.1}}", "model.relation.0.strength", 0.1),
    ],
)
def test_overrides_change_one_thing(change, path, value):
    found = plain(changed(change))
    for key in path.split("."):
        found = found[int(key)] if key.isdigit() else found[key]
    assert found == value


def test_a_single_baseline_always_runs():
    config = RunConfig.model_validate(raw() | {"baselines": ["pooled"]})
    assert config.baselines == ("single", "pooled")


def test_choices_are_those_of_the_other_rooms():
    choices = RunConfig.model_json_schema()["properties"]["baselines"]["items"]["enum"]
    assert set(choices) == set(BASELINES)
    assert get_args(ModelConfig.model_fields["solver"].annotation) == SOLVERS


def test_toml_says_the_same_as_yaml(tmp_path):
    (tmp_path / "a.yaml").write_text(yaml.safe_dump({**raw(), "tasks": {"score": {}}}))
    (tmp_path / "a.toml").write_text(
        'version = 1\n[data]\npath = "a.csv"\nby = "school"\n[tasks.score]\n[model.relation]\nname = "Pairwise"\n'
        '[output]\nfolder = "runs/a"\n'
    )
    assert load(tmp_path / "a.yaml").config == load(tmp_path / "a.toml").config


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("data: {path: a.csv}\ndata: {path: b.csv}\n", "'data' is given twice"),
        ("- 1\n- 2\n", "expected sections"),
        ("data: [", "cannot be read as YAML"),
        ("tasks: {yes: {}}\ndata: {path: a}\noutput: {folder: b}\n", "put it in quotes"),
    ],
)
def test_files_that_are_no_configuration(tmp_path, text, words):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(InputError, match=words):
        load(tmp_path / "a.yaml")


def test_paths_are_relative_to_the_file(tmp_path):
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(raw()))
    loaded = load(tmp_path / "a.yaml")
    assert loaded.data == tmp_path / "a.csv"
    assert loaded.folder == tmp_path / "runs" / "a"


relations = st.sampled_from(["Pairwise", "Ridge", "TraceNorm", "SharedSparsity", "Sparse"])
strengths = st.one_of(st.just("auto"), st.floats(0, 1e6))
splits = st.one_of(
    st.fixed_dictionaries({"kind": st.just("random"), "test": st.floats(0.01, 0.99), "repeats": st.integers(1, 50)}),
    st.fixed_dictionaries({"kind": st.just("kfold"), "k": st.integers(2, 20), "seed": st.integers(0, 9)}),
    st.fixed_dictionaries({"kind": st.just("time"), "column": st.just("year"), "k": st.integers(1, 9)}),
)


@given(
    relation=st.lists(st.fixed_dictionaries({"name": relations, "strength": strengths}), min_size=1, max_size=3),
    split=splits,
    exclude=st.lists(names, max_size=3),
)
def test_the_resolved_configuration_reads_back_as_itself(tmp_path_factory, relation, split, exclude):
    folder: Path = tmp_path_factory.mktemp("config")
    values = raw() | {"features": {"exclude": exclude}}
    values["data"] = values["data"] | {"split": split}
    values["model"] = {"relation": relation}
    (folder / "a.yaml").write_text(yaml.safe_dump(values, allow_unicode=True), encoding="utf-8")
    first = load(folder / "a.yaml")
    (folder / "b.yaml").write_text(first.resolved(), encoding="utf-8")
    second = load(folder / "b.yaml")
    assert second.config.model == first.config.model
    assert second.config.features == first.config.features
    assert second.config.data.split == first.config.data.split
    assert second.data == first.data.resolve()
    assert second.resolved() == first.resolved()


def test_an_override_reaches_into_a_short_balance():
    values = raw() | {"model": {"kind": "mlp", "balance": "equal"}}
    override(values, "model.balance.method=pcgrad")
    assert parse(values, "run.yaml").network.balance.method == "pcgrad"


def test_a_networks_settings_are_those_of_its_estimator():
    pytest.importorskip("torch")
    import inspect

    from relatask.cli.models import NetworkConfig
    from relatask.cli.network import SAME
    from relatask.data.features import TableFeatures
    from relatask.train.estimators import DeepMultiTask

    theirs, of_columns = (inspect.signature(kind).parameters for kind in (DeepMultiTask, TableFeatures))
    for name, field in NetworkConfig.model_fields.items():
        if name in SAME or name == "sharing":
            assert field.default == theirs[name].default, name
        elif name not in ("kind", "relation", "balance"):
            assert field.default == of_columns[name].default, name
    assert NetworkConfig.model_fields["balance"].default.method == theirs["balance"].default
    ours = {"class_weight", "threshold", "kinds", "features", "task_column", "verbose", "encoder"}
    assert set(theirs) - set(NetworkConfig.model_fields) == ours


def test_an_override_knows_names_with_dots():
    values = {"tasks": {"PM2.5": {"kind": "regression"}, "PM2": {"kind": "regression"}}}
    override(values, "tasks.PM2.5.kind=count")
    override(values, "tasks.PM2.kind=binary")
    assert values == {"tasks": {"PM2.5": {"kind": "count"}, "PM2": {"kind": "binary"}}}
