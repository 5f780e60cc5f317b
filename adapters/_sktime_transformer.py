"""VETime as an sktime transformer: scores in pipelines, and panels of many series."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from vetime_plugins.adapters._shared import missing_dependency
from vetime_plugins.adapters._sktime import VETimeDetector
from vetime_plugins.errors import InputError

try:
    from sktime.transformations.base import BaseTransformer
except ImportError as error:  # pragma: no cover - the detector was imported before
    raise missing_dependency("VETimeTransformer for sktime", "sktime>=1.0", "sktime") from error

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["VETimeTransformer"]

OUTPUTS = ("scores", "labels")


class VETimeTransformer(BaseTransformer):
    """Scores or labels of a `VETimeDetector` as a transformation: of one series, of a panel, of a hierarchy.

    For where sktime wants a transformer, and for many series: each has a detector of its own, which is fitted
    on it alone. ``sktime.detection.compose.DetectorAsTransformer`` gives labels only and takes one
    variable; ``DetectorPipeline`` has no scores. A transformer in front of this one makes a pipeline that
    has both.

    Parameters
    ----------
    detector : VETimeDetector, optional
        Its parameters are those of every detector; `VETimeDetector()` where it is left out.
    output : {"scores", "labels"}, default "scores"
        A score in [0, 1] for every time point, or 1 where it is anomalous and 0 elsewhere.

    Attributes
    ----------
    detector_ : VETimeDetector
        The fitted copy. Of a panel there is one in each of sktime's ``transformers_``.

    Raises
    ------
    InputError
        On construction and in ``set_params``, if `output` is another one or `detector` is no
        `VETimeDetector`. It is a ``ValueError``.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from vetime_plugins.adapters.sktime import VETimeTransformer
    >>> x = np.sin(np.arange(300) / 4)
    >>> x[200] += 3
    >>> panel = pd.concat({"a": pd.DataFrame({"load": x}), "b": pd.DataFrame({"load": np.roll(x, 50)})})
    >>> scores = VETimeTransformer().fit_transform(panel)
    >>> [int(scores.loc[one, "scores"].idxmax()) for one in ("a", "b")]
    [200, 250]
    """

    _tags: ClassVar[dict[str, Any]] = {
        "authors": ["vetime-plugins developers"],
        "maintainers": ["vetime-plugins developers"],
        "python_version": ">=3.11",
        "python_dependencies": ["torch", "safetensors"],
        "scitype:transform-input": "Series",
        "scitype:transform-output": "Series",
        "scitype:instancewise": False,
        "X_inner_mtype": "pd.DataFrame",
        "y_inner_mtype": "None",
        "capability:multivariate": True,
        "capability:missing_values": True,
        "capability:missing_values:removes": True,
        "capability:unequal_length": True,
        "capability:categorical_in_X": False,
        "transform-returns-same-time-index": True,
        "fit_is_empty": False,
        "property:randomness": "deterministic",
    }

    def __init__(self, detector: VETimeDetector | None = None, output: str = "scores") -> None:
        self.detector = detector
        self.output = output
        super().__init__()

    def __post_init__(self) -> None:
        """Check the parameters; sktime calls this after ``__init__``, so in `clone` and `set_params` too."""
        if self.output not in OUTPUTS:
            raise InputError(f"output must be one of {', '.join(map(repr, OUTPUTS))}, got {self.output!r}")
        if not (self.detector is None or isinstance(self.detector, VETimeDetector)):
            raise InputError(f"detector must be a VETimeDetector, got {type(self.detector).__name__}")

    def _fit(self, X: pd.DataFrame, y: Any = None) -> VETimeTransformer:
        detector = VETimeDetector() if self.detector is None else self.detector.clone()
        self.detector_ = detector.fit(X)
        return self

    def _transform(self, X: pd.DataFrame, y: Any = None) -> pd.DataFrame:
        if self.output == "scores":
            return self.detector_.transform_scores(X)
        return self.detector_.transform(X)

    def _update(self, X: pd.DataFrame, y: Any = None) -> VETimeTransformer:
        self.detector_.update(X)
        return self

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Return the settings that sktime's own test suite tries.

        Parameters
        ----------
        parameter_set : str, default "default"
            There is only this one.

        Returns
        -------
        list of dict
            Arguments of the constructor.
        """
        return [{}, {"detector": VETimeDetector(threshold="std", readout="point"), "output": "labels"}]
