"""Merlion post-rules that label with the package's thresholds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vetime_plugins.adapters._shared import missing_dependency
from vetime_plugins.errors import InputError
from vetime_plugins.thresholds import check_contamination, check_rule, find_threshold

try:
    from merlion.post_process.sequence import PostRuleSequence
    from merlion.post_process.threshold import Threshold
    from merlion.utils import TimeSeries, UnivariateTimeSeries
    from merlion.utils.misc import call_with_accepted_kwargs
except ImportError as error:
    raise missing_dependency("VETimeDetector for Merlion", "salesforce-merlion>=2.0.4", "merlion") from error

if TYPE_CHECKING:
    from merlion.evaluate.anomaly import TSADMetric

HOME = "vetime_plugins.adapters.merlion"
"""Where Merlion finds the classes by name."""


class VETimeThreshold(Threshold):
    """Post-rule that keeps every score above a threshold that one of the package's rules sets.

    Merlion's own ``AggregateAlarms`` raises one alarm for a long anomaly; this rule labels all of its points.

    Parameters
    ----------
    rule : {"auto", "quantile", "std", "pot"} or float, default "auto"
        How `train` finds the threshold (see `vetime_plugins.thresholds.find_threshold`); a number is the
        threshold itself.
    contamination : float in (0, 0.5], default 0.1
        Expected share of anomalous points; used by ``"quantile"``.
    alm_threshold : float, optional
        The threshold in force. Set by `train`, and from the start where `rule` is a number.
    abs_score : bool, default True
        Compare the size of the score and not its sign, as Merlion's thresholds do.

    Raises
    ------
    InputError
        If `rule` or `contamination` is outside its range.
    """

    alm_threshold: float | None  # which the base class sets

    def __init__(
        self,
        rule: str | float = "auto",
        contamination: float = 0.1,
        alm_threshold: float | None = None,
        abs_score: bool = True,
    ) -> None:
        self.rule = check_rule(rule)
        check_contamination(contamination)
        self.contamination = float(contamination)
        if alm_threshold is None and isinstance(self.rule, float):
            alm_threshold = self.rule
        super().__init__(alm_threshold=alm_threshold, abs_score=abs_score)

    def to_dict(self) -> dict[str, Any]:
        """Return the parameters under a name that Merlion's factory can import without a registration."""
        return {**super().to_dict(), "name": f"{HOME}:{type(self).__name__}"}

    def __call__(self, time_series: TimeSeries) -> TimeSeries:
        """Return the scores with everything that is not above the threshold set to 0."""
        if self.alm_threshold is None:
            msg = (
                f"the {self.rule!r} threshold has not been set: call train(...) first, or give a fixed "
                "score, e.g. threshold=0.5, which needs no training data"
            )
            raise InputError(msg)
        # Merlion keeps scores >= its threshold, this package only those > it: hence the next larger number.
        return Threshold(np.nextafter(self.alm_threshold, np.inf), self.abs_score)(time_series)

    def train(
        self,
        anomaly_scores: TimeSeries,
        anomaly_labels: TimeSeries | None = None,
        metric: TSADMetric | None = None,
        unsup_quantile: float | None = None,
        max_early_sec: float | None = None,
        max_delay_sec: float | None = None,
        min_allowed_score: float | None = None,
    ) -> TimeSeries:
        """Set the threshold from scores, or from scores and labels.

        Labels with at least one anomaly, together with a `metric`, tune the threshold as Merlion's own does,
        and `unsup_quantile` overrides the rule. A threshold that is set stays where both are None: this is
        what `TSADEvaluator` passes when it re-trains a model and means its post-rule to stay as it is.

        Returns
        -------
        TimeSeries
            The thresholded scores.
        """
        if self.alm_threshold is None or metric is not None or unsup_quantile is not None:
            scores = anomaly_scores.to_pd().to_numpy()[:, 0]
            scores = np.abs(scores) if self.abs_score else scores
            self.alm_threshold = find_threshold(scores, self.rule, contamination=self.contamination)
        return super().train(
            anomaly_scores,
            anomaly_labels=anomaly_labels,
            metric=metric,
            unsup_quantile=unsup_quantile,
            max_early_sec=max_early_sec,
            max_delay_sec=max_delay_sec,
            min_allowed_score=min_allowed_score,
        )


class LabelRule(PostRuleSequence):
    """Calibrator and `VETimeThreshold`, of which the threshold judges the raw scores.

    Merlion would apply it to the calibrated ones. There "mean + 3 std" or a fixed score would mean something
    else than in the other adapters; and the calibrator is flat, or even turns round, outside the scores it
    was trained on.
    """

    def train(self, anomaly_scores: TimeSeries, **kwargs: Any) -> TimeSeries:
        for rule in self.post_rules:
            call_with_accepted_kwargs(rule.train, anomaly_scores=anomaly_scores, **kwargs)
        return self(anomaly_scores)

    def __call__(self, anomaly_scores: TimeSeries) -> TimeSeries:
        calibrator, threshold = self.post_rules
        calibrated = calibrator(anomaly_scores).to_pd()
        flagged = threshold(anomaly_scores).to_pd().to_numpy() != 0
        # A fixed threshold may lie below all training scores, where the calibrator answers 0, which means
        # "normal".
        labels = calibrated.clip(lower=np.finfo(float).tiny).where(flagged, 0.0)
        return UnivariateTimeSeries.from_pd(labels, name=anomaly_scores.names[0]).to_ts()
