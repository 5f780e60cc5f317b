"""Everything a training run depends on, in one file."""

from __future__ import annotations

import dataclasses
import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field
from pydantic.dataclasses import dataclass

from vetime_plugins._validation import STRICT, Flag, Number, Whole, checked, validate
from vetime_plugins.errors import InputError
from vetime_plugins.network.config import VETimeConfig
from vetime_plugins.synthesis.recipes import find_recipe

STAGES = ("vision", "temporal", "full")

_Positive = Annotated[Whole, Field(ge=1)]
_Count = Annotated[Whole, Field(ge=0)]
_Rate = Annotated[Number, Field(gt=0)]
_Weight = Annotated[Number, Field(ge=0)]
_Share = Annotated[Number, Field(ge=0, le=1)]
_Part = Annotated[Number, Field(ge=0, lt=1)]


@checked
@dataclass(frozen=True, config=STRICT)
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
        Two or more where there are batches with several variables.
    workers : int
        Processes that generate batches; 0 generates in the training process.
    recipe : str
        Corpus to draw from, by its name in `vetime_plugins.synthesis.recipes`.
    """

    points_per_batch: _Positive = 32_768
    min_length: Annotated[Whole, Field(ge=32)] = 500
    max_length: _Positive = 20_000
    multivariate: _Share = 0.0
    max_variables: _Positive = 8
    workers: Annotated[Whole, Field(ge=0, le=1024)] = 1
    recipe: str = "classic"

    def __post_init__(self) -> None:
        """Reject ranges that are empty and recipes that do not exist."""
        if self.max_length < self.min_length:
            raise InputError(
                f"data.max_length must be at least min_length, got {self.max_length} and {self.min_length}"
            )
        if self.multivariate and self.max_variables < 2:
            raise InputError(
                "data.max_variables must be at least 2 where multivariate is above 0, "
                f"got {self.max_variables}"
            )
        find_recipe(self.recipe)


@checked
@dataclass(frozen=True, config=STRICT)
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

    detection: _Weight = 1.0
    reconstruction: _Weight = 1.0
    contrast: _Weight = 0.1
    balance: _Weight = 0.2
    ranking: _Weight = 0.5
    positive_weight: _Weight = 4.0
    label_margin: _Count = 128
    unmarked: _Share = 0.5
    mild: _Share = 0.4


@checked
@dataclass(frozen=True, config=STRICT)
class StepsConfig:
    """Optimiser steps of the stages, which run in this order; 0 leaves one out.

    Parameters
    ----------
    vision, temporal, full : int
    """

    vision: _Count = 0
    temporal: _Count = 0
    full: _Count = 0


@checked
@dataclass(frozen=True, config=STRICT)
class TrainingConfig:
    """One run.

    Parameters
    ----------
    model : VETimeConfig
    seed : int
    steps : StepsConfig
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
    data : DataConfig
    loss : LossConfig

    Raises
    ------
    InputError
        If a value is of another type or out of its range. Tables may be dictionaries.
    """

    model: VETimeConfig
    seed: _Count = 0
    steps: StepsConfig = StepsConfig(full=1000)
    learning_rate: _Rate = 1e-3
    weight_decay: _Weight = 1e-2
    warmup_steps: _Count = 100
    clip_norm: _Rate = 1.0
    mask_ratio: Annotated[Number, Field(gt=0, lt=1)] = 0.75
    temporal_mask_ratio: _Part = 0.3
    average_decay: _Part = 0.998
    bfloat16: Flag = True
    log_every: _Positive = 20
    validate_every: _Positive = 500
    save_every: _Positive = 250
    validation_batches: _Positive = 8
    data: DataConfig = DataConfig()
    loss: LossConfig = LossConfig()

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
            If a table has a key that is not a field, or a value is not what the field takes.
        """
        return cls._from_table(values, "the training configuration")

    @classmethod
    def _from_table(cls, values: dict[str, Any], origin: str) -> TrainingConfig:
        model = values.get("model", {"preset": "small"})
        if isinstance(model, dict):
            model = dict(model)
            preset = model.pop("preset", None)
            if preset is not None:
                model = {**VETimeConfig.preset(preset).to_dict(), **model}
            if model.get("retrieval_channels") == 0:
                model["retrieval"] = None  # TOML has no null
        return validate(cls, {**values, "model": model}, origin)

    @classmethod
    def read(cls, name_or_file: str | Path) -> TrainingConfig:
        """Read a TOML file, or the bundled configuration of that name ("small").

        Raises
        ------
        InputError
            If there is none, or it is not what `from_dict` takes.
        """
        file = resources.files("vetime_plugins.training") / "configs" / f"{name_or_file}.toml"
        if not file.is_file():
            file = Path(name_or_file)
        if not file.is_file():
            raise InputError(
                f"The training configuration must be a TOML file or a bundled name, got {str(file)!r}."
            )
        try:
            values = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise InputError(f"{name_or_file} cannot be read as TOML: {error}.") from error
        return cls._from_table(values, str(name_or_file))
