"""Streaming: the rule for a score, cuts of the feed, memory, state."""

from __future__ import annotations

import functools
import json
import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from tests._tiny import save_tiny_weights
from vetime_plugins.adaptive import DriftThreshold, RollingThreshold, make_threshold
from vetime_plugins.errors import InputError, InputWarning
from vetime_plugins.incidents import find_incidents
from vetime_plugins.pipeline import VETimePipeline, cached_pipeline
from vetime_plugins.streaming import Detected, StreamingVETime

CONTEXT = 16


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return save_tiny_weights(tmp_path_factory.mktemp("weights"))


@pytest.fixture
def pipeline(weights):
    return cached_pipeline(weights)


@pytest.fixture
def make(weights):
    """Make a stream with weights that are fast to run."""
    return functools.partial(StreamingVETime, weights=weights)


def feed(n: int = 100, n_variables: int = 1, seed: int = 0) -> np.ndarray:
    """Noisy sines (n, n_variables) with a spike in every variable."""
    rng = np.random.default_rng(seed)
    t = np.arange(n)[:, None]
    x = np.sin(2 * np.pi * (t + 3 * np.arange(n_variables)) / 20) + 0.1 * rng.standard_normal(
        (n, n_variables)
    )
    x[2 * n // 3] += 4
    return x


def by_the_rule(pipeline, x: np.ndarray, first: int = 0, **kwargs) -> list[float]:
    """Score each point from `first` on in its own window, as the documentation says."""
    windows = [x[max(0, t + 1 - CONTEXT) : t + 1] for t in range(first, len(x))]
    return [scores[-1] for scores in pipeline.score(windows, **kwargs)]


def cut(x: np.ndarray, sizes: list[int]) -> list[np.ndarray]:
    return np.split(x, np.cumsum(sizes))


@pytest.fixture
def windows(monkeypatch):
    """Shapes of the windows that the pipeline is asked to score, call by call."""
    shapes: list[list[tuple[int, ...]]] = []
    score = VETimePipeline.score

    def recording(self, series, **kwargs):
        shapes.append([np.shape(one) for one in series])
        return score(self, series, **kwargs)

    monkeypatch.setattr(VETimePipeline, "score", recording)
    return shapes


# The rule


@pytest.mark.parametrize("n_variables", [1, 3])
def test_a_score_is_the_last_of_its_window(make, pipeline, n_variables):
    x = feed(30, n_variables)
    found = make(CONTEXT).update(x)
    assert found.shape == (30,)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, by_the_rule(pipeline, x), atol=1e-6)


@pytest.mark.parametrize("as_reference", [True, False])
def test_after_a_warm_up(make, pipeline, as_reference):
    history, x = feed(150), feed(10, seed=1)
    stream = make(CONTEXT, max_reference=100)
    stream.warm_up(history, as_reference=as_reference)
    # the reference ends where the first window begins: shared points would match themselves
    reference = history[: 150 - CONTEXT][-100:] if as_reference else None
    expected = by_the_rule(pipeline, np.concatenate([history, x]), first=150, reference=reference)
    np.testing.assert_allclose(stream.update(x), expected, atol=1e-6)


def test_readout_reaches_the_pipeline(make, pipeline):
    x = feed(30)
    found = make(CONTEXT, readout="window").update(x)
    np.testing.assert_allclose(found, by_the_rule(pipeline, x, readout="window"), atol=1e-6)


def test_only_the_past_counts(make):
    x = feed(30)
    y = x.copy()
    y[20:] = 100.0
    a, b = make(CONTEXT).update(x), make(CONTEXT).update(y)
    np.testing.assert_allclose(a[:20], b[:20], atol=1e-6)
    assert not np.allclose(a[20:], b[20:], atol=1e-3)


def test_only_the_context_counts(make):
    x = feed(CONTEXT + 9)
    y = x.copy()
    y[:9] = 100.0
    a, b = make(CONTEXT).update(x), make(CONTEXT).update(y)
    assert a[-1] == pytest.approx(b[-1], abs=1e-6)
    assert not np.allclose(a[:-1], b[:-1], atol=1e-3)


# Cuts of the feed


@pytest.mark.parametrize("stride", [1, 7])
@pytest.mark.parametrize("sizes", [[1] * 35, [20], [3, 0, 20, 12, 1]])
def test_cuts_do_not_matter(make, stride, sizes):
    x = feed(36, 2)
    whole = make(CONTEXT, stride=stride).update(x)
    stream = make(CONTEXT, stride=stride)
    pieces = [stream.update(piece) for piece in cut(x, sizes)]
    np.testing.assert_allclose(np.concatenate(pieces), whole, atol=1e-6)
    assert len(whole) == 36 // stride * stride
    assert stream.n_seen == 36
    assert stream.n_pending == 36 % stride


def test_a_stride_shares_a_window(make, pipeline):
    x = feed(100)
    found = make(CONTEXT, stride=10).update(x)
    ends = range(10, 101, 10)
    expected = [pipeline.score(x[max(0, end - CONTEXT) : end])[-10:] for end in ends]
    np.testing.assert_allclose(found, np.concatenate(expected), atol=1e-6)


def test_strides_come_late_and_flush_hurries_them(make, pipeline):
    x = feed(40)
    stream = make(CONTEXT, stride=8)
    assert stream.update(x[:5]).shape == (0,)
    assert stream.n_pending == 5
    first = stream.flush()
    np.testing.assert_allclose(first, pipeline.score(x[:5]), atol=1e-6)
    assert stream.n_pending == 0
    assert stream.flush().shape == (0,)
    # strides still end at multiples of 8, and no point is scored twice
    rest = stream.update(x[5:16])
    assert rest.shape == (11,)
    np.testing.assert_allclose(rest, [*pipeline.score(x[:8])[-3:], *pipeline.score(x[:16])[-8:]], atol=1e-6)


def test_warm_up_does_not_shift_strides(make):
    stream = make(CONTEXT, stride=8)
    stream.warm_up(feed(13))
    assert stream.update(feed(10)).shape == (8,)


def test_a_stream_is_deterministic(make):
    x = feed(20)
    np.testing.assert_array_equal(make(CONTEXT).update(x), make(CONTEXT).update(x))


# What it takes


@pytest.mark.parametrize(
    "convert",
    [
        lambda x: x,
        lambda x: x[:, None],
        list,
        pd.Series,
        lambda x: pd.Series(x, index=pd.date_range("2024-01-01", periods=len(x))),
        lambda x: pd.DataFrame({"a": x}),
        lambda x: pd.array(x, dtype="Float64"),
        lambda x: np.asfortranarray(np.stack([x, x]).T)[:, :1],
    ],
)
def test_containers(make, pipeline, convert):
    x = feed(30)[:, 0]
    np.testing.assert_allclose(make(CONTEXT).update(convert(x)), by_the_rule(pipeline, x), atol=1e-6)


def test_single_points(make, pipeline):
    x = feed(10)[:, 0]
    stream = make(CONTEXT)
    found = [stream.update(value) for value in (float(x[0]), x[1], *x[2:])]
    assert {score.shape for score in found} == {(1,)}
    np.testing.assert_allclose(np.concatenate(found), by_the_rule(pipeline, x), atol=1e-6)


def test_single_points_of_several_variables(make, pipeline):
    x = feed(12, 3)
    stream = make(CONTEXT)
    stream.warm_up(x[:10], as_reference=False)
    assert stream.n_variables == 3
    found = np.concatenate([stream.update(x[10]), stream.update(list(x[11]))])
    np.testing.assert_allclose(found, by_the_rule(pipeline, x, first=10), atol=1e-6)


@pytest.mark.parametrize("dtype", ["int64", "uint8", "bool", "float16", "float32"])
def test_dtypes(make, dtype):
    x = (feed(30)[:, 0] > 0.5).astype(dtype)
    found = make(CONTEXT).update(x)
    np.testing.assert_allclose(found, make(CONTEXT).update(x.astype(float)), atol=1e-6)


def test_gaps_are_bridged(make, pipeline):
    x = feed(30, 2)
    x[[10, 11, 20], 0] = np.nan
    x[29] = np.nan
    found = make(CONTEXT).update(x)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, by_the_rule(pipeline, x), atol=1e-6)


@pytest.mark.parametrize("sizes", [[1] * 54, [25, 20]])
def test_an_outage_may_be_longer_than_the_context(make, pipeline, sizes):
    x = feed(55, 2)
    x[20:45, 0] = np.nan
    x[:3, 1] = np.nan  # nothing is known of this variable yet
    stream = make(CONTEXT)
    found = np.concatenate([stream.update(piece) for piece in cut(x, sizes)])
    filled = x.copy()
    for t in range(55):  # where the window holds nothing, the last known value
        window = filled[max(0, t + 1 - CONTEXT) : t + 1].copy()
        silent = np.isnan(window).all(axis=0)
        before = pd.DataFrame(x[: t + 1]).ffill().fillna(0.0).to_numpy()[-1]
        window[:, silent] = before[silent]
        if t in (0, 2, 3, 30, 35, 36, 44, 45, 54):
            assert found[t] == pytest.approx(pipeline.score(window)[-1], abs=1e-6)
    assert np.isfinite(found).all()


def test_nothing_in_nothing_out(make):
    stream = make(CONTEXT)
    assert stream.update([]).shape == (0,)
    assert stream.flush().shape == (0,)
    assert stream.n_variables is None


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ([[np.inf, 1.0]], "infinite"),
        ([[1.0, -np.inf]], "infinite"),
        (["a"], "number"),
        (np.ones((2, 3)), "C = 2"),
        ([1.0, 2.0, 3.0], "C = 2"),
        (np.ones((2, 2, 2)), "shape"),
        ([1.0 + 1j, 2.0], "number"),
    ],
)
def test_bad_points_change_nothing(make, x, message):
    data = feed(40, 2)
    stream, untouched = make(CONTEXT, stride=3), make(CONTEXT, stride=3)
    for one in (stream, untouched):
        one.update(data[:20])
    with pytest.raises(InputError, match=message):
        stream.update(x)
    assert stream.state_dict() == untouched.state_dict()
    np.testing.assert_array_equal(stream.update(data[20:]), untouched.update(data[20:]))


def test_a_failure_while_scoring_changes_nothing(make, monkeypatch):
    data = feed(30)
    stream, untouched = make(CONTEXT), make(CONTEXT)
    with monkeypatch.context() as patch:
        patch.setattr(VETimePipeline, "score", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            stream.update(data[:, [0, 0]])
    assert stream.n_variables is None
    np.testing.assert_array_equal(stream.update(data), untouched.update(data))


@pytest.mark.parametrize(
    "settings",
    [
        {"context": 0},
        {"context": 1.5},
        {"context": True},
        {"context": "64"},
        {"stride": 0},
        {"context": 8, "stride": 9},
        {"max_reference": -1},
    ],
)
def test_bad_settings(make, settings):
    with pytest.raises(InputError, match=next(reversed(settings))):
        make(**settings)


def test_bad_warm_up(make):
    stream = make(CONTEXT, max_reference=5)
    with pytest.raises(InputError, match="at least one"):
        stream.warm_up([])
    gap = feed(40, 2)
    gap[15:24, 1] = np.nan
    with pytest.raises(InputError, match="as_reference=False"):
        stream.warm_up(gap)
    assert stream.n_variables is None
    stream.warm_up(gap, as_reference=False)
    stream.update(feed(1, 2))
    with pytest.raises(InputError, match="reset"):
        stream.warm_up(feed(10, 2))
    stream.reset()
    stream.warm_up(feed(10, 1))
    assert stream.n_variables == 1


# Memory


def test_memory_is_bounded(make, windows):
    stream = make(CONTEXT, stride=4)
    size = None
    for k in range(4):
        stream.update(feed(40, seed=k))
        held = sum(array.nbytes for array in vars(stream).values() if isinstance(array, np.ndarray))
        assert size in (None, held)
        size = held
        owned = [array.base is None for array in vars(stream).values() if isinstance(array, np.ndarray)]
        assert all(owned), "a view keeps the whole feed alive"
    assert size <= 8 * (CONTEXT + 1)
    assert max(shape[0] for call in windows for shape in call) == CONTEXT


def test_a_long_feed_is_scored_in_portions(make, windows):
    make(8).update(feed(100)[:, 0])
    assert sum(len(call) for call in windows) == 100
    assert max(len(call) for call in windows) <= 64


def test_the_feed_is_copied(make):
    x = feed(30)
    stream, untouched = make(CONTEXT), make(CONTEXT)
    untouched.update(x.copy())
    stream.update(x)
    x[:] = 0.0
    assert stream.state_dict() == untouched.state_dict()


# State


@pytest.fixture(params=["fresh", "running", "with reference", "outage"])
def stream(make, request):
    stream = make(CONTEXT, stride=3, readout="window", max_reference=70)
    if request.param == "with reference":
        stream.warm_up(feed(90, 2))
    if request.param == "outage":
        stream.warm_up(np.where(np.arange(90)[:, None] > 20, np.nan, feed(90, 2)), as_reference=False)
    if request.param != "fresh":
        stream.update(feed(50, 2, seed=1))
    return stream


def assert_goes_on(restored: StreamingVETime, stream: StreamingVETime) -> None:
    x = feed(40, 2, seed=2)
    assert restored.state_dict() == stream.state_dict()
    np.testing.assert_array_equal(restored.update(x), stream.update(x))
    np.testing.assert_array_equal(restored.flush(), stream.flush())
    assert (restored.n_seen, restored.n_pending) == (stream.n_seen, stream.n_pending)


def test_state_through_json(stream):
    text = json.dumps(stream.state_dict(), allow_nan=False)
    assert_goes_on(StreamingVETime.from_state_dict(json.loads(text)), stream)


def test_state_through_a_file(stream, tmp_path):
    path = tmp_path / "stream.state"
    stream.save(path)
    assert list(tmp_path.iterdir()) == [path]
    assert_goes_on(StreamingVETime.load(path), stream)


def test_state_in_a_new_process(make, tmp_path):
    stream = make(CONTEXT)
    stream.warm_up(feed(90))
    stream.update(feed(30, seed=1))
    stream.save(tmp_path / "stream.npz")
    np.save(tmp_path / "x.npy", feed(20, seed=2))
    script = (
        "import sys, numpy as np\n"
        "from vetime_plugins.streaming import StreamingVETime\n"
        "assert 'torch' not in sys.modules\n"
        "scores = StreamingVETime.load(sys.argv[1] + '/stream.npz').update(np.load(sys.argv[1] + '/x.npy'))\n"
        "np.save(sys.argv[1] + '/scores.npy', scores)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True, timeout=600)
    np.testing.assert_allclose(np.load(tmp_path / "scores.npy"), stream.update(feed(20, seed=2)), atol=1e-6)


def test_device_may_change_with_the_machine(make, tmp_path):
    stream = make(CONTEXT, device="cuda:7")
    stream.save(tmp_path / "s")
    assert StreamingVETime.load(tmp_path / "s").device == "cuda:7"
    assert StreamingVETime.load(tmp_path / "s", device="cpu").device == "cpu"
    assert StreamingVETime.from_state_dict(stream.state_dict(), device="cpu").device == "cpu"


@pytest.mark.parametrize("state", [{}, {"format": "other"}, [], {"format": "vetime-stream-1"}])
def test_bad_state(state):
    with pytest.raises(InputError, match="state"):
        StreamingVETime.from_state_dict(state)


def test_bad_files(make, tmp_path):
    with pytest.raises(InputError, match="no such file"):
        StreamingVETime.load(tmp_path / "none.npz")
    (tmp_path / "text").write_text("hello")
    np.savez(tmp_path / "other.npz", a=np.ones(3))
    np.savez(tmp_path / "pickled.npz", header=np.array([{}], dtype=object))
    np.save(tmp_path / "one.npy", np.ones(3))
    stream = make(CONTEXT)
    stream.save(tmp_path / "cut.npz")
    (tmp_path / "cut.npz").write_bytes((tmp_path / "cut.npz").read_bytes()[:-30])
    for name in ("text", "other.npz", "pickled.npz", "one.npy", "cut.npz"):
        with pytest.raises(InputError, match=r"StreamingVETime\.save"):
            StreamingVETime.load(tmp_path / name)


# Doubtful input


def test_a_doubtful_stream_is_warned_of_once(make):
    x = np.column_stack([feed(150, 2), np.arange(150)])
    stream = make(CONTEXT)
    stream.update(x[:10])
    with pytest.warns(InputWarning, match="column 2 that rises") as caught:
        stream.update(x[10:100])
    assert len(caught) == 1
    stream.update(x[100:])
    stream = make(CONTEXT)
    with pytest.warns(InputWarning, match="column 2 that rises"):
        stream.warm_up(x[:100])
    stream.update(x[100:])


# Thresholds


RULES = [
    "rolling",
    "dspot",
    RollingThreshold(warm_up=30, window=50),
    DriftThreshold(warm_up=30, depth=10),
    0.4,
]


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("stride", [1, 7])
def test_detect_compares_scores_with_the_threshold(make, rule, stride):
    x = feed(80)
    scores = make(CONTEXT, stride=stride).update(x)
    stream = make(CONTEXT, stride=stride, threshold=rule)
    parts = [stream.detect(part) for part in cut(x, [1, 0, 20, 30])]
    found = Detected(*(np.concatenate(one) for one in zip(*parts, strict=True)))
    np.testing.assert_allclose(found.scores, scores, atol=1e-6)
    if isinstance(rule, float):
        expected = np.full(len(scores), rule), scores > rule
    else:
        expected = make_threshold(rule).update(found.scores)
    np.testing.assert_array_equal(found.thresholds, expected[0])
    np.testing.assert_array_equal(found.anomalies, expected[1])
    rest = stream.flush()
    np.testing.assert_array_equal(stream.latest.scores, rest)
    assert len(rest) == 80 % stride


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("how", ["json", "file", "pickle"])
def test_thresholds_go_on_after_a_stop(make, rule, how, tmp_path):
    x = feed(80)
    whole = make(CONTEXT, threshold=rule)
    whole.detect(x[:50])
    expected = whole.detect(x[50:])
    stream = make(CONTEXT, threshold=rule)
    stream.detect(x[:50])
    if how == "json":
        stream = StreamingVETime.from_state_dict(json.loads(json.dumps(stream.state_dict())))
    elif how == "file":
        stream.save(tmp_path / "stream.npz")
        stream = StreamingVETime.load(tmp_path / "stream.npz")
    else:
        stream = pickle.loads(pickle.dumps(stream))
    found = stream.detect(x[50:])
    np.testing.assert_allclose(found.thresholds, expected.thresholds, atol=1e-6)
    stream.reset()
    again = stream.detect(x[:50])
    np.testing.assert_allclose(again.scores, make(CONTEXT).update(x[:50]), atol=1e-6)
    assert np.isinf(again.thresholds[:30]).all() or rule == 0.4


def test_states_of_streams_without_a_threshold_still_load(make):
    state = make(CONTEXT).state_dict()
    del state["threshold"]
    assert StreamingVETime.from_state_dict(state).threshold is None


def test_an_object_is_not_changed_by_the_stream(make):
    rule = RollingThreshold(warm_up=30)
    make(CONTEXT, threshold=rule).detect(feed(50))
    assert np.isinf(rule.threshold)
    assert rule.state_dict() == RollingThreshold(warm_up=30).state_dict()


@pytest.mark.parametrize("rule", ["most", float("nan"), True, object()])
def test_bad_thresholds_are_named(make, rule):
    with pytest.raises(InputError, match="threshold must be"):
        make(CONTEXT, threshold=rule)


def test_detect_needs_a_threshold(make):
    with pytest.raises(InputError, match="detect needs a threshold"):
        make(CONTEXT).detect(1.0)


# Several series


@pytest.mark.parametrize("ask", ["warm_up", "update"])
def test_several_arrays_are_not_read_as_rows(make, ask):
    name = "history" if ask == "warm_up" else "x"
    for several in ([feed(30), feed(20)], [feed(30)[:, 0], feed(30)[:, 0]], [feed(30, 2)]):
        with pytest.raises(
            InputError, match=f"{name} needs points of one stream in one array, got a list of"
        ):
            getattr(make(CONTEXT), ask)(several)


def test_points_may_come_as_a_list_of_arrays_once_their_width_is_known(make):
    x = feed(30, 2)
    stream = make(CONTEXT)
    stream.update(x[:20])
    expected = make(CONTEXT).update(x)
    np.testing.assert_allclose(stream.update(list(x[20:])), expected[20:], atol=1e-6)


class TestIncidents:
    @staticmethod
    def series():
        x = np.sin(2 * np.pi * np.arange(500) / 25) + 0.05 * np.random.default_rng(0).normal(size=500)
        x[400:406] += 4
        return x

    def test_open_grow_and_close_however_the_feed_is_cut(self):
        x, told = self.series(), []
        for size in (1, 37, 200):
            stream = StreamingVETime(context=128, stride=8, threshold=0.999, gap=4)
            stream.warm_up(x[:300])
            events = []
            for first in range(300, 500, size):
                stream.detect(x[first : first + size])
                events += stream.events
            told.append([(one.what, one.incident.start, one.incident.end) for one in events + stream.close()])
            assert stream.incident is None
        assert told[0] == told[1] == told[2]
        whats = [what for what, *_ in told[0]]
        assert whats[0] == "opened"
        assert 0 < whats.count("opened") <= whats.count("closed")  # a valley may have parted one
        assert any(what == "closed" and start - 8 <= 105 and end >= 100 for what, start, end in told[0])

    def test_once_closed_are_those_of_the_scores_as_a_whole(self):
        # To a step or two: the median of all scores was not known when they came.
        stream = StreamingVETime(context=128, stride=8, threshold=0.99, gap=4)
        stream.warm_up(self.series()[:300])
        scores = stream.update(self.series()[300:])
        events = stream.events + stream.close()
        told = [one.incident for one in events if one.what == "closed"]
        found = sorted(find_incidents(scores, threshold=0.99, gap=4), key=lambda one: one.start)
        assert [one.peak for one in told] == [one.peak for one in found] != []
        for ours, theirs in zip(told, found, strict=True):
            assert abs(ours.start - theirs.start) <= 2
            assert abs(ours.end - theirs.end) <= 2

    def test_go_on_after_saving(self, tmp_path):
        x = self.series()
        stream = StreamingVETime(context=128, threshold=0.999, gap=6)
        stream.warm_up(x[:300])
        stream.update(x[300:404])
        assert stream.incident is not None
        stream.save(tmp_path / "stream.npz")
        twins = (
            StreamingVETime.load(tmp_path / "stream.npz"),
            StreamingVETime.from_state_dict(stream.state_dict()),
        )
        for one in (stream, *twins):
            one.update(x[404:460])
        assert stream.events
        assert all(twin.events == stream.events and twin.gap == 6 for twin in twins)

    def test_are_none_while_a_threshold_warms_up(self):
        stream = StreamingVETime(context=64, stride=16, threshold="rolling")
        stream.warm_up(self.series()[:300])
        stream.update(self.series()[300:332])
        assert stream.events == []
        assert stream.incident is None

    def test_need_a_threshold(self):
        stream = StreamingVETime(context=64)
        stream.update(self.series()[:3])
        assert stream.events == []
        with pytest.raises(InputError, match="gap"):
            StreamingVETime(gap=-1)

    def test_of_a_damaged_state_are_refused(self):
        state = StreamingVETime(context=64, threshold=0.9).state_dict()
        state["incident"] |= {"n_seen": 3, "open": [2, 2, 2, 0.95]}
        with pytest.raises(InputError, match="ValueError: an incident without a step"):
            StreamingVETime.from_state_dict(state)
