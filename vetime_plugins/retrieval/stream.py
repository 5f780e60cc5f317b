"""The evidence of a context that moves on with a stream: what was found before is used again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vetime_plugins.retrieval.config import RetrievalConfig
from vetime_plugins.retrieval.evidence import joined_evidence, usual_period, window_lengths
from vetime_plugins.retrieval.features import standardise
from vetime_plugins.retrieval.places import Workspace
from vetime_plugins.retrieval.sliding import SlidingStatistics, SlidingWindows

Array = NDArray[np.float64]

SHORTEST = 1024
"""Steps of a context from which on it is worth while; a short one is compared as quickly as a whole."""
_FAR = 4.0
"""Times by which deviation and mean may leave those of the unit that stays before another one is taken."""
_LINEAR = 1e-4
"""Deviations from a change of unit that are rounding."""
_ALIKE, _DIFFERENT = 1e-5, 0.9
"""Deviations between values that are alike, and the share of values that must differ."""
_KEPT_PERIODS = 3


class SlidingEvidence:
    """The evidence of a context of one variable that moves on, as `retrieval_evidence` finds it.

    Parameters
    ----------
    config : RetrievalConfig
        With evidence.
    """

    def __init__(self, config: RetrievalConfig) -> None:
        self.config = config
        self._forget()

    def _forget(self) -> None:
        self._values: list[Array] = []
        self._at = 0
        self._workspace = Workspace()
        self._windows: dict[int, SlidingWindows] = {}
        self._statistics: dict[int, SlidingStatistics] = {}

    def find(self, parts: Sequence[Tensor], values: Sequence[Array], at: int) -> Tensor | None:
        """Return the evidence of the context.

        Parameters
        ----------
        parts : sequence of Tensor of shape (1, T_i), float32
            The context, complete, and perhaps references, as for `retrieval_evidence`.
        values : sequence of float64 ndarray of shape (T_i,)
            The same in a unit that stays from step to step.
        at : int
            Steps of the stream up to the end of the context.

        Returns
        -------
        Tensor of shape (1, T), float32, or None
            None where all must be compared anew: the context is short, longer than a bank or never changes,
            extreme values were cut, or values repeat. Then many windows are equally near, and which of them
            counts is up to rounding, which is another one here.
        """
        if not SHORTEST <= len(values[0]) <= self.config.bank_size:
            return None
        with torch.inference_mode():
            standard, moving = standardise(parts)
            if not len(moving) or self._repeats(parts[0].numpy()[0]):
                return None
            if not self._follows(values, at):
                self._forget()
                self._begin(values)
            self._values, self._at = list(values), at
            context = (values[0] - self._centre) / self._unit
            known = [len(context), *(len(one) for one in values[1:])]
            mean = (context.sum() + self._sums[0]) / sum(known)
            square = (np.square(context).sum() + self._sums[1]) / sum(known)
            deviation = float(np.sqrt(max(square - mean**2, 0.0)))
            if not (1 / _FAR < deviation < _FAR and abs(mean) < _FAR):
                self._forget()  # for the next time
                return None
            extremes = np.concatenate([context, self._extremes])
            found = torch.cat(
                [
                    standard[0][0],
                    *(one[0, at] for one, at in zip(standard[1:], self._extreme_at, strict=True)),
                ]
            )
            if np.abs(found.numpy() - (extremes - mean) / deviation).max() > _LINEAR:
                return None
            timeline = torch.cat(standard, dim=1)[0].numpy()
            scales = []
            lengths = window_lengths((*self.config.windows, usual_period(standard)), standard)
            for window in lengths:
                scale = self._windows.pop(window, None) or SlidingWindows(
                    window, known, self.config, self._far, self._workspace
                )
                self._windows[window] = scale
                scale.move_on(context, at)
                scales.append(scale.distances(timeline, 1 / deviation))
            for window in list(self._windows)[: -len(lengths) - _KEPT_PERIODS]:
                del self._windows[window]
            views = []
            for window in dict.fromkeys(window_lengths(self.config.statistics, standard)):
                view = self._statistics.get(window)
                if view is None:
                    view = self._statistics[window] = SlidingStatistics(
                        window, known, self.config, self._far, self._workspace
                    )
                view.move_on(context, at, 1 / deviation)
                views.append(view.distances())
            return joined_evidence(scales, standard, None, self.config, views=views)

    def _repeats(self, values: NDArray[np.float32]) -> bool:
        """Tell whether a good part of the values are equal to others, to within their rounding."""
        return len(np.unique(np.round(values / _ALIKE))) < _DIFFERENT * len(values)

    def _begin(self, values: Sequence[Array]) -> None:
        """Take a unit that stays, and all of the references in it."""
        joined = np.concatenate(values)
        self._centre, self._unit = joined.mean(), joined.std()
        far = [(one - self._centre) / self._unit for one in values[1:]]
        self._far = np.concatenate([np.empty(0), *far])
        self._sums = float(self._far.sum()), float(np.square(self._far).sum())
        self._extreme_at = [[int(one.argmin()), int(one.argmax())] for one in far]
        self._extremes = np.concatenate(
            [np.empty(0), *(one[at] for one, at in zip(far, self._extreme_at, strict=True))]
        )

    def _follows(self, values: Sequence[Array], at: int) -> bool:
        """Tell whether the context overlaps the last one and the references are the same."""
        if [len(one) for one in self._values] != [len(one) for one in values]:
            return False
        new, (last, *others), (context, *far) = at - self._at, self._values, values
        return (
            0 <= new < len(context)
            and np.array_equal(last[new:], context[: len(context) - new])
            and all(map(np.array_equal, others, far))
        )
