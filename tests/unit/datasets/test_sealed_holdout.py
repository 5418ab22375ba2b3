"""The holdout has one door, and it opens against a recorded look only."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import upturn
import upturn.datasets
from upturn.datasets import Snapshot, SplitRules, freeze
from upturn.datasets.sealed import read_holdout
from upturn.errors import CorruptionError, DataError
from upturn.records import Example, Look

PACKAGE = Path(upturn.__file__).parent
DOOR = "upturn.datasets.sealed"


def rows() -> list[Example]:
    return [
        Example(
            id=f"row-{i:03}",
            inputs={"message": f"secret-{i:03}"},
            labels={"team": "billing"},
            group=f"customer-{i:03}",
            time=f"2026-09-{1 + i // 3:02}T10:00:00+00:00",
            event_ids=(f"row-{i:03}", f"fb-{i:03}"),
        )
        for i in range(60)
    ]


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    return freeze(rows(), rules=SplitRules(), folder=tmp_path, provenance={"log": "abc"})


def look_at(snapshot: Snapshot) -> Look:
    return Look(holdout=snapshot.holdout.sha256, number=1, alpha=0.025, turn="t1")


def held_out(snapshot: Snapshot) -> set[str]:
    return {e.id for e in rows()} - {e.id for e in snapshot.train + snapshot.dev}


def test_a_recorded_look_gives_the_rows(snapshot: Snapshot):
    look = look_at(snapshot)
    got = read_holdout(snapshot.folder, snapshot.holdout, look, recorded=[look].__contains__)
    assert {e.id for e in got} == held_out(snapshot)
    assert len(got) == snapshot.holdout.rows == 18
    known = {e.id: e for e in rows()}
    assert all(known[e.id] == e for e in got)


def test_a_look_that_was_not_recorded_is_refused(snapshot: Snapshot):
    look = look_at(snapshot)
    for ledger in ([], [replace(look, number=2)], [replace(look, turn="t0")]):
        with pytest.raises(DataError, match="must hold look 1 of turn 't1'"):
            read_holdout(snapshot.folder, snapshot.holdout, look, recorded=ledger.__contains__)


def test_a_look_at_another_holdout_is_refused(snapshot: Snapshot):
    look = replace(look_at(snapshot), holdout="0" * 64)
    with pytest.raises(DataError, match="opens the holdout it was recorded for, 000000000000"):
        read_holdout(snapshot.folder, snapshot.holdout, look, recorded=lambda _: True)


def test_changed_holdout_rows_are_corruption(snapshot: Snapshot):
    path = snapshot.folder / "holdout.jsonl"
    path.write_bytes(path.read_bytes().replace(b"billing", b"returns"))
    look = look_at(snapshot)
    with pytest.raises(CorruptionError, match="must have sha256"):
        read_holdout(snapshot.folder, snapshot.holdout, look, recorded=[look].__contains__)


def reachable(value: Any, seen: set[int]) -> Iterator[Any]:
    """Yields everything that public attributes, keys and items lead to; methods are not called."""
    if id(value) in seen:
        return
    seen.add(id(value))
    yield value
    if isinstance(value, str | bytes | int | float | Path | None):
        return
    parts: list[Any] = []
    if isinstance(value, Mapping):
        parts = [*value.keys(), *value.values()]
    elif isinstance(value, list | tuple | set | frozenset):
        parts = list(value)
    else:
        names = [n for n in dir(value) if not n.startswith("_")]
        parts = [getattr(value, n) for n in names if not callable(getattr(value, n))]
    for part in parts:
        yield from reachable(part, seen)


def test_no_public_attribute_of_a_snapshot_leads_to_a_holdout_row(snapshot: Snapshot):
    met = list(reachable(snapshot, set()))
    hidden = held_out(snapshot)
    examples = {v.id for v in met if isinstance(v, Example)}
    assert len(examples) == 42
    assert not examples & hidden
    numbers = {name.removeprefix("row-") for name in hidden}
    texts = [v for v in met if isinstance(v, str)]
    assert "secret-000" in texts
    for n in numbers:
        assert not {f"row-{n}", f"secret-{n}", f"customer-{n}", f"fb-{n}"} & set(texts)


def test_the_manifest_file_names_no_holdout_row(snapshot: Snapshot):
    text = (snapshot.folder / "manifest.json").read_text()
    assert not [i for i in held_out(snapshot) if i in text or i.replace("row", "secret") in text]


def test_the_door_is_not_exported():
    assert not hasattr(upturn.datasets, "read_holdout")
    assert "read_holdout" not in upturn.datasets.__all__


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        yield path.relative_to(PACKAGE).as_posix(), tree


def imported(tree: ast.Module, package: str) -> set[str]:
    """Returns the dotted names a module imports, relative ones made absolute."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")[: 1 - node.level or None] if node.level else []
            base = ".".join([*parts, *([node.module] if node.module else [])])
            names |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return names


def strings(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def package_of(module: str) -> str:
    return ".".join(["upturn", *module.split("/")[:-1]])


def test_only_the_gates_reader_imports_the_door():
    importers = {
        module
        for module, tree in modules()
        if any(n == DOOR or n.startswith(f"{DOOR}.") for n in imported(tree, package_of(module)))
        or any(text == DOOR for text in strings(tree))  # importlib.import_module and its like
    }
    assert importers <= {"gate/reading.py"}


def test_only_writer_and_reader_name_the_file():
    naming = {m for m, tree in modules() if any("holdout.jsonl" in s for s in strings(tree))}
    assert naming == {"datasets/snapshot.py", "datasets/sealed.py"}


def test_the_scan_sees_every_way_to_import():
    for code in (
        "import upturn.datasets.sealed",
        "from upturn.datasets import sealed",
        "from upturn.datasets.sealed import read_holdout as r",
        "from .sealed import read_holdout",
        "from . import sealed",
        "from ..datasets import sealed",
        "def f():\n    from upturn.datasets.sealed import read_holdout",
    ):
        names = imported(ast.parse(code), "upturn.datasets")
        assert DOOR in names, code
