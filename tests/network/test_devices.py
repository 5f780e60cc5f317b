"""Devices: those that exist are taken, by number too, and the others are refused."""

from __future__ import annotations

import pytest
import torch

from vetime_plugins.errors import InputError
from vetime_plugins.network.devices import choose_device


@pytest.fixture(params=[0, 1, 2])
def gpus(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Pretend that this machine has so many CUDA devices and no other accelerator."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: request.param > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: request.param)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    return int(request.param)


@pytest.mark.parametrize("index", [0, 1, 7])
def test_a_number_beyond_the_last_device_is_refused(gpus: int, index: int) -> None:
    if index < gpus:
        assert choose_device(f"cuda:{index}") == torch.device("cuda", index)
        return
    with pytest.raises(InputError, match=rf"'cuda:{index}' is not available here; this machine has \['cpu'"):
        choose_device(torch.device("cuda", index))


def test_the_message_counts_the_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(InputError, match=r"this machine has \['cpu', 'cuda:0', 'cuda:1'\]"):
        choose_device("cuda:7")


def test_a_device_without_a_number_is_taken_where_there_is_one(gpus: int) -> None:
    assert choose_device("auto").type == ("cuda" if gpus else "cpu")
    assert choose_device("cpu") == choose_device(torch.device("cpu")) == torch.device("cpu")
    if gpus:
        assert choose_device("cuda") == torch.device("cuda")
