"""TRL's preference trainers on token ids."""

from __future__ import annotations

from typing import Any, TypeVar, cast

from upturn.errors import ModelError

T = TypeVar("T")
_PREPARE = "_prepare_dataset"


def on_token_ids(trainer: type[T]) -> type[T]:
    """Returns the trainer, taking rows as they are: TRL would render and cut the texts again.

    Args:
        trainer: a trainer of TRL that prepares its rows in ``_prepare_dataset``.

    Raises:
        ModelError: this TRL has no such method, which is private.
    """
    if not callable(getattr(trainer, _PREPARE, None)):
        raise ModelError(
            f"{trainer.__name__} of this TRL must have {_PREPARE}, and has not",
            where="trl",
            fix="pip install 'upturn[train]' for the version that was tested",
        )
    made = type(f"{trainer.__name__}OnTokenIds", (trainer,), {_PREPARE: _as_they_are})
    return cast(type[T], made)


def _as_they_are(trainer: Any, dataset: Any, *_: Any, **__: Any) -> Any:
    return dataset
