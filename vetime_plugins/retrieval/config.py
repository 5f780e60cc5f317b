"""What the retrieval expert compares, and the names of its channels."""

from __future__ import annotations

import math

from pydantic.dataclasses import dataclass

from vetime_plugins._validation import STRICT, Flag, Number, Whole, checked
from vetime_plugins.errors import InputError

_VARIABLE_KINDS = ("level", "form", "point", "joint_point")
_JOINT_KINDS = ("level", "form")


@checked
@dataclass(frozen=True, config=STRICT)
class RetrievalConfig:
    """What the retrieval expert compares.

    Parameters
    ----------
    windows : tuple of int
        Fixed window lengths in time steps; the period of the series is always added as one more scale.
    neighbours : int
        Nearest neighbours averaged, each from another place of the bank.
    bank_size : int
        Largest number of bank windows that a source (the series, the reference) contributes at one scale.
    query_overlap : int
        Query windows that cover a time step: the stride of the queries is ``max(1, w // query_overlap)``.
    exclusion : float
        Half-width of the zone around a query that holds its trivial matches, in window lengths.
    softness : float
        Share of the typical window power added to each window's own before it is scaled to unit power, so
        that near-constant windows are not compared by their noise.
    dimensions : int
        Longer windows are averaged down to between this and twice this many values before they are compared.
    block_elements : int
        Largest number of distances held at once.
    statistics : tuple of int
        Window lengths in time steps of the comparison by order-free statistics, which joins the evidence.
        None by default: the weights of earlier versions know no such evidence.
    point_gain : float
        How much the excess of single points adds to the evidence. 0, the default, leaves it out.
    standstills : bool
        Whether that excess includes how much longer a value is repeated than is usual.
    temperature : float
        How little the strongest channel leads the others when the evidence joins them: the log-mean-exp of
        z-scores over this, times this. 1 is that of the novelty; the larger, the nearer to their mean.
    smoothing : int
        Steps over which the evidence of windows is averaged, an odd number. That of points keeps its place.
    relations : bool
        Whether the score of several variables together also says how far each is from what the others tell
        of it, where the network corrects nothing.

    Raises
    ------
    InputError
        If a value is of another type or out of its range.
    """

    windows: tuple[Whole, ...] = (16, 64, 256)  # JSON gives a list
    neighbours: Whole = 5
    bank_size: Whole = 4000
    query_overlap: Whole = 4
    exclusion: Number = 0.5
    softness: Number = 1.0
    dimensions: Whole = 48
    block_elements: Whole = 1 << 20
    statistics: tuple[Whole, ...] = ()
    point_gain: Number = 0.0
    standstills: Flag = False
    temperature: Number = 1.0
    smoothing: Whole = 1
    relations: Flag = False

    def __post_init__(self) -> None:
        for name in ("windows", "statistics"):
            lengths = getattr(self, name)
            if any(w < 4 for w in lengths):
                raise InputError(f"{name} needs lengths of at least 4 time steps, got {lengths}.")
        for name in ("neighbours", "bank_size", "query_overlap", "dimensions", "block_elements"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} needs to be at least 1, got {getattr(self, name)}.")
        if not 0 < self.exclusion <= 1 or not self.softness > 0:
            got = f"{self.exclusion} and {self.softness}"
            raise InputError(f"exclusion needs to be in (0, 1] and softness positive, got {got}.")
        if not self.point_gain >= 0:
            raise InputError(f"point_gain needs to be 0 or positive, got {self.point_gain}.")
        if not 0 < self.temperature < math.inf:
            raise InputError(f"temperature needs to be positive and finite, got {self.temperature}.")
        if self.smoothing < 1 or self.smoothing % 2 == 0:
            raise InputError(f"smoothing needs to be an odd number of steps, got {self.smoothing}.")

    @property
    def has_evidence(self) -> bool:
        """True where the score starts from more than the novelty."""
        plain = self.temperature == 1 and self.smoothing == 1
        return bool(self.statistics) or self.point_gain > 0 or not plain

    @property
    def scale_names(self) -> tuple[str, ...]:
        """Names of the scales: the fixed windows and the period."""
        return (*(str(w) for w in self.windows), "period")

    @property
    def n_scales(self) -> int:
        """Number of scales, S."""
        return len(self.scale_names)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Channels of a variable: its novelty, then four kinds for each scale."""
        return ("novelty", *(f"{kind}@{scale}" for scale in self.scale_names for kind in _VARIABLE_KINDS))

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Channels of the whole series: its novelty, then two kinds for each scale."""
        return ("novelty", *(f"{kind}@{scale}" for scale in self.scale_names for kind in _JOINT_KINDS))

    @property
    def n_features(self) -> int:
        """Number of channels of a variable, K = 1 + 4 S."""
        return len(self.feature_names)

    @property
    def n_joint(self) -> int:
        """Number of channels of the whole series, K_j = 1 + 2 S."""
        return len(self.joint_names)
