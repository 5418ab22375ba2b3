"""The tokenizer's recipe, and the progress that long commands show."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

pytest.importorskip("tokenizers")

from upturn.mini.corpus import Corpus
from upturn.mini.encode import PHRASES, SPECIALS, Encoder
from upturn.mini.progress import Meter
from upturn.mini.tokenizer import build, main


def test_digits_phrases_and_specials(corpus_body: dict[str, Any]) -> None:
    tokenizer = build(Corpus(corpus_body), vocabulary=700)
    assert [tokenizer.token_to_id(x) for x in SPECIALS] == list(range(5))
    assert tokenizer.get_vocab_size() <= 700
    encoder = Encoder(tokenizer)
    assert len(encoder.text(PHRASES[7])) == 1
    assert tokenizer.encode("404").tokens == ["4", "0", "4"]
    assert len(encoder.text("billing")) == 1
    assert encoder.decode(encoder.text("naïve – 7 ✓")) == "naïve – 7 ✓"


def test_command_names_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    absent = tmp_path / "no.json"
    assert main(["--corpus", str(absent), "--out", str(tmp_path / "t.json")]) == 2
    assert "a corpus must be readable JSON" in capsys.readouterr().err


def test_log_lines_where_there_is_no_terminal() -> None:
    out, now = io.StringIO(), [0.0]
    meter = Meter("train", 30, console=Console(file=out, width=80), clock=lambda: now[0])
    with meter:
        for done, seconds in ((1, 1.0), (10, 11.0), (20, 12.0), (30, 13.0)):
            now[0] = seconds
            meter.at(done, f"loss {done}")
    assert out.getvalue() == "train 10/30 11s loss 10\ntrain 30/30 13s loss 30\n"


def test_a_bar_on_a_terminal() -> None:
    out = io.StringIO()
    console = Console(file=out, width=100, force_terminal=True)
    with Meter("train", 4, console=console) as meter:
        meter.at(4, "done")
    assert "4/4" in out.getvalue()
    assert "━" in out.getvalue()
