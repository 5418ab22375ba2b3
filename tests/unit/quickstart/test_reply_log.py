"""The reply log: reproducible, fit for its program, and with preferences that mean something."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.unit.quickstart.guessing import Events
from upturn.cli import console
from upturn.config import FeedbackLogSection, load_config, load_job
from upturn.datasets.preferences import Preferences, preferences
from upturn.events import Feedback, FieldRules, Log, Request, Role, Signal, read_log, write_log
from upturn.labels import compile_labels
from upturn.metrics import Metric
from upturn.programs import load_metric
from upturn.quickstart import END
from upturn.quickstart.__main__ import main
from upturn.quickstart.reply_desk import AGENTS, CARELESS, WORDY
from upturn.quickstart.reply_log import REQUESTS, generate_replies
from upturn.quickstart.reply_texts import order_number
from upturn.records import Example

ROOT = Path(__file__).parents[3]
FIELDS = FieldRules(inputs=("message",), outputs={"answer": None})


@pytest.fixture(scope="module")
def events() -> Events:
    return generate_replies()


@pytest.fixture(scope="module")
def requests(events: Events) -> list[Request]:
    return [e for e in events if isinstance(e, Request)]


@pytest.fixture(scope="module")
def feedback(events: Events) -> list[Feedback]:
    return [e for e in events if isinstance(e, Feedback)]


@pytest.fixture(scope="module")
def log(events: Events, tmp_path_factory: pytest.TempPathFactory) -> Log:
    path = tmp_path_factory.mktemp("log") / "reply.jsonl"
    write_log(path, events)
    return read_log(path, fields=FIELDS, program="reply", now=END)


@pytest.fixture(scope="module")
def rows(log: Log) -> list[Example]:
    return [r.to_example() for r in compile_labels(log, now=END, min_age_hours=72.0).rows]


@pytest.fixture(scope="module")
def found(log: Log, rows: list[Example]) -> Preferences:
    by_request: dict[str, list[Feedback]] = defaultdict(list)
    for f in log.feedback:
        by_request[f.request_id].append(f)
    return preferences([(r, by_request[r.id]) for r in log.requests], rows)


@pytest.fixture(scope="module")
def metric() -> Metric:
    return load_metric("programs/reply.py:metric", ROOT)


def score(metric: Metric, message: object, label: object, answer: object) -> float:
    example = SimpleNamespace(message=message, answer=label)
    value = metric(example, SimpleNamespace(answer=answer), example_id="x").value
    assert value is not None
    return value


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        write_log(tmp_path / name, generate_replies(seed, requests=150))
    a, b, c = ((tmp_path / name).read_bytes() for name in "abc")
    assert a == b
    assert a != c


def test_the_command_writes_the_program_it_is_asked_for(tmp_path: Path) -> None:
    out = tmp_path / "logs" / "reply.jsonl"
    assert main(["--program", "reply", "--requests", "40", "--seed", "3", "--out", str(out)]) == 0
    write_log(tmp_path / "same", generate_replies(3, requests=40))
    assert out.read_bytes() == (tmp_path / "same").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--program", "repyl"], "invalid choice: 'repyl'"),
        (["--program", "reply", "--requests", "0"], "--requests must be >= 1, got 0"),
    ],
)
def test_what_it_cannot_write_is_refused(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([*arguments, "--out", str(tmp_path / "x")])
    assert said in capsys.readouterr().err


def test_a_folder_that_is_a_file_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    arguments = ["--program", "reply", "--requests", "5", "--out", str(tmp_path / "file/log")]
    assert main(arguments) == 2
    assert "the log's folder must be writable" in capsys.readouterr().err


def test_it_is_a_log_of_the_program(requests: list[Request], log: Log) -> None:
    assert len(requests) == len(log.requests) == REQUESTS
    assert {r.program for r in requests} == {"reply"}
    # Nobody may take the drafts for answers of a model.
    assert {r.model for r in requests} == {"drafting macro"}
    numbered = [r for r in requests if order_number(r.inputs["message"])]
    assert 0.4 < len(numbered) / REQUESTS < 0.8


def test_the_signals_that_it_is_for_come_often(feedback: list[Feedback]) -> None:
    counts = Counter(f.signal for f in feedback)
    least = {
        **{Signal.CHOSEN: 350, Signal.CORRECTION: 150, Signal.EDIT: 20},
        **{Signal.THUMBS: 150, Signal.KEPT: 40, Signal.REOPENED: 5},
    }
    assert set(counts) == set(least)
    assert all(counts[signal] >= n for signal, n in least.items())
    assert {f.rater for f in feedback if f.role is Role.AGENT} == {*AGENTS, CARELESS}


def test_feedback_follows_its_request(requests: list[Request], feedback: list[Feedback]) -> None:
    asked = {r.id: r.time for r in requests}
    assert all(f.time >= asked[f.request_id] for f in feedback)
    assert max(datetime.fromisoformat(f.time) for f in feedback) < END


def test_choices_are_among_different_answers(
    requests: list[Request], feedback: list[Feedback]
) -> None:
    first = {r.id: r.outputs["answer"] for r in requests}
    for f in feedback:
        if f.signal is Signal.CHOSEN:
            chosen = f.value["chosen"]["answer"]
            others = [r["answer"] for r in f.value["rejected"]]
            assert chosen not in others
            assert 1 <= len(others) <= 3
            assert first[f.request_id] in [chosen, *others]


def test_most_requests_get_a_label_with_facts(rows: list[Example], metric: Metric) -> None:
    assert len(rows) > 0.75 * REQUESTS
    scores = [
        score(metric, r.inputs["message"], r.labels["answer"], r.labels["answer"]) for r in rows
    ]
    # People let promises and long answers stand: the labels' own words leave room.
    assert 0.6 < statistics.mean(scores) < 0.9


def test_pairs_mostly_prefer_the_better_answer(
    found: Preferences, rows: list[Example], metric: Metric
) -> None:
    label = {r.id: r.labels["answer"] for r in rows}
    gains = list[float]()
    for pair in found.pairs:
        wanted = next(label[e] for e in pair.event_ids if e in label)
        better, worse = (
            score(metric, pair.inputs["message"], wanted, side["answer"])
            for side in (pair.chosen, pair.rejected)
        )
        gains.append(better - worse)
    assert len(gains) > 700
    assert {p.kind for p in found.pairs} >= {"chosen", "correction"}
    right = sum(g > 0 for g in gains) / len(gains)
    # Noise and taste: not all of them, and some the wrong way round.
    assert 0.7 < right < 0.9
    assert sum(g < 0 for g in gains) / len(gains) > 0.05


def test_some_agents_prefer_length(feedback: list[Feedback]) -> None:
    longer: dict[bool, list[float]] = {True: [], False: []}
    for f in feedback:
        if f.signal is Signal.CHOSEN:
            chosen = len(f.value["chosen"]["answer"].split())
            others = [len(r["answer"].split()) for r in f.value["rejected"]]
            longer[f.rater in WORDY].append(chosen - statistics.mean(others))
    wordy, plain = (statistics.mean(longer[kind]) for kind in (True, False))
    assert wordy > 1 > -1 > plain


def test_progress_is_told(tmp_path: Path) -> None:
    from upturn.quickstart.write import write_reply_log

    write_reply_log(tmp_path / "log", progress=console.progress(), requests=5)
    assert len((tmp_path / "log").read_text().splitlines()) >= 5


def test_its_config_and_jobs_fit_together() -> None:
    config = load_config(ROOT / "configs/reply.yaml")
    sft, dpo = (load_job(ROOT / f"jobs/reply_{kind}.yaml") for kind in ("sft", "dpo"))
    assert sft.config == dpo.config == "configs/reply.yaml"
    assert (sft.kind, dpo.kind, dpo.start) == ("sft", "dpo", sft.name)
    assert isinstance(config.data, FeedbackLogSection)
    assert datetime.fromisoformat(str(config.data.now)) == END
    # The log is read where the header says that it is written.
    written = "python -m upturn.quickstart --program reply --out mlruns/quickstart/reply.jsonl"
    assert written in (ROOT / "configs/reply.yaml").read_text()
    assert config.data.paths == ["mlruns/quickstart/reply.jsonl"]
