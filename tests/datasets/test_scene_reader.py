"""The reader of scenes: right about true pictures, also blurred ones, and about what is wrong with others."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from t2ibench.core.errors import BenchError
from t2ibench.datasets.scene_captions import EXPRESSIONS, read_caption
from t2ibench.datasets.scene_reader import caption_accuracy, compare, landmark_error, read_picture
from t2ibench.datasets.scenes import HAIR_RGB, RGB, SIZE, Ground, Scene, Thing, scenes

Y, X = np.mgrid[0:SIZE, 0:SIZE]


@pytest.fixture(scope="module")
def drawn():
    return list(scenes(72, "validation"))


@pytest.fixture(scope="module")
def readings(drawn):
    return [read_picture(one.image) for one in drawn]


@pytest.fixture(scope="module")
def crowds(drawn):
    return [one for one in drawn if one.things][:24]


@pytest.fixture(scope="module")
def faces(drawn):
    return [one for one in drawn if one.face]


def right(picture, one):
    return compare(read_picture(picture), one.words).right


def pixels(values):
    return np.clip(np.asarray(values) + 0.5, 0, 255).astype(np.uint8)


def of_things(*things):
    return Scene(
        read_caption("a face"), Ground("white", "plain", (240, 240, 240), 0.0), things, tuple(range(len(things)))
    )


def thing(shape, colour, x, y, radius):
    return Thing(shape, colour, "", x, y, radius, RGB[colour])


def test_true_pictures_are_right(drawn, readings):
    obeyed = [compare(reading, one.words) for reading, one in zip(readings, drawn, strict=True)]
    assert np.mean([o.right and o.sizes and o.background for o in obeyed]) >= 0.98


def test_blurred_and_noisy_pictures_are_right(drawn):
    """As much as a small autoencoder takes from them."""
    rng = np.random.default_rng(5)
    lossy = [
        pixels(gaussian_filter(one.image.astype(float), (0.6, 0.6, 0)) + rng.normal(0, 6, one.image.shape))
        for one in drawn
    ]
    assert np.mean([right(picture, one) for picture, one in zip(lossy, drawn, strict=True)]) >= 0.98


def test_objects_are_found_where_they_are(drawn, readings):
    for one, reading in zip(drawn, readings, strict=True):
        assert len(reading.objects) == len(one.things)
        for true, mask in zip(one.things, one.masks, strict=False):
            seen = next(it for it in reading.objects if it.colour == true.colour)
            assert (seen.shape, seen.size) == (true.shape, true.size)
            assert np.hypot(seen.x - true.x, seen.y - true.y) < 1 and abs(seen.radius - true.radius) < 1
            assert (seen.mask & mask).sum() > 0.7 * (seen.mask | mask).sum()


def test_what_is_in_front_is_seen(drawn, readings):
    pairs = 0
    for one, reading in zip(drawn, readings, strict=True):
        seen = {it.colour: it for it in reading.objects}
        for relation in one.words.relations:
            subject, target = (seen[one.things[number].colour] for number in (relation.subject, relation.target))
            assert subject.in_front_of(target) == (relation.name == "in front of")
            assert target.in_front_of(subject) == (relation.name == "behind")
            pairs += relation.name in ("in front of", "behind")
    assert pairs > 15


def test_faces_are_read_whether_the_caption_mentions_it_or_not(drawn, readings):
    for one, reading in zip(drawn, readings, strict=True):
        assert (reading.face is None) == (one.face is None)
        if one.face:
            for name in ("expression", "hairstyle", "hair", "gaze", "pose"):
                assert getattr(reading.face, name) == getattr(one.face, name), one.caption
            assert landmark_error(reading.face, one.landmarks) < 0.75


def test_backgrounds_are_read(drawn, readings):
    for one, reading in zip(drawn, readings, strict=True):
        assert (reading.background, reading.pattern) == (one.ground.colour, one.ground.pattern)


def test_the_caption_of_another_scene_is_wrong(drawn, readings):
    """But for a few that say so little that they are true by chance."""
    wrong = [
        compare(reading, drawn[(number + shift) % len(drawn)].words).right
        for number, reading in enumerate(readings)
        for shift in (1, 2, 3, 5, 8, 13)
    ]
    assert np.mean(wrong) < 0.01


def test_an_object_painted_over_is_missed(crowds):
    for one in crowds:
        empty = replace(one, things=(), order=()).image
        assert not right(np.where((one.things[0].coverage > 0)[..., None], empty, one.image), one)


def test_another_shape_or_colour_is_wrong(crowds):
    for one in crowds:
        first, *others = one.things
        shape = "circle" if first.shape != "circle" else "diamond"
        colour = next(colour for colour in RGB if colour not in {it.colour for it in one.things})
        assert not right(replace(one, things=(replace(first, shape=shape), *others)).image, one)
        assert not right(replace(one, things=(replace(first, rgb=RGB[colour]), *others)).image, one)


def test_a_second_object_of_the_same_colour_is_one_too_many(crowds):
    for one in crowds:
        corners = [(10, 10), (53, 10), (10, 53), (53, 53)]
        x, y = max(corners, key=lambda corner: min(np.hypot(it.x - corner[0], it.y - corner[1]) for it in one.things))
        second = replace(one.things[0], x=x, y=y, radius=6.0)
        assert not right(replace(one, things=(*one.things, second), order=(*one.order, len(one.things))).image, one)


def test_objects_in_each_others_place_are_wrong(drawn):
    for one in drawn:
        names = {relation.name for relation in one.words.relations}
        if names & {"left of", "right of"}:
            assert not right(one.image[:, ::-1], one)
        if names & {"above", "below"} and all(it.shape != "triangle" for it in one.things):
            assert not right(one.image[::-1], one)
        if names & {"in front of", "behind"}:
            assert not right(replace(one, order=one.order[::-1]).image, one)


def test_a_smear_is_no_object(crowds):
    rng = np.random.default_rng(0)
    for one in crowds:
        first = one.things[0]
        empty = replace(one, things=one.things[1:], order=tuple(number - 1 for number in one.order if number)).image
        drawn_out = np.mean([replace(first, x=first.x + shift).coverage for shift in range(-10, 11, 2)], 0)
        blob = gaussian_filter(rng.normal(size=(SIZE, SIZE)), 2.5) > 0.1  # as camouflage
        for cover in (drawn_out, blob & (first.coverage == 0)):
            assert not right(pixels(empty + cover[..., None] * (np.array(first.rgb) - empty)), one), one.caption
        assert not right(np.where((np.hypot(X - 5, Y - 5) < 2.5)[..., None], np.uint8(first.rgb), one.image), one)


def test_another_expression_is_wrong(faces):
    for one in faces:
        if one.words.face.expression:
            for expression in set(EXPRESSIONS) - {one.face.expression}:
                assert not right(replace(one, face=replace(one.face, expression=expression)).image, one)


def test_a_mouth_upside_down_is_wrong(faces):
    for one in faces:
        if one.words.face.expression in ("smiling", "sad"):
            picture, mouth = one.image, one.landmarks[5:9]
            rows = slice(int(mouth[:, 1].min()) - 1, int(mouth[:, 1].max()) + 3)
            columns = slice(int(mouth[0, 0]) - 1, int(mouth[1, 0]) + 3)
            picture[rows, columns] = picture[rows, columns][::-1]
            assert not right(picture, one)


def test_other_hair_and_a_mirrored_face_are_wrong(faces):
    for one in faces:
        words = one.words.face
        if words.hair:
            style = "long" if words.hairstyle == "short" else "short"
            colour = "red" if words.hair != "red" else "blond"
            assert not right(replace(one, face=replace(one.face, hair_rgb=HAIR_RGB[colour])).image, one)
            if words.hair != one.ground.colour:  # black hair on black is not seen
                assert not right(replace(one, face=replace(one.face, hairstyle=style)).image, one)
        if {words.gaze, words.pose} & {"left", "right"}:
            assert not right(one.image[:, ::-1], one)


def test_a_face_that_lacks_an_eye_or_the_mouth_is_none(faces):
    for one in faces:
        for x, y in (one.landmarks[0], one.landmarks[7:9].mean(0)):
            lacking = one.image
            lacking[(abs(X - x) < 9) & (abs(Y - y) < 4.5)] = one.face.skin_rgb
            assert read_picture(lacking).face is None


def test_half_a_face_is_none_and_an_object_beside_one_too_many(faces):
    for one in faces:
        half = one.image
        half[:, 34:] = pixels(one.ground.image)[:, 34:]
        assert read_picture(half).face is None
        beside = one.image
        beside[np.hypot(X - 8, Y - 56) < 5] = RGB["blue"]
        assert compare(read_picture(beside), one.words).face and not right(beside, one)


def test_sizes_and_background_are_apart_from_what_is_right():
    picture = of_things(thing("circle", "red", 20, 30, 14), thing("cross", "blue", 48, 30, 7)).image
    said = "a {} red circle left of a small blue cross on a {} background"
    true, size, ground = (
        compare(read_picture(picture), read_caption(said.format(*words)))
        for words in (("large", "white"), ("small", "white"), ("large", "striped white"))
    )
    assert true.right and true.sizes and true.background
    assert size.right and not size.sizes
    assert ground.right and not ground.background


def test_of_two_alike_either_may_be_meant():
    picture = of_things(thing("circle", "red", 14, 30, 7), thing("circle", "red", 46, 30, 14)).image
    for said in ("a large red circle right of a small red circle", "a red circle left of a red circle"):
        obeyed = compare(read_picture(picture), read_caption(said))
        assert obeyed.right and obeyed.sizes
    assert not compare(read_picture(picture), read_caption("a small red circle right of a large red circle")).sizes
    assert caption_accuracy(picture, "a red circle") == 0
    assert caption_accuracy(picture, "a red circle above a red circle") == 0


def test_an_object_split_by_another_is_one():
    picture = of_things(thing("cross", "green", 28, 32, 15), thing("square", "red", 34.5, 32, 6.2)).image
    assert caption_accuracy(picture, "a red square in front of a green cross") == 1


def test_objects_and_faces_do_not_stand_for_each_other(faces, crowds):
    assert caption_accuracy(faces[0].image, "a red circle") == 0
    assert caption_accuracy(crowds[0].image, "a face") == 0


def test_accuracy_of_a_true_caption_is_one_and_says_what_is_no_caption(drawn):
    assert [caption_accuracy(one.image, one.caption) for one in drawn[:5]] == [1.0] * 5
    with pytest.raises(BenchError, match="'a photo of a cat' is no caption of scenes"):
        caption_accuracy(drawn[0].image, "a photo of a cat")


@pytest.mark.parametrize("shape", [(32, 32, 3), (64, 64), (1, 64, 64, 3)])
def test_pictures_of_other_sizes_are_refused(shape):
    with pytest.raises(BenchError, match="64×64×3"):
        read_picture(np.zeros(shape, dtype=np.uint8))


def test_any_picture_can_be_read(drawn):
    rng = np.random.default_rng(0)
    first, last = drawn[0].image, drawn[1].image
    strange = [
        *(np.full((SIZE, SIZE, 3), value) for value in (0, 128, 255)),
        *(np.broadcast_to(rgb, (SIZE, SIZE, 3)) for rgb in RGB.values()),
        *(rng.integers(0, 256, (4, SIZE, SIZE, 3))),
        *(gaussian_filter(rng.normal(128, 900, (4, SIZE, SIZE, 3)), (0, 4, 4, 0))),
        (first.astype(float) + last) / 2,
        np.roll(first, 32, 1),
        255 - last,
    ]
    for picture in strange:
        reading = read_picture(pixels(picture))
        assert not any(compare(reading, one.words).right for one in drawn[:3])
