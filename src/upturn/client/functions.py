"""Recording without DSPy: a decorator for functions, and a call for everything else."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ParamSpec, TypeVar

from upturn.client.calls import About, OpenCall, as_fields, error_text
from upturn.client.client import Client
from upturn.client.context import current, ended
from upturn.client.default import default_client
from upturn.client.ids import new_id
from upturn.client.lines import line_of, now

P = ParamSpec("P")
R = TypeVar("R")


def record_call(
    program: str,
    *,
    inputs: object,
    outputs: object = None,
    error: str | BaseException | None = None,
    request_id: str | None = None,
    time: str | None = None,
    version: str | None = None,
    model: str | None = None,
    user: str | None = None,
    session: str | None = None,
    parent: str | None = None,
    latency_ms: float | None = None,
    usage: Mapping[str, int] | None = None,
    cost_usd: float | None = None,
    slices: Mapping[str, str] | None = None,
    consent: Iterable[str] | None = None,
    client: Client | None = None,
) -> str:
    """Records one answer, and returns its request's id. Never raises, never blocks.

    Args are those of ``upturn.events.Request``; inputs and outputs that are no objects become
    ``{"input": …}`` and ``{"output": …}``; ``time`` is now where None.
    """
    request_id = request_id or new_id()
    client = client or default_client()
    try:
        about = About(
            program=program,
            version=version,
            model=model,
            user=user,
            session=session,
            slices=slices or {},
            consent=consent,
        )
        failed = error_text(error) if isinstance(error, BaseException) else error
        fields: dict[str, object] = {
            "id": request_id,
            "time": time or now(),
            **about.fields(),
            "inputs": as_fields(inputs, "input"),
            "outputs": {} if failed is not None else as_fields(outputs, "output"),
            "latency_ms": latency_ms,
            "usage": usage,
            "cost_usd": cost_usd,
            "error": failed,
        }
        if parent is not None:
            fields["parent"] = parent
        client.put(line_of("request", fields))
        ended(request_id, current.get())
    except Exception as problem:  # recording must never break the application
        client.swallow(problem)
    return request_id


def recorded(
    program: str,
    *,
    version: str | None = None,
    model: str | None = None,
    user: Callable[[], str | None] | None = None,
    client: Client | None = None,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorates a function, sync or async, so that each of its calls is recorded.

    Args:
        program: the name to record it under.
        version, model: what answers.
        user: returns whose call it is, asked at each call; None where nobody knows.
        client: where to; the process's client where None.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        about = functools.partial(About, program=program, version=version, model=model)
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def answer_later(*args: P.args, **kwargs: P.kwargs) -> Any:
                call = _begin(function, about, user, client, args, kwargs)
                try:
                    answer = await function(*args, **kwargs)
                except BaseException as error:
                    _end(call, client, None, error)
                    raise
                _end(call, client, answer, None)
                return answer

            return answer_later  # type: ignore[return-value]

        @functools.wraps(function)
        def answer_now(*args: P.args, **kwargs: P.kwargs) -> R:
            call = _begin(function, about, user, client, args, kwargs)
            try:
                answer = function(*args, **kwargs)
            except BaseException as error:
                _end(call, client, None, error)
                raise
            _end(call, client, answer, None)
            return answer

        return answer_now

    return decorate


def _begin(
    function: Callable[..., Any],
    about: Callable[..., About],
    user: Callable[[], str | None] | None,
    client: Client | None,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> OpenCall | None:
    try:
        inputs = inspect.signature(function).bind_partial(*args, **kwargs).arguments
        whose = about(user=None if user is None else user())
        return OpenCall(whose, dict(inputs), current.get())
    except Exception as error:  # recording must never break the application
        (client or default_client()).swallow(error)
        return None


def _end(
    call: OpenCall | None, client: Client | None, answer: object, error: BaseException | None
) -> None:
    if call is None:
        return
    to = client or default_client()
    try:
        to.put(call.end(as_fields(answer, "output"), error))
    except Exception as problem:  # as above
        call.give_up()
        to.swallow(problem)
