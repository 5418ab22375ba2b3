"""The parts of the client: pauses, and the disk."""

import os
import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from upturn.client.backoff import Backoff
from upturn.client.ids import new_id
from upturn.client.spill import Spill
from upturn.client.transport import _seconds


def test_pauses_double_with_jitter_up_to_the_longest():
    backoff = Backoff(1.0, 30.0, random.Random(5))
    pauses = []
    for _ in range(8):
        backoff.failed(100.0)
        pauses.append(backoff.left(100.0))
    for n, pause in enumerate(pauses):
        whole = min(30.0, 2.0**n)
        assert whole / 2 <= pause <= whole
    assert len(set(pauses)) == 8
    backoff.succeeded()
    assert backoff.left(100.0) == 0.0


def test_the_servers_word_is_the_least_and_has_an_end():
    backoff = Backoff(1.0, 30.0, random.Random(5))
    backoff.failed(0.0, retry_after_s=20.0)
    assert backoff.left(0.0) == 20.0
    backoff.failed(0.0, retry_after_s=1e9)
    assert backoff.left(0.0) == 600.0


def test_retry_after_is_seconds_or_a_date():
    assert _seconds("3") == 3.0
    assert _seconds("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0
    far = _seconds("Wed, 21 Oct 2099 07:28:00 GMT")
    assert far is not None
    assert far > 1e6
    assert [_seconds(v) for v in (None, "", "soon", "nan", "inf")] == [None] * 5


def test_segments_are_whole_private_and_bounded(tmp_path):
    folder = tmp_path / "a" / "b"
    spill = Spill(folder, limit=200)
    line = b'{"upturn":1,"kind":"request","id":"a"}'
    assert spill.write([line, line])
    assert spill.write([line, line])
    assert not spill.write([line, line])
    first, second = spill.segments()
    assert first.name < second.name
    assert spill.size() == 2 * (2 * len(line) + 2)
    assert spill.read(first) == ([line, line], 0)
    assert first.stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    spill.remove(first)
    spill.remove(first)
    assert spill.segments() == [second]
    assert spill.read(first) == ([], 0)
    (folder / "half.tmp").write_bytes(line)
    assert spill.segments() == [second]


# A thread of an earlier test may be about to end.
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_ids_are_new_in_every_thread_and_every_child():
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda _: new_id(), range(5000)))
    assert len(set(ids)) == 5000
    assert {len(i) for i in ids} == {32}
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, new_id().encode())
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(read, 100).decode()
    os.close(read)
    os.close(write)
    assert len(theirs) == 32
    assert theirs not in {*ids, *(new_id() for _ in range(100))}
