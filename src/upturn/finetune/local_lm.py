"""A ``dspy.LM`` on our local engine that DSPy can copy, fine-tune, save and load.

DSPy makes the fine-tuned LM by copying the old one under a new model string, with the same engine.
So the engine here goes by the string of each request: ``upturn-mini@0123456789ab`` is the base,
``upturn-mini@0123456789ab+ba9876543210`` the same with an adapter of the workspace on.
"""

from __future__ import annotations

import re
import threading
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import dspy
from dspy.lm15 import Request, Response

from upturn.errors import ConfigError
from upturn.lm import AnswerCache, Meter, ModelSpec, rollout
from upturn.lm.connect import Connection, connect, locate
from upturn.records import Json
from upturn.weights.adapter import adapted_id, find

if TYPE_CHECKING:
    from dspy.clients.provider import Provider

WORKSPACE = "mlruns"
ADAPTERS, JOBS, CACHE = "adapters", "jobs", "cache.db"
_ADAPTED = re.compile(r"(?P<base>.+)\+(?P<weights>[0-9a-f]+)")


def split_model(model: str) -> tuple[str, str]:
    """Returns base and adapter id of a model string; the id is empty where it names none."""
    found = _ADAPTED.fullmatch(model)
    return (found["base"], found["weights"]) if found else (model, "")


class LocalModels:
    """A base model and all adapters of a workspace, behind one engine. Thread-safe.

    The model is loaded when it is first asked, and again after ``close``. Copies and deep copies
    are the same object: a program that is copied does not copy a model.

    Args:
        spec: of the base; a local one.
        workspace: holds ``adapters/`` and ``cache.db``.

    Raises:
        ConfigError: the model is a remote one.
        ModelError: its folder lacks a file.
    """

    def __init__(self, spec: ModelSpec, workspace: Path | str) -> None:
        if not spec.is_local:
            raise ConfigError(
                f"the model must be one that is trained here, got {spec.model!r}",
                where="model",
                fix="upturn-mini, or hf:/a/folder with a model of transformers",
            )
        self.spec, self.workspace = spec, Path(workspace).absolute()
        self.folder, self.base_id = locate(spec)
        self._lock = threading.Lock()
        self._open: tuple[Connection, AnswerCache] | None = None
        self._engines: dict[str, Any] = {}

    @property
    def adapters(self) -> Path:
        return self.workspace / ADAPTERS

    def complete(self, request: Request) -> Response:
        """Answers with the base or the adapter that the request's model names.

        Raises:
            ModelError, InputError: another base, or an adapter that the workspace does not have.
        """
        return self._engine(request.model).complete(request)

    async def acomplete(self, request: Request) -> Response:
        """As ``complete``, for an event loop."""
        return await self._engine(request.model).acomplete(request)

    def check(self, model: str) -> str:
        """Returns the model string in full: a name without a hash means the model that is here.

        Raises:
            ConfigError: it names another base.
            InputError: the workspace has no such adapter.
        """
        base, weights = split_model(model)
        if base not in (self.base_id, self.spec.model):
            raise ConfigError(
                f"this LM answers as {self.base_id}, got {base}",
                where="model",
                fix="make another one with upturn.local_lm",
            )
        if not weights:
            return self.base_id
        return adapted_id(self.base_id, find(self.adapters, weights))

    def close(self) -> None:
        """Frees the model's memory; the next request loads it again."""
        with self._lock:
            opened, self._open = self._open, None
            self._engines.clear()
        if opened is not None:
            connection, cache = opened
            connection.close()
            cache.close()

    def dump_state(self) -> dict[str, Json]:
        """Returns what ``load_state`` needs, for ``program.save``."""
        return {"spec": asdict(self.spec), "workspace": str(self.workspace)}

    @classmethod
    def load_state(cls, state: dict[str, Any]) -> LocalModels:
        return cls(ModelSpec(**state["spec"]), state["workspace"])

    def __copy__(self) -> LocalModels:
        return self

    def __deepcopy__(self, memo: object) -> LocalModels:
        return self

    def _engine(self, model: str) -> Any:
        with self._lock:
            if model not in self._engines:
                _, weights = split_model(self.check(model))
                connection = self._connection()
                if weights:
                    connection = connection.with_weights(find(self.adapters, weights))
                lm: Any = connection.lm
                self._engines[model] = lm.engine
            return self._engines[model]

    def _connection(self) -> Connection:
        if self._open is None:
            cache = AnswerCache(self.workspace / CACHE)
            try:
                self._open = (connect(self.spec, cache=cache, meter=Meter()), cache)
            except BaseException:
                cache.close()
                raise
        return self._open[0]


class AsyncLocalModels:
    """The same engine as DSPy's async calls want it: ``complete`` is a coroutine."""

    def __init__(self, models: LocalModels) -> None:
        self._models = models

    async def complete(self, request: Request) -> Response:
        return await self._models.acomplete(request)

    def dump_state(self) -> dict[str, Json]:
        return self._models.dump_state()

    @classmethod
    def load_state(cls, state: dict[str, Any]) -> AsyncLocalModels:
        return cls(LocalModels.load_state(state))


class LocalLM(dspy.LM):
    """The LM of ``local_lm``: DSPy's own, which knows its provider by itself.

    ``rollout_id`` and ``n``, with which DSPy asks for another sample, reach our cache of answers,
    which would else give the same sample again.
    """

    def infer_provider(self) -> Provider:
        """Returns the provider that trains this model; DSPy asks when the LM is made."""
        from upturn.finetune.provider import UpturnProvider

        models = cast(LocalModels, self.engine)
        return UpturnProvider(models.spec.model, workspace=models.workspace)

    def __call__(self, prompt: Any = None, *, messages: Any = None, **kwargs: Any) -> Any:
        """Returns DSPy's list of outputs, or the response to an explicit request."""
        if isinstance(prompt, Request):
            return super().__call__(prompt, messages=messages, **kwargs)
        outputs: list[Any] = []
        for number in self._samples(kwargs):
            with rollout(number):
                outputs += super().__call__(prompt, messages=messages, **{**kwargs, "n": 1})
        return outputs

    async def acall(self, prompt: Any = None, *, messages: Any = None, **kwargs: Any) -> Any:
        """As a call, for an event loop."""
        if isinstance(prompt, Request):
            return await super().acall(prompt, messages=messages, **kwargs)
        outputs: list[Any] = []
        for number in self._samples(kwargs):
            with rollout(number):
                outputs += await super().acall(prompt, messages=messages, **{**kwargs, "n": 1})
        return outputs

    def _samples(self, kwargs: dict[str, Any]) -> range:
        merged = {**self.kwargs, **kwargs}
        first = merged.get("rollout_id") or 0 if merged.get("temperature") else 0
        return range(first, first + (merged.get("n") or 1))


def local_lm(
    model: str = "upturn-mini",
    *,
    workspace: Path | str = WORKSPACE,
    provider: Provider | None = None,
    temperature: float = 0.0,
    max_tokens: int = 256,
    **kwargs: Any,
) -> LocalLM:
    """Returns an LM that ``dspy.BootstrapFinetune`` and ``dspy.BetterTogether`` can fine-tune.

    It answers in this process. ``lm.kill()`` frees the model until it is asked again.

    Args:
        model: ``upturn-mini`` or ``hf:/a/folder``; with ``+`` and an adapter's id, that adapter.
        workspace: where jobs, adapters and answers are kept; made where it does not exist.
        provider: who trains it; an ``UpturnProvider`` of the same workspace if None.
        temperature, max_tokens: of a call that does not say otherwise.
        kwargs: further arguments of ``dspy.LM``, such as ``train_kwargs``.

    Raises:
        ConfigError: the model is a remote one.
        ModelError: its folder lacks a file.
        InputError: the workspace has no such adapter.
        MissingExtraError: torch or transformers is not installed.
    """
    spec = ModelSpec(model=split_model(model)[0], temperature=temperature, max_tokens=max_tokens)
    models = LocalModels(spec, workspace)
    return LocalLM(
        models.check(model),
        engine=models,
        async_engine=AsyncLocalModels(models),
        provider=provider,
        cache=False,
        num_retries=0,
        temperature=temperature,
        max_tokens=max_tokens,
        **kwargs,
    )
