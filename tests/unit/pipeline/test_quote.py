"""A quote: what it counts, what it rests on, and that it spends nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.pipeline.conftest import CONFIG, NOW, PROGRAM, Project, events
from upturn import cli
from upturn.errors import UpturnError
from upturn.events import write_log
from upturn.lm import ModelSpec, Totals
from upturn.lm.counting import token_counter
from upturn.pipeline.pace import Pace, assumed_pace, probed_pace
from upturn.pipeline.quote import Quoting, open_quote, quote_turn, spent, spent_json
from upturn.pipeline.quote_dry import quote_config
from upturn.pipeline.turn import run_turn
from upturn.pipeline.workspace import read_json
from upturn.records import Evaluation
from upturn.report.quote import Quote, Range, Spend, Spent, part_rows, quote_rows

REMOTE = (
    "model.name=openai/gpt-4o-mini",
    "model.api_key_env=NO_SUCH_KEY",
    "model.usd_per_million_input=0.2",
    "model.usd_per_million_output=1",
)
#: By default nobody runs the program first where every field has a label.
ALL = "search.proposers=[contrast, labelled, bootstrapped]"
TWO = PROGRAM.replace(
    "        self.triage = dspy.Predict(Triage)",
    '        self.shorten = dspy.Predict("message -> gist")\n'
    "        self.triage = dspy.Predict(Triage)",
).replace(
    "class TicketTriage(dspy.Module):", "class TicketTriage(dspy.Module):\n    signature = Triage"
)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    for name, text in (("programs/triage.py", PROGRAM), ("configs/tickets.yaml", CONFIG)):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    write_log(tmp_path / "log.jsonl", events())
    return Project(root=tmp_path)


class Unused:
    """A runner that nobody may ask."""


def quoted(project: Project, *overrides: str) -> Quote:
    """The quote of a config whose outside must not be touched."""

    def touched(*_: object) -> object:
        raise AssertionError("a quote of a remote model touches nothing")

    world = replace(project.world(), connect=touched, store=touched)
    return quote_config(project.parts(*REMOTE, *overrides), world)


def test_a_quote_needs_no_key_calls_nothing_and_writes_nothing(project: Project) -> None:
    made = quoted(project)
    assert (made.program, made.model) == ("tickets", "openai/gpt-4o-mini")
    assert project.engine.calls == 0
    assert not (project.root / "mlruns").exists()


def test_calls_are_the_rows_of_every_step(project: Project) -> None:
    data = project.parts().preview(NOW)
    made = quoted(project, "search.evaluations=500", "search.fresh=0.4", ALL)
    # A tenth of the budget, and a twentieth of it.
    assert made.parts["baseline"].calls == Range.of(50)
    assert made.parts["bootstrapping"].calls == Range.of(25)
    assert made.parts["gate"].calls == Range.of(2 * data.holdout.rows)
    searched = made.parts["search and finalists"].calls
    assert 0 < searched.low < searched.expected == searched.high == 500 - 50 - 25
    whole = sum(part.calls.high for part in made.parts.values())
    assert made.total.calls.high == whole == 500 + 2 * data.holdout.rows


def test_one_choice_is_not_searched_for(project: Project) -> None:
    made = quoted(project, "search.proposers=[seed]")
    assert made.parts["bootstrapping"].calls.high == 0
    # All of dev, and nothing else: there is nobody to compare it with.
    dev = len(project.parts().preview(NOW).dev)
    before = made.parts["baseline"].calls.high
    assert 0 < made.parts["search and finalists"].calls.high <= dev - before


def test_tokens_are_those_of_real_prompts_and_money_is_tokens_times_prices(
    project: Project,
) -> None:
    parts = project.parts(*REMOTE)
    data = parts.preview(NOW)
    counter = token_counter(parts.model)
    seed = parts.program.seed
    reads = [counter.prompt(parts.program.messages(seed, e.inputs)) for e in data.train]
    made = quote_turn(parts, data, start=seed, pace=assumed_pace(parts.model))
    base = made.parts["baseline"]
    per_row = base.input_tokens.expected / base.calls.expected
    assert per_row == pytest.approx(sum(reads) / len(reads), rel=0.03)
    assert base.input_tokens.low == pytest.approx(0.8 * base.input_tokens.expected)
    assert base.input_tokens.high == pytest.approx(1.2 * base.input_tokens.expected)
    assert base.output_tokens.high == base.calls.high * parts.config.model.max_tokens
    for level in ("low", "expected", "high"):
        tokens = getattr(base.input_tokens, level), getattr(base.output_tokens, level)
        usd = 0.2e-6 * tokens[0] + 1e-6 * tokens[1]
        assert getattr(base.usd, level) == pytest.approx(usd)


def test_the_search_reads_more_than_what_runs_now_because_its_prompts_have_demos(
    project: Project,
) -> None:
    dry = Quoting(
        project.parts(*REMOTE), project.parts().preview(NOW), project.parts().program.seed
    ).dry
    assert (
        dry.start.reads.expected
        < dry.searched.reads.low * 1.25
        < dry.searched.reads.expected * 1.25
    )
    short, long = dry.prompts
    assert 0 < len(short.states["triage"].demos) < len(long.states["triage"].demos) == 6
    assert dry.runners == ()


def test_a_gate_in_stages_may_end_after_the_first(project: Project) -> None:
    held = project.parts().preview(NOW).holdout
    calls = quoted(project, "gate.design=group_sequential").parts["gate"].calls
    assert calls.expected == calls.high == 2 * held.rows
    assert calls.low == pytest.approx(2 * held.rows / 10, abs=2 * held.rows / held.groups)


def test_a_space_without_demos_is_quoted_without_them(project: Project) -> None:
    parts = project.parts(*REMOTE, "search.space.n_demos=[0,4]")
    dry = Quoting(parts, parts.preview(NOW), parts.program.seed).dry
    assert dry.prompts[0].states["triage"].demos == ()


def test_each_predictor_is_a_call(tmp_path: Path, project: Project) -> None:
    one = quoted(project)
    (tmp_path / "programs" / "triage.py").write_text(TWO)
    two = quoted(project)
    assert two.parts["gate"].calls == one.parts["gate"].calls * 2
    assert any("each predictor" in note for note in two.notes)
    reads = two.parts["baseline"].input_tokens
    assert reads.expected > 1.5 * one.parts["baseline"].input_tokens.expected


def test_caps_cut_the_total_and_say_so(project: Project) -> None:
    free = quoted(project)
    capped = quoted(project, "budget.max_calls=600", "budget.max_minutes=1")
    assert free.total.calls.expected > 600
    assert capped.total.calls.high == 600
    assert capped.parts == free.parts
    assert "budget.max_calls=600 will end the search before its own budget does" in capped.notes


def test_a_strong_model_is_a_step_with_its_own_price(project: Project) -> None:
    strong = "proposer_model={name: openai/o9, max_tokens: 900, usd_per_million_output: 60.0}"
    step = quoted(project, strong).parts["strong model"]
    assert step.calls.low >= 1
    assert step.usd.high == pytest.approx(60e-6 * 2048 * step.calls.high)
    assert quoted(project).parts["strong model"] == Spend()


def test_a_dearer_model_in_the_space_raises_the_search_alone(project: Project) -> None:
    more = ("models={big: {name: openai/big, usd_per_million_input: 20.0}}",)
    plain, dear = quoted(project), quoted(project, *more, "search.space.model=[big]")
    assert dear.parts["gate"].usd == plain.parts["gate"].usd
    search = dear.parts["search and finalists"].usd
    assert search.high > 10 * plain.parts["search and finalists"].usd.high


def test_an_optimizer_of_dspy_is_quoted_as_wide_as_it_was_seen(project: Project) -> None:
    made = quoted(project, "optimizer=mipro")
    data = project.parts().preview(NOW)
    assert list(made.parts) == ["mipro", "finalists", "gate"]
    assert made.parts["mipro"].calls == Range(low=600, expected=2000, high=6000)
    assert made.parts["finalists"].calls == Range.of(4 * len(data.dev))
    assert any("mipro decides by itself" in note for note in made.notes)


def test_the_pace_of_a_remote_model_is_latency_over_concurrency() -> None:
    spec = ModelSpec(model="openai/m", concurrency=16)
    assert assumed_pace(spec, 2.0).seconds_per_call == Range(
        low=0.0625, expected=0.125, high=0.1875
    )
    assert "0.4 to 3 s a call, 16 at a time" in assumed_pace(spec).note


def test_a_probe_times_eight_rows_and_says_so(project: Project) -> None:
    times = iter([0.0, 4.0, 10.0, 16.0])
    ran: list[int] = []

    class Runner:
        def evaluate(self, candidate, examples, *, tolerant=False):
            ran.append(len(examples))
            return Evaluation(candidate_id=candidate.id, rows=())

    rows = project.parts().preview(NOW).train
    seed = project.parts().program.seed
    pace = probed_pace(Runner(), [seed, seed], rows, clock=lambda: next(times))
    assert ran == [4, 4]
    # 4 rows in 4 s and 4 rows in 6 s.
    assert pace.seconds_per_call == Range(low=0.3125, expected=0.625, high=1.875)
    assert "8 probe calls" in pace.note


def test_ranges_add_multiply_and_meet_a_cap() -> None:
    a, b = Range(low=1, expected=2, high=4), Range.of(10, 0.2)
    assert a + b == Range(low=9, expected=12, high=16)
    assert a * b == Range(low=8, expected=20, high=48)
    assert a.at_most(3) == Range(low=1, expected=2, high=3)
    assert a.at_most(None) is a


def test_actuals_stand_beside_the_quote(project: Project, tmp_path: Path) -> None:
    made = replace(quoted(project), seconds=Range(low=1, expected=2, high=3))
    low = made.total.calls.low
    totals = Totals(calls=round(low), input_tokens=1, output_tokens=10**9, usd=0.0, seconds=9.0)
    lines = {line.name: line for line in spent(made, totals, 2.5)}
    assert {n: line.finding for n, line in lines.items()} == {
        "calls": "as quoted" if round(low) >= low else "below the quote",
        "input_tokens": "below the quote",
        "output_tokens": "above the quote",
        "usd": "below the quote",
        "seconds": "as quoted",
    }
    assert spent_json([lines["seconds"]]) == {
        "seconds": {"low": 1, "expected": 2, "high": 3, "actual": 2.5}
    }


def test_a_resumed_turn_keeps_the_quote_that_it_began_with(
    project: Project, tmp_path: Path
) -> None:
    def opened(*overrides: str) -> Quote:
        parts = project.parts(*REMOTE, *overrides)
        data = parts.snapshot(NOW)
        return open_quote(
            parts,
            data,
            start=parts.program.seed,
            runner=Unused(),
            searched=data.dev,
            folder=tmp_path / "turn",
        )

    made = opened()
    assert made.total == quoted(project).total
    assert read_json(tmp_path / "turn" / "quote.json")["program"] == "tickets"
    assert opened("budget.max_calls=600") == made


def test_a_quote_is_read_in_five_lines_and_a_line_a_step(project: Project) -> None:
    made = quoted(project)
    assert [row[0] for row in quote_rows(made)] == [
        *("model calls", "input tokens", "output tokens", "money", "time"),
    ]
    assert [row[0] for row in part_rows(made)] == [
        *("baseline", "search and finalists", "gate"),
    ]
    line = Spent(name="usd", quoted=Range(low=0.1, expected=0.2, high=0.3), actual=0.25)
    assert (line.heading, line.cells) == ("money", ["$0.10", "$0.20", "$0.30", "$0.25"])


def test_bad_data_is_refused_as_validate_refuses_it(project: Project) -> None:
    (project.root / "log.jsonl").write_text("")
    with pytest.raises(UpturnError, match=r"log\.jsonl"):
        quoted(project)


def test_a_local_model_is_quoted_without_a_probe_where_a_pace_is_given(project: Project) -> None:
    parts = project.parts(*REMOTE)
    pace = Pace(seconds_per_call=Range.of(0.5), note="half a second")
    made = quote_turn(parts, parts.preview(NOW), start=parts.program.seed, pace=pace)
    assert made.seconds.high == pytest.approx(made.total.calls.high / 2)
    assert "half a second" in made.notes


def test_a_turn_costs_what_was_quoted(project: Project) -> None:
    parts = project.parts()
    pace = assumed_pace(parts.model)
    made = quote_turn(parts, parts.preview(NOW), start=parts.program.seed, pace=pace)
    calls = run_turn(parts, project.world()).calls
    assert made.total.calls.low <= calls <= made.total.calls.high


def test_the_command_answers_with_one_object_or_with_two_tables(
    project: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    asked = ["run", str(project.config), *REMOTE, "--quote", "--latency-s", "2"]
    assert cli.run([*asked, "--json"]) == 0
    made = json.loads(capfd.readouterr().out)
    data = project.parts().preview(NOW)
    assert made["parts"]["gate"]["calls"]["high"] == 2 * data.holdout.rows
    # Two seconds a call, four at a time.
    assert made["seconds"]["expected"] == made["calls"]["expected"] / 2
    assert cli.run(asked) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[0] == "tickets on openai/gpt-4o-mini: one turn, before anything is spent"
    assert [line.split()[0] for line in lines[2:7]] == ["model", "input", "output", "money", "time"]
    assert lines[2].split()[-1] == f"{made['calls']['high']:,.0f}"
    assert not (project.root / "mlruns").exists()
