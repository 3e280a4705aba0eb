"""Fitting on a real cluster of processes: the same coefficients, workers killed, workers gone, schedulers gone."""

import os
import signal
import threading
import time
import warnings

import numpy as np
import pandas as pd
import pytest
from tests.streamed import rows, same

from relatask.linear import MultiTaskClassifier, MultiTaskRegressor, MultiTaskRegressorCV
from relatask.linear.streaming import LostWorkersError, fit_dask
from relatask.notices import InputError
from relatask.relations import Pairwise

distributed = pytest.importorskip("distributed", reason="needs Dask: pip install relatask[dask]")

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def client():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        settings = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0", "silence_logs": 50}
        with distributed.LocalCluster(processes=True, **settings) as cluster, distributed.Client(cluster) as client:
            yield client


X, Y, CODES = rows(800, 4, 12)
PARTS = [(X[a : a + 100], Y[a : a + 100], CODES[a : a + 100]) for a in range(0, 800, 100)]


def whole(**settings):
    return MultiTaskRegressor(Pairwise(0.05), **settings).fit(X, Y, CODES)


def test_partitions_give_the_fit_on_all_rows(client):
    same(fit_dask(MultiTaskRegressor(Pairwise(0.05)), PARTS, client=client), whole())
    by_function = [lambda part=part: part for part in PARTS]
    same(fit_dask(MultiTaskRegressor(Pairwise(0.05)), by_function, client=client.scheduler.address), whole())


def test_a_dask_frame_by_column_names(client):
    dd = pytest.importorskip("dask.dataframe")
    frame = pd.DataFrame(X, columns=list("abcd")).assign(score=Y, school=CODES, weight=1.0)
    parts = dd.from_pandas(frame, npartitions=5)
    model = MultiTaskRegressor(Pairwise(0.05))
    same(fit_dask(model, parts, y="score", tasks="school", sample_weight="weight", client=client), whole())
    assert model.feature_names_in_.tolist() == list("abcd")
    with pytest.raises(InputError, match="y='points' is not among the columns"):
        fit_dask(model, parts, y="points", client=client)


def test_what_cannot_be_given(client):
    bag, array = pytest.importorskip("dask.bag"), pytest.importorskip("dask.array")
    for given in (bag.from_sequence(PARTS), array.from_array(X)):
        with pytest.raises(InputError, match="whose columns have no names; give a dask DataFrame, or an iterable"):
            fit_dask(MultiTaskRegressor(), given, client=client)
    with pytest.raises(InputError, match="client=5 is not usable"):
        fit_dask(MultiTaskRegressor(), PARTS, client=5)
    for model in (MultiTaskClassifier(), MultiTaskRegressorCV()):
        with pytest.raises(InputError, match="is not usable; expected MultiTaskRegressor or PooledRegressor"):
            fit_dask(model, PARTS, client=client)


def test_partitions_without_labels_count_nothing(client):
    nothing = (X[:9], np.full(9, np.nan), CODES[:9])
    same(fit_dask(MultiTaskRegressor(Pairwise(0.05)), [nothing, *PARTS, nothing], client=client), whole())
    with pytest.raises(InputError, match="hold no rows with labels"):
        fit_dask(MultiTaskRegressor(), [(X[:9], np.full((9, 2), np.nan))], client=client)


def test_a_strength_is_chosen(client):
    model = fit_dask(MultiTaskRegressor(Pairwise("auto")), PARTS, client=client)
    same(model, MultiTaskRegressor(Pairwise(model.strengths_["strength"])).fit(X, Y, CODES))
    assert model.path_.best not in (0, len(model.path_.errors) - 1)
    assert np.isfinite(model.path_.errors).all()


def test_a_worker_killed_in_mid_run_costs_nothing_but_time(client, tmp_path):
    # Each partition leaves a note when it begins, and another when it ends; a worker is killed between the two.
    def noted(number):
        (tmp_path / f"{number}-{os.getpid()}-{time.monotonic_ns()}.begun").touch()
        time.sleep(0.4)
        (tmp_path / f"{number}-{os.getpid()}-{time.monotonic_ns()}.ended").touch()
        return PARTS[number]

    killed = []

    def kill():
        while len(list(tmp_path.glob("*.ended"))) < 2:
            time.sleep(0.02)
        pid = client.run(os.getpid)
        killed.append(next(iter(pid.values())))
        os.kill(killed[0], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    parts = [lambda number=number: noted(number) for number in range(8)]
    model = fit_dask(MultiTaskRegressor(Pairwise(0.05)), parts, client=client)
    killer.join()
    assert killed
    begun = [path.name.split("-")[0] for path in tmp_path.glob("*.begun")]
    assert len(begun) > len(set(begun)) == 8  # what the dead worker held was summed up again
    same(model, whole())


def test_what_a_worker_says_of_a_bad_partition(client):
    model = whole()
    before = dict(vars(model))
    bad = (np.full((3, 4), np.nan), np.zeros(3), np.zeros(3))
    with pytest.raises(InputError, match=r"partition 1: .*NaN"):
        fit_dask(model, [PARTS[0], bad], client=client)
    with pytest.raises(InputError, match="partitions disagree: n features 4 in some partitions and 2"):
        fit_dask(model, [PARTS[0], (X[:5, :2], Y[:5], CODES[:5])], client=client)
    with pytest.raises(InputError, match="partition 0 is a int"):
        fit_dask(model, [3], client=client)
    with pytest.raises(InputError, match="no partitions"):
        fit_dask(model, [], client=client)
    with pytest.raises(InputError, match="hold no rows"):
        fit_dask(model, [(X[:0], Y[:0], CODES[:0])], client=client)
    with pytest.raises(InputError, match="loss='huber' has no sums"):
        fit_dask(MultiTaskRegressor(loss="huber"), PARTS, client=client)
    assert all(vars(model)[name] is value for name, value in before.items())


def test_a_partition_that_kills_every_worker_is_told(client):
    def deadly():
        os.kill(os.getpid(), signal.SIGKILL)

    with distributed.Client(client.scheduler.address, set_as_default=False) as own:
        own.run_on_scheduler(lambda dask_scheduler: setattr(dask_scheduler, "allowed_failures", 1))
        with pytest.raises(LostWorkersError, match="workers died one after another"):
            fit_dask(MultiTaskRegressor(), [PARTS[0], deadly], client=own)


def test_no_scheduler_at_the_address():
    with pytest.raises(LostWorkersError, match="no scheduler answers at 'tcp:"):
        fit_dask(MultiTaskRegressor(), PARTS, client="tcp://127.0.0.1:1", patience=1.0)


def test_workers_lost_for_ever_end_in_an_error():
    settings = {"processes": True, "dashboard_address": ":0", "silence_logs": 50}
    with (
        distributed.LocalCluster(n_workers=0, **settings) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
        pytest.raises(LostWorkersError, match="for 2 seconds there was no worker; 0 of 8 partitions"),
    ):
        fit_dask(MultiTaskRegressor(), PARTS, client=client, patience=2.0)


def test_a_scheduler_that_goes_away_ends_in_an_error():
    settings = {"processes": False, "dashboard_address": ":0", "silence_logs": 50, "n_workers": 1}
    cluster = distributed.LocalCluster(**settings)
    client = distributed.Client(cluster.scheduler_address, set_as_default=False)
    closer = threading.Timer(1.0, cluster.close)
    closer.start()
    parts = [lambda part=part: time.sleep(0.5) or part for part in PARTS * 4]
    try:
        with pytest.raises(LostWorkersError, match=r"scheduler|no worker"):
            fit_dask(MultiTaskRegressor(), parts, client=client, patience=3.0)
    finally:
        closer.join()
        client.close(timeout=1)
