"""The aliases of a registered model in MLflow, and the tag that ties them to the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from upturn.tracking.versions import Aliases

if TYPE_CHECKING:
    from mlflow import MlflowClient

CHAMPION, STAGING = "champion", "staging"
#: Tag of the registered model: hash of the ledger's entry that the champion alias stands for.
SETTLED = "upturn.ledger.settled"


def read(client: MlflowClient, program: str) -> Aliases:
    """Returns what the aliases name; nothing where the program has no version yet."""
    from mlflow.exceptions import MlflowException

    try:
        model = client.get_registered_model(program)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return Aliases()
        raise
    named = {str(alias): str(version) for alias, version in dict(model.aliases).items()}
    return Aliases(
        champion=named.get(CHAMPION, ""),
        staging=named.get(STAGING, ""),
        settled=str(dict(model.tags).get(SETTLED, "")),
    )


def point(client: MlflowClient, program: str, alias: str, version: str) -> None:
    """Makes an alias name a version; takes the alias away where the version is ""."""
    if version:
        client.set_registered_model_alias(program, alias, version)
    else:
        client.delete_registered_model_alias(program, alias)
