"""What a result depends on: seed, data, versions, machine."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["as_plain", "cell_seed", "data_hash", "fingerprint", "hardware", "versions"]


def cell_seed(seed: int, detector: str, series: str) -> int:
    """Return the seed of a cell: the same whatever else is run, and in whatever order.

    Examples
    --------
    >>> cell_seed(0, "random", "a") == cell_seed(0, "random", "a") != cell_seed(0, "random", "b")
    True
    """
    digest = hashlib.sha256(f"{seed}\n{detector}\n{series}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1  # 31 bits: what every framework takes


def fingerprint(detector: Any, data: str, *, train_length: int, period: int, seed: int, device: str) -> str:
    """Return a hash of what decides over the scores of a cell; `data` is the `data_hash` of its series.

    `device` is what is asked for; it counts for detectors that can use a GPU.
    """
    parts = {
        "name": detector.name,
        "parameters": as_plain(detector.params),
        "versions": versions(detector),
        "data": data,
        "train_length": train_length,
        "period": period,
        "seed": seed,
        "device": device if getattr(detector, "uses_gpu", hasattr(detector, "on")) else "cpu",
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def data_hash(values: np.ndarray, labels: np.ndarray) -> str:
    """Return a hash of a series, (T, C), and its labels, (T,)."""
    digest = hashlib.sha256(repr(values.shape).encode())
    digest.update(np.ascontiguousarray(values).tobytes())
    digest.update(np.ascontiguousarray(labels, dtype=np.int8).tobytes())
    return digest.hexdigest()


def as_plain(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters as JSON can hold them."""
    return json.loads(json.dumps(dict(parameters), default=repr))


def versions(detector: Any) -> dict[str, str]:
    """Return the versions that a detector names, or that of this package alone."""
    own = getattr(detector, "versions", None)
    if callable(own):
        return {str(name): str(version) for name, version in dict(own()).items()}
    from vetime_plugins import __version__

    return {"vetime-plugins": __version__, "numpy": np.__version__}


@cache
def hardware(device: str = "cpu") -> dict[str, Any]:
    """Return what is known of the machine and the device, without anything that says whose it is."""
    found: dict[str, Any] = {
        "system": platform.system(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
    }
    torch = sys.modules.get("torch")
    with suppress(Exception):  # a driver that does not answer is no reason to lose a result
        if torch is not None and torch.cuda.is_available():
            found["gpu"] = torch.cuda.get_device_name(device if device.startswith("cuda") else None)
    return found


def _cpu_model() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
