"""The captions of scenes: a small grammar, written and read.

``a large red circle left of a small blue square on a striped grey background`` and
``a smiling face with long brown hair looking left and turned right on a white background``. What a caption does not
mention (a size, a gaze) is free.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields

SHAPES = ("circle", "square", "triangle", "diamond", "cross")
COLOURS = ("red", "orange", "yellow", "green", "cyan", "blue", "purple")
SIZES = ("small", "medium", "large")
RELATIONS = ("left of", "right of", "above", "below", "in front of", "behind")
DEPTH_RELATIONS = ("in front of", "behind")
BACKGROUNDS = ("white", "grey", "black", "cream", "mint", "sky")
PATTERNS = ("plain", "striped", "shaded")
EXPRESSIONS = ("neutral", "smiling", "sad", "surprised")
HAIRSTYLES = ("short", "long")
HAIR_COLOURS = ("black", "brown", "blond", "red")
GAZES = ("ahead", "left", "right")
POSES = ("forward", "left", "right")

MIRRORED = {
    "left of": "right of",
    "right of": "left of",
    "above": "below",
    "below": "above",
    "in front of": "behind",
    "behind": "in front of",
}
"""The same relation seen from the other object."""


@dataclass(frozen=True)
class ObjectWords:
    """What a caption says of one object."""

    shape: str
    colour: str
    size: str | None = None

    @property
    def text(self) -> str:
        """Noun phrase with its article."""
        adjective = f"{self.size} " if self.size else ""
        article = "an" if (adjective or self.colour)[0] in "aeiou" else "a"
        return f"{article} {adjective}{self.colour} {self.shape}"


@dataclass(frozen=True)
class FaceWords:
    """What a caption says of a face; None where it says nothing."""

    expression: str | None = None
    hairstyle: str | None = None
    hair: str | None = None
    gaze: str | None = None
    pose: str | None = None

    @property
    def text(self) -> str:
        """Noun phrase with its article."""
        words = f"{self.expression} face" if self.expression else "face"
        if self.hair or self.hairstyle:
            words += " with " + " ".join(word for word in (self.hairstyle, self.hair, "hair") if word)
        if self.gaze:
            words += f" looking {self.gaze}"
        if self.pose:
            words += " and" if self.gaze else ""
            words += " facing forward" if self.pose == "forward" else f" turned {self.pose}"
        return f"a {words}"


@dataclass(frozen=True)
class Relation:
    """Object number ``subject`` is ``name`` (one of ``RELATIONS``) object number ``target``."""

    subject: int
    name: str
    target: int


@dataclass(frozen=True)
class Caption:
    """A caption taken apart: one to three objects and their relations, or a face, and the background."""

    objects: tuple[ObjectWords, ...] = ()
    relations: tuple[Relation, ...] = ()
    face: FaceWords | None = None
    background: str | None = None
    pattern: str | None = None

    @property
    def text(self) -> str:
        """The caption in words."""
        words = self.face.text if self.face else self._objects_text()
        if self.background:
            pattern = f"{self.pattern} " if self.pattern and self.pattern != "plain" else ""
            words += f" on a {pattern}{self.background} background"
        return words

    def _objects_text(self) -> str:
        words = self.objects[0].text
        for relation in self.relations:
            subject, target = self.objects[relation.subject], self.objects[relation.target]
            if relation.subject == 0:
                words += f" {relation.name} {target.text}"
            else:
                words += f" and {subject.text} {relation.name} the {target.colour} {target.shape}"
        return words


def read_caption(text: str) -> Caption | None:
    """Take a caption of this grammar apart; None where ``text`` is none.

    Objects of one caption differ in colour, so that "the blue square" names one of them.
    """
    words = text.strip().lower().rstrip(".")
    background = _BACKGROUND.search(words)
    colour, pattern = (background["background"], background["pattern"] or "plain") if background else (None, None)
    body = words[: background.start()] if background else words
    if face := _FACE.fullmatch(body):
        said = {field.name: face[field.name] for field in fields(FaceWords)}
        if face["forward"]:
            said["pose"] = "forward"
        return Caption(face=FaceWords(**said), background=colour, pattern=pattern)
    if not (scene := _OBJECTS.fullmatch(body)):
        return None
    objects = [ObjectWords(scene["shape1"], scene["colour1"], scene["size1"])]
    relations = []
    if scene["relation1"]:
        objects.append(ObjectWords(scene["shape2"], scene["colour2"], scene["size2"]))
        relations.append(Relation(0, scene["relation1"], 1))
    if scene["relation2"]:
        objects.append(ObjectWords(scene["shape3"], scene["colour3"], scene["size3"]))
        named = [
            number
            for number, thing in enumerate(objects[:2])
            if (thing.colour, thing.shape) == (scene["target_colour"], scene["target_shape"])
        ]
        if len(named) != 1:
            return None
        relations.append(Relation(2, scene["relation2"], named[0]))
    return Caption(tuple(objects), tuple(relations), background=colour, pattern=pattern)


def _one_of(name: str, words: tuple[str, ...]) -> str:
    return f"(?P<{name}>{'|'.join(words)})"


def _noun(number: int) -> str:
    size, colour, shape = (
        _one_of(f"{part}{number}", words) for part, words in (("size", SIZES), ("colour", COLOURS), ("shape", SHAPES))
    )
    return f"an? (?:{size} )?{colour} {shape}"


_BACKGROUND = re.compile(
    f" on an? (?:{_one_of('pattern', PATTERNS)} )?{_one_of('background', BACKGROUNDS)} background$"
)
_OBJECTS = re.compile(
    f"{_noun(1)}(?: {_one_of('relation1', RELATIONS)} {_noun(2)}"
    f"(?: and {_noun(3)} {_one_of('relation2', RELATIONS)} "
    f"the {_one_of('target_colour', COLOURS)} {_one_of('target_shape', SHAPES)})?)?"
)
_FACE = re.compile(
    f"an? (?:{_one_of('expression', EXPRESSIONS)} )?face"
    f"(?: with (?!hair)(?:{_one_of('hairstyle', HAIRSTYLES)} )?(?:{_one_of('hair', HAIR_COLOURS)} )?hair)?"
    f"(?: looking {_one_of('gaze', GAZES)})?"
    f"(?:(?(gaze) and)(?: turned {_one_of('pose', POSES[1:])}|(?P<forward> facing forward)))?"
)
