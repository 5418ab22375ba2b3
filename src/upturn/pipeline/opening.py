"""Opens what a turn runs on: the models of a config, and what runs candidates on them."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from upturn.evaluate import CandidateRunner, Evaluator
from upturn.lm import AnswerCache, Meter, Totals
from upturn.lm.connect import Connection
from upturn.lm.engine import Answers, Metering
from upturn.pipeline.canary.epochs import answers_now
from upturn.pipeline.parts import Parts
from upturn.pipeline.seams import World
from upturn.weights.adapter import Adapter


class Reading(Protocol):
    """What was spent so far, by this process and by those that work for it."""

    def totals(self) -> Totals: ...


@dataclass(frozen=True, kw_only=True)
class Engines:
    """What a turn runs on.

    Attributes:
        connection: the model that runs the program.
        strong: the model that writes instructions, or None.
        runner: runs candidates, here or on a cluster.
        meter: counts all calls of all models.
        others: further models by the config's names: those that the search may choose, and the
            judges of suites.
    """

    connection: Connection
    strong: Connection | None
    runner: CandidateRunner
    meter: Reading
    others: Mapping[str, Connection] = field(default_factory=dict)


@contextmanager
def open_engines(
    parts: Parts,
    world: World,
    cache: AnswerCache,
    *,
    calls_before: int,
    usd_before: float,
    adapters: Mapping[str, Adapter] | None = None,
) -> Generator[Engines]:
    """Connects to the models and opens what runs candidates; closes all in the end.

    Args:
        parts: the config's objects.
        world: how models are reached.
        cache: the answers that were paid for.
        calls_before, usd_before: paid by earlier attempts at the same turn; they count.
        adapters: the weights that candidates may run with, by id.

    Raises:
        ModelError: a model cannot be loaded or reached, or a key is not set.
        ConfigError, MissingExtraError: the cluster cannot be used.
    """
    with ExitStack() as stack:
        if parts.config.executor == "ray":
            yield _on_ray(parts, world, cache, stack, calls_before, usd_before)
            return
        meter = Meter(parts.caps, calls_before=calls_before, usd_before=usd_before)
        opened = Opener(parts, world, cache, meter, stack)
        connection, others = opened.main(), opened.others()
        evaluator = Evaluator(
            parts.program,
            parts.metric,
            connection,
            meter,
            concurrency=parts.config.model.concurrency,
            connections=others,
            adapters=adapters or {},
        )
        yield Engines(
            connection=connection,
            strong=opened.strong(),
            runner=stack.enter_context(evaluator),
            meter=meter,
            others=others,
        )


def _on_ray(
    parts: Parts,
    world: World,
    cache: AnswerCache,
    stack: ExitStack,
    calls_before: int,
    usd_before: float,
) -> Engines:
    from upturn.scaleout import Job, RayOptions, RayRunner, open_site

    options = RayOptions(**parts.config.ray.model_dump())
    site = stack.enter_context(
        open_site(
            options,
            cache=cache.path,
            turn=cache.turn,
            caps=parts.caps,
            calls_before=calls_before,
            usd_before=usd_before,
        )
    )
    opened = Opener(parts, world, site.line, site.line, stack)
    job = Job.read(
        parts.root,
        program=parts.config.program,
        metric=parts.config.metric,
        model=parts.model,
        models={n: parts.with_model(m).model for n, m in parts.config.models.items()},
        engine=world.worker_engine,
        threads=options.threads,
    )
    return Engines(
        connection=opened.main(),
        strong=opened.strong(),
        runner=stack.enter_context(RayRunner(job, site)),
        meter=site.line,
        # Rows of the search run on the workers; those of suites run here.
        others=opened.others() if parts.config.gate.suites else {},
    )


@dataclass(frozen=True)
class Opener:
    """Connects to a config's models, all with one cache and one purse."""

    parts: Parts
    world: World
    cache: Answers
    meter: Metering
    stack: ExitStack

    def main(self) -> Connection:
        """The model that runs the program."""
        return self.open(self.parts)

    def others(self) -> Mapping[str, Connection]:
        """The further models that the search may choose, and the judges of suites."""
        config = self.parts.config
        judges = [suite.judge for suite in config.gate.suites if suite.judge]
        return self.named((*config.search.space.model, *judges))

    def named(self, names: Iterable[str]) -> dict[str, Connection]:
        """Models by their names in the config, each opened once."""
        models = self.parts.config.models
        return {n: self.open(self.parts.with_model(models[n])) for n in dict.fromkeys(names)}

    def strong(self) -> Connection | None:
        """The model that writes instructions, where there is one."""
        section = self.parts.config.proposer_model
        return None if section is None else self.open(self.parts.with_model(section))

    def open(self, parts: Parts) -> Connection:
        """Connects to one model and asks it for a sign of life."""
        answers = answers_now(parts, self.world.identify, self.cache)
        connection = self.stack.enter_context(self.world.connect(parts, answers, self.meter))
        connection.probe()
        return connection
