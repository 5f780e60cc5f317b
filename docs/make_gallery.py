"""Run the scripts of the gallery and write their pages: ``python docs/make_gallery.py [NAME...]``.

A script is a notebook: cells begin with ``# %%``, those of prose with ``# %% [markdown]``. A page has its
cells, what they print, and the pictures that they write into the current folder.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

SCRIPTS = Path(__file__).parent / "gallery"
PICTURES = Path(__file__).parent / "images" / "gallery"
_CELL = re.compile(r"^# %%(?P<kind> \[markdown\])?\n", re.MULTILINE)


class Cell(NamedTuple):
    """A part of a script."""

    text: str
    is_prose: bool
    line: int


def read_cells(script: Path) -> list[Cell]:
    """Return the cells of a script, prose without its comment marks."""
    source = script.read_text(encoding="utf-8")
    starts = list(_CELL.finditer(source))
    ends = [*(start.start() for start in starts[1:]), len(source)]
    cells = []
    for start, end in zip(starts, ends, strict=True):
        text = source[start.end() : end].strip("\n")
        if prose := start["kind"] is not None:
            text = "\n".join(line.removeprefix("#").removeprefix(" ") for line in text.splitlines())
        cells.append(Cell(text, prose, source.count("\n", 0, start.end())))
    return cells


def run(script: Path, pictures: Path) -> str:
    """Run a script in a folder for its pictures, and return its page in Markdown."""
    parts = []
    names: dict[str, object] = {"__name__": "__main__"}
    pictures.mkdir(parents=True, exist_ok=True)
    seen: set[str] = set()
    with contextlib.chdir(pictures):
        for cell in read_cells(script):
            if cell.is_prose:
                parts.append(cell.text)
                continue
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(compile("\n" * cell.line + cell.text, str(script), "exec", dont_inherit=True), names)
            parts.append(f"```python\n{cell.text}\n```")
            if said := printed.getvalue().rstrip():
                parts.append(f"```text\n{said}\n```")
            for picture in sorted({path.name for path in pictures.glob("*.png")} - seen):
                seen.add(picture)
                parts.append(f"![{describe(picture)}](../images/gallery/{picture})")
    parts.append(f"<!-- Made of {script.name} by make_gallery.py: change that, and run it again. -->")
    return "\n\n".join(parts) + "\n"


def describe(picture: str) -> str:
    """Return what stands in place of a picture that cannot be seen."""
    return f"The series, its scores and what was found ({Path(picture).stem.replace('-', ', ')})"


def shrink(picture: Path, target: Path) -> None:
    """Write a picture with few colours, small enough for a repository."""
    from PIL import Image

    Image.open(picture).convert("RGB").quantize(32).save(target, optimize=True)


def main(names: list[str]) -> None:
    """Write the pages and pictures of some scripts, or of all."""
    os.environ.setdefault("MPLBACKEND", "Agg")
    PICTURES.mkdir(parents=True, exist_ok=True)
    for script in sorted(SCRIPTS.glob("*.py")):
        if names and script.stem not in names:
            continue
        with tempfile.TemporaryDirectory() as folder:
            page = run(script, Path(folder))
            script.with_suffix(".md").write_text(page, encoding="utf-8")
            for picture in Path(folder).glob("*.png"):
                shrink(picture, PICTURES / picture.name)
        print(f"{script.stem}: {len(page.splitlines())} lines")


if __name__ == "__main__":
    main(sys.argv[1:])
