"""Evaluation of a folder: rows, resuming, failures, averages, intervals and the command."""

import json
import math
import re

import numpy as np
import pytest

from vetime_plugins.cli import main
from vetime_plugins.cli.evaluate import load_detector
from vetime_plugins.detectors.baselines import moving_variance
from vetime_plugins.errors import InputError
from vetime_plugins.leaderboard.evaluation import evaluate_folder, paired_bootstrap, summarise
from vetime_plugins.leaderboard.rows import Row, RowFile
from vetime_plugins.metrics import METRIC_NAMES, evaluate, find_buffer


@pytest.fixture
def folder(tmp_path):
    """Two data sets with two and one series, and one series without an anomaly after its train part."""
    rng = np.random.default_rng(0)
    for name, dataset, c, where in [
        ("001_A_id_1_X_tr_100_1st_200", "A", 1, 200),
        ("002_A_id_2_X_tr_50_1st_300", "A", 2, 300),
        ("003_A_id_3_X_tr_100_1st_20", "A", 1, 20),
        ("001_B_id_1_X_tr_100_1st_150", "B", 1, 150),
    ]:
        values = np.sin(np.arange(400)[:, None] / 4) + 0.1 * rng.normal(size=(400, c))
        values[where : where + 12] += 3
        labels = np.zeros((400, 1))
        labels[where : where + 12] = 1
        path = tmp_path / "data" / dataset / f"{name}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        header = ",".join([*map(str, range(c)), "Label"])
        np.savetxt(path, np.hstack((values, labels)), delimiter=",", header=header, comments="")
    return tmp_path / "data"


def row(dataset="A", file="1", value=0.5, detector="d", **more):
    fields = {"n_points": 9, "n_test": 5, "n_variables": 1, "buffer": 3, "seconds": 0.1, **more}
    return Row(detector=detector, dataset=dataset, file=file, metrics={"VUS-PR": value}, **fields)


class TestEvaluateFolder:
    def test_one_row_a_series_measured_on_the_test_part(self, folder):
        seen = []

        def detector(series):
            seen.append(series.shape)
            return moving_variance(series)

        rows = evaluate_folder(folder, detector, name="mv")
        assert seen == [(400,), (400, 2), (400,), (400,)]
        assert [(r.dataset, r.file[:3], r.n_test, r.n_variables) for r in rows] == [
            ("A", "001", 300, 1),
            ("A", "002", 350, 2),
            ("A", "003", 300, 1),
            ("B", "001", 300, 1),
        ]
        table = np.loadtxt(folder / "A" / rows[0].file, delimiter=",", skiprows=1)
        expected = evaluate(table[100:, -1], moving_variance(table[:, 0])[100:], find_buffer(table[:, 0]))
        assert rows[0].metrics == dict(expected)
        assert rows[0].buffer == 25
        assert list(rows[0].metrics) == list(METRIC_NAMES)
        assert rows[0].seconds >= 0

    def test_a_series_without_anomaly_in_its_test_part_is_kept_with_the_reason(self, folder):
        rows = evaluate_folder(folder, moving_variance, name="mv", metrics="VUS-PR")
        assert rows[2].undefined
        assert math.isnan(rows[2].metrics["VUS-PR"])
        assert "nothing to detect" in rows[2].note
        assert summarise(rows).n_undefined == {"A": 1, "B": 0}

    @pytest.mark.parametrize(
        ("scores", "says"),
        [
            (lambda x: 1 / 0, "ZeroDivisionError: division"),
            (lambda x: np.zeros(len(x) - 1), r"must return the shape \(400,\), got \(399,\)"),
            (lambda x: np.full(len(x), np.nan), "finite"),
            (lambda x: None, "shape"),
            (lambda x: ["a"] * len(x), "could not convert"),
        ],
    )
    def test_a_failing_detector_is_counted(self, folder, scores, says):
        def sometimes(series):
            return scores(series) if series.ndim == 1 else moving_variance(series)

        rows = evaluate_folder(folder, sometimes, name="d", metrics="AUC-PR")
        assert [r.status for r in rows] == ["ERROR", "OK", "ERROR", "ERROR"]
        assert re.search(says, rows[0].note)
        summary = summarise(rows)
        assert summary.n_failed == {"A": 2, "B": 1}
        assert summary.datasets["A"]["AUC-PR"] == pytest.approx(rows[1].metrics["AUC-PR"] / 3)
        assert summary.datasets["B"]["AUC-PR"] == 0

    def test_a_detector_of_the_leaderboard_is_told_the_train_length(self, folder):
        class Fitted:
            name, framework, params, sees_train, supports_multivariate = "f", "own", {}, True, True

            def fit_score(self, values, train_length, period=None, seed=0):
                asked.append((len(values), train_length, period))
                return np.zeros(len(values))

        asked = []
        rows = evaluate_folder(folder, Fitted(), name="f", metrics="AUC-ROC")
        assert asked == [(400, 100, 25), (400, 50, 25), (400, 100, 25), (400, 100, 25)]
        assert [r.metrics["AUC-ROC"] for r in rows if not r.undefined] == [0.5] * 3

    def test_the_detector_cannot_change_what_is_measured(self, folder):
        def vandal(series):
            series[:] = 0
            return np.arange(len(series), dtype=float)

        def honest(series):
            return np.arange(len(series), dtype=float)

        spoilt = evaluate_folder(folder, vandal, name="d")
        kept = evaluate_folder(folder, honest, name="d")
        assert [r.buffer for r in spoilt] == [r.buffer for r in kept]

    def test_an_interrupted_run_goes_on_where_it_was(self, folder, tmp_path):
        out, calls = tmp_path / "deep" / "rows.csv", []

        def interrupted(series):
            if len(calls) == 2:
                raise KeyboardInterrupt
            calls.append(1)
            return moving_variance(series)

        with pytest.raises(KeyboardInterrupt):
            evaluate_folder(folder, interrupted, name="mv", out=out)
        assert len(RowFile(out, METRIC_NAMES).read()) == 2
        with out.open("a") as stream:  # a line that was cut off
            stream.write("mv,A,003_A_id_3_X_tr_100_1st")
        progress = []
        rows = evaluate_folder(
            folder,
            lambda series: (calls.append(1), moving_variance(series))[1],
            name="mv",
            out=out,
            progress=lambda *state: progress.append(state[:2]),
        )
        assert len(calls) == 4
        assert progress == [(1, 4), (2, 4), (3, 4), (4, 4)]
        stored = RowFile(out, METRIC_NAMES).read()
        assert [r.key for r in stored] == [r.key for r in rows]
        fresh = evaluate_folder(folder, moving_variance, name="mv")
        for one, other in zip(rows, fresh, strict=True):
            assert one.metrics == pytest.approx(other.metrics, abs=1e-9, nan_ok=True)
            assert one.note == other.note

    def test_failures_are_repeated_and_other_detectors_kept(self, folder, tmp_path):
        out = tmp_path / "rows.csv"
        evaluate_folder(folder, lambda series: None, name="mv", out=out, metrics="AUC-PR")
        evaluate_folder(folder, moving_variance, name="other", out=out, metrics="AUC-PR")
        rows = evaluate_folder(folder, moving_variance, name="mv", out=out, metrics="AUC-PR")
        assert not any(r.failed for r in rows)
        stored = RowFile(out, ["AUC-PR"]).read()
        assert len(stored) == 8
        assert not any(r.failed for r in stored)

    def test_a_file_of_other_columns_is_refused(self, folder, tmp_path):
        out = tmp_path / "rows.csv"
        evaluate_folder(folder, moving_variance, name="mv", out=out, metrics="AUC-PR")
        with pytest.raises(InputError, match="other columns"):
            evaluate_folder(folder, moving_variance, name="mv", out=out)
        text = out.read_text().replace(",400,", ",many,", 1)
        out.write_text(text)
        with pytest.raises(InputError, match="line 2"):
            evaluate_folder(folder, moving_variance, name="mv", out=out, metrics="AUC-PR")


class TestSummarise:
    def test_data_sets_count_alike(self):
        rows = [row("A", str(i), 0.2) for i in range(9)] + [row("B", "x", 0.8)]
        summary = summarise(rows)
        assert summary.datasets == {"A": {"VUS-PR": pytest.approx(0.2)}, "B": {"VUS-PR": 0.8}}
        assert summary.mean["VUS-PR"] == pytest.approx(0.5)

    def test_a_data_set_without_a_defined_value_is_nan_and_left_out_of_the_mean(self):
        summary = summarise([row("A", value=0.4), row("B", value=math.nan, note="no anomaly")])
        assert math.isnan(summary.datasets["B"]["VUS-PR"])
        assert summary.mean["VUS-PR"] == 0.4
        assert "| B | 1 | 0 | - |" in summary.to_markdown()

    def test_the_table_shows_percent_series_and_failures(self):
        lines = (
            summarise([row(file="1", value=0.5), row(file="2", status="ERROR")]).to_markdown().splitlines()
        )
        assert lines[2] == "| A | 2 | 1 | 25.0 |"
        assert lines[3] == "| **mean over data sets** | 2 | 1 | 25.0 |"

    @pytest.mark.parametrize(
        ("rows", "says"),
        [([], "no rows"), ([row(), row()], "twice"), ([row(), row(detector="e")], "one detector")],
    )
    def test_what_is_no_result_of_one_detector_is_refused(self, rows, says):
        with pytest.raises(InputError, match=says):
            summarise(rows)


class TestPairedBootstrap:
    def test_a_constant_advantage_has_no_spread(self):
        rng = np.random.default_rng(0)
        values = rng.random(30) * 0.5
        a = [row("AB"[i % 2], str(i), v + 0.1, "a") for i, v in enumerate(values)]
        b = [row("AB"[i % 2], str(i), v, "b") for i, v in enumerate(values)]
        found = paired_bootstrap(a, list(reversed(b)))
        assert (found.difference, found.low, found.high) == pytest.approx((0.1, 0.1, 0.1))
        assert (found.n_series, found.n_datasets) == (30, 2)
        assert paired_bootstrap(b, a).difference == pytest.approx(-0.1)

    def test_the_interval_is_that_of_the_mean_over_data_sets(self):
        rng = np.random.default_rng(1)
        sizes, differences = {"A": 40, "B": 90}, {}
        a, b = [], []
        for dataset, size in sizes.items():
            differences[dataset] = rng.normal(0.05, 0.2, size)
            a += [row(dataset, str(i), 0.5 + d, "a") for i, d in enumerate(differences[dataset])]
            b += [row(dataset, str(i), 0.5, "b") for i in range(size)]
        found = paired_bootstrap(a, b, n_resamples=20_000)
        means = [d.mean() for d in differences.values()]
        error = math.sqrt(sum(d.var() / d.size for d in differences.values())) / 2
        assert found.difference == pytest.approx(np.mean(means))
        assert found.low == pytest.approx(found.difference - 1.96 * error, abs=0.1 * error)
        assert found.high == pytest.approx(found.difference + 1.96 * error, abs=0.1 * error)
        narrow = paired_bootstrap(a, b, level=0.5)
        assert found.low < narrow.low < narrow.high < found.high

    def test_the_same_seed_gives_the_same_interval(self):
        rng = np.random.default_rng(2)
        a = [row(file=str(i), value=v, detector="a") for i, v in enumerate(rng.random(20))]
        b = [row(file=str(i), value=v, detector="b") for i, v in enumerate(rng.random(20))]
        assert paired_bootstrap(a, b) == paired_bootstrap(a, b)
        assert paired_bootstrap(a, b, seed=1) != paired_bootstrap(a, b)

    def test_failures_count_as_zero_and_undefined_pairs_not_at_all(self):
        a = [row(file="1", value=0.6), row(file="2", status="ERROR"), row(file="3", value=math.nan)]
        b = [row(file=str(i), value=v, detector="b") for i, v in [(1, 0.5), (2, 0.5), (3, math.nan)]]
        found = paired_bootstrap(a, b)
        assert found.difference == pytest.approx((0.1 - 0.5) / 2)
        assert found.n_series == 2

    def test_what_cannot_be_paired_is_refused(self):
        with pytest.raises(InputError, match=r"1 are not, e\.g\. A/2"):
            paired_bootstrap([row(file="1"), row(file="2")], [row(file="1")])
        with pytest.raises(InputError, match="no AUC-PR"):
            paired_bootstrap([row()], [row()], metric="AUC-PR")
        with pytest.raises(InputError, match="undefined on every series"):
            paired_bootstrap([row(value=math.nan)], [row(value=math.nan)])
        with pytest.raises(InputError, match="level"):
            paired_bootstrap([row()], [row()], level=95)


class TestCommand:
    def test_tables_and_comparison(self, folder, tmp_path, capsys):
        out = tmp_path / "rows.csv"
        arguments = ["evaluate", "--data", str(folder), "--out", str(out), "--metric", "VUS-PR"]
        choices = ["--detector", "sub-pca", "--detector", "random", "--against", "random"]
        assert main([*arguments, *choices]) == 0
        printed = capsys.readouterr()
        assert "| data set | series | failed | VUS-PR |" in printed.out
        assert "| B | 1 | 0 |" in printed.out
        assert "1 series without an anomaly" in printed.out
        assert "paired bootstrap over 3 series of 2 data sets" in printed.out
        assert "[4/4] random B/001_B_id_1_X_tr_100_1st_150.csv: VUS-PR 0." in printed.err
        # The comparison finds rows of an earlier run in the file.
        only = ["--detector", "moving-variance", "--against", "sub-pca", "--json", "--quiet"]
        assert main([*arguments, *only]) == 0
        printed = capsys.readouterr()
        result = json.loads(printed.out)["moving-variance"]
        assert result["difference"]["VUS-PR"]["n_series"] == 3
        assert result["n_undefined"] == {"A": 1, "B": 0}
        assert printed.err == ""

    def test_a_detector_of_ones_own(self, folder, tmp_path, capsys, monkeypatch):
        (tmp_path / "own_detector.py").write_text("def score(series):\n    return [0.0] * len(series)\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        arguments = ["evaluate", "--data", str(folder), "--metric", "AUC-ROC", "--quiet", "--json"]
        assert main([*arguments, "--detector", "own_detector:score"]) == 0
        assert json.loads(capsys.readouterr().out)["own_detector:score"]["mean"]["AUC-ROC"] == 0.5

    def test_failures_show_in_the_exit_status(self, folder, tmp_path, capsys, monkeypatch):
        (tmp_path / "broken_detector.py").write_text(
            "def score(series):\n    raise RuntimeError('no luck')\n"
        )
        monkeypatch.syspath_prepend(str(tmp_path))
        arguments = ["evaluate", "--data", str(folder), "--metric", "AUC-PR"]
        assert main([*arguments, "--detector", "broken_detector:score"]) == 3
        printed = capsys.readouterr()
        assert "| **mean over data sets** | 4 | 4 | 0.0 |" in printed.out
        assert "RuntimeError: no luck" in printed.err

    @pytest.mark.parametrize(
        ("more", "says"),
        [
            (["--detector", "magic"], "no detector 'magic'; there are"),
            (["--detector", "no_such_module:score"], "cannot import"),
            (["--detector", "math:magic"], "module math has no magic"),
            (["--detector", "math:pi"], "not a function"),
            (["--detector", ":score"], "cannot import"),
            (["--detector", "random", "--metric", "F2"], "F2"),
            (["--detector", "random", "--dataset", "C"], "no data set C"),
            (["--detector", "random", "--against", "sub-knn"], "no results of 'sub-knn'"),
        ],
    )
    def test_bad_choices_are_one_line(self, folder, capsys, more, says):
        assert main(["evaluate", "--data", str(folder), "--quiet", *more]) == 1
        error = capsys.readouterr().err
        assert says in error
        assert error.count("\n") == 1

    def test_vetime_is_named_after_its_weights_and_readout(self, monkeypatch):
        class Pipeline:
            def score(self, series, readout=None):
                return np.full(len(series), 0.5 if readout == "window" else 0.25)

        monkeypatch.setattr("vetime_plugins.pipeline.cached_pipeline", lambda weights, device: Pipeline())
        name, detector = load_detector("vetime", readout="window")
        assert (name, detector(np.zeros(3)).tolist()) == ("vetime-small-window", [0.5] * 3)
        assert load_detector("vetime", weights="base")[0] == "vetime-base"
