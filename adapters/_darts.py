"""VETime as a Darts anomaly scorer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from vetime_plugins.adapters._shared import (
    check_max_reference,
    check_width,
    latest,
    load_pipeline,
    missing_dependency,
)
from vetime_plugins.errors import InputError
from vetime_plugins.series.inputs import as_series
from vetime_plugins.thresholds import check_contamination, check_rule, find_threshold

try:
    from darts import TimeSeries, metrics
    from darts.ad.detectors import ThresholdDetector
    from darts.ad.scorers.scorers import FittableAnomalyScorer
except ImportError as error:
    raise missing_dependency("VETimeScorer for Darts", "darts>=0.44", "darts") from error

if TYPE_CHECKING:
    from typing import Self

    from darts.metrics.utils import METRIC_TYPE
    from darts.typing import TimeSeriesLike
    from numpy.typing import NDArray

    from vetime_plugins.incidents import Incidents

    Values = NDArray[np.floating[Any]]

__all__ = ["VETimeScorer"]

_JOINT_SCORE = "anomaly_score"  # one score for several components can bear the name of none of them


class VETimeScorer(FittableAnomalyScorer):
    """Zero-shot anomaly scorer: one score in [0, 1] for each time step, higher is more anomalous.

    The network is trained once and for all, so `score` and `score_from_prediction` work without `fit`. `fit`
    never trains it: it keeps the given series, assumed to be mostly normal, as the reference that later
    series are compared with, and sets `threshold_`. A series is scored as a whole: a score may also depend on
    the points after it.

    Parameters
    ----------
    component_wise : bool, default False
        What becomes of a series of C > 1 components. False: one score for each time step, from all components
        together. True: C scores for each time step, each from one component alone and under its name.
    diff_fn : callable, default `darts.metrics.ae`
        Darts metric per time step that turns a series and its prediction into the one series that
        `fit_from_prediction` and `score_from_prediction` work on. `darts.metrics.err` keeps the sign.
    weights : str or path, default "small"
        Name of bundled weights, or a folder that holds weights.
    device : str, default "auto"
        Where the network runs: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ...
    dtype : str, default "float32"
        Floating-point type of the network's weights.
    readout : {"point", "window"} or None, default None
        Sharp scores, or scores smoothed over the period; None is the choice of the weights.
    threshold : {"auto", "quantile", "std", "pot"} or float, default "auto"
        Rule by which `threshold_` follows from scores (see `vetime_plugins.thresholds.find_threshold`), or a
        fixed score.
    contamination : float in (0, 0.5], default 0.1
        Expected share of anomalous points, for the rule ``"quantile"``.
    max_reference : int, default 20000
        How many time steps `fit` keeps, over all series together: the last ones of each series.

    Attributes
    ----------
    threshold_ : float or list of float
        Score above which a point is anomalous; a list, one for each component, where `component_wise` gives
        several scores. Set by `fit`.
    reference_ : list of ndarray of shape (T_ref, C), or None
        What `fit` has kept; None before.

    Raises
    ------
    InputError
        If `threshold`, `contamination` or `max_reference` is not valid. The methods raise it where a series
        cannot be used: not a `TimeSeries`, infinite, or of another width than the series of `fit`.
    ValueError
        If `diff_fn` is not one of Darts' metrics per time step.

    Notes
    -----
    * Scores have the length, time index, frequency and floating-point type of the series, however short;
      ``window`` is always 1. Component names and static covariates stay as well where scores and components
      match one to one; a joint score is called ``"anomaly_score"`` and keeps the global static covariates.
    * The series of a sequence are scored independently of each other. Without `fit` they may differ in width;
      after it components are matched by position, as everywhere in Darts.
    * A stochastic series is replaced by the median of its samples.
    * NaN marks a gap: it is bridged for the network, and the scores there are finite.
    * Darts turns scores into labels in a separate step; `detector` returns the one that uses `threshold_`.
    * Do not wrap `vetime_plugins.adapters.pyod.VETime` in Darts' ``PyODScorer`` in place of this class: with
      ``window > 1`` it gets a table of lags instead of the series, with several series their concatenation,
      and ``component_wise=True`` scores every component with the one model that was fitted last.

    Examples
    --------
    >>> import numpy as np
    >>> from darts import TimeSeries
    >>> from vetime_plugins.adapters.darts import VETimeScorer
    >>> values = np.sin(np.arange(600) * 2 * np.pi / 50)
    >>> values[400:410] += 3
    >>> scores = VETimeScorer().score(TimeSeries.from_values(values))
    >>> len(scores), 395 < int(scores.values().argmax()) < 415
    (600, True)
    """

    threshold_: float | list[float]

    def __init__(
        self,
        *,
        component_wise: bool = False,
        diff_fn: METRIC_TYPE = metrics.ae,
        weights: str = "small",
        device: str = "auto",
        dtype: str = "float32",
        readout: str | None = None,
        threshold: str | float = "auto",
        contamination: float = 0.1,
        max_reference: int = 20_000,
    ) -> None:
        check_rule(threshold)
        check_contamination(contamination)
        check_max_reference(max_reference)
        super().__init__(is_univariate=not component_wise, window=1, window_agg=False, diff_fn=diff_fn)
        self.component_wise = component_wise
        self.weights = weights
        self.device = device
        self.dtype = dtype
        self.readout = readout
        self.threshold = threshold
        self.contamination = contamination
        self.max_reference = max_reference
        self.reference_: list[Values] | None = None

    def __str__(self) -> str:
        """Name the scorer, for Darts' plots and the keys of its anomaly models' `eval_metric`."""
        return f"VETimeScorer (weights={self.weights})"

    def fit(self, series: TimeSeriesLike) -> Self:
        """Keep reference data and set `threshold_`; the network is not trained.

        Parameters
        ----------
        series : TimeSeries or sequence of TimeSeries
            Mostly normal data of the kind that is to be scored, all with the same number of components.

        Returns
        -------
        VETimeScorer
            The scorer itself.

        Raises
        ------
        InputError
            If `series` is not made of `TimeSeries` of one width, or holds infinite values.
        """
        _as_list(series, one_width=True)
        super().fit(series)
        return self

    def score(self, series: TimeSeriesLike) -> TimeSeriesLike:
        """Return the anomaly scores of each series.

        Parameters
        ----------
        series : TimeSeries or sequence of TimeSeries
            The series to score; after `fit`, with the same number of components as there.

        Returns
        -------
        TimeSeries or list of TimeSeries
            Scores in [0, 1] on the same time index: one component, or C of them if ``component_wise=True``.

        Raises
        ------
        InputError
            If `series` is not made of `TimeSeries`, holds infinite values, or is not as wide as in `fit`.
        """
        _as_list(series)
        return super().score(series)

    def incidents(
        self, series: TimeSeriesLike, *, threshold: str | float | None = None
    ) -> Incidents | list[Incidents] | list[list[Incidents]]:
        """Say what happened in each series: when, how badly, of what kind, in which components.

        Parameters
        ----------
        series : TimeSeries or sequence of TimeSeries
            As for `score`.
        threshold : str or float, optional
            Rule or number in place of `threshold_`, or before `fit` of the scorer's own rule. A rule is
            applied to the scores of the reference, before `fit` to those of each series.

        Returns
        -------
        vetime_plugins.Incidents, or a list of such for a sequence
            The most severe first, on the time index of the series; ``to_frame()`` makes a DataFrame of it.
            With ``component_wise=True`` a list in place of each, with one table for each component.

        Raises
        ------
        InputError
            As `score` does, or if `threshold` is neither a rule nor a number.
        """
        items = [self._extract_deterministic_series(one, "series") for one in _as_list(series)]
        if self.reference_ is not None:
            for one in items:
                check_width(str(self), self.reference_[0].shape[1], one.width)
        tables = [self._incidents(one, threshold) for one in items]
        found = tables if self.component_wise else [table for (table,) in tables]
        return found[0] if isinstance(series, TimeSeries) else found

    def _incidents(self, series: TimeSeries, threshold: str | float | None) -> list[Incidents]:
        """Return the table of a series, or with `component_wise` one for each component."""
        frame, kept = series.to_dataframe(copy=False), self.reference_
        parts = [[i] for i in range(series.width)] if self.component_wise else [list(range(series.width))]
        own = self.threshold if kept is None else self.threshold_
        rules = own if isinstance(own, list) else [own] * len(parts)
        pipeline = load_pipeline(self.weights, device=self.device, dtype=self.dtype)
        return [
            pipeline.detect(
                frame.iloc[:, columns],
                reference=kept and [one[:, columns] for one in kept],
                readout=self.readout,
                threshold=rule if threshold is None else check_rule(threshold),
                contamination=self.contamination,
            ).incidents
            for columns, rule in zip(parts, rules, strict=True)
        ]

    def detector(self, scores: TimeSeriesLike | None = None) -> ThresholdDetector:
        """Return the Darts detector that flags the scores above the threshold.

        Parameters
        ----------
        scores : TimeSeries or sequence of TimeSeries, optional
            Scores to derive the threshold from. Without them it is `threshold_`, which follows from the
            series of `fit`, or the number given as `threshold`, which needs no `fit`.

        Returns
        -------
        darts.ad.detectors.ThresholdDetector
            Its ``detect(scores)`` gives 1 where a score is greater than the threshold, else 0.

        Raises
        ------
        InputError
            If there are neither `scores`, nor a `fit`, nor a fixed threshold.
        """
        if scores is not None:
            high = self._find_threshold(_as_list(scores, one_width=True))
        elif self.reference_ is not None:
            high = self.threshold_
        elif not isinstance(self.threshold, str):
            high = float(self.threshold)
        else:
            msg = f"threshold={self.threshold!r} is taken from scores: call fit(series) or detector(scores)"
            raise InputError(msg)
        return ThresholdDetector(high_threshold=high)

    def _check_fit_called(self) -> None:
        """Allow scoring without `fit`, where Darts' other fittable scorers raise."""

    def _fit_core(self, series: Sequence[TimeSeries], *args: Any, **kwargs: Any) -> None:
        series = [self._extract_deterministic_series(one, "series") for one in series]
        reference = _latest([one.values(copy=False) for one in series], self.max_reference)
        self.threshold_ = self._find_threshold(self._score(series, reference))
        self.reference_ = reference

    def _score_core(self, series: Sequence[TimeSeries], *args: Any, **kwargs: Any) -> list[TimeSeries]:
        if self.reference_ is not None:
            for one in series:
                check_width(str(self), self.reference_[0].shape[1], one.width)
        return self._score(series, self.reference_)

    def _score(self, series: Sequence[TimeSeries], reference: list[Values] | None) -> list[TimeSeries]:
        values: list[Any] = [one.values(copy=False) for one in series]
        references = None if reference is None else [reference] * len(values)
        if self.component_wise:  # each component as a series of its own: no other one has a say in its scores
            values = [column for one in values for column in one.T]
            references = references and [
                [one[:, i] for one in kept] for kept in references for i in range(kept[0].shape[1])
            ]
        else:
            values = [as_series(one, names=own.components) for one, own in zip(values, series, strict=True)]
        pipeline = load_pipeline(self.weights, device=self.device, dtype=self.dtype)
        scores = iter(pipeline.score(values, reference=references, readout=self.readout))
        columns = [one.width if self.component_wise else 1 for one in series]
        return [
            _on_index_of(one, np.stack([next(scores) for _ in range(n)], axis=1))
            for one, n in zip(series, columns, strict=True)
        ]

    def _find_threshold(self, scores: Sequence[TimeSeries]) -> float | list[float]:
        """Return the threshold of each score component, from all series together."""
        values = np.concatenate([one.values(copy=False) for one in scores])
        high = [find_threshold(one, self.threshold, contamination=self.contamination) for one in values.T]
        return high if len(high) > 1 else high[0]

    def _extract_deterministic_series(self, series: TimeSeries, name_series: str) -> TimeSeries:
        """Return the median of a stochastic series; Darts' own version renames the components on the way."""
        return series if series.is_deterministic else series.median(axis=2)


def _as_list(series: TimeSeriesLike, *, one_width: bool = False) -> list[TimeSeries]:
    """Return one series or a sequence of them as a list, or raise `InputError`."""
    items = [series] if isinstance(series, TimeSeries) else series
    if not (isinstance(items, Sequence) and items and all(isinstance(one, TimeSeries) for one in items)):
        got = type(series).__name__
        if isinstance(items, Sequence):
            got += f" of {sorted({type(one).__name__ for one in items})}" if items else " without entries"
        msg = f"need a darts TimeSeries or a sequence of at least one, got {got}; see TimeSeries.from_values"
        raise InputError(msg)
    widths = sorted({one.width for one in items})
    if one_width and len(widths) > 1:
        msg = f"need series with the same number of components, got {widths}; use one scorer for each width"
        raise InputError(msg)
    return list(items)


def _latest(values: list[Values], max_reference: int) -> list[Values]:
    """Return the last rows of each array, `max_reference` in all; what short ones leave, longer ones get."""
    kept = {}
    for done, i in enumerate(sorted(range(len(values)), key=lambda i: len(values[i]))):
        share = min(len(values[i]), max_reference // (len(values) - done))
        max_reference -= share
        if share:
            kept[i] = latest(values[i], share).copy()  # a view would keep all of the user's data alive
    return [kept[i] for i in sorted(kept)]


def _on_index_of(series: TimeSeries, scores: NDArray[np.float64]) -> TimeSeries:
    """Return scores of shape (T, 1) or (T, C) as a series with the index and dtype of `series`."""
    scores = scores.astype(series.dtype, copy=False)
    if scores.shape[1] == series.width:
        return series.with_values(scores)
    covariates = series.static_covariates
    return TimeSeries.from_times_and_values(
        times=series.time_index,
        values=scores,
        columns=[_JOINT_SCORE],
        # one row describes the series as a whole, several describe components that the scores do not have
        static_covariates=covariates if covariates is not None and len(covariates) == 1 else None,
        metadata=series.metadata,
    )
