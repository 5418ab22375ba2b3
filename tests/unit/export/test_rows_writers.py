"""Each written format against its shape, and read back where somebody reads it."""

import json
import sys
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import datasets
import dspy
import jsonschema
import pytest

from upturn.errors import DataError, MissingExtraError, StorageError
from upturn.events import Feedback, Request, Signal
from upturn.export.rows import Material, Needs, plain_rendering, writer, writer_names
from upturn.importers.registry import importer, recognise
from upturn.records import Example

NAMESPACE = uuid.UUID("6f7a3f1e-6a0e-5a51-9c0b-5d1b6f3f2f10")  # ids of uploaded examples hang on it
SNAPSHOT = "5e1f0a" * 10 + "beef"
ROWS = (
    Example(
        id="req-1",
        inputs={"message": 'My "invoice"\nis wrong', "tier": "gold"},
        labels={"team": "billing", "urgent": True},
        group="customer-17",
        time="2026-08-01T00:00:00+00:00",
        weight=0.9,
        reason="correction",
        event_ids=("fb-1", "fb-2"),
        slices={"channel": "web"},
    ),
    Example(
        id="req-2",
        inputs={"message": "Größe 38 💶", "tier": "basic"},
        labels={"team": "returns", "urgent": False},
        group="customer-18",
    ),
)
DEV = Example(id="req-3", inputs={"message": "x"}, labels={"team": "billing"}, group="g")


@dataclass(frozen=True, kw_only=True)
class APair:
    """What ``datasets.preferences`` gives, as far as writers look."""

    inputs: dict = field(default_factory=lambda: {"message": "Hi"})
    chosen: dict = field(default_factory=lambda: {"team": "billing"})
    rejected: dict = field(default_factory=lambda: {"team": "returns"})
    weight: float = 0.8
    event_ids: tuple = ("fb-1",)
    kind: str = "correction"


@dataclass(frozen=True, kw_only=True)
class AJudgement:
    inputs: dict = field(default_factory=lambda: {"message": "Hi"})
    completion: dict = field(default_factory=lambda: {"team": "returns"})
    desirable: bool = False
    weight: float = 0.5
    event_ids: tuple = ("fb-9",)


MATERIAL = Material(
    snapshot=SNAPSHOT,
    name="tickets",
    rows={"train": ROWS, "dev": (DEV,)},
    pairs={"train": (APair(), APair(chosen={"output": "Yes."}, rejected={"output": "No."}))},
    kto={"train": (AJudgement(), AJudgement(desirable=True, completion={"team": "billing"}))},
    rendering=plain_rendering(("team", "urgent")),
)
TEXT = {"type": "string", "minLength": 1}
MESSAGE = {
    "type": "object",
    "properties": {"role": {"enum": ["system", "user", "assistant"]}, "content": TEXT},
    "required": ["role", "content"],
    "additionalProperties": False,
}
PROMPT = {"type": "array", "items": MESSAGE, "minItems": 1}
SAID = {
    "type": "array",
    "items": {**MESSAGE, "properties": {"role": {"const": "assistant"}, "content": TEXT}},
    "minItems": 1,
    "maxItems": 1,
}
IDS = {"type": "array", "items": TEXT}
NUMBER = {"type": "number", "exclusiveMinimum": 0, "maximum": 1}


def closed(**properties: object) -> dict:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


SHAPES = {
    "openai-sft": closed(messages={**PROMPT, "minItems": 2}),
    "openai-dpo": closed(
        input=closed(messages=PROMPT, tools={"const": []}, parallel_tool_calls={"const": True}),
        preferred_output=SAID,
        non_preferred_output=SAID,
    ),
    "trl-sft": closed(prompt=PROMPT, completion=SAID, id=TEXT, weight=NUMBER, event_ids=IDS),
    "trl-dpo": closed(
        prompt=PROMPT, chosen=SAID, rejected=SAID, kind=TEXT, weight=NUMBER, event_ids=IDS
    ),
    "trl-kto": closed(
        prompt=PROMPT, completion=SAID, label={"type": "boolean"}, weight=NUMBER, event_ids=IDS
    ),
}


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_all_formats_are_found_and_say_what_they_need():
    needs = {name: writer(name).needs for name in writer_names()}
    assert needs == {
        "dspy": Needs.ROWS,
        "hf": Needs.ROWS,
        "langfuse": Needs.ROWS,
        "langsmith": Needs.ROWS,
        "openai-dpo": Needs.PAIRS,
        "openai-sft": Needs.ROWS,
        "trl-dpo": Needs.PAIRS,
        "trl-kto": Needs.KTO,
        "trl-sft": Needs.ROWS,
    }
    assert all(writer(n).name == n and writer(n).title for n in needs)
    assert {n for n in needs if writer(n).trains} == set(SHAPES)
    with pytest.raises(DataError, match=r"must be one of dspy, hf, .*did you mean trl-dpo"):
        writer("trldpo")


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_lines_have_the_shape_of_the_format(tmp_path: Path, name: str):
    expected = {Needs.ROWS: 3, Needs.PAIRS: 2, Needs.KTO: 2}[writer(name).needs]
    assert writer(name).write(MATERIAL, tmp_path / "out.jsonl") == expected
    written = lines(tmp_path / "out.jsonl")
    assert len(written) == expected
    for line in written:
        jsonschema.validate(line, SHAPES[name])
    assert "customer-17" not in (tmp_path / "out.jsonl").read_text()


@pytest.mark.parametrize("name", ["trl-sft", "trl-dpo", "trl-kto"])
def test_trl_rows_load_as_a_dataset(tmp_path: Path, name: str):
    writer(name).write(MATERIAL, tmp_path / "out.jsonl")
    loaded = datasets.Dataset.from_json(
        str(tmp_path / "out.jsonl"), cache_dir=str(tmp_path / "cache")
    )
    assert loaded.to_list() == lines(tmp_path / "out.jsonl")
    assert set(loaded.column_names) == set(SHAPES[name]["properties"])


def test_openai_sft_is_read_back_with_the_same_inputs_and_labels(tmp_path: Path):
    writer("openai-sft").write(MATERIAL, tmp_path / "out.jsonl")
    written = lines(tmp_path / "out.jsonl")
    assert recognise(written).name == "openai"
    for line, row in zip(written, (*ROWS, DEV), strict=True):
        request, feedback = _read(line)
        assert json.loads(request.inputs["messages"][-1]["content"]) == row.inputs
        assert (feedback.signal, feedback.value) == (Signal.CORRECTION, row.labels)


def test_openai_dpo_is_read_back_with_the_same_inputs_and_choice(tmp_path: Path):
    writer("openai-dpo").write(MATERIAL, tmp_path / "out.jsonl")
    written = lines(tmp_path / "out.jsonl")
    assert recognise(written).name == "openai"
    for line, pair in zip(written, MATERIAL.pairs["train"], strict=True):
        request, feedback = _read(line)
        assert json.loads(request.inputs["messages"][-1]["content"]) == pair.inputs
        assert feedback.signal is Signal.CHOSEN
        assert feedback.value == {"chosen": pair.chosen, "rejected": [pair.rejected]}


def _read(line: dict) -> tuple[Request, Feedback]:
    request, feedback = importer("openai").events(line)
    assert isinstance(request, Request)
    assert isinstance(feedback, Feedback)
    return request, feedback


def test_langsmith_examples_keep_row_split_and_metadata(tmp_path: Path):
    assert writer("langsmith").write(MATERIAL, tmp_path / "out.json") == 3
    first, second, third = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert first == {
        "id": str(uuid.uuid5(NAMESPACE, f"{SNAPSHOT}/req-1")),
        "inputs": dict(ROWS[0].inputs),
        "outputs": {"team": "billing", "urgent": True},
        "split": "train",
        "metadata": {
            "id": "req-1",
            "split": "train",
            "weight": 0.9,
            "reason": "correction",
            "event_ids": ["fb-1", "fb-2"],
            "slices": {"channel": "web"},
            "time": "2026-08-01T00:00:00+00:00",
            "snapshot": SNAPSHOT,
        },
    }
    assert len({first["id"], second["id"], third["id"]}) == 3
    assert third["split"] == "dev"
    again = tmp_path / "again.json"
    writer("langsmith").write(MATERIAL, again)
    assert json.loads(again.read_text())[0]["id"] == first["id"]


def test_langfuse_items_are_bodies_of_its_api(tmp_path: Path):
    assert writer("langfuse").write(MATERIAL, tmp_path / "out.json") == 3
    items = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert [i["id"] for i in items] == [f"{SNAPSHOT[:12]}-req-{n}" for n in (1, 2, 3)]
    assert set(items[0]) == {"datasetName", "id", "input", "expectedOutput", "metadata", "status"}
    assert items[0]["datasetName"] == "tickets"
    assert (items[1]["input"], items[1]["expectedOutput"]) == (ROWS[1].inputs, ROWS[1].labels)
    assert items[2]["metadata"]["split"] == "dev"


def test_dspy_examples_come_back_as_examples(tmp_path: Path):
    assert writer("dspy").write(MATERIAL, tmp_path / "out.json") == 3
    read = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    examples = [dspy.Example(**r["example"]).with_inputs(*r["input_keys"]) for r in read]
    assert dict(examples[0].inputs().items()) == ROWS[0].inputs
    assert dict(examples[0].labels().items()) == ROWS[0].labels
    assert read[0]["metadata"]["event_ids"] == ["fb-1", "fb-2"]


def test_dspy_refuses_a_field_that_is_input_and_output(tmp_path: Path):
    row = Example(id="r", inputs={"text": "a"}, labels={"text": "b"}, group="g")
    material = Material(snapshot=SNAPSHOT, name="n", rows={"train": (row,)})
    with pytest.raises(DataError, match=r"row r: a field must be .* text is both"):
        writer("dspy").write(material, tmp_path / "out.json")
    assert list(tmp_path.iterdir()) == []


def test_a_datasets_folder_loads_from_disk(tmp_path: Path):
    odd = Example(
        id="req-4",
        inputs={"message": None, "tier": 2, "history": ["a", {"b": 1}]},
        labels={"team": "billing", "score": 1},
        group="g",
    )
    half = Example(id="req-5", inputs={"message": "y"}, labels={"score": 0.5}, group="g")
    material = Material(
        snapshot=SNAPSHOT, name="n", rows={"train": (*ROWS, odd), "dev": (half,), "other": ()}
    )
    assert writer("hf").write(material, tmp_path / "out") == 4
    loaded = datasets.load_from_disk(str(tmp_path / "out"))
    assert set(loaded) == {"train", "dev"}
    train = loaded["train"].to_list()
    assert [r["id"] for r in train] == ["req-1", "req-2", "req-4"]
    assert [r["inputs.message"] for r in train] == [ROWS[0].inputs["message"], "Größe 38 💶", None]
    # Texts and a number: the column is JSON in text.
    assert [r["inputs.tier"] for r in train] == ['"gold"', '"basic"', "2"]
    assert [r["inputs.history"] for r in train] == [None, None, '["a", {"b": 1}]']
    assert [r["labels.urgent"] for r in train] == [True, False, None]
    assert (train[0]["weight"], train[0]["event_ids"]) == (0.9, ["fb-1", "fb-2"])
    assert json.loads(train[0]["slices"]) == {"channel": "web"}
    assert (train[2]["labels.score"], loaded["dev"][0]["labels.score"]) == (1.0, 0.5)
    with pytest.raises(StorageError, match="never overwrites"):
        writer("hf").write(material, tmp_path / "out")
    assert not datasets.are_progress_bars_disabled()


def test_numbers_too_large_for_a_column_are_text(tmp_path: Path):
    row = Example(id="r", inputs={"n": 2**70}, labels={"ok": True}, group="g")
    material = Material(snapshot=SNAPSHOT, name="n", rows={"train": (row,)})
    writer("hf").write(material, tmp_path / "out")
    loaded = datasets.load_from_disk(str(tmp_path / "out"))
    assert loaded["train"][0]["inputs.n"] == str(2**70)


def test_a_datasets_folder_needs_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "datasets", None)  # as where it is not installed
    with pytest.raises(MissingExtraError, match="hub"):
        writer("hf").write(MATERIAL, tmp_path / "out")
