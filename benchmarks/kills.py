"""What SIGKILL does to promotions and roll-backs, in numbers: real processes, the real registry.

    python -m benchmarks.kills --quick            # 5 kills, some seconds
    python -m benchmarks.kills --json FILE        # 100 kills, about two minutes

A process promotes and rolls back without a pause, through the same door as the commands, and is
killed at a random moment. Then the releases are opened once more. There must be one state: ledger,
alias, mark, tags and files agree; every move that was acknowledged is in the ledger; at most one
more is there, and it is done.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import signal
import tempfile
import time
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from tests.pipeline.releasing import PROGRAM, adopted, consistent
from upturn.ledger import Ledger
from upturn.pipeline.releases.moves import Standing, champion_of, moves_of, standing
from upturn.pipeline.store import open_ledger, open_registry, open_releases
from upturn.testing.tracker import migrated_store

#: Longest time that the process runs after its first move, in seconds: several moves.
LONGEST_S = 0.6


def kills(n: int, *, seed: int = 0) -> dict[str, Any]:
    """Kills so many processes, and counts what each left and what came of it."""
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "mlruns"
        migrated_store(Path(name) / "cache", folder).close()
        (folder / "ledger.jsonl").touch()
        with open_releases(folder, PROGRAM) as releases:
            adopted(releases)
        left: Counter[str] = Counter()
        wrong: list[str] = []
        moves = 0
        for number in range(1, n + 1):
            said = len(_moves(open_ledger(folder)))
            done = _killed(folder, float(rng.uniform(0.0, LONGEST_S)))
            left[_left(folder)] += 1
            found = len(_moves(open_ledger(folder)))
            moves += found - said
            if not 0 <= found - said - done <= 1:
                wrong.append(f"{number}: {done} moves acknowledged, {found - said} in the ledger")
            try:
                with open_releases(folder, PROGRAM) as releases:
                    champion = consistent(releases)
                    assert champion == champion_of(_moves(releases.ledger))
            except Exception as error:
                wrong.append(f"{number}: {type(error).__name__}: {error}")
    return {"kills": n, "moves": moves, "left": dict(left), "wrong": wrong, "ok": not wrong}


def _killed(folder: Path, after_s: float) -> int:
    """Runs a process for a while and kills it. Returns how many moves it acknowledged."""
    here, there = multiprocessing.Pipe(duplex=False)
    # A fork has everything imported; nothing of the store is open in it.
    child = multiprocessing.get_context("fork").Process(target=_move, args=(folder, there))
    child.start()
    there.close()
    here.recv()
    time.sleep(after_s)
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    done = 1
    try:
        while True:
            here.recv()
            done += 1
    except EOFError:
        return done


def _move(folder: Path, acknowledged: Connection) -> None:
    """Promotes and rolls back for ever, and says so after each."""
    with open_releases(folder, PROGRAM) as releases:
        while True:
            if releases.registry.aliases(PROGRAM).champion == "1":
                releases.promote("2", who="ann", because="to", override=True)
            else:
                releases.rollback(to=None, who="ann", because="fro")
            acknowledged.send(1)


def _left(folder: Path) -> str:
    """How far the last move had come when its process was killed."""
    moves = _moves(open_ledger(folder))
    with open_registry(folder) as registry:
        named = registry.aliases(PROGRAM)
    stands = standing(moves, named)
    if stands is not Standing.UNFINISHED:
        return str(stands)
    moved = named.champion == champion_of(moves)
    return "alias moved, not marked" if moved else "in the ledger, alias not moved"


def _moves(ledger: Ledger) -> list[Any]:
    return moves_of(ledger.entries(PROGRAM))


def main() -> None:
    """Runs the benchmark and prints its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="5 kills")
    parser.add_argument("--json", type=Path, help="also write the result here")
    options = parser.parse_args()
    found = kills(5 if options.quick else 100)
    print(f"{found['kills']} kills in {found['moves']} moves")
    for state, count in sorted(found["left"].items()):
        print(f"  left {state:<32} {count:>4}")
    print(f"  inconsistent afterwards {len(found['wrong']):>18}")
    for sentence in found["wrong"]:
        print(f"    {sentence}")
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    if not found["ok"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
