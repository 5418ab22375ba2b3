"""Adapters in the workspace: named by their content, whole or not there, never another's."""

from __future__ import annotations

import json
import shutil
import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
from safetensors.torch import load_file, save_file  # noqa: E402

from tests.contracts.tiny_models import tiny_llama  # noqa: E402
from upturn.errors import CorruptionError, InputError, ModelError, StorageError  # noqa: E402
from upturn.testing.adapters import random_adapter  # noqa: E402
from upturn.weights.adapter import (  # noqa: E402
    CARD,
    CONFIG,
    FILES,
    WEIGHTS,
    check_base,
    content_id,
    find,
    from_files,
    ids,
    load,
    read,
    store,
)
from upturn.weights.lora import read_peft  # noqa: E402

pytestmark = pytest.mark.local

BASE = "tiny@0123456789ab"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_llama(tmp_path_factory.mktemp("base") / "llama")


@pytest.fixture
def trained(base: Path, tmp_path: Path) -> Path:
    return random_adapter(base, tmp_path / "trained", seed=1)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "adapters"


def test_a_stored_adapter_is_loaded_with_its_card(trained: Path, root: Path) -> None:
    made = store(trained, root, base_id=BASE, card={"metrics": {"dev": 0.5}, "licence": "MIT"})
    assert made.folder == root / made.id
    assert made.id == content_id(read_peft(trained), BASE)
    assert sorted(p.name for p in made.folder.iterdir()) == sorted(FILES)
    assert {stat.S_IMODE((made.folder / n).stat().st_mode) for n in FILES} == {0o644}
    assert [p.name for p in root.iterdir()] == [made.id], "nothing temporary is left"
    loaded = load(made.folder)
    assert loaded == made
    assert (loaded.base_id, loaded.card["metrics"], loaded.card["rank"]) == (BASE, {"dev": 0.5}, 4)
    assert torch.equal(
        read(made).layers["model.layers.1.mlp.up_proj"].b,
        read_peft(trained).layers["model.layers.1.mlp.up_proj"].b,
    )


def test_the_same_weights_again_are_the_same_folder(trained: Path, root: Path) -> None:
    first = store(trained, root, base_id=BASE, card={"run": 1})
    stamp = (first.folder / WEIGHTS).stat().st_mtime_ns
    again = store(trained, root, base_id=BASE, card={"run": 2})
    assert again == first
    assert (again.folder / WEIGHTS).stat().st_mtime_ns == stamp
    # What was made plain is plain: its own folder has its own id.
    assert store(first.folder, root, base_id=BASE, card={}) == first
    assert ids(root) == [first.id]


def test_an_id_follows_the_update_and_the_base(trained: Path, base: Path, tmp_path: Path) -> None:
    lora = read_peft(trained)
    mine = content_id(lora, BASE)
    assert content_id(lora, "copy-of-tiny@0123456789ab") == mine
    assert content_id(lora, "tiny@ffffffffffff") != mine
    assert content_id(read_peft(random_adapter(base, tmp_path / "b", seed=2)), BASE) != mine
    # The same update, said as rsLoRA: alpha / sqrt(4) with half the alpha is alpha / 4 with all.
    other = shutil.copytree(trained, tmp_path / "rs")
    config = json.loads((other / CONFIG).read_text())
    (other / CONFIG).write_text(json.dumps({**config, "use_rslora": True, "lora_alpha": 2}))
    assert content_id(read_peft(other), BASE) == mine


def test_many_at_once_store_one_folder(trained: Path, root: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda i: store(trained, root, base_id=BASE, card={"i": i}), range(8)))
    assert len({(a.id, a.card["i"]) for a in made}) == 1
    assert [p.name for p in root.iterdir()] == [made[0].id]


@pytest.mark.parametrize("name", FILES)
def test_damage_is_found(trained: Path, root: Path, name: str) -> None:
    made = store(trained, root, base_id=BASE, card={})
    path = made.folder / name
    content = path.read_bytes()
    path.write_bytes(content[:-3] + b"xxx")
    with pytest.raises(CorruptionError):
        load(made.folder)
    path.unlink()
    with pytest.raises(CorruptionError, match="must have"):
        load(made.folder)


def test_weights_that_are_not_what_the_id_says_are_found(trained: Path, root: Path) -> None:
    made = store(trained, root, base_id=BASE, card={})
    tensors = load_file(made.folder / WEIGHTS)
    next(iter(tensors.values()))[0, 0] += 1
    save_file(tensors, made.folder / WEIGHTS)
    with pytest.raises(CorruptionError, match="must hash to its id, got"):
        read(made)


def test_another_base_is_refused_with_both_names(trained: Path, root: Path) -> None:
    made = store(trained, root, base_id=BASE, card={})
    check_base(made, BASE)
    check_base(made, "moved@0123456789ab")
    with pytest.raises(ModelError, match="tiny@0123456789ab, got tiny@ffffffffffff"):
        check_base(made, "tiny@ffffffffffff")


def test_find_by_the_start_of_an_id(base: Path, root: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there are \(none\)"):
        find(root, "abc")
    made: list[Any] = []
    while len({a.id[0] for a in made}) == len(made):  # until two begin alike; 17 at most
        folder = random_adapter(base, tmp_path / f"r{len(made)}", seed=len(made), r=1)
        made.append(store(folder, root, base_id=BASE, card={}))
    assert find(root, made[0].id).id == made[0].id
    assert find(root, made[-1].id[:11]).id == made[-1].id
    with pytest.raises(InputError, match="name one adapter"):
        find(root, made[-1].id[0])
    for wrong in ("zz", ""):
        with pytest.raises(InputError, match="the start of an adapter's id"):
            find(root, wrong)


def test_files_of_a_version_become_the_adapter(trained: Path, root: Path, tmp_path: Path) -> None:
    made = store(trained, root, base_id=BASE, card={"x": 1})
    files = {name: (made.folder / name).read_bytes() for name in FILES}
    elsewhere = tmp_path / "elsewhere"
    again = from_files({**files, "program.json": b"{}"}, elsewhere)
    assert again == replace(made, folder=elsewhere / made.id)
    assert from_files(files, elsewhere) == again
    with pytest.raises(CorruptionError, match=r"adapter_model\.safetensors must have the sha256"):
        from_files({**files, WEIGHTS: b"x"}, tmp_path / "n")
    with pytest.raises(CorruptionError, match=r"lacks card\.json"):
        from_files({n: files[n] for n in (WEIGHTS, CONFIG)}, tmp_path / "n")
    crooked = json.dumps({**json.loads(files[CARD]), "id": "../../escape"}).encode()
    with pytest.raises(CorruptionError, match="a card must be"):
        from_files({**files, CARD: crooked}, tmp_path / "n")
    assert not (tmp_path / "n").exists()


def test_a_place_that_cannot_be_written_is_a_storage_error(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="adapter must be written"):
        store(trained, tmp_path / "file" / "adapters", base_id=BASE, card={})
