"""What a job will take, before it starts: arithmetic on its tokens and its model, no more.

Arithmetic of one token, P weights in the linear layers, frozen but for the adapter:

    forward            2 P           a product and a sum for each weight
    backward           2 P           gradients of the activations; frozen weights need none
    attention          2 L d s       each way: s tokens looked at, d wide, L layers; half are masked
    computed twice     2 P           with gradient checkpointing

A job kind says how many sequences of a row run forward and backward, and how many forward only.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from upturn.finetune.encode import length
from upturn.finetune.kinds import job_kind
from upturn.finetune.order import order, samples_per_step
from upturn.finetune.preflight_base import Base
from upturn.finetune.records import TrainingRow
from upturn.finetune.spec import JobSpec
from upturn.records import Json

#: Share of a bare matrix product's rate that training and one-token steps reach on a CPU.
_TRAINING_SHARE, _DECODING_SHARE = 0.3, 0.05
#: What a process has taken when torch and TRL are imported, in MB, and what a step leaves around.
_PROCESS_MB = 900.0
#: On a CPU the worker computes activations twice where they would take more than this.
_KEPT_BYTES = 1 << 30


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a job will take; an estimate, not a promise.

    Attributes:
        steps, samples: optimizer steps and training samples of the whole job.
        tokens: that are computed, padding included; padding: its share.
        parameters, trainable: weights of the base, and of the adapter.
        pflops: 10**15 operations of training.
        minutes: on this CPU, evaluations included; None for a GPU, whose rate is not known here.
        memory_mb: of one process (10**6 bytes).
    """

    steps: int
    samples: int
    tokens: int
    padding: float
    parameters: int
    trainable: int
    pflops: float
    minutes: float | None
    memory_mb: float

    def to_json(self) -> dict[str, Json]:
        return asdict(self)


def estimate(
    rows: Sequence[TrainingRow], spec: JobSpec, base: Base, *, on_cpu: bool, dev_rows: int = 0
) -> Estimate:
    """Estimates a job.

    Args:
        rows: what is trained on.
        spec: the job.
        base: its model.
        on_cpu: whether it runs on a CPU; its rate is measured here, in a third of a second.
        dev_rows: of dev; evaluations take some.
    """
    kind = job_kind(spec.kind)
    batch = samples_per_step(spec.optim, processes=spec.run.processes)
    samples = order(rows, spec, batch=batch)
    size = spec.optim.per_device_train_batch_size
    lengths = np.array([length(rows[i]) for i in samples])
    longest = np.maximum.reduceat(lengths, np.arange(0, len(lengths), size))
    tokens = int(sum(longest.repeat(size)[: len(lengths)]))
    trainable = _trainable(base, spec)
    width = int(max(lengths))
    flops = _train_flops(base, spec, tokens, width)
    minutes = _minutes(base, spec, flops, rows, len(samples) // batch, dev_rows) if on_cpu else None
    return Estimate(
        steps=len(samples) // batch,
        samples=len(samples),
        tokens=tokens * (kind.sequences + kind.forward_only),
        padding=1 - int(lengths.sum()) / tokens,
        parameters=_weights(base),
        trainable=trainable,
        pflops=flops / 1e15,
        minutes=minutes,
        memory_mb=_memory(base, spec, trainable, width, on_cpu=on_cpu) / 1e6 + _PROCESS_MB,
    )


def activation_bytes(config: Mapping[str, Any], *, tokens: int, twice: bool, width: int) -> int:
    """Estimates what a forward pass keeps for the backward pass, in bytes.

    A layer keeps its input, two norms, queries, keys, values, the attention's output and the
    inputs of the adapter (12 times the hidden width), and four tensors of the feed-forward width.
    Where they are computed twice a layer keeps its input, and one layer at a time all.

    Args:
        config: ``hidden_size``, ``num_hidden_layers``, ``intermediate_size``.
        tokens: in one forward pass.
        twice: gradient checkpointing.
        width: bytes of a number.
    """
    hidden, layers = config["hidden_size"], config["num_hidden_layers"]
    inner = config.get("intermediate_size") or 4 * hidden
    layer = width * (12 * hidden + 4 * inner)
    return tokens * (layers * width * hidden + layer if twice else layers * layer)


def _weights(base: Base) -> int:
    return sum(out * into for out, into in base.shapes.values())


def _linear(base: Base) -> int:
    return sum(out * into for name, (out, into) in base.shapes.items() if name in base.linear)


def _trainable(base: Base, spec: JobSpec) -> int:
    return sum(spec.lora.r * sum(base.shapes[name]) for name in base.targets(spec.lora))


def _train_flops(base: Base, spec: JobSpec, tokens: int, width: int) -> float:
    kind = job_kind(spec.kind)
    both = 3 if spec.optim.gradient_checkpointing else 2
    passes = kind.sequences * both + kind.forward_only
    return tokens * passes * _token_flops(base, width)


def _token_flops(base: Base, width: int) -> float:
    hidden, layers = base.config["hidden_size"], base.config["num_hidden_layers"]
    return 2.0 * _linear(base) + 2.0 * layers * hidden * width


def _minutes(
    base: Base, spec: JobSpec, flops: float, rows: Sequence[TrainingRow], steps: int, dev_rows: int
) -> float:
    asked = min(spec.evaluation.rows, dev_rows)
    every = spec.evaluation.eval_steps
    evaluations = steps / every if every else max(1.0, spec.optim.num_train_epochs)
    prompt = float(np.mean([len(row.prompt_ids) for row in rows]))
    answer = float(np.mean([len(row.completion_ids) for row in rows]))
    token = _token_flops(base, int(prompt))
    rate = _rate(base)
    read = evaluations * asked * prompt * token / (rate * _TRAINING_SHARE)
    written = evaluations * asked * answer * token / (rate * _DECODING_SHARE)
    return (flops / (rate * _TRAINING_SHARE) + read + written) / 60


def _rate(base: Base) -> float:
    """Measures operations a second of a matrix product as wide as the model's."""
    rng = np.random.default_rng(0)
    hidden = min(int(base.config["hidden_size"]), 2048)
    one = rng.random((1024, hidden), dtype=np.float32)
    two = rng.random((hidden, 2 * hidden), dtype=np.float32)
    out = np.empty((1024, 2 * hidden), np.float32)
    best, until = np.inf, time.perf_counter() + 0.3
    while time.perf_counter() < until or best == np.inf:
        start = time.perf_counter()
        np.matmul(one, two, out=out)
        best = min(best, time.perf_counter() - start)
    return 2 * 1024 * hidden * 2 * hidden / best


def _memory(base: Base, spec: JobSpec, trainable: int, width: int, *, on_cpu: bool) -> float:
    number = 2 if spec.optim.bf16 and not on_cpu else 4
    # The adapter in fp32: its weights, their gradients, and Adam's two moments.
    fixed = _weights(base) * number + trainable * 16
    tokens = spec.optim.per_device_train_batch_size * width * job_kind(spec.kind).sequences
    kept, again = (
        activation_bytes(base.config, tokens=tokens, twice=twice, width=number)
        for twice in (False, True)
    )
    if on_cpu:
        return fixed + min(kept, max(_KEPT_BYTES, again))
    return fixed + (again if spec.optim.gradient_checkpointing else kept)
