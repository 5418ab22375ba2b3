"""Turns on data from the feedback store: foreign fields, memory over snapshots, consent, caps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.pipeline.conftest import CONFIG, NOW, Project, events
from upturn.config import FeedbackStoreSection
from upturn.datasets import Snapshot
from upturn.errors import ConfigError, DataError
from upturn.events import Event, Purpose, Request
from upturn.pipeline.turn import run_turn
from upturn.store import FeedbackStore

MakeProject = Callable[..., Project]


def stored(folder: Path, made: Sequence[Event]) -> None:
    with FeedbackStore.open(str(folder / "feedback.db")) as store:
        store.add(made)


def config(**data: Any) -> str:
    value = yaml.safe_load(CONFIG)
    value["data"] = {
        "kind": "feedback_store",
        "store": "feedback.db",
        "program": "tickets",
        "now": value["data"]["now"],
        **data,
    }
    return yaml.safe_dump(value)


def rows_of(snapshot: Snapshot) -> dict[str, tuple[Any, ...]]:
    rows = (*snapshot.train, *snapshot.dev)
    return {e.id: (e.inputs, e.labels, e.weight, e.event_ids) for e in rows}


def shifted(time: str, days: int) -> str:
    return (datetime.fromisoformat(time) + timedelta(days=days)).isoformat()


def test_a_turn_on_the_store_is_the_turn_on_its_log(make_project: MakeProject):
    project = make_project(config=config())
    stored(project.root, events())
    from_store = project.parts().snapshot(NOW)
    project.config.write_text(CONFIG)
    from_log = project.parts().snapshot(NOW)
    assert rows_of(from_store) == rows_of(from_log)
    assert from_store.id == from_log.id
    project.config.write_text(config())
    result = run_turn(project.parts(), project.world())
    assert result.verdict == "PROMOTE"
    assert result.snapshot == from_store.id


def test_foreign_fields_are_mapped(make_project: MakeProject):
    foreign: list[Event] = []
    for e in events():
        if isinstance(e, Request):
            messages = [{"role": "user", "content": e.inputs["message"]}]
            e = replace(e, inputs={"messages": messages}, outputs={"output": dict(e.outputs)})
        else:
            e = replace(e, value={"output": e.value})
        foreign.append(e)
    mapped = {
        "inputs": {"message": "messages[-1].content"},
        "outputs": {"team": "output.team"},
    }
    project = make_project(config=config(**mapped))
    stored(project.root, foreign)
    snapshot = project.parts().snapshot(NOW)
    project.config.write_text(CONFIG)
    assert rows_of(snapshot) == rows_of(project.parts().snapshot(NOW))


def test_what_a_search_has_seen_is_never_held_out(make_project: MakeProject):
    project = make_project(config=config())
    stored(project.root, events())
    first = project.parts().snapshot(NOW)
    seen = {e.group for e in (*first.train, *first.dev)}
    # Customers of old come back last: by time alone they would be the new holdout.
    later: list[Event] = []
    for e in events(150, seed=1):
        e = replace(e, id=f"new-{e.id}", time=shifted(e.time, days=50))
        if isinstance(e, Request):
            user = e.user if int((e.user or "").split("-")[1]) % 2 else f"late-{e.user}"
            later.append(replace(e, user=user))
        else:
            later.append(replace(e, request_id=f"new-{e.request_id}"))
    stored(project.root, later)
    now = 'data.now="2026-12-01T00:00:00+00:00"'
    second = project.parts(now).snapshot(NOW)
    data = project.parts(now).config.data
    assert isinstance(data, FeedbackStoreSection)
    rows = {e.id: e.group for e in project.parts(now).reader.from_store(data, NOW).examples}
    open_rows = {e.id for e in (*second.train, *second.dev)}
    held = {group for row, group in rows.items() if row not in open_rows}
    assert second.holdout.rows == len(rows) - len(open_rows) > 20
    assert held & seen == set()
    forgetful = project.parts(now, "split.remember=false").snapshot(NOW)
    open_rows = {e.id for e in (*forgetful.train, *forgetful.dev)}
    assert {group for row, group in rows.items() if row not in open_rows} & seen


def test_rows_without_consent_never_reach_train(make_project: MakeProject):
    some = [
        replace(e, consent=(Purpose.EVALUATE,) if n % 4 < 2 else None)
        for n, e in enumerate(events())
    ]
    project = make_project(log=some)
    snapshot = project.parts().snapshot(NOW)
    assert {e.consent for e in snapshot.train} == {None}
    assert {e.consent for e in snapshot.dev} == {None, ("evaluate",)}
    assert snapshot.manifest["dropped"]["no_consent_to_train"] > 20
    with pytest.raises(DataError, match="with consent to train"):
        project.parts("privacy.unstated_consent=deny", "split.remember=false").snapshot(NOW)


def test_caps_slices_and_personal_items(make_project: MakeProject):
    some = [
        replace(e, inputs={"message": f"{e.inputs['message']} ana@example.com"})
        if isinstance(e, Request)
        else e
        for e in events()
    ]
    project = make_project(log=some)
    rule = "contains(inputs.message, 'refund') && 'refund' || 'other'"
    snapshot = project.parts(
        "curate.max_per_user=2", f'curate.slices.by_rule={{cue: "{rule}"}}'
    ).snapshot(NOW)
    assert snapshot.manifest["dropped"] == {"over_user_cap": 110}
    assert {e.slices["cue"] for e in snapshot.train} == {"refund", "other"}
    for file in snapshot.folder.iterdir():
        assert "ana@example.com" not in file.read_text()
    assert all("<EMAIL:" in e.inputs["message"] for e in snapshot.train)
    assert snapshot.manifest["provenance"]["evidence"]["weeks"][0]["requests"] > 0


def test_a_password_in_a_config_is_refused_and_not_shown(make_project: MakeProject):
    project = make_project(config=config(store="postgresql+psycopg://me:hunter2@localhost/x"))
    with pytest.raises(ConfigError, match="holds a password") as caught:
        project.parts()
    assert "hunter2" not in str(caught.value)
