"""Getting the files of named datasets: from their official hosts, or from a folder that has them."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path, PurePosixPath
from typing import TypeVar

from ..core.errors import BenchError
from ..core.files import Progress, download, mismatch, replacing
from .catalog import DATASETS
from .dataset import Archive, Dataset

T = TypeVar("T")


def fetch(
    name: str, root: Path, from_dir: Path | None = None, offline: bool = False, progress: Progress | None = None
) -> list[Path]:
    """Get the files of dataset ``name`` into the data root and return where they are; what is there is left alone.

    Downloads go on where they were interrupted and are checked against size and sha256. With ``from_dir`` nothing is
    downloaded: archives (checked in the same way) and unpacked folders or files are taken from there, as far as it
    has them; ``missing`` tells what it had not. ``progress`` counts bytes, from 0 anew for each download, unpacking
    and copying.

    Raises BenchError for a dataset that has nothing to fetch, where a download fails, for too little disk, for a
    ``from_dir`` with none of the files, and with ``offline`` where something would have to be downloaded.
    """
    dataset = DATASETS.get(name)
    if not dataset.fetchable:
        raise BenchError(f"dataset '{name}' has nothing to fetch: its files come with the installation or from you")
    lacking = missing(dataset, root)
    if from_dir is not None:
        _take_all(lacking, root, from_dir, progress)
    elif offline and lacking:
        files = ", ".join(dict.fromkeys(archive.filename for archive in lacking))
        raise BenchError(f"{name}: {files} would be downloaded, but --offline is set; give --from DIR or go online")
    else:
        while lacking:
            archive, *lacking = lacking
            _download(archive, root, progress)
            if _is_zip(archive) and all(other.url != archive.url for other in lacking):
                _downloaded(archive, root).unlink()  # its content is there, and it may be gigabytes
    dataset.prompts(root)  # what came must also be readable
    return [place for archive in dataset.fetchable if (place := archive.find(root))]


def missing(dataset: Dataset, root: Path) -> list[Archive]:
    """Return the archives of a dataset whose content is not, or not all, in the data root."""
    return [archive for archive in dataset.fetchable if archive.find(root) is None]


def _download(archive: Archive, root: Path, progress: Progress | None) -> None:
    zipped = _downloaded(archive, root) if _is_zip(archive) else archive.place(root)
    _check_space(archive, root, zipped)
    download(archive.url, zipped, size=archive.size, sha256=archive.sha256, progress=progress)
    if _is_zip(archive):
        _unpack(zipped, archive, root, progress)


def _downloaded(archive: Archive, root: Path) -> Path:
    return root / "downloads" / archive.filename


def _check_space(archive: Archive, root: Path, zipped: Path) -> None:
    """Raise BenchError unless there is room for the archive and its content; photos do not shrink in a zip."""
    there = sum(path.stat().st_size for path in (zipped, Path(f"{zipped}.part")) if path.is_file())
    needed = archive.size * (2 if archive.files > 1 else 1) - there
    existing = next(folder for folder in (root.absolute(), *root.absolute().parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    if needed > free:
        raise BenchError(
            f"{root}: {needed / 1e9:.1f} GB are needed for {archive.filename}, {free / 1e9:.1f} GB are free;"
            " free some, or point --data-root at another disk"
        )


def _take_all(archives: list[Archive], root: Path, from_dir: Path, progress: Progress | None) -> None:
    if not from_dir.is_dir():
        raise BenchError(f"{from_dir}: no such folder; --from takes one with the archives or their content")
    taken = [_take(archive, root, from_dir, progress) for archive in archives]
    if archives and not any(taken):
        wanted = "; ".join(f"{archive.filename} or {archive.content}" for archive in archives)
        raise BenchError(
            f"{from_dir}: has none of the files ({wanted}); give a folder that has, or fetch without --from"
        )


def _take(archive: Archive, root: Path, from_dir: Path, progress: Progress | None) -> bool:
    """Lay down the content from its archive or unpacked in ``from_dir``; False where that has neither."""
    source = _unpacked(archive, from_dir)
    if source is not None:
        _copy(source, archive, root, progress)
        return True
    zipped = from_dir / archive.filename
    if not (_is_zip(archive) and zipped.is_file()):
        return False
    if problem := mismatch(zipped, archive.size, archive.sha256):
        raise BenchError(
            f"{zipped}: {problem}; it is not the official archive or damaged, get it again from {archive.url}"
        )
    _unpack(zipped, archive, root, progress)
    return True


def _unpacked(archive: Archive, folder: Path) -> Path | None:
    direct = (folder / archive.content, folder / Path(archive.content).name)
    return archive.find(folder) or next((place for place in direct if archive.holds(place)), None)


def _copy(source: Path, archive: Archive, root: Path, progress: Progress | None) -> None:
    """Copy a file, or the photos of a folder; a plain file that is itself fetched is checked."""
    if not _is_zip(archive) and (problem := mismatch(source, archive.size, archive.sha256)):
        raise BenchError(f"{source}: {problem}; it is not the published list, get it again from {archive.url}")
    place = archive.place(root)
    files = [source] if source.is_file() else sorted(source.glob("*.jpg"))
    for file in _counted(files, [file.stat().st_size for file in files], progress):
        with replacing(place if source.is_file() else place / file.name) as part:
            shutil.copyfile(file, part)


def _unpack(zipped: Path, archive: Archive, root: Path, progress: Progress | None) -> None:
    """Unpack the needed members one by one; those there in full are left, so a killed run goes on."""
    try:
        with zipfile.ZipFile(zipped) as content:
            members = [info for info in content.infolist() if _is_needed(info, archive)]
            if len(members) != archive.files:
                raise BenchError(
                    f"{zipped}: has {len(members):,} files of {archive.content}, not {archive.files:,}; get it again"
                )
            for info in _counted(members, [info.file_size for info in members], progress):
                _unpack_member(content, info, archive, root)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise BenchError(f"{zipped}: damaged ({error}); remove it and get it again") from error


def _is_needed(info: zipfile.ZipInfo, archive: Archive) -> bool:
    """Whether a member is the content or directly in it; "../x" and "/x" never are, so nothing lands elsewhere."""
    name = PurePosixPath(info.filename)
    return not info.is_dir() and archive.content in (str(name), str(name.parent)) and "\\" not in info.filename


def _unpack_member(content: zipfile.ZipFile, info: zipfile.ZipInfo, archive: Archive, root: Path) -> None:
    place = root / archive.folder / info.filename
    if place.is_file() and place.stat().st_size == info.file_size:
        return
    with replacing(place) as part, content.open(info) as source, part.open("wb") as target:
        shutil.copyfileobj(source, target)


def _counted(items: Sequence[T], sizes: Sequence[int], progress: Progress | None) -> Iterator[T]:
    """Yield the items, and report the sizes of those that are done with."""
    total = sum(sizes)
    for item, done in zip(items, accumulate(sizes), strict=True):
        yield item
        if progress:
            progress(done, total)


def _is_zip(archive: Archive) -> bool:
    return archive.url.endswith(".zip")
