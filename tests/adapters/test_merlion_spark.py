"""VETime inside Merlion's Spark UDF: on a real local Spark where there is one; the UDF alone everywhere."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from unittest.mock import MagicMock

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("merlion")

from merlion.utils import TimeSeries

from vetime_plugins.adapters.merlion import VETimeDetector, VETimeDetectorConfig

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning",
    "ignore::FutureWarning",
    "ignore::ResourceWarning",  # Spark leaves sockets to the garbage collector
    "ignore::pytest.PytestUnraisableExceptionWarning",
)

NAME = "vetime_plugins.adapters.merlion:VETimeDetector"
SPLIT = "2024-01-04"
MODELS = {
    "by name": {"name": NAME, "threshold": "std"},
    "instance": VETimeDetector(VETimeDetectorConfig(threshold="std")),
}


def frame() -> pd.DataFrame:
    """Two hourly series of two variables, each with one spike in the test part."""
    t = np.arange(120)
    parts = []
    for offset, store in enumerate(("a", "b")):
        values = np.sin(2 * np.pi * (t + offset) / 24)
        values[100 + offset] += 5
        time = pd.date_range("2024-01-01", periods=len(t), freq="h")
        parts.append(pd.DataFrame({"store": store, "time": time, "sales": values, "visits": np.cos(values)}))
    return pd.concat(parts, ignore_index=True)


def expected(store: str) -> pd.DataFrame:
    data = frame().query("store == @store").drop(columns="store").set_index("time")
    model = VETimeDetector(VETimeDetectorConfig(threshold="std"))
    trained = model.train(TimeSeries.from_pd(data[data.index < SPLIT]))
    labelled = model.get_anomaly_label(TimeSeries.from_pd(data[SPLIT:]))
    return pd.concat([model.post_rule(trained).to_pd(), labelled.to_pd()])


@pytest.fixture
def anomaly(monkeypatch):
    """Merlion's UDF; its module wants pyspark for another function, so that a stand-in will do."""
    if importlib.util.find_spec("pyspark") is None:
        for name in ("pyspark", "pyspark.sql", "pyspark.sql.functions", "pyspark.sql.types"):
            monkeypatch.setitem(sys.modules, name, MagicMock())
        for name in ("merlion.spark.dataset", "merlion.spark.pandas_udf"):  # not to outlive the stand-in
            monkeypatch.setitem(sys.modules, name, None)
            del sys.modules[name]
    return importlib.import_module("merlion.spark.pandas_udf").anomaly


@pytest.mark.parametrize("model", MODELS.values(), ids=list(MODELS))
def test_udf_on_one_series(anomaly, model):
    data = frame().query("store == 'b'")
    out = anomaly(
        data.sample(frac=1, random_state=0),
        index_cols=["store"],
        time_col="time",
        train_test_split=SPLIT,
        model=model,
        predict_on_train=True,
    )
    assert list(out.columns) == ["store", "time", "anom_score"]
    assert set(out["store"]) == {"b"}
    assert out["time"].tolist() == data["time"].tolist()
    np.testing.assert_allclose(out["anom_score"], expected("b")["anom_score"], atol=1e-9)
    assert out["anom_score"][out["time"] >= SPLIT].ne(0).any()


@pytest.fixture(scope="module")
def spark():
    pytest.importorskip("pyspark")
    pytest.importorskip("pyarrow", exc_type=ImportError)  # a pyarrow for numpy 2 does not import on numpy 1
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java")
    from pyspark.sql import SparkSession

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        builder = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
        session = builder.config("spark.sql.session.timeZone", "UTC").getOrCreate()
        session.sparkContext.setLogLevel("ERROR")
        yield session
        session.stop()


@pytest.mark.parametrize("model", MODELS.values(), ids=list(MODELS))
def test_udf_on_spark(spark, model):
    from merlion.spark.pandas_udf import anomaly

    def run(part: pd.DataFrame) -> pd.DataFrame:
        return anomaly(part, ["store"], "time", SPLIT, model, predict_on_train=True)

    schema = "store string, time timestamp, anom_score double"
    out = spark.createDataFrame(frame()).groupBy("store").applyInPandas(run, schema=schema).toPandas()
    for store in ("a", "b"):
        part = out[out["store"] == store].sort_values("time")
        want = expected(store)
        assert part["time"].tolist() == want.index.tolist()
        np.testing.assert_allclose(part["anom_score"], want["anom_score"], rtol=1e-4)  # other threads there
