"""What a run keeps: its configuration, curve, averaged weights, and the state that a restart needs.

Every file is either appended to or replaced as a whole, so that a run may be killed at any moment.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from vetime_plugins._files import only_user_of, write_whole
from vetime_plugins.errors import CheckpointError, InputError
from vetime_plugins.network.model import VETime
from vetime_plugins.training.config import TrainingConfig

CONFIG_FILE = "training.json"


@contextmanager
def claimed(run: Path, config: TrainingConfig) -> Iterator[None]:
    """Make the folder of a run, or see that it is this run's and nobody is at it.

    Raises `InputError` if it is no folder, or that of another configuration, or another process trains there.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(only_user_of(run))
        except OSError as error:
            raise InputError(f"{run} cannot be used as the folder of a run: {error}.") from error
        _check(run, config)
        yield


def _check(run: Path, config: TrainingConfig) -> None:
    file = run / CONFIG_FILE
    try:
        if not file.exists():
            write_whole(file, (json.dumps(config.to_dict(), indent=2) + "\n").encode())
        held = TrainingConfig.from_dict(json.loads(file.read_text(encoding="utf-8")))
    except OSError as error:
        raise InputError(f"{run} cannot be used as the folder of a run: {error}.") from error
    except (ValueError, AttributeError) as error:
        raise InputError(
            f"{file} must be the configuration of a run: {error}. Name another folder, or remove this one."
        ) from error
    if held != config:
        raise InputError(
            f"{run} holds a run of another configuration (see {file}). "
            "Name another folder, or remove it to start anew."
        )


class Losses:
    """Sums of the loss terms since the last row of the curve."""

    def __init__(self, steps: int = 0, sums: dict[str, float] | None = None) -> None:
        self.steps, self.sums = steps, sums or {}

    def add(self, terms: dict[str, Tensor]) -> None:
        """Add one step."""
        self.steps += 1
        for key, value in terms.items():
            self.sums[key] = self.sums.get(key, 0.0) + float(value.detach())

    def take_means(self) -> dict[str, float]:
        """Return the mean of each term, and start anew."""
        means = {key: value / self.steps for key, value in self.sums.items()}
        self.steps, self.sums = 0, {}
        return means


class Average:
    """Exponential moving average of a model's weights; early on the window grows with the steps taken."""

    def __init__(self, model: VETime, decay: float) -> None:
        self.model, self.decay, self.updates = model, decay, 0
        self.mean = {name: value.detach().clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def update(self) -> None:
        """Take the weights as they are now in."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        means, values = list(self.mean.values()), list(self.model.state_dict().values())
        torch._foreach_lerp_(means, values, 1 - decay)

    def state(self) -> dict[str, Tensor]:
        """Return the averaged weights."""
        return self.mean

    def swap_in(self) -> dict[str, Tensor]:
        """Put the average into the model, and return what was there."""
        held = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
        self.model.load_state_dict(self.mean)
        return held

    def swap_out(self, held: dict[str, Tensor]) -> None:
        """Put back what `swap_in` returned."""
        self.model.load_state_dict(held)


class Curve:
    """The losses as rows of a CSV file: stage, step, split, name, value."""

    def __init__(self, path: Path, stage_index: int, step: int) -> None:
        self.path = path
        kept: list[list[str]] = []
        if path.exists():
            # Rows beyond the saved state belong to steps that will be repeated.
            with path.open(newline="", encoding="utf-8") as file:
                rows = [row for row in csv.reader(file) if len(row) == 5][1:]  # a kill may cut the last one
            order = {name: i for i, name in enumerate(dict.fromkeys(row[0] for row in rows))}
            kept = [row for row in rows if order[row[0]] < stage_index or int(row[1]) <= step]
            kept = [row for row in kept if order[row[0]] <= stage_index]
        rows = [["stage", "step", "split", "name", "value"], *kept]
        text = io.StringIO(newline="")
        csv.writer(text).writerows(rows)
        write_whole(path, text.getvalue().encode())

    def add(self, stage: str, step: int, split: str, values: dict[str, float]) -> None:
        """Append one row for each value."""
        with self.path.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(
                [stage, step, split, key, f"{value:.6g}"] for key, value in values.items()
            )


class State:
    """Everything that a restart needs, in one safetensors file (no pickle)."""

    def __init__(
        self, path: Path, stage: int, step: int, updates: int, losses: Losses, tensors: dict[str, Tensor]
    ) -> None:
        self.path, self.stage, self.step, self.updates = path, stage, step, updates
        self.losses, self.tensors = losses, tensors

    @staticmethod
    def write(
        path: Path,
        stage_index: int,
        step: int,
        stage: nn.Module | None,
        optimiser: torch.optim.Optimizer | None,
        model: VETime,
        average: Average,
        losses: Losses,
    ) -> None:
        """Write the file; without a stage only what the next stage needs."""
        tensors = {f"model/{k}": v for k, v in model.state_dict().items()}
        tensors |= {f"average/{k}": v for k, v in average.mean.items()}
        if stage is not None and optimiser is not None:
            tensors |= {f"stage/{k}": v for k, v in stage.state_dict().items()}
            for index, entry in optimiser.state_dict()["state"].items():
                tensors |= {f"optimiser/{index}/{k}": torch.as_tensor(v) for k, v in entry.items()}
        copies = {k: v.detach().cpu().clone().contiguous() for k, v in tensors.items()}
        metadata = {
            "stage": str(stage_index),
            "step": str(step),
            "updates": str(average.updates),
            "losses": json.dumps(vars(losses)),
        }
        write_whole(path, save(copies, metadata=metadata))

    @classmethod
    def read(cls, path: Path) -> State | None:
        """Return the state in a file, None where there is none; CheckpointError if it is damaged."""
        if not path.exists():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                facts = file.metadata()
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
            losses = Losses(**json.loads(facts.get("losses", "{}")))
            return cls(path, int(facts["stage"]), int(facts["step"]), int(facts["updates"]), losses, tensors)
        except Exception as error:
            raise CheckpointError(
                f"{path} cannot be read: {error}. Remove it to start the run anew."
            ) from error

    def restore(
        self, stage: nn.Module, optimiser: torch.optim.Optimizer, model: VETime, average: Average
    ) -> None:
        """Put everything back; raises `CheckpointError` if the state is that of another network."""
        try:
            self._restore(stage, optimiser, model, average)
        except (KeyError, RuntimeError, ValueError) as error:
            raise CheckpointError(
                f"{self.path} does not fit the run's configuration: {error}. Remove it to start the run anew."
            ) from error

    def _restore(
        self, stage: nn.Module, optimiser: torch.optim.Optimizer, model: VETime, average: Average
    ) -> None:
        def part(prefix: str) -> dict[str, Tensor]:
            return {k.removeprefix(prefix): v for k, v in self.tensors.items() if k.startswith(prefix)}

        model.load_state_dict(part("model/"))
        for name, value in part("average/").items():
            average.mean[name].copy_(value)
        average.updates = self.updates
        if heads := part("stage/"):
            stage.load_state_dict(heads)
        if entries := part("optimiser/"):
            state: dict[int, dict[str, Tensor]] = {}
            for key, value in entries.items():
                index, field = key.split("/")
                state.setdefault(int(index), {})[field] = value
            optimiser.load_state_dict(
                {"state": state, "param_groups": optimiser.state_dict()["param_groups"]}
            )
