"""What every job kind must keep, how kinds are found, and what importing them takes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import upturn.finetune.kinds
from upturn.datasets.preferences import KtoRow, Pair
from upturn.errors import ConfigError, ModelError
from upturn.finetune.kinds import Curated, JobKind, job_kind, job_kinds
from upturn.finetune.kinds.token_ids import on_token_ids
from upturn.finetune.records import TrainingRow
from upturn.finetune.spec import JobSpec
from upturn.records import Example

FOLDER = Path(upturn.finetune.kinds.__path__[0])
KINDS = pytest.mark.parametrize("kind", job_kinds().values(), ids=lambda kind: kind.name)


@pytest.fixture
def placed(tmp_path: Path) -> Iterator[Callable[[str, str], None]]:
    """Returns what places a module beside ours."""
    names: list[str] = []

    def place(name: str, text: str) -> None:
        (tmp_path / f"{name}.py").write_text(text)
        names.append(name)

    upturn.finetune.kinds.__path__.append(str(tmp_path))
    yield place
    upturn.finetune.kinds.__path__.remove(str(tmp_path))
    for name in names:
        sys.modules.pop(f"upturn.finetune.kinds.{name}", None)


def curated() -> Curated:
    row = Example(id="r1", inputs={"message": "hi"}, labels={"team": "a"}, group="g")
    rest = {"inputs": row.inputs, "weight": 0.7, "event_ids": ("r1",), "group": "g"}
    pair = Pair(chosen={"team": "a"}, rejected={"team": "b"}, kind="correction", **rest)
    judged = KtoRow(completion={"team": "b"}, desirable=False, **rest)
    return Curated(examples=[row], pairs=[pair], judged=[judged])


@KINDS
def test_a_kind_says_what_people_need_to_know(kind: JobKind):
    assert (FOLDER / f"{kind.name}.py").is_file()
    assert type(kind).__doc__
    for text in (kind.title, kind.needs, kind.fix):
        assert text
        assert text == text.strip()
    assert set(kind.smoothed_losses) <= set(kind.losses)


@KINDS
def test_a_kinds_numbers_can_be(kind: JobKind):
    assert 0 < kind.learning_rate < 0.01
    assert 0 < kind.trl_learning_rate < 0.01
    assert kind.sequences >= (2 if kind.paired else 1)
    assert kind.forward_only >= 0
    assert kind.least_batch >= 1


@KINDS
def test_a_kind_reads_what_it_says(kind: JobKind):
    given = curated()
    assert kind.reads(given)
    alone = Curated(examples=given.examples)
    assert (list(kind.reads(given)) != list(kind.reads(alone))) is kind.reads_preferences
    assert all(isinstance(row, Pair) for row in kind.reads(given)) or not kind.paired


@KINDS
def test_all_rows_have_the_same_columns_and_all_tokens(kind: JobKind):
    rejected = (5, 6) if kind.paired else ()
    one = TrainingRow(id="a", prompt_ids=(1, 2), completion_ids=(3, 4), rejected_ids=rejected)
    two = TrainingRow(id="b", prompt_ids=(7,), completion_ids=(8,), rejected_ids=rejected)
    first, second = kind.columns(one), kind.columns(two)
    assert first.keys() == second.keys()
    held = {token for ids in first.values() if isinstance(ids, list) for token in ids}
    assert {1, 2, 3, 4, *rejected} <= held


@KINDS
def test_many_even_rows_are_no_problem(kind: JobKind):
    rows = [
        TrainingRow(id=str(n), prompt_ids=(1,), completion_ids=(2,), desirable=n % 2 == 0)
        for n in range(20)
    ]
    spec = JobSpec(name="job", kind=kind.name)
    assert list(kind.problems(spec, rows)) == []
    assert list(kind.warnings(spec, rows)) == []


def test_kto_of_one_row_is_a_problem():
    row = TrainingRow(id="a", prompt_ids=(1,), completion_ids=(2,))
    (found,) = job_kind("kto").problems(JobSpec(name="job", kind="kto"), [row])
    assert found.what == "KTO must have two rows and more, got 1"


def test_kinds_are_found_in_a_fixed_order(placed):
    ours = list(job_kinds())
    assert ours == ["sft", *sorted(ours[1:])]
    source = "from upturn.finetune.kinds.sft import Sft\nclass New(Sft):\n    name = {!r}\n"
    placed("abc", source.format("abc") + "KIND = New()\n")
    placed("helper", "VALUE = 1\n")
    assert list(job_kinds()) == ["sft", "abc", *ours[1:]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("KIND = 'new'\n", "kinds/new.py:KIND: must be an object of a JobKind, got 'new'"),
        (
            "from upturn.finetune.kinds.sft import Sft as KIND\n",
            "kinds/new.py:KIND: must be an object of a JobKind, got <class",
        ),
        (
            "from upturn.finetune.kinds.sft import KIND\n",
            "a kind's name must be that of its file: 'new', got 'sft'",
        ),
    ],
)
def test_a_file_that_is_no_kind_is_refused(placed, text, said):
    placed("new", text)
    with pytest.raises(ConfigError) as caught:
        job_kinds()
    assert said in str(caught.value)


def test_an_unknown_kind_is_refused_with_the_nearest():
    with pytest.raises(ConfigError) as caught:
        job_kind("dpoo")
    said = f"kind: kind must be one of {', '.join(job_kinds())}; got 'dpoo'; did you mean dpo?"
    assert said in str(caught.value)


def test_a_trainer_that_changed_is_refused():
    class Changed:
        pass

    class Prepares:
        def _prepare_dataset(self, dataset, *more):
            raise NotImplementedError

    assert on_token_ids(Prepares)()._prepare_dataset([1], "args") == [1]
    with pytest.raises(ModelError, match="Changed of this TRL must have _prepare_dataset"):
        on_token_ids(Changed)


def test_kinds_are_found_without_heavy_libraries():
    code = (
        "from upturn.finetune.kinds import job_kinds; job_kinds(); import sys; print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert (
        loaded & {"torch", "trl", "transformers", "peft", "datasets", "dspy", "pydantic"} == set()
    )
