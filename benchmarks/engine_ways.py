"""The ways to answer that the engine benchmark compares: each takes requests and gives texts."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import torch
from dspy.lm15 import Request
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from upturn import mini
from upturn.lm.local import LocalEngine

#: Requests -> texts, in order.
Way = Callable[[Sequence[Request]], list[str]]
CLIENTS = 32


def chat(request: Request) -> list[dict[str, Any]]:
    """The request as an OpenAI-style list of messages."""
    turns = [{"role": m.role, "content": m.text} for m in request.messages]
    return [{"role": "system", "content": request.system}, *turns]


class Plain:
    """``transformers`` as its documentation uses it: a chat template, ``generate``, ``decode``."""

    def __init__(self, *, threads: int) -> None:
        torch.set_num_threads(threads)
        folder = mini.weights_dir()
        self._tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
        self._model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()

    def one_by_one(self, requests: Sequence[Request]) -> list[str]:
        return [text for request in requests for text in self._generate([request])]

    def in_batches(self, requests: Sequence[Request], size: int = 16) -> list[str]:
        """Batches of whole prompts, padded on the left: the prefix is computed for every row."""
        starts = range(0, len(requests), size)
        return [text for i in starts for text in self._generate(requests[i : i + size])]

    def _generate(self, requests: Sequence[Request]) -> list[str]:
        encoded = self._tokenizer.apply_chat_template(
            [chat(r) for r in requests],
            add_generation_prompt=True,
            return_dict=True,
            return_tensors="pt",
            padding=True,
        )
        settings = GenerationConfig(
            max_new_tokens=requests[0].config.max_tokens,
            do_sample=False,
            eos_token_id=self._tokenizer.eos_token_id,
            pad_token_id=self._tokenizer.pad_token_id,
        )
        ids = self._model.generate(**encoded, generation_config=settings)
        answers = ids[:, encoded["input_ids"].shape[1] :]
        return self._tokenizer.batch_decode(answers, skip_special_tokens=True)


@contextmanager
def our_threads(*, threads: int) -> Generator[Way]:
    """Gives our engine, called from 32 threads."""
    with closing(_engine(threads)) as engine, ThreadPoolExecutor(CLIENTS) as pool:
        yield lambda requests: [a.message.text or "" for a in pool.map(engine.complete, requests)]


@contextmanager
def our_async(*, threads: int) -> Generator[Way]:
    """Gives our engine, called by one task for each request."""
    with closing(_engine(threads)) as engine:

        async def ask(requests: Sequence[Request]) -> list[str]:
            answers = await asyncio.gather(*map(engine.acomplete, requests))
            return [a.message.text or "" for a in answers]

        yield lambda requests: asyncio.run(ask(requests))


def _engine(threads: int) -> LocalEngine:
    return LocalEngine(mini.weights_dir(), model_id="benchmark", threads=threads)


@contextmanager
def serve(*options: str, threads: int) -> Generator[Way]:
    """Gives ``transformers serve`` in a process of its own, asked by 32 HTTP clients at once."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).with_name("transformers")), "serve"]
    command += [str(mini.weights_dir()), "--device", "cpu", "--dtype", "float32", *options]
    address = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": str(threads)},
        )
        try:
            _wait(f"{address}/health", process)
            with httpx.Client(timeout=120) as client, ThreadPoolExecutor(CLIENTS) as pool:
                post = _Post(client, f"{address}/v1/chat/completions")
                yield lambda requests: list(pool.map(post, requests))
        finally:
            process.terminate()
            process.wait(20)


class _Post:
    """One request over HTTP."""

    def __init__(self, client: httpx.Client, url: str) -> None:
        self._client = client
        self._url = url

    def __call__(self, request: Request) -> str:
        body = {
            "model": str(mini.weights_dir()),
            "messages": chat(request),
            "max_tokens": request.config.max_tokens,
            "temperature": 0.0,
        }
        answer = self._client.post(self._url, json=body).raise_for_status()
        return answer.json()["choices"][0]["message"]["content"]


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(url, timeout=2).is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.2)
    raise RuntimeError("transformers serve must start; try the command by hand: transformers serve")
