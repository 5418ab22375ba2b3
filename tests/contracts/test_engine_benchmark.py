"""The engine benchmark asks what it says, and counts right."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytestmark = pytest.mark.local


def test_prompts_have_600_tokens_and_share_500() -> None:
    from transformers import AutoTokenizer

    from benchmarks.engine_prompts import prompts
    from benchmarks.engine_ways import chat
    from upturn import mini
    from upturn.lm.prompt import Prompter

    prompter = Prompter(AutoTokenizer.from_pretrained(mini.weights_dir()))
    asked = prompts(30)
    encoded = [prompter.encode(request) for request in asked]
    lengths = [len(e.ids) for e in encoded]
    assert len({e.ids for e in encoded}) == 30
    assert {e.prefix for e in encoded} == {encoded[0].prefix}
    assert 480 <= len(encoded[0].prefix) <= 520
    assert 580 <= sum(lengths) / 30 <= 620
    assert chat(asked[0])[0] == {"role": "system", "content": asked[0].system}
    assert [turn["role"] for turn in chat(asked[0])[-2:]] == ["assistant", "user"]


def test_rows_count_same_texts_over_all_rounds(tmp_path: Path) -> None:
    from dspy.lm15 import Message, Request

    from benchmarks import engine

    asked = [Request(model="m", messages=(Message.user(str(i)),)) for i in range(5)]
    rounds: list[int] = []

    def right(part: object) -> list[str]:
        rounds.append(len(part))  # type: ignore[arg-type]
        return ["yes"] * rounds[-1]

    ways = dict.fromkeys((engine.NAIVE, engine.STATIC, engine.SYNC, engine.ASYNC), right)
    ways[engine.SERVE] = lambda part: ["yes" if r is asked[3] else "no" for r in part]
    rows = engine.measure(ways, asked, per_round=3)
    assert rounds == [3, 3, 3, 3, 2, 2, 2, 2]
    assert {r.way: r.same_texts for r in rows} == {**dict.fromkeys(ways, 5), engine.SERVE: 1}
    fixed = [engine.Row(way=w, prompts=8, seconds=s, same_texts=8) for w, s in zip(
        (engine.NAIVE, engine.STATIC, engine.SERVE, engine.SYNC, engine.ASYNC),
        (8.0, 4.0, 6.0, 2.0, 1.0), strict=True)]  # fmt: skip
    result = json.loads(json.dumps(engine.report(fixed, threads=2)))
    assert result["ratios"][f"{engine.SYNC} / {engine.NAIVE}"] == 4.0
    assert result["ratios"][f"{engine.ASYNC} / {engine.SERVE}"] == 6.0
    assert f"{engine.SYNC:32} {4.0:10.1f}  {4.0:5.2f}  8 of 8" in engine.table(result)
    engine.draw(result, tmp_path / "bars.png")
    assert (tmp_path / "bars.png").read_bytes().startswith(b"\x89PNG")
