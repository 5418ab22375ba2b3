"""Rows and job folders of the training benchmarks: tickets of the sample log, as tokens.

``programs/ticket_triage.py`` writes the prompts. A right answer is the ticket's own; a wrong one
names another team. Long rows are several messages in one.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from benchmarks.engine_prompts import PROGRAM
from upturn.finetune.encode import RowEncoder, encode_rows, end_tokens
from upturn.finetune.folder import JobFolder
from upturn.finetune.records import TrainingRow, WorkOrder
from upturn.finetune.rows import Material, TextRow
from upturn.finetune.spec import JobSpec
from upturn.lm import ModelSpec
from upturn.lm.connect import locate
from upturn.programs import Chat, Program
from upturn.quickstart import write_messages

ROOT = Path(__file__).parents[1]
_TEAMS = ("Technical", "Returns", "Sales", "Billing", "Delivery", "Account")
_MAX_LENGTH = 4096


def ticket_rows(kind: str, n: int, *, base: Path, seed: int = 7) -> list[TrainingRow]:
    """Returns up to ``n`` rows of single tickets (equal ones are one)."""
    rng = random.Random(seed)
    texts = [_text(m, [m.text], kind, rng) for m in _messages(n, seed)]
    return _encoded(kind, texts, base)


def long_rows(lengths: Sequence[int], *, base: Path, seed: int = 8) -> list[TrainingRow]:
    """Returns SFT rows of at most these many tokens each, and nearly as many."""
    rng = random.Random(seed)
    written = _messages(40 * len(lengths), seed)
    encoder = _encoder(base)
    return [_long(length, written, encoder, rng) for length in lengths]


def write_job(folder: Path, spec: JobSpec, rows: Sequence[TrainingRow], *, base: Path) -> None:
    """Writes the folder that our worker and the bare script both read; nothing is evaluated."""
    folder.mkdir(parents=True, exist_ok=True)
    program = Program(PROGRAM, ROOT)
    order = WorkOrder(
        spec=spec,
        base=str(base),
        base_id=locate(ModelSpec(model=f"hf:{base}"))[1],
        root=str(ROOT),
        program=PROGRAM,
        metric=PROGRAM.replace("TicketTriage", "metric"),
        candidate=program.seed.to_json(),
    )
    JobFolder(folder).write(order, rows, (), ())


def random_llama(folder: Path, *, seed: int = 0) -> int:
    """Writes a random Llama of 25 million parameters; returns how many they are."""
    import shutil

    import torch
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    from upturn import mini

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=8000,
        hidden_size=512,
        intermediate_size=1408,
        num_hidden_layers=7,
        num_attention_heads=8,
        num_key_value_heads=4,
        max_position_embeddings=_MAX_LENGTH,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=4,
        pad_token_id=0,
    )
    model = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig(eos_token_id=4, pad_token_id=0)
    model.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(mini.weights_dir() / name, folder / name)
    return int(model.num_parameters())


def _messages(n: int, seed: int) -> list[Any]:
    return [w.message for w in write_messages(seed, requests=max(400, n))][:n]


def _text(message: Any, texts: Sequence[str], kind: str, rng: random.Random) -> TextRow:
    chat = _chat()
    right = {"team": message.team, "priority": message.priority}
    wrong = {**right, "team": rng.choice([t for t in _TEAMS if t != message.team])}
    desirable = kind != "kto" or rng.random() < 0.5
    inputs = {"message": "\n".join(texts)}
    return TextRow(
        id=str(rng.getrandbits(48)),
        inputs=inputs,
        messages=tuple(chat.prompt(inputs)),
        answer=chat.answer(right if desirable else wrong),
        labels=right,
        rejected=chat.answer(wrong) if kind == "dpo" else None,
        desirable=desirable,
    )


def _long(
    length: int, written: Sequence[Any], encoder: RowEncoder, rng: random.Random
) -> TrainingRow:
    texts: list[str] = []
    fitting: TrainingRow | None = None
    for message in _endless(written, rng):
        row = encoder.encode(_text(message, [*texts, message.text], "sft", rng))
        if len(row.prompt_ids) + len(row.completion_ids) > length:
            break
        texts.append(message.text)
        fitting = replace(row, id=f"{length}-{row.id}")
    if fitting is None:
        raise ValueError(f"a row has more than {length} tokens")
    return fitting


def _endless(written: Sequence[Any], rng: random.Random) -> Iterator[Any]:
    while True:
        yield rng.choice(written)


@cache
def _chat() -> Chat:
    program = Program(PROGRAM, ROOT)
    return Chat.of(program, program.seed)


def _encoder(base: Path) -> RowEncoder:
    tokenizer = AutoTokenizer.from_pretrained(base)
    return RowEncoder(tokenizer, end_tokens=end_tokens(base, tokenizer), where=str(base))


def _encoded(kind: str, texts: Sequence[TextRow], base: Path) -> list[TrainingRow]:
    seed = Program(PROGRAM, ROOT).seed
    material = Material(kind=kind, candidate=seed, rows=tuple(texts))
    return list(encode_rows(material, _encoder(base), max_length=_MAX_LENGTH).rows)
