"""Put the tables that the commands on pages of the documentation make in the place of the older ones.

    python benchmarks/refresh_pages.py docs/leaderboard-results.md docs/leaderboard-kinds.md

After each block of code with a `vetime leaderboard report` on a page come its tables, up to the next heading.
A test holds that they are those of the committed cells; this makes them so.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import tempfile
from pathlib import Path

from vetime_plugins.cli import main as vetime

ROOT = Path(__file__).resolve().parents[1]
_BLOCK = re.compile(r"```bash\n(vetime leaderboard report [^`]*?)```\n")


def refresh(text: str) -> str:
    """Return a page with its tables made anew."""
    parts, place = [], 0
    for block in _BLOCK.finditer(text):
        end = text.find("\n## ", block.end())
        parts += [text[place : block.end()], "\n", make(block[1])]
        place = len(text) if end < 0 else end
    return "".join([*parts, text[place:]])


def make(command: str) -> str:
    """Return what a command writes as Markdown; it is run in a folder of its own."""
    words = shlex.split(command.replace("\\\n", " "))[1:]
    markdown = words[words.index("--markdown") + 1]
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            if vetime([*words[:2], str(ROOT / words[2]), *words[3:]]):
                raise SystemExit(f"this failed: {command}")
            return Path(markdown).read_text(encoding="utf-8")
        finally:
            os.chdir(before)


def main() -> None:
    """Rewrite the pages that are named."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pages", nargs="+", metavar="PAGE", type=Path)
    for page in parser.parse_args().pages:
        page.write_text(refresh(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
