"""Runs one of DSPy's optimizers and records every program that it runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import dspy

from upturn.errors import BudgetExceededError, UpturnError
from upturn.lm.adapters import adapter as program_adapter
from upturn.peers.base import Claim, Ground, Peer, PeerRules, Task
from upturn.peers.halt import Halt, Switch
from upturn.peers.judge import Judge
from upturn.peers.model import PeerAdapter, PeerModel
from upturn.peers.quiet import quiet
from upturn.peers.recorder import Recorder, Seen
from upturn.peers.translate import Reader, dspy_rows
from upturn.records import Candidate, Example

#: DSPy gives up an evaluation after ten failed rows and scores it 0; ours are counted instead.
_NO_LIMIT = 10**9


class PeerFailedError(UpturnError):
    """The optimizer itself raised."""


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What an optimizer did.

    Attributes:
        programs: every program that it ran, in the order of their first call.
        student: the start candidate as its program spells it.
        choice: the program that it chose; None where it did not come to an end.
        claimed: the score that it reports of its choice, a fraction.
        stopped: why it did not come to an end, or "".
        unread: answers of the prompt model that could not be read.
    """

    programs: tuple[Seen, ...]
    student: Candidate
    choice: Candidate | None
    claimed: float | None
    stopped: str
    unread: int


def observe(
    peer: Peer,
    ground: Ground,
    *,
    rules: PeerRules,
    may_go_on: Callable[[], str] = lambda: "",
    log: Callable[[str], None] = lambda line: None,
) -> Observed:
    """Runs an optimizer to its end, or until a cap is reached.

    Args:
        peer: which optimizer.
        ground: what it works on.
        rules: how much is tried.
        may_go_on: asked before each call; what it returns ends the run, like a cap.
        log: told a line now and then.

    Raises:
        OutageError, MetricError, StorageError: the run cannot go on; what was paid for is kept.
        BudgetExceededError: a cap was reached before any program was judged.
        UpturnError: the optimizer failed before any program was judged.
    """
    switch = Switch(may_go_on)
    train, searched = _pairs(ground.train), _pairs(ground.searched)
    built = ground.program.assemble(ground.start)
    reader = Reader.of(built, ground.start, peer.name)
    recorder = Recorder(
        built.module,
        {part: {"train": train, "searched": searched}[part] for part in peer.judges_on},
        meter=ground.meter,
        switch=switch,
        reader=reader,
        log=log,
    )
    adapter = PeerAdapter(program_adapter(built.settings.adapter))
    task = Task(
        student=built.module,
        train=[made for _, made in train],
        searched=[made for _, made in searched],
        metric=Judge(ground.metric, ground.program.fields.outputs, recorder, switch),
        prompt_model=PeerModel(ground.strong or ground.connection, switch, "prompt"),
        rules=rules,
    )
    model = PeerModel(ground.connection, switch, "task", built.settings.temperature)
    student = reader.candidate(built.module)
    with quiet(), _context(model, adapter, recorder):
        claim, error = _run(peer, task, switch)
    programs = tuple(recorder.programs())
    if error is not None and not (programs and _may_end_early(error)):
        raise error
    return Observed(
        programs=programs,
        student=student,
        choice=None if claim is None else reader.candidate(claim.program),
        claimed=None if claim is None else claim.score,
        stopped="" if error is None else error.what,
        unread=adapter.unread,
    )


def _pairs(examples: Sequence[Example]) -> list[tuple[Example, Any]]:
    return list(zip(examples, dspy_rows(examples), strict=True))


def _context(model: Any, adapter: Any, recorder: Recorder) -> Any:
    return dspy.context(
        lm=model,
        adapter=adapter,
        callbacks=[*dspy.settings.callbacks, recorder],
        max_errors=_NO_LIMIT,
        disable_history=True,
    )


def _run(peer: Peer, task: Task, switch: Switch) -> tuple[Claim | None, UpturnError | None]:
    try:
        return peer.optimize(task), None
    except Halt as halt:
        return None, halt.error
    except Exception as error:  # an optimizer may raise anything; what it ran is kept
        message = f"{type(error).__name__}: {error}"[:300]
        return None, PeerFailedError(
            f"{peer.name} must come to its end, got {message}",
            fix="name a stronger proposer_model, or set optimizer: upturn",
        )
    finally:
        # Also after an interrupt: what still waits in DSPy's threads must not be paid for.
        switch.off(UpturnError(f"{peer.name} has ended"))
        switch.wait()


def _may_end_early(error: UpturnError) -> bool:
    """Caps and failures of the optimizer itself leave what was judged; the world's do not."""
    return isinstance(error, BudgetExceededError | PeerFailedError)
