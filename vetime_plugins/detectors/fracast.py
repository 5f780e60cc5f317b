"""Detectors of the leaderboard: the error of forecasts by Fracast-0, a small forecasting network.

The package `fracast` brings the weights (85,001 parameters) in its wheel.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from vetime_plugins.detectors.registry import Job, built_in

_FEWEST = 64  # points before the first forecast; the package asks for 8, of which nobody could tell a cycle
_ROWS = 16  # contexts in one pass: few fit the cache of a core; 64 take 2.7 times as long on one


# Its corpora are public ones of forecasting. As far as we know they share one source with the labelled sets
# that this package has tasks for: the counts of New York's taxis, of which NAB has a series.
@built_in(
    "fracast-residual",
    sees_train=False,
    multivariate=True,
    requires=("fracast", "torch"),
    uses_gpu=True,
    slow=True,
    trained_on=("NAB",),
)
def _residual(job: Job, *, horizon: int = 48, checkpoint: str = "w8") -> Callable[[], ArrayLike]:
    """Return the distance to the forecast median: the largest of the variables, in their deviations, (T,).

    Each stretch of `horizon` points is forecast from at most 2,048 points before it, so that an anomaly that
    lasts longer becomes what is expected. `checkpoint` is "w8" or "fp32", as in the package.
    """
    import torch
    from fracast import FracastModel

    device = (
        "cuda" if job.device == "auto" and torch.cuda.is_available() else job.device.replace("auto", "cpu")
    )
    model = FracastModel.from_pretrained(weights=checkpoint, device=device)
    middle = model.quantiles.index(0.5)

    def score() -> ArrayLike:
        n_points = len(job.values)
        starts = np.arange(_FEWEST, n_points, horizon)
        scores = np.full(n_points, np.nan)
        for column in job.values.T:
            deviation = column.std() or 1.0
            padded = np.concatenate([np.full(model.context_length, np.nan), column])
            contexts = np.lib.stride_tricks.sliding_window_view(padded, model.context_length)[starts]
            parts = [
                model.forecast_batch(contexts[first : first + _ROWS], horizon=horizon)[..., middle]
                for first in range(0, len(starts), _ROWS)
            ]
            forecast = np.concatenate([np.empty(0), *map(np.ravel, parts)])[: n_points - _FEWEST]
            error = np.abs(column[_FEWEST:] - forecast) / deviation
            scores[_FEWEST:] = np.fmax(scores[_FEWEST:], error)
        return scores

    return score
