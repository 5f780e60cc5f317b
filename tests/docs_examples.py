"""The code blocks of a Markdown page, to be run in the order in which a reader would copy them."""

from __future__ import annotations

import doctest
import re
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"^(?P<indent> *)(?P<ticks>`{3,}|~{3,}) *(?P<language>[\w+-]*)(?P<options>.*)$")
_RUN = ("python", "py", "pycon")
_NOT_RUN = re.compile(r"<!-- *not run: *(?P<reason>\S.*?) *-->")


@dataclass(frozen=True)
class Block:
    """A fenced code block.

    Attributes
    ----------
    language : str
        What stands after the opening fence, e.g. ``"python"``.
    line : int
        Number of the block's first line of code in the page.
    source : str
        The code, without the indentation of the fence.
    not_run : str or None
        The reason in a comment ``<!-- not run: reason -->`` on the line above the fence.
    """

    language: str
    line: int
    source: str
    not_run: str | None


def code_blocks(text: str) -> list[Block]:
    """Return the fenced code blocks of a Markdown text, also those inside lists, tabs and admonitions."""
    blocks: list[Block] = []
    lines = text.splitlines()
    number = 0
    while number < len(lines):
        opening = _FENCE.match(lines[number])
        number += 1
        if not opening:
            continue
        above = _NOT_RUN.search(lines[number - 2]) if number > 1 else None
        first, closing = number, re.compile(rf" *{opening['ticks']}{opening['ticks'][0]}* *")
        while number < len(lines) and not closing.fullmatch(lines[number]):
            number += 1
        if number == len(lines):
            raise ValueError(f"the code block that opens in line {first} is never closed")
        source = "\n".join(line.removeprefix(opening["indent"]) for line in lines[first:number])
        blocks.append(Block(opening["language"], first + 1, source + "\n", above and above["reason"]))
        number += 1
    return blocks


def runnable(page: Path) -> list[Block]:
    """Return the blocks of a page that `run_page` runs."""
    blocks = code_blocks(page.read_text(encoding="utf-8"))
    return [block for block in blocks if block.language in _RUN and block.not_run is None]


def run_page(page: Path) -> dict[str, object]:
    """Run the Python blocks of a page one after the other in one namespace, and return that namespace.

    Blocks marked ``python`` or ``py`` are executed. Blocks marked ``pycon`` are sessions at the prompt, and
    what they show must come out. Errors carry the line numbers of the page.
    """
    namespace: dict[str, object] = {"__name__": "__main__"}
    for block in runnable(page):
        if block.language == "pycon":
            _run_session(block, page, namespace)
        else:
            code = compile("\n" * (block.line - 1) + block.source, str(page), "exec", dont_inherit=True)
            exec(code, namespace)
    return namespace


def _run_session(block: Block, page: Path, namespace: dict[str, object]) -> None:
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    test = doctest.DocTestParser().get_doctest(block.source, namespace, page.name, str(page), block.line - 1)
    test.globs = namespace  # the parser copies it, and later blocks would miss what this one defines
    failures: list[str] = []
    doctest.DocTestRunner(optionflags=flags).run(test, out=failures.append, clear_globs=False)
    if failures:
        raise AssertionError("".join(failures))
