"""The report's arithmetic: what counts as what, and the choice of series."""

import math

import numpy as np
import pytest

from vetime_plugins.errors import InputError
from vetime_plugins.leaderboard.report.analysis import analyse
from vetime_plugins.leaderboard.report.board import SeriesKey, build_board
from vetime_plugins.leaderboard.report.entries import format_p
from vetime_plugins.leaderboard.report.figures import pareto_front
from vetime_plugins.leaderboard.report.series import choose_series
from vetime_plugins.leaderboard.results import Cell
from vetime_plugins.metrics.statistics import average_ranks

NAN = math.nan


def cell(detector, series, value, dataset="A", status="OK", reason=None, **more):
    undefined = {"VUS-PR": reason} if reason else {}
    fields = {"task": "t", "error": None, "fit_seconds": 0.5, "score_seconds": 1.5, **more}
    return Cell(
        detector=detector,
        series=series,
        dataset=dataset,
        status=status,
        metrics={"VUS-PR": value},
        undefined=undefined,
        **fields,
    )


def board_of(values, **options):
    """Lay out a table of one data set: a dict from detector to its values on series 0, 1, ..."""
    cells = [cell(name, str(i), value) for name, row in values.items() for i, value in enumerate(row)]
    return build_board(cells, **options)


class TestBoard:
    def test_detectors_are_ordered_by_the_mean_over_data_sets(self):
        cells = [cell("often", f"a{i}", 0.9) for i in range(9)] + [cell("often", "b", 0.1, "B")]
        cells += [cell("even", f"a{i}", 0.6) for i in range(9)] + [cell("even", "b", 0.6, "B")]
        board = build_board(cells)
        assert board.detectors == ("even", "often")  # 60 against 50, although 60 against 82 by series
        assert board.datasets == ("A", "B")

    def test_equal_detectors_are_ordered_by_name(self):
        assert board_of({"b": [0.5], "a": [0.5]}).detectors == ("a", "b")

    @pytest.mark.parametrize("status", ["ERROR", "TIMEOUT", "OOM"])
    def test_a_failure_counts_as_zero_and_is_counted(self, status):
        board = build_board(
            [
                cell("a", "1", 0.8),
                cell("a", "2", NAN, status=status),
                cell("b", "1", 0.5),
                cell("b", "2", 0.5),
            ]
        )
        assert board.detectors == ("b", "a")
        assert board.summary("a").mean["VUS-PR"] == pytest.approx(0.4)
        assert board.counts("a") == {"OK": 1, "ERROR": 0, "TIMEOUT": 0, "OOM": 0, "NOT RUN": 0, status: 1}
        assert average_ranks(board.defined()).tolist() == [1.5, 1.5]

    def test_undefined_labels_leave_a_series_out_even_where_a_detector_failed(self):
        board = build_board(
            [
                cell("a", "1", 0.8),
                cell("a", "2", NAN, status="ERROR"),
                cell("b", "1", 0.5),
                cell("b", "2", NAN, reason="no anomaly"),
            ]
        )
        assert np.isnan(board.values()[1]).all()
        assert board.summary("a").mean["VUS-PR"] == pytest.approx(0.8)
        assert board.undefined() == {("VUS-PR", "no anomaly"): [SeriesKey("A", "2")]}

    def test_a_failure_that_knows_the_labels_leaves_the_series_undefined(self):
        board = build_board([cell("a", "1", NAN, status="ERROR", reason="no anomaly")])
        assert np.isnan(board.values()).all()

    def test_undefined_for_one_detector_only_counts_as_zero(self):
        board = build_board([cell("a", "1", NAN), cell("b", "1", 0.5)])
        assert dict(zip(board.detectors, board.values()[0], strict=True)) == {"a": 0.0, "b": 0.5}

    def test_everything_failed(self):
        cells = [cell(name, "1", NAN, status="OOM").replace(metrics={}) for name in "ab"]
        board = build_board(cells)
        assert board.metrics == ("VUS-PR",)
        assert board.values().tolist() == [[0.0, 0.0]]
        assert math.isnan(board.seconds("a"))

    def test_series_that_a_detector_was_not_run_on(self):
        cells = [cell("a", "1", 0.8), cell("a", "2", 0.6), cell("b", "1", 0.5)]
        board = build_board(cells)
        assert board.series == (SeriesKey("A", "1"),)
        assert board.left_out == (SeriesKey("A", "2"),)
        assert board.counts("b")["NOT RUN"] == 1
        counted = build_board(cells, missing="zero")
        assert counted.summary("b").mean["VUS-PR"] == pytest.approx(0.25)
        with pytest.raises(InputError, match=r"no series has been run with every detector.*--missing zero"):
            build_board([cell("a", "1", 0.8), cell("b", "2", 0.5)])

    def test_bad_input(self):
        with pytest.raises(InputError, match="no results"):
            build_board([])
        with pytest.raises(InputError, match="two results on A/1"):
            build_board([cell("a", "1", 0.5), cell("a", "1", 0.6, task="other")])
        with pytest.raises(InputError, match="no result holds the metric PATE, only VUS-PR"):
            board_of({"a": [0.5]}, metric="PATE")
        with pytest.raises(InputError, match="missing must be"):
            board_of({"a": [0.5]}, missing="drop")

    def test_a_metric_that_was_not_measured_is_not_zero(self):
        cells = [cell("a", "1", 0.5), cell("b", "1", 0.4)]
        cells[0].metrics["PATE"] = 0.7
        board = build_board(cells)
        assert board.metrics == ("VUS-PR",)
        assert board.unmeasured == ("PATE",)
        assert board.means("PATE") == {"a": pytest.approx(0.7)}
        assert board.means("VUS-PR") == {"a": pytest.approx(0.5), "b": pytest.approx(0.4)}
        assert board.means("AUC-PR") == {}
        with pytest.raises(InputError, match="b on A/1 was measured without PATE; take the metrics again"):
            build_board(cells, metric="PATE")
        failed = cell("b", "1", NAN, status="OOM").replace(metrics={})
        assert build_board([cells[0], failed], metric="PATE").detectors == ("a", "b")

    def test_undefined_is_counted(self):
        cells = [
            cell("a", "1", NAN, reason="no anomaly"),
            cell("a", "2", 0.5),
            cell("a", "3", NAN, status="OOM"),
        ]
        assert build_board(cells).count_undefined("a") == 1

    def test_kinds(self):
        cells = [cell("a", "1", 0.5), cell("a", "2", 0.5, n_variables=3), cell("b", "1", 0.6)]
        boards = build_board(cells).by_kind()
        assert {kind: board.detectors for kind, board in boards.items()} == {
            "univariate": ("b", "a"),
            "multivariate": ("a",),
        }

    def test_seconds_are_of_fit_and_score(self):
        assert build_board([cell("a", "1", 0.5)]).seconds("a") == pytest.approx(2.0)
        assert build_board([cell("a", "1", 0.5, fit_seconds=NAN)]).seconds("a") == pytest.approx(1.5)


class TestAnalysis:
    def test_what_differs_by_rounding_ties(self):
        rng = np.random.default_rng(0)
        values = rng.random(30)
        found = analyse(board_of({"a": values, "b": values + 1e-12, "c": values / 2}))
        assert found.comparison.ranks.tolist() == [1.5, 1.5, 3.0]
        assert found.wins.ties[0, 1] == 30
        assert found.comparison.p_values[0, 1] == 1.0
        assert found.differences["b"].low == found.differences["b"].high == 0.0

    def test_p_values_are_never_shown_as_zero(self):
        assert [format_p(p) for p in (0.0, 0.00005, 0.04, 1.0)] == ["< 0.0001", "< 0.0001", "= 0.04", "= 1"]

    def test_an_interval_needs_a_data_set_of_two_series(self):
        cells = [cell(name, dataset, v, dataset) for dataset in "AB" for name, v in (("a", 0.5), ("b", 0.3))]
        assert not analyse(build_board(cells)).differences["b"].has_interval
        assert analyse(board_of({"a": [0.5, 0.4], "b": [0.2, 0.3]})).differences["b"].has_interval

    def test_differences_are_from_the_best_or_a_named_detector(self):
        board = board_of({"a": [0.9, 0.8, 0.7], "b": [0.5, 0.5, 0.4]})
        best = analyse(board)
        assert best.reference == "a"
        assert best.differences["b"].difference == pytest.approx(-1 / 3)
        assert best.differences["b"].high < 0
        assert set(analyse(board, "b").differences) == {"a"}
        with pytest.raises(InputError, match="no results of 'c'; there are a, b"):
            analyse(board, "c")

    def test_nothing_defined(self):
        cells = [cell(name, "1", NAN, reason="no anomaly") for name in "ab"]
        found = analyse(build_board(cells))
        assert found.differences == {"b": None}
        assert found.comparison.n_series == 0


def test_pareto_front():
    seconds, accuracy = np.array([1.0, 2.0, 3.0, 1.0, 3.0]), np.array([0.5, 0.7, 0.6, 0.4, 0.7])
    assert pareto_front(seconds, accuracy).tolist() == [True, True, False, False, False]


class TestChooseSeries:
    def test_hardest_easiest_and_the_best_detectors_gains_and_losses(self):
        board = board_of({"a": [0.9, 0.1, 0.95, 0.2, 0.5], "b": [0.85, 0.1, 0.3, 0.6, 0.5]})
        chosen = {choice.key.name: choice.why for choice in choose_series(board, "a", n=1)}
        assert list(chosen) == ["1", "0", "2", "3"]
        assert chosen["1"].startswith("Hardest")
        assert chosen["0"].startswith("Easiest")
        assert chosen["2"].startswith("Where a is furthest above")
        assert chosen["3"].startswith("Where a is furthest below")

    def test_each_series_once_and_none_without_a_value(self):
        one = board_of({"a": [0.5]})
        assert [choice.key.name for choice in choose_series(one, "a")] == ["0"]
        assert choose_series(build_board([cell("a", "1", NAN, reason="no anomaly")]), "a") == []
