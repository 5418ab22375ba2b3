"""Rules are data: every signal has one, the documentation shows them, a config changes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from upturn.errors import ConfigError
from upturn.events import Role, Signal
from upturn.labels import LabelRules, Rule, Says, TrustRules
from upturn.labels.defaults import DEFAULTS

DOC = Path(__file__).parents[3] / "docs" / "labels.md"


@pytest.mark.parametrize("signal", Signal)
@pytest.mark.parametrize("role", Role)
def test_every_signal_of_everybody_is_read_by_a_rule(signal: Signal, role: Role):
    rule = LabelRules().find(signal, role, None)
    assert rule is not None
    assert rule.note
    assert (rule.probability > 0.5) is (rule.says is not Says.NOTHING)


def table_row(rule: Rule) -> str:
    """One line of the table in docs/labels.md."""
    signal = f"`{rule.signal}`" if rule.signal else "follows"
    roles = f" of a {', '.join(rule.roles)}" if rule.roles else ""
    says = str(rule.says)
    if rule.up_from is not None:
        down = "" if rule.down_to is None else f", wrong down to {rule.down_to:g}"
        says = f"right from {rule.up_from:g}{down}"
    probability = "" if rule.says is Says.NOTHING else f"{rule.probability:g}"
    strength = "" if rule.says is Says.NOTHING else f"{rule.strength:g}"
    return f"| `{rule.id}` | {signal}{roles} | {says} | {probability} | {strength} | {rule.note} |"


def test_the_documentation_shows_the_rules_as_they_are():
    lines = DOC.read_text(encoding="utf-8").splitlines()
    start = lines.index("| rule | signal | says | probability | strength | because |")
    assert lines[start + 2 : start + 2 + len(DEFAULTS)] == [table_row(r) for r in DEFAULTS]


def test_the_first_rule_that_reads_a_signal_counts():
    rules = LabelRules()
    ids = {role: rules.find(Signal.CORRECTION, role, None) for role in Role}
    assert {role: rule and rule.id for role, rule in ids.items()} == {
        Role.AGENT: "correction",
        Role.CUSTOMER: "correction_by_customer",
        Role.REVIEWER: "correction",
        Role.SYSTEM: "correction",
        Role.JUDGE: "correction_by_judge",
    }


def test_a_config_changes_rules_by_id_and_adds_some():
    rules = LabelRules().changed(
        {
            "thumbs": {"probability": 0.7, "strength": 5},
            "kept": "off",
            "helpful": {
                "signal": "score",
                "name": "helpfulness",
                "up_from": 0.7,
                "down_to": 0.3,
                "probability": 0.75,
            },
        }
    )
    assert (rules.rule("thumbs").probability, rules.rule("thumbs").strength) == (0.7, 5.0)
    assert rules.find(Signal.KEPT, Role.SYSTEM, None) is None
    helpful = rules.find(Signal.SCORE, Role.CUSTOMER, "helpfulness")
    assert helpful is not None
    assert (helpful.id, helpful.says, helpful.up_from) == ("helpful", Says.EITHER, 0.7)
    other = rules.find(Signal.SCORE, Role.CUSTOMER, "toxicity")
    assert other is not None
    assert other.says is Says.NOTHING


def test_all_problems_of_a_change_are_told_at_once():
    changes = {
        "thumps": {"probability": 0.7},
        "thumbs": {"probabilty": 0.7},
        "edit": {"probability": 1.2},
        "kept": {"probability": "high"},
        "stars": 4,
    }
    with pytest.raises(ConfigError) as caught:
        LabelRules().changed(changes)
    told = str(caught.value)
    assert told.startswith("5 problems")
    for part in (
        "labels.rules.thumps: is no rule; rules are correction_by_customer",
        "labels.rules.thumbs: probabilty is no attribute",
        "labels.rules.edit: probability must be in [0.5, 1), got 1.2",
        "labels.rules.kept: probability does not take 'high'",
        'labels.rules.stars: must be "off" or a mapping of numbers, got 4',
    ):
        assert part in told


def test_numbers_out_of_range_are_errors():
    with pytest.raises(ConfigError, match=r"labels.min_probability must be in \[0, 1\], got 2"):
        LabelRules(min_probability=2)
    with pytest.raises(ConfigError, match="the prior > 0"):
        TrustRules(prior_agree=0)
    with pytest.raises(ConfigError, match="strength must be > 0"):
        Rule(id="x", signal=Signal.KEPT, says=Says.RIGHT, strength=0)
    with pytest.raises(ConfigError, match="differ in id, got thumbs twice"):
        LabelRules(rules=(LabelRules().rule("thumbs"),) * 2)
