"""Planning a suite of codecs: on photos, or decoders alone on frozen latents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..adapters import ADAPTERS
from ..adapters.codecs import CODECS, make_codec
from ..adapters.codecs.base import Codec
from ..adapters.spec import parse
from ..core.errors import BenchError
from ..core.files import write_atomic
from ..datasets.dataset import Dataset, data_root
from ..datasets.images import image_size
from ..reports.schema import Skipped
from .options import Options, Plan, default_batch, find_dataset, limit_notes, methods_of, skip
from .progress import task
from .rows import CodecRow, DecoderRow, Frozen, Job, Row, SourceRow, digest

TENSOR = "latents"
Latents = dict[str, NDArray[np.float32]]
"""(C, h, w) each, by prompt id."""


def plan_codecs(options: Options, directory: Path) -> Plan:
    """Plan a suite of codecs; in mode ``latents``, latents made here are kept in ``directory``."""
    if options.reference is not None:
        raise BenchError(f"suite '{options.suite.name}' compares with its own photos: leave out --reference")
    if options.suite.codec.mode == "latents":
        return _plan_latents(options, directory)
    source, total, notes = _source(options, find_dataset(options))
    make_row = partial(CodecRow, jobs=source.jobs, size=source.size, asked=(options.device, options.dtype))
    rows, skipped = _rows(options, make_row, [method.method for method in methods_of(options)])
    return Plan(rows, skipped, source, len(source.jobs), total, notes, _batch(options, source.size))


def _source(options: Options, dataset: Dataset) -> tuple[SourceRow, int, list[str]]:
    """Return the cropped photos as a row, how many photos there are in all, and what to note of it."""
    size = options.suite.sampling.size
    photos = dataset.photos(data_root(options.data_root))
    large = [photo for photo in photos if min(image_size(photo.path)) >= size]
    small = len(photos) - len(large)
    notes = [f"{small} of {len(photos)} photos are smaller than {size} and were skipped"] if small else []
    if not large:
        raise BenchError(
            f"all {len(photos)} photos are smaller than {size}: choose others, or --set sampling.size={size // 2}"
        )
    notes += limit_notes(options, len(large))
    return SourceRow(large[: options.suite.n][: options.limit], size), len(photos), notes


def _prepared(text: str, options: Options) -> Codec:
    name = parse(text).name
    if name in ADAPTERS and name not in CODECS:
        raise BenchError(
            f"'{text}' is a method, suite '{options.suite.name}' takes codecs: add --suite coco5k or prompts"
        )
    codec = make_codec(text)
    codec.weights = options.weights
    return codec


def _rows(
    options: Options, make_row: Callable[[str, Callable[[], Codec]], Row], methods: Sequence[str]
) -> tuple[list[Row], list[Skipped]]:
    rows: list[Row] = []
    skipped: list[Skipped] = []
    for method in methods:
        try:
            rows.append(make_row(method, partial(_prepared, method, options)))
        except BenchError as error:
            skip(options, skipped, method, error)
    return rows, skipped


def _plan_latents(options: Options, directory: Path) -> Plan:
    name = options.suite.codec.teacher
    if not name:
        raise BenchError(f"suite '{options.suite.name}': codec.teacher is missing: name a codec, such as sd-vae")
    others = [method.method for method in methods_of(options) if method.method != name]
    if not others:
        raise BenchError(f"suite '{options.suite.name}' needs a decoder beside its teacher '{name}': name one")
    teacher = _prepared(name, options)
    teacher.load(options.device, options.dtype)
    if teacher.latent_channels is None or teacher.downsampling is None:
        raise BenchError(f"codec.teacher '{name}' has no latents: choose an autoencoder, such as sd-vae")
    values, total, notes = _latents(options, teacher, directory)
    first = next(iter(values.values()))
    size = (first.shape[1] * teacher.downsampling, first.shape[2] * teacher.downsampling)
    # What translation between scales depends on is part of what decides the pictures.
    scale = [teacher.fingerprint(), teacher.latent_space, teacher.latent_scale, teacher.latent_shift]
    jobs = [
        Job(digest([*scale, sha256(value.tobytes()).hexdigest()]), key, 0, None, None) for key, value in values.items()
    ]
    asked = (options.device, options.dtype)
    make_row = partial(DecoderRow, jobs=jobs, size=size, asked=asked, frozen=Frozen(values, teacher))
    reference = make_row(name, lambda: teacher)
    rows, skipped = _rows(options, make_row, others)
    return Plan(rows, skipped, reference, len(values), total, notes, _batch(options, size))


def _latents(options: Options, teacher: Codec, directory: Path) -> tuple[Latents, int, list[str]]:
    given = options.suite.codec.latents
    if given:
        array = _read(Path(given))[0]
        used = array[: options.limit]
        return {f"{index:05d}": value for index, value in enumerate(used)}, len(array), [f"latents: {Path(given).name}"]
    source, total, notes = _source(options, find_dataset(options))
    made = f"latents: what {options.suite.codec.teacher} makes of the photos, in latents.safetensors"
    array = _frozen(source, teacher, directory / "latents.safetensors")
    return {job.prompt_id: value for job, value in zip(source.jobs, array, strict=True)}, total, [*notes, made]


def _frozen(source: SourceRow, teacher: Codec, file: Path) -> NDArray[np.float32]:
    """What the teacher makes of the photos, from an earlier start where it was of the same photos and teacher."""
    from safetensors.numpy import save

    key = digest([teacher.fingerprint(), [job.key for job in source.jobs]])
    if file.is_file():
        array, kept = _read(file)
        if kept == key:
            return array
    encoded = []
    with task("freeze latents", len(source.jobs)) as report:
        for job in source.jobs:
            encoded.append(teacher.encode(source.value(job)[None])[0])
            report(len(encoded))
    # Contiguous: safetensors writes an array's memory as it lies.
    array = np.ascontiguousarray(np.stack(encoded), np.float32)
    write_atomic(file, save({TENSOR: array}, metadata={"key": key}))
    return array


def _read(path: Path) -> tuple[NDArray[np.float32], str | None]:
    """Return the latents of a file, float32 (N, C, h, w), and the key that it was written under."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            found = {name: list(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            if len(found.get(TENSOR, ())) != 4 or not found[TENSOR][0]:
                raise BenchError(f"'{path}' needs a tensor '{TENSOR}' of shape (N, C, h, w), it holds {found}")
            return file.get_tensor(TENSOR).astype(np.float32), (file.metadata() or {}).get("key")
    except (OSError, SafetensorError) as error:
        raise BenchError(f"cannot read the latents '{path}': {error}") from error


def _batch(options: Options, size: tuple[int, int]) -> int:
    return options.batch_size or default_batch(*size, options.device)
