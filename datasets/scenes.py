"""Scenes: procedural 64×64 pictures with captions and exact ground truth, the data of the mini world.

A scene is frozen data; its caption, picture, masks, boxes, depth and landmarks all follow from it, so that an edited
scene (``dataclasses.replace``) has its own exact truth. Everything is drawn from signed distances, antialiased to
one pixel. Positions are in pixels, x to the right and y down, from the centre of the top left pixel.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Literal, NamedTuple, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .scene_captions import (
    BACKGROUNDS,
    COLOURS,
    DEPTH_RELATIONS,
    EXPRESSIONS,
    GAZES,
    HAIR_COLOURS,
    HAIRSTYLES,
    PATTERNS,
    POSES,
    RELATIONS,
    SHAPES,
    Caption,
    FaceWords,
    ObjectWords,
    Relation,
)

SIZE = 64
"""Height and width of a picture."""
SPLITS = ("train", "validation")
Split: TypeAlias = Literal["train", "validation"]
Rgb: TypeAlias = tuple[int, int, int]
Map: TypeAlias = NDArray[np.float64]

RGB: dict[str, Rgb] = {
    "red": (215, 40, 40),
    "orange": (242, 138, 28),
    "yellow": (240, 222, 50),
    "green": (48, 160, 70),
    "cyan": (60, 205, 215),
    "blue": (45, 80, 205),
    "purple": (145, 60, 175),
}
BACKGROUND_RGB: dict[str, Rgb] = {
    "white": (240, 240, 240),
    "grey": (145, 145, 145),
    "black": (32, 32, 32),
    "cream": (243, 232, 205),
    "mint": (196, 228, 206),
    "sky": (192, 214, 238),
}
SKIN_RGB: tuple[Rgb, ...] = ((250, 218, 190), (214, 164, 120), (150, 106, 76))
HAIR_RGB: dict[str, Rgb] = {
    "black": (34, 30, 32),
    "brown": (96, 60, 32),
    "blond": (236, 204, 100),
    "red": (190, 72, 34),
}
LIP_RGB: Rgb = (165, 35, 55)
RADII = {"small": (6.0, 7.5), "medium": (9.0, 11.0), "large": (13.0, 16.0)}
LANDMARKS = (
    "left eye",
    "right eye",
    "left pupil",
    "right pupil",
    "nose",
    "mouth left",
    "mouth right",
    "mouth top",
    "mouth bottom",
    "chin",
)
"""Left and right are the viewer's."""

KINDS = {"face": 0.2, "1": 0.25, "2": 0.35, "3": 0.2}
"""How often a picture holds a face, or so many objects."""
MENTIONED = 0.8
"""How often a caption mentions what it may leave out."""
HELD_OUT = 8
"""One caption in so many belongs to the validation split."""
MARGIN = 2.0
"""Pixels between objects that do not overlap, and between an object and the picture's border."""

CLEARLY = 10.0
"""Pixels between the centres of objects of which one is left of, right of, above or below the other."""
TRIES = 40
"""Places tried for the objects of a scene before other objects are drawn."""

_Y, _X = np.mgrid[0:SIZE, 0:SIZE].astype(np.float64)


def shape_distance(shape: str, x: Map, y: Map, radius: float | Map) -> Map:
    """Return the signed distance in pixels, negative inside, of points (x, y) from a shape centred at the origin.

    ``radius`` is the circle's; the other shapes have sizes that look alike beside it.
    """
    distance: Map
    if shape == "circle":
        distance = np.hypot(x, y) - radius
    elif shape == "square":
        distance = np.maximum(abs(x), abs(y)) - 0.9 * radius
    elif shape == "diamond":
        distance = (abs(x) + abs(y) - 1.2 * radius) / np.sqrt(2)
    elif shape == "triangle":  # corners at (0, -r) and (±r, r)
        distance = np.maximum((2 * abs(x) - y - radius) / np.sqrt(5), y - radius)
    elif shape == "cross":
        long, short = 1.05 * radius, 0.36 * radius
        bars = np.maximum(abs(x) - long, abs(y) - short), np.maximum(abs(x) - short, abs(y) - long)
        distance = np.minimum(*bars)
    else:
        raise ValueError(f"unknown shape '{shape}'")
    return distance


@dataclass(frozen=True)
class Thing:
    """One object of a scene."""

    shape: str
    colour: str
    size: str
    x: float
    y: float
    radius: float
    rgb: Rgb

    @property
    def distance(self) -> Map:
        """Signed distance of each pixel from its outline, in pixels, negative inside: (H, W)."""
        return shape_distance(self.shape, _X - self.x, _Y - self.y, self.radius)

    @property
    def inside(self) -> NDArray[np.bool_]:
        """Where it is, were nothing in front: (H, W)."""
        return self.distance < 0

    @property
    def coverage(self) -> Map:
        """How much of each pixel it covers, were nothing in front: (H, W), 0 to 1."""
        return _coverage(self.distance)


@dataclass(frozen=True)
class Face:
    """A drawn face: where it is, how wide and high (half axes), and its features."""

    x: float
    y: float
    half_width: float
    half_height: float
    expression: str
    hairstyle: str
    hair: str
    gaze: str
    pose: str
    skin_rgb: Rgb
    hair_rgb: Rgb

    @property
    def landmarks(self) -> NDArray[np.float64]:
        """Positions (x, y) of ``LANDMARKS``: (10, 2)."""
        middle = self.x + 0.2 * self.half_width * _SIDE[self.pose]
        eye_y, mouth_y = self.y - 0.08 * self.half_height, self.y + 0.5 * self.half_height
        eyes = [(middle + side * 0.38 * self.half_width, eye_y) for side in (-1, 1)]
        pupils = [(x + 0.12 * self.half_width * _SIDE[self.gaze], y) for x, y in eyes]
        nose = (middle + 0.06 * self.half_width * _SIDE[self.pose], self.y + 0.2 * self.half_height)
        half, bend, thick = self._mouth
        corners, centre = mouth_y - bend / 2, mouth_y + bend / 2
        mouth = [(middle - half - thick, corners), (middle + half + thick, corners)]
        if self.expression == "surprised":
            mouth = [(middle - half, mouth_y), (middle + half, mouth_y)]
            lips = [(middle, mouth_y - bend), (middle, mouth_y + bend)]
        else:
            lips = [(middle, centre - thick), (middle, centre + thick)]
        return np.array([*eyes, *pupils, nose, *mouth, *lips, (self.x, self.y + self.half_height)])

    @property
    def _mouth(self) -> tuple[float, float, float]:
        """Half width of the mouth, how far its middle is below its corners, and half the thickness of its stroke."""
        if self.expression == "surprised":
            return 0.2 * self.half_width, 0.2 * self.half_height, 0.0
        return 0.36 * self.half_width, {"smiling": 4.0, "sad": -4.0, "neutral": 0.0}[self.expression], 1.3

    @property
    def head(self) -> NDArray[np.bool_]:
        """Where the head is, a fringe of hair included: (H, W)."""
        return _ellipse(_X - self.x, _Y - self.y, self.half_width, self.half_height) < 0

    def layers(self) -> Iterator[tuple[Map, Rgb]]:
        """What is painted, one after the other: coverage and colour."""
        a, b = self.half_width, self.half_height
        x, y = _X - self.x, _Y - self.y
        head = _ellipse(x, y, a, b)
        outer = _ellipse(x, y, a + 3.5, b + 4)
        if self.hairstyle == "long":
            outer = np.minimum(outer, np.maximum(abs(x) - (a + 3.5), abs(y - 0.45 * b) - 0.45 * b))
            yield _coverage(outer), self.hair_rgb
        else:
            yield _coverage(np.maximum(outer, y + 0.2 * b)), self.hair_rgb
        yield _coverage(np.maximum(head, -y - 0.55 * b)), self.skin_rgb
        marks = self.landmarks
        for eye, pupil in ((0, 2), (1, 3)):
            socket = _ellipse(_X - marks[eye, 0], _Y - marks[eye, 1], 0.26 * a, 0.19 * b)
            yield _coverage(socket), (248, 248, 248)
            yield _coverage(np.hypot(_X - marks[pupil, 0], _Y - marks[pupil, 1]) - 0.12 * a), (25, 25, 30)
        nose = _ellipse(_X - marks[4, 0], _Y - marks[4, 1], 0.09 * a, 0.11 * b)
        yield _coverage(nose), _scaled(self.skin_rgb, 0.72)
        yield _coverage(self._mouth_distance(marks)), LIP_RGB

    def _mouth_distance(self, marks: NDArray[np.float64]) -> Map:
        half, bend, thick = self._mouth
        x, y = _X - marks[5:7, 0].mean(), _Y - (self.y + 0.5 * self.half_height)
        if self.expression == "surprised":
            return _ellipse(x, y, half, bend)
        inside = np.clip(x, -half, half)
        curve = bend * (0.5 - (inside / half) ** 2)
        slope = -2 * bend * inside / half**2
        distance: Map = np.hypot(x - inside, (y - curve) / np.sqrt(1 + slope**2)) - thick
        return distance


@dataclass(frozen=True)
class Ground:
    """The background."""

    colour: str
    pattern: str
    rgb: Rgb
    phase: float

    @property
    def image(self) -> NDArray[np.float64]:
        """The background alone: (H, W, 3), 0 to 255."""
        brightness = np.zeros((SIZE, SIZE))
        if self.pattern == "striped":  # horizontal, 16 pixels from stripe to stripe
            brightness = 15 * np.clip(3 * np.sin(2 * np.pi * (_Y / 16 + self.phase)), -1, 1)
        elif self.pattern == "shaded":  # from dark to bright along one of all directions
            across = (_X - SIZE / 2) * np.cos(2 * np.pi * self.phase) + (_Y - SIZE / 2) * np.sin(2 * np.pi * self.phase)
            brightness = 26 * across / (SIZE / 2)
        return np.clip(np.array(self.rgb, dtype=np.float64) + brightness[..., None], 0, 255)


@dataclass(frozen=True)
class Scene:
    """One to three objects, the first painted last and so nearest where ``order`` says it, or a face; on a background.

    ``order`` lists the objects' numbers from the farthest to the nearest. ``words`` is what the caption says.
    """

    words: Caption
    ground: Ground
    things: tuple[Thing, ...] = ()
    order: tuple[int, ...] = ()
    face: Face | None = None

    @property
    def caption(self) -> str:
        """The caption."""
        return self.words.text

    @property
    def image(self) -> NDArray[np.uint8]:
        """The picture: uint8, (64, 64, 3), RGB."""
        canvas = self.ground.image
        things = [self.things[number] for number in self.order]
        layers = self.face.layers() if self.face else ((thing.coverage, thing.rgb) for thing in things)
        for coverage, rgb in layers:
            canvas += coverage[..., None] * (np.array(rgb) - canvas)
        pixels: NDArray[np.uint8] = np.clip(canvas + 0.5, 0, 255).astype(np.uint8)
        return pixels

    @property
    def masks(self) -> NDArray[np.bool_]:
        """Where each object (or the head) is seen: (objects, H, W)."""
        if self.face:
            return self.face.head[None]
        whole = [thing.inside for thing in self.things]
        seen = list(whole)
        for place, number in enumerate(self.order):
            for nearer in self.order[place + 1 :]:
                seen[number] = seen[number] & ~whole[nearer]
        return np.array(seen)

    @property
    def boxes(self) -> NDArray[np.int64]:
        """The box of each mask: (objects, 4), left, top, right, bottom, the last two exclusive."""
        boxes = []
        for mask in self.masks:
            rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
            boxes.append((columns[0], rows[0], columns[-1] + 1, rows[-1] + 1))
        return np.array(boxes, dtype=np.int64)

    @property
    def depth(self) -> NDArray[np.float64]:
        """Nearness: (H, W), 0 for the background to 1 for what is nearest, as ControlNet's depth maps have it."""
        nearness = np.zeros((SIZE, SIZE))
        if self.face:
            x, y = (_X - self.face.x) / self.face.half_width, (_Y - self.face.y) / self.face.half_height
            for number, (coverage, _) in enumerate(self.face.layers()):
                if number == 0:
                    nearness = np.where(coverage > 0.5, 0.4, nearness)
                elif number == 1:
                    nearness = np.where(coverage > 0.5, 0.6 + 0.4 * np.sqrt(np.clip(1 - x**2 - y**2, 0, 1)), nearness)
            return nearness
        for place, number in enumerate(self.order, start=1):
            nearness[self.masks[number]] = 0.25 + 0.75 * place / len(self.order)
        return nearness

    @property
    def landmarks(self) -> NDArray[np.float64] | None:
        """Positions (x, y) of ``LANDMARKS``: (10, 2); None where there is no face."""
        return self.face.landmarks if self.face else None


def scene(index: int, split: Split = "train", seed: int = 0) -> Scene:
    """Return scene number ``index`` of a split; the same on every machine.

    No caption of the validation split is ever one of the train split, whatever the seeds.
    """
    (kind,) = _KINDS.pick(_stream(split, seed, index))
    for attempt in range(10_000):
        if drawn := _draw(_stream(split, seed, index, attempt), kind, split):
            return drawn
    raise AssertionError("no scene found")


def scenes(count: int, split: Split = "train", seed: int = 0, start: int = 0) -> Iterator[Scene]:
    """Yield ``count`` scenes of a split, in order."""
    return (scene(index, split, seed) for index in range(start, start + count))


def held_out(caption: str) -> bool:
    """Whether a caption belongs to the validation split; decided by its text alone."""
    return int.from_bytes(hashlib.sha256(caption.encode()).digest()[:4], "big") % HELD_OUT == 0


_SIDE = {"left": -1, "right": 1, "ahead": 0, "forward": 0}


def _coverage(distance: Map) -> Map:
    """Antialias: how much of a pixel lies inside, from its centre's distance."""
    return np.clip(0.5 - distance, 0, 1)


def _ellipse(x: Map, y: Map, a: float, b: float) -> Map:
    """Signed distance to an ellipse with half axes a and b, to first order."""
    scaled = np.hypot(x / a, y / b)
    return (scaled - 1) * scaled / np.maximum(np.hypot(x / a**2, y / b**2), 1e-9)


def _scaled(rgb: Rgb, factor: float) -> Rgb:
    red, green, blue = (round(value * factor) for value in rgb)
    return red, green, blue


def _jittered(rgb: Rgb, rng: np.random.Generator, most: int) -> Rgb:
    shifts = rng.integers(-most, most + 1, 3).tolist()
    red, green, blue = (min(max(value + shift, 0), 255) for value, shift in zip(rgb, shifts, strict=True))
    return red, green, blue


def _stream(*key: str | int) -> np.random.Generator:
    """A counter-based stream for a key, the same on every machine."""
    digest = hashlib.sha256(" ".join(("scene", *map(str, key))).encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "big")))


def _one_of(rng: np.random.Generator, options: Sequence[str]) -> str:
    """What ``rng.choice(options)`` gives, without making an array of them."""
    return options[int(rng.integers(len(options)))]


class _Often(NamedTuple):
    """Options, each as often as told; picked as ``rng.choice`` picks them."""

    options: tuple[str, ...]
    edges: list[float]

    @classmethod
    def of(cls, shares: Mapping[str, float]) -> Self:
        edges = np.cumsum(list(shares.values()))
        return cls(tuple(shares), (edges / edges[-1]).tolist())

    def pick(self, rng: np.random.Generator, count: int = 1) -> list[str]:
        return [self.options[bisect_right(self.edges, value)] for value in rng.random(count).tolist()]


_KINDS = _Often.of(KINDS)
_PATTERNS = _Often.of(dict(zip(PATTERNS, (0.5, 0.25, 0.25), strict=True)))
_SIZES = _Often.of(dict(zip(RADII, (0.3, 0.4, 0.3), strict=True)))


def _draw(rng: np.random.Generator, kind: str, split: Split) -> Scene | None:
    """Draw a scene; None where its caption belongs to another split, or its objects found no place."""
    colour, (pattern,) = _one_of(rng, BACKGROUNDS), _PATTERNS.pick(rng)
    ground = Ground(colour, pattern, _jittered(BACKGROUND_RGB[colour], rng, 6), float(rng.random()))
    if kind == "face":
        drawn = _draw_face(rng, ground)
        return drawn if _belongs(drawn.words, split) else None
    return _draw_objects(rng, ground, int(kind), split)


def _belongs(words: Caption, split: Split) -> bool:
    return held_out(words.text) == (split == "validation")


def _draw_face(rng: np.random.Generator, ground: Ground) -> Scene:
    hair = _one_of(rng, HAIR_COLOURS)
    face = Face(
        x=rng.uniform(29, 34),
        y=rng.uniform(32, 35),
        half_width=rng.uniform(16, 18),
        half_height=rng.uniform(18.5, 20.5),
        expression=_one_of(rng, EXPRESSIONS),
        hairstyle=_one_of(rng, HAIRSTYLES),
        hair=hair,
        gaze=_one_of(rng, GAZES),
        pose=_one_of(rng, POSES),
        skin_rgb=_jittered(SKIN_RGB[rng.integers(len(SKIN_RGB))], rng, 6),
        hair_rgb=_jittered(HAIR_RGB[hair], rng, 6),
    )
    expression, hairy, gaze, pose = rng.random(4) < MENTIONED
    words = FaceWords(
        expression=face.expression if expression else None,
        hairstyle=face.hairstyle if hairy else None,
        hair=face.hair if hairy else None,
        gaze=face.gaze if gaze else None,
        pose=face.pose if pose else None,
    )
    return Scene(Caption(face=words, background=ground.colour, pattern=ground.pattern), ground, face=face)


def _draw_objects(rng: np.random.Generator, ground: Ground, count: int, split: Split) -> Scene | None:
    colours = [COLOURS[number] for number in rng.choice(len(COLOURS), count, replace=False)]
    sizes = _SIZES.pick(rng, count)
    if sizes.count("large") > 1 and count == 3:  # no room
        return None
    relations = tuple(
        Relation(subject, _one_of(rng, RELATIONS), target)
        for subject, target in (((0, 1), (2, int(rng.integers(2))))[: count - 1])
    )
    things = tuple(
        Thing(_one_of(rng, SHAPES), colour, size, 0, 0, rng.uniform(*RADII[size]), _jittered(RGB[colour], rng, 8))
        for colour, size in zip(colours, sizes, strict=True)
    )
    order = [int(number) for number in rng.permutation(count)]
    for relation in relations:
        if relation.name in DEPTH_RELATIONS:
            nearer, farther = _by_depth(relation)
            if order.index(nearer) < order.index(farther):
                a, b = order.index(nearer), order.index(farther)
                order[a], order[b] = order[b], order[a]
    if any(_contradicts(relation, order) for relation in relations):
        return None
    # Which sizes are told is drawn with the places; a place is only looked for where some caption is of this split.
    captions = {said: words for said, words in _captions(things, relations, ground) if _belongs(words, split)}
    if not captions:
        return None
    draws = rng.random(TRIES * count * 2 + count)
    for trial in _clear(things, draws[: TRIES * count * 2].reshape(TRIES, count, 2), relations):
        placed = tuple(
            replace(thing, x=float(x), y=float(y)) for thing, (x, y) in zip(things, trial.places, strict=True)
        )
        if all(_overlap_seen(placed, order, *pair) for pair in _overlapping(relations)):
            start = (trial.number + 1) * count * 2
            mentioned = draws[start : start + count] < MENTIONED
            said = tuple(bool(mention) and _has_size(thing) for thing, mention in zip(things, mentioned, strict=True))
            return Scene(captions[said], ground, placed, tuple(order)) if said in captions else None
    return None


def _has_size(thing: Thing) -> bool:
    """Whether a caption may tell its size."""
    return thing.size != "medium"


def _captions(
    things: tuple[Thing, ...], relations: tuple[Relation, ...], ground: Ground
) -> Iterator[tuple[tuple[bool, ...], Caption]]:
    """Yield all captions of a scene, by which objects' sizes they tell."""
    for said in product(*((False, True) if _has_size(thing) else (False,) for thing in things)):
        words = tuple(
            ObjectWords(thing.shape, thing.colour, thing.size if told else None)
            for thing, told in zip(things, said, strict=True)
        )
        yield said, Caption(words, relations, background=ground.colour, pattern=ground.pattern)


class _Trial(NamedTuple):
    number: int
    places: Map
    """(objects, 2): x and y of each centre."""


def _clear(things: tuple[Thing, ...], draws: Map, relations: tuple[Relation, ...]) -> Iterator[_Trial]:
    """Yield those of the drawn places (trials, objects, 2) where objects stand as told, and clear of each other.

    Whether one that shall hide a part of another does so is left open.
    """
    radii = np.array([thing.radius for thing in things])
    reach = 1.2 * radii + MARGIN
    places = reach[:, None] + (SIZE - 1 - reach - reach)[:, None] * draws
    good = np.ones(len(places), dtype=bool)
    overlapping = _overlapping(relations)
    for first in range(len(things)):
        for second in range(first):
            between = abs(places[:, first] - places[:, second]).max(1) - 1.1 * (radii[first] + radii[second])
            good &= between <= 0 if (first, second) in overlapping else between >= MARGIN
    for relation in relations:
        shift = places[:, relation.subject] - places[:, relation.target]
        if relation.name in ("left of", "right of"):
            along, across = shift[:, 0], shift[:, 1]
        else:
            along, across = shift[:, 1], shift[:, 0]
        if relation.name in ("left of", "above"):
            along = -along
        if relation.name not in DEPTH_RELATIONS:
            good &= (along >= CLEARLY) & (along >= abs(across))
    return (_Trial(int(number), places[number]) for number in np.flatnonzero(good))


def _overlapping(relations: tuple[Relation, ...]) -> list[tuple[int, int]]:
    """The pairs of objects, the higher number first, one of which hides a part of the other."""
    pairs = [(relation.subject, relation.target) for relation in relations if relation.name in DEPTH_RELATIONS]
    return [(max(pair), min(pair)) for pair in pairs]


def _by_depth(relation: Relation) -> tuple[int, int]:
    """The nearer and the farther object of a relation of depth."""
    if relation.name == "in front of":
        return relation.subject, relation.target
    return relation.target, relation.subject


def _contradicts(relation: Relation, order: list[int]) -> bool:
    if relation.name not in DEPTH_RELATIONS:
        return False
    nearer, farther = _by_depth(relation)
    return order.index(nearer) < order.index(farther)


def _overlap_seen(things: tuple[Thing, ...], order: list[int], first: int, second: int) -> bool:
    """Whether the nearer of two objects hides enough of the farther to be seen in front of it, and not too much."""
    nearer, farther = (first, second) if order.index(first) > order.index(second) else (second, first)
    front, back = things[nearer].inside, things[farther].inside
    hidden = int((front & back).sum())
    return hidden >= 16 and 0.08 <= hidden / int(back.sum()) <= 0.35
