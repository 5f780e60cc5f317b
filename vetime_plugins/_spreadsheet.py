"""Text in CSV files that a spreadsheet must not take for a formula."""

from __future__ import annotations

import re
from typing import Any

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def guard(cell: Any) -> Any:
    """Return a cell that no spreadsheet runs: text that begins like a formula gets an apostrophe before it.

    Numbers, as numbers or as text, are left as they are. `unguard` takes the apostrophe away.

    Examples
    --------
    >>> guard("=1+1"), guard("-1.5"), guard("pump 3")
    ("'=1+1", '-1.5', 'pump 3')
    """
    if isinstance(cell, str) and _FORMULA.match(cell) and not _NUMBER.fullmatch(cell):
        return "'" + cell
    return cell


def unguard(cell: str) -> str:
    """Return the text that `guard` was given."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
