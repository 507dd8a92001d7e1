"""Planning a suite of codecs: on photos, or decoders alone on frozen latents."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..adapters.codecs import make_codec
from ..adapters.codecs.base import Codec
from ..core.errors import BenchError
from ..core.files import write_atomic
from ..datasets.dataset import Dataset, data_root
from ..datasets.images import image_size
from ..reports.schema import Skipped
from .options import Options, Plan, default_batch, find_dataset, methods_of, skip
from .rows import CodecRow, Job, Latents, Row, SourceRow

TENSOR = "latents"


def plan_codecs(options: Options, directory: Path) -> Plan:
    """Plan a suite of codecs; in mode ``latents`` the frozen latents are read, or made and kept in ``directory``."""
    if options.suite.codec.mode == "latents":
        return _plan_latents(options, directory)
    source, total, notes = source_row(options, find_dataset(options))
    rows, skipped = _rows(options, source, [method.method for method in methods_of(options)])
    return Plan(rows, skipped, source, len(source.jobs), total, notes, _batch(options, source.size))


def source_row(options: Options, dataset: Dataset) -> tuple[SourceRow, int, list[str]]:
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
    return SourceRow(large[: options.limit], size), len(photos), notes


def prepared(text: str, options: Options) -> Codec:
    """Construct the codec that ``text`` names; not yet loaded. Raises BenchError for an unknown name or option."""
    codec = make_codec(text)
    codec.weights = options.weights
    return codec


def _rows(options: Options, inputs: SourceRow | Latents, methods: Sequence[str]) -> tuple[list[Row], list[Skipped]]:
    rows: list[Row] = []
    skipped: list[Skipped] = []
    for method in methods:
        try:
            rows.append(CodecRow(method, prepared(method, options), inputs, options.device, options.dtype))
        except BenchError as error:
            skip(options, skipped, method, error)
    return rows, skipped


def _plan_latents(options: Options, directory: Path) -> Plan:
    name = options.suite.codec.teacher
    if not name:
        raise BenchError(f"suite '{options.suite.name}': codec.teacher is missing: name a codec, such as sd-vae")
    teacher = prepared(name, options)
    teacher.load(options.device, options.dtype)
    values, total, notes = (
        _read_latents(options) if options.suite.codec.latents else _freeze(options, teacher, directory)
    )
    jobs = [Job(_digest(value), key, 0, None, None) for key, value in values.items()]
    latents = Latents(values, jobs, teacher, name)
    reference = CodecRow(name, teacher, latents, options.device, options.dtype)
    rows, skipped = _rows(options, latents, [m.method for m in methods_of(options) if m.method != name])
    return Plan(rows, skipped, reference, len(values), total, notes, _batch(options, latents.size))


def _freeze(options: Options, teacher: Codec, directory: Path) -> tuple[dict[str, NDArray[np.float32]], int, list[str]]:
    from safetensors.numpy import save

    source, total, notes = source_row(options, find_dataset(options))
    # Contiguous: safetensors writes an array's memory as it lies.
    encoded = ((job.prompt_id, teacher.encode(source.value(job)[None])[0]) for job in source.jobs)
    values = {name: np.ascontiguousarray(latents, np.float32) for name, latents in encoded}
    write_atomic(directory / "latents.safetensors", save({TENSOR: np.stack(list(values.values()))}))
    return (
        values,
        total,
        [*notes, f"latents: what {options.suite.codec.teacher} makes of the photos, in latents.safetensors"],
    )


def _read_latents(options: Options) -> tuple[dict[str, NDArray[np.float32]], int, list[str]]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    path = Path(options.suite.codec.latents or "")
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise BenchError(f"cannot read the latents '{path}': {error}") from error
    array = tensors.get(TENSOR)
    if array is None or array.ndim != 4 or not len(array):
        found = {name: list(tensor.shape) for name, tensor in tensors.items()}
        raise BenchError(f"'{path}' needs a tensor '{TENSOR}' of shape (N, C, h, w), it holds {found}")
    used = array[: options.limit].astype(np.float32)
    return {f"{index:05d}": value for index, value in enumerate(used)}, len(array), [f"latents: {path.name}"]


def _digest(value: NDArray[np.float32]) -> str:
    return hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()


def _batch(options: Options, size: tuple[int, int]) -> int:
    return options.batch_size or default_batch(max(size), options.device)
