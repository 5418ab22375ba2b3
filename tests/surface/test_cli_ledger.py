"""``upturn verify`` and ``upturn ledger`` after one turn on the MLflow store."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tests.surface.conftest import Finished, Upturn
from upturn.ledger import KEY_VARIABLE


def test_verify_says_that_all_holds(finished: Finished, upturn: Upturn):
    ran = upturn("verify", "--json")
    assert ran.code == 0, ran.out
    assert (ran.json["ok"], ran.json["entries"], ran.json["first_bad"]) == (True, 3, None)
    assert (ran.json["decisions"], ran.json["rederived"], ran.json["mirrored"]) == (1, 1, True)
    shown = upturn("verify").out
    assert "1 of 1 decisions derived again" in shown
    assert "it all holds" in shown


def test_verify_names_the_first_bad_entry_and_exits_2(finished: Finished, upturn: Upturn):
    path = finished.workspace / "ledger.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    cut = upturn("verify", "--json")
    assert (cut.code, cut.json["first_bad"], cut.json["ok"]) == (2, 3, False)
    assert "does not hold from entry 3 on" in upturn("verify").out
    path.unlink()
    gone = upturn("verify", "--json")
    assert (gone.code, gone.json["first_bad"], gone.json["entries"]) == (2, 1, 0)


def test_a_promotion_by_hand_is_mirrored_too(finished: Finished, upturn: Upturn):
    assert upturn("promote", "tickets", "2").code == 0
    assert upturn("verify", "--json").json["promotions"] == 1
    path = finished.workspace / "ledger.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    cut = upturn("verify", "--json")
    assert (cut.code, cut.json["first_bad"]) == (2, 4)


def test_verify_in_an_empty_folder_has_nothing_to_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, upturn: Upturn
):
    monkeypatch.chdir(tmp_path)
    ran = upturn("verify")
    assert (ran.code, ran.out) == (2, "")
    assert "no turns yet" in ran.err
    assert list(tmp_path.iterdir()) == []


def test_a_key_is_made_signs_and_is_asked_for(
    finished: Finished, upturn: Upturn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    made = upturn("ledger", "--make-key", tmp_path / "keys", "--json").json
    private, public = Path(str(made["private"])), str(made["public"])
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    unsigned = upturn("verify", "--key", public, "--json")
    assert (unsigned.code, unsigned.json["first_bad"]) == (2, 1)
    monkeypatch.setenv(KEY_VARIABLE, str(private))
    assert upturn("promote", "tickets", "2").code == 0
    signed = upturn("verify", "--key", public, "--json")
    assert (signed.code, signed.json["signed"], signed.json["keys"]) == (0, 1, True)
    other = upturn("ledger", "--make-key", tmp_path / "other", "--json").json
    assert upturn("verify", "--key", other["public"]).code == 2
    monkeypatch.delenv(KEY_VARIABLE)
    refused = upturn("rollback", "tickets")
    assert refused.code == 2
    assert KEY_VARIABLE in refused.err
    assert upturn("verify", "--key", private).code == 2


def test_ledger_tells_what_is_left_at_each_holdout(finished: Finished, upturn: Upturn):
    told = upturn("ledger", "--json").json
    (holdout,) = told["holdouts"]  # type: ignore[misc]
    assert (holdout["left"]["looks_taken"], holdout["left"]["looks_left"]) == (1, 4)
    assert holdout["left"]["spent"] == 0.025
    assert 0 < holdout["left"]["fresh_rows"] <= finished.first.n
    assert (told["entries"], told["signed"], told["overrides"]) == (3, 0, 0)
    assert str(told["head"]).startswith("3:")
    shown = " ".join(upturn("ledger", "tickets").out.split())
    assert "0.0250 of 0.05" in shown
    assert "after 4 looks" in shown
    assert "3 entries, not signed, head 3:" in shown


@pytest.mark.parametrize("command", ["ledger", "history"])
def test_a_program_that_nobody_knows_is_refused(finished: Finished, upturn: Upturn, command: str):
    ran = upturn(command, "nobody", "--workspace", str(finished.workspace), "--json")
    assert (ran.code, ran.out) == (2, "")
    assert "one that the ledger knows (tickets), got 'nobody'" in ran.err


def test_a_report_that_cannot_be_written_is_no_crash(finished: Finished, upturn: Upturn):
    where = ("--workspace", str(finished.workspace))
    ran = upturn("report", "tickets", "--out", "/proc/report.html", *where)
    assert ran.code == 2
    assert "must be a file that can be written" in ran.err


def test_a_server_of_a_kind_that_mlflow_does_not_know(finished: Finished, upturn: Upturn):
    address = "nonsense://user:secret@x"
    where = ("--workspace", str(finished.workspace), "--tracking-uri", address)
    for command in ("verify", "history"):
        ran = upturn(command, *where)
        assert ran.code == 2
        assert "MLflow must be reachable and writable" in ran.err
        assert "secret" not in ran.err
