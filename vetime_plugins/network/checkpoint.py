"""Weights on disk: a folder with safetensors, their configuration and their hash."""

from __future__ import annotations

import hashlib
import json
import zlib
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import BaseModel, Field
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from vetime_plugins._files import remove_unfinished, whole_file, write_whole
from vetime_plugins._validation import Text, UnknownKeyError, Whole, validate
from vetime_plugins.errors import CheckpointError, InputError
from vetime_plugins.network.config import FORMAT_VERSION, VETimeConfig
from vetime_plugins.network.expectation import ExpectationConfig, ExpectationNetwork
from vetime_plugins.network.model import VETime

WEIGHTS_FILE = "model.safetensors"
CONFIG_FILE = "config.json"
DECODER_PREFIX = "vision_decoder."

Network = VETime | ExpectationNetwork


class _Record(BaseModel, extra="allow"):
    """What `config.json` holds; further keys are facts about the weights."""

    format: Whole
    network: Literal["vetime", "expectation"] = "vetime"
    config: dict[str, Any]
    sha256: Annotated[Text, Field(pattern="^[0-9a-f]{64}$")] | None = None


def bundled_names() -> list[str]:
    """Return the names of the weights that ship inside the package.

    Returns
    -------
    list of str
    """
    root = resources.files("vetime_plugins") / "weights"
    if not root.is_dir():
        return []
    return sorted(folder.name for folder in root.iterdir() if (folder / WEIGHTS_FILE).is_file())


def resolve_folder(name_or_folder: str | Path) -> Path:
    """Return the folder of bundled weights by name, or `name_or_folder` itself if it is such a folder.

    Parameters
    ----------
    name_or_folder : str or path

    Returns
    -------
    pathlib.Path

    Raises
    ------
    CheckpointError
        If neither exists; it names what does.
    """
    name = str(name_or_folder)
    bundled = resources.files("vetime_plugins") / "weights" / name
    if name not in ("", ".", "..") and Path(name).name == name and (bundled / WEIGHTS_FILE).is_file():
        return Path(str(bundled))
    folder = Path(name)
    missing = [file for file in (CONFIG_FILE, WEIGHTS_FILE) if not (folder / file).is_file()]
    if missing:
        what = f"is a folder without {' and '.join(missing)}" if folder.is_dir() else "is not a folder"
        raise CheckpointError(
            f"Weights must be one of the bundled names {bundled_names()} or a folder with {CONFIG_FILE} and "
            f"{WEIGHTS_FILE}; {name!r} {what}. `vetime convert` makes such a folder of the authors' weights."
        )
    return folder


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def save_checkpoint(
    folder: str | Path,
    config: VETimeConfig | ExpectationConfig,
    state: dict[str, Tensor],
    **facts: Any,
) -> Path:
    """Write a weights folder: `model.safetensors` and `config.json`.

    Parameters
    ----------
    folder : str or path
        It is made where it does not exist.
    config : VETimeConfig or ExpectationConfig
    state : dict of str to torch.Tensor
        The parameters under the names of the network's ``state_dict``.
    **facts : object
        JSON-able values for `config.json`, e.g. where the weights come from.

    Returns
    -------
    pathlib.Path
        The folder.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    # Not by `save_file`, which leaves half a file on a full disk and raises an error of its own.
    content = save({name: tensor.detach().cpu().contiguous() for name, tensor in state.items()})
    kind = {"network": "expectation"} if isinstance(config, ExpectationConfig) else {}
    record = {
        "format": FORMAT_VERSION,
        **kind,
        "config": config.to_dict(),
        "sha256": hashlib.sha256(content).hexdigest(),
        **facts,
    }
    remove_unfinished(folder, CONFIG_FILE, WEIGHTS_FILE)
    # Whoever is cut off between the two names leaves weights that do not fit their hash, which loading tells.
    with whole_file(folder / CONFIG_FILE) as file:
        file.write((json.dumps(record, indent=2) + "\n").encode())
        file.flush()
        write_whole(folder / WEIGHTS_FILE, content)
    return folder


def read_record(folder: Path) -> dict[str, Any]:
    """Return the parsed `config.json` of a weights folder.

    Raises
    ------
    CheckpointError
        If it is not JSON, a key is missing or of another type, or the format is that of another version.
    """
    file = folder / CONFIG_FILE
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{file} cannot be read as JSON: {error}.") from error
    # Another format may have other keys, so it is asked for first.
    version = content.get("format", FORMAT_VERSION) if isinstance(content, dict) else FORMAT_VERSION
    if isinstance(version, int) and version != FORMAT_VERSION:
        raise CheckpointError(
            f"{folder} has weights of format {version!r}, this version reads {FORMAT_VERSION}: "
            "install the vetime-plugins that wrote them, or convert them anew."
        )
    try:
        return validate(_Record, content, str(file)).model_dump(exclude_unset=True)
    except InputError as error:
        raise CheckpointError(f"{error}. `vetime convert` and `vetime train` write such files.") from error


def load_network(name_or_folder: str | Path) -> tuple[Network, dict[str, Any]]:
    """Build the network of a weights folder, on the CPU, in evaluation mode; also return its `config.json`.

    Parameters
    ----------
    name_or_folder : str or path
        Name of bundled weights, or a folder.

    Returns
    -------
    tuple of (VETime or ExpectationNetwork, dict)

    Raises
    ------
    CheckpointError
        If the folder is missing or incomplete, the hash differs, or the tensors do not fit the configuration.
    """
    return read_network(resolve_folder(name_or_folder))


def read_network(folder: Path) -> tuple[Network, dict[str, Any]]:
    """Do what `load_network` does of a folder that `resolve_folder` gave."""
    record = read_record(folder)
    config = _read_config(record, str(folder / CONFIG_FILE))
    weights = folder / WEIGHTS_FILE
    digest = file_hash(weights)
    if record.get("sha256") not in (None, digest):
        raise CheckpointError(
            f"{weights} has SHA-256 {digest}, its {CONFIG_FILE} says {record['sha256']}: "
            "the file is damaged or was exchanged, or what wrote it was cut off; make or fetch both again."
        )
    try:
        state = load_file(weights)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{weights} cannot be read as safetensors: {error}.") from error
    state = {name: tensor for name, tensor in state.items() if not name.startswith(DECODER_PREFIX)}
    # As float: torch knows no `isfinite` for the floats of eight bits.
    bad = [
        name for name, one in state.items() if not (one.is_floating_point() and one.float().isfinite().all())
    ]
    if bad:
        raise CheckpointError(
            f"{weights} needs finite floats in every tensor, has others in {len(bad)}, e.g. {bad[0]}: "
            "the file is damaged, or a training went astray; fetch it again or train anew."
        )
    state = {name: tensor.float() for name, tensor in state.items()}
    # Asked before the network is built, which could take more memory than there is.
    needed, found = config.least_parameters(), sum(tensor.numel() for tensor in state.values())
    if needed > found:
        raise CheckpointError(
            f"{folder} does not fit its configuration, whose sizes need {needed:,} parameters or more; "
            f"{WEIGHTS_FILE} has {found:,}. Take both files from the same place."
        )
    model = VETime(config) if isinstance(config, VETimeConfig) else ExpectationNetwork(config)
    check_state(model, state, str(folder))
    model.load_state_dict(state)
    return model.eval(), record


def load_checkpoint(name_or_folder: str | Path) -> tuple[VETime, dict[str, Any]]:
    """Load a VETime network as `load_network` does.

    Parameters
    ----------
    name_or_folder : str or path

    Returns
    -------
    tuple of (VETime, dict)

    Raises
    ------
    CheckpointError
        As in `load_network`, or if the folder holds the other kind of network.
    """
    model, record = load_network(name_or_folder)
    if not isinstance(model, VETime):
        raise CheckpointError(
            f"a VETime network is needed here, {str(name_or_folder)!r} holds an expectation network"
        )
    return model, record


def load_expectation(name_or_folder: str | Path) -> ExpectationNetwork:
    """Load an expectation network as `load_network` does.

    Parameters
    ----------
    name_or_folder : str or path

    Returns
    -------
    ExpectationNetwork

    Raises
    ------
    CheckpointError
        As in `load_network`, or if the folder holds the other kind of network.
    """
    model, _ = load_network(name_or_folder)
    if not isinstance(model, ExpectationNetwork):
        raise CheckpointError(
            f"an expectation network is needed here, {str(name_or_folder)!r} holds a VETime network"
        )
    return model


def _read_config(record: dict[str, Any], file: str) -> VETimeConfig | ExpectationConfig:
    try:
        if record.get("network") == "expectation":
            return validate(ExpectationConfig, record["config"], "", within="ExpectationConfig.")
        return VETimeConfig.from_dict(record["config"])
    except UnknownKeyError as error:
        raise CheckpointError(
            f"{error}. The weights may come from a newer vetime-plugins: upgrade it."
        ) from error
    except (InputError, CheckpointError) as error:
        raise CheckpointError(f"{file} does not describe a model: {error}") from error


def fingerprint(model: Network) -> int:
    """Return a number that tells whether a network has the weights and the configuration that it had before.

    Two milliseconds for 10 MB of weights; it says nothing about who made them, which the SHA-256 does.
    """
    found = zlib.crc32(repr(model.config.to_dict()).encode())
    for name, tensor in model.state_dict().items():
        content = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
        found = zlib.crc32(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode(), found)
        found = zlib.crc32(content, found)
    return found


def stamp(folder: Path) -> tuple[str, ...]:
    """Return what changes when a weights folder is written anew: its path, times and sizes of its files."""
    files = [(folder / name).stat() for name in (WEIGHTS_FILE, CONFIG_FILE)]
    return (str(folder.resolve()), *(f"{file.st_mtime_ns}:{file.st_size}" for file in files))


def check_state(model: Network, state: dict[str, Tensor], where: str) -> None:
    """Raise `CheckpointError` unless `state`, which comes from `where`, has the parameters of `model`."""
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    got = {name: tuple(tensor.shape) for name, tensor in state.items()}
    missing, extra = sorted(set(expected) - set(got)), sorted(set(got) - set(expected))
    wrong = [f"{n} {got[n]} instead of {expected[n]}" for n in expected if n in got and got[n] != expected[n]]
    if missing or extra or wrong:
        raise CheckpointError(
            f"{where} does not fit its configuration: {len(missing)} tensors missing {missing[:3]}, "
            f"{len(extra)} not expected {extra[:3]}, {len(wrong)} of another shape {wrong[:3]}."
        )
