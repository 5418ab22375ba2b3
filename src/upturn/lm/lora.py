"""Several adapters over one model in this process: whose update counts changes from batch to batch.

y = base(x) + (x A^T) B^T in every layer that the adapter has. The update hangs on the layer as a
forward hook: without an adapter nothing hangs there, and the model is what it was, to the bit.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Protocol

import torch
from dspy.lm15 import Request, Response
from torch import Tensor, nn

from upturn.weights.adapter import Adapter, read
from upturn.weights.lora import Lora, LoraLayer, check_fits

Shapes = Mapping[str, tuple[int, int]]


def linear_shapes(model: nn.Module) -> dict[str, tuple[int, int]]:
    """Returns module path -> (out, in) of the layers that an adapter may change."""
    return {
        name: (module.out_features, module.in_features)
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear)
    }


class Loras:
    """The adapters of one model: the last few are kept in memory, one at most is on.

    ``load`` may be called from any thread, ``use`` from the one that runs the model.

    Args:
        model: its linear layers may be packed (``local_linear``).
        shapes: of the layers before they were packed; see ``linear_shapes``.
        most: adapters to keep; the one that was used longest ago is forgotten.
    """

    def __init__(self, model: nn.Module, shapes: Shapes, *, most: int) -> None:
        self._model, self._shapes, self._most = model, shapes, most
        self._kept: OrderedDict[str, Lora] = OrderedDict()
        self._lock = threading.Lock()
        self._hooks: list[Any] = []
        self._on = ""

    @property
    def kept(self) -> tuple[str, ...]:
        """Ids of the adapters in memory, the one to be forgotten next first."""
        with self._lock:
            return tuple(self._kept)

    def load(self, adapter: Adapter) -> Lora:
        """Returns an adapter's numbers; reads them where they are not in memory.

        Raises:
            CorruptionError: the files are not what the adapter's id names.
            ModelError: the adapter does not fit the model's layers.
        """
        with self._lock:
            lora = self._kept.pop(adapter.id, None)
            if lora is None:
                lora = read(adapter)
                check_fits(lora, self._shapes, where=f"adapter {adapter.id}")
            self._kept[adapter.id] = lora
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return lora

    def use(self, adapter: Adapter | None) -> None:
        """Puts one adapter on the model, or none.

        Raises:
            UpturnError: as ``load``; then none is on.
        """
        name = "" if adapter is None else adapter.id
        if name == self._on:
            return
        while self._hooks:
            self._hooks.pop().remove()
        self._on = ""
        if adapter is not None:
            for module, layer in self.load(adapter).layers.items():
                update = _Update(layer)
                self._hooks.append(self._model.get_submodule(module).register_forward_hook(update))
            self._on = name


class _Update:
    """What one layer's output gets added."""

    def __init__(self, layer: LoraLayer) -> None:
        self._a_T = layer.a.t()
        self._b_T = layer.b.t()

    def __call__(self, module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
        x = args[0]
        low = x.reshape(-1, x.shape[-1]) @ self._a_T
        return torch.addmm(output.reshape(-1, output.shape[-1]), low, self._b_T).view_as(output)


class AdaptsRequests(Protocol):
    """An engine that answers with an adapter on."""

    def complete_with(self, request: Request, adapter: Adapter) -> Response: ...

    async def acomplete_with(self, request: Request, adapter: Adapter) -> Response: ...


class AdaptedEngine:
    """A local engine with one adapter on, for whoever needs an engine. Owns nothing.

    Args:
        engine: batches, caches prefixes and is closed by its owner.
        adapter: the adapter.
    """

    def __init__(self, engine: AdaptsRequests, adapter: Adapter) -> None:
        self._engine = engine
        self.adapter = adapter

    def complete(self, request: Request) -> Response:
        """As ``LocalEngine.complete``."""
        return self._engine.complete_with(request, self.adapter)

    async def acomplete(self, request: Request) -> Response:
        """As ``LocalEngine.acomplete``."""
        return await self._engine.acomplete_with(request, self.adapter)

    def close(self) -> None:
        """Does nothing: the model belongs to the connection that it was made from."""
