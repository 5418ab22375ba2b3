"""The corpus: what is read, what is refused, and that every index is what it says."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest

from upturn.errors import DataError
from upturn.mini.corpus import Corpus


def test_reads_plain_and_gzipped_alike(corpus_path: Path, tmp_path: Path) -> None:
    packed = tmp_path / "corpus.json.gz"
    packed.write_bytes(gzip.compress(corpus_path.read_bytes()))
    assert Corpus.read(packed).lines == Corpus.read(corpus_path).lines


def test_words_that_make_classes_are_in_their_lines(corpus_body: dict[str, Any]) -> None:
    corpus = Corpus(corpus_body)
    assert "please" in corpus.keys
    assert "berlin" in corpus.keys
    for word, lines in corpus.lines_by_word.items():
        assert 12 <= len(lines) <= 400
        assert all(word in corpus.lines[k].lower() for k in lines)


def test_keywords_set_a_class_apart(corpus_body: dict[str, Any]) -> None:
    corpus = Corpus(corpus_body)
    first = corpus.classes[0]
    assert first.name == "repair lamp"
    assert set(corpus.keywords[0][:2]) == {"repair", "lamp"}
    assert "number" not in corpus.keywords[0][:2], "a word of every class says nothing"


@pytest.mark.parametrize(
    ("table", "labels"),
    [
        ("PolyAI/Banking77", ["anything"]),
        ("bank", ["card arrival", "Top-up failed", "EXCHANGE_RATE"]),
    ],
)
def test_refuses_banking77(corpus_body: dict[str, Any], table: str, labels: list[str]) -> None:
    entry = {"desc": [], "texts": ["a text"]}
    tables = {**corpus_body["tables"], table: dict.fromkeys(labels, entry)}
    with pytest.raises(DataError, match="never trained on Banking77") as caught:
        Corpus({**corpus_body, "tables": tables}, where="c.json")
    assert caught.value.where == "c.json"
    assert table in caught.value.what


def test_one_shared_label_is_chance(corpus_body: dict[str, Any]) -> None:
    tables = {"travel": {"exchange rate": {"desc": [], "texts": ["a", "b"]}}}
    assert len(Corpus({**corpus_body, "tables": tables}).classes) == 1


def test_broken_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="must be readable JSON"):
        Corpus.read(tmp_path / "absent.json.gz")
    (tmp_path / "half.json.gz").write_bytes(gzip.compress(b"{}" * 90)[:-9])
    with pytest.raises(DataError, match="must be readable JSON"):
        Corpus.read(tmp_path / "half.json.gz")
    (tmp_path / "keys.json").write_text(json.dumps({"tables": {}}))
    with pytest.raises(DataError, match="must have pairs, spans, words, lines, wiki, abcd"):
        Corpus.read(tmp_path / "keys.json")


def test_the_real_corpus_holds_no_benchmark() -> None:
    root = Path(__file__).parents[3]
    shared = Path(os.environ.get("UPTURN_SHARED", root.parent / "shared"))
    path = shared / "mini" / "corpus.json.gz"
    if not path.is_file():
        pytest.skip("the training corpus is not here; set UPTURN_SHARED to its folder")
    corpus = Corpus.read(path)
    assert len(corpus.classes) > 300
    assert len(corpus.lines) > 300_000
    assert not any("bank" in c.table.lower() for c in corpus.classes)
