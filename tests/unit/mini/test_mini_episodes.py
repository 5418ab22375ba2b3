"""Episodes: what is marked learnable can be told from the prompt, and nothing else."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

pytest.importorskip("tokenizers")

from tokenizers import Tokenizer

from upturn.mini import weights_dir
from upturn.mini.batches import BatchSettings, BatchSource
from upturn.mini.corpus import Corpus
from upturn.mini.curriculum import KINDS, Curriculum, Level, Stage
from upturn.mini.encode import Encoder, Role
from upturn.mini.episodes import Hardness, Kind, labelled
from upturn.mini.extraction import extraction
from upturn.mini.frame import Answer, Episode, Field, Turn, framed
from upturn.mini.names import arbitrary, restyle
from upturn.mini.rules import Rule, RuleKind, keyword_rule
from upturn.mini.tokens import FIRST_WORD_ID, TokenTask, TokenTasks
from upturn.mini.wording import window


@pytest.fixture(scope="module")
def corpus(corpus_body: dict[str, Any]) -> Corpus:
    return Corpus(corpus_body)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(Tokenizer.from_file(str(weights_dir() / "tokenizer.json")))


@pytest.fixture(scope="module")
def drawn(corpus: Corpus) -> list[Episode]:
    return [labelled(random.Random(k), corpus, Hardness()) for k in range(400)]


def test_every_kind_comes_up(drawn: list[Episode]) -> None:
    kinds = Counter(e.kind for e in drawn)
    assert set(kinds) == {Kind.NAMES, Kind.DEMOS, Kind.DEFINITIONS, Kind.DEFINITIONS_ALONE}
    assert 0.25 < kinds[Kind.DEFINITIONS_ALONE] / 400 < 0.41


def test_answers_are_options_and_demos_teach(drawn: list[Episode]) -> None:
    for episode in drawn:
        seen: set[str] = set()
        for turn in episode.turns:
            first = turn.answers[0]
            assert f"'{first.value}'" in episode.request
            if episode.kind == Kind.DEMOS:
                assert first.learnable == (first.value in seen)
            if episode.kind == Kind.DEFINITIONS_ALONE:
                assert first.learnable == (first.value not in seen)
                assert first.value in episode.system.split("objective is:")[1]
            seen.add(first.value)


def test_without_names_or_definitions_the_asked_class_was_shown(drawn: list[Episode]) -> None:
    asked = [e.turns[-1].answers[0].learnable for e in drawn if e.kind == Kind.DEMOS]
    assert len(asked) > 50
    assert all(asked)


def test_second_fields_come_with_their_rule(drawn: list[Episode]) -> None:
    two = [e for e in drawn if len(e.turns[0].answers) == 2]
    assert 0.12 < len(two) / len(drawn) < 0.32
    told = [e for e in two if " The " + e.turns[0].answers[1].field in e.system]
    assert told
    assert all(t.answers[1].learnable for e in told for t in e.turns)


def test_bare_episodes_have_no_known_names(corpus: Corpus, encoder: Encoder) -> None:
    episode = labelled(random.Random(3), corpus, Hardness(texts=0.0), bare=True)
    encoded = encoder.episode(episode, bare=True)
    assert episode.kind == Kind.BARE
    assert encoder.system not in encoded.ids
    assert encoded.ids[0] == encoder.user
    assert "Respond with" not in encoder.decode(encoded.ids)


def test_extraction_copies(corpus: Corpus) -> None:
    for k in range(30):
        for turn in extraction(random.Random(k), corpus).turns:
            assert turn.answers[0].value in turn.text


def test_roles_mark_values_and_format(encoder: Encoder) -> None:
    answers = (Answer(field="team", value="b 42"), Answer(field="x", value="no", learnable=False))
    episode = framed(
        kind="test",
        input_name="message",
        fields=[Field(name="team"), Field(name="x")],
        goal="Go.",
        turns=[Turn(text="hi", answers=answers)],
    )
    ids, roles = encoder.episode(episode)

    def text(role: Role) -> str:
        return encoder.decode([i for i, r in zip(ids, roles, strict=True) if r == role])

    assert text(Role.FIRST) == "b"
    assert text(Role.REST) == " 42"
    assert text(Role.FORMAT) == (
        "[[ ## team ## ]]\n\n\n[[ ## x ## ]]\n[[ ## completed ## ]]\n<|end|>\n"
    )
    assert ids[: len(encoder.prompt(episode))] == encoder.prompt(episode)


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        (RuleKind.QUESTION, "why?", "b"),
        (RuleKind.QUESTION, "why", "a"),
        (RuleKind.DIGIT, "room 7", "b"),
        (RuleKind.LENGTH, "x" * 60, "a"),
        (RuleKind.LENGTH, "x" * 61, "b"),
    ],
)
def test_marks_rule_the_second_field(kind: RuleKind, text: str, expected: str) -> None:
    assert Rule(field="p", kind=kind, values=("a", "b"), words={}).value(text) == expected


def test_words_rule_the_second_field() -> None:
    rule = keyword_rule("level", ["low", "mid", "high"], ["oslo", "lamp"])
    texts = ("in Oslo a lamp", "a lamp.", "lamps")
    assert [rule.value(t) for t in texts] == ["mid", "high", "low"]
    assert rule.told("text") == (
        " The level is 'mid' when the text mentions oslo."
        " The level is 'high' when the text mentions lamp. Otherwise it is 'low'."
    )


def test_arbitrary_names_are_distinct(corpus: Corpus) -> None:
    for k in range(200):
        names = arbitrary(random.Random(k), corpus.vocabulary, 8)
        assert len(set(names)) == 8
    styles = {restyle(random.Random(k), ["card arrival"])[0] for k in range(100)}
    assert styles == {
        "card_arrival", "card arrival", "Card arrival", "Card Arrival", "card-arrival",
        "CARD_ARRIVAL",
    }  # fmt: skip


def test_window_keeps_the_word() -> None:
    text = "please repair the lamp that stands in oslo"
    cut = [window(random.Random(k), text, "lamp", 0.0) for k in range(50)]
    assert all("lamp" in c for c in cut)
    assert "lamp" in cut
    assert window(random.Random(0), text, "lamp", 1.0) == text


@pytest.mark.parametrize("task", list(TokenTask))
def test_learned_tokens_can_be_foreseen(encoder: Encoder, task: TokenTask) -> None:
    tasks = TokenTasks(encoder, ids=FIRST_WORD_ID + 500, easy=0.5)
    learned = 0
    for k in range(40):
        ids, roles = tasks.draw(task, random.Random(k), 64)
        assert len(ids) == len(roles) <= (192 if task is TokenTask.LONG_CUES else 64)
        assert all(i < FIRST_WORD_ID + 500 for i in ids)
        for at, role in enumerate(roles):
            if role == Role.FIRST:
                learned += 1
                assert ids[at] in ids[:at], "what is learned has been seen before"
    assert learned > 100


def test_batches_read_the_token_before_each_target(corpus: Corpus, encoder: Encoder) -> None:
    settings = BatchSettings(tokens=2048, targets=96)
    source = BatchSource(corpus, encoder, settings, seed=1)
    level = Level(stage=Stage.EPISODES, ids=8000, hardness=Hardness())
    for _ in range(6):
        batch = source.next(level)
        flat, real = batch.ids.reshape(-1), batch.weights > 0
        assert real.any()
        assert len(batch.targets) == 96
        assert (flat[batch.positions[real] + 1] == batch.targets[real]).all()
        assert set(batch.kinds[real]) <= set(range(len(KINDS)))


def test_batches_go_on_where_they_were(corpus: Corpus, encoder: Encoder) -> None:
    level = Level(stage=Stage.BARE_TURNS, ids=8000)
    one, two = (
        BatchSource(corpus, encoder, BatchSettings(tokens=1024, targets=64), seed=s) for s in (1, 2)
    )
    one.next(level)
    two.restore(one.state())
    for _ in range(3):
        a, b = one.next(level), two.next(level)
        assert all((x == y).all() for x, y in zip(a[1:], b[1:], strict=True))


def test_curriculum_promotes_on_accuracy() -> None:
    curriculum = Curriculum(vocabulary=2000, first_ids=500, growth=2.0, patience=50)
    assert curriculum.observe(10, {TokenTask.COPY: 0.5}) == []
    assert curriculum.observe(10_000, {TokenTask.COPY: 0.5}) == [], "copying has to be learned"
    for _ in range(20):
        curriculum.observe(20, {TokenTask.COPY: 1.0})
    assert curriculum.level.stage is Stage.CUES
    assert curriculum.level.ids == 761
    assert curriculum.observe(25, {TokenTask.CUES: 0.85}) == ["token ids below 1522"]
    assert curriculum.level.easy == 0.3
    assert curriculum.accuracies[TokenTask.CUES] == pytest.approx(0.75)
    assert curriculum.observe(70, {}) == ["stage BARE_TURNS (out of patience)"]
    assert curriculum.level.ids == 2000


def test_texts_grow_harder_only_as_accuracy_allows() -> None:
    curriculum = Curriculum(vocabulary=2000, patience=0, copy_patience=0)
    for _ in range(3):
        curriculum.observe(0, {})
    assert curriculum.level.stage is Stage.EPISODES
    curriculum.observe(150, {Kind.BARE: 0.5, Kind.DEFINITIONS_ALONE: 0.65})
    assert curriculum.level.hardness.texts == 0.1
    assert curriculum.level.hardness.defined == pytest.approx(0.105)
    for step in range(200, 8000, 50):
        curriculum.observe(step, {Kind.BARE: 0.9})
    assert curriculum.level.hardness.texts == 1.0
    again = Curriculum(vocabulary=2000)
    again.restore(curriculum.state())
    assert again.level == curriculum.level
    assert again.accuracies == curriculum.accuracies
