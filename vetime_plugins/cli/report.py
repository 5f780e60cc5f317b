"""``vetime leaderboard report``: an HTML page and a Markdown table from a folder of results."""

from __future__ import annotations

import argparse
from typing import Any

__all__ = ["add_report_command", "add_site_command"]

DESCRIPTION = """\
Write what a run of the leaderboard found as one HTML file: tables that sort, ranks, intervals, figures, and
the series that tell most with every detector's scores. The file needs no network and loads nothing."""


def add_report_command(subparsers: Any) -> None:
    """Add the command ``report`` to a group of sub-commands."""
    parser = subparsers.add_parser(
        "report",
        help="write the report of a folder of results",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=_run)
    parser.add_argument(
        "folder", metavar="RESULTS", help="folder of results, or a file of `vetime leaderboard export`"
    )
    parser.add_argument(
        "--out", metavar="FILE", default="report.html", help="the page (default: %(default)s)"
    )
    parser.add_argument("--markdown", metavar="FILE", help="also write the tables as Markdown")
    parser.add_argument(
        "--metric",
        default="VUS-PR",
        metavar="NAME",
        help="to order and compare the detectors by (default: %(default)s)",
    )
    parser.add_argument(
        "--against", metavar="DETECTOR", help="to compare the others with (default: the best one)"
    )
    parser.add_argument(
        "--compare",
        metavar="EARLIER",
        help="an earlier run, as RESULTS is one: the page tells what has changed since",
    )
    parser.add_argument("--data", metavar="DIR", help="folder of the series, for results that lack them")
    parser.add_argument(
        "--missing",
        choices=("leave-out", "zero"),
        default="leave-out",
        help="series that some detector was not run on: leave them out, or count 0 (default: %(default)s)",
    )
    parser.add_argument(
        "--only",
        choices=("univariate", "multivariate"),
        help="report the series of this kind alone, with the detectors that were run on them",
    )
    parser.add_argument(
        "--detectors",
        action="append",
        metavar="A,B",
        help="report these alone: names, or patterns like 'pyod-*'; may be repeated",
    )
    parser.add_argument(
        "--all",
        action="store_true",
        help="show one model behind several names, and detectors that agree in every metric, apart",
    )


def _run(args: argparse.Namespace) -> int:
    from vetime_plugins.detectors.specs import split_names
    from vetime_plugins.leaderboard.report.page import write_report

    write_report(
        args.folder,
        args.out,
        metric=args.metric,
        against=args.against,
        data=args.data,
        missing=args.missing,
        only=args.only,
        detectors=[name for text in args.detectors for name in split_names(text)] if args.detectors else None,
        compare=args.compare,
        markdown=args.markdown,
        merge=not args.all,
    )
    print(f"report: {args.out}")
    if args.markdown:
        print(f"markdown: {args.markdown}")
    return 0


def add_site_command(subparsers: Any) -> None:
    """Add the command ``site`` to a group of sub-commands."""
    parser = subparsers.add_parser(
        "site",
        help="write a static site of several runs",
        description="Write a page that lists runs, the report of each, and a page about each detector.",
    )
    parser.set_defaults(run=_run_site)
    parser.add_argument(
        "runs", nargs="+", metavar="RUN", help="folders of results, or files of `vetime leaderboard export`"
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="folder of the site")
    parser.add_argument(
        "--metric", default="VUS-PR", metavar="NAME", help="to order detectors by (default: %(default)s)"
    )
    parser.add_argument(
        "--compare",
        action="append",
        default=[],
        metavar="EARLIER",
        help="an earlier run of the task of a RUN, whose page tells what has changed; may be repeated",
    )
    parser.add_argument("--title", default="Leaderboard", help="default: %(default)s")


def _run_site(args: argparse.Namespace) -> int:
    from vetime_plugins.leaderboard.report.site import write_site

    pages = write_site(args.runs, args.out, metric=args.metric, title=args.title, compare=args.compare)
    print(f"{len(pages)} pages: {pages[0]}")
    return 0
