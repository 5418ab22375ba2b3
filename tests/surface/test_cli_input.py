"""Bad input, help and exit codes; what ``validate`` and ``init`` promise."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import jsonschema
import pytest
import yaml

from tests.surface.conftest import NOBODY, Finished, Upturn, write_project
from upturn.config import load_config

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
#: What the command line is made of that is no command of its own.
SHARED = {
    *("__init__", "app", "console", "gate_ci", "options", "quote", "summary", "training_bar"),
    "writing",
}
NAMES = {"turn": "run"}
FILES = {p.stem for p in (ROOT / "src/upturn/cli").glob("*.py")} - SHARED
COMMANDS = sorted(NAMES.get(stem, stem) for stem in FILES)


def test_every_command_is_in_the_help(upturn: Upturn):
    assert len(COMMANDS) == 30
    shown = upturn("--help")
    assert (shown.code, shown.err) == (0, "")
    listed = [line.split()[0] for line in shown.out.split("Commands:")[1].splitlines() if line]
    assert sorted(listed) == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, upturn: Upturn):
    shown = upturn(command, "--help")
    assert (shown.code, shown.err) == (0, "")
    assert shown.out.startswith(f"Usage: upturn {command} ")
    described = [line.split() for line in shown.out.splitlines() if line.startswith("  --")]
    assert described
    assert all(len(words) > 1 for words in described), "an option without a word of help"


def test_the_version_is_one_line(upturn: Upturn):
    from upturn import __version__

    assert upturn("--version").out == f"{__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["frobnicate"], "frobnicate"),
        (["run"], "'config'"),
        (["run", "configs/absent.yaml"], "no such config file"),
        (["run", "configs/tickets.yaml", "search.n_trails=3"], "n_trials"),
        (["run", "configs/tickets.yaml", "search.n_trials=0"], "search.n_trials"),
        (["validate", "configs/absent.yaml", "--json"], "no such config file"),
        (["validate", "configs/tickets.yaml", "seed"], "key.path=value"),
        (["validate"], "--schema"),
        (["snapshot", "configs/tickets.yaml", "data.paths=[gone.jsonl]"], "gone.jsonl"),
        (["run", "configs/tickets.yaml", "search.n_trials=7"], "must be reachable"),
        (["compare", "seed", "9"], "9"),
        (["compare", "seed", "2", "--config", "configs/absent.yaml"], "no such config file"),
        (["promote", "tickets", "9"], "version"),
        (["promote", "nobody", "1"], "nobody"),
        (["rollback", "tickets"], "no champion before it"),
        (["rollback", "tickets", "--to", "x"], "x"),
        (["export", "nobody"], "nobody"),
        (["export", "tickets", "--version", "9"], "version"),
        (["history", "--workspace", "absent"], "no turns yet"),
        (["promote", "tickets", "2", "--workspace", "absent"], "no turns yet"),
        (["ui", "--links", "--workspace", "absent"], "no turns yet"),
        (["init"], "in the way"),
    ],
    ids=lambda v: " ".join(v) if isinstance(v, list) else "",
)
def test_bad_input_is_exit_2_with_the_reason_on_stderr_only(
    arguments: list[str], told: str, finished: Finished, upturn: Upturn
):
    if arguments == ["init"]:
        (finished.root / "configs" / "ticket_triage.yaml").write_text("mine: true\n")
    ran = upturn(*arguments)
    assert (ran.code, ran.out) == (2, ""), ran.err
    assert told in ran.err
    assert "Traceback" not in ran.err


def test_ctrl_c_is_130(finished: Finished, upturn: Upturn):
    (finished.root / "programs" / "triage.py").write_text("raise KeyboardInterrupt\n")
    ran = upturn("validate", finished.config)
    assert (ran.code, ran.out) == (130, "")
    assert "interrupted" in ran.err


def test_a_database_of_another_mlflow_names_both_revisions(finished: Finished, upturn: Upturn):
    with closing(sqlite3.connect(finished.workspace / "mlflow.db")) as db, db:
        (head,) = db.execute("select version_num from alembic_version").fetchone()
        db.execute("update alembic_version set version_num = 'feedc0ffee00'")
    for command in (
        ["promote", "tickets", "2"],
        ["ls"],
        ["run", finished.config],
        ["export", "tickets"],
    ):
        ran = upturn(*command)
        assert (ran.code, ran.out) == (2, ""), command
        assert "feedc0ffee00" in ran.err
        assert head in ran.err
    assert (finished.workspace / "mlflow.db").exists()


def test_validate_tells_what_it_checked_and_writes_nothing(tmp_path: Path, upturn: Upturn):
    config = write_project(tmp_path, NOBODY)
    told = upturn("validate", config, "gate.min_gain=0.2", "--json").json
    assert (told["valid"], told["name"], told["predictors"]) == (True, "tickets", ["triage"])
    assert told["outputs"] == {"team": ["billing", "technical", "returns"]}
    assert told["data"]["metric_of_a_perfect_answer"] == 1.0
    assert sum(told["data"]["rows"].values()) == 330 - sum(told["data"]["abstained"].values())
    stricter = upturn("validate", config, "gate.min_gain=0.1", "--json").json
    needed = "holdout_rows_for_min_gain"
    assert stricter["data"][needed] > told["data"][needed] > 0
    assert ": valid" in upturn("validate", config).out
    assert not (tmp_path / "mlruns").exists()


def test_snapshot_freezes_the_same_rows_again(tmp_path: Path, upturn: Upturn):
    config = write_project(tmp_path, NOBODY)
    first, again = (upturn("snapshot", config, "--json").json for _ in range(2))
    assert first == again
    validated = upturn("validate", config, "--json").json["data"]["rows"]
    assert {k: v["rows"] for k, v in first["sizes"].items()} == validated
    assert [p.name for p in (tmp_path / "mlruns" / "snapshots").glob("[0-9a-f]*")] == [
        Path(first["folder"]).name
    ]


def test_there_are_configs():
    assert len(CONFIGS) >= 2


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_the_schema_accepts_every_config_and_refuses_a_typo(path: Path, upturn: Upturn):
    assert load_config(path).name == path.stem
    schema = upturn("validate", "--schema").json
    validator = jsonschema.Draft202012Validator(schema)
    jsonschema.Draft202012Validator.check_schema(schema)
    value = yaml.safe_load(path.read_text())
    validator.validate(value)
    assert not validator.is_valid({**value, "sede": 1})
    assert not validator.is_valid({**value, "gate": {"alpha": 0.9}})


def test_init_writes_the_files_of_this_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, upturn: Upturn
):
    monkeypatch.chdir(tmp_path)
    ran = upturn("init", "new", "--no-log")
    assert ran.code == 0
    written = sorted(p.relative_to("new").as_posix() for p in Path("new").rglob("*") if p.is_file())
    jobs = [f"jobs/ticket_triage_{kind}.yaml" for kind in ("dpo", "kto", "sft")]
    assert written == ["configs/ticket_triage.yaml", *jobs, "programs/ticket_triage.py"]
    for name in written:
        assert (tmp_path / "new" / name).read_bytes() == (ROOT / name).read_bytes()
    assert upturn("init", "new", "--no-log").code == 0


def test_init_overwrites_nothing_and_then_writes_nothing(tmp_path: Path, upturn: Upturn):
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "ticket_triage.yaml").write_text("mine: true\n")
    ran = upturn("init", tmp_path, "--no-log")
    assert (ran.code, ran.out) == (2, "")
    assert (tmp_path / "configs" / "ticket_triage.yaml").read_text() == "mine: true\n"
    assert not (tmp_path / "programs").exists()
