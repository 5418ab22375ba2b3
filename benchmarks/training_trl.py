"""The bare script beside which our worker is measured: TRL's trainer, PEFT's LoRA, nothing else.

    python -m benchmarks.training_trl FOLDER

FOLDER is one of a job (``upturn.finetune.records``). The script trains on the same token ids, in
the same order, with the same optimizer and for as many steps. It says each step's end on stdout.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset
from datasets.utils.logging import disable_progress_bar
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer, SFTConfig, SFTTrainer

from upturn.finetune.order import order, samples_per_step
from upturn.finetune.records import ROWS, WORK, TrainingRow, WorkOrder
from upturn.finetune.spec import JobSpec

_MAKES = {
    "sft": (SFTTrainer, SFTConfig),
    "dpo": (DPOTrainer, DPOConfig),
    "kto": (KTOTrainer, KTOConfig),
}


class Clock(TrainerCallback):
    """Says when each step ended."""

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        print(json.dumps({"step": state.global_step, "time": time.time()}), flush=True)


def train(folder: Path) -> None:
    """Trains as the order in ``folder`` says; writes nothing."""
    work = WorkOrder.from_json(json.loads((folder / WORK).read_text()))
    lines = (folder / ROWS).read_text().splitlines()
    rows = [TrainingRow.from_json(json.loads(line)) for line in lines]
    tokenizer = AutoTokenizer.from_pretrained(work.base)
    batch = samples_per_step(work.spec.optim)
    used = [rows[i] for i in order(rows, work.spec, batch=batch)]
    data = Dataset.from_list(list(columns(used, work.spec.kind, tokenizer)))
    trainer, arguments = _MAKES[work.spec.kind]
    trainer(
        model=AutoModelForCausalLM.from_pretrained(work.base, dtype="float32"),
        args=arguments(str(folder / "bare"), **_arguments(work.spec)),
        train_dataset=data,
        processing_class=tokenizer,
        peft_config=_lora(work.spec),
        callbacks=[Clock()],
    ).train()


def columns(rows: Sequence[TrainingRow], kind: str, tokenizer: Any) -> Iterator[dict[str, Any]]:
    """Yields rows as TRL takes them: tokens for SFT; for the others text, which it tokenizes.

    Raises:
        ValueError: the text has other tokens than the row.
    """
    for row in rows:
        prompt, answer, other = row.prompt_ids, row.completion_ids, row.rejected_ids
        if kind == "sft":
            mask = [0] * len(prompt) + [1] * len(answer)
            yield {"input_ids": [*prompt, *answer], "completion_mask": mask}
            continue
        texts = [tokenizer.decode(list(ids)) for ids in (prompt, answer, other)]
        for text, ids in ((texts[1], answer), (texts[2], other)):
            if tuple(tokenizer(texts[0] + text)["input_ids"]) != (*prompt, *ids):
                raise ValueError(f"the text of row {row.id} has other tokens than the row")
        if kind == "dpo":
            yield dict(zip(("prompt", "chosen", "rejected"), texts, strict=True))
        else:
            yield {"prompt": texts[0], "completion": texts[1], "label": row.desirable}


def _arguments(spec: JobSpec) -> dict[str, Any]:
    optim = spec.optim
    own = {} if spec.kind == "sft" else {"beta": spec.preference.beta}
    return own | {
        "use_cpu": True,
        "bf16": False,
        "activation_checkpointing": False,
        "per_device_train_batch_size": optim.per_device_train_batch_size,
        "gradient_accumulation_steps": optim.gradient_accumulation_steps,
        "max_steps": optim.max_steps,
        "learning_rate": optim.learning_rate,
        "lr_scheduler_type": optim.lr_scheduler_type,
        "max_grad_norm": optim.max_grad_norm,
        "max_length": optim.max_length,
        "seed": spec.seed,
        # The rows come in our order.
        "train_sampling_strategy": "sequential",
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
    }


def _lora(spec: JobSpec) -> LoraConfig:
    lora = spec.lora
    return LoraConfig(
        r=lora.r,
        lora_alpha=lora.lora_alpha,
        lora_dropout=lora.lora_dropout,
        target_modules=lora.target_modules,
        task_type="CAUSAL_LM",
    )


if __name__ == "__main__":
    disable_progress_bar()
    train(Path(sys.argv[1]))
