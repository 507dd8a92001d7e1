"""Text and numbers as a reader sees them; much of the text (prompts, file names) comes from strangers."""

from __future__ import annotations

import math
import unicodedata
from typing import NamedTuple

from ..metrics import METRICS

MISSING = "–"

_BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


class Quantity(NamedTuple):
    """How the numbers of a family of metrics are shown."""

    title: str
    unit: str = ""
    digits: int | None = None
    """Digits after the point; None for four significant ones."""
    variant: str = ""
    """Which one of its family, in the words of the key."""

    @property
    def name(self) -> str:
        """Title and variant: ``CLIP score (vit-b-32-x100)``."""
        return f"{self.title} ({self.variant})" if self.variant else self.title


TITLES = {
    "fid": "FID",
    "rfid": "rFID",
    "fid_infinity": "FID∞",
    "kid": "KID",
    "inception_score": "IS",
    "fd_dinov2": "FD-DINOv2",
    "kd_dinov2": "KD-DINOv2",
    "cmmd": "CMMD",
    "clip_score": "CLIP score",
    "clip_aesthetic": "CLIP aesthetic",
    "hps_v2": "HPS v2",
    "hps_v2_1": "HPS v2.1",
    "caption_accuracy": "Caption accuracy",
    "mini_fd": "mini FD",
    "mini_kd": "mini KD",
    "mini_clip_score": "mini CLIP score",
    "edge_f1": "Edge F1",
    "object_iou": "Object IoU",
    "region_iou": "Region IoU",
    "seam_ratio": "Seam ratio",
    "wrap_seam_ratio": "Wrap seam ratio",
    "depth_rmse": "Depth RMSE",
    "edit_success": "Edit success",
    "background_psnr": "Background PSNR",
    "background_mse": "Background MSE",
    "background_ssim": "Background SSIM",
    "background_lpips": "Background LPIPS",
    "picture_drift": "Drift",
    "mini_drift": "mini drift",
    "inception_drift": "Inception drift",
    "psnr": "PSNR",
    "ssim": "SSIM",
    "ms_ssim": "MS-SSIM",
    "lpips": "LPIPS",
}
"""Names of metrics, or of families: what follows in a key (``lpips_vgg``) is the variant."""


def quantity(key: str) -> Quantity:
    """How metric ``key`` is shown; digits and unit are those that the metric declares."""
    family = max((name for name in TITLES if key == name or key.startswith(f"{name}_")), key=len, default=None)
    title = TITLES[family] if family else key.replace("_", " ").capitalize()
    variant = key[len(family) + 1 :].replace("_", "-") if family else ""
    if key not in METRICS:  # a run of another version, or with a plug-in that is not here
        return Quantity(title, variant=variant)
    metric = METRICS.get(key)
    return Quantity(title, metric.unit, metric.digits, variant)


def significant(value: float, digits: int) -> str:
    """Write ``value`` with that many significant digits and never with an exponent."""
    if not math.isfinite(value):
        return "∞" if value > 0 else "-∞" if value < 0 else "nan"
    exponent = math.floor(math.log10(abs(value))) if value else 0
    return f"{value:,.{max(0, digits - 1 - exponent)}f}"


def fixed(value: float, digits: int) -> str:
    """Write ``value`` with that many digits after the point."""
    return f"{value:,.{digits}f}" if math.isfinite(value) else significant(value, 1)


def metric_text(key: str, value: float) -> str:
    """Write a value of metric ``key``."""
    digits = quantity(key).digits
    return significant(value, 4) if digits is None else fixed(value, digits)


def clean(text: str) -> str:
    """One line without control characters, and without those that turn the reading direction of what follows."""
    kept = (" " if char.isspace() else char for char in text if char not in _BIDI_CONTROLS)
    return " ".join("".join(char for char in kept if unicodedata.category(char) not in ("Cc", "Cs")).split())


def clip(text: str, length: int) -> str:
    """Cut ``text`` to at most ``length`` characters, the last one an ellipsis where something was cut."""
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def superscript(numbers: tuple[int, ...]) -> str:
    """Footnote numbers in raised digits: ``¹˒²``."""
    return "˒".join(str(number).translate(_SUPERSCRIPTS) for number in numbers)
