"""One row for a model that is there under several names, and what the row stands for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vetime_plugins.leaderboard.report.analysis import FEWEST, Analysis, analyse
from vetime_plugins.leaderboard.report.board import Missing, build_board
from vetime_plugins.leaderboard.report.origin import find_framework
from vetime_plugins.leaderboard.results import Cell
from vetime_plugins.leaderboard.summary import SeriesKey, by_detector

__all__ = ["analyse_cells", "find_model", "group_detectors"]

_DIGITS = 6  # of metrics: the same model through two frameworks differs by rounding
_FITTED = "-train"  # the same model, with the train part as a reference


def find_model(name: str, framework: str) -> str:
    """Return the model behind a detector's name: what stands before the framework that it is run through.

    ``MODEL-FRAMEWORK`` and ``MODEL-FRAMEWORK-train`` are the model's adapter to a framework;
    ``FRAMEWORK-MODEL`` is the framework's own model, which others of that name need not equal. Parameters
    that are not the default make another model.

    Examples
    --------
    >>> find_model("vetime-pyod-train", "pyod"), find_model("vetime-darts(readout=1)", "darts")
    ('vetime', 'vetime(readout=1)')
    >>> find_model("pyod-knn", "pyod")
    'pyod-knn'
    """
    base, bracket, parameters = name.partition("(")
    plain = base.removesuffix(_FITTED)
    model = plain.removesuffix(f"-{framework}") if framework else plain
    return f"{model}{bracket}{parameters}" if model and model != plain else name


def group_detectors(cells: Sequence[Cell]) -> tuple[list[Cell], dict[str, list[str]]]:
    """Keep one detector of every model, and of those that agree in every metric on every series.

    Results of one model behind several frameworks would fill the first places, and weigh in every rank. The
    one that is kept was run on the most series; of several, it has the shortest name: nothing that depends
    on how good it is. Detectors of different models agree by chance or by failing alike, so on fewer than
    five series, or where one failed, they are kept apart.

    Returns
    -------
    list of Cell
        Of the detectors that are kept.
    dict of str to list of str
        For a kept one the others.
    """
    found = by_detector(cells)
    models: dict[str, list[str]] = {}
    for name, group in found.items():
        framework = next((one for one in map(find_framework, group.values()) if one), "")
        models.setdefault(find_model(name, framework), []).append(name)
    order = {name: (-len(group), len(name), name) for name, group in found.items()}
    alike: dict[str, list[list[str]]] = {}
    for names in models.values():
        names.sort(key=order.__getitem__)
        alike.setdefault(_content(found[names[0]]) or names[0], []).append(names)
    grouped = {}
    for several in alike.values():
        first, *others = sorted(
            (name for names in several for name in names[:1]), key=lambda name: order[name][1:]
        )
        others += sorted(name for names in several for name in names[1:])
        if others:
            grouped[first] = others
    left_out = {name for others in grouped.values() for name in others}
    return [cell for cell in cells if cell.detector not in left_out], grouped


def _content(cells: Mapping[SeriesKey, Cell]) -> str:
    """Return every metric of a detector as text; empty where detectors that share it may yet differ."""
    # Failures are alike whatever failed, and on few series different detectors can agree.
    if len(cells) < FEWEST or any(cell.failed for cell in cells.values()):
        return ""
    values = [
        (key, [(one, round(value, _DIGITS)) for one, value in sorted(cell.metrics.items())])
        for key, cell in sorted(cells.items())
    ]
    return repr(values)


def analyse_cells(
    cells: Sequence[Cell],
    *,
    metric: str = "VUS-PR",
    against: str | None = None,
    missing: Missing = "leave-out",
    group: bool = True,
) -> Analysis:
    """Compare the detectors of a run, one of every model; with `group` false every one apart.

    `against` may name one that another stands for. InputError where nothing can be compared.
    """
    kept, others = group_detectors(cells) if group else (list(cells), {})
    against = next((name for name, names in others.items() if against in names), against)
    board = build_board(kept, metric=metric, missing=missing)
    return analyse(board, against, every=board.with_others(cells), others=others)
