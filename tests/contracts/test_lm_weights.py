"""Several adapters over one model in one process: each answers as it would alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
from dspy.lm15 import Config, Message, Request  # noqa: E402

from tests.contracts.tiny_models import tiny_gemma3, tiny_llama, tiny_qwen3  # noqa: E402
from upturn import mini  # noqa: E402
from upturn.errors import ConfigError, CorruptionError, ModelError  # noqa: E402
from upturn.evaluate import Evaluator  # noqa: E402
from upturn.lm import AnswerCache, Meter, ModelSpec  # noqa: E402
from upturn.lm.connect import connect, connect_engine, locate  # noqa: E402
from upturn.lm.local import LocalEngine  # noqa: E402
from upturn.metrics import Metric  # noqa: E402
from upturn.programs import Program  # noqa: E402
from upturn.records import Candidate, Example, PromptState  # noqa: E402
from upturn.testing.adapters import random_adapter  # noqa: E402
from upturn.testing.engine import FakeEngine  # noqa: E402
from upturn.weights.adapter import WEIGHTS, Adapter, read, store  # noqa: E402

pytestmark = pytest.mark.local

#: So small that the embedded model still writes words, so large that they are others.
SCALE = 0.7
MINI = ModelSpec(model="upturn-mini", max_tokens=12)
TOPICS = ("Find a restaurant for", "Name a colour", "Describe a bird", "Count to", "A story of")
HELLO = "Say hello to the customer, in a friendly way."


def prompt(number: int, **config: Any) -> Request:
    settings = {"temperature": 0.0, "max_tokens": 8, **config}
    turns = (
        Message.user(HELLO),
        Message.assistant("Hello, and thank you for your message!"),
        Message.user(f"{TOPICS[number % len(TOPICS)]} {number}" + " please" * (number % 3)),
    )
    system = "You answer messages of customers in one sentence."
    return Request(model="m", system=system, messages=turns, config=Config(**settings))


REQUESTS = [prompt(i) for i in range(12)]


def texts(engine: Any, requests: list[Request] = REQUESTS, workers: int = 12) -> list[str]:
    with ThreadPoolExecutor(workers) as pool:
        return [r.message.text for r in pool.map(engine.complete, requests)]


def made(base: Path, base_id: str, root: Path, seed: int, *, scale: float = SCALE) -> Adapter:
    folder = random_adapter(base, root / f"peft-{seed}", seed=seed, scale=scale)
    return store(folder, root / "adapters", base_id=base_id, card={})


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> list[Adapter]:
    root = tmp_path_factory.mktemp("mini")
    return [made(mini.weights_dir(), locate(MINI)[1], root, seed) for seed in (1, 2, 3)]


@pytest.fixture(scope="module")
def engine() -> Iterator[LocalEngine]:
    engine = LocalEngine(mini.weights_dir(), model_id="mini@test", threads=2, max_adapters=2)
    yield engine
    engine.close()


def merged(base: Path, adapter: Adapter, folder: Path) -> Path:
    """Writes the base with the adapter added to its weights: what the answers are held against."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    with torch.no_grad():
        for module, (a, b) in read(adapter).layers.items():
            model.get_submodule(module).weight += b @ a
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(base).save_pretrained(folder)
    return folder


def test_answers_are_those_of_a_model_with_the_adapter_merged(
    engine: LocalEngine, adapters: list[Adapter], tmp_path: Path
) -> None:
    alone = LocalEngine(merged(mini.weights_dir(), adapters[0], tmp_path / "m"), model_id="m")
    try:
        expected = texts(alone)
    finally:
        alone.close()
    assert texts(engine.adapted(adapters[0])) == expected
    assert texts(engine) != expected


@pytest.mark.parametrize(
    ("make", "shares"), [(tiny_llama, True), (tiny_qwen3, True), (tiny_gemma3, False)]
)
def test_logits_are_those_of_the_merged_model_for_each_architecture(
    make: Callable[..., Path], shares: bool, tmp_path: Path
) -> None:
    base = make(tmp_path / "base")
    adapter = made(base, "tiny@1", tmp_path, 5, scale=5.0)
    engine = LocalEngine(base, model_id="tiny@1")
    alone = LocalEngine(merged(base, adapter, tmp_path / "merged"), model_id="merged@1")
    try:
        assert engine.shares_prefixes is shares
        before = texts(engine, REQUESTS[:4])
        with_it = texts(engine.adapted(adapter), REQUESTS[:4])
        assert with_it == texts(alone, REQUESTS[:4])
        assert with_it != before
        assert texts(engine, REQUESTS[:4]) == before
    finally:
        engine.close()
        alone.close()


def test_adapters_that_are_loaded_but_off_leave_every_bit_as_it_was(
    engine: LocalEngine, adapters: list[Adapter]
) -> None:
    fresh = LocalEngine(mini.weights_dir(), model_id="mini@test", threads=2)
    ids = torch.arange(5, 45)[None]
    fresh.close()  # its worker; the model can still be asked
    fresh._model.set_attn_implementation("sdpa")
    with torch.inference_mode():
        expected = fresh._model(input_ids=ids).logits
        engine.adapters.use(adapters[0])
        engine._model.set_attn_implementation("sdpa")
        changed = engine._model(input_ids=ids).logits
        engine.adapters.use(None)
        found = engine._model(input_ids=ids).logits
    engine._model.set_attn_implementation("upturn_shared_prefix")
    assert torch.equal(found, expected)
    assert float((changed - expected).abs().max()) > 0.1


def test_two_adapters_and_none_at_once_answer_as_each_alone(
    engine: LocalEngine, adapters: list[Adapter]
) -> None:
    views = [engine, engine.adapted(adapters[0]), engine.adapted(adapters[1])]
    alone = [texts(view) for view in views]
    assert len({tuple(t) for t in alone}) == 3
    for _ in range(2):  # the second time, all prefixes are known
        with ThreadPoolExecutor(36) as pool:
            asked = [(v, r) for r in REQUESTS for v in views]
            answers = list(pool.map(lambda pair: pair[0].complete(pair[1]).message.text, asked))
        assert [answers[i::3] for i in range(3)] == alone

    async def many() -> list[str]:
        calls = [v.acomplete(r) for v in views for r in REQUESTS[:4]]
        return [answer.message.text for answer in await asyncio.gather(*calls)]

    assert asyncio.run(many()) == [t for own in alone for t in own[:4]]


def test_only_so_many_adapters_are_kept_and_one_more_is_read_again(
    engine: LocalEngine, adapters: list[Adapter]
) -> None:
    views = [engine.adapted(a) for a in adapters]
    first = [texts(v, REQUESTS[:3]) for v in views]
    assert len(engine.adapters.kept) == 2
    assert [texts(v, REQUESTS[:3]) for v in views] == first
    assert len(engine.adapters.kept) == 2


def test_an_adapter_that_is_gone_when_it_is_read_again_harms_nobody_else(
    engine: LocalEngine, adapters: list[Adapter], tmp_path: Path
) -> None:
    gone = made(mini.weights_dir(), locate(MINI)[1], tmp_path, 7)
    view, base = engine.adapted(gone), texts(engine, REQUESTS[:2])
    expected = texts(engine.adapted(adapters[0]), REQUESTS[:2])
    for other in adapters:
        engine.adapted(other)
    (gone.folder / WEIGHTS).unlink()
    with pytest.raises(ModelError, match="which is missing"):
        view.complete(REQUESTS[0])
    assert texts(engine, REQUESTS[:2]) == base
    assert texts(engine.adapted(adapters[0]), REQUESTS[:2]) == expected


def test_memory_for_prefixes_is_shared_by_all_adapters(adapters: list[Adapter]) -> None:
    wide = LocalEngine(mini.weights_dir(), model_id="mini@test", threads=2)
    try:
        expected = [texts(wide.adapted(a), REQUESTS[:3]) for a in adapters]
        prefixes = len(wide._shared)
        per_prefix = wide._held_bytes() // prefixes
    finally:
        wide.close()
    assert prefixes == 3, "one for each adapter"
    # Three prefixes, and nothing for the rows behind them: one has to go.
    small = LocalEngine(
        mini.weights_dir(), model_id="mini@test", threads=2, kv_bytes=3 * per_prefix
    )
    try:
        assert [texts(small.adapted(a), REQUESTS[:3]) for a in adapters] == expected
        assert 1 <= len(small._shared) < 3
    finally:
        small.close()


def test_sampling_is_seeded_by_the_adapter_too(
    engine: LocalEngine, adapters: list[Adapter], tmp_path: Path
) -> None:
    warm = [prompt(i, temperature=1.5) for i in range(6)]
    # An adapter that changes nothing: what differs is the draw alone.
    nothing = made(mini.weights_dir(), locate(MINI)[1], tmp_path, 9, scale=0.0)
    assert texts(engine.adapted(nothing)) == texts(engine)
    assert texts(engine.adapted(nothing), warm) != texts(engine, warm)


def test_an_adapter_that_does_not_fit_is_refused_before_it_answers(
    engine: LocalEngine, adapters: list[Adapter], tmp_path: Path
) -> None:
    other = made(tiny_llama(tmp_path / "tiny"), "mini@test", tmp_path, 1)
    with pytest.raises(ModelError, match="must be 256 x 672 as in the base, the adapter's is 32"):
        engine.adapted(other)
    (other.folder / WEIGHTS).write_bytes(b"torn")
    with pytest.raises(ModelError, match="must be a safetensors file"):
        engine.adapted(other)
    with pytest.raises(CorruptionError, match="must hash to its id"):
        engine.adapted(replace(adapters[2], id="0" * 12))
    assert texts(engine, REQUESTS[:2]) == texts(engine, REQUESTS[:2])


def test_a_connection_with_weights_is_the_same_process_and_another_model(
    adapters: list[Adapter], tmp_path: Path
) -> None:
    meter = Meter()
    with AnswerCache(tmp_path / "a.db") as cache, connect(MINI, cache=cache, meter=meter) as plain:
        first = plain.with_weights(adapters[0])
        assert first is plain.with_weights(adapters[0])
        assert first.model_id == f"{plain.model_id}+{adapters[0].id}"
        assert first.spec == plain.spec
        first.probe()
        assert first.lm(HELLO) != plain.lm(HELLO)
        first.close()
        assert first.lm(HELLO) == plain.with_weights(adapters[0]).lm(HELLO)
        assert meter.totals().calls == 2, "the third was known"
        with pytest.raises(ModelError, match="local model that has none on yet"):
            first.with_weights(adapters[1])
        other = replace(adapters[1], base_id="upturn-mini@ffffffffffff")
        with pytest.raises(ModelError, match=f"got {plain.model_id}"):
            plain.with_weights(other)


def test_weights_need_a_local_model(adapters: list[Adapter], tmp_path: Path) -> None:
    with AnswerCache(tmp_path / "a.db") as cache:
        remote = connect_engine(
            FakeEngine(lambda r: "x"), model_id="openai/gpt@1", cache=cache, meter=Meter()
        )
        with pytest.raises(ModelError, match=r"weights need a local model .* openai/gpt@1"):
            remote.with_weights(adapters[0])


PROGRAM = """
import dspy


class Say(dspy.Module):
    def __init__(self):
        super().__init__()
        self.say = dspy.Predict("text -> word")

    def forward(self, text):
        return self.say(text=text)
"""


def test_a_program_answers_otherwise_with_weights_and_is_cached_apart(
    adapters: list[Adapter], tmp_path: Path
) -> None:
    (tmp_path / "p.py").write_text(PROGRAM)
    program, meter = Program("p.py:Say", tmp_path), Meter()
    metric = Metric(function=lambda example, prediction: len(prediction.word) % 7 / 7, name="m")
    states = {"say": PromptState(instruction="Name the thing that the text is about.")}
    rows = [
        Example(id=t, inputs={"text": t}, labels={"word": "x"}, group=t)
        for t in ("my parcel is late", "charged twice", "cannot log in", "the card was declined")
    ]

    def candidate(**settings: Any) -> Candidate:
        return Candidate(states=states, settings=settings)

    candidates = [
        candidate(),
        *(candidate(weights=a.id) for a in adapters[:2]),
        candidate(weights=adapters[0].id, temperature=0.0),
    ]

    def answers(evaluator: Evaluator, each: Candidate) -> list[Any]:
        found = evaluator.evaluate(each, rows).rows
        return [(dict(r.outputs), r.message[:200] if r.failure else "") for r in found]

    spec = replace(MINI, max_tokens=30)
    known = {a.id: a for a in adapters[:2]}
    with AnswerCache(tmp_path / "a.db") as cache, connect(spec, cache=cache, meter=meter) as model:
        evaluator = Evaluator(program, metric, model, meter, adapters=known)
        with evaluator:
            alone = [answers(evaluator, c) for c in candidates]
            paid = meter.totals().calls
            with pytest.raises(ConfigError, match=f"one of {adapters[0].id}, {adapters[1].id}, go"):
                evaluator.evaluate(candidate(weights="0" * 12), rows)
        assert alone[0] != alone[1] != alone[2] != alone[0]
        assert alone[3] == alone[1]
        assert len({c.id for c in candidates}) == 4
        with Evaluator(program, metric, model, meter, adapters=known) as again:
            assert [answers(again, c) for c in candidates] == alone
        assert meter.totals().calls == paid, "all from the cache, each from its own key"

    with (
        AnswerCache(tmp_path / "b.db") as cache,
        connect(spec, cache=cache, meter=meter) as model,
        Evaluator(program, metric, model, meter, adapters=known) as evaluator,
    ):
        together = evaluator.evaluate_all([(c, rows) for c in candidates])
    assert [[dict(r.outputs) for r in e.rows] for e in together] == [
        [outputs for outputs, _ in own] for own in alone
    ]
