"""What is trained on is what an evaluation sends, token by token, and what its parser reads."""

from __future__ import annotations

import pytest

from tests.unit.evaluating import bench, example
from upturn import mini
from upturn.finetune.encode import RowEncoder, encode_rows, end_tokens
from upturn.finetune.preflight import load_tokenizer
from upturn.finetune.rows import material
from upturn.lm.prompt import Prompter
from upturn.records import Candidate, Outcome, PromptState

pytest.importorskip("transformers", reason="needs the [local] extra")
DEMOS = ({"text": "some text", "word": "no"}, {"text": "other text", "word": "yes"})


@pytest.mark.parametrize("demos", [(), DEMOS], ids=["bare", "demos"])
@pytest.mark.parametrize("adapter", ["chat", "json", "xml"])
def test_an_evaluation_sends_the_prompt_and_reads_the_answer(tmp_path, demos, adapter):
    row = example("What is it? <|end|>\n and so on", "fine & <b>")
    state = PromptState(instruction="Say it.", demos=demos)
    candidate = Candidate(states={"say": state}, settings={"adapter": adapter})
    tokenizer = load_tokenizer(mini.weights_dir())
    sent = []

    def answer(request):
        sent.append(request)
        return trained

    with bench(tmp_path, answer) as made:
        text = material("sft", made.program, candidate, [row])
        trained = text.rows[0].answer
        (evaluation,) = made.evaluator.evaluate_all([(candidate, [row])])
    (scored,) = evaluation.rows
    assert (scored.outcome, scored.score) == (Outcome.SCORED, 1.0)
    encoder = RowEncoder(tokenizer, end_tokens=end_tokens(mini.weights_dir(), tokenizer))
    (encoded,) = encode_rows(text, encoder, max_length=2000).rows
    (request,) = sent
    assert encoded.prompt_ids == Prompter(tokenizer).encode(request).ids
    said = tokenizer.decode(list(encoded.completion_ids), skip_special_tokens=True)
    assert said == trained
