"""``upturn dataset``: a snapshot leaves in other formats; its holdout does not."""

from __future__ import annotations

import json
from pathlib import Path

import datasets
import pytest

from tests.surface.conftest import Upturn
from upturn.datasets import Order, Snapshot, SplitRules, freeze
from upturn.events import Feedback, Request, Role, Signal
from upturn.records import Example
from upturn.store import FeedbackStore

CONFIG = """
name: tickets
program: triage.py:Triage
metric: triage.py:metric
data:
  kind: feedback_store
  store: events.db
  program: tickets
  outputs: {team: "answer.team"}
model: {name: fake}
"""
PROGRAM = """
import dspy


class Triage(dspy.Module):
    def __init__(self):
        super().__init__()
        self.route = dspy.Predict("message -> team")
"""


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Snapshot:
    """A snapshot of 30 rows in the workspace of the working directory; one in five has refused."""
    monkeypatch.chdir(tmp_path)
    rows = [
        Example(
            id=f"req-{i:02d}",
            inputs={"message": f'My "invoice" {i}'},
            labels={"team": ("billing", "returns")[i % 2]},
            group=f"customer-{i}",
            time=f"2026-08-{i % 28 + 1:02d}T00:00:00+00:00",
            event_ids=(f"fb-{i:02d}",),
            consent=("evaluate",) if i % 5 == 0 else None,
        )
        for i in range(30)
    ]
    rules = SplitRules(order=Order.HASH)
    return freeze(rows, rules=rules, folder=tmp_path / "mlruns" / "snapshots", provenance={})


def lines(path: str) -> list[dict]:
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def test_train_rows_leave_as_openai_lines(made: Snapshot, upturn: Upturn):
    ran = upturn("dataset", made.id[:12], "--to", "openai-sft", "--out", "sft.jsonl", "--json")
    assert ran.code == 0, ran.err
    assert ran.json == {
        "snapshot": made.id,
        "format": "openai-sft",
        "out": "sft.jsonl",
        "splits": ["train"],
        "rows": len(made.train),
        "without_consent": 0,
        "dropped": {},
    }
    written = lines("sft.jsonl")
    assert [json.loads(w["messages"][1]["content"]) for w in written] == [
        r.inputs for r in made.train
    ]
    assert written[0]["messages"][0]["content"].endswith(
        "Answer with one JSON object with the fields: team."
    )
    assert written[0]["messages"][2] == {
        "role": "assistant",
        "content": json.dumps(made.train[0].labels),
    }
    text = Path("sft.jsonl").read_text()
    assert not any(e.group in text for e in (*made.train, *made.dev))


def test_rows_that_refused_training_are_in_no_file_to_train_on(made: Snapshot, upturn: Upturn):
    usable = [r for r in made.dev if r.consent is None]
    refused = len(made.dev) - len(usable)
    assert usable
    assert refused > 0
    common = ("dataset", made.id, "--split", "dev", "--out")
    ran = upturn(*common, "sft.jsonl", "--to", "trl-sft", "--json")
    assert (ran.json["rows"], ran.json["without_consent"]) == (len(usable), refused)
    assert [row["id"] for row in lines("sft.jsonl")] == [r.id for r in usable]
    told = upturn(*common, "sft.jsonl", "--to", "trl-sft").out
    assert f"{refused} rows were kept back: their consent does not name training" in told
    judged = upturn(*common, "dev.json", "--to", "langsmith", "--json")
    assert (judged.json["rows"], judged.json["without_consent"]) == (len(made.dev), 0)


@pytest.mark.parametrize("ref", ["folder", "id", "digits"])
def test_a_snapshot_is_named_by_folder_id_or_digits(made: Snapshot, upturn: Upturn, ref: str):
    name = {"folder": str(made.folder), "id": made.id, "digits": made.id[:6]}[ref]
    ran = upturn("dataset", name, "--to", "dspy", "--out", "d.json", "--split", "dev", "--json")
    assert ran.code == 0, ran.err
    assert ran.json["rows"] == len(made.dev)
    read = json.loads(Path("d.json").read_text())
    assert [r["metadata"]["id"] for r in read] == [r.id for r in made.dev]


def test_the_holdout_is_refused_with_the_reason(made: Snapshot, upturn: Upturn):
    ran = upturn("dataset", made.id, "--to", "dspy", "--out", "d.json", "--split", "holdout")
    assert (ran.code, ran.out) == (2, "")
    assert "got holdout: it is sealed" in ran.err
    assert "--split dev" in ran.err
    assert not Path("d.json").exists()


@pytest.mark.parametrize("to", ["openai-sft", "trl-sft", "hf", "langsmith", "langfuse", "dspy"])
def test_no_format_holds_a_holdout_row(made: Snapshot, upturn: Upturn, to: str):
    ran = upturn("dataset", made.id, "--to", to, "--out", "out", "--split", "all", "--json")
    assert ran.code == 0, ran.err
    assert ran.json["splits"] == ["train", "dev"]
    known = {r.inputs["message"] for r in (*made.train, *made.dev)}
    sealed = {r["inputs"]["message"] for r in lines(str(made.folder / "holdout.jsonl"))}
    assert len(sealed) == made.holdout.rows > 0
    if to == "hf":
        loaded = datasets.load_from_disk("out")
        found = {m for split in loaded.values() for m in split["inputs.message"]}
    else:
        text = Path("out").read_text(encoding="utf-8").replace("\\", "")
        found = {m for m in known | sealed if f'{m}"' in text}
    assert found
    assert found & sealed == set()


def test_a_program_gives_the_messages(made: Snapshot, upturn: Upturn):
    Path("triage.py").write_text(PROGRAM)
    ran = upturn(
        *("dataset", made.id, "--to", "trl-sft", "--out", "sft.jsonl"),
        *("--program", "triage.py:Triage"),
    )
    assert ran.code == 0, ran.err
    first = made.train[0]
    row = lines("sft.jsonl")[0]
    assert f"[[ ## message ## ]]\n{first.inputs['message']}" in row["prompt"][-1]["content"]
    assert row["completion"][0]["content"].startswith(f"[[ ## team ## ]]\n{first.labels['team']}")
    assert row["event_ids"] == list(first.event_ids)
    assert f"{len(made.train)} rows of train are in sft.jsonl (TRL SFT)" in ran.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("none", "--to", "dspy"), "must be a snapshot: a folder with a manifest.json"),
        ((".", "--to", "dspy"), "'.' must be a snapshot"),
        (("ID", "--to", "dpsy"), "did you mean dspy?"),
        (("ID", "--to", "trl-dpo"), "type the same with --store URL"),
        (("ID", "--to", "trl-dpo", "--store", "none.db"), "none.db"),
        (("ID", "--to", "trl-kto", "--split", "all"), "preferences are made of train rows only"),
        (("ID", "--to", "trl-sft", "--program", "none.py:X"), "no such file: none.py"),
    ],
)
def test_bad_input_says_what_to_type(made: Snapshot, upturn: Upturn, arguments, said):
    given = [made.id if a == "ID" else a for a in arguments]
    ran = upturn("dataset", *given, "--out", "out")
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert "Traceback" not in ran.err
    assert not Path("out").exists()


@pytest.fixture
def events(made: Snapshot) -> list[Request | Feedback]:
    """The events behind the rows: wrong answers that were corrected, right ones with a thumb."""
    out: list[Request | Feedback] = []
    for n, row in enumerate((*made.train, *made.dev)):
        right = n % 2 == 0
        wrong = "returns" if row.labels["team"] == "billing" else "billing"
        out.append(
            Request(
                id=row.id,
                time=row.time,
                program="tickets",
                inputs=row.inputs,
                outputs={"answer": {"team": row.labels["team"] if right else wrong}},
            )
        )
        said = (Signal.THUMBS, True) if right else (Signal.CORRECTION, {"answer": row.labels})
        out.append(
            Feedback(
                id=f"fb-{row.id}",
                request_id=row.id,
                time=row.time,
                signal=said[0],
                value=said[1],
                rater="agent",
                role=Role.AGENT,
            )
        )
    return out


def test_preferences_come_from_the_events_behind_train_rows(
    made: Snapshot, events: list[Request | Feedback], upturn: Upturn
):
    with FeedbackStore.open("events.db") as store:
        store.add(events)
    Path("tickets.yaml").write_text(CONFIG)
    corrected = made.train[1::2]
    common = ("dataset", made.id, "--config", "tickets.yaml", "--json")
    ran = upturn(*common, "--to", "trl-dpo", "--out", "dpo.jsonl")
    assert ran.code == 0, ran.err
    assert ran.json["rows"] == len(corrected) > 0
    assert ran.json["dropped"] == {"not_in_train": len(made.dev)}
    pairs = {p["event_ids"][1]: p for p in lines("dpo.jsonl")}
    assert set(pairs) == {r.id for r in corrected}
    for row in corrected:
        pair = pairs[row.id]
        assert json.loads(pair["prompt"][1]["content"]) == row.inputs
        assert json.loads(pair["chosen"][0]["content"]) == row.labels
        assert json.loads(pair["rejected"][0]["content"])["team"] != row.labels["team"]
        assert pair["kind"] == "correction"
    kto = upturn(*common, "--to", "trl-kto", "--out", "kto.jsonl", "--store", "events.db").json
    assert kto["rows"] == len(made.train)
    judged = [line["label"] for line in lines("kto.jsonl")]
    assert judged.count(False) == len(corrected)
    assert upturn(*common, "--to", "openai-dpo", "--out", "o.jsonl").json["rows"] == len(corrected)


def test_a_data_set_is_never_overwritten(made: Snapshot, upturn: Upturn):
    Path("out").write_text("mine")
    ran = upturn("dataset", made.id, "--to", "langfuse", "--out", "out")
    assert ran.code == 2
    assert "never overwrites" in ran.err
    assert Path("out").read_text() == "mine"
