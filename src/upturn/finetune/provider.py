"""DSPy's fine-tuning on our jobs: ``dspy.BootstrapFinetune`` and ``dspy.BetterTogether``.

    lm = upturn.local_lm("upturn-mini")
    program.set_lm(lm)
    dspy.BootstrapFinetune(metric, train_kwargs={"max_steps": 60}).compile(program, trainset=rows)

DSPy collects traces and writes them as chat messages. They are encoded as our engine sends them,
trained on by our worker in its own process, and kept as an adapter of the workspace. DSPy then
copies the LM under the model string ``<base>+<adapter>``. The same data and settings are the same
job: one that was broken off goes on, one that is done is not trained again.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from dspy.clients.provider import Provider, TrainingJob
from dspy.clients.utils_finetune import TrainDataFormat, TrainingStatus

from upturn.errors import ConfigError, StoppedError
from upturn.finetune.chat_job import ChatJob
from upturn.finetune.folder import JobFolder
from upturn.finetune.launch import Launcher, LocalLauncher, Running
from upturn.finetune.local_lm import WORKSPACE, LocalLM, LocalModels
from upturn.finetune.records import WorkOrder
from upturn.lm import ModelSpec


class UpturnJob(TrainingJob):
    """One training that DSPy asked for, with what it needs to run here.

    Args:
        models: the base and its workspace.
        launcher: where the worker runs.
        kwargs: as DSPy gives them: thread, model, train_data, train_data_format, train_kwargs.
    """

    def __init__(self, models: LocalModels, launcher: Launcher, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.models = models
        self._launcher = launcher
        self._lock = threading.Lock()
        self._running: Running | None = None
        self._cancelled = False

    def start(self, folder: JobFolder, order: WorkOrder, *, lock: int) -> Running:
        """Starts the worker, so that it can be stopped. Implements ``Launcher``.

        Raises:
            StoppedError: it was cancelled before.
        """
        with self._lock:
            if self._cancelled:
                raise StoppedError("cancelled before it began", where=str(folder.path))
            self._running = self._launcher.start(folder, order, lock=lock)
            return self._running

    def cancel(self) -> bool:
        """Asks the worker to write a checkpoint and to end; ``result()`` is a StoppedError then.

        Returns:
            Whether there was something left to cancel.
        """
        with self._lock:
            if self.done():
                return False
            self._cancelled = True
            if self._running is not None:
                self._running.stop()
        return True

    def status(self) -> TrainingStatus:
        """Returns where the training is."""
        if not self.done():
            begun = self._running is not None
            return TrainingStatus.running if begun else TrainingStatus.pending
        if self._cancelled:
            return TrainingStatus.cancelled
        # DSPy puts an exception where the LM would be.
        failed = isinstance(super().result(), Exception)
        return TrainingStatus.failed if failed else TrainingStatus.succeeded

    def result(self, timeout: float | None = None) -> Any:
        """Returns the LM with the adapter, or, as DSPy wants it, the exception.

        Ctrl-C while waiting stops the worker, too.
        """
        try:
            return super().result(timeout)
        except KeyboardInterrupt:
            self.cancel()
            raise


class UpturnProvider(Provider):
    """Trains LoRA adapters for ``upturn.local_lm``, which uses it by itself.

    Args:
        model: ``upturn-mini`` or ``hf:/a/folder``.
        workspace: where jobs and adapters are kept; that of the LM.
        launcher: where the worker runs; here if None.

    Raises:
        ConfigError: the model is a remote one.
        ModelError: its folder lacks a file.
    """

    def __init__(
        self,
        model: str = "upturn-mini",
        *,
        workspace: Path | str = WORKSPACE,
        launcher: Launcher | None = None,
    ) -> None:
        super().__init__()
        self.finetunable = True
        models = LocalModels(ModelSpec(model=model), workspace)
        chosen = launcher or LocalLauncher()
        made: Any = lambda **kwargs: UpturnJob(models, chosen, **kwargs)  # noqa: E731
        self.TrainingJob = made

    @staticmethod
    def finetune(
        job: TrainingJob,
        model: str,
        train_data: Sequence[Mapping[str, Any]],
        train_data_format: TrainDataFormat | str | None,
        train_kwargs: Mapping[str, Any] | None = None,
    ) -> str:
        """Trains an adapter and returns the model string that answers with it.

        Args:
            job: of this provider.
            model: the base, or the base with the adapter to train on.
            train_data: ``{"messages": [...]}``, the last message the assistant's.
            train_data_format: chat, which ``dspy.ChatAdapter`` gives.
            train_kwargs: names of ``train_kwargs.job_spec``.

        Raises:
            UpturnError: with what to do next; DSPy keeps it as the job's result and raises it.
        """
        if train_data_format not in (None, TrainDataFormat.CHAT):
            raise ConfigError(
                f"the training data must be chat messages, got the format {train_data_format}",
                where="train_data_format",
                fix="use dspy.ChatAdapter",
            )
        if not isinstance(job, UpturnJob):
            raise ConfigError(
                "the job must be one of this provider", fix="call lm.finetune of upturn.local_lm"
            )
        chat = ChatJob(models=job.models, launcher=job)
        return chat.train(model, train_data, train_kwargs or {})

    @staticmethod
    def kill(lm: Any, launch_kwargs: dict[str, Any] | None = None) -> None:
        """Frees the memory of the LM's model; it is loaded again when it is next asked."""
        if isinstance(lm, LocalLM):
            cast(LocalModels, lm.engine).close()
