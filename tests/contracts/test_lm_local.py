"""upturn-mini in this process: batched answers are those of plain greedy decoding."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from dspy.lm15 import (
    Config,
    ContextLengthError,
    ImagePart,
    InvalidRequestError,
    Message,
    Request,
    ServerError,
)

from upturn import mini
from upturn.errors import ModelError
from upturn.lm import AnswerCache, Meter, ModelSpec, rollout
from upturn.lm.connect import connect, locate

pytestmark = pytest.mark.local

SYSTEM = "Your input fields are:\n1. `message` (str):\nRoute the message to the right team."
TEAMS = {
    "billing": ["charged twice", "wrong invoice", "card declined"],
    "shipping": ["parcel late", "lost tracking number", "courier left"],
    "account": ["cannot log in", "email address change", "locked account"],
}
PRIORITIES = ["low", "normal", "high"]


def demo(team: str, priority: str) -> str:
    return (
        f"[[ ## team ## ]]\n{team}\n\n[[ ## priority ## ]]\n{priority}\n\n[[ ## completed ## ]]\n"
    )


def prompt(number: int, *, n_demos: int = 4, **config: Any) -> Request:
    """A two-field classification; the demos are the same for all seeds, the message is not."""
    demos, row = random.Random(7), random.Random(number)
    turns: list[Message] = []
    for _ in range(n_demos):
        team = demos.choice(sorted(TEAMS))
        text = f"[[ ## message ## ]]\n{demos.choice(TEAMS[team])}, please help"
        turns += [
            Message.user(text),
            Message.assistant(demo(team, demos.choice(PRIORITIES))),
        ]
    issue = row.choice(TEAMS[row.choice(sorted(TEAMS))])
    words = " ".join(
        row.choice(["today", "again", "order", "why", "thanks"]) for _ in range(number % 9)
    )
    turns.append(Message.user(f"[[ ## message ## ]]\n{issue} {row.randrange(10**6)} {words}"))
    settings = {"temperature": 0.0, "max_tokens": 40, **config}
    return Request(model="m", system=SYSTEM, messages=tuple(turns), config=Config(**settings))


@pytest.fixture(scope="module")
def engine() -> Iterator[Any]:
    from upturn.lm.local import LocalEngine

    engine = LocalEngine(mini.weights_dir(), model_id="mini@test", threads=2)
    yield engine
    engine.close()


def ask_all(engine: Any, requests: list[Request], workers: int = 32) -> list[Any]:
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(engine.complete, requests))


def plain(engine: Any, request: Request) -> str:
    """Answers with transformers' own generate, one prompt at a time."""
    import torch
    from transformers import AutoModelForCausalLM, GenerationConfig

    if not hasattr(plain, "model"):
        plain.model = AutoModelForCausalLM.from_pretrained(  # type: ignore[attr-defined]
            mini.weights_dir(), dtype=torch.float32
        ).eval()
    ids = torch.tensor([engine._prompter.encode(request).ids])
    settings = GenerationConfig(
        max_new_tokens=request.config.max_tokens, do_sample=False, eos_token_id=4, pad_token_id=0
    )
    out = plain.model.generate(  # type: ignore[attr-defined]
        ids, attention_mask=torch.ones_like(ids), generation_config=settings
    )
    return engine._tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True)


def test_batched_texts_are_those_of_unbatched_greedy_generate(engine: Any) -> None:
    requests = [prompt(i, n_demos=(0, 1, 3)[i % 3]) for i in range(60)]
    answers = [r.message.text for r in ask_all(engine, requests)]
    assert engine.shares_prefixes
    assert answers == [plain(engine, r) for r in requests]
    assert len(set(answers)) > 3


def test_tokens_are_those_of_the_whole_prompt(engine: Any) -> None:
    for i in range(20):
        encoded = engine._prompter.encode(prompt(i))
        turns = [{"role": "system", "content": SYSTEM}]
        turns += [{"role": m.role, "content": m.text} for m in prompt(i).messages]
        whole = engine._tokenizer.apply_chat_template(
            turns, add_generation_prompt=True, tokenize=True, return_dict=False
        )
        assert list(encoded.ids) == list(whole)
        assert len(encoded.prefix) > 100


def test_guessing_and_sharing_change_no_answer(engine: Any) -> None:
    from upturn.lm.local import LocalEngine

    requests = [prompt(i) for i in range(100, 112)]
    plain_engine = LocalEngine(mini.weights_dir(), model_id="mini@test", draft_tokens=0)
    plain_engine.shares_prefixes = False
    plain_engine._model.set_attn_implementation("sdpa")
    try:
        expected = [r.message.text for r in ask_all(plain_engine, requests)]
    finally:
        plain_engine.close()
    assert [r.message.text for r in ask_all(engine, requests)] == expected


def test_max_tokens_end_and_stop_strings(engine: Any) -> None:
    full = engine.complete(prompt(1))
    cut = engine.complete(prompt(1, max_tokens=3))
    stopped = engine.complete(prompt(1, stop=("[[ ## priority",)))
    assert (full.finish_reason, cut.finish_reason) == ("stop", "length")
    assert (cut.usage.output_tokens, cut.usage.input_tokens) == (3, full.usage.input_tokens)
    assert full.message.text.startswith(cut.message.text)
    assert stopped.message.text == full.message.text.split("[[ ## priority")[0]


def test_sampling_one_by_one_is_the_same_to_the_token() -> None:
    """Without company and guesses, the same request is the same arithmetic."""
    from upturn.lm.local import LocalEngine

    warm = [prompt(i, temperature=2.0, max_tokens=12) for i in range(8)]
    alone = LocalEngine(mini.weights_dir(), model_id="mini@test", draft_tokens=0)
    try:
        first, again = ([alone.complete(r).message.text for r in warm] for _ in range(2))
    finally:
        alone.close()
    assert again == first


def test_sampling_is_seeded_by_content_seed_and_rollout(engine: Any) -> None:
    def texts(**config: Any) -> list[str]:
        warm = {"temperature": 2.0, "max_tokens": 12, **config}
        return [r.message.text for r in ask_all(engine, [prompt(i, **warm) for i in range(8)])]

    def same(ours: list[str], theirs: list[str]) -> int:
        return sum(a == b for a, b in zip(ours, theirs, strict=True))

    first = texts()
    # Threads batch differently each time, and a batch's shape moves the last digits of a logit: of
    # 100,000 draws one may then be another (tests/unit/lm/test_lm_sampling.py).
    assert same(texts(), first) >= 7
    assert same(texts(seed=1), first) <= 4
    assert texts(top_k=1) == texts(temperature=0.0)
    warm = prompt(0, temperature=2.0, max_tokens=12)
    with rollout(1):
        assert engine.complete(warm).message.text != first[0]


def test_a_prompt_without_room_for_an_answer_is_refused(engine: Any) -> None:
    long = Request(model="m", messages=(Message.user("word " * 5000),))
    with pytest.raises(ContextLengthError, match="shorter than 4096 tokens, got"):
        engine.complete(long)


def test_images_are_refused(engine: Any) -> None:
    image = ImagePart(media_type="image/png", data="aGk=")
    with pytest.raises(InvalidRequestError, match="text parts only, got image"):
        engine.complete(Request(model="m", messages=(Message.user([image]),)))


def test_async_callers_are_batched_like_threads(engine: Any) -> None:
    requests = [prompt(i) for i in range(200, 212)]

    async def many() -> list[str]:
        answers = await asyncio.gather(*map(engine.acomplete, requests))
        return [a.message.text for a in answers]

    assert asyncio.run(many()) == [r.message.text for r in ask_all(engine, requests)]


def test_a_closed_engine_says_so() -> None:
    from upturn.lm.local import LocalEngine

    engine = LocalEngine(mini.weights_dir(), model_id="mini@test")
    engine.close()
    with pytest.raises(ServerError, match="worker has stopped"):
        engine.complete(prompt(0))


def test_a_folder_is_connected_like_the_embedded_model(tmp_path: Path) -> None:
    folder = tmp_path / "my-model"
    shutil.copytree(mini.weights_dir(), folder)
    meter = Meter()
    with (
        AnswerCache(tmp_path / "a.db") as cache,
        connect(ModelSpec(model=f"hf:{folder}"), cache=cache, meter=meter) as own,
        connect(ModelSpec(model="upturn-mini"), cache=cache, meter=meter) as embedded,
    ):
        own.probe()
        assert own.lm("hello") == embedded.lm("hello")
        assert own.model_id.startswith("hf-my-model@")
        assert embedded.model_id == f"upturn-mini@{mini.content_hash()}"
    assert meter.totals().calls == 2
    before = locate(ModelSpec(model=f"hf:{folder}"))[1]
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    assert locate(ModelSpec(model=f"hf:{folder}"))[1] != before


@pytest.mark.parametrize(
    ("missing", "meaning"),
    [
        ("tokenizer.json", "a tokenizer"),
        ("chat_template.jinja", "a chat template"),
        ("model.safetensors", "weights"),
        ("config.json", "shape"),
    ],
)
def test_a_folder_without_a_file_is_named_with_the_file(
    tmp_path: Path, missing: str, meaning: str
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(mini.weights_dir(), folder, ignore=shutil.ignore_patterns(missing))
    with AnswerCache(tmp_path / "a.db") as cache, pytest.raises(ModelError) as caught:
        connect(ModelSpec(model=f"hf:{folder}"), cache=cache, meter=Meter())
    assert meaning in caught.value.what
    assert missing in caught.value.what
    assert caught.value.where == str(folder)
    assert caught.value.exit_code == 2


def test_weights_that_are_none_are_a_model_error(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(mini.weights_dir(), folder)
    (folder / "model.safetensors").write_bytes(b"garbage")
    with AnswerCache(tmp_path / "a.db") as cache, pytest.raises(ModelError, match="able to load"):
        connect(ModelSpec(model=f"hf:{folder}"), cache=cache, meter=Meter())


def test_no_folder_at_all(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="must be a folder"):
        locate(ModelSpec(model=f"hf:{tmp_path}/none"))


def test_sharing_is_exact_with_grouped_heads_and_refused_with_windows() -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM

    from upturn.lm.decode import shares_prefixes

    shape: dict[str, Any] = {
        "vocab_size": 97,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    }
    torch.manual_seed(0)
    grouped = LlamaForCausalLM(LlamaConfig(**shape, attn_implementation="sdpa")).eval()
    windowed = MistralForCausalLM(
        MistralConfig(**shape, sliding_window=8, attn_implementation="sdpa")
    ).eval()
    assert shares_prefixes(grouped)
    assert not shares_prefixes(windowed)
    assert windowed.config._attn_implementation == "sdpa"
