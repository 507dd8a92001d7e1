"""``bench run --device import:FILE``: pictures that another machine made, measured here; its seconds as it states."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..adapters.folder import Folder
from ..adapters.spec import split_list
from ..core.errors import BenchError
from ..datasets.imported import Imported, ImportedRow, read_imported
from ..reports.latency import END_TO_END
from ..reports.schema import Cost, Latency, RunSettings
from .devices.imported import composed_s
from .rows import AdapterRow, Facts

PREFIX = "import:"


class ImportedPictures(Folder):
    """The pictures of one row of a file, matched to prompts as those of ``folder:`` are."""

    def __init__(self, source: Imported, row: ImportedRow) -> None:
        super().__init__(str(source.folder(row)))
        self.source, self.row = source, row
        self.checkpoint = row.checkpoint or source.source

    def fingerprint(self) -> str:
        """The file's digest: other numbers are another row; each picture's own digest is in the store."""
        return self.source.digest[:16]


class ImportedPicturesRow(AdapterRow):
    """A row of them in a run."""

    adapter: ImportedPictures

    def facts(self) -> Facts:
        source, row = self.adapter.source, self.adapter.row
        device, own = (
            source.content.device,
            {name: getattr(row, name) for name in ("scheduler", "steps", "guidance", "dtype")},
        )
        return Facts(
            settings=RunSettings(**own, size=f"{row.width}x{row.height}", device=device.name),
            cost=_cost(row),
            latency=imported_latency(row, device.name),
            device=device.name,
            imported=source.source,
            notes=[*source.about(), *row.notes],
        )


def _cost(row: ImportedRow) -> Cost:
    params = [stage.params for stage in row.stages.values()]
    known = [count for count in params if count is not None]
    return Cost(
        params=sum(known) if known and len(known) == len(params) else None,
        forwards={name: float(stage.forwards) for name, stage in row.stages.items()},
        peak_memory_bytes=row.peak_memory_bytes,
    )


def imported_latency(row: ImportedRow, device: str) -> dict[str, Latency]:
    """Return seconds per picture as the file gives them: of each stage, and of whole pictures; else of their sum."""
    found = {
        name: Latency(median_s=stage.median * stage.forwards, n=stage.n or 0, device=device)
        for name, stage in row.stages.items()
    }
    if row.end_to_end:
        whole = row.end_to_end
        found[END_TO_END] = Latency(median_s=whole.median, p90_s=whole.p90_s, n=whole.n or 0, device=device)
    elif total := composed_s(row):
        found[END_TO_END] = Latency(median_s=total, n=0, device=device)
    return found


def imported_of(asked: Mapping[str, Any]) -> tuple[Imported | None, str | None]:
    """Return the file that ``--device`` names, and the methods of it that are asked for; neither for other devices.

    Raises BenchError for a broken file, a method it does not have, and where none of its rows has pictures.
    """
    if not str(asked["device"]).startswith(PREFIX):
        return None, asked["methods"]
    source = read_imported(asked["device"].removeprefix(PREFIX))
    rows = source.rows(split_list(asked["methods"] or ""))
    kept = rows if asked["methods"] else [row for row in rows if row.pictures]
    if not kept:
        raise BenchError(
            f"'{source.path}' holds no pictures: 'bench latency --device {asked['device']}' reads its times"
        )
    return source, ",".join(row.method for row in kept)


def pictures_of(source: Imported, method: str) -> ImportedPictures:
    """Return the pictures of the row of ``method``; BenchError where it has none."""
    (row,) = [row for row in source.rows([method]) if row.method == method]
    return ImportedPictures(source, row)
