"""ModelSpec -> Connection: the one place where a model string becomes something that answers."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import dspy
from dspy.lm15 import Config, LM15Error, Message, Request
from dspy.utils.exceptions import LMError

from upturn.errors import ModelError
from upturn.lm.engine import AnswerEngine, Answers, AsyncAnswerEngine, Engine, Metering
from upturn.lm.explain import explain, explain_refusal
from upturn.lm.folder import check_folder, folder_hash, require_local_extra
from upturn.lm.retries import is_rate_limit
from upturn.lm.spec import FOLDER_PREFIX, MINI, ModelSpec
from upturn.records import content_hash
from upturn.weights.adapter import adapted_id, check_base

if TYPE_CHECKING:
    from collections.abc import Callable

    from upturn.weights.adapter import Adapter

_PROBE_TOKENS = 16


class Connection:
    """A model that answers: hand ``lm`` to ``dspy.context(lm=...)``.

    Attributes:
        lm: for sync and async calls; caches, meters and caps; never stored in a program.
        model_id: the model's name and the hash of its content or address; part of every key.
        spec: what was connected.
    """

    def __init__(
        self, engine: AnswerEngine, spec: ModelSpec, *, probe: Engine | None = None
    ) -> None:
        self.spec = spec
        self.model_id = engine.model_id
        self._engine = engine
        self._inner = engine.inner
        self._probe = probe or engine.inner
        self._adapted: dict[str, Connection] = {}
        self._lock = threading.Lock()
        seed: dict[str, Any] = {} if spec.seed is None else {"seed": spec.seed}
        self.lm = dspy.LM(
            engine.model_id,
            engine=engine,
            async_engine=AsyncAnswerEngine(engine),
            cache=False,
            num_retries=0,
            temperature=spec.temperature,
            max_tokens=spec.max_tokens,
            **seed,
        )

    def with_weights(self, adapter: Adapter) -> Connection:
        """Returns a connection to this model with an adapter on.

        Same process, cache, meter and settings; a model id, and so answers, of its own. One adapter
        gives one connection. Closing it does nothing; it ends with this one.

        Raises:
            ModelError: the model is remote or has an adapter on, or the adapter is not one of it.
            CorruptionError: the adapter's files are not what its id names.
        """
        adapted: Callable[[Adapter], Engine] | None = getattr(self._inner, "adapted", None)
        if adapted is None:
            raise ModelError(
                f"weights need a local model that has none on yet, got {self.model_id}",
                where="weights",
                fix=f"set model.model to {MINI} or {FOLDER_PREFIX}FOLDER",
            )
        check_base(adapter, self.model_id)
        with self._lock:
            if adapter.id not in self._adapted:
                name = adapted_id(self.model_id, adapter)
                engine = self._engine.beside(adapted(adapter), name)
                self._adapted[adapter.id] = Connection(engine, self.spec)
            return self._adapted[adapter.id]

    def probe(self) -> None:
        """Asks for one tiny answer, past cache and meter, without retries.

        A server that is there and asks for fewer calls passes.

        Raises:
            ModelError: unreachable, refused key, unknown model, or an answer that is none.
        """
        config = Config(max_tokens=_PROBE_TOKENS, temperature=self.spec.temperature)
        request = Request(model=self.model_id, messages=(Message.user("Say ok."),), config=config)
        try:
            self._probe.complete(request)
        except (LMError, LM15Error) as error:
            # Who refuses for now is there; the turn's own calls can wait.
            if is_rate_limit(error):
                return
            raise explain(error, self.spec) from error

    def close(self) -> None:
        """Ends the worker or closes the sockets; the cache stays open, it is the caller's."""
        self._inner.close()

    def interrupt(self) -> None:
        """Makes calls that wait for a server give up, so that threads can end; from any thread."""
        interrupt = getattr(self._inner, "interrupt", None)
        if interrupt is not None:
            interrupt()

    async def aclose(self) -> None:
        """Closes this event loop's sockets of a remote model; call it before the loop ends."""
        aclose = getattr(self._inner, "aclose", None)
        if aclose is not None:
            await aclose()

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def connect(
    spec: ModelSpec,
    *,
    cache: Answers,
    meter: Metering,
    threads: int | None = None,
    tell: Callable[[str], None] = lambda sentence: None,
) -> Connection:
    """Connects to a model; a local one is loaded now, a remote one is not called yet.

    Args:
        cache: answers that were paid for; stays the caller's.
        meter: counts and caps.
        threads: torch's threads for a local model; None for all cores.
        tell: told in one sentence when a server makes the turn wait.

    Raises:
        ModelError: a folder lacks a file, or a key is not set.
        MissingExtraError: a local model without torch or transformers.
    """
    if not spec.is_local:
        from upturn.lm.remote import RemoteEngine
        from upturn.lm.steady import SteadyEngine

        remote = RemoteEngine(spec)
        steady = SteadyEngine(remote, spec, explain=partial(explain_refusal, spec=spec), tell=tell)
        return connect_engine(
            steady, model_id=_remote_id(spec), cache=cache, meter=meter, spec=spec, probe=remote
        )
    folder, model_id = locate(spec)
    from upturn.lm.local import LocalEngine

    engine = LocalEngine(folder, model_id=model_id, threads=threads)
    return connect_engine(engine, model_id=model_id, cache=cache, meter=meter, spec=spec)


def connect_engine(
    engine: Engine,
    *,
    model_id: str,
    cache: Answers,
    meter: Metering,
    spec: ModelSpec | None = None,
    probe: Engine | None = None,
) -> Connection:
    """Connects to any engine: what ``connect`` ends in, and the seam for tests.

    Args:
        engine: closed with the connection.
        model_id: must name the model's content.
        spec: settings and prices; the defaults of ``ModelSpec`` if None.
        probe: the engine that ``Connection.probe`` asks; ``engine`` if None. ``engine`` closes it.
    """
    spec = spec or ModelSpec(model=model_id)
    cost_usd: Callable[[int, int], float] = spec.cost_usd
    answers = AnswerEngine(engine, model_id=model_id, cache=cache, meter=meter, cost_usd=cost_usd)
    return Connection(answers, spec, probe=probe)


def locate(spec: ModelSpec) -> tuple[Path, str]:
    """Returns a local model's folder and its id with the hash of its content.

    Raises:
        ModelError: the folder lacks a file.
        MissingExtraError: torch or transformers is not installed.
    """
    require_local_extra(f"the model {spec.model}")
    if spec.model == MINI:
        from upturn import mini

        return mini.weights_dir(), f"{MINI}@{mini.content_hash()}"
    folder = Path(spec.model.removeprefix(FOLDER_PREFIX)).expanduser()
    check_folder(folder)
    return folder, f"hf-{folder.resolve().name}@{folder_hash(folder)}"


def _remote_id(spec: ModelSpec) -> str:
    return f"{spec.model}@{content_hash(spec.api_base, length=8)}"


def identify(spec: ModelSpec) -> str:
    """Returns the id that a connection to this model will have, without loading or calling it.

    Raises:
        ModelError: a local folder lacks a file.
        MissingExtraError: a local model without torch or transformers.
    """
    return locate(spec)[1] if spec.is_local else _remote_id(spec)
