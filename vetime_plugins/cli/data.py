"""``vetime data``: fetch open data sets with labels, for those who have a network."""

from __future__ import annotations

import argparse
from pathlib import Path

from vetime_plugins._progress import TerminalBar
from vetime_plugins.leaderboard.fetch import DATA_SETS, fetch

__all__ = ["add_arguments"]

DESCRIPTION = """\
Fetch a data set with labels from where its authors publish it, under their licence. The only command of this
package that uses a network."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sub-commands of ``vetime data``."""
    parser.description = DESCRIPTION
    commands = parser.add_subparsers(dest="data_command", metavar="COMMAND", required=True)
    fetching = commands.add_parser("fetch", help="fetch a data set")
    fetching.add_argument("name", metavar="NAME", help=f"one of {', '.join(DATA_SETS)}")
    fetching.add_argument("--to", required=True, metavar="DIR", type=Path, help="folder to put it into")
    fetching.add_argument("--sha256", metavar="HEX", help="what the archive must have, if you know it")
    fetching.add_argument("--url", help="fetch the same archive from here instead, e.g. from a mirror")
    fetching.set_defaults(run=_fetch)
    listing = commands.add_parser("list", help="list what can be fetched, with licences")
    listing.set_defaults(run=_list)


def _fetch(args: argparse.Namespace) -> int:
    with TerminalBar(args.name, unit="B", unit_divisor=1024) as bar:
        fetched = fetch(args.name, args.to, url=args.url, sha256=args.sha256, progress=bar)
    print(f"{fetched.n_series} series in {args.to}; licence: {DATA_SETS[args.name].licence}")
    print(f"sha256 of the archive: {fetched.sha256} ({fetched.checked})")
    print(f"run it with: vetime leaderboard run {DATA_SETS[args.name].task} --data {args.to} --out DIR")
    return 0


def _list(args: argparse.Namespace) -> int:
    for name, data in DATA_SETS.items():
        print(f"{name:<8}{data.title}; {data.licence}; {data.homepage}")
    return 0
