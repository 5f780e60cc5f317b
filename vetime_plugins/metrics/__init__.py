"""Metrics of time-series anomaly detection, each computed over all thresholds at once.

`evaluate` gives all of them for one series; every one is also a function of its own. The values equal those
of the evaluation code behind TSB-AD and of the PATE package, in a fraction of the time. Needs numpy and
scipy only. `vetime_plugins.metrics.statistics` compares detectors over many series.
"""

from __future__ import annotations

from vetime_plugins.metrics._best import BestF1
from vetime_plugins.metrics._inputs import explain_undefined
from vetime_plugins.metrics.affiliation import affiliation_f1
from vetime_plugins.metrics.care import CareScore, Frame, care_score, criticality
from vetime_plugins.metrics.pate import pate
from vetime_plugins.metrics.peaks import exact_peak_rate
from vetime_plugins.metrics.pointwise import event_f1, flag_quality, point_adjusted_f1, standard_f1
from vetime_plugins.metrics.ranges import range_f1
from vetime_plugins.metrics.ranking import auc_pr, auc_roc
from vetime_plugins.metrics.suite import METRIC_NAMES, Evaluation, check_metric_names, evaluate
from vetime_plugins.metrics.vus import vus, vus_pr, vus_roc
from vetime_plugins.series.period import DEFAULT_BUFFER, find_buffer

__all__ = [
    "DEFAULT_BUFFER",
    "METRIC_NAMES",
    "BestF1",
    "CareScore",
    "Evaluation",
    "Frame",
    "affiliation_f1",
    "auc_pr",
    "auc_roc",
    "care_score",
    "check_metric_names",
    "criticality",
    "evaluate",
    "event_f1",
    "exact_peak_rate",
    "explain_undefined",
    "find_buffer",
    "flag_quality",
    "pate",
    "point_adjusted_f1",
    "range_f1",
    "standard_f1",
    "vus",
    "vus_pr",
    "vus_roc",
]
