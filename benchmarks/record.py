"""Runs every candidate of a catalogue on every row, once, and keeps who was right where.

    python -m benchmarks.record [--task NAME] [--rows 400] [--data FILE] [--out FOLDER]

The search benchmarks replay these tables: 221 candidates (13 instructions x 17 demo sets, made by
the product's own proposers from 400 train rows) on 400 other rows, for three tasks, answered by the
embedded model. About an hour on two cores; a broken-off recording goes on where it stopped.

One file a task, one line a candidate: its choices, where they came from, the prompt's length in
characters, its mean input tokens, and one bit a row (hexadecimal, the first row the highest bit).
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any, cast

import dspy
import numpy as np
from dspy.lm15 import Config, Message, Request

from benchmarks.tasks import DATA, TASKS, Task
from upturn import mini
from upturn.lm.local import LocalEngine
from upturn.propose import Evidence, Proposal
from upturn.propose.balanced import BalancedProposer
from upturn.propose.contrast import ContrastProposer
from upturn.propose.labelled import LabelledProposer
from upturn.propose.seed import SeedProposer
from upturn.records import Candidate, Example, Json
from upturn.search.catalogue import Catalogue

RECORDED = Path(__file__).parent / "recorded"
TRAIN_ROWS, MAX_DEMOS, MAX_TOKENS = 400, 12, 32
PROPOSERS = (
    SeedProposer(),
    ContrastProposer(word_counts=(2, 3, 4, 5, 6, 8)),
    LabelledProposer(draws=2),
    BalancedProposer(draws=2),
)


def catalogue(task: Task, train: Sequence[Example]) -> Catalogue:
    """The task's choices, from train rows only."""
    program = task.load()
    evidence = Evidence(
        program=program,
        start=program.seed,
        train=train,
        failures=(),
        evaluator=cast(Any, None),  # none of these proposers runs anything
        max_demos=MAX_DEMOS,
        max_demo_chars=120,
    )
    return Catalogue.build(p for proposer in PROPOSERS for p in _proposals(proposer, evidence))


def _proposals(proposer: Any, evidence: Evidence) -> Sequence[Proposal]:
    return list(proposer.propose(evidence))


class Recorder:
    """Asks the model directly: the same texts as the product's evaluator gives, in less time."""

    def __init__(self, task: Task) -> None:
        self._program, self._field = task.load(), task.field
        self._adapter = dspy.ChatAdapter(use_json_adapter_fallback=False)
        self._engine = LocalEngine(mini.weights_dir(), model_id="record", max_batch=64)

    def run(self, candidate: Candidate, rows: Sequence[Example]) -> tuple[list[bool], float]:
        """Returns who was right, and the mean number of input tokens."""
        predictor = next(iter(dict(self._program.build(candidate).named_predictors()).values()))
        signature = predictor.signature
        head = self._adapter.format(signature, predictor.demos, dict(rows[0].inputs))[:-1]
        requests = [self._request(head, signature, row) for row in rows]
        answers = asyncio.run(self._ask(requests))
        right = [self._right(signature, a.text, r) for a, r in zip(answers, rows, strict=True)]
        return right, float(np.mean([a.usage.input_tokens for a in answers]))

    async def _ask(self, requests: Sequence[Request]) -> list[Any]:
        return list(await asyncio.gather(*map(self._engine.acomplete, requests)))

    def _request(self, head: list[dict[str, Json]], signature: Any, row: Example) -> Request:
        last = self._adapter.format(signature, [], dict(row.inputs))[-1]
        turns = tuple(
            (Message.user if m["role"] == "user" else Message.assistant)(m["content"])
            for m in (*head[1:], last)
        )
        config = Config(max_tokens=MAX_TOKENS, temperature=0.0)
        return Request(model="record", system=head[0]["content"], messages=turns, config=config)

    def _right(self, signature: Any, text: str, row: Example) -> bool:
        try:
            answer = self._adapter.parse(signature, text)
        except dspy.utils.exceptions.AdapterParseError:
            return False  # an answer out of format is a wrong answer
        return answer[self._field] == row.labels[self._field]

    def close(self) -> None:
        self._engine.close()


def record(task: Task, *, n_rows: int, data: Path, out: Path) -> Path:
    """Records one task; returns its file."""
    rows = task.rows(data)
    train, rest = rows[:TRAIN_ROWS], rows[TRAIN_ROWS : TRAIN_ROWS + n_rows]
    choices = catalogue(task, train)
    path = out / f"{task.name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    done = set()
    if path.exists():
        done = {json.dumps(json.loads(x)["choices"]) for x in path.read_text().splitlines()}
    recorder = Recorder(task)
    print(f"{task.name}: {choices.size} candidates x {len(rest)} rows", flush=True)
    with path.open("a", encoding="utf-8") as file:
        for ids in product(*choices.options.values()):
            spelled = dict(zip(choices.options, ids, strict=True))
            if json.dumps(spelled) in done:
                continue
            candidate = choices.candidate(spelled)
            right, tokens = recorder.run(candidate, rest)
            line = {
                "choices": spelled,
                "origins": choices.origins(spelled),
                "chars": sum(len(str(s.to_json())) for s in candidate.states.values()),
                "tokens": round(tokens, 1),
                "rows": len(right),
                "right": f"{int(''.join('01'[r] for r in right), 2):0{-(-len(right) // 4)}x}",
            }
            file.write(json.dumps(line) + "\n")
            file.flush()
    recorder.close()
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", choices=sorted(TASKS), action="append")
    parser.add_argument("--rows", type=int, default=400)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--out", type=Path, default=RECORDED)
    options = parser.parse_args()
    for name in options.task or sorted(TASKS):
        path = record(TASKS[name], n_rows=options.rows, data=options.data, out=options.out)
        print(f"{name}: {path}", flush=True)


if __name__ == "__main__":
    main()
