"""What a table of the report holds: columns, entries, and the entries that show a figure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = [
    "DASH",
    "Column",
    "Entry",
    "Table",
    "format_p",
    "mark_best",
    "percent",
    "show_count",
    "show_number",
    "show_score",
    "show_text",
    "text_column",
]

DASH = "-"


@dataclass(frozen=True)
class Column:
    """A column's heading; `title` spells out what `text` abbreviates.

    `first` is the order of the first click: "descending" where the largest is the most interesting.
    """

    text: str
    title: str = ""
    numeric: bool = True
    first: str = "descending"


@dataclass(frozen=True)
class Entry:
    """One cell: its text, what it sorts by (None: last), and how it looks.

    `weight` in [-1, 1] colours it from one end of the scale to the other; `more` is a long text to unfold,
    and `href` where the text leads.
    """

    text: str
    value: float | str | None = None
    title: str = ""
    kind: str = ""
    weight: float | None = None
    more: str = ""
    href: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of as many entries as there are columns; the first entry of each is its heading."""

    caption: str
    columns: list[Column]
    rows: list[list[Entry]]
    note: str = ""
    footer: list[list[Entry]] = field(default_factory=list)

    @property
    def name_width(self) -> int:
        """Characters that nine of ten headings of rows fit in; the longest wrap, as all do beyond 44."""
        lengths = sorted(len(row[0].text) for row in self.rows)
        return min(lengths[9 * (len(lengths) - 1) // 10], 44) if lengths else 0


def text_column(text: str) -> Column:
    """Return a column of texts, which the first click puts in the order of the alphabet."""
    return Column(text, numeric=False, first="ascending")


def percent(value: float) -> str:
    """Return a value in [0, 1] as points of 100, or a dash for NaN."""
    return DASH if math.isnan(value) else f"{100 * value:.1f}"


def format_p(p_value: float) -> str:
    """Return a p-value with its sign of comparison; below 0.0001 the bound alone.

    Examples
    --------
    >>> format_p(0.0312), format_p(0.0)
    ('= 0.031', '< 0.0001')
    """
    return "< 0.0001" if p_value < 1e-4 else f"= {p_value:.2g}"


def show_score(value: float) -> Entry:
    """Return a value in [0, 1] as points of 100."""
    return Entry(percent(value), None if math.isnan(value) else value)


def show_number(value: float, form: str) -> Entry:
    """Return a number in a format, or a dash for NaN."""
    value = float(value)
    return Entry(DASH) if math.isnan(value) else Entry(format(value, form), value)


def show_count(number: int, kind: str = "") -> Entry:
    """Return a count, marked where it is not zero."""
    return Entry(str(number), float(number), kind=kind if number else "")


def show_text(text: str, kind: str = "") -> Entry:
    """Return a text that sorts as it reads."""
    return Entry(text, text, kind=kind)


def mark_best(rows: Sequence[list[Entry]]) -> list[list[Entry]]:
    """Mark the highest entry of every column but the first, as it is shown: equal ones all."""
    marked = [list(row) for row in rows]
    for at in range(1, len(rows[0])):
        shown = [row[at] for row in rows if isinstance(row[at].value, float)]
        if len(rows) < 2 or not shown:
            continue
        best = max(shown, key=lambda entry: entry.value).text  # type: ignore[arg-type,return-value]
        for row in marked:
            if row[at].text == best:
                row[at] = Entry(row[at].text, row[at].value, kind="best")
    return marked
