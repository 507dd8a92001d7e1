"""Photos from files: one decoder for the whole project, the lists of a folder, the centre crop."""

from __future__ import annotations

import sys
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..core.errors import BenchError

if TYPE_CHECKING:
    from PIL.Image import Image

Pixels = NDArray[np.uint8]
"""uint8, (H, W, 3), RGB."""

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")

_ORIENTATION = 274
_TURNED = (5, 6, 7, 8)
"""Values of the EXIF orientation that swap height and width."""

_DEEP_GREY = ("I;16", "I;16L", "I;16B", "I;16N")
_CONVERTIBLE = ("1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", "HSV")
_WITH_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")


def load_rgb(path: Path) -> Pixels:
    """Decode a picture to uint8 (H, W, 3), RGB: the only way a file becomes pixels in this project.

    - The EXIF orientation is applied; an embedded colour profile is not (nor is it by the published evaluations).
    - Greyscale, 1-bit, palette, CMYK, YCbCr and HSV become RGB by Pillow's plain conversion.
    - 16-bit grey is scaled by 255/65535 and rounded. Of 16-bit colour Pillow keeps the upper byte.
    - Alpha is composited over white; an opaque alpha channel thus changes nothing.
    - Of a phone's multi-picture JPEG (MPO) the first picture is taken.

    Raises BenchError, naming the file, for one that is missing, unreadable, empty, truncated or not a picture, for
    animations and multi-page files, for 32-bit and floating point values, and above Pillow's limit of 89 megapixels.
    """
    with _opened(path, path) as image:
        _refuse_several(image, path)
        return _to_rgb(image, path)


def decode_rgb(data: bytes, name: str) -> Pixels:
    """Decode the bytes of a picture as ``load_rgb`` does a file; errors call it ``name``."""
    with _opened(BytesIO(data), name) as image:
        _refuse_several(image, name)
        return _to_rgb(image, name)


def image_size(path: Path) -> tuple[int, int]:
    """Return (height, width) in pixels as ``load_rgb`` would give them, from the head of the file alone.

    Raises BenchError where the head cannot be read; the rest of the file may still be damaged.
    """
    with _opened(path, path) as image:
        width, height = image.size
        return (width, height) if image.getexif().get(_ORIENTATION) in _TURNED else (height, width)


def image_files(folder: Path) -> list[Path]:
    """List the pictures of a folder by suffix, sorted: those directly in it or, where there are none, all those below.

    Raises BenchError for a folder that is missing, unreadable, or without pictures.
    """
    if not folder.is_dir():
        raise BenchError(
            f"{folder}: {'not a folder' if folder.exists() else 'no such folder'}; give a folder of photos"
        )
    try:
        found = _pictures(folder.iterdir()) or _pictures(folder.rglob("*"))
        if found:
            return found
        raise BenchError(f"{folder}: {_contents(folder)}; give a folder of photos ({' '.join(SUFFIXES)})")
    except PermissionError as error:
        raise BenchError(f"{error.filename or folder}: cannot be read; check its permissions") from error


def center_crop(image: Pixels, size: int) -> Pixels:
    """Cut the middle ``size`` × ``size`` pixels out; an odd margin leaves the extra pixel at the bottom or right.

    Raises BenchError where the picture is smaller.
    """
    crop = crop_or_none(image, size)
    if crop is None:
        height, width = image.shape[:2]
        raise BenchError(f"a picture of {width}x{height} is too small for a crop of {size}x{size}")
    return crop


def crop_or_none(image: Pixels, size: int) -> Pixels | None:
    """``center_crop``, or None where the picture is smaller than ``size`` on either side."""
    height, width = image.shape[:2]
    if min(height, width) < size:
        return None
    top, left = (height - size) // 2, (width - size) // 2
    return image[top : top + size, left : left + size]


def fit(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Resize a picture (H, W) or (H, W, 3) until it just covers ``height`` × ``width``, and cut the centre out.

    Where both are N this is ``shortN-cropN``, what suites do to the photos of the reference: Pillow's bicubic filter.
    """
    from PIL import Image

    old_height, old_width = image.shape[:2]
    size = (height, old_width * height // old_height)
    if height * old_width < width * old_height:
        size = (old_height * width // old_width, width)
    if size != (old_height, old_width):
        image = np.array(Image.fromarray(image).resize(size[::-1], Image.Resampling.BICUBIC))
    top, left = round((size[0] - height) / 2), round((size[1] - width) / 2)
    return image[top : top + height, left : left + width]


def fit_mask(mask: NDArray[np.bool_], height: int, width: int) -> NDArray[np.bool_]:
    """Do to a mask (H, W) what ``fit`` does to its picture."""
    return fit(mask.astype(np.uint8) * np.uint8(255), height, width) > 127


@contextmanager
def _opened(source: Path | BytesIO, name: object) -> Iterator[Image]:
    """Open a picture; whatever then fails in Pillow becomes a BenchError that says its name and the mend."""
    from PIL import Image, ImageFile, UnidentifiedImageError

    ImageFile.LOAD_TRUNCATED_IMAGES = False  # some libraries turn it on, and half a photo would be measured
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    try:
        with Image.open(source) as image:
            # Filters of warnings are not safe in threads.
            if image.width * image.height > (Image.MAX_IMAGE_PIXELS or sys.maxsize):
                raise Image.DecompressionBombError
            yield image
    except BenchError:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise BenchError(
            f"{name}: more than {Image.MAX_IMAGE_PIXELS:,} pixels; make it smaller or remove it"
        ) from error
    except UnidentifiedImageError as error:
        empty = _is_empty(source)
        raise BenchError(
            f"{name}: {'the file is empty' if empty else 'not a picture'}; replace or remove it"
        ) from error
    except (FileNotFoundError, IsADirectoryError) as error:
        raise BenchError(f"{name}: no such file; check the path") from error
    except PermissionError as error:
        raise BenchError(f"{name}: cannot be read; check its permissions") from error
    except Exception as error:  # damaged files draw all kinds from the decoders: OSError, SyntaxError, struct.error
        raise BenchError(f"{name}: truncated or damaged ({error}); replace or remove it") from error


def _is_empty(source: Path | BytesIO) -> bool:
    return not (source.getbuffer().nbytes if isinstance(source, BytesIO) else source.stat().st_size)


def _refuse_several(image: Image, name: object) -> None:
    pictures = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
    if pictures > 1:
        raise BenchError(f"{name}: an animation or several pages ({pictures} pictures); save the one that is meant")


def _to_rgb(image: Image, name: object) -> Pixels:
    from PIL import Image, ImageOps

    upright = ImageOps.exif_transpose(image)
    if upright.mode in _DEEP_GREY:
        return _scale_16_bits(np.asarray(upright))
    if upright.mode in _WITH_ALPHA or "transparency" in upright.info:
        white = Image.new("RGBA", upright.size, "white")
        upright = Image.alpha_composite(white, upright.convert("RGBA"))
    elif upright.mode not in _CONVERTIBLE:
        raise BenchError(f"{name}: pixels of mode {upright.mode} have no set range; save it as 8-bit RGB")
    return np.array(upright.convert("RGB"), dtype=np.uint8)


def _scale_16_bits(grey: NDArray[np.generic]) -> Pixels:
    rounded = (grey.astype(np.int64) + 128) // 257
    return np.repeat(rounded.astype(np.uint8)[..., None], 3, axis=-1)


def _pictures(paths: Iterable[Path]) -> list[Path]:
    kept = (path for path in paths if path.suffix.lower() in SUFFIXES and not path.name.startswith("."))
    return sorted(path for path in kept if path.is_file())


def _contents(folder: Path) -> str:
    kinds = Counter(path.suffix.lower() or "no suffix" for path in folder.rglob("*") if path.is_file())
    if not kinds:
        return "the folder is empty"
    listed = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(4))
    return f"holds no pictures (files there: {listed})"
