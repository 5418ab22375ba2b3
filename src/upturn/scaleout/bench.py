"""The bench of a worker process: program, metric and model, made ready once for many blocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from upturn.evaluate import Evaluator
from upturn.lm import Meter, ModelSpec
from upturn.lm.connect import Connection, connect, connect_engine
from upturn.programs import Program, load_metric, load_object
from upturn.records import Candidate, Example, Json, content_hash
from upturn.scaleout.job import Job
from upturn.scaleout.line import Line
from upturn.scaleout.sources import file_name
from upturn.scaleout.wire import plain, row_to_json


class Bench:
    """Runs blocks of rows of one job.

    Args:
        job: what to run.
        line: where answers and rights to pay come from.

    Attributes:
        closed: no more blocks can run here.

    Raises:
        ProgramError: program, metric or engine does not load on this node.
        ModelError: the model cannot be loaded, or its key is not set on this node.
        MissingExtraError: a local model on a node without torch or transformers.
    """

    def __init__(self, job: Job, line: Line) -> None:
        self._line = line
        self.closed = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="upturn-block")
        # Imported code needs its file no longer, so that a node keeps nothing of the project.
        with job.sources.unpacked() as root:
            program, metric = Program(job.program, root), load_metric(job.metric, root)
            opener = _Opener(job, line, root)
            connection = opener.open(job.model)
            self._connections = _Connections(job.models, opener)
            self._evaluator = Evaluator(
                program,
                metric,
                connection,
                # Only asked to record, and calls are recorded per context, whoever counts them.
                Meter(),
                concurrency=job.model.concurrency,
                connections=self._connections,
            )
        self._connection = connection

    def rows(self, ticket: str, candidate: Json, examples: Sequence[Json]) -> list[Json]:
        """Runs one block; returns its rows in the order of the examples.

        Raises:
            UpturnError: as ``Evaluator.evaluate``; outages and caps are rows here.
        """
        self._line.take(ticket)
        made = Candidate.from_json(candidate), [Example.from_json(e) for e in examples]
        # On a thread, because Ray calls a task off by an exception in this one: here it finds
        # nothing half done, and can end what the rows wait for.
        block = self._thread.submit(self._evaluator.evaluate, *made, tolerant=True)
        try:
            rows = block.result().rows
        except KeyboardInterrupt:
            self.close()
            raise
        finally:
            self._line.flush()
        return [row_to_json(row) for row in rows]

    def trace(self, ticket: str, candidate: Json, example: Json) -> Json:
        """Returns predictor name -> the fields it read and wrote, as JSON."""
        self._line.take(ticket)
        steps = self._evaluator.trace(Candidate.from_json(candidate), Example.from_json(example))
        self._line.flush()
        return plain(steps)

    def close(self) -> None:
        """Ends threads and models: rows in flight end, rows that wait for a server give up."""
        self.closed = True
        connections = [self._connection, *self._connections.opened]
        for connection in connections:
            connection.interrupt()
        self._evaluator.close()
        self._thread.shutdown()
        for connection in connections:
            connection.close()


class _Opener:
    """Opens models for one job."""

    def __init__(self, job: Job, line: Line, root: Path) -> None:
        self._job, self._line = job, line
        self._factory = load_object(job.engine, root)[0] if job.engine else None

    def open(self, spec: ModelSpec) -> Connection:
        line = self._line
        if self._factory is None:
            return connect(spec, cache=line, meter=line, threads=self._job.threads, tell=self._tell)
        model_id = engine_id(self._job, spec)
        return connect_engine(self._factory(), model_id=model_id, cache=line, meter=line, spec=spec)

    def _tell(self, sentence: str) -> None:
        self._line.call("tell", sentence)


class _Connections(Mapping[str, Connection]):
    """The further models by name; each is loaded when a candidate first asks for it."""

    def __init__(self, specs: Mapping[str, ModelSpec], opener: _Opener) -> None:
        self._specs, self._opener = specs, opener
        self._open: dict[str, Connection] = {}

    def __getitem__(self, name: str) -> Connection:
        if name not in self._open:
            self._open[name] = self._opener.open(self._specs[name])
        return self._open[name]

    def __contains__(self, name: object) -> bool:
        return name in self._specs

    def __iter__(self) -> Iterator[str]:
        return iter(self._specs)

    def __len__(self) -> int:
        return len(self._specs)

    @property
    def opened(self) -> list[Connection]:
        return list(self._open.values())


def engine_id(job: Job, spec: ModelSpec) -> str:
    """Returns the id of a model whose answers come from the job's own engine."""
    assert job.engine is not None, "only a job with an engine of its own has such an id"
    return f"{spec.model}@{content_hash(job.sources.texts[file_name(job.engine)], length=8)}"
