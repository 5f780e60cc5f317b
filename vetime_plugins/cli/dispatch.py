"""The command ``vetime``: dispatch, and the one place where an error becomes a line and an exit status.

A sub-command lives in its own module with two functions, ``add_arguments(parser)`` and ``run(args) -> int``;
one with sub-commands of its own gives each of them its ``run`` instead.
The module is imported only when its sub-command is asked for, so ``vetime --help`` never waits for torch.
"""

from __future__ import annotations

import argparse
import errno
import importlib
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

from vetime_plugins import __version__
from vetime_plugins.errors import InputWarning, VETimeError

__all__ = ["main"]

EXIT_BAD_INPUT = 1
EXIT_USAGE = 2  # argparse's own
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as a shell reports it

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


@contextmanager
def _warnings_in_a_line(command: str) -> Iterator[None]:
    """Show this package's warnings as it shows its errors; others are none of its business."""
    show = warnings.showwarning

    def show_in_a_line(message: Warning | str, category: type[Warning], *rest: Any, **options: Any) -> None:
        if issubclass(category, InputWarning):
            print(f"vetime {command}: warning: {message}", file=sys.stderr)
        else:
            show(message, category, *rest, **options)

    warnings.showwarning = show_in_a_line
    try:
        yield
    finally:
        warnings.showwarning = show


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line with `argv`, or with ``sys.argv[1:]``, and return its exit status.

    That is 0 on success, 1 on bad input (with one line on standard error), 130 when interrupted. Wrong usage
    exits with 2 through `SystemExit`, as argparse does.
    """
    args = _build_parser().parse_args(argv)
    try:
        with _warnings_in_a_line(args.command):
            status: int = args.run(args) or 0
        sys.stdout.flush()
    except (VETimeError, InputWarning) as error:  # the latter under `python -W error`
        print(f"vetime {args.command}: error: {' '.join(str(error).split())}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:
        print(f"vetime {args.command}: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader (`| head`) has gone. Python would complain again when it flushes stdout on its way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BAD_INPUT
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        print(f"vetime {args.command}: error: {error.strerror}; free some and run it again", file=sys.stderr)
        with suppress(OSError, ValueError):  # what could not be written is lost; do not try again on exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BAD_INPUT
    return status
