"""Long tables: each series is scored by itself, each row keeps its place."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest

from tests._tiny import save_tiny_weights
from vetime_plugins.errors import InputError, InputWarning
from vetime_plugins.incidents import find_incidents
from vetime_plugins.long_format import group_rows, incidents_long, score_long
from vetime_plugins.pipeline import VETimePipeline
from vetime_plugins.thresholds import find_threshold

LENGTHS = {"pump": 60, "fan": 40, "belt": 90}


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    return VETimePipeline.from_pretrained(save_tiny_weights(tmp_path_factory.mktemp("weights")), device="cpu")


def long_frame(*, shuffled: bool = True, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    parts = [
        pd.DataFrame(
            {
                "machine": name,
                "when": pd.date_range("2024-03-01", periods=n, freq="h"),
                "load": np.sin(np.arange(n) / 4) + 0.1 * rng.normal(size=n),
                "heat": rng.normal(size=n),
            }
        )
        for name, n in LENGTHS.items()
    ]
    frame = pd.concat(parts)
    frame.index = rng.permutation(len(frame)) + 1000
    return frame.sample(frac=1, random_state=seed) if shuffled else frame


@pytest.fixture(scope="module")
def expected(pipeline):
    """Scores of each series alone, in time order."""
    ordered = long_frame(shuffled=False)
    return {
        name: pipeline.score(ordered.loc[ordered["machine"] == name, ["load", "heat"]]) for name in LENGTHS
    }


def by_series(scored: pd.DataFrame) -> dict[str, np.ndarray]:
    return {
        str(name): part.sort_values("when")["score"].to_numpy() for name, part in scored.groupby("machine")
    }


def score(frame, pipeline, **options):
    return score_long(frame, **{"id": "machine", "time": "when", "pipeline": pipeline, **options})


def test_each_series_gets_the_scores_it_gets_alone(pipeline, expected):
    frame = long_frame()
    before = frame.copy()
    scored = score(frame, pipeline, threshold="quantile", contamination=0.05)
    pd.testing.assert_frame_equal(frame, before)
    pd.testing.assert_frame_equal(scored[before.columns], before)
    assert list(scored.columns[-2:]) == ["score", "anomaly"]
    assert scored.dtypes[["score", "anomaly"]].tolist() == [np.float64, bool]
    for name, scores in by_series(scored).items():
        np.testing.assert_allclose(scores, expected[name], atol=1e-6)
        own = scored[scored["machine"] == name]
        assert (own["anomaly"] == (own["score"] > find_threshold(scores, contamination=0.05))).all()


def test_polars(pipeline):
    frame = long_frame()
    scored = score(pl.from_pandas(frame), pipeline)
    assert scored.schema["score"] == pl.Float64
    assert scored.schema["anomaly"] == pl.Boolean
    assert scored["machine"].to_list() == frame["machine"].tolist()
    np.testing.assert_array_equal(scored["score"].to_numpy(), score(frame, pipeline)["score"].to_numpy())


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f.astype({"machine": "category"}),
        lambda f: f.astype({"machine": "string"}),
        lambda f: f.assign(machine=f["machine"].map({"pump": 7, "fan": 5, "belt": -1})),
        lambda f: f.assign(machine=f["machine"].map({"pump": ("a", 1), "fan": ("a", 2), "belt": ("b", 1)})),
        lambda f: f.assign(when=f["when"].dt.tz_localize("Europe/Berlin")),
        lambda f: f.assign(when=f["when"].dt.to_period("h")),
        lambda f: f.assign(when=(f["when"] - f["when"].min()) / pd.Timedelta("1h")),
        lambda f: f.assign(when=(f["when"] - f["when"].min())),
        lambda f: f.assign(when=f["when"].astype("int64")).astype({"when": "Int64"}),
        lambda f: f.astype({"load": "Float64", "heat": "float64"}),
        lambda f: f.set_index(["machine", "when"]),
        lambda f: f.set_index("when"),
    ],
    ids=[
        *("category", "string", "numbers", "tuples", "time zone", "period", "hours", "durations"),
        *("nullable time", "nullable values", "both in the index", "time in the index"),
    ],
)
def test_columns_of_many_types(pipeline, change):
    frame = long_frame()
    given = change(frame)
    scored = score(given, pipeline)
    pd.testing.assert_frame_equal(scored[given.columns], given)
    np.testing.assert_array_equal(scored["score"].to_numpy(), score(frame, pipeline)["score"].to_numpy())


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f.with_columns(pl.col("machine").cast(pl.Categorical)),
        lambda f: f.with_columns(pl.col("when").dt.replace_time_zone("UTC")),
        lambda f: f.with_columns(pl.col("when").dt.epoch("s")),
        lambda f: f.with_columns(pl.col("when") - pl.col("when").min()),
    ],
    ids=["categories", "time zone", "epoch", "durations"],
)
def test_columns_of_many_types_in_polars(pipeline, change):
    frame = pl.from_pandas(long_frame())
    scored = score(change(frame), pipeline)
    np.testing.assert_array_equal(scored["score"], score(frame, pipeline)["score"])


def test_values_choose_the_variables(pipeline):
    frame = long_frame().assign(city="Ulm", label=1)
    scored = score(frame, pipeline, values="load")
    alone = score(frame[["machine", "when", "load"]], pipeline)
    np.testing.assert_array_equal(scored["score"], alone["score"])
    assert "city" in scored
    both = score(frame, pipeline, values=["load", "heat"])
    assert not np.array_equal(both["score"], alone["score"])


def test_without_times_rows_are_in_order(pipeline, expected):
    frame = long_frame(shuffled=False).drop(columns="when")
    scored = score_long(frame, id="machine", time=None, pipeline=pipeline)
    np.testing.assert_allclose(scored.loc[scored["machine"] == "fan", "score"], expected["fan"], atol=1e-6)


def test_gaps_are_bridged_and_a_silent_variable_is_constant(pipeline):
    frame = long_frame(shuffled=False)
    frame.iloc[5:9, 2] = np.nan
    frame.loc[frame["machine"] == "fan", "heat"] = np.nan
    frame.loc[frame["machine"] == "belt", ["load", "heat"]] = np.nan
    scored = score(frame, pipeline)
    assert np.isfinite(scored["score"]).all()
    assert (scored.loc[scored["machine"] == "belt", "score"] == 0).all()
    fan = frame.loc[frame["machine"] == "fan", "load"].to_numpy()
    silent = pipeline.score(np.column_stack([fan, 0 * fan]))
    np.testing.assert_allclose(scored.loc[scored["machine"] == "fan", "score"], silent, atol=1e-6)


def test_one_series(pipeline, expected):
    frame = long_frame()
    scored = score(frame[frame["machine"] == "fan"], pipeline).sort_values("when")
    np.testing.assert_allclose(scored["score"], expected["fan"], atol=1e-6)


def test_thousands_of_series(pipeline):
    n_series, n = 2000, 16
    values = np.random.default_rng(0).normal(size=n_series * n)
    frame = pd.DataFrame(
        {"id": np.tile(np.arange(n_series), n), "t": np.repeat(np.arange(n), n_series), "x": values}
    )
    seen = []
    scored = score_long(
        frame, id="id", time="t", pipeline=pipeline, progress=lambda done, total: seen.append((done, total))
    )
    assert seen[-1] == (n_series * n, n_series * n)
    alone = pipeline.score(frame.loc[frame["id"] == 1234, "x"])
    np.testing.assert_allclose(scored.loc[scored["id"] == 1234, "score"], alone, atol=1e-6)


def test_doubtful_series_are_named_once(pipeline):
    frame = long_frame()
    frame = frame[(frame["machine"] != "fan") | (frame["when"] < "2024-03-01 09:00")]
    with pytest.warns(InputWarning, match="^series 'fan' has 9 row") as caught:
        score(frame, pipeline)
    assert len(caught) == 1
    assert caught[0].filename == __file__


def test_thresholds_above_every_score_are_told_once(pipeline):
    with pytest.warns(InputWarning, match="'std' threshold is above every score in 3 of 3 series") as caught:
        found = score(long_frame().assign(load=0.0, heat=np.arange(190) % 2), pipeline, threshold="std")
    assert len(caught) == 1
    assert not found["anomaly"].any()


def test_the_automatic_threshold_is_the_default(pipeline):
    scored = score(long_frame(), pipeline)
    for _, own in scored.groupby("machine"):
        scores = own.sort_values("when")["score"].to_numpy()
        assert own["anomaly"].sum() == (scores > find_threshold(scores, "auto")).sum()


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda f: f, {"id": "device"}, "no column 'device'; it has 'machine', 'when', 'load', 'heat'"),
        (lambda f: f, {"time": "date"}, "no column 'date'"),
        (lambda f: f, {"values": ["load", "load"]}, "'load' is named twice"),
        (lambda f: f, {"values": ["when"]}, "'when' is named twice"),
        (lambda f: f, {"values": []}, "values needs at least one column"),
        (lambda f: f, {"values": ["mass"]}, "no column 'mass'"),
        (lambda f: f[["machine", "when"]], {}, "a column besides the id and the time"),
        (lambda f: f[:0], {}, "at least one row"),
        (lambda f: f.assign(score=1.0), {}, "has a column 'score'"),
        (lambda f: f.assign(label=0), {}, "'label' looks like labels.*values="),
        (lambda f: f.assign(city="Ulm"), {}, "column 'city' needs numbers.*values="),
        (
            lambda f: f.assign(when=f["when"].astype(str)),
            {},
            "'when' need to be dates.*to_datetime",
        ),
        (
            lambda f: f.assign(machine=f["machine"].where(np.arange(len(f)) != 3)),
            {},
            "'machine' needs a value in every row, got 1 without, the first in row 3",
        ),
        (lambda f: f.assign(when=f["when"].where(np.arange(len(f)) != 7)), {}, "'when' needs .* in row 7"),
        (
            lambda f: f.assign(load=f["load"].where(np.arange(len(f)) != 4, np.inf)),
            {},
            "in row 4 of column 'load'",
        ),
        (lambda f: f, {"threshold": "most"}, "threshold must be one of"),
        (lambda f: f, {"contamination": 0.9}, "contamination must be in"),
        (lambda f: f.to_numpy(), {}, "needs to be a pandas or polars DataFrame, got ndarray"),
        (lambda f: pl.from_pandas(f).lazy(), {}, "got LazyFrame.*collect"),
    ],
)
def test_what_cannot_be_scored_is_named(pipeline, change, options, message):
    with pytest.raises(InputError, match=message):
        score(change(long_frame()), pipeline, **options)


@pytest.mark.parametrize("convert", [lambda frame: frame, pl.from_pandas], ids=["pandas", "polars"])
def test_rows_of_the_same_time_are_named(pipeline, convert):
    frame = long_frame(shuffled=False)
    frame = pd.concat([frame, frame.iloc[[2, 70]]])
    with pytest.raises(InputError, match=r"rows 2 and 190 \(machine 'pump', when 2024.*rows 70 and 191"):
        score(convert(frame), pipeline)


def test_many_rows_of_the_same_time_are_counted():
    with pytest.raises(InputError, match=r"rows 0 and 1 \(id 'a', time 5\).* and 4 more have the same"):
        group_rows(["a"] * 10, np.full(10, 5))


def test_missing_ids_in_polars_are_refused(pipeline):
    frame = pl.from_pandas(long_frame()).with_columns(
        pl.when(pl.col("heat") > 2).then(None).otherwise(pl.col("machine")).alias("machine")
    )
    with pytest.raises(InputError, match="'machine' needs a value in every row"):
        score(frame, pipeline)


# Incidents


@pytest.fixture(scope="module")
def scored(pipeline):
    """A scored table in which the fan jumps in its heat."""
    frame = long_frame(shuffled=False)
    fan = np.flatnonzero(frame["machine"] == "fan")
    frame.iloc[fan[20:23], 3] += 9
    found = score(frame, pipeline)
    found["score"] = 0.1
    found.iloc[fan[19:24], 4] = [0.5, 0.9, 0.99, 0.9, 0.5]
    found.iloc[7, 4] = 0.8
    return found.sample(frac=1, random_state=1)


def test_incidents_of_every_series(scored):
    found = incidents_long(scored, id="machine", time="when", threshold=0.45)
    assert isinstance(found, pd.DataFrame)
    assert list(found.columns) == [
        *("machine", "start", "end", "peak", "steps", "severity", "kind", "variables")
    ]
    assert found["machine"].tolist() == ["fan", "pump"]
    first = found.iloc[0]
    assert first["peak"] == pd.Timestamp("2024-03-01 21:00")
    assert first["start"] <= first["peak"] <= first["end"]
    assert first["severity"] == 0.99
    assert first["variables"][0] == "heat"
    alone = scored[scored["machine"] == "fan"].sort_values("when").set_index("when")
    (expected,) = find_incidents(alone["score"], alone[["load", "heat"]], threshold=0.45)
    assert (first["start"], first["end"], first["kind"]) == (
        expected.start_time,
        expected.end_time,
        expected.kind,
    )


def test_incidents_in_polars_and_without_times(scored):
    found = incidents_long(pl.from_pandas(scored), id="machine", time="when", values="heat", threshold=0.45)
    assert isinstance(found, pl.DataFrame)
    assert found["machine"].to_list() == ["fan", "pump"]
    assert found.schema["peak"] == pl.Datetime("us")
    ordered = scored.sort_values("when").drop(columns="when")
    assert incidents_long(ordered, id="machine", time=None, threshold=0.45)["peak"].tolist() == [21, 7]


def test_no_incident_is_an_empty_table(scored):
    found = incidents_long(scored, id="machine", time="when", threshold=1.0)
    assert len(found) == 0
    assert "severity" in found
    with pytest.raises(InputError, match="no column 'score'"):
        incidents_long(scored.drop(columns="score"), id="machine", time="when")
