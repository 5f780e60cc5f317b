"""Named corpora: which families, kinds and shares a training run draws from.

``benchmarks/corpus_probe.py`` tells what a recipe teaches before a long run does.
"""

from __future__ import annotations

from vetime_plugins.errors import InputError
from vetime_plugins.synthesis.corpus import CorpusConfig

_GROSS = {
    "spike": 1.5, "burst": 1.8, "dip": 1.6, "zero": 1.2, "level_shift": 1.8, "drift": 1.6, "amplitude": 1.8,
    "variance": 1.0, "ectopic": 1.2, "recovery": 0.6, "change_point": 0.4,
}  # fmt: skip
_SUBTLE = {
    "distortion": 0.4, "missing_cycle": 0.2, "coarse": 0.2, "local_spike": 0.1, "partial_loss": 0.1,
    "frequency": 0.1, "wrong_shape": 0.1, "noise": 0.1, "stuck": 0.1,
}  # fmt: skip
_BETWEEN = {"broken_correlation": 2.5, "lag_change": 1.5, "one_variable": 1.5}

RECIPES: dict[str, CorpusConfig] = {
    # Every family and kind, from barely visible on.
    "classic": CorpusConfig(),
    # Irregular backgrounds, a third of them real, and the anomalies that people report: mostly gross ones
    # of the level and the swing, now and then some that only a comparison of shapes shows, and often one
    # kind a series.
    "mixed": CorpusConfig(
        real_share=0.35,
        repeat_share=0.7,
        severity=(0.35, 1.0),
        stretch=(1.5, 10.0),
        families={
            "periodic": 3, "tone": 0.7, "heart": 1.5, "demand": 2.5, "bursts": 0.7, "aperiodic": 2,
            "machine": 0.2, "telemetry": 0.2, "number": 1.5, "chaotic": 0.1, "events": 0.7, "modulated": 1,
            "process": 0.2, "regimes": 1.5, "metric": 2, "web": 3,
        },
        kinds=_GROSS | _SUBTLE | _BETWEEN,
    ),
}  # fmt: skip
"""Recipes by name. Those with real backgrounds need them: see `vetime_plugins.synthesis.backgrounds`."""


def find_recipe(name: str) -> CorpusConfig:
    """Return a recipe by its name.

    Raises
    ------
    InputError
        Where there is none of this name.
    """
    if name not in RECIPES:
        raise InputError(f"a corpus is one of {', '.join(RECIPES)}; got {name!r}")
    return RECIPES[name]
