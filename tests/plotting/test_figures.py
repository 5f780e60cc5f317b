"""What the pictures show, read off the figures' own objects; and that drawing leaves no trace elsewhere."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.collections import PolyCollection, QuadMesh
from matplotlib.dates import num2date

from vetime_plugins import VETimePipeline, find_incidents
from vetime_plugins.errors import InputError, MissingDependencyError
from vetime_plugins.plotting import plot_explanation, plot_scores, save_figure
from vetime_plugins.plotting.drawing import MAX_BINS, decimate


def line(ax, label):
    (found,) = (line for line in ax.get_lines() if line.get_label() == label)
    return found


def shaded(ax):
    """Return the shaded ranges of x, as (left, right)."""
    bars = [artist for artist in ax.collections if isinstance(artist, PolyCollection)]
    boxes = [path.get_extents() for artist in bars for path in artist.get_paths()]
    return sorted((float(box.x0), float(box.x1)) for box in boxes)


class TestDecimate:
    def test_short_series_stay_whole(self):
        values = np.arange(2 * MAX_BINS, dtype=float)
        rows, kept = decimate(values)
        assert rows.tolist() == list(range(2 * MAX_BINS))
        assert kept is values

    def test_keeps_every_stretch_s_extremes_in_order(self):
        values = np.random.default_rng(0).normal(size=1003)
        rows, kept = decimate(values, bins=10)
        assert len(rows) == 20
        assert (np.diff(rows) > 0).all()
        np.testing.assert_array_equal(kept, values[rows])
        for start, stop in pairwise(np.linspace(0, 1003, 11).astype(int)):
            inside = kept[(rows >= start) & (rows < stop)]
            assert {values[start:stop].min(), values[start:stop].max()} == set(inside)

    @pytest.mark.parametrize("position", [0, 500_000, 999_999])
    def test_a_single_step_survives(self, position):
        values = np.zeros(1_000_000)
        values[position] = 1.0
        rows, kept = decimate(values)
        assert len(rows) <= 2 * MAX_BINS
        assert rows[kept.argmax()] == position

    def test_gaps_stay_gaps(self):
        values = np.ones(10_000)
        values[4_000:6_000] = np.nan
        rows, kept = decimate(values, bins=100)
        np.testing.assert_array_equal(np.isnan(kept), (rows >= 4_000) & (rows < 6_000))


class TestPlotScores:
    def test_shows_series_scores_threshold_flags_and_labels(self, wave):
        series, labels = wave
        scores = np.where(labels == 1, 0.9, 0.1)
        upper, lower = plot_scores(series, scores, threshold=0.5, labels=labels, title="wave").axes
        np.testing.assert_array_equal(line(upper, "series").get_ydata(), series)
        np.testing.assert_array_equal(line(lower, "score").get_ydata(), scores)
        np.testing.assert_array_equal(line(lower, "threshold 0.5").get_ydata(), [0.5, 0.5])
        assert shaded(upper) == [(399.5, 411.5)]
        assert shaded(lower) == [(399.5, 411.5)] * 2  # the flags, and the labels below
        assert {text.get_text() for text in lower.get_legend().get_texts()} == {
            "score",
            "threshold 0.5",
            "true anomaly",
        }

    def test_without_threshold_nothing_is_shaded(self, wave):
        upper, lower = plot_scores(wave[0], np.ones(600)).axes
        assert shaded(upper) == shaded(lower) == []
        assert lower.get_legend() is None

    def test_a_single_anomalous_step_in_a_million_is_wide_enough_to_see(self):
        scores = np.zeros(1_000_000)
        scores[123_456] = 1.0
        upper = plot_scores(scores, scores, threshold=0.5).axes[0]
        ((left, right),) = shaded(upper)
        assert left <= 123_456 <= right
        assert right - left > 1_000

    def test_thousands_of_spans_are_merged(self):
        scores = np.arange(1_000_000) % 2.0
        ((left, right),) = shaded(plot_scores(scores, scores, threshold=0.5).axes[0])
        assert left == 0.5
        assert right >= 999_999

    def test_each_variable_has_its_axes_and_name(self):
        values = np.random.default_rng(0).normal(size=(50, 3))
        figure = plot_scores(values, np.zeros(50), names=["a", "b", "c"])
        assert [ax.get_ylabel() for ax in figure.axes] == ["a", "b", "c", "score"]
        np.testing.assert_array_equal(line(figure.axes[1], "series").get_ydata(), values[:, 1])

    def test_many_variables_are_a_heat_map_that_keeps_a_spike(self):
        values = np.random.default_rng(0).normal(size=(20_000, 30))
        values[:, 4] = 7.0  # constant
        values[:, 5] = np.nan  # nothing but a gap
        values[12_345, 7] = 100.0
        names = [f"v{c}" for c in range(30)]
        ax = plot_scores(values, np.zeros(20_000), names=names).axes[0]
        (mesh,) = (artist for artist in ax.collections if isinstance(artist, QuadMesh))
        cells = np.ma.filled(mesh.get_array(), np.nan)
        assert cells.shape[0] == 30
        assert cells[7].max() > 50
        assert np.all(cells[4] == 0)
        assert np.isnan(cells[5]).all()
        assert [text.get_text() for text in ax.get_yticklabels()] == names

    @pytest.mark.parametrize("as_text", [False, True])
    def test_time_stamps_are_the_axis(self, as_text):
        time = np.datetime64("2024-03-01T00:00") + np.arange(100) * np.timedelta64(5, "m")
        given = np.char.replace(time.astype(str), "-", "/") if as_text else time
        ax = plot_scores(np.zeros(100), np.zeros(100), time=given).axes[0]
        first, last = (num2date(x).replace(tzinfo=None) for x in line(ax, "series").get_xdata()[[0, -1]])
        assert first == time[0].astype(object)
        assert last == time[-1].astype(object)

    @pytest.mark.parametrize(
        "time",
        [
            ["2024-01-01", "2024-01-03", "2024-01-02"],  # not in order
            ["01/02/2024", "02/02/2024", "03/02/2024"],  # day or month first?
            ["2024-01-01", "", "2024-01-02"],
            [1.0, np.nan, 2.0],
            np.array(["2024-01-01", "NaT", "2024-01-02"], "M8[s]"),
        ],
    )
    def test_doubtful_time_stamps_give_way_to_row_numbers(self, time):
        ax = plot_scores(np.zeros(3), np.zeros(3), time=time).axes[0]
        assert line(ax, "series").get_xdata().tolist() == [0, 1, 2]

    def test_a_number_between_gaps_is_a_dot(self):
        values = np.array([1.0, np.nan, 5.0, np.nan, 2.0, 3.0])
        ax = plot_scores(values, np.zeros(6)).axes[0]
        dots = [artist for artist in ax.get_lines() if artist.get_marker() == "."]
        assert dots[0].get_xdata().tolist() == [0, 2]

    @pytest.mark.parametrize("length", [1, 2, 3])
    @pytest.mark.parametrize("variables", [1, 2, 9])
    def test_the_shortest_series_can_be_drawn(self, tmp_path, length, variables):
        shape = (length, variables)
        figure = plot_scores(np.ones(shape), np.ones(length), threshold=0.5, labels=np.ones(length))
        save_figure(figure, tmp_path / "a.png")

    @pytest.mark.parametrize(
        ("series", "scores", "options", "message"),
        [
            (np.zeros(5), np.zeros(4), {}, "needs one score for each step, got 4 scores for 5 steps"),
            (np.zeros(0), np.zeros(0), {}, "series needs at least one point"),
            (np.zeros((2, 2, 2)), np.zeros(2), {}, r"series needs shape \(time,\) or \(time, variables\)"),
            (np.zeros(3), np.zeros(3), {"labels": [0, 1]}, "labels must have the scores' shape"),
            (np.zeros(3), np.zeros(3), {"time": [0, 1]}, "time must have one entry for each of the 3 steps"),
            (np.zeros((3, 2)), np.zeros(3), {"names": ["a"]}, "names must name each of the 2 variables"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, series, scores, options, message):
        with pytest.raises(InputError, match=message):
            plot_scores(series, scores, **options)


class TestPlotExplanation:
    def test_shows_reconstruction_experts_and_image(self, wave):
        explanation = VETimePipeline.from_pretrained("small").explain(wave[0])
        figure = plot_explanation(explanation, threshold=0.5, title="wave")
        upper, _, experts, image = figure.axes
        np.testing.assert_allclose(
            line(upper, "reconstruction").get_ydata(), explanation.reconstruction[:, 0]
        )
        shown = [text.get_text() for text in experts.get_legend().get_texts()]
        assert shown == list(explanation.expert_names)
        np.testing.assert_array_equal(image.get_images()[0].get_array(), explanation.image)
        assert f"period: {explanation.period} steps" in image.get_title()

    def test_experts_are_averaged_so_that_they_still_sum_to_one(self):
        from types import SimpleNamespace

        length = 10_007
        weights = np.random.default_rng(0).dirichlet([1, 1, 1], size=length)
        explanation = SimpleNamespace(
            series=np.zeros((length, 1)),
            scores=np.zeros(length),
            reconstruction=np.zeros((length, 1)),
            expert_weights=weights,
            expert_names=("a", "b", "c"),
            image=np.zeros((8, 8, 3), np.uint8),
            period=1,
            expected_distance=None,
        )
        experts = plot_explanation(explanation).axes[2]
        top = experts.collections[-1].get_paths()[0].vertices[:, 1]
        assert top.max() == pytest.approx(1.0)
        assert len(top) < 4 * 2 * MAX_BINS

    def test_pipeline_draws_both(self, wave):
        pipeline = VETimePipeline.from_pretrained("small")
        plain = pipeline.plot(wave[0], threshold=0.97)
        legend = [text.get_text() for text in plain.axes[-1].get_legend().get_texts()]
        assert "threshold 0.97" in legend
        np.testing.assert_allclose(line(plain.axes[1], "score").get_ydata(), pipeline.score(wave[0]))
        assert len(pipeline.plot(wave[0], explain=True).axes) > len(plain.axes)


class TestSaveFigure:
    @pytest.mark.parametrize(
        ("suffix", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF"), ("webp", b"RIFF")]
    )
    def test_the_suffix_is_the_format(self, tmp_path, suffix, start):
        path = tmp_path / f"a.{suffix}"
        save_figure(plot_scores([1, 2, 3], [0, 0, 1]), path)
        assert path.read_bytes().startswith(start)

    def test_an_unknown_format_is_named(self, tmp_path):
        with pytest.raises(InputError, match=r"cannot draw .*xyz"):
            save_figure(plot_scores([1, 2, 3], [0, 0, 1]), tmp_path / "a.xyz")

    def test_a_place_that_cannot_be_written_is_named(self, tmp_path):
        with pytest.raises(InputError, match=r"cannot write .*absent"):
            save_figure(plot_scores([1, 2, 3], [0, 0, 1]), tmp_path / "absent" / "a.png")


def test_drawing_leaves_matplotlib_as_it_was(tmp_path):
    code = f"""
import sys
from vetime_plugins.plotting import plot_scores, save_figure
save_figure(plot_scores([1, 2, 3], [0, 0, 1], threshold=0.5), {str(tmp_path / "a.png")!r})
assert "matplotlib.pyplot" not in sys.modules
import matplotlib
before = dict(matplotlib.rcParams)
plot_scores([1, 2, 3], [0, 0, 1])
assert dict(matplotlib.rcParams) == before
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_missing_matplotlib_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "vetime-plugins\[report\]"'):
        plot_scores([1, 2, 3], [0, 0, 1])


class TestIncidents:
    @pytest.fixture
    def found(self):
        scores = np.full(300, 0.1)
        scores[100:110], scores[200] = 0.8, 0.9
        x = np.random.default_rng(0).normal(size=(300, 3))
        evidence = np.zeros((300, 3))
        evidence[100:110, 1] = evidence[200, 2] = 9
        return x, scores, find_incidents(scores, x, threshold=0.5, evidence=evidence)

    def test_those_are_shaded_marked_and_in_the_legend(self, found):
        x, scores, incidents = found
        figure = plot_scores(x, scores, threshold=0.5, incidents=incidents)
        first, second, third, bottom = figure.axes
        starts = {one.start: one for one in incidents}
        assert shaded(first) == []
        assert [left for left, _ in shaded(second)] == [min(starts) - 0.5]
        assert [left for left, _ in shaded(third)] == [max(starts) - 0.5]
        legend = [text.get_text() for text in bottom.get_legend().get_texts()]
        assert {"incident", "peak", "score"} <= set(legend)
        marks = [text.get_text() for text in first.texts]
        assert marks == [f"{rank} {one.kind}" for rank, one in enumerate(incidents, 1)]

    def test_scores_of_variables_are_a_heat_map(self, found):
        x, scores, incidents = found
        heat = np.zeros((300, 3))
        heat[200, 2] = 0.7
        figure = plot_scores(x, scores, incidents=incidents, variable_scores=heat, names=["a", "b", "c"])
        mesh = next(m for m in figure.axes[3].collections if isinstance(m, QuadMesh))
        drawn = mesh.get_array().reshape(3, -1)
        assert drawn.shape == (3, 300)
        assert np.unravel_index(drawn.argmax(), drawn.shape) == (2, 200)

    def test_none_is_no_trouble(self, found):
        x, scores, _ = found
        figure = plot_scores(x, scores, incidents=find_incidents(scores, threshold=1.0))
        assert all(shaded(ax) == [] for ax in figure.axes)

    def test_what_does_not_belong_together_is_refused(self, found):
        x, scores, incidents = found
        with pytest.raises(InputError, match="300 steps"):
            plot_scores(x[:200], scores[:200], incidents=incidents)
        with pytest.raises(InputError, match="variable_scores"):
            plot_scores(x, scores, variable_scores=np.zeros((300, 2)))


def test_scores_close_to_one_are_told_apart():
    series = np.sin(np.arange(200) / 5)
    scores = np.linspace(0, 0.5, 200)
    scores[50], scores[100] = 0.99, 0.9999
    axes = plot_scores(series, scores, labels=np.arange(200) == 100).axes[-1]
    low, high, top = axes.transData.transform([(0, 0.0), (0, 0.99), (0, 0.9999)])[:, 1]
    assert top - low == pytest.approx(2 * (high - low))
    assert [text.get_text() for text in axes.get_yticklabels()] == ["0", "0.9", "0.99", "0.999", "0.9999"]
    straight = plot_scores(series, np.linspace(0, 0.5, 200)).axes[-1]
    assert straight.get_yscale() == "linear"
