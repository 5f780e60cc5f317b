"""The training loop: stages in order, resumable at any step, with its curves on disk."""

from __future__ import annotations

import dataclasses
import logging
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vetime_plugins._progress import Progress, Reporter
from vetime_plugins.errors import InputError
from vetime_plugins.network.checkpoint import save_checkpoint
from vetime_plugins.network.config import VETimeConfig
from vetime_plugins.network.devices import choose_device
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
from vetime_plugins.training.state import Average, Curve, Losses, State, claimed

logger = logging.getLogger(__name__)

STATE_FILE = "state.safetensors"
CURVE_FILE = "curve.csv"
_FINAL_RATE = 0.01


def train(
    config: TrainingConfig,
    run_dir: str | Path,
    *,
    device: str = "cpu",
    stop_after: int | None = None,
    progress: Progress = False,
) -> Path:
    """Run all stages, resuming where an earlier call in `run_dir` was cut off.

    A resumed run continues the same curve, wherever it was cut or killed: batches depend on the seed and
    their number only, and weights, optimiser, step and the losses since the last row are restored exactly.

    Parameters
    ----------
    config : TrainingConfig
    run_dir : path
        Gets ``training.json``, ``curve.csv``, ``state.safetensors`` and, at the end, ``weights/``.
    device : str
    stop_after : int, optional
        Leave (with the state saved) after this many steps of this call.
    progress : bool or callable
        Show a bar (needs tqdm), or call ``progress(done, total)`` in steps of all stages.

    Returns
    -------
    Path
        The weights folder; it exists once the last stage has ended.

    Raises
    ------
    InputError
        If there is no such device, or `run_dir` is no folder, holds a run of another configuration, or
        another process trains in it.
    CheckpointError
        If the state in `run_dir` is damaged.
    MissingDependencyError
        If `progress` needs a package that is not installed.
    """
    if stop_after is not None and stop_after < 1:
        raise InputError(f"stop_after must be at least 1 step, got {stop_after}.")
    device = str(choose_device(device))
    run = Path(run_dir)
    names = [name for name in STAGES if getattr(config.steps, name)]
    total = sum(getattr(config.steps, name) for name in names)
    with Reporter(progress, total, "steps") as report, claimed(run, config):
        return _run_stages(names, config, run, device, stop_after, report)


def _run_stages(
    names: list[str],
    config: TrainingConfig,
    run: Path,
    device: str,
    stop_after: int | None,
    report: Callable[[int], None],
) -> Path:
    torch.manual_seed(config.seed)
    model = VETime(config.model).to(device)
    average = Average(model, config.average_decay)
    stage_index, step = 0, 0
    stage: nn.Module | None = None
    optimiser: torch.optim.Optimizer | None = None
    saved = State.read(run / STATE_FILE)
    if saved is not None:
        stage_index, step = saved.stage, saved.step
        report(sum(getattr(config.steps, name) for name in names[:stage_index]) + step)
    done = 0
    while stage_index < len(names):
        name = names[stage_index]
        torch.manual_seed(config.seed + 1 + stage_index)  # the stage's own heads start alike after a restart
        stage = build_stage(name, model, config).to(device)
        optimiser = torch.optim.AdamW(
            _groups(stage, config.weight_decay), lr=config.learning_rate, betas=(0.9, 0.98)
        )
        losses = Losses()
        if saved is not None:
            saved.restore(stage, optimiser, model, average)
            losses = saved.losses
        budget = None if stop_after is None else stop_after - done
        reached = _run_stage(
            name, stage_index, stage, optimiser, model, average, losses, config, run, device, step, budget,
            report,
        )  # fmt: skip
        done += reached - step
        if reached < getattr(config.steps, name):
            return run / "weights"
        stage_index, step = stage_index + 1, 0
        logger.info("stage %s ended", name)
        State.write(run / STATE_FILE, stage_index, 0, None, None, model, average, Losses())
        saved = State.read(run / STATE_FILE)
    facts = {"training": {"seed": config.seed, "steps": dataclasses.asdict(config.steps)}}
    return save_checkpoint(run / "weights", config.model, average.state(), **facts)


def _run_stage(
    name: str,
    stage_index: int,
    stage: nn.Module,
    optimiser: torch.optim.Optimizer,
    model: VETime,
    average: Average,
    losses: Losses,
    config: TrainingConfig,
    run: Path,
    device: str,
    start: int,
    budget: int | None,
    report: Callable[[int], None],
) -> int:
    total = getattr(config.steps, name)
    end = total if budget is None else min(total, start + budget)
    read = _read_by(name, config.model)
    batches = SyntheticBatches(read, config.data, config.seed * 16 + stage_index, TRAINING_STREAM, end)
    curve = Curve(run / CURVE_FILE, stage_index, start)
    stage.train()
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
        losses.add({**terms, "loss": loss})
        if (step + 1) % config.log_every == 0 or step + 1 == total:
            seconds = time.perf_counter() - clock
            row = losses.take_means()
            curve.add(name, step + 1, "train", row)
            logger.info(
                "%s %d/%d %s %.0f points/s", name, step + 1, total,
                " ".join(f"{k} {v:.4f}" for k, v in row.items()), points / seconds,
            )  # fmt: skip
            clock, points = time.perf_counter(), 0
        if (step + 1) % config.validate_every == 0 or step + 1 == total:
            curve.add(name, step + 1, "validation", validate(stage, model, average, config, device))
            clock, points = time.perf_counter(), 0
        if (step + 1) % config.save_every == 0 or step + 1 == end:
            State.write(run / STATE_FILE, stage_index, step + 1, stage, optimiser, model, average, losses)
            if name == "full":
                save_checkpoint(run / "latest", config.model, average.state())
        report(1)
    return end


def validate(
    stage: nn.Module, model: VETime, average: Average, config: TrainingConfig, device: str
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
