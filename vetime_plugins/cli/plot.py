"""``vetime plot``: a picture of a series, its scores and how the model came to them."""

from __future__ import annotations

import argparse
from pathlib import Path

from vetime_plugins.cli import inputs
from vetime_plugins.errors import InputError

DESCRIPTION = """\
Draw a series with its scores, the threshold and the anomalous spans. With --explain the picture also
shows the model's reconstruction, each expert's weight over time and the image the series was folded into."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``vetime plot``."""
    parser.description = DESCRIPTION
    inputs.add_table_arguments(parser)
    inputs.add_model_arguments(parser)
    inputs.add_threshold_arguments(parser)
    group = parser.add_argument_group("output")
    group.add_argument(
        "--out", metavar="FILE", required=True, help="the picture (.png, .svg, .pdf, .jpg or .webp)"
    )
    group.add_argument("--explain", action="store_true", help="show how the model came to its scores")


def run(args: argparse.Namespace) -> int:
    """Draw the file that the arguments name."""
    inputs.check_picture(args.out)
    if args.explain and (args.reference or args.readout):
        raise InputError(
            "--explain shows the weights' own readout without a reference; leave one of them out"
        )
    series = inputs.load_series(args)
    explanation = None
    if args.explain:
        scored, explanation = inputs.explain_series(args, series)
    else:
        scored = inputs.score_series(args, series)
    inputs.draw(args.out, series, scored, title=Path(args.file).name, explanation=explanation)
    print(f"picture: {args.out}")
    return 0
