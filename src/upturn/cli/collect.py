"""``upturn collect``: takes events over HTTP until it is told to end."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from upturn.cli import console
from upturn.cli.options import DEFAULT_WORKSPACE

if TYPE_CHECKING:
    from upturn.collector.accept import Scrub
    from upturn.collector.tokens import TokenBook
    from upturn.events import Event


def collect(
    store: Annotated[
        str,
        typer.Option("--store", help="Where events go: a path, sqlite:/// or postgresql:// URL."),
    ],
    host: Annotated[
        str, typer.Option("--host", help="The address to listen on; loopback by default.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="The port; 0 takes a free one.")] = 8787,
    token_file: Annotated[
        Path,
        typer.Option("--token-file", help="The tokens; made with one token where it is absent."),
    ] = DEFAULT_WORKSPACE / "collector.token",
    no_token: Annotated[
        bool, typer.Option("--no-token", help="Let every program of this machine in.")
    ] = False,
    no_scrub: Annotated[
        bool,
        typer.Option("--no-scrub", help="Store e-mails, cards, keys and the like as they are."),
    ] = False,
    names: Annotated[
        bool,
        typer.Option("--names", help="Take out names of persons too; needs the extra [names]."),
    ] = False,
    key_file: Annotated[
        Path | None,
        typer.Option("--key-file", help="The key of the pseudonyms; made where it is absent."),
    ] = None,
    rate: Annotated[
        float, typer.Option("--rate", min=1, help="Events per second that one token may send.")
    ] = 10_000,
) -> None:
    """Collect requests, feedback and traces over HTTP; acknowledge them when they are durable."""
    from upturn.collector.limits import Limits
    from upturn.errors import MissingExtraError

    try:
        from upturn.collector.app import Collector
        from upturn.collector.server import bind, is_loopback, serve
    except ImportError as error:
        raise MissingExtraError("collect", "upturn collect") from error
    from upturn.store import FeedbackStore

    progress = console.progress()
    _check_exposure(host, no_token, is_loopback(host))
    book = _book(None if no_token else token_file)
    scrub = _unchanged if no_scrub else _scrub(names, key_file)
    limits = Limits(rate_per_s=rate, burst=int(2 * rate))
    with bind(host, port) as bound, FeedbackStore.open(store, patience_s=5.0) as opened:
        collector = Collector(store=opened, book=book, scrub=scrub, limits=limits)
        serve(collector, bound, ready=lambda url: progress.step("collect", f"listening on {url}"))
        counts = opened.counts()
    progress.step("end", f"the store holds {counts.requests} requests, {counts.feedback} feedback")


def _check_exposure(host: str, no_token: bool, loopback: bool) -> None:
    from upturn.errors import InputError

    if loopback:
        return
    if no_token:
        raise InputError(
            f"--no-token must stay on loopback, got --host {host}",
            fix="upturn collect --token-file PATH …, or --host 127.0.0.1",
        )
    _warn(
        f"listening on {host}: other machines can reach this collector, and tokens and user texts "
        "cross the network unencrypted; put a proxy with TLS in front of it"
    )


def _book(path: Path | None) -> TokenBook:
    """Returns who may send; None is everybody."""
    from upturn.collector.token_file import create_token, open_to_others, read_tokens
    from upturn.collector.tokens import TokenBook

    if path is None:
        return TokenBook(None)
    if not path.exists():
        create_token(path)
        # The path and never the token: terminals are logged.
        print(f"a token was made: {path} (senders need it; keep it secret)", file=sys.stderr)
    elif open_to_others(path):
        _warn(f"other accounts of this machine can read {path}; next: chmod 600 {path}")
    return TokenBook(read_tokens(path))


def _unchanged(event: Event) -> Event:
    return event


def _scrub(names: bool, key_file: Path | None) -> Scrub:
    """Returns the scrubbing of events, for any thread."""
    from upturn.collector.accept import in_each_thread
    from upturn.privacy import Pseudonyms, Scrubber, ScrubRules

    pseudonyms = Pseudonyms.from_key_file(key_file)
    rules = ScrubRules(names=names)
    scrubber = Scrubber(rules, pseudonyms)  # what is missing shows now, not at the first event
    del scrubber
    return in_each_thread(lambda: Scrubber(rules, pseudonyms).event)


def _warn(text: str) -> None:
    print(f"WARNING: {text}", file=sys.stderr, flush=True)
