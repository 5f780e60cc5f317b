"""The command ``vetime``: which module a sub-command lives in.

A sub-command lives in its own module with two functions, ``add_arguments(parser)`` and ``run(args) -> int``;
one with sub-commands of its own gives each of them its ``run`` instead.
The module is imported only when its sub-command is asked for, so ``vetime --help`` never waits for torch.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from vetime_plugins import __version__
from vetime_plugins._command import run_command

__all__ = ["main"]

EXIT_USAGE = 2  # argparse's own

COMMANDS = {
    "score": ("vetime_plugins.cli.score", "score a CSV or parquet file"),
    "plot": ("vetime_plugins.cli.plot", "draw a series with its scores"),
    "info": ("vetime_plugins.cli.info", "show versions, bundled weights and devices"),
    "convert": ("vetime_plugins.cli.convert", "turn the authors' weights into a weights folder"),
    "train": ("vetime_plugins.cli.train", "train weights on synthetic series"),
    "leaderboard": ("vetime_plugins.cli.leaderboard", "compare detectors of all frameworks on a task"),
    "data": ("vetime_plugins.cli.data", "fetch open data sets with labels"),
    "select": ("vetime_plugins.cli.select", "choose a detector for a series without labels"),
}


class _Parser(argparse.ArgumentParser):
    """A parser whose arguments are added on first use and whose errors are one line."""

    home: str | None = None

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[Any, list[str]]:
        """Import the sub-command's module, then parse."""
        if self.home is not None:
            module, self.home = importlib.import_module(self.home), None
            module.add_arguments(self)
            self.set_defaults(run=getattr(module, "run", None))
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Exit with status 2 and one line; argparse would print the usage before it."""
        self.exit(EXIT_USAGE, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def _build_parser() -> _Parser:
    parser = _Parser(prog="vetime", description="VETime: zero-shot anomaly detection in time series.")
    parser.add_argument("--version", action="version", version=f"vetime-plugins {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (module, summary) in COMMANDS.items():
        command = commands.add_parser(
            name, help=summary, description=summary, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        command.home = module
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line with `argv`, or with ``sys.argv[1:]``, and return its exit status.

    That is 0 on success, 1 on bad input or a full disk (with one line on standard error), 130 when
    interrupted, 143 when terminated. Wrong usage exits with 2 through `SystemExit`, as argparse does.
    """
    given = list(sys.argv[1:] if argv is None else argv)

    def call() -> int | None:
        args = _build_parser().parse_args(given)
        status: int | None = args.run(args)
        return status

    return run_command(f"vetime {given[0]}" if given and given[0] in COMMANDS else "vetime", call)
