"""The decoder: every kind of file that folders of photos hold, converted as documented or refused in one line."""

import struct
import zlib
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image, ImageFile

from t2ibench.core.errors import BenchError
from t2ibench.datasets.images import center_crop, crop_or_none, fit, fit_mask, image_files, image_size, load_rgb
from t2ibench.metrics.transforms import parse_transform

RED_GREEN = np.array([[[255, 0, 0], [0, 255, 0]]], dtype=np.uint8)


def noise(height=64, width=64):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def saved(path, image, **options):
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(path, **options)
    return path


def png(width, height, depth, color, rows):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif"])
def test_lossless_files_come_back_bit_equal(tmp_path, suffix):
    image = load_rgb(saved(tmp_path / f"x.{suffix}", noise()))
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    assert image.flags.writeable
    np.testing.assert_array_equal(image, noise())


@pytest.mark.parametrize("mode", ["P", "CMYK"])
def test_palette_and_cmyk_become_rgb(tmp_path, mode):
    path = saved(tmp_path / "x.tif", Image.fromarray(RED_GREEN).convert(mode))
    np.testing.assert_array_equal(load_rgb(path), RED_GREEN)


def test_cmyk_jpeg(tmp_path):
    image = load_rgb(saved(tmp_path / "x.jpg", Image.new("CMYK", (8, 8), (0, 255, 255, 0)), quality=100))
    np.testing.assert_allclose(image, np.broadcast_to([255, 0, 0], (8, 8, 3)), atol=3)


@pytest.mark.parametrize("mode", ["L", "1"])
def test_grey_fills_three_channels(tmp_path, mode):
    path = saved(tmp_path / "x.png", Image.fromarray(np.array([[0, 255]], dtype=np.uint8)).convert(mode))
    assert load_rgb(path).tolist() == [[[0, 0, 0], [255, 255, 255]]]


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_grey_is_scaled_and_rounded(tmp_path, suffix):
    grey = np.array([[0, 128, 129, 257, 32768, 65535]], dtype=np.uint16)
    image = load_rgb(saved(tmp_path / f"x.{suffix}", grey))
    assert image[0, :, 0].tolist() == [0, 0, 1, 1, 128, 255]
    assert (image == image[..., :1]).all()


def test_16_bit_colour_keeps_the_upper_byte(tmp_path):
    path = tmp_path / "x.png"
    path.write_bytes(png(1, 1, 16, 2, b"\0" + struct.pack(">HHH", 65535, 255, 0x80FF)))
    assert load_rgb(path).tolist() == [[[255, 0, 0x80]]]


def test_alpha_goes_over_white_and_opaque_alpha_changes_nothing(tmp_path):
    rgba = np.dstack([noise(), np.full((64, 64), 255, dtype=np.uint8)])
    np.testing.assert_array_equal(load_rgb(saved(tmp_path / "opaque.png", rgba)), noise())
    rgba[..., 3] = 0
    assert (load_rgb(saved(tmp_path / "clear.png", rgba)) == 255).all()
    half = np.array([[[0, 0, 0, 128]]], dtype=np.uint8)
    assert load_rgb(saved(tmp_path / "half.png", half)).tolist() == [[[127, 127, 127]]]


def test_palette_with_a_transparent_colour(tmp_path):
    image = Image.fromarray(RED_GREEN).convert("P", palette=Image.Palette.ADAPTIVE, colors=2)
    red = image.getpixel((0, 0))
    assert load_rgb(saved(tmp_path / "x.png", image, transparency=red)).tolist() == [[[255, 255, 255], [0, 255, 0]]]


def test_exif_orientation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[274] = 6  # turned a quarter clockwise to be seen upright
    path = saved(tmp_path / "x.png", noise(2, 3), exif=exif)
    np.testing.assert_array_equal(load_rgb(path), np.rot90(noise(2, 3), -1))
    assert image_size(path) == (3, 2)


def test_size_from_the_head_of_the_file(tmp_path):
    path = saved(tmp_path / "x.jpg", noise(48, 64))
    path.write_bytes(path.read_bytes()[:1000])
    assert image_size(path) == (48, 64)
    with pytest.raises(BenchError, match="no such file"):
        image_size(tmp_path / "nowhere.jpg")


def test_first_picture_of_a_phones_jpeg(tmp_path):
    first, second = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (4, 4), "blue")
    path = tmp_path / "x.jpg"
    first.save(path, format="MPO", save_all=True, append_images=[second])
    assert load_rgb(path).shape == (8, 8, 3)


@pytest.mark.parametrize("suffix", ["gif", "webp", "tif", "png"])
def test_animations_and_pages_are_refused(tmp_path, suffix):
    frames = [Image.fromarray(noise()), Image.fromarray(255 - noise())]
    path = saved(tmp_path / f"x.{suffix}", frames[0], save_all=True, append_images=frames[1:])
    with pytest.raises(BenchError, match=r"several pages \(2 pictures\); save the one"):
        load_rgb(path)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp", "tif"])
@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9])
def test_truncated_files_are_refused_even_if_someone_told_pillow_not_to(tmp_path, monkeypatch, suffix, keep):
    path = saved(tmp_path / f"x.{suffix}", noise())
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(BenchError, match=rf"x\.{suffix}: (truncated or damaged|not a picture)"):
        load_rgb(path)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_damaged_bytes_never_escape_as_another_error(tmp_path):
    random = np.random.default_rng(0)
    exif = Image.Exif()
    exif[274] = 6
    content = saved(tmp_path / "x.jpg", noise(), exif=exif).read_bytes()
    for _ in range(200):
        broken = bytearray(content)
        for place in random.integers(0, 200, 5):
            broken[place] = random.integers(0, 256)
        (tmp_path / "x.jpg").write_bytes(broken)
        with suppress(BenchError):
            assert load_rgb(tmp_path / "x.jpg").ndim == 3


def test_other_refusals_name_the_file_and_the_mend(tmp_path):
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "bomb.png").write_bytes(png(10_000, 10_000, 1, 0, b"\0"))
    saved(tmp_path / "float.tif", np.zeros((2, 2), dtype=np.float32))
    saved(tmp_path / "int32.tif", np.zeros((2, 2), dtype=np.int32))
    expected = {
        "empty.png": "the file is empty; replace or remove it",
        "text.png": "not a picture; replace or remove it",
        "folder.png": "no such file; check the path",
        "nowhere.png": "no such file; check the path",
        "bomb.png": "more than 89,478,485 pixels; make it smaller or remove it",
        "float.tif": "pixels of mode F have no set range; save it as 8-bit RGB",
        "int32.tif": "pixels of mode I have no set range; save it as 8-bit RGB",
    }
    for name, text in expected.items():
        with pytest.raises(BenchError) as caught:
            load_rgb(tmp_path / name)
        assert str(caught.value) == f"{tmp_path / name}: {text}"


def test_unreadable_file(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Image, "open", refuse)  # the superuser, whom CI may be, reads everything
    with pytest.raises(BenchError, match="cannot be read; check its permissions"):
        load_rgb(tmp_path / "x.png")


def test_files_of_a_folder_are_sorted_and_hidden_ones_left_out(tmp_path):
    for name in ("b.JPG", "a.png", "c.webp", ".hidden.png", "notes.txt", "sub/d.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [path.name for path in image_files(tmp_path)] == ["a.png", "b.JPG", "c.webp"]


def test_subfolders_are_searched_where_the_folder_has_none(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "x.tiff").touch()
    assert image_files(tmp_path) == [tmp_path / "one" / "x.tiff"]


def test_folders_without_pictures(tmp_path):
    with pytest.raises(BenchError, match="no such folder; give a folder of photos"):
        image_files(tmp_path / "nowhere")
    with pytest.raises(BenchError, match="the folder is empty"):
        image_files(tmp_path)
    for name in ("a.txt", "b.txt", "c"):
        (tmp_path / name).touch()
    with pytest.raises(BenchError, match=r"holds no pictures \(files there: 2 \.txt, 1 no suffix\)"):
        image_files(tmp_path)
    with pytest.raises(BenchError, match="not a folder"):
        image_files(tmp_path / "c")


def test_center_crop():
    image = noise(5, 8)
    np.testing.assert_array_equal(center_crop(image, 4), image[0:4, 2:6])
    assert crop_or_none(image, 5).shape == (5, 5, 3)
    assert crop_or_none(image, 6) is None
    with pytest.raises(BenchError, match="a picture of 8x5 is too small for a crop of 6x6"):
        center_crop(image, 6)


@pytest.mark.parametrize("shape", [(64, 64), (61, 97), (97, 61), (32, 50), (20, 33)])
def test_a_square_fit_is_what_suites_do_to_the_reference(shape):
    picture = noise(*shape)
    assert np.array_equal(fit(picture, 32, 32), parse_transform("short32-crop32")(picture))


@pytest.mark.parametrize(("height", "width"), [(16, 48), (48, 16), (33, 20), (64, 64)])
def test_a_fit_covers_the_size_and_keeps_the_centre(height, width):
    picture = np.zeros((60, 90, 3), np.uint8)
    picture[28:32, 43:47] = 255
    cut = fit(picture, height, width)
    assert cut.shape == (height, width, 3)
    rows, columns = np.nonzero(cut[..., 0] > 127)
    assert abs(rows.mean() - (height - 1) / 2) < 1 and abs(columns.mean() - (width - 1) / 2) < 1


def test_a_mask_is_cut_as_its_picture():
    picture = np.zeros((50, 80, 3), np.uint8)
    picture[:, :40] = 255
    mask = fit_mask(picture[..., 0] > 0, 32, 32)
    assert mask.dtype == bool
    assert np.array_equal(mask, fit(picture, 32, 32)[..., 0] > 127)
    assert mask[:, :16].all() and not mask[:, 16:].any()
