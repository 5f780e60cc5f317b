"""VETimePipeline: series of any length and kind in, scores out. The one seam that every adapter uses."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, overload

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from vetime_plugins._arguments import check_whole
from vetime_plugins._progress import Progress, Reporter
from vetime_plugins.errors import CheckpointError, InputError, OutOfMemoryError
from vetime_plugins.explanation import Explanation, explain_expectation, explain_series
from vetime_plugins.incidents import Detection, find_incidents
from vetime_plugins.incidents.find import index_of, names_of
from vetime_plugins.network.checkpoint import Network, fingerprint, read_network, resolve_folder, stamp
from vetime_plugins.network.config import VETimeConfig
from vetime_plugins.network.devices import choose_device
from vetime_plugins.network.expectation import ExpectationConfig, ExpectationNetwork
from vetime_plugins.network.preparation import cut, find_units
from vetime_plugins.parallel import check_n_jobs, cut_evenly, run_parts
from vetime_plugins.reading import MarginReader, Margins, Reading, ReferenceMemory, switches_of
from vetime_plugins.series.guards import warn_of_doubtful
from vetime_plugins.series.imaging import check_gammas
from vetime_plugins.series.inputs import Series, as_series, as_series_and_references
from vetime_plugins.series.overlap import Beside, find_beside
from vetime_plugins.series.readout import READOUTS
from vetime_plugins.series.types import ManySeries, OneSeries
from vetime_plugins.thresholds import find_threshold

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class VETimePipeline:
    """Score time series with a VETime network, or with one of expectation.

    Make one with `from_pretrained`; it is safe to share between threads.

    Parameters
    ----------
    model : VETime or ExpectationNetwork
    source : str
        Name or folder that the weights came from.
    device : torch.device
    dtype : {"float32", "bfloat16"}
        Arithmetic of the network; scores of "small" do not depend on one. bfloat16 changes scores in the
        third digit. It is faster where the processor has instructions for it, more than twice in the sizes of
        the paper, and may be slower where it has none: measure before choosing it.
    batch_size : int
        Chunks in one forward pass.

    Examples
    --------
    >>> import numpy as np
    >>> from vetime_plugins import VETimePipeline
    >>> pipeline = VETimePipeline.from_pretrained("small")
    >>> t = np.arange(600)
    >>> x = np.sin(2 * np.pi * t / 50)
    >>> x[300:310] += 2
    >>> scores = pipeline.score(x)
    >>> scores.shape
    (600,)
    >>> bool(295 <= scores.argmax() < 315)
    True
    """

    def __init__(
        self, model: Network, source: str, device: torch.device, dtype: str = "float32", batch_size: int = 8
    ) -> None:
        if not isinstance(dtype, str) or dtype not in _DTYPES:
            raise InputError(f"dtype must be one of {sorted(_DTYPES)}, got {dtype!r}.")
        self.batch_size = check_whole("batch_size", batch_size, meaning="chunks in one forward pass")
        self.model: Network = model.to(device).eval()
        self.source = source
        self.device = device
        self.dtype = dtype
        self._loaded: int | None = None  # fingerprint of the weights in the folder `source`
        self._references = ReferenceMemory()

    @classmethod
    def from_pretrained(
        cls,
        name_or_folder: str | Path = "small",
        *,
        device: str | torch.device = "auto",
        dtype: str = "float32",
        batch_size: int = 8,
    ) -> Self:
        """Load bundled weights by name, or a folder that `vetime convert` or `vetime train` wrote.

        Never touches the network.

        Parameters
        ----------
        name_or_folder : str or path
            Bundled are "small", a VETime network with retrieval, and "expectation", a network without
            retrieval that says of every step what the rest of the series lets one expect there.
        device : {"auto", "cpu", "cuda", "mps"} or torch.device
            "auto" takes CUDA, else Apple's MPS, else the CPU.
        dtype : {"float32", "bfloat16"}
        batch_size : int
            Chunks in one forward pass: bounds memory.

        Raises
        ------
        CheckpointError
            If there are no such weights, or they are damaged.
        InputError
            If the device does not exist here, or another argument is not one of its choices.
        """
        chosen = choose_device(device)
        return cls._load(str(name_or_folder), resolve_folder(name_or_folder), chosen, dtype, batch_size)

    @classmethod
    def _load(cls, source: str, folder: Path, device: torch.device, dtype: str, batch_size: int) -> Self:
        model, _ = read_network(folder)
        pipeline = cls(model, source, device, dtype, batch_size)
        pipeline._loaded = fingerprint(model)
        return pipeline

    @property
    def config(self) -> VETimeConfig | ExpectationConfig:
        """Configuration of the network."""
        return self.model.config

    def __reduce__(self) -> tuple[Callable[..., VETimePipeline], tuple[Any, ...]]:
        """Pickle the recipe, not the weights: the other process loads them itself, once for all copies.

        A network that was changed, or not loaded from a folder, is in no folder: its weights go along.
        """
        settings = str(self.device), self.dtype, self.batch_size
        if self._loaded is not None and self._loaded == fingerprint(self.model):
            return _restore, (self.source, *settings, self._loaded)
        model = self.model if self.device.type == "cpu" else copy.deepcopy(self.model).cpu()
        return _rebuild, (model, self.source, *settings)

    def __copy__(self) -> VETimePipeline:
        """Return a pipeline with the same network, which both share."""
        twin = object.__new__(type(self))
        vars(twin).update(vars(self))
        return twin

    def __deepcopy__(self, memo: dict[int, Any]) -> VETimePipeline:
        """Return a pipeline with a copy of the network as it is now."""
        twin = copy.copy(self)
        twin.model = copy.deepcopy(self.model, memo)
        twin._references = ReferenceMemory()
        return twin

    def __repr__(self) -> str:
        return f"VETimePipeline({self.source!r}, device={str(self.device)!r}, dtype={self.dtype!r})"

    @overload
    def score(
        self,
        series: OneSeries,
        *,
        reference: Any = None,
        readout: str | None = None,
        per_variable: bool = False,
        variable_gammas: ArrayLike | None = None,
        n_jobs: int | None = None,
        progress: Progress = False,
    ) -> NDArray[np.float64]: ...

    @overload
    def score(
        self,
        series: ManySeries,
        *,
        reference: Any = None,
        readout: str | None = None,
        per_variable: bool = False,
        variable_gammas: ArrayLike | None = None,
        n_jobs: int | None = None,
        progress: Progress = False,
    ) -> list[NDArray[np.float64]]: ...

    def score(
        self,
        series: Any,
        *,
        reference: Any = None,
        readout: str | None = None,
        per_variable: bool = False,
        variable_gammas: ArrayLike | None = None,
        n_jobs: int | None = None,
        progress: Progress = False,
    ) -> NDArray[np.float64] | list[NDArray[np.float64]]:
        """Score every point of a series.

        Parameters
        ----------
        series : array-like of shape (T,) or (T, C), or a list of such
            Any length from 1. NaN marks gaps: they are filled linearly and scored like any point. A list is
            several series where at least one entry can only be a series: an array, a tensor, a data frame or
            a list of rows. Nothing but numbers, or nothing but lists of numbers (rows), is one series.
        reference : array-like of shape (T_ref, C), optional
            Earlier or clean data of the same variables, e.g. the training part: it widens the memory bank of
            checkpoints with a retrieval expert and fixes scale and period for short series. One reference
            serves all series of a list; a list gives one each. Several stretches make one reference as a
            list of arrays. What the series itself holds of it is left out, since it would match itself: a
            reference that is a part of the series changes nothing. Weights of expectation read it as if it
            came directly before the series, so each call takes the time of both.
        readout : {"point", "window"}, optional
            Sharp scores, or scores averaged over the period; the checkpoint's default if omitted.
        per_variable : bool
            Return one score per variable.
        variable_gammas : array-like of shape (C,), optional
            Image gammas in place of the default ones, for a network that reads an image.
        n_jobs : int, optional
            Score a list of series with so many of joblib's workers, -1 for all, each of which loads the
            weights once; see `vetime_plugins.parallel` for clusters. Left out, this process scores them.
        progress : bool or callable
            Show a bar (needs tqdm), or call ``progress(done, total)`` in time steps.

        Returns
        -------
        float64 ndarray of shape (T,), or (T, C) with `per_variable`; or a list of such
            In [0, 1]; higher is more anomalous. A variable that never changes scores 0. With the bundled
            weights (``config.scale`` "tail") 1 minus the score is the share of points that reach it where
            nothing happens, on every series: 0.999 is reached once in 1,000 points of a calm series like
            this one. What is calm is read off the series itself, and off `reference` where there is one.

        Raises
        ------
        InputError
            If a series is empty, not numeric, not 1-D or 2-D or infinite, or an argument does not fit it.
        MissingDependencyError
            If `n_jobs` or `progress` needs a package that is not installed.
        OutOfMemoryError
            If there is not enough memory; the pipeline can go on with less.

        Warns
        -----
        InputWarning
            Once for each kind of doubt, before the work: a series is too short to judge, is a lag matrix, or
            has a column that looks like labels or time stamps.
        """
        many, all_series, references = as_series_and_references(series, reference)
        how = self._check_readout(readout)
        gammas = self._gammas_for(all_series, variable_gammas)
        jobs = 1 if n_jobs is None else check_n_jobs(n_jobs)
        warn_of_doubtful(all_series, has_more=[len(others) > 0 for others in references], many=many)
        sizes = [one.values.size for one in all_series]
        if many and jobs != 1:
            score = partial(self._score_some, readout=how, per_variable=per_variable, gammas=gammas)
            cuts = cut_evenly(sizes, jobs)
            parts = [(all_series[cut], references[cut]) for cut in cuts]
            steps = [sum(sizes[cut]) for cut in cuts]
            return [
                one
                for found in run_parts(score, parts, steps, n_jobs=jobs, progress=progress)
                for one in found
            ]
        with Reporter(progress, sum(sizes)) as report, self.sizes_where_memory_ends(all_series):
            results = self._score_some(all_series, references, how, per_variable, gammas, report)
        return results if many else results[0]

    @contextmanager
    def sizes_where_memory_ends(self, all_series: Sequence[Series]) -> Iterator[None]:
        """Turn what numpy and torch raise without memory into one error that says what was to fit in."""
        try:
            yield
        except (MemoryError, RuntimeError) as error:
            first = str(error).strip().split("\n")[0]
            if not isinstance(error, MemoryError | torch.OutOfMemoryError) and "allocate memory" not in first:
                raise
            largest = max(all_series, key=lambda one: one.values.size)
            raise OutOfMemoryError(
                f"No memory on {self.device} for {len(all_series)} series, the largest of "
                f"{largest.values.shape[0]} steps x {largest.n_variables} variables, in batches of "
                f"{self.batch_size} chunks: {first}. Take a smaller batch_size, or score fewer variables or "
                "a shorter stretch at once."
            ) from error

    def _score_some(
        self,
        all_series: Sequence[Series],
        references: Sequence[Sequence[Series]],
        readout: str,
        per_variable: bool,
        gammas: NDArray[np.float64] | None,
        report: Callable[[int], None] = lambda steps: None,
    ) -> list[NDArray[np.float64]]:
        """Do what `score` does, of arguments that were checked; other processes enter here."""
        read = self._read(all_series, references, gammas, report)
        if per_variable:
            return [one.variable_scores(self.config, readout) for one in read]
        return [one.scores(self.config, readout) for one in read]

    @overload
    def detect(
        self,
        series: OneSeries,
        *,
        threshold: str | float = "auto",
        contamination: float = 0.1,
        gap: int | None = None,
        reference: Any = None,
        readout: str | None = None,
        index: Sequence[Any] | ArrayLike | None = None,
        names: Sequence[str] | None = None,
        progress: Progress = False,
    ) -> Detection: ...

    @overload
    def detect(
        self,
        series: ManySeries,
        *,
        threshold: str | float = "auto",
        contamination: float = 0.1,
        gap: int | None = None,
        reference: Any = None,
        readout: str | None = None,
        index: Sequence[Any] | ArrayLike | None = None,
        names: Sequence[str] | None = None,
        progress: Progress = False,
    ) -> list[Detection]: ...

    def detect(
        self,
        series: Any,
        *,
        threshold: str | float = "auto",
        contamination: float = 0.1,
        gap: int | None = None,
        reference: Any = None,
        readout: str | None = None,
        index: Sequence[Any] | ArrayLike | None = None,
        names: Sequence[str] | None = None,
        progress: Progress = False,
    ) -> Detection | list[Detection]:
        """Score a series and say what happened in it: when, how badly, of what kind, in which variables.

        Parameters
        ----------
        series : array-like of shape (T,) or (T, C), or a list of such
            As in `score`. A pandas object gives its index and its names to the incidents.
        threshold, contamination, gap
            As in `vetime_plugins.find_incidents`. A rule is applied to the scores of the reference where
            there is one.
        reference, readout, progress
            As in `score`.
        index : sequence of length T, optional
            Time stamps for the incidents, in place of those of a pandas object; of a list, one such for each.
        names : sequence of str, optional
            The variables' names, in place of those of a data frame.

        Returns
        -------
        Detection, or a list of such
            The scores, and the incidents as a table that can be printed, iterated over and turned into a
            DataFrame.

        Raises
        ------
        InputError
            As `score` and `find_incidents` do.

        Warns
        -----
        InputWarning
            As `score` does.

        Examples
        --------
        >>> import numpy as np
        >>> from vetime_plugins import VETimePipeline
        >>> x = np.sin(2 * np.pi * np.arange(600) / 50)
        >>> x[400] += 5
        >>> found = VETimePipeline.from_pretrained("small").detect(x)
        >>> [(one.start, one.end, one.kind) for one in found.incidents]
        [(400, 400, 'spike')]
        """
        many, all_series, references = as_series_and_references(series, reference)
        how = self._check_readout(readout)
        limits = self._reference_thresholds(references, how, threshold, contamination)
        given = series if many else [series]
        indices: Any = index if many and index is not None else [index] * len(all_series)
        if len(indices) != len(all_series):
            raise InputError(f"index needs one entry a series ({len(all_series)}), got {len(indices)}.")
        warn_of_doubtful(all_series, has_more=[len(others) > 0 for others in references], many=many)
        results = []
        total = sum(one.values.size for one in all_series)
        with Reporter(progress, total) as report, self.sizes_where_memory_ends(all_series):
            read = self._read(all_series, references, None, report)
            for one, as_given, labels, limit, reading in zip(
                all_series, given, indices, limits, read, strict=True
            ):
                scores = reading.scores(self.config, how)
                variable_scores = reading.variable_scores(self.config, how)
                incidents = find_incidents(
                    scores,
                    one,
                    threshold=limit,
                    contamination=contamination,
                    gap=gap,
                    variable_scores=variable_scores,
                    index=index_of(as_given) if labels is None else labels,
                    names=names_of(as_given) if names is None else names,
                )
                results.append(Detection(scores, incidents, variable_scores))
        return results if many else results[0]

    def _reference_thresholds(
        self,
        references: Sequence[Sequence[Series]],
        readout: str,
        threshold: str | float,
        contamination: float,
    ) -> list[str | float]:
        """Return the threshold for each series: that of its reference's scores where there is one."""
        known: dict[tuple[int, ...], float] = {}
        limits: list[str | float] = []
        for parts in references:
            if not parts or not isinstance(threshold, str):
                limits.append(threshold)
                continue
            key = tuple(id(part) for part in parts)
            if key not in known:
                read = self._references.read(parts, self._reader)
                switches = switches_of(self.config, parts[0], parts[1:])
                readings = [Reading(one, switches=switches) for one in read]
                scores = [one.scores(self.config, readout) for one in readings]
                known[key] = find_threshold(np.concatenate(scores), threshold, contamination=contamination)
            limits.append(known[key])
        return limits

    def _read(
        self,
        all_series: Sequence[Series],
        references: Sequence[Sequence[Series]],
        gammas: NDArray[np.float64] | None,
        report: Callable[[int], None],
    ) -> Iterator[Reading]:
        """Yield what the network says of each series, and of its references for the scale."""
        reader = self._reader
        beside = [find_beside(one, others) for one, others in zip(all_series, references, strict=True)]
        read = reader.read(all_series, beside, gammas, report)
        for one, others, margins in zip(all_series, beside, read, strict=True):
            usual = None
            if self.config.scale == "tail" and others:
                usual = self._references.beside(others, reader, gammas)
            switches = switches_of(self.config, one, [other.reference for other in others])
            yield Reading(margins, usual, switches)

    def usual_beside(self, references: Sequence[Beside]) -> Margins | None:
        """Return margins and periods of what references hold beside a series; recent ones are remembered."""
        if self.config.scale != "tail" or not references:
            return None
        return self._references.beside(references, self._reader)

    @property
    def _reader(self) -> MarginReader:
        return MarginReader(self.model, self.source, self.device, _DTYPES[self.dtype], self.batch_size)

    def _check_readout(self, readout: str | None) -> str:
        how = self.config.readout if readout is None else readout
        if not isinstance(how, str) or how not in READOUTS:
            raise InputError(f"readout must be one of {READOUTS}, got {readout!r}.")
        return how

    def explain(self, series: OneSeries, *, variable_gammas: ArrayLike | None = None) -> Explanation:
        """Score one series and show what the network saw and whom it believed, or what it expected.

        Parameters
        ----------
        series : array-like of shape (T,) or (T, C)
        variable_gammas : array-like of shape (C,), optional

        Returns
        -------
        Explanation
        """
        one = as_series(series)
        warn_of_doubtful([one])
        gammas = self._gammas_for([one], variable_gammas)
        if isinstance(self.model, ExpectationNetwork):
            return explain_expectation(one, self._reader.expectation(self.model))
        config = self.model.config
        units = find_units(one, config, gammas=gammas)
        return explain_series(one, units, self._reader.run(cut(units, config)), config)

    def embed(self, series: OneSeries) -> NDArray[np.float64]:
        """Return the fused patch embeddings of one series.

        Parameters
        ----------
        series : array-like of shape (T,) or (T, C)

        Returns
        -------
        float64 ndarray of shape (N, D), or (C, N, D) for a 2-D series
            N = ceil(T / patch_size). A variable that never changes has zeros.

        Raises
        ------
        InputError
            If the weights are of expectation, which fuses nothing.
        """
        one, config = as_series(series), self._reader.vetime_config("embeddings")
        n_patches = -(-len(one) // config.patch_size)
        result = np.zeros((one.n_variables, n_patches, config.d_model))
        for group, output in self._reader.run(cut(find_units(one, config), config)):
            for row, (chunk, columns) in enumerate(group):
                tokens = output.stages["F_AD"][row].unflatten(0, (len(columns), -1))
                tokens = tokens[:, : chunk.stop - chunk.start]
                result[columns, chunk.start : chunk.stop] = tokens.double().cpu().numpy()
        return result[0] if one.one_dimensional else result

    def plot(self, series: OneSeries, *, explain: bool = False, **options: Any) -> Figure:
        """Draw a series with its scores and incidents (and, with `explain`, what `explain` found).

        Parameters
        ----------
        series : array-like of shape (T,) or (T, C)
        explain : bool
        **options
            Passed to `vetime_plugins.plotting.plot_scores` or `plot_explanation`. Without `explain`,
            `threshold` may also be a rule, and is what the incidents are found with.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        MissingDependencyError
            If matplotlib is not installed.
        """
        from vetime_plugins import plotting

        if explain:
            return plotting.plot_explanation(self.explain(series), **options)
        one, found = as_series(series), self.detect(series, threshold=options.pop("threshold", "auto"))
        known = {
            "threshold": found.threshold,
            "incidents": found.incidents,
            "variable_scores": found.variable_scores,
            "time": index_of(series),
            "names": names_of(series),
        }
        return plotting.plot_scores(one, found.scores, **{**known, **options})

    def _gammas_for(
        self, all_series: Sequence[Series], gammas: ArrayLike | None
    ) -> NDArray[np.float64] | None:
        """Check the gammas against every series before any of them is scored."""
        if gammas is None:
            return None
        self._reader.vetime_config("variable_gammas")
        found = None
        for one in all_series:
            found = check_gammas(gammas, one.n_variables)
        return found


_CACHE: dict[tuple[Any, ...], VETimePipeline] = {}
_CACHE_LOCK = threading.Lock()


def cached_pipeline(
    name_or_folder: str | Path = "small",
    *,
    device: str = "auto",
    dtype: str = "float32",
    batch_size: int = 8,
) -> VETimePipeline:
    """Return the process-wide pipeline of these weights, loading it once.

    Estimators keep the arguments, never the weights: copying and pickling them stays cheap. A folder whose
    weights or configuration were replaced is loaded anew.

    Parameters
    ----------
    name_or_folder, device, dtype, batch_size
        As in `VETimePipeline.from_pretrained`.

    Returns
    -------
    VETimePipeline

    Raises
    ------
    CheckpointError, InputError
        As there.
    """
    folder, chosen = resolve_folder(name_or_folder), choose_device(device)
    key = (stamp(folder), str(chosen), dtype, batch_size)
    with _CACHE_LOCK:
        if key not in _CACHE:
            _CACHE[key] = VETimePipeline._load(str(name_or_folder), folder, chosen, dtype, batch_size)
        return _CACHE[key]


def _restore(source: str, device: str, dtype: str, batch_size: int, loaded: int) -> VETimePipeline:
    """Load a pipeline from its folder, and make sure that the folder still holds what it held."""
    pipeline = cached_pipeline(source, device=device, dtype=dtype, batch_size=batch_size)
    if fingerprint(pipeline.model) != loaded:  # perhaps somebody changed the one that all share
        pipeline = VETimePipeline.from_pretrained(source, device=device, dtype=dtype, batch_size=batch_size)
    if pipeline._loaded != loaded:
        raise CheckpointError(
            f"{source!r} holds other weights here than those of the pipeline that was pickled; "
            "put the same folder at this path, or load the pipeline anew with from_pretrained."
        )
    return pipeline


def _rebuild(model: Network, source: str, device: str, dtype: str, batch_size: int) -> VETimePipeline:
    """Return a pipeline whose network came along."""
    return VETimePipeline(model, source, choose_device(device), dtype, batch_size)
