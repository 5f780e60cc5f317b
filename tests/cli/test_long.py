"""``vetime score --id``, as a person or a script calls it."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from tests._commands import fails
from tests._tiny import save_tiny_weights
from vetime_plugins.cli import main
from vetime_plugins.long_format import score_long
from vetime_plugins.metrics import evaluate, flag_quality
from vetime_plugins.pipeline import cached_pipeline

ROLES = ("--id", "machine", "--time", "when")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return save_tiny_weights(tmp_path_factory.mktemp("weights"))


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    stamps = [*pd.date_range("2024-03-01", periods=60, freq="h")] * 2
    values = np.sin(np.arange(120) / 4) + 0.1 * rng.normal(size=120)
    values[90] += 5
    given = pd.DataFrame({"machine": ["a"] * 60 + ["b"] * 60, "when": stamps, "load": values})
    return given.sample(frac=1, random_state=0).reset_index(drop=True)


def write(frame, tmp_path, **options):
    path = tmp_path / "fleet.csv"
    frame.to_csv(path, index=False, **options)
    return str(path)


def expected(frame, weights, **options):
    return score_long(frame, id="machine", time="when", pipeline=cached_pipeline(weights), **options)


@pytest.mark.parametrize("date_format", [None, "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M"])
def test_writes_a_score_for_every_row_in_the_order_of_the_file(frame, tmp_path, weights, capsys, date_format):
    path, out = write(frame, tmp_path, date_format=date_format), tmp_path / "out.csv"
    assert main(["score", path, *ROLES, "--weights", weights, "--out", str(out)]) == 0
    written, scored = pd.read_csv(out), expected(frame, weights)
    assert list(written.columns) == ["machine", "when", "score", "is_anomaly"]
    assert written["machine"].tolist() == frame["machine"].tolist()
    assert written["when"].tolist() == pd.read_csv(path)["when"].tolist()
    np.testing.assert_allclose(written["score"], scored["score"], atol=1e-9)
    assert written["is_anomaly"].tolist() == scored["anomaly"].astype(int).tolist()
    report = capsys.readouterr().out
    assert "120 rows of load in 2 series" in report
    assert "60 rows" in report


def test_incidents_of_each_series_are_told_in_text_json_and_csv(frame, tmp_path, weights, capsys):
    path, out = write(frame, tmp_path), tmp_path / "incidents.csv"
    options = ["--weights", weights, "--threshold", "quantile"]
    assert main(["score", path, *ROLES, *options, "--incidents", str(out)]) == 0
    text = capsys.readouterr().out
    assert f"incidents: {out}" in text
    assert main(["score", path, *ROLES, *options, "--json"]) == 0
    series = json.loads(capsys.readouterr().out)["series"]
    table = pd.read_csv(out)
    assert len(table) == sum(len(one["incidents"]) for one in series) > 0
    assert list(table.columns)[:4] == ["machine", "start", "end", "peak"]
    for one in series:
        own = table[table["machine"] == one["id"]]
        assert own["start_time"].tolist() == [incident["start_time"] for incident in one["incidents"]]
        assert own["kind"].tolist() == [incident["kind"] for incident in one["incidents"]]
        first = one["incidents"][0]
        assert f"{first['kind']}  {first['start_time']} .. {first['end_time']}" in text
        assert own["severity"].max() == pytest.approx(one["highest_score"])
    assert main(["score", path, *ROLES, *options, "--incidents", "-"]) == 0
    assert capsys.readouterr().out.startswith("machine,start,end")


def test_json_tells_of_each_series(frame, tmp_path, weights, capsys):
    path = write(frame.assign(truth=0), tmp_path)
    options = ["--labels", "truth", "--weights", weights, "--threshold", "quantile", "--json"]
    assert main(["score", path, *ROLES, *options]) == 0
    result = json.loads(capsys.readouterr().out)
    scored = expected(frame, weights, threshold="quantile")
    np.testing.assert_allclose(result["scores"], scored["score"], atol=1e-9)
    assert [one["id"] for one in result["series"]] == frame["machine"].unique().tolist()
    for one in result["series"]:
        own = scored[scored["machine"] == one["id"]].sort_values("when")
        assert one["rows"] == 60
        assert one["anomalous_rows"] == own["anomaly"].sum()
        assert one["highest_score"] == pytest.approx(own["score"].max())
        for span in one["spans"]:
            assert own["anomaly"].iloc[span["start"] : span["stop"]].all()
            assert span["start_time"] == str(own["when"].iloc[span["start"]])


def test_times_may_be_numbers_or_left_out(frame, tmp_path, weights, capsys):
    hours = (frame["when"] - frame["when"].min()) // pd.Timedelta("1h")
    assert (
        main(["score", write(frame.assign(when=hours), tmp_path), *ROLES, "--weights", weights, "--json"])
        == 0
    )
    by_number = json.loads(capsys.readouterr().out)["scores"]
    np.testing.assert_allclose(by_number, expected(frame, weights)["score"], atol=1e-9)
    ordered = frame.sort_values("when").drop(columns="when")
    path = write(ordered, tmp_path)
    assert main(["score", path, "--id", "machine", "--weights", weights, "--json"]) == 0
    in_order = json.loads(capsys.readouterr().out)["scores"]
    by_number = pd.Series(by_number)[frame.sort_values("when").index]
    np.testing.assert_allclose(in_order, by_number, atol=1e-6)


class TestLabels:
    """Every series is judged by its own labels, and the mean is over those that have both kinds of them."""

    @pytest.fixture
    def labelled(self, frame):
        """Two series with an anomaly each, at different hours, and one without."""
        quiet = frame[frame["machine"] == "a"].assign(machine="c")
        hours = (frame["when"] - frame["when"].min()) // pd.Timedelta("1h")
        at = frame["machine"].map({"a": 20, "b": 30})
        labels = ((hours >= at) & (hours < at + 3)).astype(int)
        return pd.concat([frame.assign(truth=labels), quiet.assign(truth=0)], ignore_index=True)

    def result(self, labelled, tmp_path, weights, capsys, *options):
        path = write(labelled, tmp_path)
        options = [*ROLES, "--labels", "truth", "--weights", weights, *options]
        assert main(["score", path, *options]) == 0
        return capsys.readouterr().out

    def test_each_series_is_judged_in_the_order_of_its_time(self, labelled, tmp_path, weights, capsys):
        text = self.result(labelled, tmp_path, weights, capsys, "--json", "--threshold", "quantile")
        result = json.loads(text)
        scored = expected(labelled.drop(columns="truth"), weights, threshold="quantile")
        for one in result["series"][:2]:
            rows = (labelled["machine"] == one["id"]).to_numpy()
            order = labelled[rows]["when"].argsort()
            truth, load = (labelled.loc[rows, name].iloc[order].to_numpy() for name in ("truth", "load"))
            scores, flags = (scored.loc[rows, name].iloc[order].to_numpy() for name in ("score", "anomaly"))
            assert one["metrics"] == pytest.approx(dict(evaluate(truth, scores, series=load)), abs=1e-9)
            assert one["metrics_at_threshold"] == pytest.approx(flag_quality(truth, flags), abs=1e-9)
        assert result["series"][0]["metrics"] != result["series"][1]["metrics"]

    def test_the_mean_leaves_out_series_that_cannot_be_judged(self, labelled, tmp_path, weights, capsys):
        result = json.loads(self.result(labelled, tmp_path, weights, capsys, "--json"))
        *judged, quiet = result["series"]
        assert quiet["metrics"] is quiet["metrics_at_threshold"] is None
        assert result["judged_series"] == 2
        for part in ("metrics", "metrics_at_threshold"):
            for name, value in result[part].items():
                assert value == pytest.approx(np.mean([one[part][name] for one in judged])), name

    def test_the_text_says_which_threshold(self, labelled, tmp_path, weights, capsys):
        options = ["--threshold", "quantile"]
        result = json.loads(self.result(labelled, tmp_path, weights, capsys, *options, "--json"))
        text = self.result(labelled, tmp_path, weights, capsys, *options)
        assert "2 of 3 series" in text
        _, best = text.split("at the threshold that is best for each metric")
        best, shown = best.split("at the threshold shown above, of each series by itself:")
        name = "Event-F1"
        assert f"  {name:<22} {result['metrics'][name]:.4f}" in best
        assert f"  {name:<22} {result['metrics_at_threshold'][name]:.4f}" in shown
        for one in result["series"][:2]:
            values = [one["metrics"][metric] for metric in ("VUS-PR", "AUC-PR", "Event-F1")]
            values.append(one["metrics_at_threshold"]["Event-F1"])
            line = [line for line in text.splitlines() if line.split()[:1] == [one["id"]]][-1]
            assert line.split()[1:] == [f"{value:.4f}" for value in values]

    def test_labels_of_one_kind_have_no_metrics(self, labelled, tmp_path, weights, capsys):
        text = self.result(labelled.assign(truth=0), tmp_path, weights, capsys)
        assert "no metric is defined" in text


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda f: f, ("--id", "device"), "no column 'device'; --id names the column"),
        (lambda f: f, (*ROLES, "--column", "machine"), "'machine' is given twice"),
        (lambda f: f, (*ROLES, "--reference", "x.csv"), "--reference is for one series"),
        (lambda f: f, (*ROLES, "--plot", "x.png"), "--plot is for one series"),
        (lambda f: f.assign(machine=f["machine"].where(f.index != 4)), ROLES, "without, the first is row 5"),
        (lambda f: f.assign(when="noon"), ROLES, "need to be numbers or dates like 2024-03-01 09:30"),
        (lambda f: f.assign(when="2024-03-01"), ROLES, "have the same machine and when"),
        (lambda f: f.assign(city="Ulm"), ROLES, "column 'city' is not numeric"),
        (lambda f: f.drop(columns="when"), ("--id", "machine", "--time", "when"), "no column 'when'"),
    ],
)
def test_bad_input_is_one_line(frame, tmp_path, capsys, change, options, message):
    assert message in fails(capsys, "score", write(change(frame), tmp_path), *options)
