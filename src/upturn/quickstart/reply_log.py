"""Seed in, log of the reply program out: messages, drafted answers, and what people did.

Everything is made up, the answers too: a drafting macro puts phrases together and is wrong at
stated rates (below). No model wrote them, because the embedded one cannot write such answers
before it is trained. People meet the drafts as :mod:`upturn.quickstart.reply_desk` says. The
messages are those of the ticket_triage log, more of them with an order number.
"""

from __future__ import annotations

import random
from datetime import datetime

from upturn.events import Feedback, Request
from upturn.quickstart.generate import END, SEED, Written, write_messages
from upturn.quickstart.reply_desk import Case, ReplyDesk
from upturn.quickstart.reply_texts import Draft, Facts, mistaken, order_number, with_order, word
from upturn.records import content_hash

REQUESTS = 1000
#: What the macro does: how often it gets each fact wrong, and leaves each kind of fault.
WRONG, PROMISE, FILLER, PLACEHOLDER = 0.1, 0.85, 0.3, 0.04
#: How many messages name an order, and how often an agent is shown several drafts.
NUMBERED, PANEL = 0.5, 0.5


def generate_replies(
    seed: int = SEED, *, requests: int = REQUESTS, end: datetime = END
) -> list[Request | Feedback]:
    """Returns the events of one production log; the same arguments give the same events.

    Args:
        seed: of all chance.
        requests: how many messages.
        end: the log holds nothing later.
    """
    rng = random.Random(f"{seed}/replies")
    desk = ReplyDesk(random.Random(f"{seed}/reply feedback"), end)
    out: list[Request | Feedback] = []
    for k, item in enumerate(write_messages(seed, requests=requests, end=end)):
        text = item.message.text
        text = with_order(text, rng) if rng.random() < NUMBERED else text
        facts = Facts(
            team=item.message.team, priority=item.message.priority, number=order_number(text)
        )
        drafts = _drafts(facts, rng)
        request = _request(item, text, drafts[0], content_hash([seed, "reply", k], length=10))
        out.append(request)
        out += desk.react(
            Case(
                request_id=request.id,
                user=item.visit.user,
                time=item.visit.time,
                drafts=drafts,
                truth=facts,
            )
        )
    return out


def _drafts(facts: Facts, rng: random.Random) -> list[Draft]:
    """Returns one draft, or two to four for an agent to choose from."""
    count = rng.choice([2, 3, 4]) if rng.random() < PANEL else 1
    return [_draft(facts, rng) for _ in range(count)]


def _draft(facts: Facts, rng: random.Random) -> Draft:
    return word(
        mistaken(facts, rng, chance=WRONG),
        rng,
        promises=int(rng.random() < PROMISE),
        fillers=rng.choice([1, 1, 2]) if rng.random() < FILLER else 0,
        placeholder=rng.random() < PLACEHOLDER,
    )


def _request(item: Written, text: str, draft: Draft, digits: str) -> Request:
    return Request(
        id=f"req-{digits}",
        time=item.visit.time.isoformat(),
        program="reply",
        version="v0",
        model="drafting macro",
        inputs={"message": text},
        outputs={"answer": draft.text},
        user=item.visit.user,
    )
