"""Saved and loaded, a model is the same; a file that is not whole is refused."""

from __future__ import annotations

import copy
import json
import pickle
import warnings
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from scipy import sparse
from sklearn.exceptions import NotFittedError

from linear_oracle import case
from relatask.linear import MultiTaskRegressor, MultiTaskRegressorCV, PooledRegressor
from relatask.notices import InputError, RelataskWarning
from relatask.relations import (
    Chain,
    FeatureQuadratic,
    Graph,
    HierarchicalPrior,
    Manifold,
    Pairwise,
    Relation,
    Ridge,
    Sum,
    TaskKernel,
    TraceNorm,
    parameters,
    parts,
    registry,
)

RELATIONS: list[Relation | None] = [
    None,
    *(kind.example(4).bind(range(4)) for kind in registry().values() if not issubclass(kind, FeatureQuadratic)),
    Manifold(np.random.default_rng(1).normal(size=(6, 3)), 0.3, n_neighbors=2),
    Chain(0.3, order=("b", "a", "d", "c")),
    Graph([("a", "b", 2.0), ("c", "d", 0.5)], 0.2),
    Graph(sparse.csr_array(np.ones((4, 4)) - np.eye(4)), 0.2),
    TaskKernel(np.eye(4) + 0.5, "auto", jitter=0.1),
    Pairwise("auto"),
    Ridge(0.1) + Pairwise("auto") + TraceNorm(0.2),
    Ridge(0.1) + Ridge(0.2),
]
LABELS: dict[str, list[Any]] = {
    "text": ["d", "a", "ä", "b"],
    "whole": [3, -1, 0, 10**12],
    "real": [0.5, 1.0, -2.25, 1e300],
    "logical": [True, False],
    "mixed": [1, "1", 2.5, "two"],
    "tuples": [("a", 1), ("a", 2), ("b", 1)],
}


def rows(labels: list[Any], n: int = 40) -> tuple[np.ndarray, np.ndarray, list[Any]]:
    rng = np.random.default_rng(0)
    codes = np.arange(n) % len(labels)
    X = rng.normal(size=(n, 3))
    return X, X.sum(1) + codes + rng.normal(size=n), [labels[k] for k in codes]


def same_relation(a: Relation, b: Relation) -> None:
    """Equal in class and every field, arrays included."""
    assert type(a) is type(b)
    for one, other in zip(parts(a), parts(b), strict=True):
        assert type(one) is type(other)
        for (name, x), (other_name, y) in zip(parameters(one).items(), parameters(other).items(), strict=True):
            assert name == other_name
            assert type(x) is type(y)
            if sparse.issparse(x):
                x, y = x.toarray(), y.toarray()
            np.testing.assert_array_equal(x, y)


def check_same(model: Any, loaded: Any, X: np.ndarray, tasks: Any) -> None:
    assert type(loaded) is type(model)
    assert (loaded.predict(X, tasks) == model.predict(X, tasks)).all()
    assert loaded.objective_ == model.objective_
    assert loaded.residual_ == model.residual_
    assert loaded.n_iter_ == model.n_iter_
    assert loaded.strengths_ == model.strengths_
    assert loaded.n_features_in_ == model.n_features_in_
    np.testing.assert_array_equal(loaded.n_labels_, model.n_labels_)
    assert [type(v) for v in loaded.tasks_.tolist()] == [type(v) for v in model.tasks_.tolist()]
    assert loaded.tasks_.tolist() == model.tasks_.tolist()
    assert loaded.tasks_.dtype == model.tasks_.dtype
    same_relation(loaded.relation_, model.relation_)
    old, new = model.get_params(deep=False), loaded.get_params(deep=False)
    assert old.keys() == new.keys()
    for name, value in old.items():
        if isinstance(value, Relation):
            same_relation(value, new[name])
        else:
            assert value == new[name]
            assert type(value) is type(new[name])


@pytest.mark.parametrize(
    "relation", RELATIONS, ids=lambda r: "+".join(type(p).__name__ for p in parts(r)) if r else "-"
)
def test_load_gives_back_what_was_saved(relation: Relation | None, tmp_path: Path) -> None:
    X, y, tasks = rows(["a", "b", "c", "d"])
    # A prior weighs the tasks by their noise.
    weighting = "sample" if isinstance(relation, HierarchicalPrior) else "task"
    model = MultiTaskRegressor(relation, weighting=weighting, tol=1e-5).fit(X, y, tasks)
    model.save(tmp_path / "model")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.json", "model.npz"]
    loaded = MultiTaskRegressor.load(tmp_path / "model")
    check_same(model, loaded, X, tasks)
    if model.path_ is not None:
        assert loaded.path_.names == model.path_.names
        np.testing.assert_array_equal(loaded.path_.errors, model.path_.errors)
    # What was loaded can be fitted and saved again, to the same bytes.
    check_same(model, loaded.fit(X, y, tasks), X, tasks)
    loaded.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "model.json").read_bytes()
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "model.npz").read_bytes()


@pytest.mark.parametrize("kind", LABELS)
def test_labels_keep_their_types(kind: str, tmp_path: Path) -> None:
    X, y, tasks = rows(LABELS[kind])
    for model in (MultiTaskRegressor(), PooledRegressor(0.1, intercept="free")):
        model.fit(X, y, tasks).save(tmp_path / kind)
        check_same(model, type(model).load(tmp_path / kind), X, tasks)
        with pytest.raises(InputError, match="unknown task 'nobody'"):
            type(model).load(tmp_path / kind).predict(X[:1], ["nobody"])


def test_columns_one_task_and_names_are_saved(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    X, y, tasks = rows(["a", "b"])
    frame = pandas.DataFrame(X, columns=["x", "y", "ÿ"])
    columns = pandas.DataFrame({"left": y, 7: -y})
    for data in ((frame, columns), (frame, y), (X, np.column_stack([y, -y]))):
        model = MultiTaskRegressor(Ridge(0.1)).fit(*data)
        model.save(tmp_path / "m")
        loaded = MultiTaskRegressor.load(tmp_path / "m")
        check_same(model, loaded, data[0], None)
        assert list(getattr(loaded, "feature_names_in_", [])) == list(getattr(model, "feature_names_in_", []))
    grouped = frame.assign(group=tasks)
    model = MultiTaskRegressor(task_column="group").fit(grouped, y)
    model.save(tmp_path / "m.npz")
    assert (MultiTaskRegressor.load(tmp_path / "m.npz").predict(grouped) == model.predict(grouped)).all()


def test_copies_of_every_kind_predict_the_same(tmp_path: Path) -> None:
    X, y, tasks = rows(["a", "b", "c", "d"])
    for relation in RELATIONS:
        model = MultiTaskRegressor(relation, warm_start=True).fit(X, y, tasks)
        joblib.dump(model, tmp_path / "model.joblib")
        for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model), joblib.load(tmp_path / "model.joblib")):
            check_same(model, other, X, tasks)
            check_same(model, other.fit(X, y, tasks), X, tasks) if relation is None else other.fit(X, y, tasks)


def saved(folder: Path) -> tuple[Path, Path]:
    X, y, tasks = rows(["a", "b"])
    MultiTaskRegressor().fit(X, y, tasks).save(folder / "m")
    return folder / "m.json", folder / "m.npz"


def test_an_unfitted_model_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(NotFittedError):
        MultiTaskRegressor().save(tmp_path / "m")
    assert not list(tmp_path.iterdir())


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"m\.json is not there; a saved model is m\.json and m\.npz together"):
        MultiTaskRegressor.load(tmp_path / "m")
    saved(tmp_path)[1].unlink()
    with pytest.raises(InputError, match=r"m\.npz is not there"):
        MultiTaskRegressor.load(tmp_path / "m")


def test_another_version_or_another_class_is_refused(tmp_path: Path) -> None:
    json_file, _ = saved(tmp_path)
    with pytest.raises(InputError, match=r"holds a MultiTaskRegressor; load it with MultiTaskRegressor\.load"):
        PooledRegressor.load(tmp_path / "m")
    body = json.loads(json_file.read_text())
    json_file.write_text(json.dumps({**body, "version": 99}))
    with pytest.raises(
        InputError, match="has version 99, this relatask reads versions 1 and 2; load it with the relatask"
    ):
        MultiTaskRegressor.load(tmp_path / "m")
    json_file.write_text('{"a": 1}')
    with pytest.raises(InputError, match="is not a saved linear model"):
        MultiTaskRegressor.load(tmp_path / "m")


@pytest.mark.parametrize("layout", ["groups", "columns", "many features", "sparse"])
@pytest.mark.parametrize("relation", [Pairwise(0.1), HierarchicalPrior("isotropic"), TraceNorm(0.3)])
def test_a_loaded_model_goes_on_bit_for_bit(relation: Relation, layout: str, tmp_path: Path) -> None:
    if isinstance(relation, HierarchicalPrior) and layout not in ("groups", "columns"):
        pytest.skip("a prior's mean needs more rows than columns")
    X, y, tasks = rows(["a", "b", "c"], 60)
    named: Any = tasks
    if layout == "columns":
        y, named = np.column_stack([y, -y, np.where(X[:, 0] > 1, np.nan, y)]), None
    elif layout != "groups":
        X = np.random.default_rng(1).normal(size=(60, 150)) * (np.arange(150) % 60 >= np.arange(60)[:, None] // 2)
        X = sparse.csr_array(X) if layout == "sparse" else X
    model = MultiTaskRegressor(relation, warm_start=True, track_rows=True, tol=1e-3)

    def some(part: slice) -> tuple[Any, ...]:
        return X[part], y[part], None if named is None else named[part]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RelataskWarning)
        model.fit(*some(slice(0, 40)))
        model.partial_fit(*some(slice(40, 50)))
        model.save(tmp_path / "m")
        loaded = MultiTaskRegressor.load(tmp_path / "m")
        assert repr(loaded.drift_) == repr(model.drift_)
        for one in (model, loaded):
            one.partial_fit(*some(slice(50, 60))).forget(*some(slice(0, 5)))
    for name in ("coef_", "intercept_", "n_labels_", "scale_"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(model, name))
    assert (loaded.objective_, loaded.n_iter_) == (model.objective_, model.n_iter_)
    np.testing.assert_array_equal(loaded._seen.marks, model._seen.marks)
    with pytest.raises(InputError, match="never added"):
        loaded.forget(*some(slice(0, 5)))


def test_chosen_strengths_and_their_errors_are_saved(tmp_path: Path) -> None:
    X, y, tasks = rows(["a", "b", "c"], 60)
    model = MultiTaskRegressorCV(Pairwise("auto")).fit(X[:40], y[:40], tasks[:40])
    model.save(tmp_path / "m")
    loaded = MultiTaskRegressorCV.load(tmp_path / "m")
    np.testing.assert_array_equal(loaded.cv_errors_, model.cv_errors_)
    assert loaded.left_out_ == model.left_out_
    for one in (model, loaded):
        one.partial_fit(X[40:], y[40:], tasks[40:])
        assert one.strengths_ == model.strengths_
    np.testing.assert_array_equal(loaded.coef_, model.coef_)
    whole = MultiTaskRegressor(Pairwise(model.strengths_["strength"])).fit(X, y, tasks)
    np.testing.assert_allclose(model.coef_, whole.coef_, rtol=1e-9)


def test_files_of_two_saves_do_not_mix(tmp_path: Path) -> None:
    saved(tmp_path)
    X, y, tasks = rows(["a", "b"])
    MultiTaskRegressor().fit(X, 2 * y, tasks).save(tmp_path / "other")
    (tmp_path / "other.npz").replace(tmp_path / "m.npz")
    with pytest.raises(InputError, match="of another save"):
        MultiTaskRegressor.load(tmp_path / "m")


def test_a_save_that_fails_leaves_the_last_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    json_file, npz_file = saved(tmp_path)
    before = json_file.read_bytes(), npz_file.read_bytes()
    X, y, _ = rows(["a", "b"])

    class Own:
        def __hash__(self) -> int:
            return 1

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Own)

        def __lt__(self, other: object) -> bool:
            return False

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RelataskWarning)
        model = MultiTaskRegressor().fit(X, y, [Own()] * len(y))
    with pytest.raises(InputError, match="is a Own and cannot be saved"):
        model.save(tmp_path / "m")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        MultiTaskRegressor().fit(X, 3 * y).save(tmp_path / "m")
    assert (json_file.read_bytes(), npz_file.read_bytes()) == before
    assert len(list(tmp_path.iterdir())) == 2


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    X, y, _ = rows(["a"])
    with pytest.raises(OSError, match="no-such-folder"):
        MultiTaskRegressor(Sum((Ridge(1.0),))).fit(X, y).save(tmp_path / "no-such-folder" / "m")


@pytest.mark.parametrize("step", [0, 1, 2, 3])
def test_a_save_that_stops_anywhere_leaves_a_model(step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = case("groups", 3, t=3, d=2, n=8)
    old = MultiTaskRegressor(Ridge(1.0)).fit(**data.arguments)
    new = MultiTaskRegressor(Ridge(2.0)).fit(**data.arguments)
    old.save(tmp_path / "model")
    left = [step]
    move = Path.replace

    def stopping(self: Path, target: Path) -> Path:
        if not left[0]:
            raise OSError("the machine stops here")
        left[0] -= 1
        return move(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", stopping)
        if step < 3:
            with pytest.raises(OSError, match="stops here"):
                new.save(tmp_path / "model")
        else:
            new.save(tmp_path / "model")
    expected = old if step < 2 else new
    assert (MultiTaskRegressor.load(tmp_path / "model").coef_ == expected.coef_).all()
    new.save(tmp_path / "model")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.json", "model.npz"]
    assert (MultiTaskRegressor.load(tmp_path / "model").coef_ == new.coef_).all()


@pytest.mark.parametrize("loss", ["huber", "poisson"])
@pytest.mark.parametrize("relation", [Pairwise(0.1), TraceNorm(0.1)])
def test_where_a_loss_ended_is_saved(relation: Relation, loss: str, tmp_path: Path) -> None:
    X, y, tasks = rows(["a", "b"])
    y = np.round(np.exp(y / 4))
    model = MultiTaskRegressor(relation, loss=loss, warm_start=True).fit(X, y, tasks)
    model.save(tmp_path / "model")
    loaded = MultiTaskRegressor.load(tmp_path / "model").fit(X, y, tasks)
    cold = model.n_iter_
    model.fit(X, y, tasks)
    assert loaded.n_iter_ == model.n_iter_ < cold
    np.testing.assert_array_equal(loaded.coef_, model.coef_)
