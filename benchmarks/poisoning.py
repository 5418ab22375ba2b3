"""What hostile voters cost the labels, with naive majority beside it.

    python benchmarks/poisoning.py [--requests 4000] [--seeds 5]

The world: requests with one of six right answers; the program is right in 70 %. Each request is
shown to 3 to 7 voters, drawn at random, who name what they hold to be right. Honest voters differ
in skill: each is right in 75 to 95 % of cases; half of their errors fall on the answer that they
saw (or, if that is right, on the label next to it), the others anywhere. A share of the voters is
hostile: they vote as often as the others, and

    random        name any label
    targeted      name one and the same label, whatever they see
    coordinated   all name the same wrong label of each request
    hidden        coordinate on a third of the requests and are honest on the others

The harder world has 1 to 3 voters a request who are right in 60 to 80 %, and is shown as
information. Nobody can choose what they are shown: brigades that do so are the matter of the burst
rule. Accuracy is right labels of all requests: a label that is withheld counts as wrong.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from upturn.events import Feedback, Log, Request, Role, Signal
from upturn.labels import compile_labels

LABELS = ("account", "billing", "delivery", "returns", "sales", "technical")
BEGIN = datetime(2026, 9, 1, tzinfo=UTC)
ATTACKS = ("random", "targeted", "coordinated", "hidden")
SHARES = (0.01, 0.05, 0.2)


@dataclass(frozen=True, kw_only=True)
class World:
    """Who votes: voters per request, honest skill, and how many voters there are per request."""

    votes: tuple[int, int] = (3, 7)
    skill: tuple[float, float] = (0.75, 0.95)
    voters_per_request: float = 0.1


REALISTIC = World()
HARDER = World(votes=(1, 3), skill=(0.6, 0.8))


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Shares of all requests: right labels of the compiler, withheld ones, and of majority."""

    right: float
    withheld: float
    majority: float


def run(world: World, attack: str, share: float, *, requests: int, seed: int) -> Outcome:
    """Draws a world with a share of hostile voters, and labels it."""
    rng = np.random.default_rng([seed, requests])
    truth = rng.integers(len(LABELS), size=requests)
    answers = np.where(rng.random(requests) < 0.7, truth, rng.integers(6, size=requests))
    voters = int(requests * world.voters_per_request)
    skill = rng.uniform(*world.skill, size=voters)
    hostile = np.zeros(voters, dtype=bool)
    hostile[rng.permutation(voters)[: round(voters * share)]] = True
    votes = [
        (n, int(v), _vote(rng, attack if hostile[v] else "", n, truth[n], answers[n], skill[v]))
        for n in range(requests)
        for v in rng.choice(voters, size=rng.integers(*world.votes, endpoint=True), replace=False)
    ]
    found = _labels(answers, votes, rng)
    named = _majority(votes, requests, rng)
    return Outcome(
        right=float(np.mean([found.get(n) == truth[n] for n in range(requests)])),
        withheld=1 - len(found) / requests,
        majority=float(np.mean(named == truth)),
    )


def _vote(
    rng: np.random.Generator, attack: str, n: int, truth: int, answer: int, skill: float
) -> int:
    if attack == "random":
        return int(rng.integers(len(LABELS)))
    if attack == "targeted":
        return 0
    if attack == "coordinated" or (attack == "hidden" and n % 3 == 0):
        return int((truth + 1 + n % 5) % len(LABELS))
    if rng.random() < skill:
        return int(truth)
    if rng.random() < 0.5:
        return int(answer if answer != truth else (truth + 1) % len(LABELS))
    return int((truth + rng.integers(1, len(LABELS))) % len(LABELS))


def _labels(
    answers: Sequence[int], votes: list[tuple[int, int, int]], rng: np.random.Generator
) -> Mapping[int, int]:
    requests = tuple(
        Request(
            id=f"r{n:07d}",
            time=(BEGIN + timedelta(minutes=n * 40_000 / len(answers))).isoformat(),
            program="triage",
            inputs={"message": f"message {n}"},
            outputs={"team": LABELS[a]},
            user=f"user-{n}",
        )
        for n, a in enumerate(answers)
    )
    feedback = tuple(
        Feedback(
            id=f"f{k:07d}",
            request_id=requests[n].id,
            time=(
                datetime.fromisoformat(requests[n].time) + timedelta(hours=rng.uniform(0, 70))
            ).isoformat(),
            signal=Signal.CORRECTION,
            value={"team": LABELS[label]},
            rater=f"voter-{v}",
            role=Role.CUSTOMER,
        )
        for k, (n, v, label) in enumerate(votes)
    )
    log = Log(requests=requests, feedback=feedback)
    made = compile_labels(log, now=BEGIN + timedelta(days=60), min_age_hours=0)
    return {int(row.request.id[1:]): LABELS.index(row.fields["team"].value) for row in made.rows}


def _majority(
    votes: list[tuple[int, int, int]], requests: int, rng: np.random.Generator
) -> np.ndarray:
    """The label that most name; by lot where several are named as often."""
    counts = [Counter[int]() for _ in range(requests)]
    for n, _, label in votes:
        counts[n][label] += 1
    most = ([label for label, k in c.items() if k == max(c.values())] for c in counts)
    return np.array([rng.choice(labels) for labels in most])


def _mean(world: World, attack: str, share: float, args: argparse.Namespace) -> Outcome:
    runs = [run(world, attack, share, requests=args.requests, seed=s) for s in range(args.seeds)]
    return Outcome(
        **{k: float(np.mean([getattr(r, k) for r in runs])) for k in Outcome.__annotations__}
    )


def main() -> None:
    """Prints one table a world."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--requests", type=int, default=4000)
    parser.add_argument("--seeds", type=int, default=5)
    args = parser.parse_args()
    for name, world in (("realistic", REALISTIC), ("harder", HARDER)):
        clean = _mean(world, "random", 0.0, args)
        print(
            f"\n{name}: {world.votes[0]}-{world.votes[1]} votes a request, honest skill "
            f"{world.skill[0]}-{world.skill[1]}, n = {args.seeds} x {args.requests} requests"
        )
        print("hostile              right   cost  withheld  of those given | majority   cost")
        _row("none", clean, clean)
        for attack in ATTACKS:
            for share in SHARES:
                _row(f"{attack:12} {share:5.0%}", _mean(world, attack, share, args), clean)


def _row(name: str, got: Outcome, clean: Outcome) -> None:
    print(
        f"{name:18}  {got.right:6.3f} {clean.right - got.right:+6.3f}  {got.withheld:8.3f}"
        f"  {got.right / (1 - got.withheld):14.3f}"
        f" | {got.majority:8.3f} {clean.majority - got.majority:+6.3f}"
    )


if __name__ == "__main__":
    main()
