"""Scenes read back: a rule-based reader of the pictures of ``scenes``, and whether a picture shows what a caption says.

It sees pixels alone. The background is fitted to the picture's border, objects are found by colour and each is fitted
by every shape, a face is found by its skin and measured feature by feature. What is read must explain what is seen: a
smear fits no shape, and a patch that nothing explains is an object too many. Positions are in pixels as in ``scenes``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import product
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..core.errors import BenchError
from .scene_captions import HAIRSTYLES, MIRRORED, SHAPES, Caption, FaceWords, Relation, read_caption
from .scenes import (
    BACKGROUND_RGB,
    HAIR_RGB,
    LIP_RGB,
    RADII,
    RGB,
    SIZE,
    SKIN_RGB,
    Face,
    Ground,
    Map,
    Rgb,
    Scene,
    shape_distance,
)

VERSION = 1
"""Rises whenever a change may give some picture another reading; figures of two versions are not compared."""

Mask: TypeAlias = NDArray[np.bool_]

BESIDE = 4.0
"""Pixels by which the centres of objects differ that are beside or above each other; scenes have at least 10."""
LEAST_OVERLAP = 8
"""Pixels that two fitted shapes share where one is in front of the other; scenes have at least 16."""


@dataclass(frozen=True)
class SeenObject:
    """One object; ``shape`` and ``colour`` are None where it has none of the known ones."""

    shape: str | None
    colour: str | None
    x: float
    y: float
    radius: float
    fit: float
    """How much of shape and picture agrees: intersection over union, 0 to 1."""
    mask: Mask = field(repr=False, compare=False)
    """Where it is seen: (H, W)."""

    @property
    def size(self) -> str:
        """The size word whose radii, ``scenes.RADII``, are nearest."""
        return min(RADII, key=lambda size: max(RADII[size][0] - self.radius, self.radius - RADII[size][1]))

    @property
    def extent(self) -> Mask:
        """Where it would be seen were nothing in front: (H, W)."""
        if self.shape is None:
            return self.mask
        inside: Mask = shape_distance(self.shape, _X - self.x, _Y - self.y, self.radius) < 0
        return inside

    def in_front_of(self, other: SeenObject) -> bool:
        """Whether both overlap and the overlap shows this one."""
        overlap = self.extent & other.extent
        return bool(overlap.sum() >= LEAST_OVERLAP and (overlap & self.mask).sum() > overlap.sum() / 2)


@dataclass(frozen=True)
class SeenFace:
    """A face; ``hair`` is None where the hair has none of the known colours."""

    expression: str
    hairstyle: str
    hair: str | None
    gaze: str
    pose: str
    landmarks: NDArray[np.float64] = field(repr=False, compare=False)
    """Positions (x, y) of ``scenes.LANDMARKS``: (10, 2); a nose that is not seen is taken to be in its usual place."""
    head: Mask = field(repr=False, compare=False)
    """Where the head is, a fringe of hair included: (H, W)."""
    drawn: Face = field(repr=False, compare=False)
    """The face as scenes would draw it."""

    @property
    def nearness(self) -> Map:
        """``Scene.depth`` of the face as scenes would draw it: (H, W), 0 to 1."""
        anywhere = Ground("white", "plain", BACKGROUND_RGB["white"], 0.0)
        return Scene(Caption(), anywhere, face=self.drawn).depth


@dataclass(frozen=True)
class Reading:
    """What a picture shows; ``background`` is None where it has none of the known colours."""

    objects: tuple[SeenObject, ...]
    """What is nearer comes before what it hides; patches that no shape explains come last."""
    face: SeenFace | None
    background: str | None
    pattern: str


@dataclass(frozen=True)
class Obedience:
    """Which parts of its caption a picture obeys; it obeys what the caption does not mention."""

    objects: bool
    """Shapes and colours are exactly the caption's: none is missing, none too many."""
    sizes: bool
    relations: bool
    face: bool
    """A face is there and as described, or none is there and none is described."""
    background: bool
    """Colour and pattern."""

    @property
    def right(self) -> bool:
        """Whether shape, colour and relations of every object, or the face, are right; sizes and background apart."""
        return self.objects and self.relations and self.face


def read_picture(pixels: NDArray[np.uint8]) -> Reading:
    """Read a picture: uint8, (64, 64, 3), RGB; raises BenchError for any other array."""
    if pixels.shape != (SIZE, SIZE, 3) or pixels.dtype != np.uint8:
        raise BenchError(f"scenes are read from pictures of 64×64×3 uint8, not {pixels.shape} {pixels.dtype}")
    return _read(pixels.tobytes())


@lru_cache(maxsize=256)
def _read(content: bytes) -> Reading:
    """Read the bytes of a picture; kept, since several metrics ask for it."""
    pixels = np.frombuffer(content, np.uint8).reshape(SIZE, SIZE, 3)
    rgb, lab = pixels.astype(np.float64), _lab(pixels)
    ground = _read_ground(rgb)
    face, outline = _read_face(rgb, lab, ground.image)
    objects = tuple(_read_objects(rgb, lab, ground.image, ~outline))
    return Reading(objects, face, ground.colour, ground.pattern)


def compare(reading: Reading, caption: Caption) -> Obedience:
    """Compare what a picture shows with what a caption says.

    Where several objects could be the one that the caption means, the choice that obeys most counts.
    """
    obeyed = [
        (
            all(_holds(relation, chosen) for relation in caption.relations),
            all(said.size in (None, seen.size) for said, seen in zip(caption.objects, chosen, strict=True)),
        )
        for chosen in _choices(reading, caption)
    ]
    unsaid = not caption.relations, all(said.size is None for said in caption.objects)
    relations, sizes = max(obeyed, default=unsaid)
    shown = sorted((seen.shape or "", seen.colour or "") for seen in reading.objects)
    return Obedience(
        objects=shown == sorted((said.shape, said.colour) for said in caption.objects),
        sizes=sizes,
        relations=relations,
        face=_face_obeys(reading.face, caption.face),
        background=caption.background in (None, reading.background) and caption.pattern in (None, reading.pattern),
    )


def caption_accuracy(pixels: NDArray[np.uint8], caption_text: str) -> float:
    """Return 1.0 where a picture shows each object, relation and face attribute of its caption and no more, else 0.0.

    Raises BenchError for a text that is no caption of scenes, and for a picture that ``read_picture`` does not take.
    """
    caption = read_caption(caption_text)
    if caption is None:
        raise BenchError(f"'{caption_text}' is no caption of scenes, such as 'a red circle left of a blue square'")
    return float(compare(read_picture(pixels), caption).right)


def landmark_error(face: SeenFace, truth: NDArray[np.float64]) -> float:
    """Return the mean distance in pixels between a face's landmarks and the true ones: (10, 2)."""
    return float(np.linalg.norm(face.landmarks - truth, axis=1).mean())


def _choices(reading: Reading, caption: Caption) -> Iterator[tuple[SeenObject, ...]]:
    """All choices of seen objects, each once, with the shapes and colours of the caption's objects."""
    candidates = [
        [
            number
            for number, seen in enumerate(reading.objects)
            if (seen.shape, seen.colour) == (said.shape, said.colour)
        ]
        for said in caption.objects
    ]
    for chosen in product(*candidates):
        if len(set(chosen)) == len(chosen):
            yield tuple(reading.objects[number] for number in chosen)


def _holds(relation: Relation, chosen: tuple[SeenObject, ...]) -> bool:
    if relation.name in ("right of", "below", "behind"):
        return _holds(Relation(relation.target, MIRRORED[relation.name], relation.subject), chosen)
    subject, target = chosen[relation.subject], chosen[relation.target]
    if relation.name == "in front of":
        return subject.in_front_of(target)
    apart = target.x - subject.x if relation.name == "left of" else target.y - subject.y
    return apart > BESIDE


def _face_obeys(face: SeenFace | None, words: FaceWords | None) -> bool:
    if face is None or words is None:
        return face is None and words is None
    seen = (face.expression, face.hairstyle, face.hair, face.gaze, face.pose)
    said = (words.expression, words.hairstyle, words.hair, words.gaze, words.pose)
    return all(word in (None, shown) for word, shown in zip(said, seen, strict=True))


# Colours -------------------------------------------------------------------------------------------------------------

SAME_COLOUR = 25.0
"""Most distance in CIELAB of what bears the name of a colour; jitter and a lossy codec move colours by less than 15."""
CONTRAST = 60.0
"""Distance in RGB from which a pixel is other than it is taken for, whatever a lossy codec did to it."""

_LINEAR = np.where(
    np.arange(256) <= 0.04045 * 255, np.arange(256) / 255 / 12.92, ((np.arange(256) / 255 + 0.055) / 1.055) ** 2.4
)
"""The light that each value of sRGB stands for (IEC 61966-2-1)."""
_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
"""From light to CIE XYZ."""


def _lab(pixels: NDArray[np.uint8]) -> Map:
    """CIELAB, by the white of sRGB, of pixels (..., 3)."""
    xyz = _LINEAR[pixels] @ (_XYZ / _XYZ.sum(1, keepdims=True)).T
    x, y, z = np.moveaxis(np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz * (29 / 6) ** 2 / 3 + 4 / 29), -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def _rgb(colour: Map) -> Rgb:
    red, green, blue = (int(value) for value in np.clip(colour + 0.5, 0, 255))
    return red, green, blue


def _distance(image: Map, colours: Map | Rgb) -> Map:
    """Distances of pixels (..., 3) from one colour, or each from its own."""
    difference = image - np.asarray(colours, dtype=np.float64)
    distance: Map = np.sqrt(np.einsum("...c,...c", difference, difference))
    return distance


def _nearest(rgb: Map, palette: dict[str, Rgb]) -> str | None:
    """Name of the nearest colour of a palette; None where even that is another colour."""
    distances = _distance(
        _lab(np.array(list(palette.values()), dtype=np.uint8)), _lab(np.array(_rgb(rgb), dtype=np.uint8))
    )
    return list(palette)[int(distances.argmin())] if distances.min() < SAME_COLOUR else None


# Masks ---------------------------------------------------------------------------------------------------------------

_Y, _X = np.mgrid[0:SIZE, 0:SIZE].astype(np.float64)


def _eroded(mask: Mask) -> Mask:
    """Pixels that are in a mask with all of their eight neighbours."""
    inner = np.zeros_like(mask)
    rows = mask[:-2] & mask[1:-1] & mask[2:]
    inner[1:-1, 1:-1] = rows[:, :-2] & rows[:, 1:-1] & rows[:, 2:]
    return inner


def _dilated(mask: Mask, times: int = 1) -> Mask:
    """A mask and the eight neighbours of its pixels, so many times over."""
    wide = np.pad(mask, 1)
    rows = wide[:-2] | wide[1:-1] | wide[2:]
    grown = rows[:, :-2] | rows[:, 1:-1] | rows[:, 2:]
    return grown if times == 1 else _dilated(grown, times - 1)


def _opened(mask: Mask) -> Mask:
    """A mask without what is thinner than 3 pixels."""
    return _dilated(_eroded(mask))


def _filled(mask: Mask) -> Mask:
    """A mask and all that lies between two of its pixels in one row or column."""
    filled = np.zeros_like(mask)
    for axis in (0, 1):
        after = np.flip(np.logical_or.accumulate(np.flip(mask, axis), axis), axis)
        filled |= after & np.logical_or.accumulate(mask, axis)
    return filled


def _components(mask: Mask, least: int) -> list[Mask]:
    """Parts of a mask that hang together and have at least so many pixels, the largest first."""
    from scipy.ndimage import label

    labels, count = label(mask)
    areas = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    return [labels == number + 1 for number in np.argsort(-areas, kind="stable") if areas[number] >= least]


def _centre(mask: Mask) -> tuple[float, float]:
    return float(_X[mask].mean()), float(_Y[mask].mean())


# Background ----------------------------------------------------------------------------------------------------------

BORDER = 2
"""Width in pixels of the picture's border; no object of a scene reaches it."""
GROUND_SPREAD = 80.0
"""Most that a value of the background differs from what it is taken for; a corner of a shaded one does by 43."""
LEAST_STRIPE, LEAST_SHADE = 6.0, 8.0
"""Least brightness of stripes, and of shading at the picture's edge; scenes have 15 and 26, less where white clips."""

_WAVES = np.clip(3 * np.sin(2 * np.pi * (np.arange(SIZE) / 16 + np.arange(32)[:, None] / 32)), -1, 1)
"""The stripes of scenes, row by row, at 32 phases."""


@dataclass(frozen=True)
class _Ground:
    colour: str | None
    pattern: str
    image: Map


def _read_ground(rgb: Map) -> _Ground:
    """Fit the background to the picture's border: a colour, and stripes or shading in least squares."""
    border = np.ones((SIZE, SIZE), dtype=bool)
    border[BORDER:-BORDER, BORDER:-BORDER] = False
    base = np.median(rgb[border], 0)
    kept = border & (abs(rgb - base).max(-1) < GROUND_SPREAD)
    if not kept.any():
        return _Ground(None, "plain", np.broadcast_to(base, rgb.shape))
    level = (rgb[kept] - base).mean(-1)
    level -= level.mean()

    waves = _WAVES[:, _Y[kept].astype(int)]
    waves = waves - waves.mean(1, keepdims=True)
    power = np.square(waves).sum(1) + 1e-9
    heights = np.maximum(waves @ level, 0) / power
    phase = int((heights**2 * power).argmax())

    plane = np.stack([_X[kept], _Y[kept]], 1) - (_X[kept].mean(), _Y[kept].mean())
    slope = np.linalg.lstsq(plane, level, rcond=None)[0]

    pattern, brightness = "plain", np.zeros((SIZE, SIZE))
    if heights[phase] ** 2 * power[phase] > np.square(plane @ slope).sum():
        if heights[phase] > LEAST_STRIPE:
            pattern, brightness = "striped", heights[phase] * np.repeat(_WAVES[phase][:, None], SIZE, 1)
    elif np.hypot(*slope) * SIZE / 2 > LEAST_SHADE:
        pattern, brightness = "shaded", (_X - SIZE / 2) * slope[0] + (_Y - SIZE / 2) * slope[1]
    base = np.median(rgb[kept] - brightness[kept][:, None], 0)
    return _Ground(_nearest(base, BACKGROUND_RGB), pattern, np.clip(base + brightness[..., None], 0, 255))


# Objects -------------------------------------------------------------------------------------------------------------

VIVID = 26.0
"""Least chroma in CIELAB of an object's pixels: cyan has 38, a background 20 at most."""
CORE = 6
"""Least pixels of a colour all of whose neighbours have it; edges, where two colours mix to a third, have none."""
GOOD_FIT = 0.82
"""Least fit of a shape; a circle drawn out to an ellipse of 1.4 to 1 has 0.81."""
FLAT = 0.15
"""A pixel covered to less than this, or all but this, is taken for uncovered or covered: that is noise, not an edge."""
STRAY_AREA = 12
"""Least pixels of a patch that counts as an object though no shape explains it."""
NEAR = 2
"""Pixels around a shape, or between two objects, in which the one can be mistaken for the other."""
MOST_HIDDEN = 0.5
"""Most of a shape that may be hidden; scenes hide 0.35."""

WEAR, WORN_GROWTH = 1.0, (1, 1.06, 1.12)
"""Pixels by which corners may be rounded, and how much larger a shape may have been before that."""

_RADII = 4.5 * 1.06 ** np.arange(24)
"""Radii that are tried first, 4.5 to 17 pixels; scenes have 6 to 16."""


@dataclass(frozen=True)
class _Part:
    """What is seen of an object: its pixels, and how much of each pixel it covers, 0 to 1."""

    mask: Mask
    cover: Map


@dataclass(frozen=True)
class _Fit:
    shape: str
    x: float
    y: float
    radius: float
    overlap: float


def _read_objects(rgb: Map, lab: Map, ground: Map, free: Mask) -> Iterator[SeenObject]:
    """Find objects by their colours where ``free``, and fit them from the nearest to the farthest.

    Nearest is the one that a shape fits best as it is seen: a hidden one lacks a piece. What lies under it is unknown,
    so that the others are fitted again without its pixels.
    """
    parts = list(_parts(rgb, lab, ground, free))
    seen, explained = np.ones((SIZE, SIZE), dtype=bool), ~free
    fits = [_fit(part, seen) for part in parts]
    while parts:
        nearest = int(np.argmax([fit.overlap for fit in fits]))
        part, fit = parts.pop(nearest), fits.pop(nearest)
        shape = fit.shape if fit.overlap >= GOOD_FIT else None
        colour = _nearest(np.median(rgb[_eroded(part.mask)], 0), RGB)
        found = SeenObject(shape, colour, fit.x, fit.y, fit.radius, fit.overlap, part.mask)
        yield found
        seen &= ~_dilated(part.mask)  # its edge is a mixture
        explained |= _dilated(found.extent, NEAR)
        around = _dilated(part.mask, NEAR)
        fits = [
            _fit(other, seen) if (around & other.mask).any() else old for other, old in zip(parts, fits, strict=True)
        ]
    for patch in _components((_distance(rgb, ground) > CONTRAST) & ~explained, STRAY_AREA):
        radius = float(np.sqrt(patch.sum() / np.pi))
        yield SeenObject(None, _nearest(np.median(rgb[patch], 0), RGB), *_centre(patch), radius, 0.0, patch)


def _parts(rgb: Map, lab: Map, ground: Map, free: Mask) -> Iterator[_Part]:
    """Take the picture apart by colour; pieces of one colour are one part where one shape explains them."""
    vivid = (np.hypot(lab[..., 1], lab[..., 2]) > VIVID) & free
    palette = _lab(np.array(list(RGB.values()), dtype=np.uint8))
    known = np.array([_distance(lab, colour) for colour in palette]).argmin(0)
    cores = [_eroded(vivid & (known == number)) for number in range(len(RGB))]
    colours = [np.median(rgb[core], 0) for core in cores if core.sum() >= CORE]
    distances = np.array([_distance(rgb, colour) for colour in (ground, *colours)])
    nearest = distances.argmin(0)
    for number in range(1, len(distances)):
        rest = np.delete(distances, number, 0).min(0)
        mixed = rest / (rest + distances[number] + 1e-9)  # the share of this colour where it mixes with another
        cover = np.clip((mixed - FLAT) / (1 - 2 * FLAT), 0, 1)
        pieces = [piece for piece in _components((nearest == number) & free, CORE) if _eroded(piece).sum() >= CORE]
        if len(pieces) > 1:
            whole = _part(np.any(pieces, 0), cover)
            hiding = (nearest != 0) & (nearest != number)
            if _fit(whole, ~_dilated(hiding)).overlap >= GOOD_FIT:
                pieces = [whole.mask]
        yield from (_part(piece, cover) for piece in pieces)


def _part(mask: Mask, cover: Map) -> _Part:
    """A part of a colour that covers its pixels and, in part, those beside them."""
    return _Part(mask, cover * _dilated(mask))


@lru_cache(maxsize=1)
def _templates() -> tuple[NDArray[np.int64], NDArray[np.complex64]]:
    """All shapes at all radii: their areas, and the conjugate Fourier transforms of their masks around the origin."""
    x, y = (_X + SIZE // 2) % SIZE - SIZE // 2, (_Y + SIZE // 2) % SIZE - SIZE // 2
    masks = np.array([[shape_distance(shape, x, y, radius) < 0 for radius in _RADII] for shape in SHAPES])
    return masks.sum((2, 3)), np.conj(np.fft.rfft2(masks.astype(np.float32)))


def _fit(part: _Part, seen: Mask) -> _Fit:
    """Fit every shape to a part, judged by the pixels ``seen``, and keep the one that fits best.

    All places and radii are tried by correlation, which gives the squared error up to a constant; the three shapes
    that are best then are moved to where they fit best.
    """
    areas, transforms = _templates()
    gain = np.fft.rfft2((seen * (2 * part.cover - 1)).astype(np.float32))
    visible = part.mask.sum()
    starts = []
    for number, shape in enumerate(SHAPES):
        tried = (areas[number] > 0.85 * visible) & (areas[number] < visible / (1 - MOST_HIDDEN))
        if tried.any():
            gains = np.fft.irfft2(gain * transforms[number, tried], s=(SIZE, SIZE))
            radius, y, x = np.unravel_index(gains.argmax(), gains.shape)
            starts.append((float(gains.max()), shape, np.array([x, y, _RADII[tried][radius]])))
    starts.sort(key=lambda start: -start[0])
    fits = [_refined(part, seen, shape, place) for _, shape, place in starts[:3]]
    return max(fits, key=lambda fit: fit.overlap, default=_Fit(SHAPES[0], *_centre(part.mask), 0.0, 0.0))


def _refined(part: _Part, seen: Mask, shape: str, place: NDArray[np.float64]) -> _Fit:
    """Move and grow a shape from a place (x, y, radius) to where it fits best in least squares, by Gauss-Newton."""
    column, row, reach = round(place[0]), round(place[1]), int(1.2 * place[2]) + 6  # the shape wherever it moves
    window = np.s_[max(row - reach, 0) : row + reach + 1, max(column - reach, 0) : column + reach + 1]
    target = part.cover[window] * seen[window]
    step = 0.25  # pixels; the slopes are differences
    for _ in range(5):
        covers = _covers(shape, place + step * np.vstack([np.zeros(3), np.eye(3)]), window) * seen[window]
        slopes = ((covers[1:] - covers[0]) / step).reshape(3, -1)
        change = np.linalg.solve(slopes @ slopes.T + 1e-3 * np.eye(3), slopes @ (target - covers[0]).ravel())
        place = place + np.clip(change, -1, 1)
    worn = _worn(_covers(shape, place * np.array([[1, 1, grown] for grown in WORN_GROWTH]), window))
    covers = np.concatenate([_covers(shape, place[None], window), worn]) * seen[window]
    both = np.minimum(covers, target).sum((1, 2))
    either = covers.sum((1, 2)) + (part.cover * seen).sum() - both
    x, y, radius = (float(value) for value in place)
    return _Fit(shape, x, y, radius, float((both / np.maximum(either, 1e-9)).max()))


def _worn(covers: Map) -> Map:
    """Shapes (n, h, w) with their corners rounded, as a lossy codec leaves them."""
    from scipy.ndimage import gaussian_filter

    blurred: Map = gaussian_filter(covers, (0, WEAR, WEAR))
    return np.clip((blurred - 0.5) * 2 * WEAR + 0.5, 0, 1)


def _covers(shape: str, places: NDArray[np.float64], window: tuple[slice, slice]) -> Map:
    """How much of each pixel of a window a shape covers at places (n, 3), x, y and radius: (n, h, w), 0 to 1."""
    x, y, radius = places.T[:, :, None, None]
    return np.clip(0.5 - shape_distance(shape, _X[window] - x, _Y[window] - y, radius), 0, 1)


# Face ----------------------------------------------------------------------------------------------------------------

SCLERA_GREY, PUPIL_GREY = 248.0, 27.0
"""Eyes are grey, from the pupil to the white."""
NOSE_SHADE = 0.72
"""The nose is as much darker than the skin."""
NOSE_DOWN = 0.48
"""Where the nose is, from the eyes to the mouth; it is taken to be there where it has no contrast left."""
SKIN_TONE = 16.0
"""Most distance in CIELAB of skin from a known tone."""
SKIN_SPREAD = 35.0
"""Most distance in RGB of skin from its tone: half the contrast to the white of the eye, or to a nose."""
SKIN_AREA, EYE_AREA, PUPIL_AREA, MOUTH_AREA, NOSE_AREA = 300, 25, 4, 15, 3
"""Least pixels of what is taken for skin and features; scenes have twice as many or more."""
GOOD_FACE = 0.9
"""Least share of a face that looks as if drawn from what was read of it."""

EYES_ABOVE = 0.08
"""From the head's middle up to the eyes, in half heights of the head, as scenes draw faces."""
EYES_APART = 0.76
"""From eye to eye, in half widths of the head; the offsets and the width that follow are in units of this distance."""
LEAST_GAZE = 0.12 / EYES_APART / 2
"""Offset of the pupils from which on they look aside: half of what scenes have."""
LEAST_TURN = 0.2 / EYES_APART / 2
"""Offset of the eyes' middle from the head's from which on it is turned: half of what scenes have."""
LEAST_MOUTH = 0.8
"""Width from which on a mouth is not round; scenes have 0.5 where surprised, else 1.1."""
LEAST_BEND = 2.0
"""Pixels between the mouth's middle and its corners from which on it is bent; scenes have 4."""


def _read_face(rgb: Map, lab: Map, ground: Map) -> tuple[SeenFace | None, Mask]:
    """Read a face; None where there is none with eyes and a mouth. Return also the mask of what it explains."""
    nothing = None, np.zeros((SIZE, SIZE), dtype=bool)
    skin, tone = _find_skin(rgb, lab, ground)
    if not skin.any():
        return nothing
    top, middle = int(_Y[skin].min()), int(np.median(_X[skin]))
    if top < 5:  # no room for hair
        return nothing
    hair = np.median(rgb[max(top - 8, 0) : top - 2, max(middle - 5, 0) : middle + 6], (0, 1))
    like_skin = (_distance(rgb, tone) < _distance(rgb, hair)) & (_distance(rgb, tone) < _distance(rgb, ground))
    head = _opened(_filled(skin | (like_skin & _dilated(skin))))
    marks = _landmarks(rgb, head, tone)
    if marks is None:
        return nothing
    face, outline = _explained(rgb, ground, _described(marks, tone, hair))
    if not outline.any():
        return nothing
    said = face.expression, face.hairstyle, face.hair or None, face.gaze, face.pose
    return SeenFace(*said, marks, face.head, face), outline


def _find_skin(rgb: Map, lab: Map, ground: Map) -> tuple[Mask, Map]:
    """Find the largest patch of skin, an empty mask where there is none, and its tone."""
    best, best_tone = np.zeros((SIZE, SIZE), dtype=bool), np.zeros(3)
    to_ground = _distance(rgb, ground)
    for known in SKIN_RGB:
        tone_lab = _lab(np.array(known, dtype=np.uint8))
        near = (_distance(lab, tone_lab) < SKIN_TONE) & (_distance(rgb, known) < to_ground)
        if near.sum() < SKIN_AREA:
            continue
        tone = np.median(rgb[near], 0)
        distance = _distance(rgb, tone)
        patches = _components((distance < SKIN_SPREAD) & (distance < to_ground), SKIN_AREA)
        if patches and patches[0].sum() > best.sum():
            best, best_tone = patches[0], tone
    return best, best_tone


def _landmarks(rgb: Map, head: Mask, tone: Map) -> NDArray[np.float64] | None:
    """Measure the landmarks on a head: (10, 2); None where eyes or mouth are missing."""
    grey = rgb.mean(-1)
    eye = np.clip(grey, PUPIL_GREY, SCLERA_GREY)[..., None]
    nearest = np.array([_distance(rgb, colour) for colour in (tone, NOSE_SHADE * tone, LIP_RGB, eye)]).argmin(0)
    lips, eyes = head & (nearest == 2), _opened(head & (nearest == 3))
    dark = grey < (PUPIL_GREY + SCLERA_GREY) / 2
    found = [piece for piece in _components(eyes, EYE_AREA) if (piece & dark).sum() >= PUPIL_AREA]
    if len(found) != 2:
        return None
    marks = np.zeros((10, 2))
    for number, piece in enumerate(sorted(found, key=_centre)):
        marks[number], marks[2 + number] = _centre(_filled(piece)), _centre(piece & dark)
    spread, slant = marks[1] - marks[0]
    if spread < 2 * abs(slant):  # not side by side
        return None
    across, below = (_X - marks[:2, 0].mean()) / spread, (_Y - marks[:2, 1].mean()) / spread

    mouths = _components(lips & (below > 0.4), MOUTH_AREA)
    if not mouths:
        return None
    mouth = mouths[0]
    left, right = _X[mouth].min(), _X[mouth].max()
    marks[5] = left - 0.5, _centre(mouth & (abs(_X - left) < 2))[1]
    marks[6] = right + 0.5, _centre(mouth & (abs(_X - right) < 2))[1]
    column = mouth & (abs(_X - (left + right) / 2) <= 1)
    if not column.any():
        return None
    half = column.sum() / column.any(0).sum() / 2
    marks[7:9] = _centre(column)
    marks[7:9, 1] += -half, half

    between = head & ~_dilated(eyes | mouth) & (abs(across) < 0.35) & (below > 0.2) & (below < 0.7)
    nose = between & (1 - grey / tone.mean() > 0.4 * (1 - NOSE_SHADE))
    if nose.sum() >= NOSE_AREA:
        marks[4] = _centre(nose)
    else:
        marks[4] = marks[:2].mean(0) + NOSE_DOWN * (marks[5:9].mean(0) - marks[:2].mean(0))
    marks[9] = _chin(head, marks[:2, 1].mean(), marks[5:7, 1].mean())
    return marks


def _chin(head: Mask, eye_level: float, mouth_level: float) -> tuple[float, float]:
    """Position of the chin: below the middle of a head, which is measured from its eyes to its mouth."""
    rows = head[int(eye_level) : int(mouth_level) + 1]
    left, right = rows.argmax(1), SIZE - 1 - rows[:, ::-1].argmax(1)
    x = float(np.median(left + right)) / 2
    bottom = SIZE - 1 - head[::-1, round(x) - 1 : round(x) + 2].argmax(0)
    return x, float(np.median(bottom)) + 0.5


def _described(marks: NDArray[np.float64], tone: Map, hair: Map) -> Face:
    """The face that has such landmarks and colours, as scenes draw faces; its hairstyle is not known yet."""
    eyes, pupils, corners, lips = (marks[i : i + 2] for i in (0, 2, 5, 7))
    x, chin = (float(value) for value in marks[9])
    spread, level = float(eyes[1, 0] - eyes[0, 0]), float(eyes[:, 1].mean())
    bend = lips[:, 1].mean() - corners[:, 1].mean()
    if corners[1, 0] - corners[0, 0] < LEAST_MOUTH * spread:
        expression = "surprised"
    else:
        expression = "neutral" if abs(bend) < LEAST_BEND else "smiling" if bend > 0 else "sad"
    half_height = (chin - level) / (1 + EYES_ABOVE)
    return Face(
        x=x,
        y=chin - half_height,
        half_width=spread / EYES_APART,
        half_height=half_height,
        expression=expression,
        hairstyle=HAIRSTYLES[0],
        hair=_nearest(hair, HAIR_RGB) or "",
        gaze=_side((pupils - eyes)[:, 0].mean() / spread, LEAST_GAZE, "ahead"),
        pose=_side((eyes[:, 0].mean() - x) / spread, LEAST_TURN, "forward"),
        skin_rgb=_rgb(tone),
        hair_rgb=_rgb(hair),
    )


def _side(offset: float, least: float, straight: str) -> str:
    return straight if abs(offset) < least else "left" if offset < 0 else "right"


def _explained(rgb: Map, ground: Map, face: Face) -> tuple[Face, Mask]:
    """Draw a face with each hairstyle: the one that is nearer to the picture, and what it explains.

    The mask is empty where the picture does not look like the drawing.
    """
    drawings = []
    for hairstyle in HAIRSTYLES:
        drawn = replace(face, hairstyle=hairstyle)
        image, outline = ground, np.zeros((SIZE, SIZE), dtype=bool)
        for coverage, colour in drawn.layers():
            image = image + coverage[..., None] * (np.array(colour) - image)
            outline |= coverage > 0
        drawings.append((drawn, outline, _distance(rgb, image)))
    drawn, outline, error = min(drawings, key=lambda drawing: float(np.square(drawing[2]).sum()))
    outline = _dilated(outline, NEAR)
    other = _opened((error > CONTRAST) & outline)
    return drawn, outline & bool(other.sum() <= (1 - GOOD_FACE) * outline.sum())
