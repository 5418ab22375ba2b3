"""On this machine: one process, several through torchrun, or as an accelerate config says."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from upturn.errors import ConfigError
from upturn.finetune.folder import JobFolder
from upturn.finetune.launch.base import GuardedProcess, Running
from upturn.finetune.records import WorkOrder
from upturn.finetune.spec import RunSpec

#: How accelerate calls what spreads one copy of the weights over processes.
_SHARDED = ("FSDP", "DEEPSPEED", "MEGATRON_LM", "TP")
WORKER = ("-m", "upturn.finetune.worker")


@dataclass(frozen=True, kw_only=True)
class LocalLauncher:
    """Starts the worker here. Implements ``Launcher``.

    Attributes:
        worker: what Python is told to run; another one in tests.
    """

    worker: Sequence[str] = WORKER

    def start(self, folder: JobFolder, order: WorkOrder, *, lock: int) -> Running:
        """Starts it.

        Raises:
            ConfigError: ``run.accelerate_config`` names no file.
        """
        command = local_command(order.spec.run, folder.path, worker=self.worker)
        return GuardedProcess(command, log=folder.log, lock=lock)


def local_command(
    run: RunSpec, folder: Path, *, worker: Sequence[str] = WORKER, check: bool = True
) -> list[str]:
    """Returns the command of a job's worker on a machine.

    Args:
        run: how many processes, or which accelerate config.
        folder: of the job.
        worker: what Python is told to run.
        check: look whether the accelerate config is there; not for another machine.

    Raises:
        ConfigError: ``run.accelerate_config`` names no file, or one that cuts weights into parts.
    """
    script = [*worker, str(folder)]
    if run.accelerate_config:
        config = Path(run.accelerate_config)
        if check and not config.is_file():
            raise ConfigError(
                f"must be a file that `accelerate config` wrote, got {config}",
                where="run.accelerate_config",
                fix=f"accelerate config --config_file {config}",
            )
        if check:
            _refuse_sharding(config)
        launch = ["-m", "accelerate.commands.launch", "--config_file", str(config)]
        return [sys.executable, *launch, *script]
    if run.processes > 1:
        count = f"--nproc-per-node={run.processes}"
        return [sys.executable, "-m", "torch.distributed.run", "--standalone", count, *script]
    return [sys.executable, *script]


def _refuse_sharding(config: Path) -> None:
    """Evaluations generate, and checkpoints hold, with whole weights in each process."""
    try:
        kind = str(yaml.safe_load(config.read_text(encoding="utf-8"))["distributed_type"]).upper()
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        raise ConfigError(
            "must be a file that `accelerate config` wrote, with a distributed_type",
            where=str(config),
            fix=f"accelerate config --config_file {config}",
        ) from error
    if kind in _SHARDED:
        raise ConfigError(
            f"distributed_type must keep weights whole (NO, MULTI_GPU, MULTI_CPU), got {kind}: "
            "a model that does not fit one device cannot be trained here yet",
            where=str(config),
            fix="accelerate config again, or a smaller base",
        )
