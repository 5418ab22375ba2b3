"""Specs, drafts and the extra: small rules with values that could be wrong."""

from __future__ import annotations

from dataclasses import fields

import pytest

from upturn.config.sections import ModelSection
from upturn.errors import ConfigError, MissingExtraError
from upturn.lm import ModelSpec
from upturn.lm.drafts import Drafts
from upturn.lm.folder import require_local_extra


def test_all_broken_rules_of_a_spec_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        ModelSpec(model="hf:", temperature=-1, max_tokens=0)
    message = str(caught.value)
    assert "model must not be empty" in message
    assert "temperature must be >= 0, got -1" in message
    assert "max_tokens must be >= 1, got 0" in message


def test_limits_and_deadlines_have_rules_too() -> None:
    with pytest.raises(ConfigError) as caught:
        ModelSpec(
            model="openai/x",
            timeout_s=60.0,
            deadline_s=30.0,
            requests_per_minute=0.0,
            tokens_per_minute=-5.0,
            max_outage_minutes=-1.0,
        )
    message = str(caught.value)
    assert "deadline_s must be >= timeout_s=60, got 30" in message
    assert "requests_per_minute must be > 0, got 0.0" in message
    assert "tokens_per_minute must be > 0, got -5.0" in message
    assert "max_outage_minutes must be >= 0, got -1.0" in message


def test_without_a_deadline_a_call_has_the_time_of_all_its_attempts() -> None:
    assert ModelSpec(model="openai/x", timeout_s=60.0, num_retries=3).whole_call_s == 4 * 90.0
    assert ModelSpec(model="openai/x", deadline_s=100.0).whole_call_s == 100.0


def test_a_config_can_say_all_that_a_spec_knows() -> None:
    said = {name for name in ModelSection.model_fields if name != "name"}
    known = {field.name: field.default for field in fields(ModelSpec) if field.name != "model"}
    assert said == set(known)
    assert {name: getattr(ModelSection(), name) for name in said} == known


def test_prices_are_per_million_tokens() -> None:
    spec = ModelSpec(model="openai/x", usd_per_million_input=2.0, usd_per_million_output=10.0)
    assert spec.cost_usd(500_000, 100_000) == 2.0
    assert not spec.is_local
    assert ModelSpec(model="upturn-mini").is_local
    assert ModelSpec(model="hf:/some/folder").is_local


def test_a_missing_extra_names_the_install_line() -> None:
    require_local_extra("x", modules=("json",))
    with pytest.raises(MissingExtraError, match="upturn-mini needs") as caught:
        require_local_extra("upturn-mini", modules=("json", "no_such_module_here"))
    assert caught.value.fix == "pip install 'upturn[local]'"


def test_drafts_go_on_as_most_answers_did() -> None:
    drafts = Drafts(max_length=4)
    assert drafts.propose([], 9) == []
    for answer in ([1, 2, 3, 4, 5], [1, 2, 3, 4, 6], [1, 2, 9]):
        drafts.observe(answer)
    assert drafts.propose([], 9) == [1, 2, 3, 4]
    assert drafts.propose([1], 2) == [2, 3]
    assert drafts.propose([1, 2, 3, 4], 9) == []
    assert drafts.propose([7], 9) == []
    assert drafts.propose([1], 0) == []
    assert Drafts(0).propose([], 9) == []
