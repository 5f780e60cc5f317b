"""What a table of the report holds: columns, entries, and the entries that show a figure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

__all__ = [
    "DASH",
    "Column",
    "Entry",
    "Table",
    "format_p",
    "mark_best",
    "percent",
    "show_bar",
    "show_count",
    "show_heat",
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

    `weight` in [-1, 1] colours it from one end of a scale to the other, and `heat` in [0, 1] by its height;
    `bar` in [0, 1] draws its length beside it. `more` is a long text to unfold, `href` where the text leads.
    The heading of a row about a detector names it in `of`, with its `framework`: they are filtered by.
    """

    text: str
    value: float | str | None = None
    title: str = ""
    kind: str = ""
    weight: float | None = None
    more: str = ""
    href: str = ""
    heat: float | None = None
    bar: float | None = None
    of: str = ""
    framework: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of as many entries as there are columns; the first entry of each is its heading.

    `members` are rows below another one, by what that is `of`: they move and hide with it.
    """

    caption: str
    columns: list[Column]
    rows: list[list[Entry]]
    note: str = ""
    footer: list[list[Entry]] = field(default_factory=list)
    members: dict[str, list[list[Entry]]] = field(default_factory=dict)

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


def show_heat(value: float) -> Entry:
    """Return a value in [0, 1] as points of 100, on a ground whose colour is the deeper the higher it is."""
    return Entry(percent(value)) if math.isnan(value) else Entry(percent(value), value, heat=round(value, 3))


def show_bar(value: float) -> Entry:
    """Return a value in [0, 1] as points of 100, beside a bar of that length."""
    return Entry(DASH) if math.isnan(value) else Entry(percent(value), value, bar=round(float(value), 4))


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
                row[at] = replace(row[at], kind="best")
    return marked
