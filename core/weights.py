"""Finding weight files: by option, in the zoo, in ``T2IBENCH_WEIGHTS``, in the libraries' caches, from their source.

And reading them without running code that a file may hold.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from .errors import BenchError
from .files import Progress, download, sha256_file
from .zoo import zoo_file

if TYPE_CHECKING:
    from torch import Tensor

_PROBE_TIMEOUT = 5.0
"""Seconds; libraries retry an unreachable hub for half a minute, which a laptop without a network need not wait for."""


class MissingWeights(BenchError):  # noqa: N818
    """A weights file is not at hand; the text names the file, its digest, and how to get it or where to put it."""


@dataclass(frozen=True)
class KnownWeights:
    """A weights file that some extractor or codec needs."""

    name: str
    """As in ``--weights NAME=FILE``: ``inception``, ``lpips-squeeze``, ``taef2-decoder``."""
    filename: str
    """The official file name, or a ``folder/file`` end of a path where the file name alone says too little."""
    aliases: tuple[str, ...] = ()
    """Other file names, or ``folder/file`` ends of paths, under which it is found."""
    sha256: str = ""
    """Digest of the official file, or the prefix that is known; empty where none is published."""
    url: str | None = None
    """Where it can be downloaded; None where it cannot be by a plain download."""
    hub: tuple[str, str] | None = None
    """(repository id, file name) on the Hugging Face hub."""
    hub_fallbacks: tuple[str, ...] = ()
    """Other files of that repository that hold the same tensors, tried in this order where the first is not there."""
    caches: tuple[str, ...] = ()
    """Glob patterns below the user's cache directory where libraries keep it (``torch/hub/checkpoints/...``)."""
    shipped: bool = False
    """Whether it ships with this package: ``filename`` is then its place in the zoo."""


class FoundWeights(NamedTuple):
    """Where a weights file was found, and whether it is the official one.

    By its digest where one is known, else by its source (the hub); None where neither can tell.
    """

    path: Path
    official: bool | None


@dataclass(frozen=True)
class WeightsFinder:
    """Looks weights up in the order of the documentation; remembers what it found and what it did not."""

    overrides: Mapping[str, Path] = field(default_factory=dict)
    """``--weights NAME=FILE``."""
    offline: bool = False
    progress: Progress | None = None
    """Told of the bytes of a plain download."""
    _memory: dict[KnownWeights, FoundWeights | MissingWeights] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def find(self, known: KnownWeights) -> FoundWeights:
        """Return the file: override, then the zoo, then ``T2IBENCH_WEIGHTS`` and below, then caches, then fetched.

        Raises MissingWeights where it is nowhere, BenchError where an override does not exist.
        """
        if known not in self._memory:
            try:
                self._memory[known] = self._look(known)
            except MissingWeights as missing:
                self._memory[known] = missing
        found = self._memory[known]
        if isinstance(found, MissingWeights):
            raise found
        return found

    def _look(self, known: KnownWeights) -> FoundWeights:
        path = self._override(known)
        if path is None and known.shipped and (own := zoo_file(known.filename)):
            return FoundWeights(own, True)
        path = path or _in_weights_folder(known) or _in_caches(known)
        if path is not None:
            return FoundWeights(path, _is_official(path, known))
        if hub_path := _in_hub_cache(known):
            return FoundWeights(hub_path, True)
        return self._fetch(known)

    def _override(self, known: KnownWeights) -> Path | None:
        path = self.overrides.get(known.name)
        if path is not None and not Path(path).is_file():
            raise BenchError(f"--weights {known.name}={path}: no such file")
        return None if path is None else Path(path)

    def _fetch(self, known: KnownWeights) -> FoundWeights:
        """Download the file; every failure becomes a MissingWeights that says why."""
        if known.shipped:
            raise MissingWeights(_missing(known, "it ships with t2ibench, which lacks it here: install that anew"))
        if self.offline:
            raise MissingWeights(_missing(known, "not fetched, since this run is offline"))
        try:
            if known.url is not None:
                _probe(known.url)
                path = _download_folder() / Path(known.filename).name
                download(known.url, path, sha256=known.sha256 or None, progress=self.progress)
                return FoundWeights(path, True)
            if known.hub is not None:
                return FoundWeights(_fetch_from_hub(known), True)
        except (BenchError, OSError) as error:
            raise MissingWeights(_missing(known, str(error))) from error
        raise MissingWeights(_missing(known, "there is no public download"))


def cache_dir() -> Path:
    """Return where things are kept that can be had again: ``T2IBENCH_CACHE``, else the platform's cache folder."""
    from platformdirs import user_cache_path

    own = os.environ.get("T2IBENCH_CACHE")
    return Path(own).expanduser() if own else user_cache_path("t2ibench")


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Read a state dict from ``.safetensors``, or from PyTorch's own format without running code that it may hold.

    A dict wrapped as ``{"state_dict": {...}}`` is unwrapped. Raises BenchError for a file that is missing, truncated,
    pickled code, or holds anything but named tensors.
    """
    import torch

    with reading(path), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what they say comes back as an error
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            loaded = load_file(path)
        else:
            loaded = torch.load(path, map_location="cpu", weights_only=True)
            loaded = loaded.get("state_dict", loaded) if isinstance(loaded, dict) else loaded
    if not (isinstance(loaded, dict) and all(isinstance(value, torch.Tensor) for value in loaded.values())):
        raise BenchError(f"weights file '{path}' holds more than named tensors: a plain state dict is needed")
    return dict(loaded)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what PyTorch and safetensors raise about a broken, pickled or unfitting weights file into a BenchError."""
    import pickle
    import zipfile

    from safetensors import SafetensorError

    try:
        yield
    except pickle.UnpicklingError as error:
        if "Unsupported" in str(error):
            raise BenchError(
                f"weights file '{path}' is a pickle that would run code, which is refused: convert it to safetensors"
            ) from error
        raise BenchError(f"weights file '{path}' is broken or no weights file: get it again") from error
    except SafetensorError as error:
        kind = "a pickle under another name" if _is_pickle(path) else "truncated or broken"
        raise BenchError(f"weights file '{path}' is no safetensors file: it is {kind}") from error
    except RuntimeError as error:
        raise BenchError(_runtime_problem(path, str(error))) from error
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise BenchError(f"cannot read weights file '{path}': {error or 'it ends too early'}") from error


def tensors_digest(tensors: Mapping[str, Tensor]) -> str:
    """Return the sha256 (64 hex digits) of names, dtypes, shapes and bytes of ``tensors``, whatever their file."""
    import torch

    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)};".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _runtime_problem(path: Path, text: str) -> str:
    if "TorchScript" in text:
        return f"weights file '{path}' is a TorchScript program, which is refused: a plain state dict is needed"
    if "loading state_dict" in text:
        return f"weights file '{path}' does not fit the network: {text.splitlines()[1].strip()[:200]}"
    return f"weights file '{path}' is truncated or broken: get it again"


def _is_pickle(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) in (b"PK", b"\x80\x02", b"\x80\x04")


def _is_official(path: Path, known: KnownWeights) -> bool | None:
    return sha256_file(path).startswith(known.sha256) if known.sha256 else None


def _in_weights_folder(known: KnownWeights) -> Path | None:
    """Look in ``T2IBENCH_WEIGHTS`` and below; the official name goes before aliases, then the first path in order."""
    folder = os.environ.get("T2IBENCH_WEIGHTS")
    if not folder:
        return None
    names = (known.filename, *known.aliases)
    for name in names:
        hits = sorted(Path(folder).expanduser().rglob(Path(name).name))
        for path in hits:
            if path.is_file() and path.as_posix().endswith(f"/{name}"):
                return path
    return None


def _in_caches(known: KnownWeights) -> Path | None:
    own = _download_folder() / Path(known.filename).name
    if known.url is not None and own.is_file():
        return own
    for pattern in known.caches:
        for base, rest in _cache_places(pattern):
            if path := next((path for path in sorted(base.glob(rest)) if path.is_file()), None):
                return path
    return None


def _cache_places(pattern: str) -> Iterator[tuple[Path, str]]:
    """Where the libraries look: PyTorch honours TORCH_HOME and XDG_CACHE_HOME, open_clip always takes ~/.cache."""
    if pattern.startswith("torch/") and os.environ.get("TORCH_HOME"):
        yield Path(os.environ["TORCH_HOME"]).expanduser(), pattern.removeprefix("torch/")
    if os.environ.get("XDG_CACHE_HOME"):
        yield Path(os.environ["XDG_CACHE_HOME"]).expanduser(), pattern
    yield Path.home() / ".cache", pattern


def _in_hub_cache(known: KnownWeights) -> Path | None:
    if known.hub is None:
        return None
    from huggingface_hub import try_to_load_from_cache

    repository, first = known.hub
    for name in (first, *known.hub_fallbacks):
        path = try_to_load_from_cache(repository, name)
        if isinstance(path, str):
            return Path(path)
    return None


def _fetch_from_hub(known: KnownWeights) -> Path:
    """Download through huggingface_hub into its own cache; the first file of the repository that is there is taken."""
    from huggingface_hub import constants, hf_hub_download, hf_hub_url
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    if constants.HF_HUB_OFFLINE or os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        raise BenchError("not fetched, since HF_HUB_OFFLINE is set")
    assert known.hub is not None
    repository, first = known.hub
    _probe(hf_hub_url(repository, first))
    for name in (first, *known.hub_fallbacks):
        try:
            return Path(hf_hub_download(repository, name))
        except LocalEntryNotFoundError as error:  # the connection went, which says nothing of the file
            raise BenchError(f"{repository} on the hub cannot be reached: {error}") from error
        except EntryNotFoundError:
            continue
        except Exception as error:  # of httpx, requests or the hub's own, by its version
            raise BenchError(f"the hub: {error}") from error
    raise BenchError(f"{repository} on the hub holds none of {', '.join((first, *known.hub_fallbacks))}")


def _probe(url: str) -> None:
    """Ask the server for the file's head, once and briefly; any answer will do, silence is a BenchError."""
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    try:
        urlopen(Request(url, method="HEAD", headers={"User-Agent": "t2ibench"}), timeout=_PROBE_TIMEOUT).close()
    except HTTPError:
        return
    except OSError as error:
        host = url.split("/")[2]
        raise BenchError(f"{host} cannot be reached: {getattr(error, 'reason', error)}") from error


def _download_folder() -> Path:
    return cache_dir() / "weights"


def _missing(known: KnownWeights, reason: str) -> str:
    digest = f" (sha256 {known.sha256[:16]})" if known.sha256 else ""
    source = known.url or (f"{known.hub[0]} on the Hugging Face hub ({known.hub[1]})" if known.hub else "")
    get = f"get it from {source}, " if source else ""
    return (
        f"weights '{known.name}' are missing: {known.filename}{digest}; {get}put it into the folder T2IBENCH_WEIGHTS "
        f"or give --weights {known.name}=FILE ({reason})"
    )
