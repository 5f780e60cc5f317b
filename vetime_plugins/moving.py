"""The windows of a stream, read one after the other: what was found for the last one is used again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vetime_plugins._threads import threads_for
from vetime_plugins.network.config import VETimeConfig
from vetime_plugins.network.evidence import find_evidence
from vetime_plugins.reading import Margins, Reading
from vetime_plugins.retrieval.stream import SHORTEST, SlidingEvidence
from vetime_plugins.series.inputs import Series
from vetime_plugins.series.overlap import find_beside

if TYPE_CHECKING:
    from torch import Tensor

    from vetime_plugins.pipeline import VETimePipeline

__all__ = ["MovingContext"]


class MovingContext:
    """Scores of windows that follow one another, each equal to that of `VETimePipeline.score`.

    Parameters
    ----------
    pipeline : VETimePipeline
        One for which `suits` is true.
    """

    def __init__(self, pipeline: VETimePipeline) -> None:
        config = pipeline.config
        assert isinstance(config, VETimeConfig)
        assert config.retrieval is not None
        self.pipeline, self._config = pipeline, config
        self._evidence = SlidingEvidence(config.retrieval)

    @staticmethod
    def suits(pipeline: VETimePipeline, window: Series) -> bool:
        """Tell whether anything is gained: one variable, scored by the evidence alone, on a CPU."""
        config = pipeline.config
        return (
            isinstance(config, VETimeConfig)
            and config.evidence_alone
            and config.retrieval is not None
            and config.retrieval.has_evidence
            and pipeline.device.type == "cpu"
            and window.n_variables == 1
            and len(window) >= SHORTEST
        )

    def score(
        self, window: Series, at: int, references: Sequence[Series], readout: str | None
    ) -> NDArray[np.float64]:
        """Return the scores (T,) of a window that ends after `at` steps of the stream."""

        def recall(parts: list[Tensor], values: list[NDArray[np.float64]]) -> Tensor | None:
            found = self._evidence.find(parts, values, at)
            return None if found is None else found.T

        beside = find_beside(window, references)
        with threads_for(len(window)):
            margins = Margins(*find_evidence(window, self._config, beside, recall))
        usual = self.pipeline.usual_beside(beside) if beside else None
        return Reading(margins, usual).scores(self._config, readout or self._config.readout)
