"""From the authors' state dicts to our weights folders."""

from __future__ import annotations

import json
import pickle
import re
import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from vetime_plugins.errors import CheckpointError, InputError
from vetime_plugins.network.checkpoint import DECODER_PREFIX, check_state, file_hash, save_checkpoint
from vetime_plugins.network.config import VETimeConfig
from vetime_plugins.network.model import VETime

# The authors' names. Order matters: the first pattern that fits the whole name wins.
_TEMPORAL_LAYER = re.compile(r"ts_encoder\.ts_encoder\.transformer_encoder\.layers\.(\d+)\.(.+)")
_VISION_BLOCK = re.compile(
    r"vit_encoder\.encode_image\.vision_model\.(decoder_)?blocks\.(\d+)\.(.+)\.(weight|bias)"
)
_BLOCK = {
    "attn.proj": "attention.projection",
    "attn.qkv": "attention.qkv",
    "mlp.fc1": "feedforward.0",
    "mlp.fc2": "feedforward.2",
    "norm1": "norm1",
    "norm2": "norm2",
}
_TEMPORAL = {
    "input_norm.scale": "attention_norm.scale",
    "output_norm.scale": "feedforward_norm.scale",
    "self_attn.q_proj.weight": "attention.query.weight",
    "self_attn.k_proj.weight": "attention.key.weight",
    "self_attn.v_proj.weight": "attention.value.weight",
    "self_attn.out_proj.weight": "attention.output.weight",
    "self_attn.binary_attention_bias.emd.weight": "attention.variate_bias",
    **{
        f"mlp.{part}_proj.{kind}": f"feedforward.{part}.{kind}"
        for part in ("gate", "up", "down")
        for kind in ("weight", "bias")
    },
}
_MHA = {
    "in_proj_weight": "packed.weight",
    "in_proj_bias": "packed.bias",
    "out_proj.weight": "output.weight",
    "out_proj.bias": "output.bias",
}
_PREFIXES = {
    "ts_encoder.ts_encoder.embedding_layer.": "temporal.patch_embedding.",
    "ts_encoder.ts_encoder.projection_layer.": "token_projection.",
    "vit_encoder.encode_image.vision_model.patch_embed.proj.": "vision.patch_embedding.",
    "vit_encoder.encode_image.vision_model.norm.": "vision.norm.",
    "vit_encoder.encode_image.vision_model.decoder_embed.": "vision_decoder.embedding.",
    "vit_encoder.encode_image.vision_model.decoder_norm.": "vision_decoder.norm.",
    "vit_encoder.encode_image.vision_model.decoder_pred.": "vision_decoder.prediction.",
    "mlp_i.0.": "alignment.projection.0.",
    "mlp_i.2.": "alignment.projection.2.",
    "mlp_i.3.": "alignment.projection.3.",
    "I_att.ffn_i.0.": "alignment.feedforward.0.",
    "I_att.ffn_i.3.": "alignment.feedforward.2.",
    "I_att.ffn_i.4.": "alignment.feedforward.3.",
    "I_att.norm1_a.": "alignment.norm.",
    "fusion.mlp_t.": "cross_attention.temporal_projection.",
    "fusion.mlp_i.": "cross_attention.vision_projection.",
    "fusion.ffn_a.0.": "cross_attention.{a}.feedforward.0.",
    "fusion.ffn_a.3.": "cross_attention.{a}.feedforward.2.",
    "fusion.ffn_b.0.": "cross_attention.{b}.feedforward.0.",
    "fusion.ffn_b.3.": "cross_attention.{b}.feedforward.2.",
    "fusion.norm1_a.": "cross_attention.{a}.norm1.",
    "fusion.norm2_a.": "cross_attention.{a}.norm2.",
    "fusion.norm1_b.": "cross_attention.{b}.norm1.",
    "fusion.norm2_b.": "cross_attention.{b}.norm2.",
    "mm_w.Router.l1.": "fusion.router.hidden.",
    "mm_w.Router.l2.": "fusion.router.output.",
    "mm_w.Router.task_embedding.": "fusion.router.task_embedding.",
    "mm_w.mlp_m.0.": "fusion.contrastive.0.",
    "mm_w.mlp_m.3.": "fusion.contrastive.2.",
    "anomaly_head.0.": "detection_head.0.",
    "anomaly_head.3.": "detection_head.2.",
    "reconstruction_head.0.": "reconstruction_head.0.",
    "reconstruction_head.3.": "reconstruction_head.2.",
    "reconstruction_head.6.": "reconstruction_head.4.",
}
_EXACT = {
    "pos_emb_v": "alignment.position",
    "vit_encoder.encode_image.vision_model.cls_token": "vision.class_token",
    "vit_encoder.encode_image.vision_model.pos_embed": "vision.position",
    "vit_encoder.encode_image.vision_model.mask_token": "vision_decoder.mask_token",
    "vit_encoder.encode_image.vision_model.decoder_pos_embed": "vision_decoder.position",
}
_ATTENTIONS = {
    "I_att.cross_attn_a_to_b.": "alignment.attention.",
    "fusion.cross_attn_a_to_b.": "cross_attention.{ab}.attention.",
    "fusion.cross_attn_b_to_a.": "cross_attention.{ba}.attention.",
}
# Which side the authors' letters name.
_SIDES = {"a": "vision_block", "b": "temporal_block", "ab": "vision_block", "ba": "temporal_block"}
# Training-only or never reached when scoring: contrastive heads, a second set of heads inside the temporal
# encoder, an unused projection, and a buffer that is computed anew.
_UNUSED = re.compile(
    r"(cl_loss\.|ts_encoder\.(anomaly|reconstruction)_head\.|projection_layer\.|.*\.inv_freq$|module\.step$)"
)


def our_name(theirs: str) -> str | None:
    """Translate a parameter name of the authors; None where scoring never uses it.

    Raises `CheckpointError` if the name is not one of theirs.
    """
    if _UNUSED.match(theirs):
        return None
    if theirs in _EXACT:
        return _EXACT[theirs]
    found = _TEMPORAL_LAYER.fullmatch(theirs)
    if found and found[2] in _TEMPORAL:
        return f"temporal.layers.{found[1]}.{_TEMPORAL[found[2]]}"
    found = _VISION_BLOCK.fullmatch(theirs)
    if found and found[3] in _BLOCK:
        side = "vision_decoder" if found[1] else "vision"
        return f"{side}.blocks.{found[2]}.{_BLOCK[found[3]]}.{found[4]}"
    for prefix, ours in _ATTENTIONS.items():
        if theirs.startswith(prefix) and theirs.removeprefix(prefix) in _MHA:
            return ours.format(**_SIDES) + _MHA[theirs.removeprefix(prefix)]
    for prefix, ours in _PREFIXES.items():
        if theirs.startswith(prefix):
            return ours.format(**_SIDES) + theirs.removeprefix(prefix)
    raise CheckpointError(
        f"The state dict has the parameter {theirs!r}, which is not one of VETime's: "
        "give the authors' checkpoint itself (not an optimiser state or another model)."
    )


def read_official(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a foreign state dict from `.safetensors`, or from `.pth`/`.pt` without running any code in it.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    tuple of (dict of str to torch.Tensor, dict)
        The tensors without the `module.` prefix of data-parallel training, and the sizes that the file states
        about itself (safetensors metadata key ``config``), if any.

    Raises
    ------
    CheckpointError
        If there is no such file, or it holds anything but names and tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"There is no file {path}.")
    metadata: dict[str, Any] = {}
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                metadata = json.loads((file.metadata() or {}).get("config", "{}"))
            state: Any = load_file(path)
        else:
            with warnings.catch_warnings(action="ignore"):  # of pickles that it then refuses or reads
                state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # every reader has exceptions of its own
        # torch goes on to say how to read the file all the same, which would run the code in it.
        raise CheckpointError(
            f"{path} cannot be read as a state dict: {_reason(error)}. Only safetensors files and .pth files "
            "that hold nothing but tensors are accepted, because anything else could run code."
        ) from None
    for key in ("model_state_dict", "state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
            break
    if not isinstance(state, dict) or not state or not all(isinstance(v, Tensor) for v in state.values()):
        raise CheckpointError(f"{path} does not hold a state dict (names to tensors).")
    return {name.removeprefix("module."): tensor for name, tensor in state.items()}, metadata


def _reason(error: Exception) -> str:
    """Return why a file cannot be read, and nothing of what its reader advises."""
    if isinstance(error, pickle.UnpicklingError):
        named = re.search(r"GLOBAL (\S+)", str(error))
        return f"it holds {named[1]}, which is no tensor" if named else "it is no pickle of tensors"
    return str(error).split(". ")[0].split("\n")[0].strip() or type(error).__name__


def infer_config(state: dict[str, Tensor], metadata: dict[str, Any], **heads: int | None) -> VETimeConfig:
    """Read the sizes off the shapes of a state dict under our names.

    Head counts leave no trace in the shapes. They are `heads`, `vision_heads` and `decoder_heads` if given,
    else those of the metadata, else the paper's.
    """

    def depth(prefix: str) -> int:
        pattern = re.compile(re.escape(prefix) + r"\.(\d+)\.")
        return 1 + max((int(m[1]) for name in state if (m := pattern.match(name))), default=-1)

    def pick(key: str, default: int) -> int:
        chosen = heads.get(key)
        return int(chosen if chosen is not None else metadata.get(key, default))

    try:
        d_model, patch = state["temporal.patch_embedding.weight"].shape
        vision_width, _, vision_patch, _ = state["vision.patch_embedding.weight"].shape
        grid = round((state["vision.position"].shape[1] - 1) ** 0.5)
        shared, decoder_depth = pick("heads", 8), depth("vision_decoder.blocks")
        return VETimeConfig(
            patch_size=patch,
            d_model=d_model,
            d_proj=state["token_projection.weight"].shape[0] // patch,
            temporal_layers=depth("temporal.layers"),
            temporal_heads=shared,
            heads=shared,
            vision_width=vision_width,
            vision_depth=depth("vision.blocks"),
            vision_heads=pick("vision_heads", 12),
            image_size=grid * vision_patch,
            vision_patch=vision_patch,
            decoder_width=state["vision_decoder.embedding.weight"].shape[0] if decoder_depth else 1,
            decoder_depth=decoder_depth,
            decoder_heads=pick("decoder_heads", 16) if decoder_depth else 1,
            max_patches=state["alignment.position"].shape[1],
            any_variate="temporal.layers.0.attention.variate_bias" in state,
            name="base",
        )
    except KeyError as error:
        raise CheckpointError(
            f"The state dict lacks the parameter {error}: it is not a whole VETime."
        ) from error
    except InputError as error:
        raise CheckpointError(
            f"{error} Give the head counts (--heads, --vision-heads) of the authors' configuration."
        ) from error


def convert_official(
    source: str | Path,
    out_dir: str | Path,
    *,
    heads: int | None = None,
    vision_heads: int | None = None,
    decoder_heads: int | None = None,
    keep_decoder: bool = False,
) -> Path:
    """Turn the authors' state dict into a weights folder.

    Parameters
    ----------
    source : path
        `.safetensors`, or `.pth` (read with ``weights_only=True``).
    out_dir : path
    heads, vision_heads, decoder_heads : int, optional
        Head counts; taken from the file's metadata, else the paper's 8, 12 and 16.
    keep_decoder : bool
        Keep the MAE decoder, which scoring never uses, for further pretraining.

    Returns
    -------
    Path
        The folder, ready for `VETimePipeline.from_pretrained`.

    Raises
    ------
    CheckpointError
        If the file is not a state dict of VETime, or a part of it is missing.
    """
    theirs, metadata = read_official(source)
    renamed = ((our_name(name), tensor) for name, tensor in theirs.items())
    state = {name: tensor.float() for name, tensor in renamed if name is not None}
    if not keep_decoder:
        state = {name: tensor for name, tensor in state.items() if not name.startswith(DECODER_PREFIX)}
    config = infer_config(
        state, metadata, heads=heads, vision_heads=vision_heads, decoder_heads=decoder_heads
    )
    model = VETime(config)
    check_state(model, {n: t for n, t in state.items() if not n.startswith(DECODER_PREFIX)}, str(source))
    return save_checkpoint(
        out_dir, config, state, source=Path(source).name, source_sha256=file_hash(Path(source))
    )
