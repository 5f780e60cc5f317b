"""The training corpus: any number of labelled series, each a function of the seed and its index."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from vetime_plugins.errors import InputError
from vetime_plugins.synthesis._random import Array, chance, log_uniform
from vetime_plugins.synthesis.anomalies import KINDS
from vetime_plugins.synthesis.backgrounds import draw_real, shared_bank
from vetime_plugins.synthesis.multivariate import draw_panel
from vetime_plugins.synthesis.normal import draw_normal
from vetime_plugins.synthesis.normal.families import FAMILIES
from vetime_plugins.synthesis.normal.sensor import Sensor
from vetime_plugins.synthesis.placement import populate
from vetime_plugins.synthesis.scene import Scene
from vetime_plugins.synthesis.series import Anomaly, SyntheticSeries

Range = tuple[int, int]


@dataclass(frozen=True)
class CorpusConfig:
    """What the corpus is made of.

    Attributes
    ----------
    clean_share : float
        Share of series without any anomaly.
    single_share : float
        Share of the others that have exactly one.
    density : tuple of float
        Range of the wished share of anomalous steps in series with several (log-uniform).
    severity : tuple of float
        Range in [0, 1], from barely visible to gross.
    stretch : tuple of float
        Range of the factor on the usual length of each anomaly that is no point (log-uniform), at least 0.1.
    repeat_share : float
        Share of series whose anomalies are all of one kind.
    gap_share : float
        Share of variables with stretches of missing readings.
    nan_gaps : bool
        Mark these with NaN; else the last reading is held.
    real_share : float
        Share of univariate series whose normal behaviour is a stretch of a real one (see `backgrounds`);
        their family is "real".
    families, kinds : mapping of str to float, optional
        Weights by name; by default those of the registries. Names left out are not drawn.
    dtype : {"float32", "float64"}
    """

    clean_share: float = 0.15
    single_share: float = 0.45
    density: tuple[float, float] = (0.005, 0.1)
    severity: tuple[float, float] = (0.0, 1.0)
    stretch: tuple[float, float] = (1.0, 1.0)
    repeat_share: float = 0.25
    gap_share: float = 0.06
    nan_gaps: bool = False
    real_share: float = 0.0
    families: Mapping[str, float] | None = None
    kinds: Mapping[str, float] | None = None
    dtype: str = "float32"

    def __post_init__(self) -> None:
        for name, known in (("families", FAMILIES), ("kinds", KINDS)):
            given = getattr(self, name)
            unknown = sorted(set(given or ()) - set(known))
            if unknown or (given is not None and not given):
                raise InputError(f"{name} must name some of {', '.join(known)}; got {unknown or 'none'}")
        for name in ("clean_share", "single_share", "repeat_share", "gap_share", "real_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} must be within 0 and 1, got {getattr(self, name)}")
        if not 0 < self.density[0] <= self.density[1] <= 0.5:
            raise InputError(f"density must be a range within 0 (not included) and 0.5, got {self.density}")
        if not 0 <= self.severity[0] <= self.severity[1] <= 1:
            raise InputError(f"severity must be a range within 0 and 1, got {self.severity}")
        if not 0.1 <= self.stretch[0] <= self.stretch[1]:
            raise InputError(f"stretch must be a range of at least 0.1, got {self.stretch}")
        if self.dtype not in ("float32", "float64"):
            raise InputError(f"dtype must be 'float32' or 'float64', got {self.dtype!r}")


def generate(
    length: int,
    n_variables: int = 1,
    *,
    seed: int | np.random.SeedSequence | None = None,
    rng: np.random.Generator | None = None,
    config: CorpusConfig | None = None,
) -> SyntheticSeries:
    """Generate one series with labelled anomalies.

    Parameters
    ----------
    length : int
        T >= 32, in steps.
    n_variables : int, default 1
        C >= 1.
    seed : int or numpy.random.SeedSequence, optional
        Same seed, same bytes. Either this or `rng`; with neither, 0.
    rng : numpy.random.Generator, optional
        Generator to draw from.
    config : CorpusConfig, optional

    Returns
    -------
    SyntheticSeries

    Raises
    ------
    InputError
        Where the length or the number of variables is too small, or both `seed` and `rng` are given.
    """
    if seed is not None and rng is not None:
        raise InputError("generate takes either seed or rng, not both")
    if length < 32 or n_variables < 1:
        raise InputError(f"generate needs length >= 32 and n_variables >= 1, got {length} and {n_variables}")
    rng = rng or np.random.default_rng(0 if seed is None else seed)
    config = config or CorpusConfig()
    length, n_variables = int(length), int(n_variables)
    wish = _draw_wish(rng, length, config)
    if n_variables == 1:
        # No draw where nothing is real: the series of older recipes stay as they were.
        if config.real_share > 0 and chance(rng, config.real_share):
            draft = draw_real(rng, length, shared_bank())
        else:
            draft = draw_normal(
                rng, length, families=config.families, gap_probability=config.gap_share, nan=config.nan_gaps
            )
        signal = draft.signal[:, None].copy()
        scene = Scene(signal + draft.noise[:, None], signal, [draft.sensor], draft.period)
        family = draft.family
        targets: tuple[int, ...] = (0,)
    else:
        shared = replace(wish, count=int(rng.binomial(wish.count, 0.4)), density=0.6 * wish.density)
        panel = draw_panel(
            rng, length, n_variables, disturb=partial(_disturb, rng, shared, config),
            gap_probability=config.gap_share, nan=config.nan_gaps,
        )  # fmt: skip
        scene = Scene(panel.signal + panel.noise, panel.signal.copy(), panel.sensors, panel.period)
        placed = scene.adopt(panel.disturbance, panel.incidents)
        # What the factors used up counts; their anomalies may be drawn out by lags.
        wish = replace(wish, count=wish.count - placed, density=wish.density - float(scene.taken.mean()))
        family, targets = panel.style, panel.targets
    populate(
        scene, rng, wish.kinds, wish.count, density=wish.density, severity=config.severity,
        repeat=config.repeat_share, variables=targets, stretch=config.stretch,
    )  # fmt: skip
    return scene.finish(dtype=config.dtype, family=family)


@dataclass(frozen=True)
class _Wish:
    """How many anomalies of which kinds a series shall have."""

    count: int
    density: float
    kinds: Mapping[str, float]


def _draw_wish(rng: np.random.Generator, length: int, config: CorpusConfig) -> _Wish:
    """Draw the number of anomalies and their share of the steps."""
    kinds = config.kinds or {kind.name: kind.weight for kind in KINDS.values()}
    if chance(rng, config.clean_share):
        return _Wish(0, 0.0, kinds)
    if chance(rng, config.single_share):
        return _Wish(1, config.density[1], kinds)
    density = log_uniform(rng, *config.density)
    return _Wish(int(rng.integers(2, max(3, 2 + int(density * length / 8)))), density, kinds)


def _disturb(
    rng: np.random.Generator, wish: _Wish, config: CorpusConfig, factors: Array, period: float | None
) -> tuple[Array, list[Anomaly]]:
    """Put anomalies into latent factors (K, T), one factor each."""
    # What lasts would have to be carried through the mixing; relations are between variables, not factors.
    kinds = {name: w for name, w in wish.kinds.items() if not (KINDS[name].relational or KINDS[name].lasting)}
    series = np.ascontiguousarray(factors.T)
    scene = Scene(series, series.copy(), [Sensor()] * len(factors), period)
    populate(
        scene, rng, kinds, wish.count, density=wish.density, severity=config.severity,
        repeat=config.repeat_share, variables=tuple(range(len(factors))), targets={"one": 1.0},
        stretch=config.stretch,
    )  # fmt: skip
    return scene.values.T, scene.anomalies


class Corpus:
    """An endless, indexable sequence of labelled series.

    ``corpus[i]`` depends on the seed and on ``i`` alone: workers may share the indices out in any way, and
    training may go on from any index.

    Parameters
    ----------
    seed : int, default 0
    length : int or tuple of int, default (500, 20000)
        T, or the range from which T is drawn log-uniformly.
    n_variables : int or tuple of int, default 1
        C, or the range from which C is drawn log-uniformly.
    config : CorpusConfig, optional

    Examples
    --------
    >>> corpus = Corpus(seed=7, length=(500, 2000))
    >>> corpus[3].values.shape == corpus[3].clean.shape
    True
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        length: int | Range = (500, 20_000),
        n_variables: int | Range = 1,
        config: CorpusConfig | None = None,
    ) -> None:
        self.seed = int(seed)
        self.length = _as_range(length, "length", 32)
        self.n_variables = _as_range(n_variables, "n_variables", 1)
        self.config = config or CorpusConfig()

    def __getitem__(self, index: int) -> SyntheticSeries:
        """Return series number `index` >= 0."""
        if index < 0:
            raise IndexError(f"the corpus is endless and counts from 0, got index {index}")
        rng = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(int(index),)))
        length = round(log_uniform(rng, *self.length))
        n_variables = round(log_uniform(rng, *self.n_variables))
        return generate(length, n_variables, rng=rng, config=self.config)

    def __iter__(self) -> Iterator[SyntheticSeries]:
        """Yield the series from number 0 on, without end."""
        return self.iterate()

    def iterate(self, start: int = 0, step: int = 1) -> Iterator[SyntheticSeries]:
        """Yield series `start`, `start` + `step`, ...: one worker's share, from where it stopped."""
        index = start
        while True:
            yield self[index]
            index += step


def _as_range(value: int | Range, name: str, least: int) -> Range:
    """Return `value` as a range, checked."""
    low, high = (value, value) if isinstance(value, (int, np.integer)) else value
    if not least <= low <= high:
        raise InputError(f"{name} must be a number or a range of at least {least}, got {value!r}")
    return int(low), int(high)
