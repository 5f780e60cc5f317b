"""Registration of the selection with PyOD's ADEngine, which has no plug-in hook of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyod.utils.ad_engine import ADEngine

_KNOWLEDGE = {
    "full_name": "Selection of a detector for the series at hand, without labels",
    "complexity": {"time": "bounded by its parameter budget", "space": "that of its candidates"},
    "strengths": [
        "Compares detectors on the series itself, by synthetic anomalies and by agreement",
        "Falls back on zero-shot VETime where the evidence is weak",
        "Says why",
    ],
    "weaknesses": ["Takes a minute by default", "No choice without labels is safe"],
    "best_for": "A series without labels on which several detectors are plausible",
    "avoid_when": "Rows are independent samples, labels are at hand, or seconds matter",
    "paper": {"id": "goswami2023", "short": "after Goswami et al., ICLR 2023"},
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
    from vetime_plugins.adapters._adengine import add_algorithm
    from vetime_plugins.selection.selected import SelectedDetector

    return add_algorithm(
        engine,
        SelectedDetector(),
        _KNOWLEDGE,
        name=name,
        confidence=confidence,
        params=params,
        reason="Time series without labels: detectors are compared on the series itself.",
        evidence="Goswami et al. 2023",
    )
