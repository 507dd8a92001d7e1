"""Broken and odd input of ``bench score``: converted as documented, skipped and counted, or refused in one line."""

from __future__ import annotations

import io
import json
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Bench = Callable[..., tuple[int, str, str]]

ONE_LEVEL = 20 * np.log10(255)
"""PSNR in dB where every value is off by one."""


def noise(height: int = 24, width: int = 20, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def as_bytes(image: np.ndarray | Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png(width: int, height: int, depth: int, color: int, rows: bytes) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def animated(kind: str) -> bytes:
    frames = [Image.fromarray(noise(seed=seed)) for seed in range(2)]
    return as_bytes(frames[0], kind, save_all=True, append_images=frames[1:])


def grey() -> np.ndarray:
    return noise()[..., 0]


def three(values: np.ndarray) -> np.ndarray:
    return np.repeat(values[..., None], 3, axis=-1)


def rotated() -> bytes:
    exif = Image.Exif()
    exif[274] = 6
    return as_bytes(noise(), exif=exif)


def palette() -> Image.Image:
    return Image.fromarray(noise()).convert("P", palette=Image.Palette.ADAPTIVE)


def phone() -> bytes:
    first = Image.new("RGB", (16, 16), "white")
    return as_bytes(first, "MPO", save_all=True, append_images=[Image.new("RGB", (8, 8))])


def half_clear() -> np.ndarray:
    return np.dstack([noise(), np.zeros((24, 20), np.uint8)])


def deep_colour() -> bytes:
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in noise().astype(np.uint16) * 256 + 99)
    return png(20, 24, 16, 2, rows)


CONVERTED = {
    "rgb.png": (lambda: as_bytes(noise()), noise),
    "png-called.jpg": (lambda: as_bytes(noise()), noise),
    "upper.PNG": (lambda: as_bytes(noise()), noise),
    "bitmap.bmp": (lambda: as_bytes(noise(), "BMP"), noise),
    "scan.tif": (lambda: as_bytes(noise(), "TIFF"), noise),
    "lossless.webp": (lambda: as_bytes(noise(), "WEBP", lossless=True), noise),
    "still.gif": (lambda: as_bytes(palette(), "GIF"), lambda: np.asarray(palette().convert("RGB"))),
    "palette.png": (lambda: as_bytes(palette()), lambda: np.asarray(palette().convert("RGB"))),
    "one-bit.png": (lambda: as_bytes(Image.fromarray(grey() > 99)), lambda: three((grey() > 99) * np.uint8(255))),
    "grey.png": (lambda: as_bytes(grey()), lambda: three(grey())),
    "deep-grey.png": (lambda: as_bytes(grey().astype(np.uint16) * 257), lambda: three(grey())),
    "deep-colour.png": (deep_colour, noise),
    "clear.png": (lambda: as_bytes(half_clear()), lambda: np.full((24, 20, 3), 255, np.uint8)),
    "opaque.png": (lambda: as_bytes(np.dstack([noise(), np.full((24, 20), 255, np.uint8)])), noise),
    "turned.png": (rotated, lambda: np.rot90(noise(), -1)),
    "print.tif": (lambda: as_bytes(Image.fromarray(noise()).convert("CMYK"), "TIFF"), noise),
    "phone.jpg": (phone, lambda: np.full((16, 16, 3), 255, np.uint8)),
}
"""Name: (bytes of the file, the pixels it means)."""

BROKEN = {
    "cut.jpg": (lambda: as_bytes(noise(), "JPEG")[:400], "truncated or damaged"),
    "cut.png": (lambda: as_bytes(noise())[:600], "truncated or damaged"),
    "empty.png": (lambda: b"", "the file is empty"),
    "text.png": (lambda: b"not a picture", "not a picture"),
    "bomb.png": (lambda: png(20_000, 20_000, 1, 0, b"\0"), "more than 89,478,485 pixels"),
    "moving.gif": (lambda: animated("GIF"), "an animation or several pages (2 pictures)"),
    "moving.png": (lambda: animated("PNG"), "an animation or several pages (2 pictures)"),
    "moving.webp": (lambda: animated("WEBP"), "an animation or several pages (2 pictures)"),
    "pages.tif": (lambda: animated("TIFF"), "an animation or several pages (2 pictures)"),
    "float.tif": (lambda: as_bytes(noise()[..., 0].astype(np.float32), "TIFF"), "pixels of mode F have no set range"),
    "int32.tif": (lambda: as_bytes(noise()[..., 0].astype(np.int32), "TIFF"), "pixels of mode I have no set range"),
    "other-size.png": (lambda: as_bytes(noise(9, 9)), "sizes must agree"),
    "zip-called.png": (lambda: zipped({"a.png": as_bytes(noise())}), "not a picture"),
}
"""Name: (bytes of the file, what is said of it)."""


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def tarred(files: list[tuple[str, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def store(folder: Path, kind: str, files: dict[str, bytes]) -> Path:
    """Put files into a folder, a ZIP or a tar."""
    if kind == "folder":
        for name, data in files.items():
            (folder / "pictures" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "pictures" / name).write_bytes(data)
        return folder / "pictures"
    path = folder / f"pictures.{kind}"
    path.write_bytes(zipped(files) if kind == "zip" else tarred(list(files.items())))
    return path


@pytest.fixture
def targets(tmp_path: Path) -> Callable[[dict[str, np.ndarray]], Path]:
    def write(pictures: dict[str, np.ndarray]) -> Path:
        (tmp_path / "targets").mkdir()
        for name, pixels in pictures.items():
            (tmp_path / "targets" / f"{Path(name).stem}.png").write_bytes(as_bytes(pixels))
        return tmp_path / "targets"

    return write


def psnr(bench: Bench, images: object, *options: object) -> dict:
    status, out, err = bench("score", images, "--metrics", "psnr", "--json", *options)
    assert status == 0, err
    return json.loads(out)


def refused(bench: Bench, *arguments: object) -> str:
    status, out, err = bench("score", *arguments)
    last = err.splitlines()[-1]
    assert status == 2
    assert last.startswith("bench: error: ")
    assert "a fault of bench" not in last
    assert out == ""
    return last


@pytest.mark.parametrize("name", CONVERTED)
def test_odd_pictures_are_converted(bench: Bench, tmp_path: Path, targets: Callable, name: str) -> None:
    data, pixels = (make() for make in CONVERTED[name])
    found = psnr(bench, store(tmp_path, "folder", {name: data}), "--targets", targets({name: pixels ^ 1}))
    assert found["metrics"]["psnr"]["value"] == pytest.approx(ONE_LEVEL)
    assert found["counts"]["images"] == 1


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
@pytest.mark.parametrize("name", BROKEN)
def test_broken_pictures_are_refused_by_name_or_skipped_and_counted(
    bench: Bench, tmp_path: Path, targets: Callable, name: str, kind: str
) -> None:
    make, says = BROKEN[name]
    images = store(tmp_path, kind, {"good.png": as_bytes(noise()), name: make()})
    others = targets({"good": noise() ^ 1, name: noise()})
    error = refused(bench, images, "--targets", others, "--metrics", "psnr")
    assert name in error
    assert says in error
    found = psnr(bench, images, "--targets", others, "--skip-bad")
    assert found["metrics"]["psnr"]["value"] == pytest.approx(ONE_LEVEL)
    assert found["counts"]["images"] == 1
    (left,) = found["counts"]["skipped"]
    assert name in left["file"]
    assert says in left["reason"]


def encrypted() -> bytes:
    data = bytearray(zipped({"a.png": as_bytes(noise())}))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    return bytes(data)


def bad_checksum() -> bytes:
    picture = as_bytes(noise())
    return zipped({"a.png": picture}).replace(picture[:200], picture[:100] + bytes(100))


def twice_zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.png", GOOD)
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a.png", GOOD)
    return buffer.getvalue()


def arrays(**named: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **named)
    return buffer.getvalue()


GOOD = as_bytes(noise())
SOURCES = {
    "missing.zip": (None, "no such file"),
    "empty.zip": (zipped({}), "it is empty"),
    "empty.tar": (tarred([]), "it is empty"),
    "texts.zip": (zipped({"a.txt": b"x"}), "holds no pictures (there: .txt)"),
    "twice.zip": (twice_zip, "twice.zip: a.png: this name comes twice"),
    "twice.tar": (tarred([("a.png", GOOD), ("a.png", GOOD)]), "twice.tar: a.png: this name comes twice"),
    "up.zip": (zipped({"../../up.png": GOOD}), "../../up.png: its name leads out of the archive"),
    "up.tar": (tarred([("../up.png", GOOD)]), "../up.png: its name leads out of the archive"),
    "root.tar": (tarred([("/etc/up.png", GOOD)]), "leads out of the archive"),
    "drive.zip": (zipped({"C:\\up.png": GOOD}), "leads out of the archive"),
    "secret.zip": (encrypted, "secret.zip: a.png: encrypted"),
    "checksum.zip": (bad_checksum, "checksum.zip: a.png: truncated or damaged"),
    "cut.zip": (zipped({"a.png": GOOD})[:300], "cut.zip: truncated or damaged"),
    "cut.tar": (tarred([("a.png", GOOD)])[:900], "cut.tar: "),
    "text.zip": (b"no archive", "text.zip: truncated or damaged"),
    "text.tar": (b"no archive" * 100, "text.tar: truncated or damaged"),
    "none.tar": (b"", "none.tar: "),
    "alone.png": (GOOD, "a single picture; give its folder"),
    "notes.txt": (b"x", "not a source of pictures"),
    "text.npz": (b"no arrays", "text.npz: truncated or damaged"),
    "other.npz": (arrays(x=noise()[None]), "neither arr_0 nor mu and sigma in it (there: x)"),
    "float.npz": (arrays(arr_0=noise()[None].astype(np.float32)), "arr_0 is float32"),
    "planes.npz": (arrays(arr_0=np.zeros((2, 3, 8, 8), np.uint8)), "arr_0 is (2, 3, 8, 8)"),
    "nothing.npz": (arrays(arr_0=np.zeros((0, 8, 8, 3), np.uint8)), "arr_0 is (0, 8, 8, 3)"),
    "pickled.npz": (arrays(arr_0=np.array([{}], dtype=object)), "arr_0 cannot be read (pickled objects are refused)"),
}
"""Name of the source: (its bytes, what is said of it)."""


@pytest.mark.parametrize("name", SOURCES)
def test_sources_that_are_refused(bench: Bench, tmp_path: Path, targets: Callable, name: str) -> None:
    data, says = SOURCES[name]
    if data is not None:
        (tmp_path / name).write_bytes(data() if callable(data) else data)
    others = targets({"a": noise(), "up": noise(), "0": noise()})
    error = refused(bench, tmp_path / name, "--targets", others, "--metrics", "psnr")
    assert name in error
    assert says in error


def test_unsafe_members_can_be_skipped(bench: Bench, tmp_path: Path, targets: Callable) -> None:
    images = store(tmp_path, "zip", {"../a.png": GOOD, "b.png": GOOD})
    found = psnr(bench, images, "--targets", targets({"a": noise(), "b": noise() ^ 1}), "--skip-bad")
    assert [left["file"] for left in found["counts"]["skipped"]] == [f"{images}: ../a.png"]
    assert not (tmp_path.parent / "a.png").exists()


def test_all_pictures_broken(bench: Bench, tmp_path: Path, targets: Callable) -> None:
    images = store(tmp_path, "folder", {"a.png": b"", "b.png": b"x"})
    error = refused(bench, images, "--targets", targets({"a": noise(), "b": noise()}), "--skip-bad")
    assert "all 2 pictures are broken" in error
    assert "a.png: the file is empty" in error


# --- folders


def dangling(folder: Path) -> None:
    (folder / "b.png").symlink_to("nowhere.png")


def loop(folder: Path) -> None:
    (folder / "b.png").symlink_to("b.png")


def pipe(folder: Path) -> None:
    os.mkfifo(folder / "b.png")


@pytest.mark.parametrize("make", [dangling, loop, pipe])
def test_files_that_are_none(bench: Bench, tmp_path: Path, targets: Callable, make: Callable) -> None:
    images = store(tmp_path, "folder", {"a.png": GOOD})
    make(images)
    others = targets({"a": noise() ^ 1, "b": noise()})
    assert "b.png" in refused(bench, images, "--targets", others)
    assert len(psnr(bench, images, "--targets", others, "--skip-bad")["counts"]["skipped"]) == 1


def test_unreadable_file(bench: Bench, tmp_path: Path, targets: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    images = store(tmp_path, "folder", {"a.png": GOOD, "b.png": GOOD})
    read = Path.read_bytes

    def refuse(path: Path) -> bytes:  # the superuser, whom CI may be, reads everything
        if path.name == "b.png" and path.parent == images:
            raise PermissionError(13, "Permission denied")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    others = targets({"a": noise() ^ 1, "b": noise()})
    assert "b.png: Permission denied" in refused(bench, images, "--targets", others)
    assert psnr(bench, images, "--targets", others, "--skip-bad")["counts"]["images"] == 1


def test_odd_folders(bench: Bench, tmp_path: Path, targets: Callable) -> None:
    """A folder called x.png is a folder, loops of links end, hidden and other files are passed over."""
    files = {"x.png/a.png": GOOD, "deep/er/b.png": GOOD, ".hidden.png": b"", "notes.txt": b"", "Thumbs.db": b""}
    images = store(tmp_path, "folder", files)
    (images / "deep" / "up").symlink_to(images, target_is_directory=True)
    found = psnr(bench, images, "--targets", targets({"a": noise() ^ 1, "b": noise() ^ 1}))
    assert found["counts"]["images"] == 2
    assert found["counts"]["ignored"] == 2


def test_names_that_are_not_utf_8(bench: Bench, tmp_path: Path, targets: Callable) -> None:
    images = store(tmp_path, "folder", {"a.png": GOOD})
    (images / os.fsdecode(b"b\xff.png")).write_bytes(b"")
    others = targets({"a": noise() ^ 1})
    (others / os.fsdecode(b"b\xff.png")).write_bytes(GOOD)
    assert r"b\xff.png: the file is empty" in refused(bench, images, "--targets", others)
    (left,) = psnr(bench, images, "--targets", others, "--skip-bad")["counts"]["skipped"]
    assert left["file"].endswith(r"b\xff.png")


def test_empty_folder_and_folder_of_tars(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "empty: holds no pictures, it is empty" in refused(bench, tmp_path / "empty", "--metrics", "psnr")
    (tmp_path / "shards").mkdir()
    (tmp_path / "shards" / "0.tar").write_bytes(tarred([("a.png", GOOD)]))
    assert "give a pattern such as" in refused(bench, tmp_path / "shards", "--metrics", "psnr")


# --- prompts, targets, statistics


@pytest.fixture
def six(tmp_path: Path) -> Path:
    """Six pictures 0.png to 5.png of two sizes."""
    return store(tmp_path, "folder", {f"{i}.png": as_bytes(noise(24 + i % 2, 20, i)) for i in range(6)})


def test_mixed_sizes_are_measured(bench: Bench, six: Path, stub: None) -> None:
    status, out, err = bench("score", six, "--reference", six, "--metrics", "fid", "--json")
    assert status == 0, err
    assert json.loads(out)["metrics"]["fid"]["value"] == pytest.approx(0, abs=1e-6)


def test_one_picture_has_no_fid_but_the_rest(bench: Bench, tmp_path: Path, six: Path, stub: None) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "0.png").write_bytes(as_bytes(noise() ^ 1))
    metrics = ("--metrics", "fid,psnr", "--json")
    status, out, _ = bench("score", tmp_path / "one", "--reference", six, "--targets", six, *metrics)
    found = json.loads(out)["metrics"]
    assert status == 0
    assert found["fid"]["reason"] == "needs at least 2 pictures, not 1"
    assert found["psnr"]["value"] == pytest.approx(ONE_LEVEL)
    status, _, err = bench("score", tmp_path / "one", "--reference", six)
    assert status == 2
    assert err.splitlines()[-1] == "bench: error: fid: needs at least 2 pictures, not 1"
    assert "needs at least 2 reference pictures, not 1" in refused(
        bench, six, "--reference", tmp_path / "one", "--metrics", "fid"
    )


PROMPTS = {
    "all.txt": ("a\nb\nc\nd\ne\nf\n", 0, 0),
    "fewer.jsonl": ('{"id": "0", "prompt": "x"}\n{"id": "5", "prompt": "y"}\n', 4, 0),
    "more.csv": ("id,prompt\n" + "".join(f"{i},p{i}\n" for i in range(9)), 0, 3),
    "padded.csv": ("id,prompt\n000004,x\n000099,y\n", 5, 1),
    "by-file.csv": ("id,image,prompt\nx,0.png,p\ny,1.png,q\n", 4, 0),
}


@pytest.mark.parametrize("name", PROMPTS)
def test_prompts_and_images_without_each_other_are_counted(
    bench: Bench, tmp_path: Path, six: Path, stub: None, name: str
) -> None:
    text, images_alone, prompts_alone = PROMPTS[name]
    (tmp_path / name).write_text(text)
    status, out, err = bench("score", six, "--prompts", tmp_path / name, "--json")
    assert status == 0, err
    found = json.loads(out)
    assert found["counts"]["images_without_prompt"] == images_alone
    assert found["counts"]["prompts_without_image"] == prompts_alone
    assert found["metrics"]["clip_score"]["n"] == 6 - images_alone


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("none.csv", "id,prompt\nx,p\n", "no picture of"),
        ("twice.csv", "id,prompt\n1,p\n1,q\n", "id '1' was used in row 2"),
        ("both.csv", "id,prompt\n1,p\n01,q\n", "both mean the picture '1.png'"),
        ("empty.txt", "", "no prompts in it"),
        ("blank.csv", "id,prompt\n1,\n", "the prompt is empty"),
        ("broken.json", "[", "not JSON"),
        ("table.xlsx", "x", "prompts are read from"),
        ("latin.txt", "caf\udce9", "is not UTF-8"),
    ],
)
def test_prompts_that_are_refused(
    bench: Bench, tmp_path: Path, six: Path, stub: None, name: str, text: str, says: str
) -> None:
    (tmp_path / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    assert says in refused(bench, six, "--prompts", tmp_path / name)


def test_two_pictures_of_one_prompt(bench: Bench, tmp_path: Path, stub: None) -> None:
    images = store(tmp_path, "folder", {"a/1.png": GOOD, "b/1.png": GOOD})
    (tmp_path / "p.csv").write_text("id,prompt\n1,p\n")
    assert "'a/1.png' and 'b/1.png' are both the picture of '1'" in refused(
        bench, images, "--prompts", tmp_path / "p.csv"
    )


def test_captions_in_a_tar(bench: Bench, tmp_path: Path, stub: None) -> None:
    members = [("0.png", GOOD), ("0.txt", b"a dog"), ("1.png", GOOD), ("1.json", b'{"caption": "a cat"}')]
    (tmp_path / "good.tar").write_bytes(tarred([*members, ("2.png", GOOD)]))
    status, out, err = bench("score", tmp_path / "good.tar", "--json")
    assert status == 0, err
    assert json.loads(out)["metrics"]["clip_score"]["n"] == 2
    assert json.loads(out)["counts"]["images_without_prompt"] == 1
    (tmp_path / "bad.tar").write_bytes(tarred([*members[:3], ("1.json", b"{}")]))
    assert "bad.tar: 1.json: no prompt in it" in refused(bench, tmp_path / "bad.tar")
    status, out, err = bench("score", tmp_path / "bad.tar", "--skip-bad", "--json")
    assert status == 0, err
    assert len(json.loads(out)["counts"]["skipped"]) == 1


def test_targets_that_are_missing(bench: Bench, tmp_path: Path, six: Path, targets: Callable) -> None:
    others = targets({"0": noise(24) ^ 1, "9": noise()})
    counts = psnr(bench, six, "--targets", others)["counts"]
    assert (counts["images_without_target"], counts["targets_without_image"]) == (5, 1)
    assert "no target is named as a picture" in refused(
        bench, six, "--targets", store(tmp_path, "zip", {"z.png": GOOD})
    )


EYE, NAUGHT = np.eye(4), np.zeros(4)
LOPSIDED = EYE + np.triu(np.ones((4, 4)), 1)
STATISTICS = {
    "nan.npz": (arrays(mu=NAUGHT * np.nan, sigma=EYE), "NaN or infinite values in it"),
    "infinite.npz": (arrays(mu=NAUGHT, sigma=np.diag([np.inf, 1, 1, 1])), "NaN or infinite values in it"),
    "wide.npz": (arrays(mu=np.zeros(7), sigma=np.eye(7)), "are 7 wide, the features of inception 4"),
    "unfit.npz": (arrays(mu=np.zeros(5), sigma=EYE), "does not fit mean (5,)"),
    "lopsided.npz": (arrays(mu=NAUGHT, sigma=LOPSIDED), "its covariance is not symmetric"),
    "negative.npz": (arrays(mu=NAUGHT, sigma=-EYE), "its covariance has negative variances"),
    "half.npz": (arrays(mu=NAUGHT), "must hold mu and sigma"),
    "rows.npz": (arrays(mean=NAUGHT, scatter=EYE), "must hold mu and sigma"),
    "objects.npz": (arrays(mu=np.array([{}], dtype=object), sigma=EYE), "cannot read statistics"),
    "few.npz": (arrays(n=np.array(1), mean=NAUGHT, scatter=EYE), "at least 2 pictures, not 1"),
    "made-up.npz": (arrays(mu=NAUGHT, sigma=EYE, identity=np.array("{")), "n or identity cannot be read"),
    "foreign.npz": (
        arrays(mu=NAUGHT, sigma=EYE, identity=np.array('{"extractor": "x@1:y:fp32", "transform": "as-is"}')),
        "were made with x@1:y:fp32, not stub@1:quarters:fp32",
    ),
    "shrunk.npz": (
        arrays(
            mu=NAUGHT, sigma=EYE, identity=np.array('{"extractor": "stub@1:quarters:fp32", "transform": "square8"}')
        ),
        "are of pictures square8, not as-is: give --reference-transform square8",
    ),
}
"""Name: (bytes of the file, what is said of it as a reference)."""


@pytest.mark.parametrize("name", STATISTICS)
def test_statistics_that_are_refused(bench: Bench, tmp_path: Path, six: Path, stub: None, name: str) -> None:
    data, says = STATISTICS[name]
    (tmp_path / name).write_bytes(data)
    error = refused(bench, six, "--reference", tmp_path / name)
    assert name in error
    assert says in error
