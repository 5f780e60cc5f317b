"""Registration of the selection with PyOD's ADEngine, which has no plug-in hook of its own."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from vetime_plugins.errors import InputError

if TYPE_CHECKING:
    from pyod.utils.ad_engine import ADEngine

# The fields of the entries that PyOD ships.
_KNOWLEDGE = {
    "full_name": "Selection of a detector for the series at hand, without labels",
    "status": "shipped",
    "data_types": ["time_series"],
    "category": "time_series",
    "complexity": {"time": "bounded by its parameter budget", "space": "that of its candidates"},
    "strengths": [
        "Compares detectors on the series itself, by synthetic anomalies and by agreement",
        "Falls back on zero-shot VETime where the evidence is weak",
        "Says why",
    ],
    "weaknesses": ["Takes a minute by default", "No choice without labels is safe"],
    "best_for": "A series without labels on which several detectors are plausible",
    "avoid_when": "Rows are independent samples, labels are at hand, or seconds matter",
    "benchmark_refs": [],
    "benchmark_rank": {},
    "paper": {"id": "goswami2023", "short": "after Goswami et al., ICLR 2023"},
    "preprocessing_mode": "external",
    "requires": ["torch"],
}


def register_selection_with_adengine(
    engine: ADEngine, *, name: str = "SelectedDetector", confidence: float = 0.95, **params: Any
) -> ADEngine:
    """Make the selection known to one ADEngine, so that it can plan, build, run and compare it.

    Parameters
    ----------
    engine : pyod.utils.ad_engine.ADEngine
        Changed in place: an entry in ``engine.kb.algorithms`` and a routing rule for time series. Registering
        a name again replaces both. Other engines know nothing of it.
    name : str, default "SelectedDetector"
        The name under which plans and results show it.
    confidence : float in [0, 1], default 0.95
        Rank in plans for ``data_type="time_series"``. PyOD's own time-series rules say 0.70 to 0.85, and
        `vetime_plugins.adapters.pyod.register_with_adengine` says 0.9.
    **params
        Parameters of `SelectedDetector` for the plans, e.g. ``budget=10.0``.

    Returns
    -------
    ADEngine
        The same engine.

    Raises
    ------
    InputError
        If `confidence` is outside [0, 1], `params` are not parameters of `SelectedDetector`, or `name` is a
        detector of PyOD.

    Examples
    --------
    >>> from pyod.utils.ad_engine import ADEngine
    >>> from vetime_plugins.selection import register_selection_with_adengine
    >>> engine = register_selection_with_adengine(ADEngine(), budget=20.0)
    >>> engine.plan_detection({"data_type": "time_series", "n_samples": 2000})["detector_name"]
    'SelectedDetector'
    """
    from vetime_plugins.selection.detector import SelectedDetector

    if not 0 <= confidence <= 1:
        raise InputError(f"confidence must be in [0, 1], got {confidence!r}")
    defaults = SelectedDetector().get_params(deep=False)
    unknown = sorted(set(params) - set(defaults))
    if unknown:
        raise InputError(f"{unknown} are not parameters of SelectedDetector; it has {sorted(defaults)}")
    class_path = f"{SelectedDetector.__module__}.{SelectedDetector.__qualname__}"
    known = engine.kb.get_algorithm(name)
    if known is not None and known["class_path"] != class_path:
        raise InputError(f"{name!r} is another detector ({known['class_path']}); choose another name")
    entry = {**_KNOWLEDGE, "class_path": class_path, "default_params": {**defaults, **params}}
    engine.kb.algorithms[name] = copy.deepcopy(entry)
    rules = engine.kb.routing_rules.setdefault("rules", [])
    rule_id = f"time_series_{name}"
    rules[:] = [rule for rule in rules if rule.get("id") != rule_id]
    rules.append(
        {
            "id": rule_id,
            "conditions": [{"field": "data_type", "op": "eq", "value": "time_series"}],
            "recommendations": [{"detector": name, "params": dict(params), "confidence": confidence}],
            "reason": "Time series without labels: detectors are compared on the series itself.",
            "evidence": ["Goswami et al. 2023"],
        }
    )
    return engine
