"""Another model under the same name: keys of its own, and what the server says of itself."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.contracts.test_lm_remote import connected, serving
from upturn.lm import Answer, AnswerCache, Meter
from upturn.lm.connect import connect_engine
from upturn.lm.epoch import AtEpoch, PastCache
from upturn.testing.engine import FakeEngine

ANSWER = Answer(
    text="a", finish_reason="stop", input_tokens=1, output_tokens=1, latency_s=0.1, cost_usd=0.0
)


def test_answers_of_two_epochs_do_not_meet_and_the_first_has_the_keys_of_old(tmp_path: Path):
    with AnswerCache(tmp_path / "c.db", turn="t") as cache:
        AtEpoch(cache, 0).put("k", ANSWER)
        assert cache.get("k") == ANSWER
        assert AtEpoch(cache, 1).get("k") is None
        AtEpoch(cache, 1).put("k", replace(ANSWER, text="b"))
        texts = [getattr(AtEpoch(cache, n).get("k"), "text", None) for n in (0, 1, 2)]
    assert texts == ["a", "b", None]


def test_past_the_cache_is_asked_anew_and_nothing_is_kept(tmp_path: Path):
    engine, source = FakeEngine(lambda r: "said"), PastCache()
    connection = connect_engine(engine, model_id="m", cache=source, meter=Meter())
    for _ in range(2):
        connection.lm("hi")
    assert engine.calls == 2
    with AnswerCache(tmp_path / "c.db") as cache:
        kept = connect_engine(engine, model_id="m", cache=cache, meter=Meter())
        kept.lm("hi")
        source.reads = cache
        connection.lm("hi")
        connection.lm("other")
        assert (engine.calls, len(cache)) == (4, 1)


@pytest.mark.parametrize("fingerprint", ["fp_7", None, 7])
def test_the_servers_name_and_fingerprint_are_in_the_record(tmp_path: Path, fingerprint):
    def answer(n: int) -> tuple[int, bytes]:
        body = {
            "id": "1",
            "object": "chat.completion",
            "created": 1,
            "model": "served-2026-09",
            "system_fingerprint": fingerprint,
            "choices": [
                {
                    "index": 0,
                    "finish_reason": "stop",
                    "message": {"role": "assistant", "content": "hi"},
                }
            ],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        }
        return 200, json.dumps(body).encode()

    with (
        serving(answer) as (base, _),
        connected(base, tmp_path) as connection,
        Meter.record() as calls,
    ):
        for _ in range(2):
            connection.lm("hi")
    assert [c.cached for c in calls] == [False, True]
    assert calls[0].model.endswith("served-2026-09")
    assert calls[0].fingerprint == (fingerprint if fingerprint == "fp_7" else "")
    assert (calls[1].model, calls[1].fingerprint) == ("", "")
