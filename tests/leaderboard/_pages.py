"""Folders of results for the tests of the report, and a reader of the page that comes out."""

import math
import re
from collections import Counter
from html.parser import HTMLParser

import numpy as np

from vetime_plugins.leaderboard.report import write_report
from vetime_plugins.leaderboard.results import Cell, StoredSeries, write_cell, write_series

METRICS = ("VUS-PR", "AUC-PR", "Standard-F1")
VOID = {"meta", "link", "br", "img", "input", "hr"}


class Page(HTMLParser):
    """Reads a page, checks that tags nest, and keeps what the tests ask for."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.texts, self.tables = [], Counter(), [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag == "table":
            self.tables.append({"caption": "", "head": [], "rows": []})
        if tag == "tr" and "thead" not in self.open:
            self.tables[-1]["rows"].append([])
        if tag in ("td", "th"):
            row = self.tables[-1]["head"] if "thead" in self.open else self.tables[-1]["rows"][-1]
            row.append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags[tag] += 1
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)
        if "caption" in self.open:
            self.tables[-1]["caption"] += data
        elif "td" in self.open or "th" in self.open:
            row = self.tables[-1]["head"] if "thead" in self.open else self.tables[-1]["rows"][-1]
            row[-1] = (row[-1] + " " + data.strip()).strip()

    def table(self, caption):
        (found,) = [table for table in self.tables if table["caption"] == caption]
        return found

    def column(self, caption, name):
        """Return the texts of a column of a table, by its heading."""
        table = self.table(caption)
        return [row[table["head"].index(name)] for row in table["rows"]]


def write_results(
    folder, detectors, n_series, *, failing=(), undefined=(), nasty="", variables=1, store=True
):
    """Write results whose values fall from the first detector to the last."""
    rng = np.random.default_rng(0)
    for s in range(n_series):
        name, dataset = f"s{s}{nasty}", f"D{s % 3}{nasty}"
        labels = np.zeros(120, np.int8)
        labels[60:70] = 1
        values = rng.normal(size=(120, variables))
        if store:
            write_series(folder, name, StoredSeries(values, labels, 20, 5))
        for d, detector in enumerate(detectors):
            fields = {
                "task": f"tiny{nasty}",
                "detector": detector,
                "series": name,
                "dataset": dataset,
                "n_points": 120,
                "train_length": 20,
                "versions": {"numpy": "1.26.4"},
                "hardware": {"cpu": f"a{nasty}", "cores": 2},
                "parameters": {"window": nasty or 5},
            }
            nothing = dict.fromkeys(METRICS, math.nan)
            if detector in failing:
                error = f"Traceback\n  somewhere\nValueError: {nasty or 'bad'}"
                write_cell(folder, Cell(status="ERROR", error=error, metrics=nothing, **fields))
                continue
            value = float(np.clip(0.8 - 0.1 * d + 0.05 * rng.normal(), 0, 1))
            write_cell(
                folder,
                Cell(
                    status="OK",
                    error=None,
                    metrics=nothing if s in undefined else dict.fromkeys(METRICS, value),
                    undefined=dict.fromkeys(METRICS, "no anomaly there") if s in undefined else {},
                    fit_seconds=0.1 * d,
                    score_seconds=0.01,
                    **fields,
                ),
                rng.random(100),
            )
    return folder


def squeeze(text):
    """Return a text in Markdown without the spaces that its tables are aligned with."""
    return re.sub(" +", " ", text)


def report(folder, **options):
    out = folder.parent / "report.html"
    analysis = write_report(folder, out, **options)
    text = out.read_text(encoding="utf-8")
    return analysis, text, Page(text)
