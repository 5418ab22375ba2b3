"""Releases of versions with weights: their base may be gone when they are to be moved."""

from __future__ import annotations

import pytest

from tests.pipeline.conftest import NOW
from tests.pipeline.weighing import LOCAL, WEIGHTS, Weighed, skilled, trained
from upturn.errors import ModelError
from upturn.ledger import Ledger
from upturn.pipeline.releases.diff import diff_versions
from upturn.pipeline.releases.release import Releases
from upturn.pipeline.turn import run_turn

pytest.importorskip("torch", reason="adapters are made with torch")


def test_a_champion_whose_base_is_gone_is_not_run_and_can_be_rolled_back(project, tmp_path_factory):
    adapter = trained(project, tmp_path_factory.mktemp("adapters"))
    project.engine = Weighed({adapter.id: skilled})
    assert run_turn(project.parts(*LOCAL, WEIGHTS), project.world()).version == "2"
    project.model_id = "another@2"
    project.engine = Weighed({})
    with pytest.raises(ModelError, match="must be used with the model it was trained on"):
        run_turn(project.parts(*LOCAL), project.world())
    assert project.registry.aliases("tickets").champion == "2"

    diff = diff_versions(project.registry, "tickets", "seed", "champion")
    assert diff.settings == (f"weights: none -> {adapter.id}",)
    assert adapter.base_id in diff.b.weights

    ledger = Ledger(project.root / "mlruns" / "ledger.jsonl", clock=lambda: NOW)
    releases = Releases(project.registry, ledger, "tickets")
    assert releases.rollback(to=None, who="ann", because="its base is gone") == "1"
    result = run_turn(project.parts(*LOCAL), project.world())
    assert result.verdict in ("PROMOTE", "HOLD", "INCONCLUSIVE")
    assert project.engine.put_on == []
