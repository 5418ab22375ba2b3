"""Bodies: sizes are checked while they come in, and gzip cannot blow them up."""

import asyncio
import gzip
import zlib

import pytest

from upturn.collector.bodies import Bodies, decoded
from upturn.collector.limits import Limits
from upturn.collector.parse import Unreadable, values
from upturn.collector.replies import DisconnectedError, RefusedError

SMALL = Limits(body_bytes=1000, held_bytes=1500, events=3, depth=5)


def receiving(*messages):
    waiting = list(messages)

    async def receive():
        return waiting.pop(0)

    return receive


def part(body: bytes, more: bool = False):
    return {"type": "http.request", "body": body, "more_body": more}


def read(bodies, *messages, headers=None):
    return asyncio.run(bodies.read(headers or {}, receiving(*messages)))


def status_of(call, *arguments, **more) -> int:
    with pytest.raises(RefusedError) as error:
        call(*arguments, **more)
    return error.value.status


def test_a_body_in_parts_is_put_together_and_held_until_it_is_released():
    bodies = Bodies(SMALL)
    body = read(bodies, part(b"ab", True), part(b"", True), part(b"c"))
    assert (body, bodies.held) == (b"abc", 3)
    bodies.hold(1490)
    assert status_of(bodies.hold, 8) == 503
    bodies.release(1493)
    assert bodies.held == 0


def test_a_stated_length_is_refused_before_a_byte_is_read():
    bodies = Bodies(SMALL)
    assert status_of(read, bodies, headers={b"content-length": b"1001"}) == 413
    assert status_of(read, bodies, headers={b"content-length": b"-5"}) == 413


def test_an_unstated_length_is_refused_when_it_is_passed():
    bodies = Bodies(SMALL)
    assert status_of(read, bodies, part(b"a" * 600, True), part(b"a" * 600, True)) == 413
    assert bodies.held == 0


def test_too_many_bodies_at_once_are_sent_away_for_now():
    bodies = Bodies(SMALL)
    read(bodies, part(b"a" * 1000))
    assert status_of(read, bodies, part(b"a" * 900)) == 503
    assert bodies.held == 1000


def test_a_sender_that_goes_away_leaves_nothing_held():
    bodies = Bodies(SMALL)
    with pytest.raises(DisconnectedError):
        read(bodies, part(b"abc", True), {"type": "http.disconnect"})
    assert bodies.held == 0


def test_gzip_is_undone_also_in_several_members():
    assert (
        decoded(gzip.compress(b"one", mtime=0) + gzip.compress(b"two"), b"gzip", SMALL) == b"onetwo"
    )
    assert decoded(b"plain", b"identity", SMALL) == b"plain"


def test_a_bomb_is_stopped_at_the_limit():
    bomb = gzip.compress(bytes(50_000_000))
    assert len(bomb) < 60_000
    assert status_of(decoded, bomb, b"gzip", SMALL) == 413
    members = gzip.compress(bytes(600)) * 2
    assert status_of(decoded, members, b"gzip", SMALL) == 413


@pytest.mark.parametrize(
    ("body", "encoding", "status"),
    [
        (b"no gzip", b"gzip", 400),
        (gzip.compress(b"cut" * 50, mtime=0)[:-9], b"gzip", 400),
        (gzip.compress(b"a", mtime=0) + b"rubbish", b"gzip", 400),
        (zlib.compress(b"a"), b"deflate", 415),
        (b"a", b"br", 415),
    ],
)
def test_broken_and_other_encodings_are_refused(body, encoding, status):
    assert status_of(decoded, body, encoding, SMALL) == status


@pytest.mark.parametrize(
    ("body", "kind", "expected"),
    [
        (b'{"a":1}', b"", [{"a": 1}]),
        (b'[{"a":1},{"a":2}]', b"application/json", [{"a": 1}, {"a": 2}]),
        (b'{"a":1}\n{"a":2}\n\n', b"", [{"a": 1}, {"a": 2}]),
        (b'{"a":1}\r\n{"a":2}', b"application/json", [{"a": 1}, {"a": 2}]),
        (b'{"a":1}', b"application/x-ndjson; charset=utf-8", [{"a": 1}]),
        (b"[]", b"", []),
        (b"3", b"", [3]),
    ],
)
def test_one_event_a_list_and_lines(body, kind, expected):
    assert values(body, kind, SMALL) == expected


def test_a_broken_line_takes_no_other_with_it():
    first, broken, last = values(b'{"a":1}\n{"a":NaN}\n{"a":2}', b"", SMALL)
    assert (first, last) == ({"a": 1}, {"a": 2})
    assert isinstance(broken, Unreadable)
    assert broken.rule.startswith("must be one whole JSON object, got: ")


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"a":1} {"b":2}', b'["a\xff"]'])
def test_a_body_that_is_no_json_is_400(body):
    assert status_of(values, body, b"", SMALL) == 400


def test_too_many_events_are_413():
    assert status_of(values, b"[1,2,3,4]", b"", SMALL) == 413


def test_deep_nesting_is_found_without_recursion():
    deep = b'{"a":' + b"[" * 900 + b"]" * 900 + b"}"
    good, bad = values(b'[{"a":[[[[1]]]]},' + deep + b"]", b"", SMALL)
    assert good == {"a": [[[[1]]]]}
    assert isinstance(bad, Unreadable)
    assert bad.rule == "must be nested at most 5 deep, got 'dict'"
    assert status_of(values, b"[" * 100_000, b"", SMALL) == 400
