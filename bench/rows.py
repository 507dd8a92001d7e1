"""A row of the table while it is being made: which samples it consists of, and how a batch of them is produced."""

from __future__ import annotations

import ctypes
import hashlib
import inspect
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import lru_cache, partial
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from .. import adapters
from ..adapters.base import Adapter, Stage
from ..adapters.codecs.base import Codec, translate
from ..adapters.sd15 import StableDiffusion
from ..core.errors import BenchError
from ..core.files import sha256_file
from ..datasets.images import center_crop, load_rgb
from ..datasets.photos import Photo
from ..datasets.request import Request
from ..reports.schema import CodecFacts, Cost, Latency, RunSettings
from .devices import make_device
from .devices.base import DeviceOptions
from .places import take_place
from .store import Produced, Record

LIBRARIES = ("t2ibench", "torch", "diffusers", "transformers")
"""Another version of these may make other pictures from the same weights."""
ADAPTERS = Path(adapters.__file__).parent
"""So may any file in here: nobody keeps a list of the networks and helpers that a method uses."""


class Job(NamedTuple):
    """One sample of a row, before it is made."""

    key: str
    """Digest of all that decides the picture."""
    prompt_id: str
    sample: int
    prompt: str | None
    source: Any
    """What the row makes it from."""


class Facts(BaseModel):
    """What a row knows only while its method is loaded; kept with the pictures, so a finished run need not load."""

    settings: RunSettings
    cost: Cost = Cost()
    codec: CodecFacts | None = None
    latency: dict[str, Latency] = {}
    """Seconds that were measured elsewhere; empty where they are those of the log."""
    device: str | None = None
    imported: str | None = None
    """As ``reports.schema.Result`` has them."""
    notes: list[str] = []


class Row(ABC):
    """One method on the run's prompts or photos."""

    method: str
    dataset: str | None = None
    """Whose prompts it is made of, where these are not the suite's."""
    most: int | None = None
    """Pictures that the suite gives it, whatever the limit: a larger batch would be padding."""
    metrics: Sequence[str] | None = None
    """What is measured of it, where that is not what the suite says of all."""
    written: str
    """The method as the suite writes it, without the place where this row runs."""
    size: tuple[int, int]
    """Height and width of the pictures."""
    identity: list[Any]
    """All that decides the pictures, beside the samples."""
    jobs: Sequence[Job]
    checkpoint: str | None = None
    device: str | None = None
    dtype: str | None = None
    warm = False
    """Whether a batch has been produced since loading."""

    @property
    def key(self) -> str:
        """Digest of the row's identity."""
        return digest([*self.identity, *self.size])

    def settings(self) -> RunSettings:
        """The settings that every row has."""
        return RunSettings(size=f"{self.size[1]}x{self.size[0]}", dtype=self.dtype, device=self.device)

    def prepare(self, say: Callable[[str], None]) -> None:  # noqa: B027 - mostly nothing
        """Do what has to be done before loading, and takes more memory than computing."""

    def load(self) -> None:  # noqa: B027 - photos need no loading
        """Load the method."""

    @abstractmethod
    def produce(self, jobs: Sequence[Job], batch_size: int) -> list[Produced]:
        """Make the pictures of one batch of jobs, padded to ``batch_size``."""

    def facts(self) -> Facts:
        """What is known of the loaded method."""
        return Facts(settings=self.settings())

    def trial(self) -> float | None:
        """Return about how many seconds one picture takes, from one call of each part of the loaded method.

        None where it has no parts to be called. Nothing is kept.
        """
        return None

    def unload(self) -> None:  # noqa: B027
        """Let go of the method's memory; whether it was loaded or not."""

    def record(self, job: Job, seconds: dict[str, float], batch: int, **more: Any) -> Record:
        """The log's line for a job of which everything but the file is known."""
        import torch

        return Record(
            key=job.key, method=self.method, prompt_id=job.prompt_id, sample=job.sample, image="", suffix="", size=0,
            seconds=seconds, warm=self.warm, batch=batch, threads=torch.get_num_threads(), **more,
        )  # fmt: skip


class AdapterRow(Row):
    """A text-to-image method."""

    def __init__(
        self, method: str, adapter: Adapter, requests: Iterable[Request], device: str, dtype: str, written: str = "",
        options: DeviceOptions = DeviceOptions(),  # noqa: B008 - frozen
    ) -> None:  # fmt: skip
        requests = list(requests)
        self.method, self.adapter, self.device, self.dtype = method, adapter, device, dtype
        self.written, self.runtime = written or method, make_device(device, options)
        self.checkpoint, self.size = adapter.checkpoint, (requests[0].height, requests[0].width)
        self.identity = [
            *method_code(adapter), dict(adapter.options), asdict(adapter.settings), adapter.fingerprint(),
            dtype, device.partition(":")[0], *self.runtime.identity(),
        ]  # fmt: skip
        self.jobs = [Job(self._key(r), r.prompt_id, r.sample, r.prompt, r) for r in requests]

    def _key(self, request: Request) -> str:
        if file := self.adapter.file(request):
            return digest(["file", sha256_file(file), request.prompt_id])
        return digest([*self.identity, request.identity()])

    def prepare(self, say: Callable[[str], None]) -> None:
        from .latency.worker import Order

        _import_libraries(self.adapter)
        text, (height, width) = take_place(self.written).method, self.size
        order = Order(
            method=text, device=self.runtime.spec.text, dtype=self.dtype or "fp32", width=width, height=height,
            sampling=asdict(self.adapter.settings), offline=self.adapter.weights.offline,
            force_export=self.runtime.spec.options.force_export,
        )  # fmt: skip
        self.runtime.prepare(order, ["picture"], say)

    def load(self) -> None:
        self.runtime.load(self.adapter, self.dtype or "fp32")

    def produce(self, jobs: Sequence[Job], batch_size: int) -> list[Produced]:
        if self.adapter.file(jobs[0].source):
            return [self._taken(job) for job in jobs]
        start = time.perf_counter()
        pictures = self._generate(_padded([job.source for job in jobs], batch_size))
        timing = {"end_to_end": (time.perf_counter() - start) / batch_size}
        return [self._produced(job, picture, timing, batch_size) for job, picture in zip(jobs, pictures, strict=False)]

    def _taken(self, job: Job) -> Produced:
        file = self.adapter.file(job.source)
        assert file is not None
        load_rgb(file)  # a broken one is to be named here, not by its place in the store
        return self._produced(job, file, {}, 0)

    def _generate(self, requests: Sequence[Request]) -> NDArray[np.uint8]:
        with _blamed(f"'{self.method}' on prompt '{requests[0].prompt_id}' and those after it"):
            pictures = self.adapter.generate(requests)
        _check_pictures(pictures, (len(requests), *self.size, 3), self.method)
        return pictures

    def _produced(self, job: Job, pixels: Any, seconds: dict[str, float], batch: int) -> Produced:
        noise, notes = self.adapter.noise_digest(job.source), self.adapter.notes(job.source)
        return Produced(pixels, self.record(job, seconds, batch, noise=noise, notes=notes))

    def facts(self) -> Facts:
        if self.adapter.file(self.jobs[0].source):  # made elsewhere: how, nobody here knows
            return Facts(settings=RunSettings())
        settings = self.settings().model_copy(update=asdict(self.adapter.settings))
        files, own = self.adapter.weight_files(), self.runtime.file_bytes()
        weights = sum(file.stat().st_size for file in files) if files else None
        cost = self._cost().model_copy(update={"file_bytes": weights if own is None else own})
        notes = [*_weights_notes(self.adapter.official), *self.runtime.notes()]
        return Facts(settings=settings, cost=cost, notes=notes)

    def trial(self) -> float | None:
        request = self.jobs[0].source
        if self.adapter.file(request):
            return 0.0
        if self.runtime.exports:
            return None
        parts = self.adapter.stages().values()
        return sum(_seconds(stage, request, self.device or "cpu") * stage.forwards(request) for stage in parts) or None

    def _cost(self) -> Cost:
        from ..adapters.counting import count_macs, count_params, on_meta

        stages, request = self.adapter.stages(), self.jobs[0].source
        if not stages:
            return Cost()
        macs, forwards = {}, {}
        for name, stage in stages.items():
            module = on_meta(stage.module)
            macs[name] = count_macs(partial(module, *stage.inputs(request, "meta")))
            # On average: requests differ in how many regions they have.
            forwards[name] = fmean(stage.forwards(job.source) for job in self.jobs)
        # The denoiser is the UNet, else what runs most often: a ControlNet runs as often as the UNet does.
        core = max(stages, key=lambda name: (name == "unet", forwards[name]))
        return Cost(
            # A network may run in several stages, as the UNet does in an inversion.
            params=sum(count_params(module) for module in {stage.module for stage in stages.values()}),
            denoiser_params=count_params(stages[core].module),
            macs_per_forward=macs[core],
            forwards_per_image=round(forwards[core]),
            forwards=forwards,
            macs_per_image=round(sum(macs[name] * forwards[name] for name in stages)),
        )

    def unload(self) -> None:
        del self.adapter, self.runtime
        _free(self.device)


class SourceRow(Row):
    """The photos themselves, cropped: what codecs start from and are compared with."""

    def __init__(self, photos: Sequence[Photo], size: int) -> None:
        self.method, self.written, self.size = "source", "source", (size, size)
        self.identity = ["source", size]
        self.jobs = [
            Job(digest([*self.identity, sha256_file(photo.path)]), photo.id, 0, None, photo.path) for photo in photos
        ]

    def value(self, job: Job) -> NDArray[np.uint8]:
        """The cropped photo: uint8, (size, size, 3)."""
        return center_crop(load_rgb(job.source), self.size[0])

    def produce(self, jobs: Sequence[Job], batch_size: int) -> list[Produced]:
        return [Produced(self.value(job), self.record(job, {}, 0)) for job in jobs]


class CodecRow(Row):
    """An autoencoder on photos: encoded and decoded, and compared with what went in."""

    def __init__(self, method: str, make: Callable[[], Codec], jobs: Sequence[Job], size: tuple[int, int],
                 asked: tuple[str, str]) -> None:  # fmt: skip
        """``asked`` is the device and dtype; the codec is loaded once to learn its digest, and let go again.

        Raises BenchError where it cannot be loaded.
        """
        self.method, self.written, self.make, self.size, self._asked = method, method, make, size, asked
        self.load()
        codec = self.codec
        with _blamed(f"'{method}'", BenchError):
            codec.check_size(*size)
        self.checkpoint, self.device, self.dtype = codec.checkpoint, codec.device or asked[0], codec.dtype or asked[1]
        self.traits = traits_of(codec)
        self.identity = [*_code(type(codec)), method, codec.fingerprint(), self.dtype, self.device.partition(":")[0]]
        self.jobs = [job._replace(key=digest([*self.identity, job.key]), source=job) for job in jobs]
        self.unload()

    def load(self) -> None:
        self.codec = self.make()
        self.codec.load(*self._asked)

    def inputs(self, jobs: Sequence[Job]) -> NDArray[Any]:
        """What a batch starts from: cropped photos, uint8 (B, H, W, 3)."""
        return np.stack([center_crop(load_rgb(job.source.source), self.size[0]) for job in jobs])

    def produce(self, jobs: Sequence[Job], batch_size: int) -> list[Produced]:
        with _blamed(f"'{self.method}' on '{jobs[0].prompt_id}' and those after it"):
            pictures, seconds = self.reconstruct(self.inputs(_padded(jobs, batch_size)))
        if not np.isfinite(pictures).all():  # it would become a black picture and be measured as one
            raise BenchError(f"'{self.method}' gives NaN in {self.dtype}: use --dtype bf16 or fp32")
        pixels = (np.clip(pictures, 0, 1) * 255).round().astype(np.uint8)
        return [
            Produced(image, self.record(job, seconds, batch_size)) for job, image in zip(jobs, pixels, strict=False)
        ]

    def reconstruct(self, inputs: NDArray[Any]) -> tuple[NDArray[np.float32], dict[str, float]]:
        """Return float pictures (B, H, W, 3) and seconds per picture by stage."""
        start = time.perf_counter()
        code = self.codec.encode(inputs)
        encoded = (time.perf_counter() - start) / len(inputs)
        pictures, decoded = self.decode(code)
        return pictures, {"encode": encoded, "decode": decoded}

    def decode(self, code: Any) -> tuple[NDArray[np.float32], float]:
        """Return float pictures (B, H, W, 3) and seconds per picture."""
        start = time.perf_counter()
        pictures = self.codec.decode(code)
        return pictures, (time.perf_counter() - start) / len(pictures)

    def trial(self) -> float | None:
        (produced,) = self.produce(self.jobs[:1], 1)
        return sum(produced.record.seconds.values())

    def facts(self) -> Facts:
        cost = self.codec.cost(*self.size)
        total = Cost(
            params=_sum(cost.encoder_params, cost.decoder_params),
            macs_per_forward=cost.decoder_macs,
            forwards_per_image=1,
            macs_per_image=_sum(cost.encoder_macs, cost.decoder_macs),
        )
        codec = CodecFacts(**self.traits._asdict(), **cost._asdict())
        notes = _weights_notes(self.codec.official)
        return Facts(settings=self.settings(), cost=total, codec=codec, notes=notes)

    def unload(self) -> None:
        del self.codec
        _free(self.device)


class CodecTraits(NamedTuple):
    """What must agree for one codec to decode another's latents."""

    latent_channels: int | None
    downsampling: int | None
    latent_space: str | None


def traits_of(codec: Codec) -> CodecTraits:
    """The traits of a loaded codec."""
    return CodecTraits(codec.latent_channels, codec.downsampling, codec.latent_space)


class Frozen(NamedTuple):
    """Latents that several decoders are to decode, and the codec whose encoder made them."""

    values: dict[str, NDArray[np.float32]]
    """(C, h, w) each, in the scale of the teacher, by prompt id."""
    teacher: Codec
    """Loaded."""


class DecoderRow(CodecRow):
    """A decoder alone, on frozen latents."""

    def __init__(self, method: str, make: Callable[[], Codec], jobs: Sequence[Job], size: tuple[int, int],
                 asked: tuple[str, str], frozen: Frozen) -> None:  # fmt: skip
        """Raises BenchError where the codec cannot be expected to decode the latents; else as CodecRow."""
        self.values, self.teacher = frozen
        super().__init__(method, make, jobs, size, asked)

    def load(self) -> None:
        super().load()
        ours, theirs = traits_of(self.teacher), traits_of(self.codec)
        if ours[:2] != theirs[:2]:
            raise BenchError(
                f"'{self.method}' has latents of {theirs.latent_channels} channels at 1/{theirs.downsampling}, the "
                f"teacher of {ours.latent_channels} at 1/{ours.downsampling}: it cannot decode them"
            )
        self._translated(np.zeros((1, 1, 1, 1), np.float32))

    def inputs(self, jobs: Sequence[Job]) -> NDArray[np.float32]:
        return np.stack([self.values[job.prompt_id] for job in jobs])

    def reconstruct(self, inputs: NDArray[Any]) -> tuple[NDArray[np.float32], dict[str, float]]:
        pictures, seconds = self.decode(self._translated(inputs))
        return pictures, {"decode": seconds}

    def _translated(self, latents: NDArray[np.float32]) -> NDArray[np.float32]:
        if self.codec.fingerprint() == self.teacher.fingerprint():
            return latents
        return translate(latents, self.teacher, self.codec)


def batches(jobs: Sequence[Job], size: int) -> Iterator[Sequence[Job]]:
    """Cut ``jobs`` into batches of ``size``; the last may be shorter."""
    return (jobs[start : start + size] for start in range(0, len(jobs), size))


def digest(parts: Any) -> str:
    """Return 32 hex digits that change with anything in ``parts``."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:32]


def method_code(adapter: Adapter) -> list[Any]:
    """What tells one version of a method, and of those it sits on, from another."""
    return [*_code(type(adapter)), *(method_code(adapter.base) if adapter.base else ())]


def _code(kind: type) -> list[Any]:
    """What tells one version of a class from another: its name, its code, and the libraries below it."""
    own = (inspect.getsourcefile(base) for base in kind.__mro__ if base.__module__ not in ("builtins", "abc"))
    files = {file for file in map(Path, filter(None, own)) if file.is_file()}
    shared, versions = shared_code()
    sources = sorted(shared | {sha256_file(file) for file in files})  # the same wherever the package is installed
    return [kind.__module__, kind.__qualname__, sources, versions]


@lru_cache(maxsize=1)
def shared_code() -> tuple[frozenset[str], list[str]]:
    """What all adapters have: digests of this package's own, which does not change while it runs, and versions."""
    return frozenset(map(sha256_file, ADAPTERS.rglob("*.py"))), [version(name) for name in LIBRARIES]


class _blamed:  # noqa: N801 - reads as a statement
    """Name the method and the prompt in whatever goes wrong inside; ``--debug`` shows where."""

    def __init__(self, what: str, *also: type[Exception]) -> None:
        self.what, self.also = what, also

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, self.also):
            raise BenchError(f"{self.what}: {error}") from error
        if isinstance(error, Exception) and not isinstance(error, BenchError):
            more = "; try a smaller --batch-size" if type(error).__name__ == "OutOfMemoryError" else ""
            raise BenchError(f"{self.what}: {type(error).__name__}: {error}{more} (--debug shows where)") from error


def _import_libraries(adapter: Adapter) -> None:
    """Import what the networks of latent diffusion are made of: else it would be the first row's memory alone."""
    while adapter.base:
        adapter = adapter.base
    if isinstance(adapter, StableDiffusion):
        from diffusers import AutoencoderKL, UNet2DConditionModel  # noqa: F401
        from transformers import CLIPTextModel, CLIPTokenizer  # noqa: F401


def _seconds(stage: Stage, request: Request, device: str) -> float:
    import torch

    with torch.inference_mode():
        start = time.perf_counter()
        stage.module(*stage.inputs(request, device))
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        return time.perf_counter() - start


def _padded(items: Sequence[Any], size: int) -> list[Any]:
    # Every batch has one size: a shorter last one would change the bits of its pictures.
    return [*items, *[items[-1]] * (size - len(items))]


def _check_pictures(pictures: Any, expected: tuple[int, ...], method: str) -> None:
    shape, kind = getattr(pictures, "shape", None), getattr(pictures, "dtype", None)
    if kind != np.uint8 or shape != expected:
        raise BenchError(f"'{method}' returned {kind} of shape {shape}: generate must return uint8 of shape {expected}")


def _weights_notes(official: bool | None) -> list[str]:
    return ["its weights are not the official ones"] if official is False else []


def _sum(*parts: int | None) -> int | None:
    known = [part for part in parts if part is not None]
    return sum(known) if known else None


def _free(device: str | None) -> None:
    import gc

    gc.collect()
    # The C library keeps what was freed, and the next row would seem to take less than it does.
    with suppress(AttributeError, OSError):  # not glibc
        ctypes.CDLL(None).malloc_trim(0)
    if device and device.startswith("cuda"):
        import torch

        torch.cuda.empty_cache()
