"""The language model as an optimizer sees it: halting, and with samples that are samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import dspy
from dspy.utils.exceptions import AdapterParseError

from upturn.errors import OutageError
from upturn.lm import classify, ours, rollout
from upturn.lm.engine import AsyncAnswerEngine
from upturn.peers.halt import Switch
from upturn.records import FailureKind

if TYPE_CHECKING:
    from upturn.lm.connect import Connection

Role = Literal["task", "prompt"]


class PeerModel(dspy.LM):
    """A connection's model, on the same engine, cache, caps and meter.

    It differs in two ways. An outage or a cap halts the optimizer. And ``rollout_id`` and ``n``,
    with which DSPy asks for another sample, reach the answer cache, which would else give the same
    sample again.

    Args:
        connection: answers.
        switch: ends the run.
        role: ``task`` runs the program, ``prompt`` writes instructions.
        temperature: instead of the connection's own, where a candidate sets it.
    """

    def __init__(
        self, connection: Connection, switch: Switch, role: Role, temperature: float | None = None
    ) -> None:
        lm: Any = connection.lm
        kwargs: dict[str, Any] = dict(lm.kwargs)
        if temperature is not None:
            kwargs["temperature"] = temperature
        super().__init__(
            lm.model,
            engine=lm.engine,
            async_engine=AsyncAnswerEngine(lm.engine),
            cache=False,
            num_retries=0,
            **kwargs,
        )
        self.switch, self.role = switch, role

    def __call__(self, prompt: Any = None, *, messages: Any = None, **kwargs: Any) -> Any:
        """Returns DSPy's list of outputs.

        Raises:
            Halt: an outage, a cap, or an error of ours; see ``lm.failures.classify``.
        """
        merged = {**self.kwargs, **kwargs}
        first = merged.get("rollout_id") or 0 if merged.get("temperature") else 0
        outputs: list[Any] = []
        for sample in range(merged.get("n") or 1):
            with self.switch.call(), rollout(first + sample):
                try:
                    outputs += super().__call__(prompt, messages=messages, **{**kwargs, "n": 1})
                except Exception as error:  # any error at all: its kind says what becomes of it
                    raise self._fate(error) from error
        return outputs

    def _fate(self, error: Exception) -> BaseException:
        kind = classify(error)
        own = ours(error)
        if own is not None:
            return self.switch.off(own)
        if kind is FailureKind.OUTAGE:
            return self.switch.off(
                OutageError(
                    f"the model could not be reached: {type(error).__name__}: {error}",
                    fix="run the same command again when it is back: what was paid for is kept",
                )
            )
        return error


class PeerAdapter(dspy.Adapter):
    """Formats by role: the program's calls as our evaluator does, a prompt model's as DSPy does.

    A prompt model that answers out of format would end MIPROv2 and COPRO with an error; here the
    instruction that was to be improved stays as it is, and ``unread`` counts how often.

    Args:
        task: the adapter that our evaluator runs the start candidate with.
    """

    def __init__(self, task: Any) -> None:
        super().__init__()
        self._task = task
        self._prompt = dspy.ChatAdapter()
        self.unread = 0

    def __call__(
        self,
        lm: Any,
        lm_kwargs: dict[str, Any],
        signature: Any,
        demos: list[dict[str, Any]],
        inputs: dict[str, Any],
    ) -> list[dict[str, Any]]:
        """Returns the parsed outputs, one for each sample."""
        if getattr(lm, "role", "task") == "task":
            return self._task(lm, lm_kwargs, signature, demos, inputs)
        try:
            return self._prompt(lm, lm_kwargs, signature, demos, inputs)
        except AdapterParseError:
            self.unread += 1
            if "basic_instruction" not in inputs:
                raise
            kept = dict.fromkeys(signature.output_fields, "")
            kept["proposed_instruction"] = inputs["basic_instruction"]
            return [dict(kept) for _ in range(lm_kwargs.get("n") or 1)]
