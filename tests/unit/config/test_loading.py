"""Configs: all problems at once, each with its dotted path, its value and a did-you-mean."""

import pytest

from upturn.config import json_schema, load_config, project_root
from upturn.errors import ConfigError

GOOD = """
name: tickets
program: programs/p.py:P
metric: programs/p.py:metric
data:
  kind: feedback_log
  paths: [log.jsonl]
"""


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "configs" / "c.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    return write


def problems(path, overrides=None):
    with pytest.raises(ConfigError) as caught:
        load_config(path, overrides)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_defaults_and_overrides(written):
    config = load_config(written(GOOD), ["search.n_trials=7", "promotion=ask", "model.name=hf:/m"])
    assert (config.search.n_trials, config.promotion, config.model.name) == (7, "ask", "hf:/m")
    assert config.split.order == "time"
    assert "n_trials: 7" in config.to_yaml()


def test_all_problems_are_told_at_once(written):
    text = problems(
        written(
            GOOD + "gate: {min_gian: 0.1, alpha: 2.0}\nsearch: {n_trials: 0, proposers: [sead]}\n"
        )
    )
    assert "4 problems" in text
    assert "gate.min_gian: unknown key; did you mean min_gain?" in text
    assert "gate.alpha: input should be less than 0.5, got 2.0" in text
    assert "search.n_trials: input should be greater than or equal to 1, got 0" in text
    assert "search.proposers: 'sead' is no proposer; did you mean seed?" in text
    assert "upturn validate --schema" in text


def test_a_typo_inside_the_data_section_is_explained(written):
    text = problems(written(GOOD.replace("paths:", "path:")))
    assert "data.path: unknown key; did you mean paths?" in text
    assert "data.paths: is required" in text


def test_an_exponent_without_a_dot_is_text_to_yaml_and_said_so(written):
    text = problems(written(GOOD + "gate: {alpha: 5e-2}\n"))
    assert "gate.alpha" in text
    assert "YAML needs a dot: 5.0e-02" in text


def test_a_key_is_never_taken_for_the_name_of_a_variable(written):
    text = problems(written(GOOD + "model: {name: openai/x, api_key_env: sk-123.456}\n"))
    assert "NAME of an environment variable" in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "is not YAML"),
        ("- a\n", "must be a mapping of sections, got list"),
        ("", "must be a mapping of sections, got NoneType"),
    ],
)
def test_what_is_no_mapping(written, text, message):
    assert message in problems(written(text))


def test_a_missing_file_points_to_init(tmp_path):
    assert "upturn init" in problems(tmp_path / "absent.yaml")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("n_trials", "an override must be key.path=value, got 'n_trials'"),
        ("=3", "an override must be key.path=value, got '=3'"),
        ("name.x=1", "name.x: name holds no keys"),
    ],
)
def test_bad_overrides(written, override, message):
    assert message in problems(written(GOOD), [override])


def test_the_root_is_the_folder_that_holds_configs(written, tmp_path):
    assert project_root(written(GOOD)) == tmp_path.resolve()
    assert project_root(tmp_path / "x.yaml") == tmp_path.resolve()


def test_the_schema_describes_every_section():
    schema = json_schema()
    assert {"name", "program", "metric", "data", "gate", "search", "budget"} <= set(
        schema["properties"]
    )
    assert schema["additionalProperties"] is False
