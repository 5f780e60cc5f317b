"""The training loop: stages in order, resumable at any step, with its curves on disk."""

from __future__ import annotations

import csv
import dataclasses
import json
import logging
import math
import time
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from vetime_plugins.errors import CheckpointError, InputError
from vetime_plugins.network.checkpoint import save_checkpoint
from vetime_plugins.network.config import VETimeConfig
from vetime_plugins.network.model import VETime
from vetime_plugins.training.config import STAGES, TrainingConfig
from vetime_plugins.training.data import (
    TRAINING_STREAM,
    VALIDATION_STREAM,
    SyntheticBatches,
    TrainingBatch,
    stream,
)
from vetime_plugins.training.stages import FullStage, build_stage

logger = logging.getLogger(__name__)

STATE_FILE = "state.safetensors"
CURVE_FILE = "curve.csv"
CONFIG_FILE = "training.json"
_FINAL_RATE = 0.01


def train(
    config: TrainingConfig, run_dir: str | Path, *, device: str = "cpu", stop_after: int | None = None
) -> Path:
    """Run all stages, resuming where an earlier call in `run_dir` was cut off.

    A resumed run continues the same curve: batches depend on the seed and their number only, and weights,
    optimiser and step are restored exactly.

    Parameters
    ----------
    config : TrainingConfig
    run_dir : path
        Gets ``training.json``, ``curve.csv``, ``state.safetensors`` and, at the end, ``weights/``.
    device : str
    stop_after : int, optional
        Leave (with the state saved) after this many steps of this call.

    Returns
    -------
    Path
        The weights folder; it exists once the last stage has ended.

    Raises
    ------
    InputError
        If `run_dir` holds a run of another configuration.
    """
    run = Path(run_dir)
    run.mkdir(parents=True, exist_ok=True)
    _claim(run, config)
    torch.manual_seed(config.seed)
    model = VETime(config.model).to(device)
    average = _Average(model, config.average_decay)
    stage_index, step = 0, 0
    stage: nn.Module | None = None
    optimiser: torch.optim.Optimizer | None = None
    names = [name for name in STAGES if config.steps.get(name, 0)]
    saved = _State.read(run / STATE_FILE)
    if saved is not None:
        stage_index, step = saved.stage, saved.step
    done = 0
    while stage_index < len(names):
        name = names[stage_index]
        torch.manual_seed(config.seed + 1 + stage_index)  # the stage's own heads start alike after a restart
        stage = build_stage(name, model, config).to(device)
        optimiser = torch.optim.AdamW(
            _groups(stage, config.weight_decay), lr=config.learning_rate, betas=(0.9, 0.98)
        )
        if saved is not None:
            saved.restore(stage, optimiser, model, average)
            saved = None
        budget = None if stop_after is None else stop_after - done
        reached = _run_stage(
            name, stage_index, stage, optimiser, model, average, config, run, device, step, budget
        )
        done += reached - step
        if reached < config.steps[name]:
            return run / "weights"
        stage_index, step = stage_index + 1, 0
        logger.info("stage %s ended", name)
        _State.write(run / STATE_FILE, stage_index, 0, None, None, model, average)
        saved = _State.read(run / STATE_FILE)
    facts = {"training": {"seed": config.seed, "steps": config.steps}}
    return save_checkpoint(run / "weights", config.model, average.state(), **facts)


def _run_stage(
    name: str,
    stage_index: int,
    stage: nn.Module,
    optimiser: torch.optim.Optimizer,
    model: VETime,
    average: _Average,
    config: TrainingConfig,
    run: Path,
    device: str,
    start: int,
    budget: int | None,
) -> int:
    total = config.steps[name]
    end = total if budget is None else min(total, start + budget)
    read = _read_by(name, config.model)
    batches = SyntheticBatches(read, config.data, config.seed * 16 + stage_index, TRAINING_STREAM, end)
    curve = _Curve(run / CURVE_FILE, stage_index, start)
    stage.train()
    sums: dict[str, float] = {}
    clock, points = time.perf_counter(), 0
    for step, batch in enumerate(stream(batches, start, config.data.workers), start=start):
        for group in optimiser.param_groups:
            group["lr"] = config.learning_rate * _rate(step, total, int(config.warmup_steps))
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + stage_index * 500_009 + step)
        terms = _forward(stage, _to(batch, device), generator, config, device)
        loss = torch.stack(list(terms.values())).sum()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(stage.parameters(), config.clip_norm)
        if torch.isfinite(norm):
            # A batch without a finite gradient is left out: one bad batch must not end a run of hours.
            optimiser.step()
            average.update()
        else:
            logger.warning("step %d of stage %s has no finite gradient and was left out", step, name)
        points += int(batch.steps.sum())
        for key, value in {**terms, "loss": loss}.items():
            sums[key] = sums.get(key, 0.0) + float(value.detach())
        last = step + 1 == end
        if (step + 1) % config.log_every == 0 or last:
            count = (step + 1 - start) % config.log_every or config.log_every
            seconds = time.perf_counter() - clock
            row = {key: value / count for key, value in sums.items()}
            curve.add(name, step + 1, "train", row)
            logger.info(
                "%s %d/%d %s %.0f points/s", name, step + 1, total,
                " ".join(f"{k} {v:.4f}" for k, v in row.items()), points / seconds,
            )  # fmt: skip
            sums, clock, points = {}, time.perf_counter(), 0
        if (step + 1) % config.validate_every == 0 or step + 1 == total:
            curve.add(name, step + 1, "validation", validate(stage, model, average, config, device))
            clock, points = time.perf_counter(), 0
        if (step + 1) % config.save_every == 0 or last:
            _State.write(run / STATE_FILE, stage_index, step + 1, stage, optimiser, model, average)
            if name == "full":
                save_checkpoint(run / "latest", config.model, average.state())
    return end


def validate(
    stage: nn.Module, model: VETime, average: _Average, config: TrainingConfig, device: str
) -> dict[str, float]:
    """Return the mean losses on the validation stream; for the full stage also the average precision."""
    held = average.swap_in()
    stage.eval()
    read = config.model if isinstance(stage, FullStage) else _read_by("", config.model)
    batches = SyntheticBatches(read, config.data, config.seed, VALIDATION_STREAM, config.validation_batches)
    sums: dict[str, float] = {}
    precisions: list[float] = []
    with torch.no_grad():
        for number in range(len(batches)):
            batch = _to(batches[number], device)
            generator = torch.Generator().manual_seed(number)
            terms = _forward(stage, batch, generator, config, device)
            for key, value in {**terms, "loss": torch.stack(list(terms.values())).sum()}.items():
                sums[key] = sums.get(key, 0.0) + float(value) / len(batches)
            if isinstance(stage, FullStage):
                logits = model(batch.inputs).logits
                precisions += average_precisions(logits[..., 1] - logits[..., 0], batch)
    stage.train()
    average.swap_out(held)
    if precisions:
        sums["average_precision"] = sum(precisions) / len(precisions)
    return sums


def average_precisions(margin: Tensor, batch: TrainingBatch) -> list[float]:
    """Return the average precision of each series of a batch that has both kinds of steps."""
    results = []
    for number in range(batch.n_groups):
        rows = batch.group == number
        real = batch.steps[rows]
        labels, scores = batch.labels[rows][real], margin[rows][real]
        if 0 < labels.sum() < len(labels):
            hit = labels[scores.argsort(descending=True)]
            precision = hit.cumsum(0) / torch.arange(1, len(hit) + 1, device=hit.device)
            results.append(float((precision * hit).sum() / hit.sum()))
    return results


def _read_by(stage_name: str, model: VETimeConfig) -> VETimeConfig:
    """Spare the pretraining stages the retrieval distances, which they do not read."""
    return model if stage_name == "full" else dataclasses.replace(model, retrieval=None, retrieval_channels=0)


def _forward(
    stage: nn.Module, batch: TrainingBatch, generator: torch.Generator, config: TrainingConfig, device: str
) -> dict[str, Tensor]:
    with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=config.bfloat16):
        terms: dict[str, Tensor] = stage(batch, generator)
    return terms


def _rate(step: int, total: int, warmup: int) -> float:
    if step < warmup:
        return (step + 1) / warmup
    share = (step - warmup) / max(1, total - warmup)
    return _FINAL_RATE + (1 - _FINAL_RATE) * 0.5 * (1 + math.cos(math.pi * share))


def _groups(stage: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Decay matrices only: norms, biases and position codes have no scale to keep small."""
    parameters = [p for p in stage.parameters() if p.requires_grad]
    matrices = [p for p in parameters if p.ndim >= 2 and p.shape[0] > 1]
    ids = {id(p) for p in matrices}
    others = [p for p in parameters if id(p) not in ids]
    return [{"params": matrices, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]


def _to(batch: TrainingBatch, device: str) -> TrainingBatch:
    if device == "cpu":
        return batch
    moved: dict[str, Any] = {k: v.to(device) if isinstance(v, Tensor) else v for k, v in vars(batch).items()}
    return TrainingBatch(**{**moved, "inputs": batch.inputs.to(device)})


def _claim(run: Path, config: TrainingConfig) -> None:
    file = run / CONFIG_FILE
    text = json.dumps(config.to_dict(), indent=2) + "\n"
    if file.exists() and json.loads(file.read_text(encoding="utf-8")) != json.loads(text):
        raise InputError(
            f"{run} holds a run of another configuration (see {file}). "
            "Name another folder, or remove it to start anew."
        )
    file.write_text(text, encoding="utf-8")


class _Average:
    """Exponential moving average of a model's weights; early on the window grows with the steps taken."""

    def __init__(self, model: VETime, decay: float) -> None:
        self.model, self.decay, self.updates = model, decay, 0
        self.mean = {name: value.detach().clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def update(self) -> None:
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        means, values = list(self.mean.values()), list(self.model.state_dict().values())
        torch._foreach_lerp_(means, values, 1 - decay)

    def state(self) -> dict[str, Tensor]:
        return self.mean

    def swap_in(self) -> dict[str, Tensor]:
        held = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
        self.model.load_state_dict(self.mean)
        return held

    def swap_out(self, held: dict[str, Tensor]) -> None:
        self.model.load_state_dict(held)


class _Curve:
    """The losses as rows of a CSV file: stage, step, split, name, value."""

    def __init__(self, path: Path, stage_index: int, step: int) -> None:
        self.path = path
        kept: list[list[str]] = []
        if path.exists():
            # Rows beyond the saved state belong to steps that will be repeated.
            with path.open(newline="", encoding="utf-8") as file:
                rows = list(csv.reader(file))[1:]
            order = {name: i for i, name in enumerate(dict.fromkeys(row[0] for row in rows))}
            kept = [row for row in rows if order[row[0]] < stage_index or int(row[1]) <= step]
            kept = [row for row in kept if order[row[0]] <= stage_index]
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([["stage", "step", "split", "name", "value"], *kept])

    def add(self, stage: str, step: int, split: str, values: dict[str, float]) -> None:
        with self.path.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(
                [stage, step, split, key, f"{value:.6g}"] for key, value in values.items()
            )


class _State:
    """Everything that a restart needs, in one safetensors file (no pickle)."""

    def __init__(self, stage: int, step: int, updates: int, tensors: dict[str, Tensor]) -> None:
        self.stage, self.step, self.updates, self.tensors = stage, step, updates, tensors

    @staticmethod
    def write(
        path: Path,
        stage_index: int,
        step: int,
        stage: nn.Module | None,
        optimiser: torch.optim.Optimizer | None,
        model: VETime,
        average: _Average,
    ) -> None:
        tensors = {f"model/{k}": v for k, v in model.state_dict().items()}
        tensors |= {f"average/{k}": v for k, v in average.mean.items()}
        if stage is not None and optimiser is not None:
            tensors |= {f"stage/{k}": v for k, v in stage.state_dict().items()}
            for index, entry in optimiser.state_dict()["state"].items():
                tensors |= {f"optimiser/{index}/{k}": torch.as_tensor(v) for k, v in entry.items()}
        copies = {k: v.detach().cpu().clone().contiguous() for k, v in tensors.items()}
        metadata = {"stage": str(stage_index), "step": str(step), "updates": str(average.updates)}
        partial = path.with_suffix(".partial")
        save_file(copies, partial, metadata=metadata)
        partial.replace(path)  # atomic: a kill leaves the old state or the new one

    @classmethod
    def read(cls, path: Path) -> _State | None:
        if not path.exists():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                facts = file.metadata()
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
        except Exception as error:
            raise CheckpointError(
                f"{path} cannot be read: {error}. Remove it to start the run anew."
            ) from error
        return cls(int(facts["stage"]), int(facts["step"]), int(facts["updates"]), tensors)

    def restore(
        self, stage: nn.Module, optimiser: torch.optim.Optimizer, model: VETime, average: _Average
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
