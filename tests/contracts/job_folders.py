"""Folders of tiny fine-tune jobs, as the runner would write them."""

from __future__ import annotations

import atexit
import functools
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from upturn.finetune.folder import JobFolder
from upturn.finetune.records import TrainingRow, WorkOrder
from upturn.finetune.spec import EvaluationSpec, JobSpec, LoraSpec, OptimSpec, RunSpec
from upturn.programs import Program
from upturn.records import Example

ROOT = Path(__file__).parents[2]
PROGRAM, METRIC = "programs/ticket_triage.py:TicketTriage", "programs/ticket_triage.py:metric"
_ISSUES = {
    "Billing": "I was charged twice for order {}",
    "Delivery": "parcel {} has not arrived",
    "Account": "I cannot log in with number {}",
}
#: Six steps of four rows, an evaluation after each second one.
SPEC = JobSpec(
    name="tiny",
    kind="sft",
    lora=LoraSpec(r=4, lora_alpha=8, lora_dropout=0.1),
    optim=OptimSpec(
        max_steps=6, per_device_train_batch_size=2, gradient_accumulation_steps=2, max_length=512
    ),
    evaluation=EvaluationSpec(eval_steps=2, rows=4, patience=0, max_new_tokens=4),
    run=RunSpec(device="cpu"),
    seed=7,
)


def write_job(
    folder: Path,
    base: Path,
    spec: JobSpec = SPEC,
    *,
    metric: str = METRIC,
    rows: Sequence[TrainingRow] | None = None,
    dev: Sequence[Example] | None = None,
    root: Path = ROOT,
) -> Path:
    """Writes a job over twelve rows and four dev rows (and four dev pairs). Returns the folder."""
    program = Program(PROGRAM, ROOT)
    work = WorkOrder(
        spec=spec,
        base=str(base),
        base_id=f"{base.name}@0123456789ab",
        root=str(root),
        program=PROGRAM,
        metric=metric,
        candidate=program.seed.to_json(),
    )
    made = list(itertools.islice(examples(), 16))
    dev = made[12:] if dev is None else dev
    rows = training_rows(base, made[:12], spec.kind) if rows is None else rows
    pairs = [] if spec.kind == "sft" else training_rows(base, made[12:], "dpo")
    folder.mkdir(parents=True, exist_ok=True)
    JobFolder(folder).write(work, rows, pairs, dev)
    return folder


def examples() -> Any:
    """Yields labelled messages without end."""
    for i in itertools.count():
        team = list(_ISSUES)[i % len(_ISSUES)]
        yield Example(
            id=f"e{i}",
            inputs={"message": _ISSUES[team].format(100 + i)},
            labels={"team": team, "priority": "normal"},
            group=f"g{i}",
        )


def training_rows(base: Path, examples: Sequence[Example], kind: str) -> list[TrainingRow]:
    """Returns rows of a kind: the label as the answer, "Sales" as the rejected one."""
    tokenizer: Any = AutoTokenizer.from_pretrained(base, local_files_only=True)
    program = Program(PROGRAM, ROOT)
    rows: list[TrainingRow] = []
    for i, example in enumerate(examples):
        messages = program.messages(program.seed, example.inputs)
        text = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        right, wrong = (
            tuple(tokenizer(_answer(team), add_special_tokens=False)["input_ids"])
            for team in (example.labels["team"], "Sales")
        )
        row = TrainingRow(
            id=example.id,
            prompt_ids=tuple(tokenizer(text, add_special_tokens=False)["input_ids"]),
            completion_ids=right,
        )
        if kind == "dpo":
            row = replace(row, rejected_ids=wrong)
        elif kind == "kto" and i % 2:
            row = replace(row, completion_ids=wrong, desirable=False)
        rows.append(row)
    return rows


def _answer(team: str) -> str:
    fields = f"[[ ## team ## ]]\n{team}\n\n[[ ## priority ## ]]\nnormal\n\n"
    return f"{fields}[[ ## completed ## ]]<|end|>\n"


def events(folder: Path, kind: str = "") -> list[dict[str, Any]]:
    """Returns the events of a job, or those of one kind."""
    lines = (folder / "events.jsonl").read_text().splitlines()
    return [e for e in map(json.loads, lines) if kind in ("", e["kind"])]


def runs(folder: Path, *codes: str) -> list[int]:
    """Trains in processes of their own, one after another; returns their exit codes.

    Each is forked from one that has imported everything: seconds less than one started afresh.

    Args:
        folder: of the job.
        codes: for each process, Python that may define a class ``H`` of hooks.

    Returns:
        The codes; a negative one is the signal that killed the process.
    """
    server = _server()
    print(json.dumps([str(folder), *codes]), file=server.stdin, flush=True)
    return json.loads(server.stdout.readline())


@functools.cache
def _server() -> Any:
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    server = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("job_process.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=env,
    )
    atexit.register(_end, server)
    return server


def _end(server: Any) -> None:
    server.stdin.close()
    server.wait()
    server.stdout.close()


def tensors(folder: Path) -> dict[str, Any]:
    """Returns the tensors of an adapter's folder."""
    from safetensors.torch import load_file

    return load_file(folder / "adapter_model.safetensors")
