"""Measures a model on classes it never saw: accuracy by names, definitions, demos and fields.

    python -m upturn.mini.evaluate --data banking77.jsonl --rows 500 --ways 5,3 --fields 1,2

Prints the model card's tables to stdout; progress goes to stderr.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from upturn.errors import DataError, InputError, ModelError
from upturn.mini import weights_dir
from upturn.mini.benchmark import FIRST, SECOND, Benchmark, Cell
from upturn.mini.decode import greedy
from upturn.mini.encode import Encoder
from upturn.mini.frame import Episode
from upturn.mini.progress import Meter
from upturn.mini.tables import markdown

_DEMOS = (0, 3, 5, 10, 16)
_ANSWER_LIMIT = 40  # tokens per output field


@dataclass(frozen=True, kw_only=True)
class CellResult:
    """What one cell came to.

    Attributes:
        cell: the cell.
        n: rows.
        accuracy: output field -> share of rows with exactly the right value; an answer that cannot
            be parsed is wrong in every field.
        all_right: share of rows with every field right.
        format: share of rows in the exact format, every value one of its options.
    """

    cell: Cell
    n: int
    accuracy: dict[str, float]
    all_right: float
    format: float


class Evaluator:
    """Runs cells through one model in float32, greedily."""

    def __init__(self, model_dir: Path, *, batch: int = 16) -> None:
        from transformers import LlamaForCausalLM

        if not (model_dir / "model.safetensors").is_file():
            raise ModelError("a model folder must hold model.safetensors", where=str(model_dir))
        self.encoder = Encoder(Tokenizer.from_file(str(model_dir / "tokenizer.json")))
        loaded: Any = LlamaForCausalLM.from_pretrained(model_dir, dtype=torch.float32)
        self.model = loaded.eval()
        self.batch = batch

    def answers(
        self, episodes: Sequence[Episode], *, done: Callable[[int], None] | None = None
    ) -> list[dict[str, str]]:
        """Returns each episode's answer as field -> value, empty where it cannot be parsed."""
        generated = greedy(
            self.model,
            [self.encoder.prompt(e) for e in episodes],
            end=self.encoder.end,
            pad=self.encoder.pad,
            limit=_ANSWER_LIMIT * max(len(e.turns[-1].answers) for e in episodes),
            batch=self.batch,
            done=done,
        )
        return [
            parse(self.encoder.decode(ids), [a.field for a in e.turns[-1].answers])
            for ids, e in zip(generated, episodes, strict=True)
        ]

    def measure(
        self, benchmark: Benchmark, cell: Cell, *, rows: int, seed: int, meter: Meter
    ) -> CellResult:
        """Returns a cell's accuracy and format over ``rows`` episodes drawn from ``seed``."""
        episodes = benchmark.episodes(cell, rows=rows, seed=seed)
        return score(cell, episodes, self.answers(episodes, done=meter.at))


def parse(text: str, fields: Sequence[str]) -> dict[str, str]:
    """Returns field -> value of an answer that is exactly as ChatAdapter writes it, else {}."""
    pattern = "".join(rf"\[\[ ## {re.escape(f)} ## \]\]\n(.*?)\n\n" for f in fields)
    match = re.fullmatch(pattern + r"\[\[ ## completed ## \]\]\n<\|end\|>\n", text, re.DOTALL)
    return dict(zip(fields, match.groups(), strict=True)) if match else {}


def score(cell: Cell, episodes: Sequence[Episode], answers: Sequence[dict[str, str]]) -> CellResult:
    """Counts right answers and right formats."""
    fields = [FIRST, SECOND][: cell.fields]
    right = dict.fromkeys(fields, 0)
    both = formed = 0
    for episode, answer in zip(episodes, answers, strict=True):
        wanted = {a.field: a.value for a in episode.turns[-1].answers}
        for field in fields:
            right[field] += answer.get(field) == wanted[field]
        both += answer == wanted
        formed += bool(answer) and all(f"'{v}'" in episode.request for v in answer.values())
    n = len(episodes)
    return CellResult(
        cell=cell,
        n=n,
        accuracy={f: k / n for f, k in right.items()},
        all_right=both / n,
        format=formed / n,
    )


def cells(ways: Sequence[int], fields: Sequence[int], demos: Sequence[int]) -> Iterator[Cell]:
    """Yields the cells of the tables, in the order in which they are printed."""
    for count, way, real, defined in product(fields, ways, (False, True), (False, True)):
        for shown in demos:
            yield Cell(real=real, defined=defined, demos=shown, ways=way, fields=count)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        results = _run(options)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(markdown([asdict(r) for r in results]))
    return 0


def _run(options: argparse.Namespace) -> list[CellResult]:
    torch.set_num_threads(options.threads)
    benchmark = Benchmark.read(options.data)
    evaluator = Evaluator(options.model, batch=options.batch)
    record = Record(options.json, model_dir=options.model, rows=options.rows, seed=options.seed)
    for cell in cells(options.ways, options.fields, options.demos):
        if cell in record.results:
            continue
        with Meter(_title(cell), options.rows) as meter:
            record.add(
                evaluator.measure(
                    benchmark, cell, rows=options.rows, seed=options.seed, meter=meter
                )
            )
    return [record.results[c] for c in cells(options.ways, options.fields, options.demos)]


def _title(cell: Cell) -> str:
    names = "real" if cell.real else "arbitrary"
    defined = "definitions" if cell.defined else "no definitions"
    return f"{cell.fields} field(s), {cell.ways}-way, {names} names, {defined}, {cell.demos} demos"


class Record:
    """The cells done so far; a file of the same model, rows and seed is continued.

    Args:
        path: JSON file, or None to keep nothing.
        model_dir, rows, seed: what a cell's numbers depend on.
    """

    def __init__(self, path: Path | None, *, model_dir: Path, rows: int, seed: int) -> None:
        weights = hashlib.sha256((model_dir / "model.safetensors").read_bytes()).hexdigest()
        self._path = path
        self._key = {"weights_sha256": weights, "rows": rows, "seed": seed}
        self.results: dict[Cell, CellResult] = {}
        if path is not None and path.is_file():
            self._read(path)

    def add(self, result: CellResult) -> None:
        """Keeps a cell and writes the file anew."""
        self.results[result.cell] = result
        if self._path is None:
            return
        body = {**self._key, "cells": [asdict(r) for r in self.results.values()]}
        part = self._path.with_name(self._path.name + ".part")
        part.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")
        part.replace(self._path)  # a reader never sees half a file

    def _read(self, path: Path) -> None:
        body = json.loads(path.read_text(encoding="utf-8"))
        found = {key: body.get(key) for key in self._key}
        if found != self._key:
            raise DataError(
                f"a file is continued only with the settings it was begun with: {self._key}, "
                f"got {found}",
                where=str(path),
                fix="give another --json",
            )
        for row in body["cells"]:
            cell = Cell(**row.pop("cell"))
            self.results[cell] = CellResult(cell=cell, **row)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(x) for x in text.split(","))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m upturn.mini.evaluate", description=__doc__)
    add = parser.add_argument
    add("--data", type=Path, required=True, help="JSONL with text and intent, e.g. Banking77")
    add("--model", type=Path, default=weights_dir(), help="model folder (default: upturn-mini)")
    add("--rows", type=int, default=500, help="episodes per cell")
    add("--ways", type=_numbers, default=(5, 3), help="classes to choose from")
    add("--fields", type=_numbers, default=(1, 2), help="output fields: 1, 2 or both")
    add("--demos", type=_numbers, default=_DEMOS, help="demonstrations in the prompt")
    add("--seed", type=int, default=11)
    add("--batch", type=int, default=16, help="prompts per batch; answers do not depend on it")
    add("--threads", type=int, default=2, help="CPU threads")
    add("--json", type=Path, help="write every cell here as it is done; continued")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
