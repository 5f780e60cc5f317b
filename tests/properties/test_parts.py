"""Streams, adapters, images, metrics, generated anomalies and readers, on any input."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.properties._cases import ADVICE, check_scores, series, tried
from vetime_plugins import InputError
from vetime_plugins.cli.tables import read_table
from vetime_plugins.imaging import image_to_series, series_to_image
from vetime_plugins.metrics import evaluate
from vetime_plugins.pipeline import cached_pipeline
from vetime_plugins.streaming import StreamingVETime
from vetime_plugins.synthesis import inject

pytestmark = ADVICE


@tried(4)
@given(x=series(longest=60), context=st.integers(1, 40), stride=st.integers(1, 5), data=st.data())
def test_how_a_stream_is_cut_does_not_matter(
    tiny: str, x: NDArray[np.float64], context: int, stride: int, data: st.DataObject
) -> None:
    stride = min(stride, context)
    whole, cut = (StreamingVETime(context, stride=stride, weights=tiny) for _ in range(2))
    expected = np.concatenate([whole.update(x), whole.flush()])
    check_scores(expected, x.shape[:1])
    found, at = [], 0
    while at < len(x):
        step = data.draw(st.integers(1, 12))
        found.append(cut.update(x[at : at + step]))
        cut = StreamingVETime.from_state_dict(json.loads(json.dumps(cut.state_dict())))
        at += step
    found.append(cut.flush())
    np.testing.assert_allclose(np.concatenate(found), expected, rtol=0, atol=1e-5)


@tried(4)
@given(x=series(longest=80), rule=st.sampled_from(["quantile", "std", "pot", 0.3]), seed=st.integers(0, 99))
def test_pyod_on_any_series(tiny: str, x: NDArray[np.float64], rule: str | float, seed: int) -> None:
    pytest.importorskip("pyod")
    from vetime_plugins.adapters.pyod import VETime

    detector = VETime(weights=tiny, threshold=rule).fit(x)
    np.testing.assert_array_equal(detector.decision_scores_, cached_pipeline(tiny).score(x))
    new = np.random.default_rng(seed).permutation(x)
    for method in ("linear", "unify"):
        probability = detector.predict_proba(new, method=method)
        assert ((probability >= 0) & (probability <= 1)).all()
        np.testing.assert_allclose(probability.sum(axis=1), 1)
    labels, confidence = detector.predict(new, return_confidence=True)
    assert set(labels) <= {0, 1}
    assert ((confidence >= 0) & (confidence <= 1)).all()


@tried(4)
@given(x=series(longest=60), pieces=st.lists(st.integers(1, 20), min_size=1, max_size=3), data=st.data())
def test_sktime_on_any_series_in_pieces(
    tiny: str, x: NDArray[np.float64], pieces: list[int], data: st.DataObject
) -> None:
    pytest.importorskip("sktime")
    from vetime_plugins.adapters.sktime import VETimeDetector

    frame = pd.DataFrame(x)
    if data.draw(st.booleans()):
        frame.index = pd.date_range("2024-01-01", periods=len(x), freq="h")
    first = pieces[0]
    if frame[:first].isna().all().any():
        with pytest.raises(InputError, match="every variable"):
            VETimeDetector(tiny).fit(frame[:first])
        return
    detector = VETimeDetector(tiny, context=data.draw(st.integers(1, 30))).fit(frame[:first])
    for size in pieces[1:]:
        detector.update(frame[first : first + size])
        first += size
    check_scores(detector.transform_scores(frame)["scores"].to_numpy(), x.shape[:1])
    assert set(detector.transform(frame)["labels"]) <= {0, 1}


@tried(4)
@given(x=series(longest=60))
def test_darts_on_any_series(tiny: str, x: NDArray[np.float64]) -> None:
    pytest.importorskip("darts")
    from darts import TimeSeries

    from vetime_plugins.adapters.darts import VETimeScorer

    scores = VETimeScorer(weights=tiny).score(TimeSeries.from_values(x.reshape(len(x), -1)))
    np.testing.assert_allclose(scores.values()[:, 0], cached_pipeline(tiny).score(x), rtol=0, atol=1e-12)


@tried(4)
@given(x=series(longest=60), split=st.integers(1, 40))
def test_merlion_on_any_series(tiny: str, x: NDArray[np.float64], split: int) -> None:
    pytest.importorskip("merlion")
    from merlion.utils import TimeSeries

    from vetime_plugins.adapters.merlion import VETimeDetector, VETimeDetectorConfig

    frame = pd.DataFrame(x, index=pd.date_range("2024-01-01", periods=len(x), freq="h"))
    frame = frame.dropna(how="all")  # as Merlion's own series do
    detector = VETimeDetector(VETimeDetectorConfig(weights=tiny))
    if frame[:split].isna().all().any():
        with pytest.raises(InputError, match="every variable"):
            detector.train(TimeSeries.from_pd(frame[:split]))
        return
    scores = detector.train(TimeSeries.from_pd(frame[:split]))
    check_scores(scores.to_pd().to_numpy()[:, 0], (min(split, len(frame)),))
    if split < len(frame) and not frame[split:].isna().all().any():
        scores = detector.get_anomaly_score(TimeSeries.from_pd(frame[split:]))
        check_scores(scores.to_pd().to_numpy()[:, 0], (len(frame) - split,))


@tried()
@given(x=series(gaps=False), exponent=st.integers(-900, 900), period=st.none() | st.integers(1, 60))
def test_images_lead_back_in_every_unit(x: NDArray[np.float64], exponent: int, period: int | None) -> None:
    x = np.ldexp(x, exponent)
    image, geometry = series_to_image(x, size=None, period=period)
    assert ((image >= 0) & (image <= 255)).all()
    found = image_to_series(image, geometry)
    assert found.shape == x.shape
    spread, size = np.ptp(x, axis=0), np.abs(x).max(axis=0)
    # The strips are scaled with a margin of 1e-5; what a constant is made of is its size.
    assert (np.abs(found - x) <= 1e-7 * spread + 1e-7 * size + 1e-320).all()


LABELS_AND_SCORES = st.integers(1, 300).flatmap(
    lambda n: st.tuples(
        st.lists(st.sampled_from([0, 0, 0, 1]), min_size=n, max_size=n),
        st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=n, max_size=n),
    )
)


@tried(4)
@given(pair=LABELS_AND_SCORES, buffer=st.none() | st.integers(0, 40))
def test_metrics_of_any_labels_and_scores(pair: tuple[list[int], list[float]], buffer: int | None) -> None:
    labels, scores = pair
    found = evaluate(labels, scores, buffer)
    values = np.array(list(found.values()))
    if found.reason is None:
        assert ((values >= -1e-9) & (values <= 1 + 1e-9)).all()
    else:
        assert np.isnan(values).all()


@tried(4)
@given(x=series(longest=300), seed=st.integers(0, 10**6), severity=st.floats(0, 1))
def test_injected_anomalies_are_where_the_labels_are(
    x: NDArray[np.float64], seed: int, severity: float
) -> None:
    before = x.copy()
    try:
        found = inject(x, seed=seed, severity=severity)
    except InputError:
        return
    np.testing.assert_array_equal(x, before)
    columns = x.reshape(len(x), -1)
    assert found.values.shape == columns.shape
    untouched = found.variable_labels == 0
    np.testing.assert_array_equal(found.values[untouched], found.clean[untouched])
    np.testing.assert_array_equal(inject(x, seed=seed, severity=severity).values, found.values)


CELLS = st.sampled_from(
    ["", "1", "-2.5", "1e5", "nan", "inf", "1_000", "x", '"', '"a,b"', "=1+1", "2024-01-01", "\u0660", "1;2",
     " 3 ", "\0"]
)  # fmt: skip


@tried()
@given(
    content=st.binary(max_size=200)
    | st.lists(st.lists(CELLS, max_size=5), max_size=8).map(
        lambda rows: "\n".join(",".join(row) for row in rows).encode()
    ),
    header=st.sampled_from([None, True, False]),
    suffix=st.sampled_from([".csv", ".csv.gz", ".parquet"]),
)
def test_tables_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, header: bool | None, suffix: str
) -> None:
    file = Path(tmp_path_factory.getbasetemp()) / f"table{suffix}"
    file.write_bytes(content)
    try:
        table = read_table(file, header=header)
    except InputError:
        return
    assert len(table) > 0
    assert {len(column) for column in table.columns.values()} == {len(table)}
