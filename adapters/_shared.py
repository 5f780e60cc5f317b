"""What the adapters share: default parameters, their checks, the way to the network, the common messages."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np

from vetime_plugins._arguments import check_whole
from vetime_plugins.errors import InputError, MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from pandas import DataFrame

    from vetime_plugins.incidents import Incidents
    from vetime_plugins.pipeline import VETimePipeline

Rows = TypeVar("Rows", "NDArray[Any]", "DataFrame")

DEFAULTS: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "weights": "small",
        "device": "auto",
        "dtype": "float32",
        "readout": None,
        "threshold": "auto",
        "contamination": 0.1,
        "max_reference": 20_000,
    }
)
"""Parameters that mean the same in every adapter; the signatures repeat the defaults as literals.

PyOD's contract is that `contamination` decides, so `threshold` is "quantile" there.
"""


def missing_dependency(adapter: str, requirement: str, extra: str) -> MissingDependencyError:
    """Return the error to raise where `adapter`'s framework cannot be imported.

    Parameters
    ----------
    adapter : str
        What the user asked for, e.g. ``"VETimeDetector for sktime"``.
    requirement : str
        The missing requirement, e.g. ``"sktime>=1.0"``.
    extra : str
        The extra of this distribution that brings it, e.g. ``"sktime"``.
    """
    msg = f'{adapter} needs {requirement}; run: pip install "vetime-plugins[{extra}]"'
    return MissingDependencyError(msg)


def without_framework(error: MissingDependencyError, names: Sequence[str]) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of an adapter whose framework is missing: `error` for each of its names."""
    message, cause = str(error), error.__cause__

    def get(name: str) -> Any:
        if name in names:
            raise MissingDependencyError(message) from cause
        raise AttributeError(name)

    return get


def at_home(module: str, *names: Any) -> None:
    """Let classes and functions say that they are of `module`, where pickles and registries look for them."""
    for one in names:
        one.__module__ = module


def load_pipeline(weights: str | Path, *, device: str, dtype: str) -> VETimePipeline:
    """Return the process-wide pipeline of these weights; imports torch, so call it only to score."""
    from vetime_plugins.pipeline import cached_pipeline

    return cached_pipeline(weights, device=device, dtype=dtype)


def leaders(incidents: Incidents, positions: NDArray[np.intp]) -> list[list[int]]:
    """Return for each time step the variables that lead the incident it is in, or else the nearest one."""
    found = incidents.in_order()
    if not found:  # where something is flagged there is one
        return [[] for _ in positions]
    away = np.array([np.maximum(one.start - positions, positions - one.end) for one in found])
    return [[variable.index for variable in found[i].leading()] for i in away.argmin(axis=0)]


def check_max_reference(max_reference: object) -> int:
    """Return `max_reference` as an int >= 1, or raise `InputError`."""
    return check_whole("max_reference", max_reference, meaning="how many points fit keeps")


def latest(series: Rows, max_reference: object) -> Rows:
    """Return the last `max_reference` rows of an array or DataFrame: what ``fit`` keeps."""
    return series[-check_max_reference(max_reference) :]


def telling(reference: Rows) -> Rows | None:
    """Return a reference if it has a value of every variable: else, after an outage, it tells nothing."""
    return None if np.isnan(np.asarray(reference, dtype=np.float64)).all(axis=0).any() else reference


def check_width(adapter: str, fitted: int, given: int) -> None:
    """Raise `InputError` where data of `given` variables meet a detector fitted on `fitted` variables."""
    if fitted != given:
        msg = f"{adapter} was fitted on {fitted} variable(s), got {given}; pass the same ones or fit again"
        raise InputError(msg)
