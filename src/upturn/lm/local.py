"""LocalEngine: a Hugging Face folder answers in this process, on the CPU, in batches."""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from dspy.lm15 import ContextLengthError, Request, Response, ServerError
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from upturn.errors import ModelError
from upturn.lm.attention import Prefix
from upturn.lm.batching import BatchWorker
from upturn.lm.decode import (
    Generation,
    decode,
    decode_alone,
    most_slots,
    prefill,
    sampler,
    shares_prefixes,
)
from upturn.lm.drafts import Drafts
from upturn.lm.engine import text_response
from upturn.lm.folder import check_folder
from upturn.lm.keys import request_key
from upturn.lm.local_linear import pack_linears
from upturn.lm.lora import AdaptedEngine, Loras, linear_shapes
from upturn.lm.prompt import Prompt, Prompter
from upturn.weights.adapter import Adapter, adapted_id

_DEFAULT_MAX_TOKENS = 256
_DEFAULT_CONTEXT = 1 << 30

#: Id of the adapter, or "", and the prefix.
_Group = tuple[str, tuple[int, ...]]


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """A request on its way; rows of one adapter and one prefix run together."""

    prompt: Prompt
    generation: Generation
    adapter: Adapter | None

    @property
    def group(self) -> _Group:
        return ("" if self.adapter is None else self.adapter.id, self.prompt.prefix)


@dataclass(kw_only=True)
class _Shared:
    """What is kept for one prefix under one adapter."""

    prefix: Prefix | None
    drafts: Drafts = field(default_factory=Drafts)


class LocalEngine:
    """Answers requests with a causal language model of ``transformers``.

    Callers wait while one worker batches them by adapter and shared prefix. At temperature 0 the
    text is that of unbatched greedy decoding; above, it is drawn with a seed made from the
    request's content.

    Args:
        folder: holds config.json, weights, tokenizer and chat template.
        model_id: goes into the seed of sampling.
        threads: torch's threads; None for all cores. torch keeps this per process.
        max_batch: most requests in one forward pass.
        kv_bytes: memory for keys and values, those of shared prefixes and of the batch together.
            Prefixes are forgotten and batches made smaller to keep it; one row always runs.
        draft_tokens: most tokens to guess per step; 0 turns guessing off, answers stay the same.
        max_adapters: adapters that are kept in memory; one more is read when it is asked for.

    Raises:
        ModelError: the folder lacks a file, or transformers cannot load it.

    Attributes:
        peak_kv_bytes: the most memory that keys and values have taken.
        adapters: the adapters in memory, and which one is on.
    """

    def __init__(
        self,
        folder: Path | str,
        *,
        model_id: str,
        threads: int | None = None,
        max_batch: int = 32,
        kv_bytes: int = 1 << 30,
        draft_tokens: int = 16,
        max_adapters: int = 16,
    ) -> None:
        folder = Path(folder)
        check_folder(folder)
        self.model_id = model_id
        self.peak_kv_bytes = 0
        self._kv_bytes = kv_bytes
        self._draft_tokens = draft_tokens
        self._shared: OrderedDict[_Group, _Shared] = OrderedDict()
        tokenizer, self._model = _load(folder)
        self._tokenizer = tokenizer
        self._prompter = Prompter(tokenizer)
        self._eos = _end_tokens(self._model, tokenizer)
        self._context = getattr(self._model.config, "max_position_embeddings", _DEFAULT_CONTEXT)
        n_threads = threads or os.cpu_count() or 1
        torch.set_num_threads(n_threads)
        shapes = linear_shapes(self._model)
        self.packs_weights = pack_linears(self._model)
        self.shares_prefixes = shares_prefixes(self._model)
        self._token_bytes = prefill(self._model, (0,)).n_bytes if self.shares_prefixes else 0
        self.adapters = Loras(self._model, shapes, most=max_adapters)
        self._worker: BatchWorker[_Asked, Generation] = BatchWorker(
            self._run,
            max_batch=max_batch,
            fitting=self._fitting,
            # OpenMP keeps the number per thread, so the worker must set its own.
            start=lambda: torch.set_num_threads(n_threads),
        )

    def complete(self, request: Request) -> Response:
        """Returns the answer; blocks until its batch is done.

        Raises:
            ContextLengthError: the prompt leaves no room for an answer.
            ServerError: the model failed, or the engine is closed.
        """
        return self.complete_with(request, None)

    async def acomplete(self, request: Request) -> Response:
        """As ``complete``, without blocking the loop."""
        return await self.acomplete_with(request, None)

    def complete_with(self, request: Request, adapter: Adapter | None) -> Response:
        """As ``complete``, with an adapter on."""
        prompt, future = self._submit(request, adapter)
        return self._response(request, prompt, future.result())

    async def acomplete_with(self, request: Request, adapter: Adapter | None) -> Response:
        """As ``acomplete``, with an adapter on."""
        prompt, future = self._submit(request, adapter)
        return self._response(request, prompt, await asyncio.wrap_future(future))

    def adapted(self, adapter: Adapter) -> AdaptedEngine:
        """Returns this engine with an adapter on: same model, same worker, one more set of answers.

        Raises:
            CorruptionError: the adapter's files are not what its id names.
            ModelError: the adapter does not fit the model's layers.
        """
        self.adapters.load(adapter)
        return AdaptedEngine(self, adapter)

    def close(self) -> None:
        """Ends the worker; waiting callers get a ServerError."""
        self._worker.close()

    def _submit(
        self, request: Request, adapter: Adapter | None
    ) -> tuple[Prompt, Future[Generation]]:
        prompt = self._prompter.encode(request)
        config = request.config
        room = self._context - len(prompt.ids)
        if room < 1:
            raise ContextLengthError(
                f"the prompt must be shorter than {self._context} tokens, got {len(prompt.ids)}"
            )
        generation = Generation(
            ids=prompt.ids, max_tokens=min(room, config.max_tokens or _DEFAULT_MAX_TOKENS)
        )
        if config.temperature:
            model_id = adapted_id(self.model_id, adapter)
            seed = int(request_key(model_id, request)[:16], 16)
            generation.choose = sampler(config.temperature, config.top_p, config.top_k, seed)
        if config.stop:
            generation.stopped = lambda answer: any(s in self._text(answer) for s in config.stop)
        asked = _Asked(prompt=prompt, generation=generation, adapter=adapter)
        return prompt, self._worker.submit(asked, asked.group)

    def _fitting(self, batch: list[_Asked]) -> int:
        """Returns how many of these rows the memory for keys and values holds."""
        room = self._kv_bytes - self._token_bytes * len(batch[0].prompt.prefix)
        n = len(batch)
        while n > 1 and self._own_bytes(batch[:n]) > room:
            n -= 1
        return n

    def _own_bytes(self, batch: list[_Asked]) -> int:
        generations = [asked.generation for asked in batch]
        slots = most_slots(generations, len(batch[0].prompt.prefix), self._draft_tokens)
        return len(batch) * slots * self._token_bytes

    def _run(self, batch: list[_Asked]) -> list[Generation]:
        generations = [asked.generation for asked in batch]
        try:
            self.adapters.use(batch[0].adapter)
            if self.shares_prefixes:
                shared = self._share(batch[0].group, room=self._own_bytes(batch))
                own = decode(self._model, shared.prefix, generations, self._eos, shared.drafts)
                self.peak_kv_bytes = max(self.peak_kv_bytes, own + self._held_bytes())
            else:
                for generation in generations:
                    decode_alone(self._model, generation, self._eos)
        except (RuntimeError, ValueError, IndexError, MemoryError) as error:
            raise ServerError(f"the local model failed: {error}") from error
        return generations

    def _share(self, group: _Group, *, room: int) -> _Shared:
        """Returns what is kept for a prefix, after forgetting others to leave ``room`` bytes."""
        ids = group[1]
        known = self._shared.pop(group, None)
        needed = room + self._token_bytes * len(ids)
        while self._shared and self._held_bytes() + needed > self._kv_bytes:
            self._shared.popitem(last=False)
        if known is None:
            prefix = prefill(self._model, ids) if ids else None
            known = _Shared(prefix=prefix, drafts=Drafts(self._draft_tokens))
        self._shared[group] = known
        return known

    def _held_bytes(self) -> int:
        return sum(s.prefix.n_bytes for s in self._shared.values() if s.prefix is not None)

    def _text(self, ids: list[int]) -> str:
        return cast(str, self._tokenizer.decode(ids, skip_special_tokens=True))

    def _response(self, request: Request, prompt: Prompt, generation: Generation) -> Response:
        text = self._text(generation.answer)
        for stop in request.config.stop:
            text = text.split(stop, 1)[0]
        return text_response(
            request,
            text,
            finish_reason=generation.finish_reason,
            input_tokens=len(prompt.ids),
            output_tokens=len(generation.answer),
        )


def _load(folder: Path) -> tuple[Any, Any]:
    shows_bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, attn_implementation="sdpa", local_files_only=True
        )
    except Exception as error:
        # transformers raises dozens of types for a folder it cannot read; all mean the same here.
        raise ModelError(
            f"transformers must be able to load the model ({type(error).__name__}: {error})",
            where=str(folder),
        ) from error
    finally:
        if shows_bars:
            transformers_logging.enable_progress_bar()
    return tokenizer, model.eval()


def _end_tokens(model: Any, tokenizer: Any) -> frozenset[int]:
    end = model.generation_config.eos_token_id
    end = tokenizer.eos_token_id if end is None else end
    return frozenset(end if isinstance(end, list) else [] if end is None else [end])
