"""Native events as senders write them."""

from __future__ import annotations

from typing import Any

TIME = "2026-11-01T08:00:00+00:00"


def request(id_: str, program: str = "triage", **more: Any) -> dict[str, Any]:
    return {
        "id": id_,
        "time": TIME,
        "program": program,
        "inputs": {"message": "where is my parcel"},
        "outputs": {"team": "Delivery"},
        "user": "u1",
        **more,
    }


def feedback(id_: str, request_id: str, **more: Any) -> dict[str, Any]:
    return {
        "id": id_,
        "request_id": request_id,
        "time": TIME,
        "signal": "thumbs",
        "value": True,
        "by": {"id": "u1", "role": "customer"},
        **more,
    }
