"""The job kind that CONTRIBUTING.md shows is one file, and trains as it stands there."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

import upturn.finetune.kinds
from tests.contracts.job_folders import PROGRAM, ROOT, events, examples, runs, tensors, write_job
from upturn import mini
from upturn.config.job import Job, job_schema, load_job
from upturn.datasets.preferences import Pair
from upturn.errors import ConfigError
from upturn.finetune.encode import Encoded
from upturn.finetune.kinds import job_kinds
from upturn.finetune.order import order
from upturn.finetune.preflight import preflight
from upturn.finetune.records import Exit, TrainingRow
from upturn.finetune.rows import material
from upturn.finetune.spec import JobSpec
from upturn.programs import Program

BETA = 0.3
JOB = f"""
kind: orpo
name: newcomer
config: configs/ticket_triage.yaml
lora: {{r: 4}}
optim: {{max_steps: 3, per_device_train_batch_size: 4, warmup_ratio: 0.0}}
preference: {{beta: {BETA}}}
evaluation: {{eval_steps: 3, rows: 4}}
run: {{device: cpu}}
"""


@pytest.fixture(scope="module")
def section() -> str:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return text.partition("## Add a job kind\n")[2].partition("\n## ")[0]


@pytest.fixture
def folder(section: str, tmp_path: Path) -> Iterator[Path]:
    """A folder of kinds beside ours, with the newcomer's file and no other."""
    (code,) = re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL)
    folder = tmp_path / "kinds"
    folder.mkdir()
    (folder / "orpo.py").write_text(code, encoding="utf-8")
    upturn.finetune.kinds.__path__.append(str(folder))
    yield folder
    upturn.finetune.kinds.__path__.remove(str(folder))
    sys.modules.pop("upturn.finetune.kinds.orpo", None)


@pytest.fixture
def job(folder: Path, tmp_path: Path) -> Job:
    path = tmp_path / "newcomer.yaml"
    path.write_text(JOB)
    return load_job(path)


def test_four_steps(section: str) -> None:
    assert re.findall(r"^(\d)\. ", section, flags=re.MULTILINE) == ["1", "2", "3", "4"]


def test_a_job_of_it_is_read_as_any_other(job: Job, tmp_path: Path) -> None:
    assert "orpo" in job_kinds()
    spec = job.spec()
    assert (spec.kind, spec.preference.loss_type) == ("orpo", "orpo")
    assert spec.optim.learning_rate == job_kinds()["orpo"].learning_rate
    assert "orpo" in job_schema()["properties"]["kind"]["enum"]
    for override, said in {
        "kind=orpoo": "got 'orpoo'; did you mean orpo?",
        "preference.loss_type=ipo": "must be one of orpo for kind: orpo",
        "preference.label_smoothing=0.1": "label_smoothing must be 0 for kind: orpo",
        "kind=sft": "and orpo read it, got kind: sft",
    }.items():
        with pytest.raises(ConfigError) as caught:
            load_job(tmp_path / "newcomer.yaml", [override])
        assert said in str(caught.value)


def test_without_its_file_it_is_unknown() -> None:
    with pytest.raises(ConfigError, match=r"must be one of sft, .*; got 'orpo'"):
        upturn.finetune.kinds.job_kind("orpo")


@pytest.mark.local
def test_it_is_looked_at_and_trained(job: Job, folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("trl", reason="training needs trl: pip install 'upturn[train]'")
    spec = job.spec()
    encoded = looked_at(spec)
    base = mini.weights_dir()
    trained = write_job(tmp_path / "job", base, spec, rows=encoded.rows, dev=())
    known = f"import upturn.finetune.kinds as k; k.__path__.append({str(folder)!r})"
    assert runs(trained, known) == [Exit.DONE], (trained / "log.txt").read_text()[-2000:]
    # A new adapter changes nothing yet, so the first loss is the base's own.
    first, *_, last = (e["loss"] for e in events(trained, "step"))
    batch = [encoded.rows[i] for i in order(encoded.rows, spec, batch=4)[:4]]
    assert first == pytest.approx(orpo_loss(base, batch), rel=1e-4)
    assert last < first
    before, after = events(trained, "eval")
    assert before["margin"] == pytest.approx(0.0, abs=1e-9)
    assert after["margin"] > 0
    assert any(t.any() for n, t in tensors(trained / "final").items() if "lora_B" in n)


def looked_at(spec: JobSpec) -> Encoded:
    """Four pairs as tokens, after a preflight without problems."""
    program = Program(PROGRAM, ROOT)
    rows = list(islice(examples(), 4))
    pairs = [
        Pair(
            inputs=row.inputs,
            chosen=row.labels,
            rejected={**row.labels, "priority": "urgent"},
            weight=1.0,
            kind="correction",
            event_ids=(row.id,),
            group=row.group,
        )
        for row in rows
    ]
    text = material(spec.kind, program, program.seed, rows, pairs=pairs)
    found = preflight(spec, text, base=mini.weights_dir(), base_id="mini@0", on_cpu=False)
    assert found.estimate is not None
    assert found.estimate.steps == 3
    assert len(found.check().rows) == 4
    return found.check()


def orpo_loss(base: Path, rows: Sequence[TrainingRow]) -> float:
    """The loss of a batch, by the paper, from the base's own logits."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).eval()

    def mean_log_prob(prompt: tuple[int, ...], answer: tuple[int, ...]) -> float:
        with torch.no_grad():
            logits = model(torch.tensor([[*prompt, *answer]])).logits[0]
        log_probs = logits[len(prompt) - 1 : -1].double().log_softmax(-1)
        return float(log_probs[range(len(answer)), list(answer)].mean())

    def log_odds(mean: float) -> float:
        return mean - np.log1p(-np.exp(mean))

    losses = []
    for row in rows:
        chosen = mean_log_prob(row.prompt_ids, row.completion_ids)
        rejected = mean_log_prob(row.prompt_ids, row.rejected_ids)
        ratio = -np.log1p(np.exp(-(log_odds(chosen) - log_odds(rejected))))
        losses.append(-chosen - BETA * ratio)
    return float(np.mean(losses))
