"""What a detector inherits where PyOD is not installed: the part of its interface that everybody uses."""

from __future__ import annotations

import inspect
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vetime_plugins.errors import InputError
from vetime_plugins.thresholds import check_contamination, find_threshold

__all__ = ["PlainBase"]


class PlainBase:
    """Parameters as in scikit-learn, labels as in PyOD.

    Subclasses store their parameters unaltered in ``__init__`` and implement `fit` and `decision_function`.
    """

    threshold: str | float
    decision_scores_: NDArray[np.float64]
    threshold_: float
    labels_: NDArray[np.int_]

    def __init__(self, contamination: Any = 0.1) -> None:
        check_contamination(contamination)
        self.contamination = contamination

    @classmethod
    def _parameter_names(cls) -> list[str]:
        return sorted(name for name in inspect.signature(cls.__init__).parameters if name != "self")

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters by name; with `deep` those of parameters that have some, too."""
        params: dict[str, Any] = {}
        for name in self._parameter_names():
            value = params[name] = getattr(self, name)
            if deep and hasattr(value, "get_params") and not isinstance(value, type):
                params |= {f"{name}__{key}": one for key, one in value.get_params().items()}
        return params

    def set_params(self, **params: Any) -> Self:
        """Set parameters; ``name__key`` sets one of the parameter `name`."""
        known = self._parameter_names()
        for full, value in params.items():
            name, _, key = full.partition("__")
            if name not in known:
                raise InputError(f"{type(self).__name__} has no parameter {name!r}; it has {known}")
            if key:
                getattr(self, name).set_params(**{key: value})
            else:
                setattr(self, name, value)
        return self

    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Fit on one series; subclasses say how."""
        raise NotImplementedError

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Score one series; subclasses say how."""
        raise NotImplementedError

    def predict(self, X: ArrayLike) -> NDArray[np.int_]:
        """Label each row of a series: 1 where its score is greater than ``threshold_``, else 0."""
        return (self.decision_function(X) > self.threshold_).astype(int)

    def fit_predict(self, X: ArrayLike, y: Any = None) -> NDArray[np.int_]:
        """Fit on one series and return its labels."""
        return self.fit(X, y).labels_

    def _set_n_classes(self, y: Any) -> Self:
        return self

    def _process_decision_scores(self) -> Self:
        self.threshold_ = find_threshold(
            self.decision_scores_, self.threshold, contamination=self.contamination
        )
        self.labels_ = (self.decision_scores_ > self.threshold_).astype(int)
        return self

    def __repr__(self) -> str:
        params = ", ".join(f"{name}={value!r}" for name, value in self.get_params(deep=False).items())
        return f"{type(self).__name__}({params})"
