"""ModelSpec -> Connection: the one place where a model string becomes something that answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import dspy
from dspy.lm15 import Config, LM15Error, Message, Request
from dspy.utils.exceptions import (
    LMAuthError,
    LMConfigurationError,
    LMError,
    LMInvalidRequestError,
    LMTimeoutError,
    LMTransportError,
)

from upturn.errors import ModelError
from upturn.lm.cache import AnswerCache
from upturn.lm.engine import AnswerEngine, AsyncAnswerEngine, Engine
from upturn.lm.folder import check_folder, folder_hash, require_local_extra
from upturn.lm.meter import Meter
from upturn.lm.spec import FOLDER_PREFIX, MINI, ModelSpec
from upturn.records import content_hash

if TYPE_CHECKING:
    from collections.abc import Callable

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
        self._inner = engine.inner
        self._probe = probe or engine.inner
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

    def probe(self) -> None:
        """Asks for one tiny answer, past cache and meter, without retries.

        Raises:
            ModelError: unreachable, refused key, unknown model, or an answer that is none.
        """
        config = Config(max_tokens=_PROBE_TOKENS, temperature=self.spec.temperature)
        request = Request(model=self.model_id, messages=(Message.user("Say ok."),), config=config)
        try:
            self._probe.complete(request)
        except (LMError, LM15Error) as error:
            raise _explain(error, self.spec) from error

    def close(self) -> None:
        """Ends the worker or closes the sockets; the cache stays open, it is the caller's."""
        self._inner.close()
        if self._probe is not self._inner:
            self._probe.close()

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
    spec: ModelSpec, *, cache: AnswerCache, meter: Meter, threads: int | None = None
) -> Connection:
    """Connects to a model; a local one is loaded now, a remote one is not called yet.

    Args:
        cache: answers that were paid for; stays the caller's.
        meter: counts and caps.
        threads: torch's threads for a local model; None for all cores.

    Raises:
        ModelError: a folder lacks a file, or a key is not set.
        MissingExtraError: a local model without torch or transformers.
    """
    if not spec.is_local:
        from upturn.lm.remote import RemoteEngine

        remote, probe = RemoteEngine(spec), RemoteEngine(replace(spec, num_retries=0))
        return connect_engine(
            remote, model_id=_remote_id(spec), cache=cache, meter=meter, spec=spec, probe=probe
        )
    folder, model_id = locate(spec)
    from upturn.lm.local import LocalEngine

    engine = LocalEngine(folder, model_id=model_id, threads=threads)
    return connect_engine(engine, model_id=model_id, cache=cache, meter=meter, spec=spec)


def connect_engine(
    engine: Engine,
    *,
    model_id: str,
    cache: AnswerCache,
    meter: Meter,
    spec: ModelSpec | None = None,
    probe: Engine | None = None,
) -> Connection:
    """Connects to any engine: what ``connect`` ends in, and the seam for tests.

    Args:
        engine: closed with the connection.
        model_id: must name the model's content.
        spec: settings and prices; the defaults of ``ModelSpec`` if None.
        probe: the engine that ``Connection.probe`` asks; ``engine`` if None.
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


def _explain(error: Exception, spec: ModelSpec) -> ModelError:
    """Says what a failed probe means for whoever wrote the config."""
    server = spec.api_base or f"the provider of {spec.model}"
    if isinstance(error, LMTransportError | LMTimeoutError):
        return ModelError(
            f"the server must be reachable ({error})",
            where=f"model.api_base={server}",
            fix=f"start the server, or: curl {spec.api_base}/models" if spec.api_base else "",
        )
    if isinstance(error, LMAuthError | LMConfigurationError):
        name = spec.api_key_env or "the provider's key variable"
        return ModelError(
            f"the key must be accepted by {server} ({error})",
            where="model.api_key_env",
            fix=f"set {name} to a valid key, or name another variable in model.api_key_env",
        )
    if isinstance(error, LMInvalidRequestError):
        return ModelError(
            f"the model must be known to {server} ({error})",
            where=f"model.model={spec.model}",
            fix=f"curl {spec.api_base}/models" if spec.api_base else "correct model.model",
        )
    return ModelError(
        f"the server must answer with a completion ({error})",
        where=f"model.api_base={server}",
        fix="check that the address is that of an OpenAI-compatible API, often ending in /v1",
    )


def identify(spec: ModelSpec) -> str:
    """Returns the id that a connection to this model will have, without loading or calling it.

    Raises:
        ModelError: a local folder lacks a file.
        MissingExtraError: a local model without torch or transformers.
    """
    return locate(spec)[1] if spec.is_local else _remote_id(spec)
