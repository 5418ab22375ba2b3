"""Feedback calls: one event a signal, and no call that can break anything."""

import pytest

from tests.unit.client.kept import keeping
from upturn.client import feedback, last_request_id, record_call, recorded
from upturn.client.default import default_client, use
from upturn.events import Feedback, Problems, Role, Signal
from upturn.events.checks import LineCheck, check_feedback
from upturn.events.lines import Line


@pytest.fixture
def kept(tmp_path):
    with keeping(tmp_path / "spill") as kept:
        yield kept


def native(event) -> Feedback:
    problems = Problems()
    made = check_feedback(LineCheck(Line(file="", number=0, value=event, text=""), problems, None))
    problems.raise_if_any()
    assert made is not None
    return made


def test_each_signal_is_an_event_and_the_comment_goes_with_the_first(kept):
    ids = feedback(
        "r1",
        thumbs=False,
        correction={"team": "Billing"},
        comment="wrong team",
        user="u1",
        role="agent",
        program="triage",
        consent=["train", "evaluate"],
        client=kept.client,
    )
    first, second = [native(e) for e in kept.events]
    assert ids == (first.id, second.id)
    assert (first.signal, first.value, first.comment) == (Signal.THUMBS, False, "wrong team")
    assert (second.signal, second.value) == (Signal.CORRECTION, {"team": "Billing"})
    assert second.comment is None
    assert (first.rater, first.role, first.program) == ("u1", Role.AGENT, "triage")
    assert first.consent == ("evaluate", "train")


def test_a_comment_may_stand_alone(kept):
    feedback("r1", comment="thanks", client=kept.client)
    (event,) = [native(e) for e in kept.events]
    assert (event.signal, event.value, event.comment) == (Signal.COMMENT, None, "thanks")
    assert (event.rater, event.role) == ("anonymous", Role.CUSTOMER)


def test_scores_have_names(kept):
    feedback("r1", score=0.5, name="helpfulness", client=kept.client)
    assert feedback("r1", score=0.5, client=kept.client) == ()
    (event,) = kept.events
    assert (event["value"], event["name"]) == (0.5, "helpfulness")


def test_none_and_false_say_nothing_where_nothing_is_meant(kept):
    assert feedback("r1", thumbs=None, kept=False, copy=False, client=kept.client) == ()
    assert len(feedback("r1", resolved=False, kept=True, client=kept.client)) == 2
    assert [e["signal"] for e in kept.events] == ["resolved", "kept"]
    assert kept.client.stats().dropped == {}


@pytest.mark.parametrize(
    ("signals", "rule"),
    [
        ({"stars": 9}, "stars must be a number from 1 to 5, got 9"),
        ({"thumb": True}, "a signal must be one of correction, thumbs"),
        ({"correction": "text"}, "correction must be an object of output fields, got 'text'"),
    ],
)
def test_a_wrong_signal_is_dropped_with_its_rule(kept, caplog, signals, rule):
    assert feedback("r1", client=kept.client, **signals) == ()
    assert rule in caplog.text
    assert kept.client.stats().dropped == {"invalid": 1}
    assert kept.events == []


def test_nothing_raises(kept):
    assert feedback(None, thumbs=True, client=kept.client) == ()
    assert feedback("r1", thumbs=True, role="king", client=kept.client) == ()
    assert feedback("r1", thumbs=True, consent=["sell"], client=kept.client) == ()
    assert feedback("r1", correction={"f": object()}, client=kept.client) != ()
    assert kept.client.stats().errors == 2


def test_a_call_is_recorded_by_hand(kept):
    request_id = record_call(
        "summarise",
        inputs="long text",
        outputs="short text",
        user="u1",
        latency_ms=12.5,
        usage={"total_tokens": 9},
        cost_usd=0.01,
        parent="p",
        client=kept.client,
    )
    failed = record_call(
        "summarise", inputs={"a": 1}, error=ValueError("x"), request_id="mine", client=kept.client
    )
    assert (failed, last_request_id()) == ("mine", "mine")
    first, second = kept.events
    assert first["id"] == request_id
    assert (first["inputs"], first["outputs"]) == ({"input": "long text"}, {"output": "short text"})
    assert (first["usage"], first["cost_usd"], first["parent"]) == ({"total_tokens": 9}, 0.01, "p")
    assert (second["error"], second["outputs"]) == ("ValueError: x", {})


def test_functions_are_recorded(kept):
    import asyncio

    @recorded("shout", version="1", user=lambda: "u1", client=kept.client)
    def shout(text: str, *, mark: str = "!") -> str:
        if not text:
            raise ValueError("empty")
        return text.upper() + mark

    @recorded("later", client=kept.client)
    async def later(n: int) -> dict[str, int]:
        await asyncio.sleep(0)
        return {"twice": shout_inside(n)}

    @recorded("inside", client=kept.client)
    def shout_inside(n: int) -> int:
        return 2 * n

    assert shout("a", mark="?") == "A?"
    with pytest.raises(ValueError, match="empty"):
        shout("")
    assert asyncio.run(later(4)) == {"twice": 8}
    first, second, inside, outside = kept.events
    assert (first["inputs"], first["outputs"]) == ({"text": "a", "mark": "?"}, {"output": "A?"})
    assert (first["user"], first["version"]) == ("u1", "1")
    assert second["error"] == "ValueError: empty"
    assert inside["parent"] == outside["id"]
    assert outside["outputs"] == {"twice": 8}
    assert shout.__name__ == "shout"


def test_a_user_function_that_fails_does_not_break_the_call(kept):
    def user() -> str:
        raise RuntimeError("no session")

    @recorded("f", user=user, client=kept.client)
    def f(x: int) -> int:
        return x

    assert f(3) == 3
    assert kept.client.stats().errors == 1


def test_the_default_client_is_made_once_and_can_be_set(kept):
    use(kept.client)
    try:
        assert default_client() is kept.client
        feedback("r1", thumbs=True)
        assert len(kept.events) == 1
    finally:
        use(None)
