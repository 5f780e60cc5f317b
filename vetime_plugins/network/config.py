"""The network's sizes and choices: one frozen dataclass, two presets."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from vetime_plugins.errors import CheckpointError, InputError

FORMAT_VERSION = 1


@dataclass(frozen=True)
class VETimeConfig:
    """What decides the shapes and the arithmetic of a :class:`~vetime_plugins.network.model.VETime`.

    The defaults are the sizes of the paper ("base"): Section 4 and the authors' public configuration.

    Parameters
    ----------
    patch_size : int
        Time steps in a patch (p).
    d_model : int
        Width of the shared space of both branches (D).
    d_proj : int
        Width of the vector that a patch yields for each of its time steps.
    temporal_layers, temporal_heads : int
        Depth and attention heads of the temporal encoder.
    vision_width, vision_depth, vision_heads : int
        Sizes of the ViT.
    decoder_width, decoder_depth, decoder_heads : int
        Sizes of the MAE decoder, which only pretraining builds.
    image_size, vision_patch : int
        Side of the folded image and of a ViT patch, in pixels.
    heads : int
        Attention heads of alignment and fusion.
    max_patches : int
        Length of the learned position code of the alignment, in patches.
    max_chunk_steps : int
        A longer series is split evenly into chunks of at most this many steps.
    max_chunk_tokens : int or None
        Upper bound on variables x patches in one chunk; None leaves the chunk to `max_chunk_steps` alone.
    router_top_k : int
        How many experts a patch may draw on.
    any_variate : bool
        Whether tokens of one variable attend to those of others (the paper's multivariate form). If False
        every variable is read alone and only their scores meet.
    stacked_tiles : bool
        Whether the tiles of several variables share one image (the paper) or get one image each.
    shared_positions : bool
        Whether patches of the same time share a position code across variables (the paper), or the code runs
        on from one variable to the next (the authors' implementation, which their weights need).
    variable_pooling : {"mean", "max"}
        How the anomaly logits of several variables become one: the paper's mean, or a soft maximum, which a
        deviation in one of many variables survives.
    retrieval : dict or None
        Keywords of :class:`~vetime_plugins.retrieval.RetrievalConfig`; None leaves the retrieval expert out.
    retrieval_channels : int
        Distance channels that the expert reads for one variable (its own and the joint ones).
    correction : float
        Share of the learned correction that is added to the parameter-free novelty of the retrieval expert:
        0 keeps the novelty, 1 is the network as trained. Without the expert it has no meaning.
    correction_bound : float or None
        The correction stays within plus and minus this, in the novelty's unit: however sure the network is, a
        gross novelty cannot lose to a mild one. None sets no bound.
    margin_scale, margin_offset : float
        Last linear step of the anomaly margin, which makes scores probabilities; it changes no order.
    use_vision, use_temporal, use_router : bool
        False blanks a branch, or gives every expert the same weight: for ablations.
    readout : {"point", "window"}
        How scores are read by default: per point, or averaged over the series' period.
    """

    patch_size: int = 16
    d_model: int = 512
    d_proj: int = 256
    temporal_layers: int = 8
    temporal_heads: int = 8
    vision_width: int = 768
    vision_depth: int = 12
    vision_heads: int = 12
    decoder_width: int = 512
    decoder_depth: int = 8
    decoder_heads: int = 16
    image_size: int = 224
    vision_patch: int = 16
    heads: int = 8
    max_patches: int = 5000
    max_chunk_steps: int = 5000
    max_chunk_tokens: int | None = None
    router_top_k: int = 2
    any_variate: bool = False
    stacked_tiles: bool = True
    shared_positions: bool = False
    variable_pooling: Literal["mean", "max"] = "mean"
    retrieval: dict[str, Any] | None = None
    retrieval_channels: int = 0
    correction: float = 1.0
    correction_bound: float | None = None
    margin_scale: float = 1.0
    margin_offset: float = 0.0
    use_vision: bool = True
    use_temporal: bool = True
    use_router: bool = True
    readout: Literal["point", "window"] = "point"
    name: str = "base"

    def __post_init__(self) -> None:
        """Reject sizes that cannot be built, naming the rule that they break."""
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            may_be_zero = field.name in ("retrieval_channels", "decoder_depth")
            if isinstance(value, int) and not isinstance(value, bool) and value < (0 if may_be_zero else 1):
                raise InputError(f"VETimeConfig.{field.name} must be positive, got {value}.")
        divisions = (
            ("d_model", "temporal_heads"),
            ("d_model", "heads"),
            ("vision_width", "vision_heads"),
            ("decoder_width", "decoder_heads"),
            ("image_size", "vision_patch"),
        )
        for whole, part in divisions:
            if getattr(self, whole) % getattr(self, part):
                raise InputError(
                    f"VETimeConfig.{whole} must be a multiple of {part}, "
                    f"got {getattr(self, whole)} and {getattr(self, part)}."
                )
        if self.d_model % 2:
            raise InputError(f"VETimeConfig.d_model must be even for rotary positions, got {self.d_model}.")
        if not 0 <= self.correction <= 1 or not self.margin_scale > 0:
            raise InputError(
                "VETimeConfig needs correction in [0, 1] and a positive margin_scale, "
                f"got {self.correction} and {self.margin_scale}."
            )
        if self.correction_bound is not None and not self.correction_bound > 0:
            raise InputError(
                f"VETimeConfig.correction_bound must be positive or None, got {self.correction_bound}."
            )
        if (self.retrieval is None) != (self.retrieval_channels == 0):
            raise InputError("VETimeConfig needs retrieval and retrieval_channels together, or neither.")
        if not (self.use_vision or self.use_temporal):
            raise InputError("VETimeConfig needs use_vision or use_temporal: both are False.")
        for name, allowed in (("variable_pooling", ("mean", "max")), ("readout", ("point", "window"))):
            if getattr(self, name) not in allowed:
                raise InputError(
                    f"VETimeConfig.{name} must be one of {allowed}, got {getattr(self, name)!r}."
                )

    @property
    def grid_size(self) -> int:
        """Vision tokens along one side of the image."""
        return self.image_size // self.vision_patch

    @property
    def experts(self) -> tuple[str, ...]:
        """Names of the router's experts, in the order of its weights."""
        return ("temporal", "contrastive", "vision") + (("retrieval",) if self.retrieval_channels else ())

    def chunk_patches(self, n_variables: int) -> int:
        """Largest number of patches of one chunk of a series with `n_variables` variables."""
        patches = max(1, self.max_chunk_steps // self.patch_size)
        # The learned position code has one entry a token where variables do not share it.
        patches = max(1, min(patches, self.max_patches // (1 if self.shared_positions else n_variables)))
        if self.max_chunk_tokens is not None:
            patches = max(1, min(patches, self.max_chunk_tokens // n_variables))
        return patches

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-able values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> VETimeConfig:
        """Build a configuration from :meth:`to_dict`'s output.

        Raises
        ------
        CheckpointError
            If `values` has a key that this version does not know: it would change the arithmetic unseen.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise CheckpointError(
                f"The configuration has unknown keys {unknown}; this version knows {sorted(known)}. "
                "The weights may come from a newer vetime-plugins: upgrade it."
            )
        return cls(**values)

    @classmethod
    def preset(cls, name: str) -> VETimeConfig:
        """Return the preset "base" (the paper's sizes) or "small" (the sizes of the shipped weights)."""
        if name not in PRESETS:
            raise InputError(f"The presets are {sorted(PRESETS)}, got {name!r}.")
        return PRESETS[name]


PRESETS: dict[str, VETimeConfig] = {
    "base": VETimeConfig(),
    "small": VETimeConfig(
        d_model=128,
        d_proj=32,
        temporal_layers=4,
        temporal_heads=4,
        vision_width=128,
        vision_depth=4,
        vision_heads=4,
        decoder_width=96,
        decoder_depth=2,
        decoder_heads=4,
        image_size=112,
        vision_patch=8,
        heads=4,
        max_patches=512,
        max_chunk_tokens=8192,
        router_top_k=2,
        stacked_tiles=False,
        shared_positions=True,
        variable_pooling="max",
        # All of them, so that a later default never changes what these weights read.
        retrieval={
            "windows": [16, 64, 256],
            "neighbours": 5,
            "bank_size": 4000,
            "query_overlap": 4,
            "exclusion": 0.5,
            "softness": 1.0,
            "dimensions": 48,
        },
        retrieval_channels=26,
        correction_bound=2.0,
        readout="point",
        name="small",
    ),
}
