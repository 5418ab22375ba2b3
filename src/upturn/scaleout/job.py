"""A job: all that a worker must know to run rows as this process would."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path

from upturn import __version__
from upturn.errors import ConfigError
from upturn.lm import ModelSpec
from upturn.records import Json, content_hash
from upturn.scaleout.sources import Sources


@dataclass(frozen=True, kw_only=True)
class Job:
    """Program, metric and model by reference; holds no secret, a key is named and never sent.

    Attributes:
        program, metric: ``file.py:Name`` below the root of ``sources``.
        model: the model that runs the program; each worker opens its own connection to it.
        models: further models, by the names that the setting ``model`` of a candidate uses.
        sources: the text of the files that the references name.
        engine: ``file.py:factory`` of a function without arguments that returns an ``Engine``, to
            be used in place of the model's own; None outside tests.
        threads: torch's threads for a local model, in each worker.
        version: the release of this package that made the job.
    """

    program: str
    metric: str
    model: ModelSpec
    sources: Sources = field(repr=False)
    models: Mapping[str, ModelSpec] = field(default_factory=dict)
    engine: str | None = None
    threads: int = 1
    version: str = __version__

    @classmethod
    def read(
        cls,
        root: Path,
        *,
        program: str,
        metric: str,
        model: ModelSpec,
        models: Mapping[str, ModelSpec] | None = None,
        engine: str | None = None,
        threads: int = 1,
    ) -> Job:
        """Makes a job from the files below ``root``.

        Raises:
            ProgramError: a file is missing, unreadable, or outside the root.
        """
        refs = [ref for ref in (program, metric, engine) if ref is not None]
        sources = Sources.read(root, refs)
        return cls(
            program=program,
            metric=metric,
            model=model,
            models=models or {},
            sources=sources,
            engine=engine,
            threads=threads,
        )

    @cached_property
    def id(self) -> str:
        """Content id: a worker builds the same job once."""
        return content_hash(self.to_json(), length=16)

    def to_json(self) -> dict[str, Json]:
        """Returns the job as JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Json]) -> Job:
        """Returns the job that ``to_json`` wrote.

        Raises:
            ConfigError: another release of this package wrote it.
        """
        if value["version"] != __version__:
            raise ConfigError(
                f"every node must run upturn {value['version']}, this one runs {__version__}",
                where="ray",
                fix="give all nodes of the cluster the same image",
            )
        made: dict[str, Json] = {
            "model": ModelSpec(**value["model"]),
            "models": {name: ModelSpec(**spec) for name, spec in value["models"].items()},
            "sources": Sources(**value["sources"]),
        }
        return cls(**{**value, **made})
