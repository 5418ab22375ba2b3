"""Trains upturn-mini from scratch, or from given weights.

    python -m upturn.mini.train --corpus corpus.json.gz --out DIR --seed 0

Run the same command again to resume: it continues from the newest checkpoint under DIR. With
``--workers 0`` the same seed gives the same weights, resumed or not; with more the batches come in
the machine's order. Runs on a GPU where torch finds one, else on the CPU. DIR ends as a model
folder that plain transformers loads.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import torch
from tokenizers import Tokenizer

from upturn.errors import InputError, ModelError
from upturn.mini import weights_dir
from upturn.mini.batches import BatchSettings, BatchSource
from upturn.mini.checkpoint import Checkpoints
from upturn.mini.corpus import Corpus, file_hash
from upturn.mini.curriculum import Curriculum
from upturn.mini.encode import PHRASES, Encoder
from upturn.mini.network import Network, Shape, save_pretrained
from upturn.mini.progress import Meter
from upturn.mini.training import Trainer, TrainSettings
from upturn.mini.workers import Feed, WorkerFeed

_COPIED = (
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "generation_config.json",
)


def train(options: argparse.Namespace) -> Trainer:
    """Runs the whole curriculum and writes the model folder; returns the trainer, for its record.

    Raises:
        DataError: the corpus cannot be read or holds Banking77, or the run was begun otherwise.
        ModelError: ``--init`` does not fit.
        StorageError: the folder cannot be written.
    """
    encoder = Encoder(Tokenizer.from_file(str(options.tokenizer)))
    corpus = Corpus.read(options.corpus)
    settings = _settings(options)
    checkpoints = Checkpoints(options.out / "checkpoints", _question(options, settings))
    network = _network(options, encoder)
    curriculum = Curriculum(
        vocabulary=encoder.vocabulary - len(PHRASES),
        first_ids=options.first_ids,
        patience=options.patience,
        copy_patience=options.copy_patience,
    )
    saved = checkpoints.latest()
    with ExitStack() as stack:
        feed: Feed
        if options.workers:
            start = saved["step"] if saved else 0
            feed = stack.enter_context(_worker_feed(options, settings.batch, start))
        else:
            feed = BatchSource(corpus, encoder, settings.batch, seed=settings.seed)
        trainer = Trainer(network, curriculum, feed, settings, checkpoints)
        meter = stack.enter_context(Meter("train", settings.steps))
        if saved is not None:
            trainer.resume(saved)
            meter.say(f"resumed at step {trainer.step}")
        until = min(settings.steps, options.stop_at or settings.steps)
        trainer.run(meter, until=until, save_every=options.save_every)
    if trainer.step >= settings.steps:
        _export(trainer.network, encoder, options)
    return trainer


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        train(options)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("stopped; the same command resumes from the last checkpoint", file=sys.stderr)
        return 130
    return 0


def _settings(options: argparse.Namespace) -> TrainSettings:
    return TrainSettings(
        seed=options.seed,
        steps=options.steps,
        learning_rate=options.learning_rate,
        batch=BatchSettings(tokens=options.tokens, targets=options.targets),
    )


def _question(options: argparse.Namespace, settings: TrainSettings) -> dict[str, object]:
    """Returns all that the weights depend on."""
    kept = ("width", "layers", "feed_forward", "first_ids", "patience", "copy_patience")
    question: dict[str, object] = {name: getattr(options, name) for name in kept}
    question |= {"settings": settings.to_json(), "corpus": file_hash(options.corpus)}
    question |= {"tokenizer": file_hash(options.tokenizer), "in_process": options.workers == 0}
    question["init"] = file_hash(_weights(options.init)) if options.init else ""
    return question


def _network(options: argparse.Namespace, encoder: Encoder) -> Network:
    torch.manual_seed(options.seed)
    shape = Shape(
        vocabulary=encoder.vocabulary,
        width=options.width,
        layers=options.layers,
        feed_forward=options.feed_forward,
    )
    network = Network(shape)
    if options.init is not None:
        from safetensors.torch import load_file

        try:
            network.load(load_file(_weights(options.init)))
        except (KeyError, RuntimeError) as error:
            raise ModelError(
                f"--init must have the shape asked for, {shape}: {error}", where=str(options.init)
            ) from error
    return network.to("cuda" if torch.cuda.is_available() else "cpu")


def _weights(folder: Path) -> Path:
    path = folder / "model.safetensors"
    if not path.is_file():
        raise ModelError("a model folder must hold model.safetensors", where=str(folder))
    return path


def _worker_feed(options: argparse.Namespace, batch: BatchSettings, start: int) -> WorkerFeed:
    return WorkerFeed(
        options.corpus,
        options.tokenizer,
        batch,
        seed=options.seed,
        start=start,
        count=options.workers,
    )


def _export(network: Network, encoder: Encoder, options: argparse.Namespace) -> None:
    save_pretrained(network, options.out, end=encoder.end, pad=encoder.pad)
    for name in _COPIED:
        shutil.copyfile(weights_dir() / name, options.out / name)
    shutil.copyfile(options.tokenizer, options.out / "tokenizer.json")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m upturn.mini.train",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--corpus", type=Path, required=True, help="corpus.json or corpus.json.gz")
    add("--out", type=Path, required=True, help="model folder; checkpoints lie inside it")
    add("--seed", type=int, required=True)
    add("--tokenizer", type=Path, default=weights_dir() / "tokenizer.json")
    add("--init", type=Path, help="model folder whose weights to begin with")
    add("--steps", type=int, default=TrainSettings.steps, help="optimizer steps in all")
    add("--stop-at", type=int, help="end early at this step; the same command goes on")
    add("--tokens", type=int, default=BatchSettings.tokens, help="tokens a batch")
    add(
        "--targets", type=int, default=BatchSettings.targets, help="learned tokens a batch, at most"
    )
    add("--learning-rate", type=float, default=TrainSettings.learning_rate)
    add("--width", type=int, default=Shape.width)
    add("--layers", type=int, default=Shape.layers)
    add("--feed-forward", type=int, default=Shape.feed_forward)
    add("--first-ids", type=int, default=500, help="token ids of the first stages")
    add("--patience", type=int, default=4000, help="most steps of stages two and three, each")
    add("--copy-patience", type=int, help="most steps of stage one (default: until learned)")
    add("--save-every", type=int, default=500, help="steps between checkpoints")
    add("--workers", type=int, default=0, help="processes that draw batches; 0: deterministic")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
