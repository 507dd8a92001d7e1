"""How much worse a number may get: the thresholds of the gate, from a TOML file and from defaults by kind of metric."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from ...core.errors import BenchError

DRIFT = "drift_"
"""What names of drift rows begin with; the network follows."""
MEDIAN_DRIFT = f"{DRIFT}median_"
"""Those of the picture in the middle."""
SECONDS = "seconds_"
"""What names of latency rows begin with; the stage follows."""
EMPTY = "empty in both runs"
"""How the reason begins why there is nothing to judge of a number that neither run has."""
SLOWDOWN = 0.05
"""How much slower a version may get, as a share of base."""


class Margin(NamedTuple):
    """How much worse is still no regression: the larger of both."""

    relative: float = 0.0
    """Of the base's value, as a fraction."""
    absolute: float = 0.0
    """In the metric's unit."""

    def of(self, base: float) -> float:
        """The margin beside the base's value."""
        return max(self.relative * abs(base), self.absolute)


def _margin(value: object) -> object:
    """``"2%"``, a number, or a list of both."""
    if isinstance(value, Margin):
        return value
    parts = [_part(part) for part in (value if isinstance(value, list) else [value])]
    if not parts:
        raise ValueError("write a share of the base's value such as '2%', a number in the metric's unit, or both")
    return Margin(*(max(column) for column in zip(*parts, strict=True)))


def margin_of(text: str, where: str) -> Margin:
    """Return what ``"2%"`` or ``"0.3"`` says; BenchError, beginning with ``where``, for anything else."""
    try:
        return _part(text if text.strip().endswith("%") else float(text))
    except ValueError as error:
        raise BenchError(f"{where}: '{text}' is neither a share such as 2% nor a number of at least 0") from error


def _part(value: object) -> Margin:
    relative = isinstance(value, str) and value.strip().endswith("%")
    try:
        if isinstance(value, bool):
            raise TypeError
        number = float(str(value).strip().removesuffix("%"))
    except (TypeError, ValueError):
        number = -1.0
    if not 0 <= number < float("inf") or (isinstance(value, str) and not relative):
        raise ValueError(f"{value!r} is no margin: write a share such as '2%', or a number in the metric's unit")
    return Margin(number / 100) if relative else Margin(0.0, number)


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


class Rule(BaseModel):
    """What holds for the rows that all its patterns match; ``*`` stands for any text and ``?`` for one character."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    suite: str = "*"
    method: str = "*"
    metric: Annotated[tuple[str, ...], BeforeValidator(_listed)] = ("*",)
    """One pattern or several."""
    margin: Annotated[Margin | None, BeforeValidator(_margin)] = None
    band: tuple[float, float] | None = None
    """Lowest and highest value allowed, whatever the base has."""
    must_improve: bool = False
    ignore: bool = False
    required: bool = True
    """Whether a row that could not be measured keeps the gate from passing."""

    @model_validator(mode="after")
    def _one_demand(self) -> Self:
        demands = [self.margin is not None, self.band is not None, self.must_improve, self.ignore]
        if sum(demands) != 1:
            raise ValueError("give exactly one of margin, band, must_improve = true and ignore = true")
        if self.band is not None and not self.band[0] <= self.band[1]:
            raise ValueError(f"band {list(self.band)}: the lower end comes first")
        if self.margin and self.names_drift and self.margin.of(0.0) < self.margin.of(1.0):
            raise ValueError("drift is from 0, of which there is no share: give the margin as a number")
        return self

    @property
    def names_drift(self) -> bool:
        """Whether a pattern is one of drift rows: how far pictures may move is no matter of a rule for all metrics."""
        return any(pattern.startswith(DRIFT) for pattern in self.metric)

    @property
    def demands(self) -> bool:
        """Whether it asks for something that has to be seen, be there a base or not."""
        return self.required and (self.band is not None or self.must_improve)

    def matches(self, suite: str, method: str, metric: str) -> bool:
        """Whether all of its patterns match a row; a row of drift also has to be named, unless all is ignored."""
        if metric.startswith(DRIFT) and not self.names_drift and not self.ignore:
            return False
        return matches(self.suite, suite) and matches(self.method, method) and any_matches(self.metric, metric)

    def __str__(self) -> str:
        patterns = {"suite": self.suite, "method": self.method, "metric": ", ".join(self.metric)}
        return ", ".join(f"{key} {text}" for key, text in patterns.items() if text != "*") or "all rows"


def matches(pattern: str, text: str) -> bool:
    """Whether ``text`` as a whole fits a pattern. Brackets are plain characters: method strings are full of them."""
    return bool(_compiled(pattern).fullmatch(text))


def any_matches(patterns: Sequence[str], text: str) -> bool:
    """Whether one of the patterns fits."""
    return any(matches(pattern, text) for pattern in patterns)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    texts = {"*": ".*", "?": "."}
    return re.compile("".join(texts.get(character) or re.escape(character) for character in pattern), re.DOTALL)


class Default(NamedTuple):
    """The margin of a kind of metric."""

    metrics: tuple[str, ...]
    margin: Margin
    why: str


def _default(metrics: str, margin: object, why: str) -> Default:
    found = _margin(margin)
    assert isinstance(found, Margin)
    return Default(tuple(metrics.split()), found, why)


DEFAULTS = (
    _default(
        f"{MEDIAN_DRIFT}*", 0.0003, "the last bit of every pixel moves the mini world's by 0.0002, bf16 by 0.00006"
    ),
    _default(f"{DRIFT}*", 0.002, "bf16 moves the mini world's pictures by 0.0002, JPEG at quality 90 by 0.01"),
    _default("fid fid_* rfid fd_* mini_fd", "2%", "MLPerf's band for FID"),
    _default(
        "kid kd_*", ["5%", 0.0005], "may be 0 or below, where a share is nothing; the last digit that papers print"
    ),
    _default("mini_kd", ["5%", 0.5], "as KID, in the larger units of its features"),
    _default("cmmd", ["5%", 0.005], "as KID"),
    _default("clip_score* mini_clip_score* hps_v2*", "0.2%", "MLPerf's band for CLIP score"),
    _default("clip_aesthetic", 0.05, "of a scale from 1 to 10"),
    _default(
        "caption_accuracy edit_success objects_kept* face_detection precision recall density coverage",
        0.05,
        "a share of a small share would be nothing; fewer points take hundreds of prompts to see",
    ),
    _default("background_mse", ["2%", 1e-5], "0 is within reach, of which there is no share"),
    _default("depth_rmse landmark_error", ["2%", 0.001], "0 is within reach, of which there is no share"),
    _default("psnr *_psnr", 0.1, "dB: 2 % of the squared error, below what is seen"),
    _default("ssim *_ssim ms_ssim*", 0.002, "a fifth of the last digit that papers print"),
    _default("lpips* *_lpips", ["2%", 0.001], "and what rounding does to it"),
    _default("edge_f1 region_iou* object_iou*", 0.01, "one pixel of a hundred"),
    _default("seam_ratio wrap_seam_ratio", 0.02, "of a ratio that is 1 where there is no seam"),
    _default("picture_drift", 0.1, "of 255 levels: rounding moves less"),
    _default("mini_drift inception_drift", 0.002, "as drift between runs"),
    _default(f"{SECONDS}*", f"{SLOWDOWN:.0%}", "two processes of one version may differ by 2 %"),
    _default("params macs_* forwards_* *_params *_macs", "1%", "counted, not measured: growth below it is bookkeeping"),
)
"""By kind of metric, the first that fits; start values, to be set by what a suite's runs of equal code show."""

OTHERS = Default(("*",), Margin(0.02), "no kind that is known here")


def default_of(metric: str) -> Default:
    """The default of a metric."""
    return next((found for found in DEFAULTS if any_matches(found.metrics, metric)), OTHERS)


class Thresholds(BaseModel):
    """A thresholds file: rules of which the first that matches a row holds, the defaults after all of them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    level: float = Field(default=0.95, gt=0.5, lt=1)
    """Of all intervals together."""
    rule: tuple[Rule, ...] = ()

    def of(self, suite: str, method: str, metric: str) -> Rule:
        """The rule of a row."""
        for rule in self.rule:
            if rule.matches(suite, method, metric):
                return rule
        if metric.endswith("_excess"):  # the distance it is the excess of is judged
            return Rule(ignore=True)
        return Rule(margin=default_of(metric).margin)


def load_thresholds(path: Path | None) -> Thresholds:
    """Read a thresholds file; the defaults for None.

    Raises BenchError for a file that is missing or broken, an unknown key, a rule that demands nothing or two things.
    """
    if path is None:
        return Thresholds()
    try:
        data: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        return Thresholds.model_validate(data)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BenchError(f"thresholds '{path}': {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = [str(part + 1) if isinstance(part, int) else str(part) for part in first["loc"]]
        message = first["msg"].removeprefix("Value error, ")
        raise BenchError(": ".join(filter(None, (f"thresholds '{path}'", " ".join(where), message)))) from error
