"""Registration of detectors with PyOD's ADEngine, which has no plug-in hook of its own."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from vetime_plugins.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyod.utils.ad_engine import ADEngine
    from sklearn.base import BaseEstimator

# The fields of the entries that PyOD ships. Nothing here has a rank in the benchmarks that PyOD knows.
_OF_ALL = {
    "status": "shipped",
    "data_types": ["time_series"],
    "category": "time_series",
    "benchmark_refs": [],
    "benchmark_rank": {},
    "preprocessing_mode": "external",
    "requires": ["torch"],
}
KNOWLEDGE = {
    "full_name": "VETime: Vision Enhanced Zero-Shot Time Series Anomaly Detection",
    "complexity": {"time": "O(n)", "space": "O(n)"},
    "strengths": [
        "Zero-shot: no training and no window size to choose",
        "One score for each time step, whatever the length",
        "Univariate and multivariate, with gaps",
    ],
    "weaknesses": ["Needs PyTorch", "Scores a whole series at once: a score may depend on later points"],
    "best_for": "Point and subsequence anomalies in series without labels or clean training data",
    "avoid_when": "Rows are independent samples, or have no order in time",
    "paper": {"id": "vetime", "short": "VETime, arXiv 2602.16681, 2026"},
}


def add_algorithm(
    engine: ADEngine,
    detector: BaseEstimator,
    knowledge: Mapping[str, Any],
    *,
    name: str,
    confidence: float,
    params: Mapping[str, Any],
    reason: str,
    evidence: str,
) -> ADEngine:
    """Write an entry and a routing rule for time series into one engine, in place of those of the same name.

    Parameters
    ----------
    engine : pyod.utils.ad_engine.ADEngine
        Changed in place.
    detector : BaseEstimator
        With default parameters.
    knowledge : mapping
        The fields of the entry that describe it, besides those that all entries of this package share.
    name, confidence, params
        As in `vetime_plugins.adapters.pyod.register_with_adengine`.
    reason, evidence : str
        What plans say for it.

    Returns
    -------
    ADEngine
        The same engine.

    Raises
    ------
    InputError
        If `confidence` is outside [0, 1], `params` are not parameters of the detector, or `name` is another
        detector.
    """
    kind = type(detector)
    if not 0 <= confidence <= 1:
        raise InputError(f"confidence must be in [0, 1], got {confidence!r}")
    defaults = detector.get_params(deep=False)
    unknown = sorted(set(params) - set(defaults))
    if unknown:
        raise InputError(f"{unknown} are not parameters of {kind.__name__}; it has {sorted(defaults)}")
    class_path = f"{kind.__module__}.{kind.__qualname__}"
    known = engine.kb.get_algorithm(name)
    if known is not None and known["class_path"] != class_path:
        raise InputError(f"{name!r} is another detector ({known['class_path']}); choose another name")
    entry = {**_OF_ALL, **knowledge, "class_path": class_path, "default_params": {**defaults, **params}}
    engine.kb.algorithms[name] = copy.deepcopy(entry)
    rules = engine.kb.routing_rules.setdefault("rules", [])
    rule_id = f"time_series_{name}"
    rules[:] = [rule for rule in rules if rule.get("id") != rule_id]
    rules.append(
        {
            "id": rule_id,
            "conditions": [{"field": "data_type", "op": "eq", "value": "time_series"}],
            "recommendations": [{"detector": name, "params": dict(params), "confidence": confidence}],
            "reason": reason,
            "evidence": [evidence],
        }
    )
    return engine
