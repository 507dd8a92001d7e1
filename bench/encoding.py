"""How the files of pictures are encoded, and the same pixels once more as another file would have kept them."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from ..core.errors import BenchError
from ..datasets.images import Pixels, decode_rgb
from ..datasets.sources import Item
from ..metrics.sample import Sample

_LOSSLESS = ("PNG", "BMP", "TIFF", "PPM", "array")


class Encoding(NamedTuple):
    """What decides what a file keeps of its pixels."""

    format: str
    tables: tuple[tuple[int, ...], ...] = ()
    """Quantisation tables of a JPEG."""
    sampling: int = -1
    """Of a JPEG's colours: 0 is 4:4:4, 1 is 4:2:2, 2 is 4:2:0."""

    @property
    def lossless(self) -> bool:
        return self.format in _LOSSLESS

    def __str__(self) -> str:
        if self.format != "JPEG":
            return self.format
        sampling = {0: "4:4:4", 1: "4:2:2", 2: "4:2:0"}.get(self.sampling, "other sampling")
        return f"JPEG {sampling}, tables {hashlib.sha256(repr(self.tables).encode()).hexdigest()[:4]}"


def encoding(item: Item) -> Encoding:
    """Return how the file of a picture is encoded; BenchError where it cannot be read."""
    from PIL import Image, JpegImagePlugin, UnidentifiedImageError

    if item.decode is not decode_rgb:
        return Encoding("array")
    try:
        with Image.open(io.BytesIO(item.read())) as image:
            if image.format != "JPEG":
                return Encoding(image.format or "unknown")
            tables = getattr(image, "quantization", {})
            found = tuple(tuple(int(value) for value in tables[index]) for index in sorted(tables))
            return Encoding("JPEG", found, JpegImagePlugin.get_sampling(image))
    except (UnidentifiedImageError, OSError) as error:
        raise BenchError(f"{item.name}: truncated or damaged ({error}); replace or remove it") from error


def summary(items: Mapping[str, Item]) -> str:
    """Name the encodings of a source, the most frequent first, at most three: ``PNG``, ``JPEG 4:2:0, tables 1f3a``."""
    counted = Counter(str(encoding(item)) for item in items.values())
    names = [name for name, _ in counted.most_common(3)]
    return " + ".join(names) + (" + others" if len(counted) > len(names) else "")


def as_jpeg(sample: Sample, how: Encoding) -> Sample:
    """Return the picture as a JPEG with these tables would have kept it."""
    digest = hashlib.sha256(f"{sample.digest}:{how!r}".encode()).hexdigest()
    return Sample(sample.key, digest, lambda: _through(sample, how), sample.prompt, sample.target)


def _through(sample: Sample, how: Encoding) -> Pixels:
    from PIL import Image

    buffer = io.BytesIO()
    tables = {index: list(table) for index, table in enumerate(how.tables)}
    Image.fromarray(sample.load()).save(buffer, "JPEG", qtables=tables, subsampling=how.sampling)
    return decode_rgb(buffer.getvalue(), sample.key)
