"""The FastAPI helper: takes what a browser may say, and nothing can break it."""

import asyncio
import json
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI, Request

from tests.unit.client.kept import keeping
from upturn.client.fastapi import add_feedback_route


@pytest.fixture
def kept(tmp_path: Path):
    with keeping(tmp_path / "spill") as kept:
        yield kept


class Browser:
    """Posts to an application in this process."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    def post(self, path: str, **more) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(app=self._app)
            async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
                return await client.post(path, **more)

        return asyncio.run(ask())


def app_with(kept, **more) -> Browser:
    app = FastAPI()
    add_feedback_route(app, kept.client, **more)
    return Browser(app)


def test_a_browser_says_what_it_may(kept):
    app = app_with(kept, user=lambda request: request.headers.get("x-user"))
    body = {
        "request_id": "r1", "thumbs": False, "comment": "no", "verdict": True, "role": "reviewer",
        "user": "somebody else",
    }  # fmt: skip
    answer = app.post("/feedback", json=body, headers={"x-user": "u1"})
    assert (answer.status_code, answer.json()) == (202, {"recorded": 1})
    (event,) = kept.events
    assert (event["signal"], event["value"], event["comment"]) == ("thumbs", False, "no")
    assert event["by"] == {"id": "u1", "role": "customer"}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b"{}", 400),
        (b'{"request_id": 3}', 400),
        (b'{"request_id": "' + b"x" * 20_000 + b'"}', 413),
        (b'{"request_id": "r", "stars": 99}', 202),
        (b'{"request_id": "r", "comment": {"a": 1}, "thumbs": "yes"}', 202),
    ],
)
def test_what_makes_no_sense_is_answered_and_not_recorded(kept, body, status):
    answer = app_with(kept).post("/feedback", content=body)
    assert answer.status_code == status
    if status == 202:
        assert answer.json() == {"recorded": 0}
    assert kept.events == []


def test_the_applications_own_function_may_fail(kept):
    def user(request: Request) -> str:
        raise RuntimeError("no session")

    app = app_with(kept, user=user, path="/vote")
    assert app.post("/vote", content=json.dumps({"request_id": "r", "copy": True})).json() == {
        "recorded": 1
    }
    assert kept.events[0]["by"]["id"] == "anonymous"
