"""Memory for keys and values is capped, and rows that run together answer as if alone."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.contracts.test_lm_local import ask_all, prompt
from upturn import mini

pytestmark = pytest.mark.local

MIB = 1 << 20
#: Only what hangs takes so long.
PATIENCE_S = 600.0


@contextmanager
def engine(**settings: Any) -> Generator[Any]:
    from upturn.lm.local import LocalEngine

    made = LocalEngine(mini.weights_dir(), model_id="mini@test", threads=2, **settings)
    try:
        yield made
    finally:
        made.close()


def test_long_prompts_make_batches_smaller_and_answers_stay_the_same() -> None:
    # Three prefixes of 1.1 to 1.7 MiB, and rows of 0.9: the cap holds the longest and two rows.
    requests = [prompt(i, n_demos=(3, 4, 5)[i % 3]) for i in range(36)]
    cap = 7 * MIB // 2
    with engine() as free, engine(kv_bytes=cap) as capped:
        expected = [r.message.text for r in ask_all(free, requests)]
        assert [r.message.text for r in ask_all(capped, requests)] == expected
        assert capped.peak_kv_bytes <= cap < free.peak_kv_bytes


def test_one_row_runs_even_where_the_cap_is_too_small_for_it() -> None:
    with engine() as free, engine(kv_bytes=1) as capped:
        expected = free.complete(prompt(1)).message.text
        assert [r.message.text for r in ask_all(capped, [prompt(1)] * 3)] == [expected] * 3
        assert capped.peak_kv_bytes == free.peak_kv_bytes


def test_tasks_of_one_event_loop_share_batches() -> None:
    with engine() as alone, engine() as shared:
        alone.complete(prompt(1))
        one_row = alone.peak_kv_bytes

        run, all_asked = shared._worker._run, threading.Event()

        def once_all_asked(batch: list[Any]) -> list[Any]:
            assert all_asked.wait(PATIENCE_S)
            return run(batch)

        shared._worker._run = once_all_asked

        async def many() -> list[Any]:
            tasks = [asyncio.create_task(shared.acomplete(prompt(1))) for _ in range(64)]
            await asyncio.sleep(0)  # each task goes on to where it waits for its answer
            all_asked.set()
            return await asyncio.gather(*tasks)

        texts = {r.message.text for r in asyncio.run(many())}
        assert len(texts) == 1
        assert shared.peak_kv_bytes > one_row


def test_grouped_heads_decode_in_batches_as_alone() -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from upturn.lm.decode import Generation, decode, decode_alone, prefill, shares_prefixes
    from upturn.lm.drafts import Drafts

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=97,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        attn_implementation="sdpa",
    )
    model: Any = LlamaForCausalLM(config).eval()
    rng = random.Random(0)
    start = tuple(rng.randrange(97) for _ in range(20))
    prompts = [start + tuple(rng.randrange(97) for _ in range(n)) for n in (1, 9, 4, 30, 4)]

    def rows() -> list[Generation]:
        # Answers go on past the room that is made at first, so slots are closed up and grow.
        return [Generation(ids=ids, max_tokens=10 * k + 30) for k, ids in enumerate(prompts)]

    expected = rows()
    for row in expected:
        decode_alone(model, row, frozenset())
    drafts = Drafts(6)
    assert shares_prefixes(model)
    # Guesses that are right for one row, and wrong for others.
    drafts.observe(expected[3].answer)
    got = rows()
    decode(model, prefill(model, start), got, frozenset(), drafts)
    assert [g.answer for g in got] == [e.answer for e in expected]
