"""A row of the table while it is being made: which samples it consists of, and how a batch of them is produced."""

from __future__ import annotations

import hashlib
import json
import statistics
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from ..adapters.base import Adapter, Stage
from ..adapters.codecs.base import Codec, translate
from ..core.errors import BenchError
from ..core.files import sha256_file
from ..datasets.images import center_crop, load_rgb
from ..datasets.photos import Photo
from ..datasets.request import Request
from ..reports.schema import CodecFacts, Cost, Latency, RunSettings
from .store import Produced, Record


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


class Row(ABC):
    """One method on the run's prompts or photos."""

    def __init__(self, method: str, device: str, dtype: str, size: tuple[int, int]) -> None:
        self.method, self.device, self.dtype, self.size = method, device, dtype, size
        self.jobs: list[Job] = []
        self.loaded = False
        self.peak_memory: int | None = None

    checkpoint: str | None = None

    @property
    def key(self) -> str:
        """Digest of the row's identity, without its samples."""
        return _digest([self.method, self.device, self.dtype, *self.size])

    @abstractmethod
    def load(self) -> None:
        """Load the method."""

    @abstractmethod
    def produce(self, jobs: Sequence[Job], batch_size: int) -> list[Produced]:
        """Make the pictures of one batch of jobs, padded to ``batch_size``."""

    @abstractmethod
    def facts(self) -> Facts:
        """What is known of the loaded method."""

    def trial(self) -> float | None:
        """Return about how many seconds one picture takes, from one call of each part of the loaded method.

        None where it has no parts to be called. Nothing is kept.
        """
        return None

    def unload(self) -> None:  # noqa: B027 - most rows hold nothing
        """Let go of the method's memory."""

    def settings(self) -> RunSettings:
        """The settings that every row has."""
        return RunSettings(size=f"{self.size[1]}x{self.size[0]}", dtype=self.dtype, device=self.device)


class AdapterRow(Row):
    """A text-to-image method."""

    def __init__(self, method: str, adapter: Adapter, requests: Iterable[Request], device: str, dtype: str) -> None:
        requests = list(requests)
        super().__init__(method, device, dtype, (requests[0].height, requests[0].width))
        self.adapter, self.checkpoint = adapter, adapter.checkpoint
        identity = [type(adapter).__module__, type(adapter).__qualname__, dict(adapter.options)]
        identity += [asdict(adapter.settings), adapter.fingerprint(), dtype, device.partition(":")[0]]
        self.jobs = [
            Job(_digest([*identity, asdict(r), _file_digest(adapter.file(r))]), r.prompt_id, r.sample, r.prompt, r)
            for r in requests
        ]

    def load(self) -> None:
        self.adapter.load(self.device, self.dtype)

    def produce(self, jobs: Sequence[Job], batch_size: int) -> list[Produced]:
        requests = [job.source for job in jobs]
        files = [self.adapter.file(request) for request in requests]
        if None not in files:
            return [self._produced(job, file, {}, len(jobs)) for job, file in zip(jobs, files, strict=True)]
        start = time.perf_counter()
        pictures = self.adapter.generate(_padded(requests, batch_size))
        seconds = (time.perf_counter() - start) / batch_size
        _check_pictures(pictures, batch_size, self.method)
        timing = {"end_to_end": seconds}
        return [self._produced(job, picture, timing, batch_size) for job, picture in zip(jobs, pictures, strict=False)]

    def _produced(self, job: Job, pixels: Any, seconds: dict[str, float], batch: int) -> Produced:
        request = job.source
        noise, notes = self.adapter.noise_digest(request), self.adapter.notes(request)
        return Produced(pixels, _record(self, job, seconds, batch, noise=noise, notes=notes))

    def facts(self) -> Facts:
        if self.adapter.file(self.jobs[0].source):  # made elsewhere: how, nobody here knows
            return Facts(settings=RunSettings())
        settings = self.settings().model_copy(update=asdict(self.adapter.settings))
        return Facts(settings=settings, cost=self._cost())

    def trial(self) -> float | None:
        request = self.jobs[0].source
        if self.adapter.file(request):
            return 0.0
        parts = self.adapter.stages().values()
        return sum(_seconds(stage, request, self.device) * stage.per_image for stage in parts) or None

    def _cost(self) -> Cost:
        from ..adapters.counting import count_macs, count_params, on_meta

        stages = self.adapter.stages()
        if not stages:
            return Cost(peak_memory_bytes=self.peak_memory)
        request = self.jobs[0].source
        macs = {}
        for name, stage in stages.items():
            module = on_meta(stage.module)
            macs[name] = count_macs(partial(module, *stage.inputs(request, "meta")))
        # The denoiser is what runs most often.
        core = max(stages, key=lambda name: stages[name].per_image)
        return Cost(
            params=sum(count_params(stage.module) for stage in stages.values()),
            macs_per_forward=macs[core],
            forwards_per_image=stages[core].per_image,
            macs_per_image=sum(macs[name] * stage.per_image for name, stage in stages.items()),
            peak_memory_bytes=self.peak_memory,
        )

    def unload(self) -> None:
        del self.adapter
        _free(self.device)


class SourceRow(Row):
    """The photos themselves, cropped: what codecs start from and are compared with."""

    def __init__(self, photos: Sequence[Photo], size: int) -> None:
        super().__init__("source", "cpu", "uint8", (size, size))
        self.jobs = [
            Job(_digest(["source", size, sha256_file(photo.path)]), photo.id, 0, None, photo.path) for photo in photos
        ]

    def load(self) -> None:
        """Nothing to load."""

    def value(self, job: Job) -> NDArray[np.uint8]:
        """The cropped photo: uint8, (size, size, 3)."""
        return center_crop(load_rgb(job.source), self.size[0])

    def produce(self, jobs: Sequence[Job], batch_size: int) -> list[Produced]:
        return [Produced(self.value(job), _record(self, job, {}, len(jobs))) for job in jobs]

    def facts(self) -> Facts:
        return Facts(settings=self.settings())


class CodecRow(Row):
    """An autoencoder on photos: encoded and decoded, or, given frozen latents, decoded only."""

    def __init__(self, method: str, codec: Codec, inputs: SourceRow | Latents, device: str, dtype: str) -> None:
        """Load the loaded-once ``codec``; raises BenchError where it cannot read ``inputs``."""
        super().__init__(method, device, dtype, inputs.size)
        self.codec, self.inputs, self.checkpoint = codec, inputs, codec.checkpoint
        codec.load(device, dtype)
        if isinstance(inputs, Latents):
            inputs.check(codec, method)
        identity = [type(codec).__qualname__, method, codec.fingerprint(), dtype, device.partition(":")[0]]
        self.jobs = [job._replace(key=_digest([*identity, job.key])) for job in inputs.jobs]

    def load(self) -> None:
        """Loaded when it was made: a codec is small, and its weights' digest is part of the jobs' keys."""

    def produce(self, jobs: Sequence[Job], batch_size: int) -> list[Produced]:
        batch = np.stack(_padded([self.inputs.value(job) for job in jobs], batch_size))
        if isinstance(self.inputs, Latents):
            pictures, seconds = self._decode(translate(batch, self.inputs.teacher, self.codec))
        else:
            pictures, seconds = self._round_trip(batch)
        pixels = (np.clip(pictures, 0, 1) * 255).round().astype(np.uint8)
        return [
            Produced(image, _record(self, job, seconds, batch_size)) for job, image in zip(jobs, pixels, strict=False)
        ]

    def trial(self) -> float | None:
        (produced,) = self.produce(self.jobs[:1], 1)
        return sum(produced.record.seconds.values())

    def _round_trip(self, photos: NDArray[np.uint8]) -> tuple[NDArray[np.float32], dict[str, float]]:
        start = time.perf_counter()
        code = self.codec.encode(photos)
        encoded = (time.perf_counter() - start) / len(photos)
        pictures, seconds = self._decode(code)
        return pictures, {"encode": encoded, **seconds}

    def _decode(self, code: Any) -> tuple[NDArray[np.float32], dict[str, float]]:
        start = time.perf_counter()
        pictures = self.codec.decode(code)
        return pictures, {"decode": (time.perf_counter() - start) / len(pictures)}

    def facts(self) -> Facts:
        cost = self.codec.cost(*self.size)
        codec = CodecFacts(
            latent_channels=self.codec.latent_channels,
            downsampling=self.codec.downsampling,
            latent_space=self.codec.latent_space,
            **cost._asdict(),
        )
        return Facts(
            settings=self.settings(),
            cost=Cost(
                params=_sum(cost.encoder_params, cost.decoder_params),
                macs_per_forward=cost.decoder_macs,
                forwards_per_image=1,
                macs_per_image=_sum(cost.encoder_macs, cost.decoder_macs),
                peak_memory_bytes=self.peak_memory,
            ),
            codec=codec,
        )

    def unload(self) -> None:
        del self.codec
        _free(self.device)


class Latents(NamedTuple):
    """Frozen latents that several decoders are to decode."""

    values: dict[str, NDArray[np.float32]]
    """(C, h, w) each, by prompt id."""
    jobs: list[Job]
    teacher: Codec
    teacher_name: str

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the pictures."""
        _, height, width = next(iter(self.values.values())).shape
        factor = self.teacher.downsampling or 1
        return height * factor, width * factor

    def value(self, job: Job) -> NDArray[np.float32]:
        """The latents of one job."""
        return self.values[job.prompt_id]

    def check(self, codec: Codec, method: str) -> None:
        """Raise BenchError where ``codec`` cannot be expected to read them."""
        ours, theirs = self.teacher, codec
        if (theirs.latent_channels, theirs.downsampling) != (ours.latent_channels, ours.downsampling):
            raise BenchError(
                f"'{method}' has {theirs.latent_channels} channels at 1/{theirs.downsampling}, the latents of "
                f"'{self.teacher_name}' {ours.latent_channels} at 1/{ours.downsampling}: it cannot decode them"
            )
        translate(next(iter(self.values.values())), ours, theirs)


def latency(records: Sequence[Record], device: str | None) -> dict[str, Latency]:
    """Return the median seconds per picture of every stage, over warm batches where there are any.

    These are taken while the run is made, one batch after another; they are no protocol for ranking methods.
    """
    found = {}
    for stage in dict.fromkeys(name for record in records for name in record.seconds):
        timed = [record for record in records if stage in record.seconds]
        warm = [record for record in timed if record.warm] or timed
        seconds = sorted(record.seconds[stage] for record in warm)
        p90 = seconds[min(len(seconds) - 1, int(0.9 * len(seconds)))]
        found[stage] = Latency(
            median_s=statistics.median(seconds), p90_s=p90, n=len(seconds), device=device or "unknown"
        )
    return found


def batches(jobs: Sequence[Job], size: int) -> Iterator[Sequence[Job]]:
    """Cut ``jobs`` into batches of ``size``; the last may be shorter."""
    return (jobs[start : start + size] for start in range(0, len(jobs), size))


def _seconds(stage: Stage, request: Request, device: str) -> float:
    import torch

    with torch.inference_mode():
        start = time.perf_counter()
        stage.module(*stage.inputs(request, device))
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        return time.perf_counter() - start


def _record(row: Row, job: Job, seconds: dict[str, float], batch: int, **more: Any) -> Record:
    import torch

    return Record(
        key=job.key, method=row.method, prompt_id=job.prompt_id, sample=job.sample, image="", suffix="", size=0,
        seconds=seconds, warm=row.loaded, batch=batch, threads=torch.get_num_threads(), **more,
    )  # fmt: skip


def _padded(items: Sequence[Any], size: int) -> list[Any]:
    # Every batch has one size: a shorter last one would change the bits of its pictures.
    return [*items, *[items[-1]] * (size - len(items))]


def _check_pictures(pictures: Any, count: int, method: str) -> None:
    shape, kind = getattr(pictures, "shape", None), getattr(pictures, "dtype", None)
    if kind != np.uint8 or shape is None or len(shape) != 4 or shape[0] != count or shape[3] != 3:
        raise BenchError(
            f"'{method}' returned {kind} of shape {shape}: generate must return uint8 of shape ({count}, H, W, 3)"
        )


def _digest(parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:32]


def _file_digest(path: Path | None) -> str | None:
    return sha256_file(path) if path else None


def _sum(*parts: int | None) -> int | None:
    known = [part for part in parts if part is not None]
    return sum(known) if known else None


def _free(device: str) -> None:
    import gc

    gc.collect()
    if device.startswith("cuda"):
        import torch

        torch.cuda.empty_cache()
