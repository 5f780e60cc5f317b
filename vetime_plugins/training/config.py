"""Everything a training run depends on, in one file."""

from __future__ import annotations

import dataclasses
import tomllib
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from vetime_plugins.errors import InputError
from vetime_plugins.network.config import VETimeConfig

STAGES = ("vision", "temporal", "full")


@dataclass(frozen=True)
class DataConfig:
    """The stream of synthetic batches.

    Parameters
    ----------
    points_per_batch : int
        Time steps x variables of one batch: many short series or few long ones.
    min_length, max_length : int
        Lengths are log-uniform between them, in time steps.
    multivariate : float
        Share of batches with several variables.
    max_variables : int
    workers : int
        Processes that generate batches; 0 generates in the training process.
    """

    points_per_batch: int = 32_768
    min_length: int = 500
    max_length: int = 20_000
    multivariate: float = 0.0
    max_variables: int = 8
    workers: int = 1


@dataclass(frozen=True)
class LossConfig:
    """Weights of the loss terms; 0 leaves one out.

    Parameters
    ----------
    detection, reconstruction, contrast, balance : float
        The paper's four (1, 1, 0.1, 0.2).
    ranking : float
        Anomalies above the normal steps of the same series.
    positive_weight : float
        Weight of an anomalous step in the detection term relative to a normal one.
    label_margin : int
        Annotators mark windows: up to so many steps on both sides of an anomaly count as anomalous too, a
        random number for each series, in steps. 0 keeps the exact labels.
    unmarked : float
        Annotators mark what is gross: in this share of the series, anomalies milder than `mild` times the
        grossest one stay unlabelled.
    mild : float
    """

    detection: float = 1.0
    reconstruction: float = 1.0
    contrast: float = 0.1
    balance: float = 0.2
    ranking: float = 0.5
    positive_weight: float = 4.0
    label_margin: int = 128
    unmarked: float = 0.5
    mild: float = 0.4


@dataclass(frozen=True)
class TrainingConfig:
    """One run.

    Parameters
    ----------
    model : VETimeConfig
    seed : int
    steps : dict of str to int
        Optimiser steps of the stages "vision", "temporal" and "full", run in this order.
    learning_rate, weight_decay, warmup_steps, clip_norm : float
        AdamW with linear warm-up and cosine decay to a hundredth, per stage.
    mask_ratio : float
        Hidden share of image blocks in the vision stage.
    temporal_mask_ratio : float
        Hidden share of patches in the temporal stage.
    average_decay : float
        Decay of the moving average of the weights that is saved and validated.
    bfloat16 : bool
        Run forward and backward under bfloat16 autocast.
    log_every, validate_every, save_every : int
        In steps.
    validation_batches : int
    """

    model: VETimeConfig
    seed: int = 0
    steps: dict[str, int] = field(default_factory=lambda: {"vision": 0, "temporal": 0, "full": 1000})
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    warmup_steps: int = 100
    clip_norm: float = 1.0
    mask_ratio: float = 0.75
    temporal_mask_ratio: float = 0.3
    average_decay: float = 0.998
    bfloat16: bool = True
    log_every: int = 20
    validate_every: int = 500
    save_every: int = 250
    validation_batches: int = 8
    data: DataConfig = DataConfig()
    loss: LossConfig = LossConfig()

    def __post_init__(self) -> None:
        """Reject stages that do not exist."""
        unknown = sorted(set(self.steps) - set(STAGES))
        if unknown:
            raise InputError(f"[steps] knows {STAGES}, got {unknown}.")

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-able values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainingConfig:
        """Build from nested tables; `model` may name a ``preset`` and override its fields.

        ``retrieval_channels = 0`` leaves the retrieval expert out.

        Raises
        ------
        InputError
            If a table has a key that is not a field.
        """
        values = dict(values)
        model = dict(values.pop("model", {"preset": "small"}))
        preset = model.pop("preset", None)
        if preset is not None:
            model = {**VETimeConfig.preset(preset).to_dict(), **model}
        if model.get("retrieval_channels") == 0:
            model["retrieval"] = None  # TOML has no null
        nested = {"data": DataConfig, "loss": LossConfig}
        built: dict[str, Any] = {"model": _build(VETimeConfig, model, "model")}
        for name, kind in nested.items():
            built[name] = _build(kind, values.pop(name, {}), name)
        return _build(cls, {**values, **built}, "top level")

    @classmethod
    def read(cls, name_or_file: str | Path) -> TrainingConfig:
        """Read a TOML file, or the bundled configuration of that name ("small")."""
        bundled = resources.files("vetime_plugins.training") / "configs" / f"{name_or_file}.toml"
        path = Path(name_or_file)
        if bundled.is_file():
            text = bundled.read_text(encoding="utf-8")
        elif path.is_file():
            text = path.read_text(encoding="utf-8")
        else:
            raise InputError(
                f"The training configuration must be a TOML file or a bundled name, got {str(path)!r}."
            )
        try:
            return cls.from_dict(tomllib.loads(text))
        except tomllib.TOMLDecodeError as error:
            raise InputError(f"{name_or_file} is not valid TOML: {error}.") from error


def _build(kind: type, values: dict[str, Any], where: str) -> Any:
    known = {f.name for f in dataclasses.fields(kind)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise InputError(
            f"The training configuration has unknown keys {unknown} at {where}; known are {sorted(known)}."
        )
    return kind(**values)
