"""What tests of proposers share."""

import pytest

from tests.unit.propose.worlds import router_evidence
from upturn.propose import Evidence


@pytest.fixture
def evidence(tmp_path) -> Evidence:
    return router_evidence(tmp_path)
