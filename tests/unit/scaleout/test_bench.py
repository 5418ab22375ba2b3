"""A worker runs a block as the local evaluator does."""

import pytest

from upturn.errors import ConfigError, ProgramError
from upturn.lm import Caps, ModelSpec
from upturn.programs import Program
from upturn.records import Candidate, Example, FailureKind
from upturn.scaleout import Job
from upturn.scaleout.bench import Bench
from upturn.scaleout.sources import Sources
from upturn.scaleout.wire import row_from_json


def example(text, label="yes"):
    return Example(id=text, inputs={"text": text}, labels={"word": label}, group=f"g-{text}")


def job(project, **more):
    spec = ModelSpec(model="fake", concurrency=2)
    refs = {"program": "p.py:Echo", "metric": "p.py:metric", "engine": "e.py:make"}
    return Job.read(project, model=spec, **refs, **more)


@pytest.fixture
def make_bench(project, make_office):
    benches = []

    def make(made=None, caps=None):
        office = make_office(caps)
        benches.append(Bench(made or job(project), office.line("none")))
        return benches[-1], office, Program("p.py:Echo", project).seed

    yield make
    for bench in benches:
        bench.close()


def run(bench, candidate, examples, ticket="b1"):
    rows = bench.rows(ticket, candidate.to_json(), [e.to_json() for e in examples])
    return [row_from_json(row) for row in rows]


def test_a_block_comes_back_in_order(make_bench):
    bench, office, seed = make_bench()
    rows = run(bench, seed, [example("a"), example("b", "no")])
    assert [(r.example_id, r.score) for r in rows] == [("a", 1.0), ("b", 0.0)]
    assert office.line().totals().calls == 2


def test_a_cap_is_a_row_here_and_an_error_where_the_turn_runs(make_bench):
    bench, _, seed = make_bench(caps=Caps(max_calls=1))
    rows = run(bench, seed, [example("a"), example("b")])
    assert sorted(r.failure or "" for r in rows) == ["", FailureKind.BUDGET]


def test_what_was_used_again_is_told_at_the_end_of_a_block(make_bench, project):
    bench, office, seed = make_bench()
    run(bench, seed, [example("a")])
    other = Bench(job(project), office.line("none"))
    rows = run(other, seed, [example("a")], ticket="b2")
    other.close()
    assert [r.cached_calls for r in rows] == [1]
    assert office.line().totals().cached_calls == 1


def test_a_trace_is_json(make_bench):
    bench, _, seed = make_bench()
    assert bench.trace("b1", seed.to_json(), example("a").to_json()) == {
        "say": {"text": "a", "word": "yes"}
    }


def test_a_further_model_is_opened_by_its_name(make_bench, project):
    models = {"small": ModelSpec(model="fake-small")}
    bench, office, seed = make_bench(job(project, models=models))
    small = Candidate(states=seed.states, settings={"model": "small"})
    assert [r.score for r in run(bench, small, [example("a")])] == [1.0]
    assert [r.score for r in run(bench, seed, [example("a")])] == [1.0]
    assert office.line().totals().calls == 2
    with pytest.raises(ConfigError, match="must be one of small, got 'large'"):
        run(bench, Candidate(states=seed.states, settings={"model": "large"}), [example("a")])


def test_a_program_that_does_not_load_is_named_as_on_one_machine(make_office, project):
    broken = Job(
        program="p.py:Echo",
        metric="p.py:metric",
        model=ModelSpec(model="fake"),
        sources=Sources(texts={"p.py": "import nowhere_at_all\n"}),
    )
    with pytest.raises(ProgramError, match=r"p\.py:1: the file does not import"):
        Bench(broken, make_office().line())
