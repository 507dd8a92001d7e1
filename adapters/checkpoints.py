"""The one place where torch checkpoints are found and loaded: diffusers layout, safetensors only, nothing missing.

No pickle is ever run: folders load from safetensors, single ``.pth`` files with ``weights_only``.
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import BenchError
from ..core.files import sha256_file
from ..core.zoo import PREFIX, zoo_checkpoint
from . import full_size
from .networks import OWN

if TYPE_CHECKING:
    import torch
    from torch import nn

STEMS = ("diffusion_pytorch_model", "model")
"""Weight files are called so, in diffusers and in transformers."""
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")
HUB_TIMEOUT = 5.0
"""Seconds to wait for the hub's first answer."""
DTYPE_OPTION = {"diffusers": "torch_dtype", "transformers": "dtype"}
"""What each library calls the option for the type of the weights."""
DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}


def torch_dtype(name: str) -> torch.dtype:
    """Return the torch type of ``fp32``, ``bf16`` or ``fp16``; BenchError for any other name."""
    import torch

    if name not in DTYPES:
        raise BenchError(f"unknown dtype '{name}' (known: {', '.join(DTYPES)})")
    dtype: torch.dtype = getattr(torch, DTYPES[name])
    return dtype


def torch_device(name: str) -> torch.device:
    """Return the torch device called ``name`` (``cpu``, ``cuda:0``, ``mps``); BenchError where there is none."""
    import torch

    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        why = first_line(error).partition(":")[0][:80]
        raise BenchError(f"device '{name}' cannot be used here ({why}); --device cpu always can") from error
    return device


def root_cause(error: BaseException) -> BaseException:
    """Return the error that began the chain: the hub's client wraps "name or service not known" several times."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return error


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text that says something, else the name of its class."""
    lines = (line.strip() for line in str(error).splitlines())
    return next((line for line in lines if line), type(error).__name__)


def component_patterns(*folders: str) -> list[str]:
    """Return hub patterns of configuration and safetensors in ``folders`` (``""`` is the root), without variants."""
    names = ["*.json", "*.txt", *(f"{stem}{end}" for stem in STEMS for end in (".safetensors", "-*.safetensors"))]
    return [f"{folder}/{name}" if folder else name for folder in folders for name in names]


def resolve(id_or_dir: str, *, offline: bool = False, patterns: Sequence[str] | None = None) -> Path:
    """Return the folder of a checkpoint: ``id_or_dir`` itself, or the snapshot of a hub id in the hub's cache.

    ``zoo:NAME`` is one that ships with this package, ``random:NAME`` one without weights (``full_size``). Only files
    that match ``patterns`` are fetched (default: configuration and safetensors everywhere). With ``offline`` or
    ``HF_HUB_OFFLINE`` no socket is opened. Raises BenchError where there is no such folder and no such snapshot.
    """
    if id_or_dir.startswith(PREFIX):
        return zoo_checkpoint(id_or_dir.removeprefix(PREFIX))
    if id_or_dir.startswith(full_size.RANDOM):
        return full_size.random_checkpoint(id_or_dir.removeprefix(full_size.RANDOM))
    folder = Path(id_or_dir).expanduser()
    if folder.is_dir():
        return folder
    if folder.exists():
        raise BenchError(f"checkpoint '{id_or_dir}' is a file; expected a folder in diffusers layout or a hub id")
    return _snapshot(id_or_dir, offline or hub_offline(), list(patterns or ("*.json", "*.txt", "*.safetensors")))


def hub_offline() -> bool:
    """Say whether ``HF_HUB_OFFLINE`` forbids the network, read at each call."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}


def _snapshot(hub_id: str, offline: bool, patterns: list[str]) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    try:
        options: dict[str, Any] = {"local_files_only": offline, "etag_timeout": HUB_TIMEOUT}
        return Path(snapshot_download(hub_id, allow_patterns=patterns, **options))
    except HFValidationError as error:
        raise BenchError(f"checkpoint '{hub_id}' is neither a folder nor a hub id (OWNER/NAME)") from error
    except Exception as error:  # the hub's client raises errors of several libraries that share no base class
        why = "offline, and not in the hub's cache" if offline else first_line(root_cause(error))
        raise BenchError(f"checkpoint '{hub_id}' is neither a folder nor reachable on the hub: {why}") from error


def part(folder: Path, name: str) -> Path:
    """Return where a part of a checkpoint lies: in its own folder, or in a checkpoint beside it that lends it.

    A checkpoint names its lenders in ``shared.json``, {part: folder beside it}: methods that were trained on one base
    have its text encoder, and a second copy of that would only take space. Raises BenchError where the lender is not
    there.
    """
    own, lenders = folder / name, folder / "shared.json"
    if own.is_dir() or not lenders.is_file():
        return own
    lender = json.loads(lenders.read_text(encoding="utf-8")).get(name)
    if lender is None:
        return own
    lent = folder.parent / Path(lender).name / name
    if not lent.is_dir():
        raise BenchError(f"'{lenders}' borrows the {name} of '{lender}', which is not beside '{folder}'")
    return lent


def load_component(kinds: Sequence[str], folder: Path, subfolder: str = "", *, dtype: torch.dtype) -> nn.Module:
    """Load one network of a checkpoint, on the CPU, in evaluation mode.

    ``kinds`` are the class names of diffusers or transformers that will do; config.json says which it is. Raises
    BenchError, naming the file, for another class, a missing or broken file, a pickle, or incomplete weights.
    """
    place = part(folder, subfolder) if subfolder else folder
    kind = component_kind(place)
    if kind not in kinds:
        raise BenchError(f"'{place / 'config.json'}' describes a {kind}; expected {' or '.join(kinds)}")
    if _STRUCTURE_ONLY.get():
        return _structure(kind, place, dtype)
    if full_size.is_random(place):
        filled: nn.Module = full_size.fill(_structure(kind, place, dtype))
        return filled
    for file in weight_files(place):
        check_whole(file)
    model, report = _from_pretrained(kind, place, dtype)
    wrong = sorted(map(str, [*report["missing_keys"], *report["mismatched_keys"]]))
    if wrong:  # the libraries would only warn, and go on with random weights
        raise BenchError(f"'{place}' lacks {len(wrong)} weights of {kind} or has them in another shape: {_some(wrong)}")
    return model.eval().requires_grad_(False)


def save(folder: Path, pipeline: str, components: Mapping[str, Any]) -> None:
    """Write a checkpoint in diffusers layout: every component in a folder of its name, and model_index.json.

    ``components`` are networks, a tokenizer and a scheduler of diffusers, transformers or our own; ``pipeline`` is what
    the index calls the whole. Weights are written as safetensors.
    """
    index: dict[str, Any] = {"_class_name": pipeline}
    for name, component in components.items():
        component.save_pretrained(folder / name)
        module = type(component).__module__
        library = module.partition(".")[0]
        index[name] = [library if library in DTYPE_OPTION else module, type(component).__name__]
    (folder / "model_index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


@contextmanager
def structure_only() -> Iterator[None]:
    """Networks that are loaded within have no weights: they are on torch's meta device, made from config.json alone.

    For counting what methods cost; load them on the device ``meta``.
    """
    token = _STRUCTURE_ONLY.set(True)
    try:
        yield
    finally:
        _STRUCTURE_ONLY.reset(token)


_STRUCTURE_ONLY = ContextVar("structure_only", default=False)


def _structure(kind: str, place: Path, dtype: torch.dtype) -> nn.Module:
    import torch

    found, library = _class(kind)
    with torch.device("meta"), quiet(library):
        if library == "diffusers":
            made: nn.Module = found.from_config(found.load_config(place))
        else:
            made = found(found.config_class.from_pretrained(place))
        return made.to(dtype).eval().requires_grad_(False)


def component_kind(place: Path) -> str:
    """Return the class name that the config.json of a network's folder states.

    Raises BenchError where the file is missing, is not JSON, or names no class.
    """
    file = place / "config.json"
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise BenchError(f"'{file}' is missing: not a network in diffusers layout") from error
    except ValueError as error:
        raise BenchError(f"'{file}' is not valid JSON: {first_line(error)}") from error
    if not isinstance(config, dict):
        raise BenchError(f"'{file}' is not a JSON object")
    kind = config.get("_class_name") or next(iter(config.get("architectures") or []), None)
    if not kind:
        raise BenchError(f"'{file}' names no class: it has neither _class_name nor architectures")
    return str(kind)


def weight_files(place: Path) -> list[Path]:
    """Return the safetensors files of a network's folder: one, or the shards that its index lists.

    None of ``random:`` checkpoints. Raises BenchError where there are none, where they are pickles, or where a shard is
    missing.
    """
    if full_size.is_random(place):
        return []
    for stem in STEMS:
        file, index = place / f"{stem}.safetensors", place / f"{stem}.safetensors.index.json"
        if file.is_file():
            return [file]
        if index.is_file():
            return _shards(index)
    pickles = sorted(path for pattern in PICKLES for path in place.glob(pattern))
    if pickles:
        raise BenchError(
            f"'{pickles[0]}' is a pickle, which can run code when it is read, and there are no safetensors beside it: "
            "convert it with save_pretrained(..., safe_serialization=True)"
        )
    raise BenchError(f"'{place}' holds neither {STEMS[0]}.safetensors nor {STEMS[1]}.safetensors")


def fingerprint(folder: Path, *parts: str) -> str:
    """Return 16 hex digits of sha256 over all that is loaded from the subfolders ``parts`` of a checkpoint.

    That is the weights that ``load_component`` would take, and every configuration, vocabulary or schedule beside them;
    without parts, of ``folder`` itself. What else lies there (other precisions, a safety checker) does not count.
    """
    places = {name: part(folder, name) for name in parts} or {"": folder}
    return digest(
        {
            f"{name}/{path.relative_to(place).as_posix()}".lstrip("/"): path
            for name, place in places.items()
            for path in _loaded_files(place)
        }
    )


def _loaded_files(place: Path) -> list[Path]:
    texts = [path for pattern in ("*.json", "*.txt", "*.model") for path in place.glob(pattern) if path.is_file()]
    has_weights = any(place.glob("*.safetensors")) or any(path for kind in PICKLES for path in place.glob(kind))
    return texts + (weight_files(place) if has_weights else [])


def digest(files: Mapping[str, Path]) -> str:
    """Return 16 hex digits of sha256 over the names and the bytes of ``files``, sorted by name."""
    total = hashlib.sha256()
    for name in sorted(files):
        total.update(f"{name}\0{sha256_file(files[name])}\n".encode())
    return total.hexdigest()[:16]


def load_pth(module: nn.Module, path: Path) -> None:
    """Fill ``module`` from a ``.pth`` file of tensors, every key and shape as expected.

    Raises BenchError for a file that is broken, holds code, or belongs to another network.
    """
    import torch

    try:
        module.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except pickle.UnpicklingError as error:
        raise BenchError(f"'{path}' holds more than tensors, or is no torch file; it is not read") from error
    except (OSError, EOFError) as error:
        raise BenchError(f"'{path}' cannot be read: {first_line(error)}") from error
    except (RuntimeError, TypeError, KeyError, AttributeError) as error:
        raise BenchError(f"'{path}' is truncated or of another network: {error}"[:300]) from error


def _shards(index: Path) -> list[Path]:
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, AttributeError) as error:
        raise BenchError(f"'{index}' is not a safetensors index: {first_line(error)}") from error
    for name in names:
        if not (index.parent / name).is_file():
            raise BenchError(f"'{index.parent / name}' is missing, though '{index.name}' lists it")
    return [index.parent / name for name in names]


def check_whole(file: Path) -> None:
    """Raise BenchError where a safetensors file is truncated or no such file."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="numpy"):
            pass
    except (SafetensorError, OSError) as error:
        reason = first_line(error)
        raise BenchError(f"'{file}' is truncated or no safetensors file ({reason}); fetch it again") from error


def _from_pretrained(kind: str, place: Path, dtype: torch.dtype) -> tuple[nn.Module, Mapping[str, Any]]:
    found, library = _class(kind)
    options: dict[str, Any] = {DTYPE_OPTION[library]: dtype, "use_safetensors": True, "local_files_only": True}
    try:
        with quiet(library):
            loaded: tuple[nn.Module, Mapping[str, Any]] = found.from_pretrained(
                place, output_loading_info=True, **options
            )
    except (OSError, ValueError, TypeError, RuntimeError, KeyError) as error:
        raise BenchError(f"'{place}' cannot be loaded as {kind}: {first_line(error)}") from error
    return loaded


def _class(kind: str) -> tuple[Any, str]:
    """The class called ``kind``, and the library whose way of loading it has."""
    if kind in OWN:
        return getattr(import_module(f".networks.{OWN[kind]}", __package__), kind), "diffusers"
    for library in DTYPE_OPTION:
        if hasattr(import_module(library), kind):
            return getattr(import_module(library), kind), library
    raise BenchError(f"neither diffusers nor transformers has a class '{kind}'; a newer version may")


@contextmanager
def quiet(library: str) -> Iterator[None]:
    """Keep ``diffusers`` or ``transformers`` silent: their warnings say what our errors say, over several lines."""
    logging = import_module(f"{library}.utils.logging")
    level = logging.get_verbosity()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)


def _some(names: Sequence[str], limit: int = 3) -> str:
    return ", ".join(names[:limit]) + (", …" if len(names) > limit else "")
