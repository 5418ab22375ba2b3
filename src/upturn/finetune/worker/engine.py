"""The model in training as an engine: it answers dev rows the way it will be asked later."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from dspy.lm15 import ContextLengthError, Request, Response, ServerError
from transformers import GenerationConfig

from upturn.lm.batching import BatchWorker
from upturn.lm.cache import Answer
from upturn.lm.engine import text_response
from upturn.lm.prompt import Prompter

_DEFAULT_CONTEXT = 1 << 30
#: Padding that one batch may add: rows are grouped by length, in steps of so many tokens.
_GRAIN = 64


@dataclass(frozen=True, kw_only=True)
class _Asked:
    ids: tuple[int, ...]
    max_tokens: int


class TrainingEngine:
    """Greedy answers of a model that is being trained. Implements ``upturn.lm.engine.Engine``.

    Args:
        model: in ``eval`` mode while it answers.
        tokenizer: the base's; its template renders requests as the local engine renders them.
        max_new_tokens: of an answer, whatever is asked for.
        max_batch: most requests at a time.
        stopped: asked before each batch; where it says so, the rest gets no answers.

    Attributes:
        failure: what the model raised, if it did: callers see a ServerError only.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        max_new_tokens: int,
        max_batch: int = 32,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._model, self._tokenizer = model, tokenizer
        self._prompter = Prompter(tokenizer)
        self._max_new_tokens = max_new_tokens
        self._stopped = stopped
        self._ends = _ends(model, tokenizer)
        config = model.config.get_text_config()
        self._context = getattr(config, "max_position_embeddings", None) or _DEFAULT_CONTEXT
        self.failure: Exception | None = None
        threads = torch.get_num_threads()
        self._worker: BatchWorker[_Asked, list[int]] = BatchWorker(
            self._run,
            max_batch=max_batch,
            # OpenMP keeps the number per thread, so the worker must set its own.
            start=lambda: torch.set_num_threads(threads),
        )

    def complete(self, request: Request) -> Response:
        """Returns the answer; blocks until its batch is done.

        Raises:
            ContextLengthError: the prompt leaves no room for an answer.
            ServerError: the model failed, or the training is being stopped.
        """
        asked, future = self._submit(request)
        return self._response(request, asked, future.result())

    async def acomplete(self, request: Request) -> Response:
        """As ``complete``, without blocking the loop."""
        asked, future = self._submit(request)
        return self._response(request, asked, await asyncio.wrap_future(future))

    def close(self) -> None:
        """Ends the worker."""
        self._worker.close()

    def _submit(self, request: Request) -> tuple[_Asked, Future[list[int]]]:
        ids = self._prompter.encode(request).ids
        room = self._context - len(ids)
        if room < 1:
            raise ContextLengthError(
                f"the prompt must be shorter than {self._context} tokens, got {len(ids)}"
            )
        most = min(room, self._max_new_tokens, request.config.max_tokens or self._max_new_tokens)
        asked = _Asked(ids=ids, max_tokens=most)
        return asked, self._worker.submit(asked, (most, len(ids) // _GRAIN))

    def _run(self, batch: list[_Asked]) -> list[list[int]]:
        if self._stopped():
            raise ServerError("the training is being stopped")
        try:
            return self._generate(batch)
        except Exception as error:
            # Rows make outages of it; whoever evaluates must see what it was.
            self.failure = error
            raise ServerError(f"the model failed: {error}") from error

    @torch.no_grad()
    def _generate(self, batch: list[_Asked]) -> list[list[int]]:
        pad = self._tokenizer.pad_token_id
        width = max(len(asked.ids) for asked in batch)
        rows = [[pad] * (width - len(a.ids)) + list(a.ids) for a in batch]
        seen = [[0] * (width - len(a.ids)) + [1] * len(a.ids) for a in batch]
        made = self._model.generate(
            input_ids=torch.tensor(rows, device=self._model.device),
            attention_mask=torch.tensor(seen, device=self._model.device),
            generation_config=GenerationConfig(
                do_sample=False,
                max_new_tokens=batch[0].max_tokens,
                eos_token_id=sorted(self._ends),
                pad_token_id=pad,
                use_cache=True,
            ),
        )
        return [self._answer(row) for row in made[:, width:].tolist()]

    def _answer(self, ids: list[int]) -> list[int]:
        end = next((i + 1 for i, token in enumerate(ids) if token in self._ends), len(ids))
        return ids[:end]

    def _response(self, request: Request, asked: _Asked, ids: list[int]) -> Response:
        text = cast(str, self._tokenizer.decode(ids, skip_special_tokens=True))
        for stop in request.config.stop:
            text = text.split(stop, 1)[0]
        return text_response(
            request,
            text,
            finish_reason="stop" if ids and ids[-1] in self._ends else "length",
            input_tokens=len(asked.ids),
            output_tokens=len(ids),
        )


class Unkept:
    """Answers of one evaluation: the model changes with each step, so none is ever kept longer."""

    def __init__(self) -> None:
        self._answers: dict[str, Answer] = {}

    def get(self, key: str) -> Answer | None:
        return self._answers.get(key)

    def put(self, key: str, answer: Answer) -> None:
        self._answers.setdefault(key, answer)


@contextmanager
def at_rest(model: Any) -> Generator[None]:
    """Turns dropout off inside, and sets each module back to what it was."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def _ends(model: Any, tokenizer: Any) -> frozenset[int]:
    end = model.generation_config.eos_token_id
    end = tokenizer.eos_token_id if end is None else end
    return frozenset(end if isinstance(end, list) else [end])
