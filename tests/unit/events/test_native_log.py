"""The native format: what is read, what is refused and how the refusal reads."""

from __future__ import annotations

import gzip
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from upturn.errors import DataError, StorageError
from upturn.events import Feedback, FieldRules, Request, Role, Signal, read_log, write_log

FIELDS = FieldRules(
    inputs=("message",),
    outputs={"team": ("billing", "returns", "technical"), "priority": ("low", "normal")},
)
DOC = Path(__file__).parents[3] / "docs" / "native-format.md"


def request(n: int = 1, **over: Any) -> dict[str, Any]:
    return {
        "upturn": 1,
        "kind": "request",
        "id": f"req-{n}",
        "time": "2026-09-01T10:00:00+00:00",
        "program": "triage",
        "inputs": {"message": "hello"},
        "outputs": {"team": "billing", "priority": "low"},
        "user": "c-1",
        **over,
    }


def feedback(n: int = 1, **over: Any) -> dict[str, Any]:
    return {
        "upturn": 1,
        "kind": "feedback",
        "id": f"fb-{n}",
        "request_id": "req-1",
        "time": "2026-09-02T10:00:00Z",
        "signal": "thumbs",
        "value": True,
        "by": {"id": "agent-7", "role": "agent"},
        **over,
    }


def put(path: Path, *events: Any) -> Path:
    path.write_text("".join(json.dumps(e) + "\n" for e in events), encoding="utf-8")
    return path


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_log(path, fields=FIELDS)
    assert caught.value.exit_code == 2
    assert caught.value.fix
    return str(caught.value)


def test_reads_requests_and_feedback_whatever_their_order(tmp_path: Path):
    path = put(tmp_path / "log.jsonl", feedback(), request(2), request(1, later="ignored"))
    log = read_log(path, fields=FIELDS)
    assert [r.id for r in log.requests] == ["req-1", "req-2"]
    assert log.feedback[0].time == "2026-09-02T10:00:00+00:00"
    assert (log.feedback[0].rater, log.feedback[0].role) == ("agent-7", Role.AGENT)
    assert log.sources[0].lines == 3


def test_times_are_kept_in_utc_and_extra_fields_are_dropped(tmp_path: Path):
    row = request(
        time="2026-09-01T12:00:00+02:00",
        inputs={"message": "hi", "tier": "gold"},
        outputs={"team": "billing", "priority": "low", "reasoning": "because"},
    )
    log = read_log(put(tmp_path / "log.jsonl", row), fields=FIELDS)
    assert log.requests[0].time == "2026-09-01T10:00:00+00:00"
    assert log.requests[0].inputs == {"message": "hi"}
    assert log.requests[0].outputs == {"team": "billing", "priority": "low"}


def test_plain_gzipped_and_marked_files_read_the_same(tmp_path: Path):
    plain = put(tmp_path / "a.jsonl", request(), feedback())
    marked = tmp_path / "b.jsonl"
    marked.write_bytes(b"\xef\xbb\xbf" + plain.read_bytes() + b"\n")
    zipped = tmp_path / "c.jsonl.gz"
    zipped.write_bytes(gzip.compress(plain.read_bytes()))
    logs = [read_log(p, fields=FIELDS) for p in (plain, marked, zipped)]
    assert logs[0].requests == logs[1].requests == logs[2].requests
    assert logs[0].sources[0].sha256 == logs[2].sources[0].sha256


def test_a_folder_is_one_log_and_repeated_lines_are_one_event(tmp_path: Path):
    put(tmp_path / "1.jsonl", request(), feedback())
    put(tmp_path / "2.jsonl", request(), request(2))
    log = read_log(tmp_path, fields=FIELDS)
    assert len(log.requests) == 2
    assert log.counts["repeated_lines"] == 1


def test_feedback_without_request_is_kept_aside_and_counted(tmp_path: Path):
    path = put(tmp_path / "log.jsonl", request(), feedback(request_id="req-9"))
    log = read_log(path, fields=FIELDS)
    assert log.feedback == ()
    assert [f.id for f in log.orphans] == ["fb-1"]
    assert log.counts["feedback_without_request"] == 1


def test_other_programs_are_neither_checked_nor_read(tmp_path: Path):
    other = request(2, program="other", inputs={"x": 1}, outputs={"y": 2})
    about_it = feedback(2, request_id="req-2", signal="correction", value={"y": 3})
    path = put(tmp_path / "log.jsonl", request(), other, feedback(), about_it)
    log = read_log(path, fields=FIELDS, program="triage")
    assert [r.id for r in log.requests] == ["req-1"]
    assert [f.id for f in log.feedback] == ["fb-1"]
    assert log.counts["other_programs"] == 2


def test_a_request_with_an_error_needs_no_outputs(tmp_path: Path):
    row = request(error="timed out", outputs=None)
    log = read_log(put(tmp_path / "log.jsonl", row), fields=FIELDS)
    assert (log.requests[0].error, log.requests[0].outputs) == ("timed out", {})


@pytest.mark.parametrize(
    ("event", "says"),
    [
        (request(upturn=2), "upturn must be 1, the format this version reads; got 2"),
        (request(upturn=True), "upturn must be 1, the format this version reads; got True"),
        (request(kind="reqest"), "kind must be one of request, feedback; got 'reqest'; did you"),
        (request(id=""), "id must be a non-empty string, got ''"),
        (request(id=7), "id must be a non-empty string, got 7"),
        (request(time="2026-09-01T10:00:00"), "time must carry a zone, such as +00:00, got '2026"),
        (request(time="yesterday"), "time must be an ISO 8601 time with a zone, got 'yesterday'"),
        (request(inputs=["x"]), "inputs must be an object, got ['x']"),
        (request(latency_ms=-1), "latency_ms must be a number >= 0 or null, got -1"),
        (request(cost_usd="free"), "cost_usd must be a number >= 0 or null, got 'free'"),
        (request(slices={"tier": 3}), "slices.tier must be a string, got 3"),
        (
            request(inputs={"mesage": "hi"}),
            "inputs.message must be there, got ['mesage']; is 'mesage' meant to be 'message'?",
        ),
        (request(outputs={"team": "billing"}), "outputs.priority must be there, got ['team']"),
        (
            request(outputs={"team": "biling", "priority": "low"}),
            "outputs.team must be one of billing, returns, technical; got 'biling'; "
            "did you mean billing?",
        ),
    ],
)
def test_a_bad_request_is_refused_by_line_field_value_and_rule(
    tmp_path: Path, event: dict[str, Any], says: str
):
    message = refusal(put(tmp_path / "log.jsonl", request(5), event))
    assert f"{tmp_path}/log.jsonl:2: {says}" in message
    assert "next: mend it (sed -n '2p'" in message


@pytest.mark.parametrize(
    ("event", "says"),
    [
        (feedback(signal="thumb"), "signal must be one of correction, thumbs, stars, chosen, "),
        (feedback(value="up"), "value must be true or false, got 'up'"),
        (feedback(signal="kept", value=False), "value must be true, got False"),
        (feedback(signal="correction", value={}), "value must be an object of output fields"),
        (feedback(by={"id": "", "role": "agent"}), "by.id must be a non-empty string, got ''"),
        (feedback(by={"id": "a", "role": "boss"}), "by.role must be one of agent, customer"),
        (
            feedback(signal="correction", value={"taem": "billing"}),
            "value.taem is no output field; must be one of team, priority; got 'taem'; did you",
        ),
        (
            feedback(signal="edit", value={"team": "sales"}),
            "value.team must be one of billing, returns, technical; got 'sales'",
        ),
    ],
)
def test_bad_feedback_is_refused_by_line_field_value_and_rule(
    tmp_path: Path, event: dict[str, Any], says: str
):
    message = refusal(put(tmp_path / "log.jsonl", request(), event))
    assert f"{tmp_path}/log.jsonl:2: {says}" in message


def test_a_missing_key_is_named_with_the_key_it_may_be(tmp_path: Path):
    row = request()
    row["usr"] = row.pop("user")
    message = refusal(put(tmp_path / "log.jsonl", row))
    assert "log.jsonl:1: user must be there; did you mean usr?" in message


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b'{"upturn":1,"kind":"requ', "must be one whole JSON object, got: Unterminated string"),
        (b"[1]", "must be a JSON object, got [1]"),
        (b'{"upturn":1,"cost_usd":NaN}', "NaN is not JSON"),
        (b'{"upturn":"\xff"}', "must be UTF-8 text"),
        (b'{"upturn":"\\ud800"}', "must be UTF-8 text"),
        (b"[" * 100_000, "must be one whole JSON object"),
    ],
)
def test_lines_that_are_no_json_are_refused(tmp_path: Path, raw: bytes, says: str):
    path = put(tmp_path / "log.jsonl", request())
    path.write_bytes(path.read_bytes() + raw)
    assert "log.jsonl:2: " in (message := refusal(path))
    assert says in message


def test_a_cut_gzip_file_is_refused(tmp_path: Path):
    path = tmp_path / "log.jsonl.gz"
    data = gzip.compress(b"".join(json.dumps(request(n)).encode() + b"\n" for n in range(99)))
    path.write_bytes(data[: len(data) // 2])
    assert "must be a whole gzip file" in refusal(path)


def test_one_id_for_two_events_names_both_lines(tmp_path: Path):
    path = put(tmp_path / "log.jsonl", request(), feedback(), request(user="c-2"))
    message = refusal(path)
    assert f"log.jsonl:3: id must name one event, but 'req-1' also names another in {path}:1" in (
        message
    )


def test_one_error_shows_twenty_problems_and_counts_all(tmp_path: Path):
    rows = [request(n, latency_ms=-n) for n in range(1, 31)]
    message = refusal(put(tmp_path / "log.jsonl", *rows))
    assert "30 problems found, the first 20 shown" in message
    assert len(re.findall(r"log\.jsonl:\d+: latency_ms", message)) == 20


def test_empty_missing_and_foreign_logs_are_refused(tmp_path: Path):
    empty = put(tmp_path / "empty.jsonl")
    assert "must hold at least one request, got 0 lines" in refusal(empty)
    assert "must exist, found no such file" in refusal(tmp_path / "none.jsonl")
    (tmp_path / "folder").mkdir()
    assert "must hold *.jsonl[.gz] files, got none" in refusal(tmp_path / "folder")
    with pytest.raises(DataError, match="of program 'x', got 1 lines, requests of: triage"):
        read_log(put(tmp_path / "log.jsonl", request()), fields=FIELDS, program="x")


def test_times_ahead_of_the_given_clock_are_refused(tmp_path: Path):
    path = put(tmp_path / "log.jsonl", request())
    read_log(path, fields=FIELDS, now=datetime(2026, 8, 31, 11, tzinfo=UTC))
    with pytest.raises(DataError, match="time must not lie in the future"):
        read_log(path, fields=FIELDS, now=datetime(2026, 8, 30, tzinfo=UTC))


@pytest.mark.parametrize("name", ["log.jsonl", "log.jsonl.gz"])
def test_what_is_written_is_read_back_and_order_leaves_no_trace(tmp_path: Path, name: str):
    asked = Request(
        id="r1",
        time="2026-09-01T10:00:00+00:00",
        program="triage",
        inputs={"message": "Grüße"},
        outputs={"team": "billing", "priority": "low"},
        user="c",
        usage={"input_tokens": 3},
        cost_usd=0.5,
        slices={"tier": "gold"},
    )
    said = Feedback(
        id="f1",
        request_id="r1",
        time="2026-09-01T11:00:00+00:00",
        signal=Signal.EDIT,
        value={"team": "returns"},
        rater="a",
        role=Role.AGENT,
        comment="no",
    )
    write_log(tmp_path / name, [said, asked])
    once = (tmp_path / name).read_bytes()
    write_log(tmp_path / name, [asked, said])
    assert (tmp_path / name).read_bytes() == once
    log = read_log(tmp_path / name, fields=FIELDS)
    assert (log.requests, log.feedback) == ((asked,), (said,))
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_a_log_that_cannot_be_written_leaves_nothing(tmp_path: Path):
    with pytest.raises(StorageError, match="must be writable"):
        write_log(tmp_path / "missing" / "log.jsonl", [])
    assert list(tmp_path.iterdir()) == []


def test_the_documented_example_is_a_valid_log(tmp_path: Path):
    block = re.search(r"```jsonl\n(.*?)```", DOC.read_text(encoding="utf-8"), re.DOTALL)
    assert block is not None
    (tmp_path / "log.jsonl").write_text(block.group(1), encoding="utf-8")
    log = read_log(tmp_path / "log.jsonl", fields=FIELDS)
    assert [r.id for r in log.requests] == ["req-1", "req-2"]
    assert log.feedback[0].value == {"team": "returns"}
    assert log.requests[1].error == "timed out after 30 s"
