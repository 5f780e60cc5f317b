"""Detectors that behave badly, or tell when they were run; named as ``tests.leaderboard._detectors:NAME``."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

WARM_UP = 256  # the runner's first run, on a short series, has so many points


class Base:
    """Scores a point by its distance to the median of the train part; subclasses do something first."""

    name = "base"
    framework = "tests"
    params: ClassVar[dict[str, Any]] = {}
    sees_train = True
    supports_multivariate = True

    def fit_score(self, values, train_length, period=None, seed=0):
        if len(values) != WARM_UP:
            self.act(values, seed)
        return np.abs(values - np.median(values[:train_length], axis=0)).max(axis=1)

    def act(self, values, seed):
        """Do something on a series that is not the short one."""


class Logged(Base):
    """Writes a line with its process to the file that LEADERBOARD_LOG names."""

    name = "logged"

    def act(self, values, seed):
        with Path(os.environ["LEADERBOARD_LOG"]).open("a") as log:
            log.write(f"{os.getpid()} {len(values)} {seed}\n")


class Slow(Logged):
    name = "slow"

    def act(self, values, seed):
        super().act(values, seed)
        time.sleep(0.5)


class Naps(Base):
    name = "naps"

    def act(self, values, seed):
        time.sleep(0.3)


class Hangs(Logged):
    """Also starts a process that would outlive it."""

    name = "hangs"

    def act(self, values, seed):
        other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
        with Path(os.environ["LEADERBOARD_LOG"]).open("a") as log:
            log.write(f"{os.getpid()} {other.pid}\n")
        time.sleep(300)


class Eats(Base):
    name = "eats"

    def act(self, values, seed):
        kept = []
        while True:
            kept.append(np.ones(1_000_000))
            time.sleep(0.001)


class Refused(Base):
    name = "refused"

    def act(self, values, seed):
        raise MemoryError("cannot allocate")


class Crashes(Base):
    name = "crashes"

    def act(self, values, seed):
        print("last words", flush=True)
        os.kill(os.getpid(), 11)


class Raises(Base):
    name = "raises"

    def act(self, values, seed):
        raise RuntimeError("this series is not for me")


class Short(Base):
    name = "short"

    def fit_score(self, values, train_length, period=None, seed=0):
        return np.zeros(len(values) - 1)


class KilledOnce(Base):
    """Is killed from outside, so to say, the first time that it runs."""

    name = "killed-once"

    def act(self, values, seed):
        flag = Path(os.environ["LEADERBOARD_LOG"] + ".killed")
        if not flag.exists():
            flag.touch()
            os.kill(os.getpid(), 9)


class KillsWorker(Base):
    """Kills the worker, whose child it runs in, the first time that it runs."""

    name = "kills-worker"

    def act(self, values, seed):
        flag = Path(os.environ["LEADERBOARD_LOG"] + ".killed")
        if not flag.exists():
            flag.touch()
            os.kill(os.getppid(), 9)
            time.sleep(300)


class Seeded(Base):
    name = "seeded"

    def fit_score(self, values, train_length, period=None, seed=0):
        return np.random.default_rng(seed).random(len(values))


class OnDevice(Base):
    """Knows where it is to run."""

    name = "on-device"
    uses_gpu = True

    def __init__(self, device="cpu"):
        self.device = device

    def on(self, device):
        return OnDevice(device)


class Versioned(Logged):
    """Its version is what LEADERBOARD_VERSION says."""

    name = "versioned"

    def versions(self):
        return {"versioned": os.environ["LEADERBOARD_VERSION"]}


def from_zero(series):
    """A detector of the simplest kind."""
    return np.abs(series) if series.ndim == 1 else np.abs(series).max(axis=1)
