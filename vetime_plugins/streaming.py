"""Scores for a series that is still arriving: each new point is judged by the past alone."""

from __future__ import annotations

import json
import math
import sys
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from vetime_plugins._arguments import check_whole, is_real
from vetime_plugins._files import write_arrays
from vetime_plugins.adaptive import AdaptiveThreshold, make_threshold
from vetime_plugins.errors import InputError
from vetime_plugins.incidents import Incident, IncidentEvent, IncidentTracker
from vetime_plugins.series.gaps import carry_forward
from vetime_plugins.series.guards import warn_of_doubtful
from vetime_plugins.series.inputs import Series, as_float64, is_collection

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from vetime_plugins.moving import MovingContext
    from vetime_plugins.pipeline import VETimePipeline

__all__ = ["Detected", "StreamingVETime"]

_FORMAT = "vetime-stream-1"
_SETTINGS = ("context", "stride", "weights", "device", "dtype", "readout", "max_reference")
_ARRAYS = ("past", "last_known", "reference")
_ROWS_TO_JUDGE = 100  # whether the input looks like something else than measurements
_DAMAGE = (
    *(KeyError, TypeError, ValueError, OverflowError, NotImplementedError, OSError, EOFError),
    *(zipfile.BadZipFile, zlib.error),
)
"""What reading a damaged archive of arrays raises."""
_STRIDES_OF_A_CONTEXT = 16  # with fewer of them too little is left of what was known of the last window
_WINDOWS_AT_ONCE = 64  # bounds the memory of a long feed; larger than any batch size worth having


class Detected(NamedTuple):
    """What became known of a stream.

    Attributes
    ----------
    scores : float64 ndarray of shape (m,)
    thresholds : float64 ndarray of shape (m,)
        The threshold when each score came; infinite while an adaptive one warms up.
    anomalies : bool ndarray of shape (m,)
        Where the score is greater than the threshold.
    """

    scores: NDArray[np.float64]
    thresholds: NDArray[np.float64]
    anomalies: NDArray[np.bool_]


class StreamingVETime:
    """Score points as they arrive.

    Point t gets the last score of the window that holds the latest `context` points up to and including t. So
    a score depends on t and the ``context - 1`` points before it, never on what comes later nor on how the
    feed is cut into batches, and memory stays bounded however long the stream is.

    Parameters
    ----------
    context : int, default 512
        Length of the window. Time per point grows with it; a context of several periods of the series serves
        best.
    stride : int, default 1
        With ``stride=s > 1`` the network runs only once every s points: points ``k*s .. (k+1)*s - 1``
        (counted from the first one passed to `update`) are scored together in the window that ends with the
        last of them, as soon as that one has arrived. That is s times cheaper, but a score comes up to
        ``s - 1`` points late and has seen as many later points. At most `context`.
    weights : str or Path, default "small"
        Bundled model or the folder of a checkpoint.
    device : str, default "auto"
        Torch device, e.g. ``"cpu"`` or ``"cuda:0"``; ``"auto"`` takes an accelerator if there is one.
    dtype : str, default "float32"
        Number format of the network.
    readout : {None, "point", "window"}, default None
        ``"point"`` gives sharp scores, ``"window"`` scores smoothed over one period, None the checkpoint's
        default.
    max_reference : int, default 20_000
        How many points `warm_up` keeps as reference.
    threshold : {"rolling", "dspot"}, float, AdaptiveThreshold or None, default None
        What `detect` compares scores with: a threshold that follows the scores, by name or with settings (see
        `vetime_plugins.adaptive`), or a number. An object is not changed, only its settings are taken.
    gap : int, default 8
        How many quiet points do not end an incident, see `events`.

    Raises
    ------
    InputError
        If `context`, `stride` or `max_reference` is not a positive integer, ``stride > context``, `gap` is
        negative, or `threshold` is none of these.

    Notes
    -----
    The first points of a stream without `warm_up` have less than `context` points behind them and are scored
    in the shorter window that there is; scores of the first few periods mean little.

    A missing value (NaN) is bridged within the window. A variable that has no value in the whole window
    counts as constant at its last known value, so an outage may be of any length.

    Two ways of cutting the same feed run the network on batches of different sizes, so their scores agree to
    rounding (1e-6 in float32), not to the bit.

    Examples
    --------
    >>> import numpy as np
    >>> from vetime_plugins.streaming import StreamingVETime
    >>> x = np.sin(np.arange(600) / 8)
    >>> stream = StreamingVETime(context=256)
    >>> stream.warm_up(x[:500])
    >>> stream.update(x[500]).shape
    (1,)
    >>> stream.update(x[501:521]).shape
    (20,)
    """

    def __init__(
        self,
        context: int = 512,
        *,
        stride: int = 1,
        weights: str | Path = "small",
        device: str = "auto",
        dtype: str = "float32",
        readout: str | None = None,
        max_reference: int = 20_000,
        threshold: str | float | AdaptiveThreshold | None = None,
        gap: int = 8,
    ) -> None:
        self.context = check_whole("context", context)
        self.stride = check_whole("stride", stride)
        self.max_reference = check_whole("max_reference", max_reference)
        if self.stride > self.context:
            raise InputError(f"stride must not exceed context ({self.context}), got {self.stride}")
        self.weights = str(weights)
        self.device = device
        self.dtype = dtype
        self.readout = readout
        self.threshold = threshold
        self.gap = gap
        self.reset()

    def reset(self) -> None:
        """Forget everything that was fed, and the reference."""
        self._past = np.empty((0, 0))  # (<= context, C), oldest first; C = 0 as long as it is unknown
        self._last_known = np.empty(0)  # (C,), 0 where there never was a value
        self._reference: NDArray[np.float64] | None = None
        self._n_seen = 0
        self._n_scored = 0
        fixed = self.threshold is None or is_real(self.threshold)
        self._rule = None if fixed else make_threshold(self.threshold)  # type: ignore[arg-type]
        if is_real(self.threshold) and not math.isfinite(self.threshold):
            raise InputError(f"threshold must be finite, got {self.threshold!r}")
        self._latest = Detected(np.empty(0), np.empty(0), np.zeros(0, dtype=bool))
        self._events: list[IncidentEvent] = []
        self._tracker = IncidentTracker(0.0, self.gap)
        self._checked = False  # whether doubtful input was looked for
        self._moving: MovingContext | None = None

    @property
    def n_seen(self) -> int:
        """Number of points passed to `update` so far."""
        return self._n_seen

    @property
    def n_pending(self) -> int:
        """Number of points seen but not yet scored: always 0 with ``stride=1``, else less than `stride`."""
        return self._n_seen - self._n_scored

    @property
    def n_variables(self) -> int | None:
        """Number of variables, C; None until the first data."""
        return self._past.shape[1] or None

    @property
    def latest(self) -> Detected:
        """What the latest call of `update`, `detect` or `flush` found; without a threshold nothing."""
        return self._latest

    @property
    def events(self) -> list[IncidentEvent]:
        """What the latest call told of incidents; without a threshold nothing.

        An incident opens at the first score above the threshold, grows with each further one and closes once
        ``gap + 1`` scores in a row are below a lower level, see `vetime_plugins.IncidentTracker`. Positions
        count the points of the stream from 0. The scores of the open incident are kept until it closes.
        """
        return list(self._events)

    @property
    def incident(self) -> Incident | None:
        """The incident that goes on, as it is known now; None where there is none."""
        return self._tracker.open

    def close(self) -> list[IncidentEvent]:
        """End the open incident, if there is one: the stream is over. Pending points are not scored."""
        self._events = self._tracker.close()
        return list(self._events)

    def warm_up(self, history: ArrayLike, *, as_reference: bool = True) -> None:
        """Take data from before the stream, without scoring it.

        Parameters
        ----------
        history : array-like of shape (T,) or (T, C)
            Points that directly precede the stream. The latest `context` of them are the past of the first
            point to come.
        as_reference : bool, default True
            Also keep the points before those, at most `max_reference`, as reference: every window is compared
            with them, and takes longer for it. The two do not overlap, or the past would match itself and
            whatever is new would stand out.

        Raises
        ------
        InputError
            If `history` is empty, not numeric, infinite or of another width, or `update` was called before.
        """
        if self._n_seen:
            raise InputError(
                f"warm_up takes what came before the stream, but {self._n_seen} point(s) have been fed; "
                "call it first, or call reset"
            )
        rows = self._rows(history, "history")
        if len(rows) == 0:
            raise InputError("warm_up needs at least one point, got none")
        reference = rows[: -self.context][-self.max_reference :].copy() if as_reference else rows[:0]
        if len(reference) and np.isnan(reference).all(axis=0).any():
            raise InputError(
                f"a reference needs values of every variable; of one, {len(reference)} point(s) have none. "
                "Pass more points, or as_reference=False"
            )
        self._warn_of_doubtful(rows)
        self._past = rows[-self.context :].copy()
        self._last_known = carry_forward(rows, self._last_known)[-1].copy()
        self._reference = reference if len(reference) else None

    def update(self, x: ArrayLike) -> NDArray[np.float64]:
        """Feed the next points and return the scores that became known.

        Parameters
        ----------
        x : array-like of shape (), (n,) or (n, C)
            The next point or points. Where the stream has C > 1 variables, shape (C,) is one point. Missing
            values are NaN. The first data decide C.

        Returns
        -------
        numpy.ndarray of shape (m,)
            Scores in [0, 1], higher = more anomalous, in the order of the feed. With ``stride=1`` one for
            each point of `x`; otherwise for the pending points, then those of `x`, up to the last complete
            stride.

        Raises
        ------
        InputError
            If `x` is not numeric, infinite or of another width. The stream is then as it was before.
        """
        rows = self._rows(x, "x")
        if len(rows) == 0:
            self._judge(np.empty(0))
            return np.empty(0)
        ends = np.arange(self._n_seen + 1, self._n_seen + len(rows) + 1)
        return self._advance(rows, ends[ends % self.stride == 0])

    def detect(self, x: ArrayLike) -> Detected:
        """Feed the next points like `update`, and tell which of the scores are above the threshold.

        Parameters
        ----------
        x : array-like of shape (), (n,) or (n, C)
            As for `update`.

        Returns
        -------
        Detected
            Scores that became known, the threshold at each of them, and whether it is exceeded. An adaptive
            threshold is infinite until its warm-up is over; scores of `update` and `flush` count for it.

        Raises
        ------
        InputError
            As `update` does, or if the stream has no threshold.
        """
        if self.threshold is None:
            raise InputError(
                'detect needs a threshold, got none; make the stream with threshold="rolling" or "dspot"'
            )
        self.update(x)
        return self._latest

    def flush(self) -> NDArray[np.float64]:
        """Score the pending points now, in a window that ends with the latest point.

        Returns
        -------
        numpy.ndarray of shape (n_pending,)
            Their scores, which are final. Later strides begin where they would have begun without this call.
        """
        if self.n_pending:
            return self._advance(self._past[:0], np.array([self._n_seen]))
        self._judge(np.empty(0))
        return np.empty(0)

    def _advance(self, rows: NDArray[np.float64], ends: NDArray[np.int64]) -> NDArray[np.float64]:
        """Append `rows` and score up to each of `ends`, counted from the first point; all or nothing."""
        known = np.concatenate([self._past, rows]) if len(self._past) else rows
        if len(known) >= min(self.context, _ROWS_TO_JUDGE):
            self._warn_of_doubtful(known)
        carried = carry_forward(known, self._last_known)
        seen = self._n_seen + len(rows)
        stops = ends - seen + len(known)  # the same ends as positions in `known`
        counts = np.diff(ends, prepend=self._n_scored)
        reference = None if self._reference is None else Series.from_columns(self._reference)
        scores = [np.empty(0)]
        for first in range(0, len(stops), _WINDOWS_AT_ONCE):
            block = slice(first, first + _WINDOWS_AT_ONCE)
            windows = [self._window(known, carried, stop) for stop in stops[block]]
            found = self._score(windows, ends[block], reference)
            scores += [score[-count:] for score, count in zip(found, counts[block], strict=True)]
        self._past, self._last_known = known[-self.context :].copy(), carried[-1].copy()
        self._n_seen = seen
        if len(ends):
            self._n_scored = int(ends[-1])
        known_now = np.concatenate(scores)
        self._judge(known_now)
        return known_now

    def _judge(self, scores: NDArray[np.float64]) -> None:
        """Compare scores with the threshold, which learns from them if it is adaptive."""
        if self._rule is not None:
            self._latest = Detected(scores, *self._rule.update(scores))
        elif self.threshold is not None:
            limits = np.full(len(scores), float(self.threshold))  # type: ignore[arg-type]
            self._latest = Detected(scores, limits, scores > limits)
        else:
            return
        self._events = []
        for score, limit in zip(scores.tolist(), self._latest.thresholds.tolist(), strict=True):
            self._tracker.threshold = min(limit, sys.float_info.max)  # infinite while it warms up
            self._events += self._tracker.update(score)

    def _warn_of_doubtful(self, rows: NDArray[np.float64]) -> None:
        """Look at the first points that are enough, once; a stream that is too short will grow."""
        if not self._checked:
            warn_of_doubtful([Series.from_columns(rows)], has_more=[True])
            self._checked = True

    def _window(self, known: NDArray[np.float64], carried: NDArray[np.float64], stop: int) -> Series:
        window = known[max(0, stop - self.context) : stop]
        silent = np.isnan(window).all(axis=0)
        values = np.where(silent, carried[stop - 1], window) if silent.any() else window
        return Series.from_columns(values, checked=True)

    def _score(
        self, windows: list[Series], ends: NDArray[np.int64], reference: Series | None
    ) -> list[NDArray[np.float64]]:
        """Score windows that end after so many points of the stream."""
        from vetime_plugins.moving import MovingContext  # imports torch

        pipeline = self._pipeline()
        if (
            not MovingContext.suits(pipeline, windows[0])
            or self.stride > self.context // _STRIDES_OF_A_CONTEXT
        ):
            return pipeline.score(windows, reference=reference, readout=self.readout)
        if self._moving is None or self._moving.pipeline is not pipeline:
            self._moving = MovingContext(pipeline)
        others = [] if reference is None else [reference]
        with pipeline.sizes_where_memory_ends(windows):
            return [
                self._moving.score(window, int(end), others, self.readout)
                for window, end in zip(windows, ends, strict=True)
            ]

    def __getstate__(self) -> dict[str, Any]:
        """Leave behind what can be found again."""
        return {**vars(self), "_moving": None}

    def _pipeline(self) -> VETimePipeline:
        from vetime_plugins.pipeline import cached_pipeline  # imports torch

        return cached_pipeline(self.weights, device=self.device, dtype=self.dtype)

    def _rows(self, x: ArrayLike, what: str) -> NDArray[np.float64]:
        """Return `x` as points of this stream (n, C), or raise `InputError`."""
        if is_collection(x):
            entries: Any = x
            if not all(np.shape(one) == (self.n_variables,) for one in entries):
                raise InputError(
                    f"{what} needs points of one stream in one array, got a list of {len(entries)} arrays or "
                    "series. Of what follows one another pass numpy.concatenate, of points of several "
                    "variables numpy.stack; several series need a stream each"
                )
        values = as_float64(x, what).astype(np.float64, copy=False)
        width = self.n_variables
        if values.ndim == 0 or (values.ndim == 1 and width not in (None, 1)):
            values = values[None]
        if values.ndim == 1:
            values = values[:, None]
        if values.ndim != 2 or values.shape[1] != (width or values.shape[1]) or values.shape[1] == 0:
            raise InputError(
                f"{what} must have shape (), (n,) or (n, C), in this stream with C = {width or 'any'}; "
                f"got shape {np.shape(x)}"
            )
        infinite = np.flatnonzero(np.isinf(values).any(axis=1))
        if infinite.size:
            raise InputError(
                f"{what} must be finite, or NaN where a value is missing; row {infinite[0]} is infinite"
            )
        return values

    def state_dict(self) -> dict[str, Any]:
        """Return settings and memory as plain numbers, strings, lists and None, ready for `json.dumps`.

        Returns
        -------
        dict
            What `from_state_dict` takes. Missing values are None. Weights are named, not included.
        """
        return {**self._header(), **{name: _to_lists(array) for name, array in self._arrays().items()}}

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any], *, device: str | None = None) -> StreamingVETime:
        """Return a stream that goes on where the one that gave `state` stood.

        Parameters
        ----------
        state : mapping
            From `state_dict`.
        device : str, optional
            Another torch device than that of the state.

        Raises
        ------
        InputError
            If `state` does not come from `state_dict`.
        """
        try:
            arrays = {
                name: np.array(state[name], dtype=np.float64) for name in _ARRAYS if state[name] is not None
            }
            return cls._restore(state, arrays, device)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise InputError(f"not a state of StreamingVETime: {type(error).__name__}: {error}") from error

    def save(self, path: str | Path) -> None:
        """Write settings and memory to `path` as an ``.npz`` archive (no pickle); see `load`.

        What stood there before is replaced when the new file is complete: a full disk loses nothing.
        """
        present = {name: array for name, array in self._arrays().items() if array is not None}
        write_arrays(path, header=np.array(json.dumps(self._header())), **present)

    @classmethod
    def load(cls, path: str | Path, *, device: str | None = None) -> StreamingVETime:
        """Return the stream that `save` wrote to `path`.

        Parameters
        ----------
        path : str or Path
            The archive.
        device : str, optional
            Another torch device than that in the archive.

        Raises
        ------
        InputError
            If the file does not exist or was not written by `save`.
        """
        try:
            # opened here because np.load leaves a file that it cannot read open
            with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in _ARRAYS if name in archive}
                return cls._restore(json.loads(archive["header"].item()), arrays, device)
        except FileNotFoundError as error:
            raise InputError(f"no such file: {path}") from error
        except _DAMAGE as error:
            raise InputError(f"{path} was not written by StreamingVETime.save: {error}") from error

    def _header(self) -> dict[str, Any]:
        settings = {name: getattr(self, name) for name in _SETTINGS}
        threshold = self.threshold if self._rule is None else self._rule.state_dict()
        counts = {"n_seen": self._n_seen, "n_scored": self._n_scored}
        incident = {"gap": self.gap, "incident": self._tracker.state_dict()}
        return {"format": _FORMAT, **settings, **counts, "threshold": threshold, **incident}

    def _arrays(self) -> dict[str, NDArray[np.float64] | None]:
        return {"past": self._past, "last_known": self._last_known, "reference": self._reference}

    @classmethod
    def _restore(
        cls, header: Mapping[str, Any], arrays: Mapping[str, NDArray[np.float64]], device: str | None
    ) -> StreamingVETime:
        if header["format"] != _FORMAT:
            raise ValueError(f"format {header['format']!r}, expected {_FORMAT!r}")
        settings = {name: header[name] for name in _SETTINGS}
        for name in ("weights", "device", "dtype", "readout"):
            if not isinstance(settings[name], str) and not (name == "readout" and settings[name] is None):
                raise TypeError(f"{name} is {settings[name]!r}")
        threshold = header.get("threshold")  # former versions had none
        rule = AdaptiveThreshold.from_state_dict(threshold) if isinstance(threshold, Mapping) else None
        settings |= {"gap": header.get("gap", 8)}
        settings |= {"threshold": rule or threshold} | ({} if device is None else {"device": device})
        stream = cls(**settings)
        stream._rule = rule
        stream._checked = True
        if "incident" in header:
            stream._tracker.load_state_dict(header["incident"])
        stream._n_seen = check_whole("n_seen", header["n_seen"], least=0)
        stream._n_scored = check_whole("n_scored", header["n_scored"], least=0)
        if not 0 <= stream.n_pending < stream.stride or (stream._n_seen and not len(arrays["past"])):
            raise ValueError(f"{stream._n_seen} points seen, {stream._n_scored} of them scored")
        stream._last_known = _checked(arrays["last_known"], 1)
        width = len(stream._last_known)
        if width:
            stream._past = _checked(arrays["past"].reshape(-1, width), 2, stream.context)
        if "reference" in arrays:
            stream._reference = _checked(arrays["reference"].reshape(-1, width), 2, stream.max_reference)
            if np.isnan(stream._reference).all(axis=0).any():
                raise ValueError("the reference has no value of some variable")
        return stream


def _checked(array: NDArray[Any], ndim: int, longest: int | None = None) -> NDArray[np.float64]:
    """Return an array of a saved stream unless it is none that a stream can have."""
    if array.ndim != ndim or (longest is not None and len(array) > longest) or array.dtype.kind != "f":
        raise ValueError(f"an array of shape {array.shape} and type {array.dtype}")
    if np.isinf(array).any():
        raise ValueError("infinite values")
    return array.astype(np.float64, copy=False)


def _to_lists(array: NDArray[np.float64] | None) -> Any:
    """Return nested lists in which None stands for NaN, which JSON does not have."""
    if array is None:
        return None
    values = array.astype(object)
    values[np.isnan(array)] = None
    return values.tolist()
