"""The network's sizes and choices: one frozen dataclass, two presets."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from vetime_plugins._validation import STRICT, Flag, Number, Text, UnknownKeyError, Whole, checked, validate
from vetime_plugins.errors import CheckpointError, InputError
from vetime_plugins.retrieval.config import RetrievalConfig

FORMAT_VERSION = 1
"""Version of the weights folder; a reader refuses a newer one."""
_MOST_PARAMETERS = 2**32  # 16 GiB as float32: a typing error, not a network

_Size = Annotated[Whole, Field(ge=1, le=2**31 - 1)]
_Count = Annotated[Whole, Field(ge=0, le=2**31 - 1)]


@checked
@dataclass(frozen=True, config=STRICT)
class VETimeConfig:
    """What decides the shapes and the arithmetic of a `vetime_plugins.network.model.VETime`.

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
    variable_pooling : {"mean", "max", "top", "rise"}
        How the anomaly logits of several variables become one: the paper's mean; a soft maximum, which a
        deviation in one of many variables survives; the mean of the highest of each step, as many as the
        square root of their number; or that of what each has above its own usual level.
    switches_apart : bool
        Whether variables of two values are compared with each other only, and joined as if they were one,
        where there are others.
    retrieval : RetrievalConfig or None
        What the retrieval expert compares, or a dictionary of its keywords; None leaves the expert out.
    retrieval_channels : int
        Distance channels that the expert reads for one variable (its own and the joint ones).
    correction : float
        Share of the learned correction that is added to the parameter-free evidence of the retrieval expert:
        0 keeps the evidence, 1 is the network as trained. Without the expert it has no meaning.
    correction_bound : float or None
        The correction stays within plus and minus this, in the evidence's unit: however sure the network is,
        a gross anomaly cannot lose to a mild one. None sets no bound.
    margin_scale, margin_offset : float
        Last linear step of the anomaly margin, which makes scores probabilities; it changes no order.
    use_vision, use_temporal, use_router : bool
        False blanks a branch, or gives every expert the same weight: for ablations.
    readout : {"point", "window"}
        How scores are read by default: per point, or averaged over the series' period.
    scale : {"logistic", "tail"}
        What a score means: the logistic of the margin, or the share of a calm series' points below it, which
        means the same on every series (see `vetime_plugins.series.scale`). It changes no order.

    Raises
    ------
    InputError
        If a value is of another type, out of its range, or does not fit another one, or if the network would
        have more than 2**32 parameters.
    """

    patch_size: _Size = 16
    d_model: _Size = 512
    d_proj: _Size = 256
    temporal_layers: _Size = 8
    temporal_heads: _Size = 8
    vision_width: _Size = 768
    vision_depth: _Size = 12
    vision_heads: _Size = 12
    decoder_width: _Size = 512
    decoder_depth: _Count = 8
    decoder_heads: _Size = 16
    image_size: _Size = 224
    vision_patch: _Size = 16
    heads: _Size = 8
    max_patches: _Size = 5000
    max_chunk_steps: _Size = 5000
    max_chunk_tokens: _Size | None = None
    router_top_k: _Size = 2
    any_variate: Flag = False
    stacked_tiles: Flag = True
    shared_positions: Flag = False
    variable_pooling: Literal["mean", "max", "top", "rise"] = "mean"
    switches_apart: Flag = False
    retrieval: RetrievalConfig | None = None
    retrieval_channels: _Count = 0
    correction: Annotated[Number, Field(ge=0, le=1)] = 1.0
    correction_bound: Annotated[Number, Field(gt=0)] | None = None
    margin_scale: Annotated[Number, Field(gt=0)] = 1.0
    margin_offset: Number = 0.0
    use_vision: Flag = True
    use_temporal: Flag = True
    use_router: Flag = True
    readout: Literal["point", "window"] = "point"
    scale: Literal["logistic", "tail"] = "logistic"
    name: Text = "base"

    def __post_init__(self) -> None:
        """Reject sizes that cannot be built, naming the rule that they break."""
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
        if (self.retrieval is None) != (self.retrieval_channels == 0):
            raise InputError("VETimeConfig needs retrieval and retrieval_channels together, or neither.")
        if not (self.use_vision or self.use_temporal):
            raise InputError("VETimeConfig needs use_vision or use_temporal: both are False.")
        w = self.decoder_width
        decoder = w * (12 * self.decoder_depth * w + self.grid_size**2 + 3 * self.vision_patch**2)
        n = self.least_parameters() + decoder
        if n > _MOST_PARAMETERS:
            raise InputError(
                f"VETimeConfig must describe at most {_MOST_PARAMETERS:.1e} parameters, got {n:.1e}. "
                f"The widths are d_model={self.d_model}, vision_width={self.vision_width}, "
                f"decoder_width={w}, d_proj={self.d_proj}: correct the one that is too large, or a depth."
            )

    @property
    def grid_size(self) -> int:
        """Vision tokens along one side of the image."""
        return self.image_size // self.vision_patch

    @property
    def experts(self) -> tuple[str, ...]:
        """Names of the router's experts, in the order of its weights."""
        return ("temporal", "contrastive", "vision") + (("retrieval",) if self.retrieval_channels else ())

    @property
    def evidence_alone(self) -> bool:
        """True where scores are the evidence of the retrieval expert, and the network has no say in them."""
        return self.retrieval is not None and self.correction == 0

    def chunk_patches(self, n_variables: int) -> int:
        """Largest number of patches of one chunk of a series with `n_variables` variables."""
        patches = max(1, self.max_chunk_steps // self.patch_size)
        # The learned position code has one entry a token where variables do not share it.
        patches = max(1, min(patches, self.max_patches // (1 if self.shared_positions else n_variables)))
        if self.max_chunk_tokens is not None:
            patches = max(1, min(patches, self.max_chunk_tokens // n_variables))
        return patches

    def least_parameters(self) -> int:
        """Return how many parameters the network has at least: those of its matrices and position codes."""
        d, w, p, q = self.d_model, self.vision_width, self.patch_size, self.d_proj
        vision = w * (12 * self.vision_depth * w + self.grid_size**2 + 3 * self.vision_patch**2)
        joint = 44 * d * d + 2 * w * d + self.max_patches * w  # alignment, cross-attention, fusion
        retrieval = d * (2 * p * self.retrieval_channels + 3 * d) if self.retrieval_channels else 0
        return 16 * self.temporal_layers * d * d + vision + joint + d * p * q + 20 * q * q + retrieval

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-able values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> VETimeConfig:
        """Build a configuration from `to_dict`'s output.

        Raises
        ------
        CheckpointError
            If `values` has a key that this version does not know: it would change the arithmetic unseen.
        InputError
            If a value is not what `VETimeConfig` takes.
        """
        try:
            return validate(cls, values, "", within="VETimeConfig.")
        except UnknownKeyError as error:
            raise CheckpointError(
                f"{error}. The weights may come from a newer vetime-plugins: upgrade it."
            ) from error

    @classmethod
    def preset(cls, name: str) -> VETimeConfig:
        """Return the preset "base" (the paper's sizes) or "small" (the sizes of the shipped weights)."""
        if not isinstance(name, str) or name not in PRESETS:
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
        variable_pooling="rise",
        switches_apart=True,
        # All of them, so that a later default never changes what these weights read.
        retrieval=RetrievalConfig(
            windows=(16, 64, 256),
            neighbours=5,
            bank_size=4000,
            query_overlap=4,
            exclusion=0.5,
            softness=1.0,
            dimensions=48,
            statistics=(16, 32, 64, 128, 256, 512),
            point_gain=1.25,
            standstills=True,
            temperature=3.0,
            smoothing=9,
            relations=True,
        ),
        retrieval_channels=26,
        correction_bound=2.0,
        readout="point",
        scale="tail",
        name="small",
    ),
}
