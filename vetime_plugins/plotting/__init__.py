"""Pictures of a series, its scores, and how the model came to them.

Names are loaded on first use, so that importing the package does not import matplotlib.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vetime_plugins._lazy import lazy_names

if TYPE_CHECKING:
    from vetime_plugins.plotting.figures import plot_explanation, plot_scores, save_figure

__all__ = ["plot_explanation", "plot_scores", "save_figure"]

__getattr__, __dir__ = lazy_names(__name__, dict.fromkeys(__all__, "figures"))
