"""VETime as a Merlion anomaly detector."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from vetime_plugins._arguments import check_whole
from vetime_plugins.adapters._merlion_rules import HOME, LabelRule, VETimeThreshold
from vetime_plugins.adapters._shared import (
    check_max_reference,
    check_width,
    latest,
    load_pipeline,
    missing_dependency,
    telling,
)
from vetime_plugins.errors import InputError
from vetime_plugins.incidents import find_incidents
from vetime_plugins.series.inputs import as_series
from vetime_plugins.thresholds import check_contamination, check_rule

try:
    import pandas as pd
    from merlion.models import factory
    from merlion.models.anomaly.base import DetectorBase, DetectorConfig
    from merlion.post_process.base import PostRuleBase
    from merlion.post_process.sequence import PostRuleSequence
    from merlion.utils import TimeSeries, UnivariateTimeSeries
except ImportError as error:
    raise missing_dependency("VETimeDetector for Merlion", "salesforce-merlion>=2.0.4", "merlion") from error

if TYPE_CHECKING:
    from vetime_plugins.incidents import Incidents

__all__ = ["VETimeDetector", "VETimeDetectorConfig", "VETimeThreshold"]


class VETimeDetectorConfig(DetectorConfig):
    """Configuration of `VETimeDetector`: every parameter has a default and survives JSON.

    Parameters
    ----------
    weights : str or path, default "small"
        Bundled name or folder of a checkpoint.
    device : str, default "auto"
        ``"auto"``, ``"cpu"``, ``"cuda"``, ...
    dtype : str, default "float32"
        Number format the network computes in.
    readout : {None, "point", "window"}, default None
        None is the checkpoint's own; ``"point"`` is sharp, ``"window"`` smoothed at the period.
    threshold : {"auto", "quantile", "std", "pot"}, float, post-rule or dict, default "auto"
        Rule that turns scores into labels. A name or a number becomes a `VETimeThreshold`, judges raw scores
        and means the same in every adapter. Any Merlion post-rule (``AggregateAlarms``, ``Threshold``, ...)
        or its dictionary is used as it is, on calibrated scores. None is Merlion's default,
        ``AggregateAlarms(alm_threshold=3)``.
    contamination : float in (0, 0.5], default 0.1
        Expected share of anomalous points in the training data; used by the rule ``"quantile"``. A
        `VETimeThreshold` given as `threshold` brings its own.
    max_reference : int, default 20000
        How many of the latest training points `VETimeDetector.train` keeps as reference data.
    context : int, default 512
        Length of the window that the first row of a series is scored in: itself and the latest ``context -
        1`` rows of ``time_series_prev``. Row by row this is `vetime_plugins.streaming.StreamingVETime`.
    **kwargs
        Merlion's own: ``transform``, ``max_score``, ``enable_calibrator``, ``enable_threshold``.

    Raises
    ------
    InputError
        If a parameter is outside its range.
    """

    def __init__(
        self,
        weights: str | os.PathLike[str] = "small",
        device: str = "auto",
        dtype: str = "float32",
        readout: str | None = None,
        threshold: str | float | PostRuleBase | dict[str, Any] | None = "auto",
        contamination: float = 0.1,
        max_reference: int = 20_000,
        context: int = 512,
        **kwargs: Any,
    ) -> None:
        self.weights = os.fspath(weights)
        self.device = str(device)
        self.dtype = dtype
        self.readout = readout
        self.max_reference = check_max_reference(max_reference)
        self.context = check_whole("context", context, meaning="the length of a row's window")
        self.contamination = contamination
        super().__init__(threshold=threshold, **kwargs)

    @classmethod
    def from_dict(
        cls,
        config_dict: dict[str, Any],
        return_unused_kwargs: bool = False,
        dim: int | None = None,
        calibrator: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> VETimeDetectorConfig | tuple[VETimeDetectorConfig, dict[str, Any]]:
        """Return the configuration that `to_dict` gave, with `kwargs` in place of what it says.

        The base class refuses such replacements, so that a model saved on a GPU could not be loaded
        elsewhere.
        """
        return super().from_dict(
            {**config_dict, **kwargs}, return_unused_kwargs, dim=dim, calibrator=calibrator
        )

    @property
    def contamination(self) -> float:
        """Expected share of anomalous points in the training data."""
        return self._contamination

    @contamination.setter
    def contamination(self, contamination: float) -> None:
        check_contamination(contamination)
        self._contamination = float(contamination)
        if isinstance(self.threshold, VETimeThreshold):
            self.threshold.contamination = self._contamination

    @property
    def threshold(self) -> PostRuleBase | None:
        """The post-rule; a rule's name or a number may be assigned as well."""
        return getattr(self, "_threshold", None)

    @threshold.setter
    def threshold(self, threshold: str | float | PostRuleBase | None) -> None:
        if threshold is not None and not isinstance(threshold, PostRuleBase):
            threshold = VETimeThreshold(threshold, self.contamination)
        elif isinstance(threshold, VETimeThreshold):
            self._contamination = threshold.contamination
        self._threshold = threshold

    @property
    def post_rule(self) -> PostRuleSequence:
        """Calibration and thresholding, each where it is enabled."""
        rule = super().post_rule
        if len(rule.post_rules) == 2 and isinstance(self.threshold, VETimeThreshold):
            return LabelRule(rule.post_rules)
        return rule


class VETimeDetector(DetectorBase):
    """Zero-shot anomaly detector: training data is reference data, the network itself is never trained.

    Parameters
    ----------
    config : VETimeDetectorConfig, optional
        The default configuration where it is left out.

    Notes
    -----
    Scores can be had without `train`. Labels need it, for the threshold and the calibrator, unless
    ``threshold`` is a number. The model holds no weights: copies and files of it are small, and the models of
    a process share one network.
    """

    config_class = VETimeDetectorConfig

    def __init__(self, config: VETimeDetectorConfig | None = None) -> None:
        super().__init__(self.config_class() if config is None else config)
        self._reference: np.ndarray | None = None  # (T_ref, C), after the transform

    @property
    def require_even_sampling(self) -> bool:
        """False: rows are taken in their order, whatever the time between them."""
        return False

    @property
    def require_univariate(self) -> bool:
        """False: all variables are scored jointly."""
        return False

    @property
    def auto_align(self) -> bool:
        """False: aligning drops the rows that only some variables have, and the network bridges such gaps."""
        return False

    @property
    def _default_post_rule_train_config(self) -> dict[str, Any]:
        config = super()._default_post_rule_train_config
        # The base class derives a quantile from its default threshold; a rule of this package knows its own.
        return {**config, "unsup_quantile": None} if isinstance(self.threshold, VETimeThreshold) else config

    def train_pre_process(self, train_data: TimeSeries) -> TimeSeries:
        """Train and apply the transform, and note the sampling of the training data.

        Unlike the base class it takes series of any sampling: Merlion 2.0.4 infers the granularity of an
        irregular series with a call that scipy 1.17 no longer accepts, and rejects a single row.

        Parameters
        ----------
        train_data : TimeSeries
            Of any sampling; variables may miss time stamps.

        Returns
        -------
        TimeSeries
            The transformed data.

        Raises
        ------
        InputError
            If there are no rows.
        """
        train_data = TimeSeries.from_pd(train_data)
        if train_data.is_empty():
            raise InputError("VETimeDetector for Merlion needs training data of at least one row, got none")
        self.train_data = train_data
        self.config.dim = train_data.dim
        self.transform.train(train_data)
        train_data = self.transform(train_data)
        index = pd.DatetimeIndex(train_data.to_pd().index)
        steps = pd.Series(index).diff().mode()  # empty for a single row
        self.timedelta = index.freq or (steps[0] if len(steps) else None)
        self.last_train_time = index[-1]
        return train_data

    def _train(self, train_data: pd.DataFrame, train_config: object = None) -> pd.DataFrame:
        self._reference = latest(train_data.to_numpy(dtype=float), self.config.max_reference).copy()
        return self._score(train_data)

    def get_anomaly_score(
        self, time_series: TimeSeries, time_series_prev: TimeSeries | None = None
    ) -> TimeSeries:
        """Return the raw anomaly scores, one for each row of the (transformed) series.

        Parameters
        ----------
        time_series : TimeSeries
            The series to score.
        time_series_prev : TimeSeries, optional
            What came before it. Its last ``context - 1`` rows are looked at as well, and only the
            rows of `time_series` get a score. Rows that are not older than `time_series` are ignored.

        Returns
        -------
        TimeSeries
            The univariate ``anom_score``, in [0, 1].

        Raises
        ------
        InputError
            If the number of variables is not that of the training data.
        """
        rows, prev = self._rows(time_series, time_series_prev)
        return UnivariateTimeSeries.from_pd(self._get_anomaly_score(rows, prev), name="anom_score").to_ts()

    def _rows(
        self, time_series: TimeSeries, time_series_prev: TimeSeries | None
    ) -> tuple[pd.DataFrame, pd.DataFrame | None]:
        """Return the transformed rows to score, and those of the context before them."""
        time_series, time_series_prev = TimeSeries.from_pd(time_series), TimeSeries.from_pd(time_series_prev)
        for given in (time_series, time_series_prev):
            if given is not None:
                check_width(type(self).__name__, self.dim or time_series.dim, given.dim)
        if time_series_prev is not None and not time_series.is_empty():
            time_series_prev, _ = time_series_prev.bisect(time_series.t0, t_in_left=False)
        time_series, time_series_prev = self.transform_time_series(time_series, time_series_prev)
        return time_series.to_pd(), None if time_series_prev is None else time_series_prev.to_pd()

    def _context(self, prev: pd.DataFrame | None) -> pd.DataFrame | None:
        """Return the rows before the first one to score that are looked at."""
        return None if prev is None else prev.iloc[max(len(prev) - (self.config.context - 1), 0) :]

    def incidents(
        self,
        time_series: TimeSeries,
        time_series_prev: TimeSeries | None = None,
        *,
        threshold: str | float | None = None,
    ) -> Incidents:
        """Say what happened in a series: when, how badly, of what kind, in which variables.

        Parameters
        ----------
        time_series, time_series_prev : TimeSeries
            As for `get_anomaly_score`.
        threshold : str or float, optional
            Rule or number for the raw scores, in place of the model's threshold. A rule is applied to the
            scores of the training data, before `train` to those of the series. Where the model has a
            post-rule of Merlion, which judges calibrated scores, ``"auto"`` takes its place.

        Returns
        -------
        vetime_plugins.Incidents
            The most severe first, on the time stamps of the (transformed) rows; ``to_frame()`` makes a
            DataFrame of it.

        Raises
        ------
        InputError
            As `get_anomaly_score` does, if there are no rows, or if `threshold` is neither a rule nor a
            number.
        """
        rows, prev = self._rows(time_series, time_series_prev)
        prev = self._context(prev)
        if not len(rows):
            raise InputError("incidents needs at least one row after the transform, got none")
        if threshold is None:
            own = self.threshold
            ours = isinstance(own, VETimeThreshold)
            threshold = (own.rule if own.alm_threshold is None else own.alm_threshold) if ours else "auto"
        config = self.config
        found = load_pipeline(config.weights, device=config.device, dtype=config.dtype).detect(
            rows if prev is None else pd.concat([prev, rows]),
            reference=None if self._reference is None else telling(self._reference),
            readout=config.readout,
            threshold=check_rule(threshold),
            contamination=config.contamination,
        )
        if prev is None:
            return found.incidents
        last = slice(-len(rows), None)
        return find_incidents(
            found.scores[last], rows, threshold=found.threshold, variable_scores=found.variable_scores[last]
        )

    def _get_anomaly_score(
        self, time_series: pd.DataFrame, time_series_prev: pd.DataFrame | None = None
    ) -> pd.DataFrame:
        return self._score(time_series, self._context(time_series_prev))

    def _score(self, rows: pd.DataFrame, context: pd.DataFrame | None = None) -> pd.DataFrame:
        """Score `rows` after `context`; one row out for each of `rows`, none for the context."""
        scores = np.empty(0)
        if len(rows):
            series = rows if context is None else pd.concat([context, rows])
            config = self.config
            pipeline = load_pipeline(config.weights, device=config.device, dtype=config.dtype)
            values = as_series(series.to_numpy(dtype=float), names=series.columns)
            reference = None if self._reference is None else telling(self._reference)
            scores = pipeline.score(values, reference=reference, readout=config.readout)[-len(rows) :]
        return pd.DataFrame({"anom_score": scores}, index=rows.index)


factory.import_alias[VETimeDetector.__name__] = f"{HOME}:{VETimeDetector.__name__}"
