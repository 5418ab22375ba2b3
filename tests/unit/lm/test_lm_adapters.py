"""The quick adapters say what DSPy's own say, to the byte, and ask under the same key."""

from typing import Literal

import dspy
import pytest
from dspy.lm15 import Config, Message, Request, ServerError
from dspy.utils.exceptions import AdapterParseError, LMServerError
from hypothesis import given, settings
from hypothesis import strategies as st

from upturn.errors import ConfigError
from upturn.lm import AnswerCache, Meter, rollout
from upturn.lm.adapters import adapter
from upturn.lm.connect import connect_engine
from upturn.lm.keys import request_key
from upturn.records import content_hash
from upturn.testing.engine import FakeEngine

OURS_AND_DSPYS = {
    "chat": lambda: dspy.ChatAdapter(use_json_adapter_fallback=False),
    "json": lambda: dspy.JSONAdapter(use_native_function_calling=False),
    "xml": lambda: dspy.XMLAdapter(use_json_adapter_fallback=False),
}
ANSWERS = {
    "chat": "[[ ## team ## ]]\nbilling\n\n[[ ## note ## ]]\nn\n",
    "json": '{"team": "billing", "note": "n"}',
    "xml": "<team>billing</team><note>n</note>",
}


class Route(dspy.Signature):
    """Route the message."""

    message: str = dspy.InputField(desc="what was written")
    tags: list[str] = dspy.InputField()
    team: Literal["billing", "technical"] = dspy.OutputField()
    note: str = dspy.OutputField()


TEXTS = st.text(max_size=30) | st.sampled_from(
    ["[[ ## team ## ]]", "\x1a0\x1a", " \n padded \n ", "<a>&", "{}", "<<CUSTOM-TYPE-START-"]
)
VALUES = TEXTS | st.integers() | st.booleans() | st.none() | st.lists(TEXTS, max_size=3)
ROWS = st.fixed_dictionaries({}, optional={"message": VALUES, "tags": VALUES, "other": TEXTS})
DEMOS = st.lists(
    st.fixed_dictionaries(
        {}, optional=dict.fromkeys(("message", "tags", "team", "note", "other"), VALUES)
    ),
    max_size=3,
)


@pytest.mark.parametrize("name", OURS_AND_DSPYS)
@settings(max_examples=60, deadline=None, derandomize=True)
@given(instruction=TEXTS, demos=DEMOS, rows=st.lists(ROWS, min_size=1, max_size=4))
def test_messages_are_those_of_dspy(name, instruction, demos, rows):
    ours, theirs = adapter(name), OURS_AND_DSPYS[name]()
    signature = Route.with_instructions(instruction)
    examples = [dspy.Example(**d) for d in demos]
    for row in rows:
        made = ours.format(signature, examples, row)
        assert made == theirs.format(signature, examples, row)
        made[0]["content"] = "whoever gets messages may write into them"


@pytest.mark.parametrize("was", ["old", 1, ["a"]])
@pytest.mark.parametrize("change", ["replace", "inside", "append"])
def test_demos_that_change_where_they_lie_are_noticed(was, change):
    ours, theirs = adapter(), dspy.ChatAdapter()
    demos = [dspy.Example(message=was, tags=["t"], team="billing", note="n")]
    row = {"message": "m", "tags": "t"}
    ours.format(Route, demos, row)
    if change == "replace":
        demos[0] = dspy.Example(message="new", tags=["t"], team="billing", note="n")
    elif change == "inside":
        demos[0].message = True  # equal to 1, and written differently
    else:
        demos.append(dspy.Example(message="new", tags=["t"], team="technical", note="n"))
    assert ours.format(Route, demos, row) == theirs.format(Route, demos, row)


def test_a_history_and_an_image_go_dspys_way():
    talk = dspy.Signature({"history": (dspy.History, dspy.InputField())}).append(
        "question", dspy.InputField(), str
    )
    talk = talk.append("answer", dspy.OutputField(), str)
    history = dspy.History(messages=[{"question": "1?", "answer": "one"}])
    seen = dspy.Signature({"image": (dspy.Image, dspy.InputField())})
    seen = seen.append("answer", dspy.OutputField(), str)
    image = dspy.Image("data:image/png;base64,AAAA")
    for signature, row in (
        (talk, {"history": history, "question": "2?"}),
        (seen, {"image": image}),
    ):
        made = adapter().format(signature, [], row)
        assert made == dspy.ChatAdapter().format(signature, [], row)


class Recording(FakeEngine):
    def __init__(self, answer, **kwargs):
        super().__init__(lambda r: answer, **kwargs)
        self.requests = []

    def complete(self, request):
        self.requests.append(request)
        return super().complete(request)


@pytest.fixture
def connected(tmp_path):
    caches = []

    def make(answer, **kwargs):
        engine = Recording(answer, **kwargs)
        caches.append(AnswerCache(tmp_path / f"{len(caches)}.db"))
        return connect_engine(engine, model_id="m@1", cache=caches[-1], meter=Meter()), engine

    yield make
    for cache in caches:
        cache.close()


def ask(connection, used, row, demos=(), **context):
    predict = dspy.Predict(Route)
    predict.demos = list(demos)
    with dspy.context(lm=connection.lm, adapter=used, trace=None, **context):
        return predict(**row)


@pytest.mark.parametrize("name", OURS_AND_DSPYS)
@pytest.mark.parametrize("tags", ["t", ["t"]])
def test_a_call_is_dspys_call_and_its_answer_is_read_alike(connected, name, tags):
    connection, engine = connected(ANSWERS[name])
    demos = [dspy.Example(message="d", tags="t", team="billing", note="n")]
    row = {"message": "my invoice", "tags": tags}
    first = ask(connection, adapter(name), row, demos)
    again = ask(connection, OURS_AND_DSPYS[name](), row, demos)
    assert first.toDict() == again.toDict() == {"team": "billing", "note": "n"}
    assert len(engine.requests) == 1, "the second found the first one's answer under the same key"
    assert engine.requests[0].config == Config(temperature=0.0, max_tokens=64)
    assert engine.requests[0].config.response_format is None


def test_one_adapter_serves_signatures_models_and_temperatures(connected):
    quick = adapter()
    connection, engine = connected(ANSWERS["chat"])
    other, others = connected(ANSWERS["chat"])
    row = {"message": "m", "tags": "t"}
    warm = dspy.context(lm=connection.lm.copy(temperature=0.7), adapter=quick, trace=None)
    with warm:
        dspy.Predict(Route)(**row)
        dspy.Predict(Route.with_instructions("Other."))(**row)
    ask(connection, quick, row)
    ask(other, quick, row)
    assert [r.config.temperature for r in engine.requests] == [0.7, 0.7, 0.0]
    assert len({request_key("m", r) for r in engine.requests}) == 3
    assert len(others.requests) == 1


def test_who_listens_hears_dspy(connected):
    heard = []

    class Listener(dspy.utils.callback.BaseCallback):
        def on_lm_start(self, call_id, instance, inputs):
            heard.append(inputs)

    connection, _ = connected(ANSWERS["chat"])
    row = {"message": "m", "tags": "t"}
    ask(connection, adapter(), row, callbacks=[Listener()])
    assert len(heard) == 1
    with dspy.track_usage() as usage:
        ask(connection, adapter(), {**row, "message": "other"})
    assert list(usage.get_total_tokens()) == ["m@1"]


def test_errors_are_those_of_dspy(connected):
    row = {"message": "m", "tags": "t"}
    connection, _ = connected("no field")
    with pytest.raises(AdapterParseError, match="no field"):
        ask(connection, adapter(), row)
    empty, _ = connected("")
    with pytest.raises(AdapterParseError, match="empty or null"):
        ask(empty, adapter(), row)
    down, _ = connected("", fail=lambda r: ServerError("down"))
    with pytest.raises(LMServerError, match="down"):
        ask(down, adapter(), row)
    with pytest.raises(ValueError, match="lone surrogate"):
        ask(connection, adapter(), {**row, "message": "\udc80"})


def test_an_unknown_format_is_named():
    with pytest.raises(ConfigError, match="must be one of chat, json, xml, got 'yaml'"):
        adapter("yaml")


CONFIGS = st.builds(
    Config,
    temperature=st.sampled_from([None, 0, 0.0, 1, 1.0]),
    max_tokens=st.sampled_from([None, 1, 64]),
    stop=st.lists(TEXTS.filter(bool), max_size=2).map(tuple),
    response_format=st.sampled_from([None, {"type": "json_object"}]),
)
MESSAGES = st.lists(
    st.builds(lambda r, t: getattr(Message, r)(t), st.sampled_from(["user", "assistant"]), TEXTS),
    min_size=1,
    max_size=4,
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    model=TEXTS,
    messages=MESSAGES,
    system=st.none() | TEXTS.filter(bool),
    config=CONFIGS,
    number=st.integers(0, 2),
)
def test_a_key_is_the_hash_of_the_whole_request(model, messages, system, config, number):
    request = Request(model="-", messages=tuple(messages), system=system, config=config)
    whole = {
        "model": model,
        "system": system,
        "messages": [[m.role, m.text] for m in messages],
        "tools": [],
        "config": {
            k: list(v) if isinstance(v, tuple) else v
            for k in Config.__dataclass_fields__
            if (v := getattr(config, k)) is not None
        },
        "rollout": number,
    }
    with rollout(number):
        assert request_key(model, request) == request_key(model, request) == content_hash(whole)
