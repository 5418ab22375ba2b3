"""Lets a program's predictors reason before they answer, or not; finds those that are frozen."""

from __future__ import annotations

from typing import Any

from upturn.errors import ProgramError
from upturn.programs.settings import Shape

_REASONING = "reasoning"
_INNER = ".predict"


def shaped(module: Any, shape: Shape | None, *, ref: str) -> dict[str, Any]:
    """Gives a fresh module the shape, in place.

    ``cot`` puts a ``dspy.ChainOfThought`` where a plain ``dspy.Predict`` stands, with the same
    signature; one that has a field ``reasoning`` already stays as it is. ``predict`` goes the other
    way. A state that was saved from one shape is refused by the other's ``load``, because the
    predictors' names differ.

    Returns:
        The predictors, under the names that they have in the program as it was written.

    Raises:
        ProgramError: a predictor is of a kind that cannot be changed, or stands where nothing can
            be put (in a tuple, in two places at once).
    """
    written = [name for name, _ in module.named_predictors()]
    if shape is not None:
        make = _reasoning if shape == "cot" else _plain
        for name, predictor in module.named_predictors():
            make(module, name, predictor, ref)
    made = module.named_predictors()
    if [_stem(n) for n in written] != [_stem(n) for n, _ in made]:
        raise ProgramError(
            f"module: {shape} must leave the predictors where they are, {', '.join(written)} "
            f"became {', '.join(n for n, _ in made)}",
            where=ref,
            fix="take `module` out of search.space",
        )
    return dict(zip(written, (p for _, p in made), strict=True))


def frozen(module: Any) -> tuple[str, ...]:
    """Returns the names of sub-modules whose predictors DSPy hides, since they are compiled."""
    import dspy

    found: list[str] = []
    for path, sub in module.named_sub_modules(dspy.Module, skip_compiled=True):
        hides = getattr(sub, "_compiled", False) and not isinstance(sub, dspy.Predict)
        if hides and sub is not module and sub.named_predictors():
            found.append(path.removeprefix("self."))
    return tuple(found)


def _stem(name: str) -> str:
    return name.removesuffix(_INNER)


def _owners(module: Any) -> dict[int, Any]:
    import dspy

    return {id(m.predict): m for _, m in module.named_sub_modules(dspy.ChainOfThought)}


def _reasoning(module: Any, name: str, predictor: Any, ref: str) -> None:
    import dspy

    if id(predictor) in _owners(module) or _REASONING in predictor.signature.fields:
        return
    if type(predictor) is not dspy.Predict:
        raise _unchangeable(name, predictor, ref)
    signature: Any = predictor.signature
    thinker: Any = dspy.ChainOfThought(signature, **predictor.config)
    thinker.predict.demos = predictor.demos
    _put(module, name, thinker, ref)


def _plain(module: Any, name: str, predictor: Any, ref: str) -> None:
    import dspy

    owner = _owners(module).get(id(predictor))
    if owner is None:
        if _REASONING in predictor.signature.output_fields:
            raise _unchangeable(name, predictor, ref)
        return
    if owner is module or type(owner) is not dspy.ChainOfThought:
        raise _unchangeable(name, owner, ref)
    signature: Any = predictor.signature.delete(_REASONING)
    plain: Any = dspy.Predict(signature, **predictor.config)
    plain.demos = predictor.demos
    _put(module, _stem(name), plain, ref)


def _put(module: Any, path: str, value: Any, ref: str) -> None:
    from dspy.primitives.module import set_attribute_by_name

    try:
        set_attribute_by_name(module, path, value)
    except (AttributeError, KeyError, IndexError, TypeError) as error:
        raise _unchangeable(path, value, ref) from error


def _unchangeable(name: str, found: Any, ref: str) -> ProgramError:
    return ProgramError(
        f"module: a predictor must be a dspy.Predict or dspy.ChainOfThought that an attribute, a "
        f"list or a dict holds, {name} is a {type(found).__name__}",
        where=ref,
        fix="take `module` out of search.space",
    )
