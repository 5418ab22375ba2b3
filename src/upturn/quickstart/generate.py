"""Seed in, production log out: traffic, wording, the champion's answers, and what people did."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from upturn.errors import DataError
from upturn.events import Feedback, Request
from upturn.quickstart.language import Message, Voice, compose, draw_voice
from upturn.quickstart.reactions import Case, Desk
from upturn.quickstart.traffic import Visit, visits
from upturn.quickstart.world import Issue, draw_issue, issues
from upturn.records import content_hash

#: Where the log ends unless told otherwise. Fixed, so that the same seed gives the same bytes.
END = datetime(2026, 10, 26, tzinfo=UTC)
REQUESTS = 1400
#: Not a seed that the world's wording was tuned on.
SEED = 1
_DRAFTS = 6

#: Answers messages, in order; None where the program failed on one.
Answerer = Callable[[list[str]], Sequence[Mapping[str, str] | None]]


@dataclass(frozen=True, kw_only=True)
class Written:
    """A message that a customer wrote, with when and who."""

    visit: Visit
    message: Message


def generate(
    seed: int,
    answer: Answerer,
    *,
    requests: int = REQUESTS,
    end: datetime = END,
    model: str | None = None,
) -> list[Request | Feedback]:
    """Returns the events of one production log.

    The same arguments and answers give the same events.

    Args:
        seed: of all chance.
        answer: the champion; called once with all messages.
        requests: how many; about a quarter as many customers write them.
        end: the log holds nothing later.
        model: what answered, as the log names it.

    Raises:
        DataError: the answerer did not give one answer a message.
    """
    written = write_messages(seed, requests=requests, end=end)
    answers = answer([w.message.text for w in written])
    if len(answers) != len(written):
        raise DataError(f"{len(written)} messages must get as many answers, got {len(answers)}")
    desk = Desk(random.Random(f"{seed}/feedback"), end)
    out: list[Request | Feedback] = []
    for k, (item, given) in enumerate(zip(written, answers, strict=True)):
        request = _request(item, given, content_hash([seed, k], length=10), model)
        out.append(request)
        out += desk.react(_case(item, given, request.id))
    return out


def write_messages(seed: int, *, requests: int = REQUESTS, end: datetime = END) -> list[Written]:
    """Returns who wrote what and when, with what is true of it, by time."""
    rng, known = random.Random(f"{seed}/messages"), issues()
    arrivals = visits(requests, end, random.Random(f"{seed}/traffic"))
    voices: dict[str, Voice] = {}
    matters: dict[tuple[str, int], Issue] = {}
    seen: dict[str, list[frozenset[str]]] = {}
    out: list[Written] = []
    for visit in arrivals:
        voice = voices.setdefault(visit.user, draw_voice(rng))
        issue = matters.setdefault((visit.user, visit.matter), draw_issue(known, rng))
        drafts = (compose(issue, voice, rng, others=known) for _ in range(_DRAFTS))
        out.append(Written(visit=visit, message=_fresh(drafts, seen.setdefault(issue.name, []))))
    return out


def _fresh(drafts: Iterator[Message], seen: list[frozenset[str]]) -> Message:
    """Returns the first draft that nobody worded nearly alike, or the last one, and notes it.

    People repeat each other less than so few phrases would make them.
    """
    draft, shingles = next(drafts), frozenset[str]()
    while True:
        shingles = _shingles(draft.text)
        following = next(drafts, None) if any(_near(shingles, s) for s in seen) else None
        if following is None:
            break
        draft = following
    seen.append(shingles)
    return draft


def _shingles(text: str) -> frozenset[str]:
    return frozenset(text[k : k + 5].lower() for k in range(max(1, len(text) - 4)))


def _near(a: frozenset[str], b: frozenset[str]) -> bool:
    return len(a & b) >= 0.75 * len(a | b)


def _request(
    item: Written, given: Mapping[str, str] | None, digits: str, model: str | None
) -> Request:
    return Request(
        id=f"req-{digits}",
        time=item.visit.time.isoformat(),
        program="ticket_triage",
        version="v0",
        model=model,
        inputs={"message": item.message.text},
        outputs=dict(given or {}),
        user=item.visit.user,
        error=None if given else "AdapterParseError: the answer is not in the expected format",
    )


def _case(item: Written, given: Mapping[str, str] | None, request_id: str) -> Case:
    return Case(
        request_id=request_id,
        user=item.visit.user,
        time=item.visit.time,
        answer=given,
        truth={"team": item.message.team, "priority": item.message.priority},
    )
