"""Choosing detectors by name: with other parameters, by a pattern, or out of a module.

``pyod-knn``
    A detector of the leaderboard, see `vetime_plugins.detectors.registry`.
``pyod-knn(n_neighbors=10, window=50)``
    With other parameters.
``pyod-*``
    All whose names fit.
``package.module:name``
    Any detector, any function from a series, (T,) or (T, C), to its scores, (T,), or a function without
    arguments that makes a detector. The module may be a file in the current folder.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from vetime_plugins import detectors
from vetime_plugins.detectors.framework import FrameworkDetector
from vetime_plugins.detectors.registry import with_params
from vetime_plugins.errors import InputError, MissingDependencyError

__all__ = ["Chosen", "choose", "default_detectors", "fast_detectors", "installed", "left_out", "split_names"]

_SHOWN = 6  # names; more are a number

_SPEC = re.compile(r"(?P<name>[^()]+?)\s*(?:\((?P<arguments>.*)\))?", re.DOTALL)


@dataclass(frozen=True)
class Chosen:
    """A detector, and what results call it: its name, and its parameters where they are not its defaults.

    `parameters` are all of them, as JSON can hold them.
    """

    name: str
    detector: Any
    parameters: dict[str, Any]


@dataclass(frozen=True)
class _Function:
    """A detector made of a plain function."""

    name: str
    function: Callable[[np.ndarray], ArrayLike]
    framework: str = "python"
    params: Mapping[str, Any] = field(default_factory=dict)
    sees_train: bool = False
    supports_multivariate: bool = True

    def fit_score(
        self, values: ArrayLike, train_length: int, period: int | None = None, seed: int = 0
    ) -> np.ndarray:
        """Return what the function returns."""
        series = np.asarray(values, dtype=np.float64)
        scores = self.function(series[:, 0] if series.shape[1] == 1 else series)
        return np.asarray(scores, dtype=np.float64)


def choose(specs: Sequence[str | Any]) -> list[Chosen]:
    """Return the detectors that are asked for, in the order asked for, none twice.

    Raises
    ------
    InputError
        If there is no such detector or parameter, or nothing is asked for.

    Examples
    --------
    >>> [one.name for one in choose(["sub-knn(n_neighbors=3)", "sub-p*"])]
    ['sub-knn(n_neighbors=3)', 'sub-pca']
    """
    found = [
        one for spec in specs for one in ([_named(spec, {})] if not isinstance(spec, str) else _read(spec))
    ]
    if not found:
        raise InputError(f"no detector is asked for; there are {', '.join(detectors.names())}")
    chosen: dict[str, Chosen] = {}
    for one in found:
        other = chosen.setdefault(one.name, one)
        if other.detector is not one.detector and other.parameters != one.parameters:
            raise InputError(f"two different detectors are called {one.name}")
    return list(chosen.values())


def fast_detectors() -> list[str]:
    """Return the names of the built-in detectors that take seconds, not minutes, installed or not."""
    return sorted(name for name, one in detectors.built_in_detectors().items() if not one.slow)


def default_detectors() -> list[str]:
    """Return the names of the built-in detectors that take seconds, not minutes, and are installed.

    Those that other distributions offer or that were registered are asked for by name.
    """
    return installed(fast_detectors())


def installed(names: Iterable[str]) -> list[str]:
    """Return those of some detectors that are not built in and lacking something."""
    built_in = detectors.built_in_detectors()
    return [name for name in names if name not in built_in or not built_in[name].missing()]


def left_out(names: Iterable[str]) -> str:
    """Say in one line which built-in detectors cannot run here and which extras mend that; "" for none."""
    built_in = detectors.built_in_detectors()
    extras = {name: built_in[name].extra() for name in names if name in built_in}
    lost = sorted(name for name, extra in extras.items() if extra)
    if not lost:
        return ""
    cure = ",".join(sorted({extras[name] for name in lost}))
    shown = ", ".join(lost) if len(lost) <= _SHOWN else f"{len(lost)} detectors"
    return f'left out since something is not installed: {shown}; run: pip install "vetime-plugins[{cure}]"'


def split_names(text: str) -> list[str]:
    """Split a list at its commas, but not at those within brackets.

    Examples
    --------
    >>> split_names("random, pyod-knn(n_neighbors=3, window=20)")
    ['random', 'pyod-knn(n_neighbors=3, window=20)']
    """
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts if part.strip()]


def _read(spec: str) -> Iterable[Chosen]:
    match = _SPEC.fullmatch(spec.strip())
    if match is None:
        raise InputError(f"cannot read the detector {spec!r}; write it like pyod-knn(n_neighbors=10)")
    name, parameters = match["name"], _parameters(spec, match["arguments"])
    if ":" in name:
        return [_named(with_params(_imported(name), name, parameters), parameters)]
    if any(letter in name for letter in "*?["):
        names = [known for known in detectors.names() if fnmatchcase(known, name)]
        if not names:
            raise InputError(f"no detector fits {name}; there are {', '.join(detectors.names())}")
        return [_named(detectors.get(known, **parameters), parameters) for known in names]
    return [_named(detectors.get(name, **parameters), parameters)]


def _parameters(spec: str, arguments: str | None) -> dict[str, Any]:
    if not arguments:
        return {}
    try:
        call = ast.parse(f"f({arguments})", mode="eval").body
        assert isinstance(call, ast.Call)
        if call.args or any(keyword.arg is None for keyword in call.keywords):
            raise ValueError("every parameter needs its name")
        return {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}
    except (SyntaxError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"cannot read the parameters of {spec!r} ({reason}); write them like pyod-knn(n_neighbors=10)"
        ) from error


def _imported(name: str) -> Any:
    module, _, attribute = name.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)  # last, so that a file here takes no other module's place; stays, for workers
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, ValueError) as error:
        raise MissingDependencyError(f"cannot import the detector {name}: {error}") from error
    except AttributeError as error:
        raise InputError(f"module {module} has no {attribute}") from error
    if inspect.isclass(found) or (inspect.isfunction(found) and not inspect.signature(found).parameters):
        found = found()
    if isinstance(found, detectors.Detector):
        return found
    if not callable(found):
        raise InputError(f"{name} is neither a detector nor a function, but {type(found).__name__}")
    return _Function(attribute, found)


def _named(detector: Any, given: Mapping[str, Any]) -> Chosen:
    if not isinstance(detector, detectors.Detector):
        raise InputError(f"{detector!r} is no detector: see vetime_plugins.detectors.registry.Detector")
    known = detectors.built_in_detectors().get(detector.name)
    own = known.params if known is not None and isinstance(detector, FrameworkDetector) else None
    changed = {
        key: value
        for key, value in detector.params.items()
        if (key in given if own is None else own.get(key) != value)
    }
    shown = ", ".join(f"{key}={value!r}" for key, value in sorted(changed.items()))
    parameters = json.loads(json.dumps(dict(detector.params), default=repr))
    return Chosen(f"{detector.name}({shown})" if shown else detector.name, detector, parameters)
