"""The head of the ledger as MLflow holds it: a tag of each registered model."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient

#: Tag of a registered model: number and hash of the ledger's last entry when it was written.
HEAD = "upturn.ledger.head"


def read_heads(client: MlflowClient) -> dict[str, str]:
    """Returns program -> head, of every model that has one."""
    found: dict[str, str] = {}
    token = None
    while True:
        page = client.search_registered_models(max_results=1000, page_token=token)
        found |= {m.name: str(m.tags[HEAD]) for m in page if HEAD in m.tags}
        token = page.token
        if not token:
            return found
