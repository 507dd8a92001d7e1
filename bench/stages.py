"""``bench table snapfusion-architecture``: the blocks of our networks, counted, beside those of the paper's table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..reports.grid import Cell, Column, Row, Table
from ..reports.paper import published_table
from ..reports.published import Published

if TYPE_CHECKING:
    from torch import nn

NAME = "snapfusion-architecture"

NETWORKS = {"sd_": "SD1.5 UNet", "": "SnapFusion UNet"}
"""Names of networks (``adapters.full_size``) by the beginnings of their columns."""

NOTE = "Counted: the blocks of the networks here, ≈ where they are as many."

Counts = Mapping[str, Mapping[str, int]]
"""By stage, the numbers of a network's ``attentions`` and ``resnets``."""


def stages_table(published: Published) -> Table:
    """The published table with a column of counts behind each column of blocks; nothing of the networks is loaded."""
    import torch

    from ..adapters import full_size

    made = full_size.factories()
    with torch.device("meta"):
        counts = {start: blocks(made[name]()) for start, name in NETWORKS.items()}
    found = {
        f"{start}{kind}": {stage: numbers[kind] for stage, numbers in network.items()}
        for start, network in counts.items()
        for kind in ("attentions", "resnets")
    }
    table = _beside(published_table(published), found)
    return replace(table, notes=(*table.notes, NOTE))


def blocks(unet: Any) -> Counts:
    """Count the blocks of a UNet of four resolutions by the paper's stages.

    The lowest resolution is one stage: the way down, the middle and the way up together.
    """
    down, up = list(unet.down_blocks), list(unet.up_blocks)
    parts = {f"Down-{place}": [block] for place, block in enumerate(down[:-1], 1)}
    parts["Mid"] = [down[-1], unet.mid_block, up[0]]
    parts |= {f"Up-{place}": [block] for place, block in enumerate(up[1:], 1)}
    return {
        stage: {kind: sum(_count(block, kind) for block in found) for kind in ("attentions", "resnets")}
        for stage, found in parts.items()
    }


def _count(block: nn.Module, kind: str) -> int:
    return len(getattr(block, kind, ()))


def _beside(table: Table, found: Mapping[str, Mapping[str, int]]) -> Table:
    columns, rows = list[Column](), [list[Cell]() for _ in table.rows]
    for place, column in enumerate(table.columns):
        columns.append(column)
        counted = found.get(column.key)
        if counted is not None:
            columns.append(Column(f"{column.key}_counted", "counted"))
        for cells, row in zip(rows, table.rows, strict=True):
            cells.append(row.cells[place])
            if counted is not None:
                cells.append(_counted(row, row.cells[place], counted))
    laid = tuple(replace(row, cells=tuple(cells)) for row, cells in zip(table.rows, rows, strict=True))
    return replace(table, columns=tuple(columns), rows=laid)


def _counted(row: Row, printed: Cell, counted: Mapping[str, int]) -> Cell:
    number = counted[row.cells[0].text.partition(" ")[0]]
    same = number == printed.value
    return Cell(str(number), number, status="reproduced" if same else "measured")
