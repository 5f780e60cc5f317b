"""Train the expectation network: conceal blocks of a series and learn to say what they should be.

    python -m vetime_plugins.training.expectation RUN [--config FILE] [--seconds N] [--backgrounds FILE]
                                                      [--start WEIGHTS] [--device NAME]

The run folder gets ``training.json``, ``curve.csv``, ``state.pt`` and, at the end, ``weights/``. The same
command again goes on from the last state, which is saved every two minutes; the series that follow are new
ones, so a run that was cut off is as good as one that was not, but not the same.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import io
import json
import math
import sys
import time
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import numpy as np
import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from vetime_plugins._command import run_command
from vetime_plugins._files import only_user_of, write_whole
from vetime_plugins._validation import STRICT, Flag, Number, Whole, checked, read_table, validate
from vetime_plugins.errors import InputError
from vetime_plugins.network.checkpoint import load_expectation, save_checkpoint
from vetime_plugins.network.devices import choose_device
from vetime_plugins.network.expectation import ExpectationConfig, ExpectationNetwork, conceal
from vetime_plugins.network.phases import Windows
from vetime_plugins.network.surprise import BLOCKS, EVERY
from vetime_plugins.training.pool import Backgrounds, Pool

_COLUMNS = ("step", "points", "split", "loss", "nll", "error", "points_per_second")
_STATE, _CURVE, _CONFIG = "state.pt", "curve.csv", "training.json"
_SIZES = ("patch_size", "window", "width", "depth", "heads", "use_phases", "aligned")
_BLOCK_SHARES, _HALF_CONCEALED = (0.4, 0.3, 0.3), 0.3
_HELD_OUT_POINTS, _HELD_OUT_WINDOWS, _HELD_OUT_BATCHES = 2_000_000, 32, 3
_SAVE_SECONDS = 120
_FINAL_RATE = 0.01
_FREEDOM = 3.0
"""Degrees of freedom of the Student distribution."""
_Count = Annotated[Whole, Field(ge=1)]
_Share = Annotated[Number, Field(ge=0, le=1)]
Likelihood = Literal["laplace", "student"]


@checked
@dataclass(frozen=True, config=STRICT)
class ExpectationTraining:
    """One run.

    Parameters
    ----------
    model : ExpectationConfig
    seed : int
    points : int
        Steps that the network reads in all.
    windows_per_batch : int
    pool_points : int
        Steps of the pool, see `vetime_plugins.training.pool.Pool`.
    fresh_share : float
        New steps in the pool for each step that is read.
    min_length, max_length : int
        Range of the lengths of the series.
    real_share : float
        Share of real series; they need a file of backgrounds.
    likelihood : {"laplace", "student"}
        Distribution of a step around its expectation; "student" has heavier tails, three degrees of freedom.
    learning_rate, weight_decay, warmup_steps, clip_norm : float
        AdamW with linear warm-up and cosine decay to a hundredth.
    average_decay : float
        Decay of the moving average of the weights, which is what is validated and saved.
    bfloat16 : bool
        Run forward and backward under bfloat16 autocast.
    log_every, validate_every : int
        In steps.
    """

    model: ExpectationConfig = ExpectationConfig()
    seed: Whole = 0
    points: _Count = 200_000_000
    windows_per_batch: _Count = 24
    pool_points: _Count = 12_000_000
    fresh_share: _Share = 0.2
    min_length: Annotated[Whole, Field(ge=32)] = 500
    max_length: Annotated[Whole, Field(ge=32)] = 20_000
    real_share: _Share = 0.0
    likelihood: Likelihood = "laplace"
    learning_rate: Number = 2e-3
    weight_decay: Number = 1e-2
    warmup_steps: _Count = 200
    clip_norm: Number = 1.0
    average_decay: _Share = 0.998
    bfloat16: Flag = True
    log_every: _Count = 50
    validate_every: _Count = 500

    @classmethod
    def read(cls, file: str | Path) -> ExpectationTraining:
        """Read a TOML file."""
        return validate(cls, read_table(Path(file)), str(file))


def objective(
    network: ExpectationNetwork,
    windows: Windows,
    clean: Tensor,
    concealed: Tensor,
    likelihood: Likelihood = "laplace",
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the loss, the mean negative log-likelihood and the mean distance, over what was concealed.

    In the loss, steps count with the root of their scale, lest those that are easily foretold alone set the
    gradient (Seitzer et al., 2022).

    Parameters
    ----------
    network : ExpectationNetwork
    windows : Windows
        With anomalies.
    clean : Tensor of shape (B, L)
        Without them.
    concealed : bool Tensor of shape (B, N)
    likelihood : {"laplace", "student"}
        Distribution of the clean series around its expectation, up to a constant.
    """
    expected, scale = network(windows, concealed)
    counted = concealed.repeat_interleave(network.config.patch_size, dim=1) & windows.real
    distance = (clean - expected).abs()
    if likelihood == "laplace":
        surprise = distance / scale + scale.log()
    else:
        squared = (distance / scale).square()
        surprise = (_FREEDOM + 1) / 2 * torch.log1p(squared / _FREEDOM) + scale.log()
    weight = scale.detach().sqrt() * counted
    count = counted.sum().clamp(min=1)
    loss = (surprise * weight).sum() / weight.sum().clamp(min=1e-6)
    return loss, (surprise * counted).sum() / count, (distance * counted).sum() / count


def train(
    config: ExpectationTraining,
    run_dir: str | Path,
    *,
    backgrounds: str | Path | None = None,
    start: str | Path | None = None,
    seconds: float = math.inf,
    device: str = "cpu",
) -> Path:
    """Run, or go on with the run in `run_dir`.

    Parameters
    ----------
    config : ExpectationTraining
    run_dir : path
    backgrounds : path, optional
        Real series, see `vetime_plugins.training.pool.Backgrounds`.
    start : path, optional
        Weights folder of another run to begin with; a run that goes on has its own.
    seconds : float
        Leave, with the state saved, after so long.
    device : {"auto", "cpu", "cuda", "mps"}
        Where the network learns; a run may go on elsewhere. Series are made on the CPU.

    Returns
    -------
    Path
        The weights folder; it exists once the run has ended.

    Raises
    ------
    InputError
        If `run_dir` holds a run of another configuration or another process trains in it, real series are
        wanted and none given, `start` has weights of other sizes, or there is no such device.
    CheckpointError
        If `start` is no weights folder.
    """
    if config.real_share and backgrounds is None:
        raise InputError(f"real_share of {config.real_share} needs a file of backgrounds, got none")
    run = Path(run_dir)
    with only_user_of(run):
        _claim(run / _CONFIG, config)
        return _train(config, run, backgrounds, start, seconds, choose_device(device))


def _train(
    config: ExpectationTraining,
    run: Path,
    backgrounds: str | Path | None,
    start: str | Path | None,
    seconds: float,
    device: torch.device,
) -> Path:
    trainer = _Trainer(config, run / _STATE, device)
    if start is not None and trainer.step == 0:
        trainer.begin_with(load_expectation(start))
    rng = np.random.default_rng([config.seed, 0, trainer.step])
    lengths = (config.min_length, config.max_length)
    real = None if backgrounds is None else Backgrounds(backgrounds)
    pool = Pool(config.pool_points, lengths, rng, real, config.real_share)
    checks = list(_held_out(config)) if trainer.step < trainer.total else []
    began = saved = time.monotonic()
    with _Curve(run / _CURVE) as curve:
        while trainer.step < trainer.total and time.monotonic() - began < seconds:
            trainer.update(pool, rng, curve)
            if trainer.step % config.validate_every == 0 or trainer.step == trainer.total:
                for block, losses in trainer.validate(checks):
                    curve.write(trainer.step, trainer.points, f"held out {block}", losses)
            if time.monotonic() - saved > _SAVE_SECONDS:
                trainer.save(run / _STATE)
                saved = time.monotonic()
    trainer.save(run / _STATE)
    if trainer.step >= trainer.total:
        save_checkpoint(run / "weights", config.model, trainer.average.state_dict())
    return run / "weights"


class _Check(NamedTuple):
    """A held-out batch, and the length of the blocks that are concealed in it."""

    block: int
    windows: Windows
    clean: Tensor
    concealed: Tensor

    def to(self, device: torch.device) -> tuple[Windows, Tensor, Tensor]:
        return self.windows.to(device), self.clean.to(device), self.concealed.to(device)


class _Trainer:
    """Network, its average and the optimiser, and how far they are."""

    def __init__(self, config: ExpectationTraining, state: Path, device: torch.device) -> None:
        torch.manual_seed(config.seed)
        self.config, self.device = config, device
        self.network, self.average = (ExpectationNetwork(config.model).to(device) for _ in range(2))
        self.average.load_state_dict(self.network.state_dict())
        groups = [
            {
                "params": [p for p in self.network.parameters() if (p.ndim > 1) is matrix],
                "weight_decay": config.weight_decay if matrix else 0.0,
            }
            for matrix in (True, False)
        ]
        self.optimiser = torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98))
        self.step = 0
        if state.exists():
            saved = torch.load(state, map_location=device, weights_only=True)
            self.network.load_state_dict(saved["model"])
            self.average.load_state_dict(saved["average"])
            self.optimiser.load_state_dict(saved["optimiser"])
            self.step = saved["step"]
        self.step_points = config.windows_per_batch * config.model.window
        self.total = max(1, config.points // self.step_points)
        self._owed = 0.0

    def begin_with(self, other: ExpectationNetwork) -> None:
        """Take the weights of another network; how its scores are read out is its own."""
        wanted, given = (
            {name: getattr(one, name) for name in _SIZES} for one in (self.config.model, other.config)
        )
        if wanted != given:
            raise InputError(f"the run is to have {wanted}, its start has {given}")
        for own in (self.network, self.average):
            own.load_state_dict(other.state_dict())

    @property
    def points(self) -> int:
        """Steps of series that were read."""
        return self.step * self.step_points

    def update(self, pool: Pool, rng: np.random.Generator, curve: _Curve) -> None:
        """Take one step."""
        config = self.config
        self._owed += config.fresh_share * self.step_points
        while self._owed > 0:
            self._owed -= pool.add()
        windows, clean = pool.draw(config.windows_per_batch, config.model.window)
        concealed = _draw_concealed(rng, len(windows), config.model)
        for group in self.optimiser.param_groups:
            group["lr"] = config.learning_rate * self._rate()
        windows, clean = windows.to(self.device), clean.to(self.device)
        concealed = concealed.to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=config.bfloat16):
            losses = objective(self.network, windows, clean, concealed, config.likelihood)
        self.optimiser.zero_grad(set_to_none=True)
        losses[0].backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), config.clip_norm)
        self.optimiser.step()
        self.step += 1
        kept = min(config.average_decay, self.step / (self.step + 10))
        with torch.no_grad():
            for mean, own in zip(self.average.parameters(), self.network.parameters(), strict=True):
                mean.lerp_(own, 1 - kept)
        curve.add(self.step, self.points, losses, self.step_points, every=config.log_every)

    def validate(self, checks: list[_Check]) -> Iterator[tuple[int, Tensor]]:
        """Yield the mean losses of the averaged weights for each length of the blocks."""
        with torch.inference_mode():
            for block in BLOCKS:
                found = [
                    torch.stack(objective(self.average, *one.to(self.device), self.config.likelihood))
                    for one in checks
                    if one.block == block
                ]
                yield block, torch.stack(found).mean(0)

    def save(self, state: Path) -> None:
        """Write the state in one piece: a run that is cut off here keeps the one before."""
        content = io.BytesIO()
        torch.save(
            {
                "step": self.step,
                "model": self.network.state_dict(),
                "average": self.average.state_dict(),
                "optimiser": self.optimiser.state_dict(),
            },
            content,
        )
        write_whole(state, content.getbuffer())

    def _rate(self) -> float:
        cosine = 0.5 * (1 + math.cos(math.pi * self.step / self.total))
        warm = min(1.0, (self.step + 1) / self.config.warmup_steps)
        return warm * (_FINAL_RATE + (1 - _FINAL_RATE) * cosine)


class _Curve:
    """The curve on disk; rows of training are means over the steps since the last one."""

    def __init__(self, file: Path) -> None:
        new = not file.exists()
        self._stream = file.open("a", newline="", encoding="utf-8")
        self._writer = csv.writer(self._stream)
        if new:
            self._writer.writerow(_COLUMNS)
        self._sums, self._steps, self._since = torch.zeros(3), 0, time.monotonic()

    def __enter__(self) -> _Curve:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def add(self, step: int, points: int, losses: tuple[Tensor, ...], size: int, *, every: int) -> None:
        self._sums += torch.stack([loss.detach() for loss in losses]).cpu()
        self._steps += 1
        if step % every == 0:
            speed = self._steps * size / (time.monotonic() - self._since)
            self.write(step, points, "training", self._sums / self._steps, f"{speed:.0f}")
            self._sums, self._steps, self._since = torch.zeros(3), 0, time.monotonic()

    def write(self, step: int, points: int, split: str, losses: Tensor, speed: str = "") -> None:
        self._writer.writerow([step, points, split, *(f"{loss:.4f}" for loss in losses.tolist()), speed])
        self._stream.flush()


def _draw_concealed(rng: np.random.Generator, count: int, model: ExpectationConfig) -> Tensor:
    """Conceal as the scoring does, or half of everything."""
    block = int(rng.choice(BLOCKS, p=_BLOCK_SHARES))
    every = 2 if rng.random() < _HALF_CONCEALED else EVERY
    offsets = torch.from_numpy(rng.integers(0, block * every, size=count))
    return conceal(model.window // model.patch_size, block, every, offsets)


def _held_out(config: ExpectationTraining) -> Iterator[_Check]:
    """Yield batches of synthetic series that are never trained on: the same for every run of a seed."""
    rng = np.random.default_rng([config.seed, 1])
    pool = Pool(max(_HELD_OUT_POINTS, config.max_length), (config.min_length, config.max_length), rng)
    n_patches = config.model.window // config.model.patch_size
    for block in BLOCKS:
        for _ in range(_HELD_OUT_BATCHES):
            windows, clean = pool.draw(_HELD_OUT_WINDOWS, config.model.window)
            offsets = torch.from_numpy(rng.integers(0, EVERY * block, _HELD_OUT_WINDOWS))
            yield _Check(block, windows, clean, conceal(n_patches, block, EVERY, offsets))


def _claim(file: Path, config: ExpectationTraining) -> None:
    """Write the configuration, or see that the run there has the same; a field it lacks has its default."""
    if file.exists():
        written = validate(ExpectationTraining, json.loads(file.read_text(encoding="utf-8")), str(file))
        if written != config:
            raise InputError(f"{file.parent} holds a run of another configuration; choose another folder")
    write_whole(file, (json.dumps(dataclasses.asdict(config), indent=1) + "\n").encode())


def main() -> int:
    """Train from the command line, and return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    bundled = resources.files("vetime_plugins.training") / "configs" / "expectation.toml"
    parser.add_argument("--config", default=str(bundled), help="TOML file; the bundled one by default")
    parser.add_argument("--backgrounds", type=Path, help=".npz file of real series")
    parser.add_argument("--start", type=Path, help="weights folder of another run to begin with")
    parser.add_argument("--seconds", type=float, default=math.inf, help="leave after so long; resume later")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu", help="auto, cpu, cuda or mps")
    args = parser.parse_args()

    def call() -> None:
        torch.set_num_threads(args.threads)
        config = ExpectationTraining.read(args.config)
        weights = train(
            config, args.run, backgrounds=args.backgrounds, start=args.start, seconds=args.seconds
        )
        print(
            f"weights: {weights}" if weights.is_dir() else f"run the same command again to resume {args.run}"
        )

    return run_command("training", call)


if __name__ == "__main__":
    sys.exit(main())
