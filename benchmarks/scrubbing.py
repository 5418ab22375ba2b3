"""How much the scrubber finds, by kind and language, how much it spoils, and how fast it is.

    python -m benchmarks.scrubbing [--items 5000] [--seed 11] [--misses 20]

Planted texts and clean ones come from a generator that shares nothing with the detectors; real
messages are read from ../shared/data where it is there. Prints tables on stdout.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from pathlib import Path

from tests.unit.privacy.carriers import LANGUAGES
from tests.unit.privacy.harmless import clean
from tests.unit.privacy.planted import KINDS, planted, survives
from upturn.events import Request
from upturn.privacy import MARK, Pseudonyms, Scrubber, ScrubRules

REAL = ("clinc150_8domains.jsonl", "banking77_train.jsonl")


def main() -> None:
    """Prints everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--misses", type=int, default=20)
    options = parser.parse_args()
    scrubber = Scrubber(ScrubRules(), Pseudonyms(b"a key for this measurement only"))
    _recall(scrubber, options.items, options.seed, options.misses)
    _spoiled("generated tickets", clean(options.items, options.seed), scrubber, options.misses)
    for name in REAL:
        path = Path(__file__).parents[2] / "shared" / "data" / name
        if path.exists():
            lines = path.read_text(encoding="utf-8").splitlines()
            _spoiled(name, [json.loads(s)["text"] for s in lines], scrubber, options.misses)
        else:
            print(f"{name}: not here, skipped")
    _speed(scrubber)


def _recall(scrubber: Scrubber, n: int, seed: int, shown: int) -> None:
    items = planted(n, seed)
    asked, found, misses = Counter[tuple[str, str]](), Counter[tuple[str, str]](), []
    for item in items:
        cell = (item.kind, item.language)
        asked[cell] += 1
        clean_text = scrubber.text(item.text)
        if survives(item.item, MARK.sub("", clean_text)):
            misses.append((item, clean_text))
        else:
            found[cell] += 1
    print(f"{'recall':<14}" + "".join(f"{c:>9}" for c in (*LANGUAGES, "all")))
    for kind in KINDS:
        cells = [(kind, language) for language in LANGUAGES]
        shares = [found[c] / max(1, asked[c]) for c in cells]
        every = sum(found[c] for c in cells) / max(1, sum(asked[c] for c in cells))
        print(f"{kind:<14}" + "".join(f"{s:>9.4f}" for s in (*shares, every)))
    print(f"{'all':<14}{sum(found.values()) / n:>9.4f}  ({sum(found.values())} of {n})")
    for item, left in misses[:shown]:
        print(f"  missed {item.kind} {item.language}: {item.item!r} in {left!r}")


def _spoiled(name: str, texts: list[str], scrubber: Scrubber, shown: int) -> None:
    changed = [(t, scrubber.text(t)) for t in texts]
    changed = [(a, b) for a, b in changed if a != b]
    print(
        f"{name}: {len(changed)} of {len(texts)} clean messages changed "
        f"({len(changed) / len(texts):.4f})"
    )
    for before, after in changed[:shown]:
        print(f"  {before!r}\n    -> {after!r}")


def _speed(scrubber: Scrubber) -> None:
    words = "hello my parcel has not arrived yet and nobody answers my messages, can you please "
    for name, text in (
        ("without a number", (words * 3)[:200]),
        (
            "order, date, price",
            (words + "order 10482933 of 2024-05-01 at 12:30, 49.99 EUR, " * 3)[:200],
        ),
    ):
        event = Request(
            id="0191e4b2-1234-7890-abcd-1234567890ab",
            time="2026-01-01T00:00:00+00:00",
            program="tickets",
            inputs={"message": text},
            outputs={"team": "billing"},
            user="cust-123",
            session="sess-9",
        )
        best = float("inf")
        for _ in range(5):
            start = time.perf_counter()
            for _ in range(5_000):
                scrubber.event(event)
            best = min(best, (time.perf_counter() - start) / 5_000)
        print(f"clean event of 200 characters, {name}: {1e6 * best:.1f} us")


if __name__ == "__main__":
    main()
