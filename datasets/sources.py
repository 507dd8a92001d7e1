"""Pictures from wherever they lie: a folder, a ZIP, WebDataset tars, an ``.npz``; nothing is unpacked to disk.

Names of members come from strangers: they are keys and parts of messages, never paths that something is written to.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import BenchError
from .images import SUFFIXES, Pixels, decode_rgb
from .prompts import TEXT_COLUMNS

PICTURE_SUFFIXES = (*SUFFIXES, ".gif", ".jfif", ".ppm", ".avif", ".heic", ".jxl")
"""More than are listed elsewhere: what cannot be measured is refused by name and not passed over."""

MAX_BYTES = 1 << 30
"""A member that says it is larger is refused before it is read."""

_MOMENTS = {"mu", "sigma", "mean", "scatter"}
_CAPTION_SUFFIXES = (".txt", ".json")
_CONTAINERS = (".zip", ".tar", ".npz")
_ENCRYPTED = 0x1


@dataclass(frozen=True)
class Item:
    """A picture of a source."""

    key: str
    """Its path within the source, unique there."""
    name: str
    """What messages call it: the file, or archive and member."""
    read: Callable[[], bytes]
    """Its bytes; BenchError, naming it, where they cannot be had."""
    decode: Callable[[bytes, str], Pixels] = decode_rgb
    caption: Callable[[], str] | None = None
    """The prompt that lies beside it in an archive, if one does."""

    @property
    def digest(self) -> str:
        """sha256 of its bytes, 64 hex digits."""
        return hashlib.sha256(self.read()).hexdigest()

    def load(self) -> Pixels:
        """Return uint8 (H, W, 3), RGB; BenchError, naming it, where it is broken or not one picture."""
        return self.decode(self.read(), self.name)


@dataclass(frozen=True)
class Pictures:
    """The pictures of a source, sorted by key."""

    name: str
    items: list[Item]
    ignored: int = 0
    """Files that are no pictures by their suffix."""


@dataclass(frozen=True)
class _Member:
    """A file of a folder or an archive."""

    path: str
    read: Callable[[], bytes]
    problem: str | None = None
    """Why it must not be read, if so."""


def is_statistics(path: Path) -> bool:
    """Whether ``path`` is an ``.npz`` with any of mu, sigma, mean, scatter, which go before pictures in the same file.

    Raises BenchError for an ``.npz`` that cannot be read.
    """
    if path.suffix.lower() != ".npz" or not path.is_file():
        return False
    with _archive(path) as archive:
        return bool(_MOMENTS & {PurePosixPath(name).stem for name in archive.namelist()})


def open_pictures(source: str | Path) -> Pictures:
    """List the pictures of a folder (all below it), a ``.zip``, a ``.tar`` or a pattern of tars, or an ``.npz``.

    The ``.npz`` holds ``arr_0``, uint8 (N, H, W, 3), as ADM's samples do. Hidden files are left out; links to folders
    are followed once. In tars and ZIPs a ``.txt`` or ``.json`` with the stem of a picture is its caption. Raises
    BenchError, naming the file, for one that is missing or damaged, and for a source without pictures.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        return _pictures(path, [(path, list(_folder_members(path)))])
    if path.is_file():
        return _file_pictures(path)
    tars = sorted(Path(name) for name in glob.glob(str(path)))  # noqa: PTH207 (the pattern may be absolute)
    if not tars:
        raise BenchError(f"{shown(path)}: no such file or folder; check the path of the pictures")
    for tar in tars:
        if tar.suffix.lower() != ".tar":
            raise BenchError(
                f"{shown(tar)}: a pattern must name .tar files alone; give the folder in place of '{path}'"
            )
    return _pictures(path, [(tar, list(_tar_members(tar))) for tar in tars])


def shown(name: object) -> str:
    """Return a file's name as it can be printed and stored, bytes that are not UTF-8 as ``\\xff``."""
    return os.fsencode(str(name)).decode("utf-8", "backslashreplace")


def _file_pictures(path: Path) -> Pictures:
    suffix = path.suffix.lower()
    if suffix == ".npz":
        return _array_pictures(path)
    if suffix == ".zip":
        return _pictures(path, [(path, list(_zip_members(path)))])
    if suffix == ".tar":
        return _pictures(path, [(path, list(_tar_members(path)))])
    single = "a single picture; give its folder" if suffix in PICTURE_SUFFIXES else "not a source of pictures"
    raise BenchError(f"{shown(path)}: {single} (a folder, {', '.join(_CONTAINERS)})")


def _pictures(source: Path, parts: Iterable[tuple[Path, list[_Member]]]) -> Pictures:
    """Sort the members of one place, or of several shards, into pictures, captions and the rest."""
    parts = list(parts)
    items: dict[str, Item] = {}
    count = 0
    for place, members in parts:
        prefix = f"{shown(place.name)}/" if len(parts) > 1 else ""
        count += len(members)
        for item in _items(place, members, prefix):
            if item.key in items:
                raise BenchError(f"{item.name}: this name comes twice; give each picture its own")
            items[item.key] = item
    if not items:
        raise BenchError(f"{shown(source)}: {_no_pictures(parts)}")
    captions = sum(item.caption is not None for item in items.values())
    return Pictures(shown(source), [items[key] for key in sorted(items)], count - len(items) - captions)


def _items(place: Path, members: list[_Member], prefix: str) -> Iterator[Item]:
    captions = {} if place.is_dir() else _captions(place, members)
    for member in members:
        path = PurePosixPath(member.path)
        if path.suffix.lower() in PICTURE_SUFFIXES:
            name = _member_name(place, member.path)
            read = partial(_refuse, name, member.problem) if member.problem else member.read
            yield Item(prefix + shown(member.path), name, read, caption=captions.get(str(path.with_suffix(""))))


def _captions(place: Path, members: list[_Member]) -> dict[str, Callable[[], str]]:
    found: dict[str, Callable[[], str]] = {}
    for member in members:
        path = PurePosixPath(member.path)
        if path.suffix.lower() in _CAPTION_SUFFIXES and not member.problem:
            found[str(path.with_suffix(""))] = partial(_caption, member, _member_name(place, member.path))
    return found


def _caption(member: _Member, name: str) -> str:
    try:
        text = member.read().decode("utf-8-sig")
        found: Any = json.loads(text) if member.path.lower().endswith(".json") else text
    except ValueError as error:
        raise BenchError(f"{name}: not {'JSON' if name.endswith('.json') else 'UTF-8'} ({error}); mend it") from error
    if isinstance(found, dict):
        found = next((found[column] for column in TEXT_COLUMNS if column in found), None)
    if not isinstance(found, str) or not found.strip():
        raise BenchError(f"{name}: no prompt in it; write the text, or an object with the key 'prompt'")
    return found.strip()


def _no_pictures(parts: list[tuple[Path, list[_Member]]]) -> str:
    suffixes = {PurePosixPath(member.path).suffix.lower() for _, members in parts for member in members}
    if ".tar" in suffixes:
        return "no pictures but tars; give a pattern such as 'FOLDER/*.tar'"
    held = f" (there: {', '.join(sorted(suffixes)[:4])})" if suffixes else ", it is empty"
    return f"holds no pictures{held}; give pictures ({' '.join(SUFFIXES)})"


def _member_name(place: Path, member: str) -> str:
    return shown(place / member) if place.is_dir() else f"{shown(place)}: {shown(member)}"


def _refuse(name: str, problem: str) -> bytes:
    raise BenchError(f"{name}: {problem}")


def _hidden(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return not parts or any(part.startswith(".") and part != ".." for part in parts) or parts[0] == "__MACOSX"


# --- folders


def _folder_members(folder: Path) -> Iterator[_Member]:
    for path in _walk(folder):
        name = path.relative_to(folder).as_posix()
        if not _hidden(name):
            yield _Member(name, partial(_read_file, path))


def _walk(folder: Path) -> Iterator[Path]:
    """All files below; a folder that a link leads to a second time is passed over, so that loops end."""
    seen = set()
    for root, folders, files in os.walk(folder, followlinks=True, onerror=_unreadable):
        real = os.path.realpath(root)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        yield from (Path(root, name) for name in sorted(files))


def _unreadable(error: OSError) -> None:
    raise BenchError(f"{shown(error.filename)}: cannot be read; check its permissions") from error


def _read_file(path: Path) -> bytes:
    try:
        if not path.is_file():  # a pipe or a device would never end
            raise FileNotFoundError(2, "no such file, or not a plain one")
        return path.read_bytes()
    except OSError as error:
        raise BenchError(f"{shown(path)}: {error.strerror or error}; check the file") from error


# --- archives


@contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (OSError, zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        raise BenchError(f"{shown(path)}: truncated or damaged ({error}); get it again") from error


def _zip_members(path: Path) -> Iterator[_Member]:
    with _archive(path) as archive:
        files = [info for info in archive.infolist() if not info.is_dir() and not _hidden(info.filename)]
    opened = zipfile.ZipFile(path)  # reading from several threads is safe, they share a lock
    for info in files:
        encrypted = "encrypted; unpack it" if info.flag_bits & _ENCRYPTED else None
        problem = _problem(info.filename, info.file_size) or encrypted
        # Some writers on Windows put backslashes, against the format.
        yield _Member(info.filename.replace("\\", "/"), partial(_read_zip, opened, info, path), problem)


def _read_zip(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> bytes:
    try:
        return archive.read(info)
    except Exception as error:  # zipfile, zlib, lzma and bz2 each have their own
        name = f"{shown(path)}: {shown(info.filename)}"
        raise BenchError(f"{name}: truncated or damaged ({error}); replace or remove it") from error


def _tar_members(path: Path) -> Iterator[_Member]:
    """Members by their place in the file, so that each can be read alone; links and devices are no files."""
    try:
        with tarfile.open(path, "r:") as archive:
            for info in archive:
                if info.isreg() and not _hidden(info.name.removeprefix("./")):
                    read = partial(_read_range, path, info.name, info.offset_data, info.size)
                    yield _Member(info.name.removeprefix("./"), read, _problem(info.name, info.size))
    except (OSError, tarfile.TarError) as error:
        mend = "get it again; of compressed tars give the unpacked .tar"
        raise BenchError(f"{shown(path)}: truncated or damaged ({error}); {mend}") from error


def _read_range(path: Path, member: str, start: int, size: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(start)
            data = file.read(size)
    except OSError as error:
        raise BenchError(f"{shown(path)}: {error.strerror or error}; check the file") from error
    if len(data) < size:
        raise BenchError(f"{shown(path)}: {shown(member)}: the tar ends within it; get it again")
    return data


def _problem(member: str, size: int) -> str | None:
    path = PurePosixPath(member.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or (path.parts and path.parts[0].endswith(":")):
        return "its name leads out of the archive; rename it"
    return f"{size:,} bytes are too many for a picture; remove it" if size > MAX_BYTES else None


# --- arrays


def _array_pictures(path: Path) -> Pictures:
    pictures = _stored_array(path)
    if pictures.dtype != np.uint8:
        raise BenchError(f"{shown(path)}: arr_0 is {pictures.dtype}, which has no set range; save uint8, 0 to 255")
    if pictures.ndim != 4 or pictures.shape[-1] != 3 or 0 in pictures.shape:
        raise BenchError(f"{shown(path)}: arr_0 is {pictures.shape}; save pictures as (N, H, W, 3)")
    width = len(str(len(pictures) - 1))
    decode = partial(_as_picture, shape=pictures.shape[1:])
    items = [
        Item(f"{index:0{width}d}", f"{shown(path)}: arr_0[{index}]", partial(_row, pictures, index), decode)
        for index in range(len(pictures))
    ]
    return Pictures(shown(path), items)


def _stored_array(path: Path) -> NDArray[Any]:
    """``arr_0``, mapped into memory where the file is not compressed, as those of 50,000 pictures are."""
    with _archive(path) as archive:
        names = archive.namelist()
        if "arr_0.npy" not in names:
            held = ", ".join(shown(PurePosixPath(name).stem) for name in names[:6]) or "nothing"
            raise BenchError(f"{shown(path)}: neither arr_0 nor mu and sigma in it (there: {held})")
        info = archive.getinfo("arr_0.npy")
    try:
        if info.compress_type == zipfile.ZIP_STORED:
            return _mapped(path, info)
        with np.load(path, allow_pickle=False) as file:
            return np.asarray(file["arr_0"])
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise BenchError(f"{shown(path)}: arr_0 cannot be read ({error}); save it again as uint8") from error


def _mapped(path: Path, info: zipfile.ZipInfo) -> NDArray[Any]:
    with path.open("rb") as file:
        file.seek(info.header_offset + 26)  # the local header: lengths of name and extra field stand at its end
        name, extra = (int.from_bytes(file.read(2), "little") for _ in range(2))
        file.seek(name + extra, os.SEEK_CUR)
        version = np.lib.format.read_magic(file)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = header(file)
        if dtype.hasobject:
            raise ValueError("pickled objects are refused")
        if 0 in shape:
            return np.empty(shape, dtype)
        return np.memmap(path, dtype, "r", file.tell(), shape, "F" if fortran else "C")


def _row(pictures: NDArray[np.uint8], index: int) -> bytes:
    return bytes(pictures[index].tobytes())


def _as_picture(data: bytes, name: str, *, shape: tuple[int, ...]) -> Pixels:
    return np.frombuffer(data, np.uint8).reshape(shape).copy()


# --- matching by name


@dataclass
class Names:
    """Finds a picture by a name that is written another way: without its suffix, its folder, leading zeros."""

    exact: dict[str, str] = field(default_factory=dict)
    loose: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, keys: Iterable[str]) -> Names:
        """Index the keys of a source."""
        names = cls()
        for key in keys:
            names.exact.setdefault(_bare(key), key)
            names.loose.setdefault(canonical(key), []).append(key)
        return names

    def find(self, name: str) -> str | None:
        """Return the key that ``name`` means: by path, else by stem; BenchError where two pictures share the stem."""
        if _bare(name) in self.exact:
            return self.exact[_bare(name)]
        keys = self.loose.get(canonical(name), [])
        if len(keys) > 1:
            raise BenchError(f"'{keys[0]}' and '{keys[1]}' are both the picture of '{name}': keep one")
        return keys[0] if keys else None


def canonical(name: str) -> str:
    """Return the stem; where it is a number, without leading zeros and without the prefix of COCO's 2014 files."""
    stem = PurePosixPath(_bare(name)).name
    digits = stem.rpartition("_")[2] if stem.startswith("COCO_") else stem
    return digits.lstrip("0") or "0" if digits.isdecimal() else stem


def _bare(name: str) -> str:
    """The name without the suffix of a picture; ``v1.2`` keeps its ``.2``."""
    path = PurePosixPath(name)
    return str(path.with_suffix("")) if path.suffix.lower() in PICTURE_SUFFIXES else name


def matched(keys: Iterable[str], wanted: Mapping[str, Any]) -> dict[str, str]:
    """Return, by key of a picture, the name in ``wanted`` that means it; BenchError where one has two."""
    names, found = Names.of(keys), dict[str, str]()
    for name in wanted:
        key = names.find(name)
        if key is None:
            continue
        if key in found:
            raise BenchError(f"'{found[key]}' and '{name}' both mean the picture '{key}': keep one")
        found[key] = name
    return found
