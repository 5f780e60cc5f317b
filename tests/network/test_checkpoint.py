"""Weights folders and the conversion of the authors' state dicts."""

from __future__ import annotations

import json
import math
import pickle
import traceback
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests._shared import shared_path
from vetime_plugins import CheckpointError, VETimeConfig, VETimePipeline
from vetime_plugins.network.checkpoint import file_hash, load_checkpoint, save_checkpoint
from vetime_plugins.network.conversion import convert_official, our_name
from vetime_plugins.network.model import VETime

TINY = {
    "d_model": 32, "d_proj": 8, "temporal_layers": 1, "temporal_heads": 4, "vision_width": 32, "vision_depth":
    1, "vision_heads": 4, "decoder_width": 32, "decoder_heads": 4, "heads": 4, "image_size": 64, "name":
    "tiny",
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    config = VETimeConfig(**TINY)
    return save_checkpoint(tmp_path / "weights", config, VETime(config).state_dict(), note="a fact")


def _edit(folder: Path, **changes: object) -> None:
    record = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**record, **changes}))


def test_saved_weights_come_back(folder: Path) -> None:
    model, record = load_checkpoint(folder)
    assert model.config == VETimeConfig(**TINY)
    assert record["note"] == "a fact"
    assert not model.training
    for name, tensor in load_file(folder / "model.safetensors").items():
        torch.testing.assert_close(model.state_dict()[name], tensor)


def test_damaged_weights_are_noticed(folder: Path) -> None:
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[-3] ^= 1
    (folder / "model.safetensors").write_bytes(data)
    with pytest.raises(CheckpointError, match="damaged or was exchanged"):
        load_checkpoint(folder)


@pytest.mark.parametrize(
    "spoilt", [torch.tensor(torch.nan), torch.tensor(torch.inf), torch.tensor(1j), torch.tensor(1)]
)
def test_weights_that_are_no_finite_floats_are_refused(folder: Path, spoilt: torch.Tensor) -> None:
    state = load_file(folder / "model.safetensors")
    name = min(state)
    save_file({**state, name: spoilt.expand(state[name].shape).contiguous()}, folder / "model.safetensors")
    _edit(folder, sha256=None)
    with pytest.raises(CheckpointError, match=f"needs finite floats in every tensor.*e.g. {name}"):
        load_checkpoint(folder)


def test_weights_that_say_no_number_are_refused_when_they_score(folder: Path) -> None:
    state = {name: tensor * 1e30 for name, tensor in load_file(folder / "model.safetensors").items()}
    save_file(state, folder / "model.safetensors")
    _edit(folder, sha256=None)
    with pytest.raises(CheckpointError, match="say something that is no number"):
        VETimePipeline.from_pretrained(folder, device="cpu").score([1.0, 2.0, 3.0])


def test_truncated_weights_are_noticed(folder: Path) -> None:
    data = (folder / "model.safetensors").read_bytes()[:100]
    (folder / "model.safetensors").write_bytes(data)
    _edit(folder, sha256=None)
    with pytest.raises(CheckpointError, match="cannot be read as safetensors"):
        load_checkpoint(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 99}, "format 99"),
        ({"format": "1"}, "format must be a whole number, got '1'"),
        ({"config": None}, "config must be a table, got None"),
        ({"sha256": 5}, "sha256 must be a string, got 5"),
        ({"sha256": "damaged"}, "sha256: String should match"),
        ({"config": {**TINY, "depth": 3}}, r"unknown key VETimeConfig.depth; .* newer vetime-plugins"),
        ({"config": {**TINY, "d_model": 33}}, "does not describe a model"),
        ({"config": {**TINY, "d_model": 32.0}}, r"VETimeConfig.d_model must be a whole number, got 32.0"),
        ({"config": {**TINY, "margin_offset": math.nan}}, "margin_offset must be a finite number, got nan"),
        ({"config": {**TINY, "retrieval": {"size": 1}, "retrieval_channels": 26}}, "retrieval.size"),
        ({"config": {**TINY, "d_model": 10**6}}, r"at most 4\.3e\+09 parameters, got 6\.\de\+13"),
        ({"config": {**TINY, "max_patches": 10**400}}, "max_patches must be at most"),
        ({"config": {**TINY, "d_model": 64}}, "does not fit its configuration"),
        ({"config": {**TINY, "temporal_heads": 8, "any_variate": True}}, "1 tensors missing"),
    ],
)
def test_wrong_configurations_are_named(folder: Path, changes: dict[str, object], message: str) -> None:
    _edit(folder, **changes)
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(folder)


@pytest.mark.parametrize("content", [b"{", b"\xff", b"[" * 100_000])
def test_configuration_that_is_not_json(folder: Path, content: bytes) -> None:
    (folder / "config.json").write_bytes(content)
    with pytest.raises(CheckpointError, match="cannot be read as JSON"):
        load_checkpoint(folder)


@pytest.mark.parametrize("content", ["[]", "{}", '{"format": 1}', '{"config": {}}'])
def test_configuration_without_its_keys(folder: Path, content: str) -> None:
    (folder / "config.json").write_text(content)
    with pytest.raises(CheckpointError, match=r"must be a table|is missing"):
        load_checkpoint(folder)


def test_sizes_that_the_weights_cannot_have_take_no_memory(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _edit(folder, config={**TINY, "d_model": 8192})  # 4 GB: allowed, but not what the file holds
    monkeypatch.setattr(VETime, "__init__", lambda *_: pytest.fail("the network was built"))
    with pytest.raises(CheckpointError, match="does not fit its configuration, whose sizes need"):
        load_checkpoint(folder)


def test_conversion_infers_the_sizes_and_drops_the_decoder(tmp_path: Path) -> None:
    source = shared_path("parity/uni.safetensors")
    converted = convert_official(source, tmp_path / "uni")
    model, record = load_checkpoint(converted)
    c = model.config
    assert (c.d_model, c.d_proj, c.temporal_layers, c.heads) == (64, 16, 2, 8)
    assert (c.vision_width, c.vision_depth, c.vision_heads, c.image_size, c.vision_patch) == (
        48,
        4,
        4,
        224,
        16,
    )
    assert not c.any_variate
    assert record["source"] == "uni.safetensors"
    names = load_file(converted / "model.safetensors")
    assert not any(name.startswith("vision_decoder") for name in names)
    kept = load_file(convert_official(source, tmp_path / "kept", keep_decoder=True) / "model.safetensors")
    assert any(name.startswith("vision_decoder") for name in kept)
    assert load_checkpoint(tmp_path / "kept")[0].config.decoder_width == 32


def test_multivariate_weights_are_recognised(tmp_path: Path) -> None:
    converted = convert_official(shared_path("parity/multi.safetensors"), tmp_path / "multi")
    assert load_checkpoint(converted)[0].config.any_variate


@pytest.mark.parametrize(
    "wrap", [lambda s: s, lambda s: {"state_dict": s}, lambda s: {f"module.{k}": v for k, v in s.items()}]
)
def test_pth_files_convert_like_safetensors(tmp_path: Path, wrap) -> None:
    source = shared_path("parity/uni.safetensors")
    torch.save(wrap(load_file(source)), tmp_path / "official.pth")
    converted = convert_official(tmp_path / "official.pth", tmp_path / "out", vision_heads=4)
    expected = load_file(convert_official(source, tmp_path / "expected") / "model.safetensors")
    for name, tensor in load_file(converted / "model.safetensors").items():
        torch.testing.assert_close(tensor, expected[name])


class _Harm:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("harm"),))  # type: ignore[return-value]


def test_code_in_a_pth_file_never_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.pth").write_bytes(pickle.dumps(_Harm()))
    torch.save({"x": _Harm()}, tmp_path / "evil2.pth")
    for name in ("evil.pth", "evil2.pth"):
        with pytest.raises(CheckpointError, match="nothing but tensors") as caught:
            convert_official(tmp_path / name, tmp_path / "out")
        shown = "".join(traceback.format_exception(caught.value))
        # torch's own error says how to run the code all the same
        assert not any(advice in shown for advice in ("weights_only` set", "add_safe_globals", "Re-running"))
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps({"x": _Harm()}, protocol=2), r"it holds \S+, which is no tensor"),
        (b"hello", "cannot be read as a state dict: .* Only safetensors"),
        (b"", "cannot be read as a state dict: .* Only safetensors"),
        (b"PK\x03\x04 and no more", "cannot be read as a state dict: .* Only safetensors"),
    ],
)
def test_what_is_no_state_dict_is_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "file.pth").write_bytes(content)
    with pytest.raises(CheckpointError, match=message) as caught:
        convert_official(tmp_path / "file.pth", tmp_path / "out")
    assert "\n" not in str(caught.value)


def test_foreign_and_incomplete_files_are_refused(tmp_path: Path) -> None:
    save_file({"resnet.weight": torch.zeros(2)}, tmp_path / "foreign.safetensors")
    with pytest.raises(CheckpointError, match="not one of VETime's"):
        convert_official(tmp_path / "foreign.safetensors", tmp_path / "out")
    state = load_file(shared_path("parity/uni.safetensors"))
    del state["mm_w.Router.l2.bias"]
    save_file(state, tmp_path / "part.safetensors", metadata={"config": json.dumps({"vision_heads": 4})})
    with pytest.raises(CheckpointError, match="1 tensors missing"):
        convert_official(tmp_path / "part.safetensors", tmp_path / "out")
    with pytest.raises(CheckpointError, match="There is no file"):
        convert_official(tmp_path / "absent.pth", tmp_path / "out")


def test_wrong_head_count_says_which_option(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="--heads"):
        convert_official(shared_path("parity/uni.safetensors"), tmp_path / "out", heads=7)


@pytest.mark.parametrize(
    "name", ["cl_loss.mlp1.0.weight", "ts_encoder.anomaly_head.0.bias", "projection_layer.weight"]
)
def test_training_only_parameters_are_left_out(name: str) -> None:
    assert our_name(name) is None


def test_weights_of_eight_bits_are_read_as_floats(folder: Path) -> None:
    file = folder / "model.safetensors"
    state = {name: tensor.to(torch.float8_e4m3fn) for name, tensor in load_file(file).items()}
    save_file(state, file)
    _edit(folder, sha256=file_hash(file))
    model, _ = load_checkpoint(folder)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, state[name].float())
