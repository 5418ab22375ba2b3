"""Signatures: every line, by the right key, and no key anywhere but in its file."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.ledger.books import Clock, book, fill, look
from upturn.errors import CorruptionError, InputError, StorageError
from upturn.ledger import (
    KEY_VARIABLE,
    Ledger,
    Signer,
    is_signed_by,
    make_key,
    read_public_keys,
    signer_from_environment,
)
from upturn.pipeline.audit.chain import check_signatures


def keys(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Signer, Path]:
    private, public = make_key(folder)
    monkeypatch.setenv(KEY_VARIABLE, str(private))
    signer = signer_from_environment()
    assert signer is not None
    return signer, public


def test_a_signed_ledger_is_whole_and_signed_by_its_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signer, public = keys(tmp_path / "keys", monkeypatch)
    ledger = Ledger(tmp_path / "ledger.jsonl", clock=Clock())
    fill(ledger)
    known = read_public_keys([public])
    assert list(known) == [signer.fingerprint] == list({e.key for e in ledger.entries()})
    assert all(is_signed_by(e, known) for e in ledger.entries())
    assert check_signatures(ledger.entries(), known, asked=True) == []


def test_a_line_that_was_signed_and_changed_is_not_signed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signer, public = keys(tmp_path / "keys", monkeypatch)
    ledger = book(tmp_path / "ledger.jsonl", signer)
    look(ledger, "t1")
    entry, known = ledger.entries()[0], read_public_keys([public])
    forged = (
        replace(entry, time="2027-01-01T00:00:00+00:00"),
        replace(entry, data={**entry.data, "alpha": 0.5}),
        replace(entry, signature=entry.signature[:-4] + "AAAA"),
        replace(entry, signature="no base64 at all"),
        replace(entry, signature="\u00e9" * 8),
        replace(entry, key="0" * 16),
    )
    assert [is_signed_by(e, known) for e in (entry, *forged)] == [True] + [False] * 6


def test_a_signed_byte_that_is_changed_breaks_the_chain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signer, _ = keys(tmp_path / "keys", monkeypatch)
    path = tmp_path / "ledger.jsonl"
    ledger = book(path, signer)
    look(ledger, "t1")
    content = path.read_bytes()
    signature = ledger.entries()[0].signature.encode()
    path.write_bytes(content.replace(signature, b"A" + signature[1:]))
    if signature[:1] == b"A":
        path.write_bytes(content.replace(signature, b"B" + signature[1:]))
    with pytest.raises(CorruptionError):
        ledger.verify()


def test_another_key_and_an_unsigned_line_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signer, public = keys(tmp_path / "keys", monkeypatch)
    other, second = keys(tmp_path / "other", monkeypatch)
    path = tmp_path / "ledger.jsonl"
    look(book(path), "t1")
    look(book(path, signer), "t2")
    look(book(path, other), "t3")
    entries = book(path, signer).entries()
    known = read_public_keys([public])
    found = check_signatures(entries, known, asked=True)
    assert [p.entry for p in found] == [3]
    assert signer.fingerprint in found[0].what
    assert check_signatures(entries, read_public_keys([public, second]), asked=True) == []
    assert check_signatures(entries, {}, asked=False) == []
    bare = replace(entries[2], signature="", key="")
    assert [p.entry for p in check_signatures((*entries[:2], bare), {}, asked=False)] == [3]
    unsigned = check_signatures(entries[:1], known, asked=True)
    assert [(p.entry, "none is" in p.what) for p in unsigned] == [(1, True)]


def test_a_signed_ledger_takes_no_line_without_a_signature(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signer, _ = keys(tmp_path / "keys", monkeypatch)
    path = tmp_path / "ledger.jsonl"
    look(book(path, signer), "t1")
    whole = path.read_bytes()
    for before in (whole, whole + b'{"actor":"cut o'):
        path.write_bytes(before)
        with pytest.raises(StorageError, match="must all be signed") as caught:
            look(book(path), "t2")
        assert KEY_VARIABLE in caught.value.fix
        assert path.read_bytes() == before
    assert look(book(path, signer), "t2").number == 2
    assert all(e.signature for e in book(path).entries())


def test_the_private_key_is_its_owners_alone_and_shown_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signer, _ = keys(tmp_path, monkeypatch)
    private = tmp_path / "ledger-private.pem"
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert repr(signer) == f"Signer({signer.fingerprint})"
    before = private.read_bytes()
    with pytest.raises(StorageError, match="not there yet"):
        make_key(tmp_path)
    assert private.read_bytes() == before


@pytest.mark.parametrize("content", ["", "not a key", "PUBLIC"])
def test_what_is_no_private_key_is_refused_without_quoting_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    _, public = make_key(tmp_path / "keys")
    path = tmp_path / "secret.pem"
    path.write_text(public.read_text() if content == "PUBLIC" else content)
    monkeypatch.setenv(KEY_VARIABLE, str(path))
    with pytest.raises(InputError, match="Ed25519 private key") as caught:
        signer_from_environment()
    assert not content or content not in str(caught.value)
    with pytest.raises(InputError, match="Ed25519 public key"):
        read_public_keys([tmp_path / "keys" / "ledger-private.pem"])


def test_a_missing_key_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, str(tmp_path / "gone.pem"))
    with pytest.raises(StorageError, match="must be a file that can be read"):
        look(Ledger(tmp_path / "ledger.jsonl", clock=Clock()), "t1")
