"""``upturn.record(program)``: writes down what a ``dspy.Module`` is asked and what it answers.

DSPy calls a module's callbacks around each of its calls, sync and async; one dispatcher is put
among them for as long as anybody records. DSPy itself is not imported here.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

from upturn.client.calls import About, OpenCall, as_fields
from upturn.client.client import Client
from upturn.client.context import current
from upturn.client.modules import inputs_of, is_module, model_of, sub_modules, usage_of

_lock = threading.Lock()
#: The recorders that were entered in this thread or task.
_entered: ContextVar[tuple[Recorder, ...]] = ContextVar("upturn_recorders", default=())


class Recorder:
    """Records the calls of one program while it is entered.

    A call belongs to the recorder that was entered in its own thread or task. A call in another
    one is recorded too, without user, session, slices and consent: whose it is, nobody knows.

    Args:
        program: a ``dspy.Module``. Anything else is left alone, with a warning.
        about: what to say about the calls.
        steps: record the modules inside too, each as a request whose parent is the one around it.
        client: where to.
    """

    def __init__(self, program: Any, about: About, *, steps: bool, client: Client) -> None:
        self.about = about
        self.program = program
        self.client = client
        self._steps = steps
        self._watched: list[Any] = []

    def __enter__(self) -> Recorder:
        try:
            if is_module(self.program):
                inner = sub_modules(self.program) if self._steps else []
                self._watched = [self.program, *inner]
                for module in self._watched:
                    _dispatcher(module).add(self)
            else:
                self.client.invalid("record() takes a dspy.Module; use recorded() for functions")
            _entered.set((*_entered.get(), self))
        except Exception as error:  # recording must never break the program
            self.client.swallow(error)
        return self

    def __exit__(self, *error: object) -> None:
        try:
            _entered.set(tuple(r for r in _entered.get() if r is not self))
            for module in self._watched:
                _remove(module, self)
            self._watched = []
        except Exception as problem:  # as above
            self.client.swallow(problem)

    async def __aenter__(self) -> Recorder:
        return self.__enter__()

    async def __aexit__(self, *error: object) -> None:
        self.__exit__(*error)

    def about_module(self, module: Any, *, own: bool) -> About:
        """Returns what to say about a call of the program, or of a module inside it.

        Args:
            module: what is called.
            own: whether the call is made where this recorder was entered.
        """
        a = self.about
        if not own:
            a = About(program=a.program, version=a.version, model=a.model)
        if module is self.program:
            return a
        name = type(module).__name__
        return replace(a, program=f"{a.program}.{name}", model=None)


class _Dispatcher:
    """A DSPy callback on one module: hands its calls to the right recorder."""

    def __init__(self) -> None:
        self.recorders: list[Recorder] = []
        self._open: dict[str, tuple[Recorder, Any, OpenCall]] = {}

    def __deepcopy__(self, memo: object) -> _Dispatcher:
        return _Dispatcher()  # a copy of the module is another module: nobody records it

    def add(self, recorder: Recorder) -> None:
        with _lock:
            self.recorders.append(recorder)

    def on_module_start(self, call_id: str, instance: Any, inputs: Mapping[str, Any]) -> None:
        own = [r for r in _entered.get() if r in self.recorders]
        # The list may become empty between two looks: copied once.
        recorder = (own or list(self.recorders) or [None])[-1]
        if recorder is None:
            return
        try:
            about = recorder.about_module(instance, own=bool(own))
            call = OpenCall(about, inputs_of(instance, inputs), current.get())
            self._open[call_id] = (recorder, instance, call)
        except Exception as error:  # recording must never break the program
            recorder.client.swallow(error)

    def on_module_end(
        self, call_id: str, outputs: Any, exception: BaseException | None = None
    ) -> None:
        recorder, instance, call = self._open.pop(call_id, (None, None, None))
        if recorder is None or call is None:
            return
        try:
            line = call.end(
                as_fields(outputs, "output"),
                exception,
                model=recorder.about.model or model_of(instance),
                usage=usage_of(outputs),
            )
            _sign(outputs, call.id)
            recorder.client.put(line)
        except Exception as error:  # as above
            call.give_up()
            recorder.client.swallow(error)


def _dispatcher(module: Any) -> _Dispatcher:
    with _lock:
        for callback in module.callbacks:
            if isinstance(callback, _Dispatcher):
                return callback
        made = _Dispatcher()
        # A new list: the old one may be shared with other modules.
        module.callbacks = [*module.callbacks, made]
        return made


def _remove(module: Any, recorder: Recorder) -> None:
    with _lock:
        for callback in module.callbacks:
            if isinstance(callback, _Dispatcher) and recorder in callback.recorders:
                callback.recorders.remove(recorder)
                if not callback.recorders:
                    module.callbacks = [c for c in module.callbacks if c is not callback]


def _sign(outputs: Any, request_id: str) -> None:
    """Makes ``answer.request_id`` work, without adding an output field."""
    store = getattr(outputs, "_store", None)
    if isinstance(store, dict) and "request_id" not in store:
        # Past Example.__setattr__, which would make it a field of the answer.
        object.__setattr__(outputs, "request_id", request_id)


def recorder_of(
    program: Any,
    *,
    client: Client,
    name: str | None,
    version: str | None,
    user: str | None,
    session: str | None,
    slices: Mapping[str, str] | None,
    consent: Iterable[str] | None,
    steps: bool,
) -> Recorder:
    """Returns a recorder of a program; its name is that of its class where none is given."""
    about = About(
        program=name or type(program).__name__,
        version=version,
        user=user,
        session=session,
        slices=slices or {},
        consent=consent,
    )
    return Recorder(program, about, steps=steps, client=client)
