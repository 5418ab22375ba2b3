"""Looks up events where a config reads them: in its feedback store, or in its log."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from upturn.config import Config, FeedbackLogSection, FeedbackStoreSection, load_config
from upturn.errors import ConfigError, InputError
from upturn.events import Feedback, Request
from upturn.pipeline.parts import Parts
from upturn.pipeline.rows import store_url


@dataclass(frozen=True, kw_only=True)
class Events:
    """Where events are looked up.

    Attributes:
        where: the store or log, for a person; or why there is none.
        known: whether there is one.
        request: id -> the request, None where it is not there.
        feedback_on: id of a request -> what was said of it.
    """

    where: str
    known: bool = True
    request: Callable[[str], Request | None] = lambda request_id: None
    feedback_on: Callable[[str], Sequence[Feedback]] = lambda request_id: ()


@contextmanager
def open_events(
    program: str, config: Path | None, *, folder: Path | None = None
) -> Generator[Events]:
    """Opens the events of a program.

    Args:
        program: its name, which is its config's.
        config: the config; the one of that name in ``folder`` where None.
        folder: where configs are; ``configs`` by default.

    Raises:
        ConfigError: the config that was given does not load, or is another program's.
        DataError, StorageError: the log or the store cannot be read.
    """
    path = config or _found(program, folder or Path("configs"))
    if path is None:
        yield Events(where="no config of this name: give it with --config", known=False)
        return
    with ExitStack() as stack:
        try:
            events = _opened(program, path, stack)
        except InputError as error:
            if config is not None:
                raise
            events = Events(where=f"{path} could not be followed: {error.what}", known=False)
        yield events


def _opened(program: str, path: Path, stack: ExitStack) -> Events:
    parts = Parts.load(path)
    if parts.config.name != program:
        raise ConfigError(f"must be of {program}, got {parts.config.name}", where=str(path))
    data = parts.config.data
    if isinstance(data, FeedbackStoreSection):
        from upturn.store import FeedbackStore

        store = FeedbackStore.open(store_url(data, parts.root), create=False)
        stack.enter_context(store)
        return Events(where=store.where, request=store.request, feedback_on=store.feedback_on)
    if isinstance(data, FeedbackLogSection):
        return _of_log(parts, data)
    return Events(where="the data came with its labels: there are no events", known=False)


def _of_log(parts: Parts, data: FeedbackLogSection) -> Events:
    now = datetime.fromisoformat(data.now) if data.now else datetime.now(UTC)
    log = parts.reader.log(data, now)
    requests = {r.id: r for r in log.requests}
    said: dict[str, list[Feedback]] = {}
    for f in log.feedback:
        said.setdefault(f.request_id, []).append(f)
    return Events(
        where=", ".join(data.paths),
        request=requests.get,
        feedback_on=lambda request_id: said.get(request_id, ()),
    )


def _found(program: str, folder: Path) -> Path | None:
    """The config of a program's name; others in the folder may be broken."""
    for path in sorted(folder.glob("*.yaml")):
        try:
            config: Config = load_config(path, None)
        except InputError:
            continue
        if config.name == program:
            return path
    return None
