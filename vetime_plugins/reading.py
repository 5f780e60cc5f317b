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

from vetime_plugins._threads import threads_for
from vetime_plugins.errors import CheckpointError, InputError
from vetime_plugins.network.checkpoint import Network
from vetime_plugins.network.config import VETimeConfig
from vetime_plugins.network.evidence import find_evidence
from vetime_plugins.network.expectation import ExpectationConfig, ExpectationNetwork
from vetime_plugins.network.model import ModelOutput
from vetime_plugins.network.pooling import pool_margins
from vetime_plugins.network.preparation import (
    Chunk,
    collate,
    column_periods,
    cut,
    find_units,
)
from vetime_plugins.network.surprise import Reader, find_margins
from vetime_plugins.series.inputs import Series
from vetime_plugins.series.overlap import Beside
from vetime_plugins.series.readout import read_out
from vetime_plugins.series.scale import what_is_known
from vetime_plugins.series.switches import find_switches

__all__ = ["MarginReader", "Margins", "Reading", "ReferenceMemory", "switches_of"]

T = TypeVar("T")
_KNOWN_REFERENCES = 16


class Margins(NamedTuple):
    """What a network says of the variables of one series.

    Attributes
    ----------
    alone : float64 ndarray of shape (T, C)
        Of each variable, -inf for one that never changes.
    periods : list of int
        Of each variable, in steps.
    joining : float64 ndarray of shape (T, C) or None
        What the margins of all variables together are joined from, where that is not `alone`.
    """

    alone: NDArray[np.float64]
    periods: list[int]
    joining: NDArray[np.float64] | None = None

    @property
    def together(self) -> NDArray[np.float64]:
        """What the margins of all variables together are joined from, (T, C)."""
        return self.alone if self.joining is None else self.joining


class Reading(NamedTuple):
    """What a network says of one series.

    Attributes
    ----------
    margins : Margins
    usual : Margins or None
        Of what a reference holds beside the series: they tell what is calm.
    switches : bool ndarray of shape (C,) or None
        Variables that are joined as if they were one, see `switches_of`.
    """

    margins: Margins
    usual: Margins | None = None
    switches: NDArray[np.bool_] | None = None

    def scores(self, config: VETimeConfig | ExpectationConfig, readout: str) -> NDArray[np.float64]:
        """Return the scores (T,) of all variables together."""
        usual = self.usual and (self._pool(self.usual, config), [max(self.usual.periods)])
        pooled, periods = self._pool(self.margins, config), [max(self.margins.periods)]
        return read_out(pooled, readout, periods, scale=config.scale, usual=usual)

    def variable_scores(self, config: VETimeConfig | ExpectationConfig, readout: str) -> NDArray[np.float64]:
        """Return the scores (T, C) of each variable by itself."""
        usual = self.usual and (self.usual.alone, self.usual.periods)
        return read_out(self.margins.alone, readout, self.margins.periods, scale=config.scale, usual=usual)

    def _pool(self, margins: Margins, config: VETimeConfig | ExpectationConfig) -> NDArray[np.float64]:
        """Join margins of the series or of its reference: both by what is usual in the same data."""
        level, own = None, self.margins.together
        if config.variable_pooling == "rise":
            level = np.median(what_is_known(own, self.usual and self.usual.together), axis=0)
            level = np.where(np.isfinite(level), level, np.median(own, axis=0))
        return pool_margins(margins.together, config.variable_pooling, level=level, switches=self.switches)


def switches_of(
    config: VETimeConfig | ExpectationConfig, series: Series, references: Sequence[Series] = ()
) -> NDArray[np.bool_] | None:
    """Return which variables (C,) are switches, for a configuration that keeps them apart."""
    apart = isinstance(config, VETimeConfig) and config.switches_apart
    return find_switches(series, references) if apart else None


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
        references: Sequence[Sequence[Beside]],
        gammas: NDArray[np.float64] | None = None,
        report: Callable[[int], None] = lambda steps: None,
    ) -> Iterator[Margins]:
        """Yield the margins and periods of each series, in order.

        Parameters
        ----------
        all_series : sequence of Series
        references : sequence of sequences of Beside
            Earlier data for each series; may be empty.
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
                yield Margins(first.margins, first.periods)
        yield from (Margins(one.margins, one.periods) for one in pending)

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

    def _read_alone(self) -> Callable[[Series, Sequence[Beside]], Margins] | None:
        """Return what reads one series at a time, where nothing of it is cut into chunks for a VETime."""
        if isinstance(self.model, ExpectationNetwork):
            reader = self.expectation(self.model)
            return lambda series, references: Margins(*find_margins(reader, series, references))
        config = self.model.config
        if config.evidence_alone:
            return partial(self._find_evidence, config)
        return None

    def _find_evidence(self, config: VETimeConfig, series: Series, references: Sequence[Beside]) -> Margins:
        n_values = series.values.size + sum(one.reference.values.size for one in references)
        with threads_for(n_values if self.device.type == "cpu" else 0):
            return Margins(*find_evidence(series, config, references, device=self.device))

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
        self, references: Sequence[Beside], reader: MarginReader, gammas: NDArray[np.float64] | None = None
    ) -> Margins | None:
        """Return the margins of what references hold beside a series, one after the other."""
        stretches = [
            Series.from_columns(reference.with_gaps[part])
            for reference, parts in references
            for part in parts
        ]
        if not stretches:
            return None
        read = self.read(stretches, reader, gammas)
        longest = max(read, key=lambda one: len(one.alone))
        alone, together = (
            np.concatenate(parts) for parts in zip(*((one.alone, one.together) for one in read), strict=True)
        )
        return Margins(alone, longest.periods, together)

    def read(
        self, stretches: Sequence[Series], reader: MarginReader, gammas: NDArray[np.float64] | None = None
    ) -> list[Margins]:
        """Return the margins of stretches of a reference, each by itself."""
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
