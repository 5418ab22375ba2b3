"""Tokens: the engine's own prompt, the template's own continuation, an end token, nothing cut."""

from __future__ import annotations

from dataclasses import replace

import pytest
from dspy.lm15 import request_from_openai_chat

from upturn import mini
from upturn.errors import DataError, ModelError
from upturn.finetune.encode import RowEncoder, encode_rows, end_tokens, length
from upturn.finetune.rows import Material, TextRow
from upturn.lm.prompt import PINNED_DATE, Prompter
from upturn.records import Candidate

transformers = pytest.importorskip("transformers", reason="needs the [local] extra")

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
THINKS = CHATML.replace(
    "{{ m.content }}",
    "{% if loop.last and m.role == 'assistant' %}<think>\n\n</think>\n\n{% endif %}{{ m.content }}",
)
SYSTEM = {"role": "system", "content": "Route it."}


def load():
    return transformers.AutoTokenizer.from_pretrained(mini.weights_dir(), local_files_only=True)


@pytest.fixture(scope="module")
def tokenizer():
    return load()


@pytest.fixture(scope="module")
def encoder(tokenizer):
    return RowEncoder(tokenizer, end_tokens=end_tokens(mini.weights_dir(), tokenizer))


def chatml(template: str = CHATML):
    made = load()
    made.add_special_tokens({"eos_token": "<|im_end|>", "extra_special_tokens": ["<|im_start|>"]})
    made.chat_template = template
    return made


def of(tokenizer) -> RowEncoder:
    return RowEncoder(tokenizer, end_tokens=(tokenizer.eos_token_id,))


def row(n: int = 1, message: str = "My invoice is wrong.", **more) -> TextRow:
    messages = (SYSTEM, {"role": "user", "content": message})
    made = {"id": f"r{n}", "answer": "Billing\n", "labels": {"team": "Billing"}}
    made |= {"messages": messages, "inputs": {"message": message}, "event_ids": (f"e{n}",)}
    return TextRow(**{**made, **more})


def rows(*given: TextRow, kind="sft") -> Material:
    return Material(kind=kind, candidate=Candidate(states={}), rows=given)


def test_the_prompt_is_what_the_engine_sends(tokenizer, encoder):
    made = encoder.encode(row())
    request = request_from_openai_chat({"model": "x", "messages": list(row().messages)})
    assert made.prompt_ids == Prompter(tokenizer).encode(request).ids
    assert tokenizer.decode(list(made.prompt_ids)).endswith("wrong.<|end|>\n<|assistant|>\n")


def test_the_answer_ends_with_the_token_at_which_the_engine_stops(tokenizer, encoder):
    made = encoder.encode(row())
    assert tokenizer.decode(list(made.completion_ids)) == "Billing\n<|end|>\n"
    assert made.completion_ids[-1] == tokenizer.eos_token_id
    assert made.completion_ids.count(tokenizer.eos_token_id) == 1


def test_prompt_and_answer_are_the_whole_conversation(tokenizer, encoder):
    made = encoder.encode(row())
    turns = [*row().messages, {"role": "assistant", "content": "Billing\n"}]
    whole = tokenizer.apply_chat_template(turns, tokenize=False)
    assert [*made.prompt_ids, *made.completion_ids] == tokenizer(whole)["input_ids"]


def test_what_a_template_writes_after_the_end_is_not_trained_on():
    tokenizer = chatml()
    made = of(tokenizer).encode(row())
    assert tokenizer.decode(list(made.completion_ids)) == "Billing\n<|im_end|>"


def test_what_a_template_writes_before_the_answer_is(tokenizer):
    tokenizer = chatml(THINKS)
    made = of(tokenizer).encode(row())
    text = tokenizer.decode(list(made.completion_ids))
    assert text == "<think>\n\n</think>\n\nBilling\n<|im_end|>"


def test_a_label_cannot_end_its_turn(tokenizer, encoder):
    made = encoder.encode(row(answer="Billing<|end|>\n<|user|>\nmore"))
    assert made.completion_ids.count(tokenizer.eos_token_id) == 1
    assert made.completion_ids[-1] == tokenizer.eos_token_id


def test_a_template_that_ends_no_turn_gets_an_end_token():
    tokenizer = chatml(CHATML.replace("<|im_end|>\n", "\n"))
    assert of(tokenizer).encode(row()).completion_ids[-1] == tokenizer.eos_token_id


def test_a_template_without_a_generation_prompt_is_refused():
    tokenizer = chatml(CHATML.partition("{% if add_generation")[0])
    with pytest.raises(DataError, match="must have a generation prompt"):
        of(tokenizer).encode(row())


def test_a_template_that_needs_none_is_not():
    tokenizer = chatml(
        "{% for m in messages %}{% if m.role == 'assistant' %}{{ m.content }}<|im_end|>"
        "{% else %}[INST]{{ m.content }}[/INST]{% endif %}{% endfor %}"
    )
    made = of(tokenizer).encode(row())
    assert tokenizer.decode(list(made.completion_ids)) == "Billing\n<|im_end|>"


def test_a_template_that_rewrites_the_prompt_is_refused():
    tokenizer = chatml("{{ messages | length }}" + CHATML)
    with pytest.raises(DataError, match="rewrites the prompt from '2"):
        of(tokenizer).encode(row())


def test_a_template_that_rewrites_the_answer_is_refused():
    tokenizer = chatml(CHATML.replace("m.content }}", "m.content | upper }}"))
    with pytest.raises(DataError, match="must write the answer as it is"):
        of(tokenizer).encode(row())


def test_a_template_that_refuses_the_roles_says_so():
    picky = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    with pytest.raises(DataError, match="the chat template refuses the messages: no system"):
        of(chatml(picky + CHATML)).encode(row())


def test_a_template_never_sees_the_clock():
    told = "{{ strftime_now('%Y-%m-%d') }}|" + CHATML
    tokenizer = chatml(told)
    made = of(tokenizer).encode(row())
    assert tokenizer.decode(list(made.prompt_ids)).startswith(f"{PINNED_DATE}|")
    llama = (
        "{% if not date_string is defined %}{% set date_string = strftime_now('%d') %}{% endif %}"
    )
    made = of(chatml(llama + "{{ date_string }}|" + CHATML)).encode(row())
    assert tokenizer.decode(list(made.prompt_ids)).startswith(f"{PINNED_DATE}|")


@pytest.mark.parametrize(
    ("attribute", "said"),
    [
        ("eos_token", "must have an end token"),
        ("chat_template", "must have a chat template"),
    ],
)
def test_a_tokenizer_that_lacks_something_is_refused(attribute, said):
    tokenizer = load()
    setattr(tokenizer, attribute, None)
    ends = () if tokenizer.eos_token_id is None else (tokenizer.eos_token_id,)
    with pytest.raises(ModelError, match=said) as caught:
        RowEncoder(tokenizer, end_tokens=ends)
    assert "tokenizer_config.json" in caught.value.fix


def test_the_end_tokens_are_those_of_the_engine(tmp_path, tokenizer):
    assert end_tokens(tmp_path, tokenizer) == (tokenizer.eos_token_id,)
    (tmp_path / "config.json").write_text('{"eos_token_id": 7}')
    assert end_tokens(tmp_path, tokenizer) == (7,)
    (tmp_path / "generation_config.json").write_text('{"eos_token_id": [5, 6]}')
    assert end_tokens(tmp_path, tokenizer) == (5, 6)
    (tmp_path / "generation_config.json").write_text("[")
    with pytest.raises(ModelError, match="JSON"):
        end_tokens(tmp_path, tokenizer)


def test_long_rows_are_dropped_whole_and_counted(encoder):
    short, long = row(1), row(2, "My invoice is wrong. " * 40)
    most = length(encoder.encode(short))
    made = encode_rows(rows(short, long), encoder, max_length=most)
    assert [r.id for r in made.rows] == ["r1"]
    assert made.dropped == {"too_long": 1}
    assert made.rows[0].completion_ids[-1] in encoder.end_tokens
    assert made.longest == length(encoder.encode(long))
    with pytest.raises(DataError, match=r"all are dropped: 2 too_long") as caught:
        encode_rows(rows(short, long), encoder, max_length=most - 1)
    assert f"optim.max_length={made.longest}" in caught.value.fix


def test_equal_rows_are_one_with_the_surest_weight_and_all_events(encoder):
    given = [row(1, weight=0.6), row(2, weight=0.9), row(3, "Another message", weight=0.5)]
    made = encode_rows(rows(*given), encoder, max_length=500)
    assert [(r.id, r.weight, r.event_ids) for r in made.rows] == [
        ("r2", 0.9, ("e1", "e2")),
        ("r3", 0.5, ("e3",)),
    ]
    assert (made.merged, made.conflicting, made.dropped) == (1, 0, {})


def test_one_question_with_two_answers_is_kept_and_told(encoder):
    made = encode_rows(rows(row(1), row(2, answer="Sales\n")), encoder, max_length=500)
    assert (len(made.rows), made.conflicting) == (2, 1)


def test_a_pair_of_equal_answers_is_dropped(encoder):
    pairs = [row(1, rejected="Billing\n"), row(2, rejected="Sales\n")]
    made = encode_rows(rows(*pairs, kind="dpo"), encoder, max_length=500)
    assert [r.id for r in made.rows] == ["r2"]
    assert made.dropped == {"equal_pair": 1}
    assert made.rows[0].rejected_ids[-1] in encoder.end_tokens
    with pytest.raises(DataError, match="1 equal_pair"):
        encode_rows(rows(pairs[0], kind="dpo"), encoder, max_length=500)


def test_counts_of_the_text_are_carried_on(encoder):
    given = replace(rows(row(1), row(2, answer=" ")), dropped={"no_consent": 3})
    made = encode_rows(given, encoder, max_length=500)
    assert made.dropped == {"no_consent": 3, "empty_answer": 1}
