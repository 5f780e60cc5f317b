"""`vetime train`: run or resume a training configuration."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "config", nargs="?", default="small", help="TOML file, or the name of a bundled one (small)"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("runs/small"), help="run folder; a run found there resumes"
    )
    parser.add_argument("--device", default="cpu", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument(
        "--stop-after", type=int, metavar="STEPS", help="leave after this many steps; resume later"
    )
    parser.add_argument("--threads", type=int, help="CPU threads of the network's arithmetic")


def run(args: argparse.Namespace) -> int:
    """Train; print where the weights are."""
    import torch

    from vetime_plugins._progress import TerminalBar
    from vetime_plugins.errors import InputError
    from vetime_plugins.training.config import TrainingConfig
    from vetime_plugins.training.loop import train

    if args.threads is not None:
        if args.threads < 1:
            raise InputError(f"--threads must be at least 1, got {args.threads}")
        torch.set_num_threads(args.threads)
    config = TrainingConfig.read(args.config)
    with TerminalBar("training", unit_scale=False) as bar:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=bar)
        weights = train(config, args.out, device=args.device, stop_after=args.stop_after, progress=bar)
    if not weights.is_dir():
        print(f"stopped early; run the same command again to resume {args.out}")
        return 0
    print(f"weights: {weights}")
    return 0
