"""What a network says of series: margins, before they become scores."""

from __future__ import annotations

import hashlib
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from vetime_plugins.errors import CheckpointError, InputError
from vetime_plugins.network.checkpoint import Network
from vetime_plugins.network.config import VETimeConfig
from vetime_plugins.network.expectation import ExpectationConfig, ExpectationNetwork
from vetime_plugins.network.model import ModelOutput, pool_margins
from vetime_plugins.network.preparation import (
    Chunk,
    collate,
    column_periods,
    cut,
    find_evidence,
    find_units,
)
from vetime_plugins.network.surprise import Reader, find_margins
from vetime_plugins.series.inputs import Series
from vetime_plugins.series.overlap import new_parts
from vetime_plugins.series.readout import read_out

__all__ = ["MarginReader", "Reading", "ReferenceMemory"]

T = TypeVar("T")
Margins = tuple[NDArray[np.float64], list[int]]
"""Margins (T, C), -inf for constant variables, and the period of each variable in steps."""
_KNOWN_REFERENCES = 16


class Reading(NamedTuple):
    """What a network says of one series.

    Attributes
    ----------
    margins : float64 ndarray of shape (T, C)
        -inf for constant variables.
    periods : list of int
        Of each variable, in steps.
    usual : (float64 ndarray of shape (T_ref, C), list of int) or None
        Margins and periods of what a reference holds beside the series: they tell what is calm.
    """

    margins: NDArray[np.float64]
    periods: list[int]
    usual: Margins | None = None

    def scores(self, config: VETimeConfig | ExpectationConfig, readout: str) -> NDArray[np.float64]:
        """Return the scores (T,) of all variables together."""
        margins, periods = _pool(self.margins, self.periods, config)
        usual = self.usual and _pool(*self.usual, config)
        return read_out(margins, readout, periods, scale=config.scale, usual=usual)

    def variable_scores(self, config: VETimeConfig | ExpectationConfig, readout: str) -> NDArray[np.float64]:
        """Return the scores (T, C) of each variable by itself."""
        return read_out(self.margins, readout, self.periods, scale=config.scale, usual=self.usual)


@dataclass(frozen=True)
class MarginReader:
    """A network as it is to be run.

    Attributes
    ----------
    model : VETime or ExpectationNetwork
        On `device`, in evaluation mode.
    source : str
        Name or folder that its weights came from, for messages.
    device : torch.device
    dtype : torch.dtype
        Arithmetic of the network, float32 or bfloat16.
    batch_size : int
        Chunks in one forward pass.
    """

    model: Network
    source: str
    device: torch.device
    dtype: torch.dtype
    batch_size: int

    def read(
        self,
        all_series: Sequence[Series],
        references: Sequence[Sequence[Series]],
        gammas: NDArray[np.float64] | None = None,
        report: Callable[[int], None] = lambda steps: None,
    ) -> Iterator[Margins]:
        """Yield the margins and periods of each series, in order.

        Parameters
        ----------
        all_series : sequence of Series
        references : sequence of sequences of Series
            Stretches of earlier data for each series; may be empty.
        gammas : float64 ndarray of shape (C,), optional
            Of the image, for all series.
        report : callable
            Called with the number of values that were read.

        Raises
        ------
        CheckpointError
            If the network says something that is no number.
        """
        alone = self._read_alone()
        if alone is not None:
            for series, others in zip(all_series, references, strict=True):
                yield alone(series, others)
                report(series.values.size)
            return
        config = self.vetime_config("chunks")
        p = config.patch_size
        pending: deque[_Pending] = deque()

        def chunks() -> Iterator[tuple[Chunk, tuple[_Pending, NDArray[np.intp]]]]:
            for one, others in zip(all_series, references, strict=True):
                units = find_units(one, config, gammas=gammas, references=others)
                found = list(cut(units, config))
                margins = np.full(one.values.shape, -np.inf)
                pending.append(_Pending(margins, column_periods(one, units), len(found)))
                report(len(one) * (one.n_variables - sum(len(columns) for _, columns in units)))
                for chunk, columns in found:
                    yield chunk, (pending[-1], columns)

        for group, output in self.run(chunks()):
            margin = output.margins()
            for row, (chunk, (one, columns)) in enumerate(group):
                steps = slice(chunk.start * p, min(chunk.stop * p, len(one.margins)))
                found = margin[row, :, : steps.stop - steps.start].T
                if not np.isfinite(found).all():
                    raise CheckpointError(
                        f"The weights {self.source!r} say something that is no number: they are damaged, or "
                        "were trained astray. Fetch them again or train anew."
                    )
                one.margins[steps, columns] = found
                one.missing -= 1
                report((steps.stop - steps.start) * len(columns))
            while pending and not pending[0].missing:
                first = pending.popleft()
                yield first.margins, first.periods
        yield from ((one.margins, one.periods) for one in pending)

    def run(self, chunks: Iterable[tuple[Chunk, T]]) -> Iterator[tuple[list[tuple[Chunk, T]], ModelOutput]]:
        """Read chunks, in batches of equally many variables; yield each batch and its output."""
        waiting: dict[int, list[tuple[Chunk, T]]] = defaultdict(list)
        for chunk, along in chunks:
            group = waiting[chunk.prepared.n_variables]
            group.append((chunk, along))
            if len(group) == self.batch_size:
                yield group, self._forward([chunk for chunk, _ in group])
                waiting[chunk.prepared.n_variables] = []
        for group in waiting.values():
            if group:
                yield group, self._forward([chunk for chunk, _ in group])

    def expectation(self, model: ExpectationNetwork) -> Reader:
        """Return a network of expectation as it is to be run; its windows are a quarter of a chunk."""
        return Reader(model, self.device, 4 * self.batch_size, self.dtype == torch.bfloat16)

    def vetime_config(self, wanted: str) -> VETimeConfig:
        """Return the configuration of a VETime network, or say that what is `wanted` needs one."""
        if isinstance(self.model.config, VETimeConfig):
            return self.model.config
        raise InputError(f"{wanted} need weights of a VETime network, such as 'small'; got {self.source!r}.")

    def _read_alone(self) -> Callable[[Series, Sequence[Series]], Margins] | None:
        """Return what reads one series at a time, where nothing of it is cut into chunks for a VETime."""
        if isinstance(self.model, ExpectationNetwork):
            return partial(find_margins, self.expectation(self.model))
        config = self.model.config
        if config.retrieval is not None and config.correction == 0:
            return lambda series, references: find_evidence(series, config, references)
        return None

    def _forward(self, chunks: Sequence[Chunk]) -> ModelOutput:
        batch = collate(chunks, self.vetime_config("chunks")).to(self.device)
        low = self.dtype != torch.float32
        with torch.inference_mode(), torch.autocast(self.device.type, self.dtype, enabled=low):
            return self.model(batch)


class ReferenceMemory:
    """Margins of recent references, so that a stream or a list reads each of them once.

    They are scored by themselves, as `fit` saw them.
    """

    def __init__(self) -> None:
        self._known: dict[bytes, list[Margins]] = {}
        self._lock = threading.Lock()

    def beside(
        self,
        series: Series,
        references: Sequence[Series],
        reader: MarginReader,
        gammas: NDArray[np.float64] | None,
    ) -> Margins | None:
        """Return margins (T_ref, C) and periods of what references hold beside the series itself."""
        stretches = [
            Series.from_columns(reference.with_gaps[part])
            for reference in references
            for part in new_parts(series, reference)
        ]
        if not stretches:
            return None
        read = self.read(stretches, reader, gammas)
        longest = max(range(len(stretches)), key=lambda i: len(stretches[i]))
        return np.concatenate([margins for margins, _ in read]), read[longest][1]

    def read(
        self, stretches: Sequence[Series], reader: MarginReader, gammas: NDArray[np.float64] | None = None
    ) -> list[Margins]:
        """Return margins and periods of stretches of a reference, each by itself."""
        digest = hashlib.blake2b(b"" if gammas is None else gammas.tobytes())
        for stretch in stretches:
            digest.update(repr(stretch.values.shape).encode() + stretch.with_gaps.tobytes())
        key = digest.digest()
        found = self._known.get(key)
        if found is None:
            found = list(reader.read(stretches, [[]] * len(stretches), gammas))
            with self._lock:
                if len(self._known) >= _KNOWN_REFERENCES:
                    del self._known[next(iter(self._known))]
                self._known[key] = found
        return found


@dataclass(eq=False)
class _Pending:
    """A series whose chunks have not all been read."""

    margins: NDArray[np.float64]
    periods: list[int]
    missing: int


def _pool(
    margins: NDArray[np.float64], periods: list[int], config: VETimeConfig | ExpectationConfig
) -> Margins:
    return pool_margins(margins, config.variable_pooling), [max(periods)]
