"""Calls of a torch module as a graph of another runtime takes them: tensors in, tensors out, of one picture."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from ...adapters.counting import on_meta
from ...core.errors import BenchError


class _Hole:
    """Stands where a tensor was taken out."""

    def __repr__(self) -> str:
        return "tensor"


HOLE = _Hole()


@dataclass(frozen=True)
class ModuleCall:
    """The arguments of one call: its tensors, numbers among them, and what is left to be built into a graph.

    ``return_dict`` is left out: a graph answers with a tuple where a module could.
    """

    names: tuple[str, ...]
    """Of the tensors: ``sample``, ``down_block_additional_residuals_0``."""
    tensors: tuple[Tensor, ...]
    leaves: tuple[Any, ...]
    """What is no tensor, holes where tensors were."""
    tree: pytree.TreeSpec

    @classmethod
    def of(cls, module: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> ModuleCall:
        """Read a call; BenchError for an argument that no graph can take."""
        named = _by_name(module, args, kwargs)
        named.pop("return_dict", None)
        paths, tree = pytree.tree_flatten_with_path(named)
        found = [("_".join(_text(key) for key in path), _as_tensor(leaf)) for path, leaf in paths]
        for name, leaf in found:
            if not isinstance(leaf, Tensor | bool | str | None):
                raise BenchError(f"{type(module).__name__} takes a {type(leaf).__name__} as {name}: no graph can")
        return cls(
            tuple(name for name, leaf in found if isinstance(leaf, Tensor)),
            tuple(leaf for _, leaf in found if isinstance(leaf, Tensor)),
            tuple(HOLE if isinstance(leaf, Tensor) else leaf for _, leaf in found),
            tree,
        )

    @cached_property
    def shapes(self) -> dict[str, str]:
        """Type and shape of each tensor, of one picture: ``{"sample": "float32 1×4×64×64"}``."""
        return {
            name: f"{str(tensor.dtype).removeprefix('torch.')} {'×'.join(map(str, _of_one(tensor)))}".strip()
            for name, tensor in zip(self.names, self.tensors, strict=True)
        }

    @cached_property
    def key(self) -> str:
        """16 hex digits of all that a graph is made for: shapes, and what is built in."""
        return hashlib.sha256(f"{self.shapes} {self.leaves} {self.tree}".encode()).hexdigest()[:16]

    @property
    def batch(self) -> int:
        """How many pictures it is of: the first dimension of all tensors that have one."""
        sizes = {tensor.shape[0] for tensor in self.tensors if tensor.ndim}
        if len(sizes) != 1:
            raise BenchError(f"tensors of {sorted(sizes)} rows in one call: a graph computes picture by picture")
        return int(sizes.pop())

    def rows(self) -> Iterator[tuple[Tensor, ...]]:
        """The tensors of each picture, (1, …); numbers are those of all."""
        for row in range(self.batch):
            yield tuple(tensor[row : row + 1] if tensor.ndim else tensor for tensor in self.tensors)

    def arguments(self, tensors: Sequence[Tensor]) -> dict[str, Any]:
        """The module's arguments with ``tensors`` in the place of the call's own."""
        given = iter(tensors)
        leaves = [next(given) if leaf is HOLE else leaf for leaf in self.leaves]
        found: dict[str, Any] = pytree.tree_unflatten(leaves, self.tree)
        return found


class Graph(nn.Module):
    """A module as a function of the tensors of a call; what exporters are given."""

    def __init__(self, module: nn.Module, call: ModuleCall) -> None:
        super().__init__()
        self.module, self.call = module, call
        takes = inspect.signature(module.forward).parameters
        self.options = {"return_dict": False} if "return_dict" in takes else {}

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Return the tensors of the module's answer, in their order."""
        return tuple(leaf for leaf in pytree.tree_leaves(self.answer(tensors)) if isinstance(leaf, Tensor))

    def answer(self, tensors: Sequence[Tensor]) -> Any:
        """Return what the module does."""
        # Its forward, not the module itself: calls of that may be answered by another runtime already.
        return self.module.forward(**self.call.arguments(tensors), **self.options)

    def restore(self) -> Answer:
        """Return the shape of the answer, found out without computing."""
        tensors = next(self.call.rows())
        with torch.no_grad():
            answer = Graph(on_meta(self.module), self.call).answer([tensor.to("meta") for tensor in tensors])
        leaves, tree = pytree.tree_flatten(answer)
        return Answer(tuple(HOLE if isinstance(leaf, Tensor) else leaf for leaf in leaves), tree)


@dataclass(frozen=True)
class Answer:
    """What a module answers with, less the tensors."""

    leaves: tuple[Any, ...]
    tree: pytree.TreeSpec

    def filled(self, tensors: Sequence[Tensor]) -> Any:
        """The answer with ``tensors`` in it."""
        given = iter(tensors)
        return pytree.tree_unflatten([next(given) if leaf is HOLE else leaf for leaf in self.leaves], self.tree)


def _by_name(module: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments by the names that ``forward`` gives them: what is given by place and by name is one and the same."""
    signature = inspect.signature(module.forward)
    found = dict(signature.bind(*args, **kwargs).arguments)
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            found |= found.pop(parameter.name, {})
    return dict(sorted(found.items()))


def _text(key: Any) -> str:
    return str(getattr(key, "key", getattr(key, "idx", getattr(key, "name", key))))


def _as_tensor(leaf: Any) -> Any:
    return torch.tensor(leaf) if isinstance(leaf, int | float) and not isinstance(leaf, bool) else leaf


def _of_one(tensor: Tensor) -> list[int]:
    return [1, *tensor.shape[1:]] if tensor.ndim else []
