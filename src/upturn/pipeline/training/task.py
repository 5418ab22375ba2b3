"""A job file with its config: program, data and base model, and which key belongs to which file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from upturn.config import Config, Job, load_job, project_root
from upturn.errors import ConfigError
from upturn.finetune.launch import CommandLauncher, Launcher, LocalLauncher
from upturn.finetune.spec import JobSpec
from upturn.lm import ModelSpec
from upturn.lm.connect import locate
from upturn.pipeline.parts import Parts
from upturn.pipeline.weights import resolve


@dataclass(frozen=True)
class Task:
    """What a job file stands for.

    Attributes:
        job: the resolved job.
        path: the file it came from.
        parts: of its config, with the job's base model in place of the config's.
    """

    job: Job
    path: Path
    parts: Parts

    @classmethod
    def load(cls, path: Path, overrides: list[str] | None = None) -> Task:
        """Reads a job and its config.

        An override is the job's where the job has its first key; else it is the config's:
        ``optim.learning_rate=1.0e-3`` and ``workspace=elsewhere`` both work.

        Raises:
            ConfigError: all problems of a file at once, or the base is no local model.
        """
        for_job, for_config = _parted(overrides or [])
        job = load_job(path, for_job)
        parts = Parts.load(project_root(path) / job.config, for_config)
        if job.base is not None:
            section = parts.config.model.model_copy(update={"name": job.base})
            parts = parts.with_model(section)
        if not parts.model.is_local:
            raise ConfigError(
                f"must be weights on this machine (upturn-mini or hf:FOLDER), got "
                f"{parts.model.model}",
                where=f"{path}: base",
                fix="base=upturn-mini, or base=hf:FOLDER",
            )
        return cls(job, path, parts)

    @cached_property
    def base(self) -> tuple[Path, str]:
        """Folder and id of the base model.

        Raises:
            ModelError: the folder lacks a file.
            MissingExtraError: torch or transformers is not installed.
        """
        return locate(self.model)

    @property
    def model(self) -> ModelSpec:
        return self.parts.model

    @cached_property
    def spec(self) -> JobSpec:
        """What the trainer is asked for; files and the adapter to start from are absolute paths.

        Raises:
            ConfigError: ``start`` names no adapter.
        """
        made = self.job.spec()
        config = made.run.accelerate_config
        if config is not None:
            run = replace(made.run, accelerate_config=str((self.root / config).resolve()))
            made = replace(made, run=run)
        if made.start is None:
            return made
        adapter = resolve(made.start, root=self.root, workspace=self.parts.workspace)
        return replace(made, start=str(adapter.folder.resolve()))

    @property
    def root(self) -> Path:
        """The folder that relative paths of job and config start from."""
        return self.parts.root

    def launcher(self) -> Launcher:
        """Where the worker runs.

        Raises:
            ConfigError: the command is none.
            MissingExtraError: Ray is not installed.
        """
        kind = self.job.executor.kind
        if kind == "command":
            return CommandLauncher(template=self.job.executor.command)
        if kind == "ray":
            from upturn.finetune.launch.ray import RayLauncher
            from upturn.scaleout import RayOptions

            return RayLauncher(options=RayOptions(**self.parts.config.ray.model_dump()))
        return LocalLauncher()


def _parted(overrides: list[str]) -> tuple[list[str], list[str]]:
    """Returns the overrides of the job, unknown keys included, and those of its config."""
    for_config = [o for o in overrides if _first(o) in Config.model_fields.keys() - _JOB]
    return [o for o in overrides if o not in for_config], for_config


def _first(override: str) -> str:
    return override.partition("=")[0].partition(".")[0]


_JOB = Job.model_fields.keys()
