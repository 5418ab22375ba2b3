"""Exports for model servers: read back as their source, refused where they could not be."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="exports of weights need upturn[train,gguf]")
pytest.importorskip("transformers", reason="exports of weights need upturn[train,gguf]")
pytest.importorskip("peft", reason="exports of weights need upturn[train,gguf]")
pytest.importorskip("gguf", reason="exports of weights need upturn[train,gguf]")

from tests.contracts.serving_sources import (
    ADAPTERS,
    change,
    make_adapter,
    make_base,
    set_config,
)
from upturn import mini
from upturn.errors import CorruptionError, InputError, ModelError, StorageError, UpturnError
from upturn.export.serving import Options, Source, export_serving, target_names, verify_files
from upturn.export.serving.publish import read_in_fresh_process
from upturn.export.serving.reading import Order, Reading, read
from upturn.export.serving.sources import open_source
from upturn.weights.adapter import store

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")

TINY = Options(name="tiny")
LORA_TARGETS = ("peft", "vllm", "sglang", "lorax")
Made = Callable[..., Source]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Sources by kind of base and of adapter, each made once."""
    root = tmp_path_factory.mktemp("sources")

    def make(kind: str = "llama", adapter: str = "plain") -> Source:
        base, folder = root / kind, root / f"{kind}-{adapter}"
        if not base.exists():
            make_base(kind, base)
        if not folder.exists():
            make_adapter(base, folder, **ADAPTERS[adapter])
        return open_source(folder, base)

    return make


def export(source: Source, to: str, out: Path, options: Options = TINY, **seams: object) -> object:
    """Exports, and reads back in this process, which costs no start."""
    return export_serving(source, to, out, options, **{"read": read, **seams})


def logits(verified: object) -> list[float]:
    return [c.value for c in verified if c.check.startswith("logits")]


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("kind", ["llama", "qwen3", "gemma3"])
def test_adapter_and_merged_weights_answer_as_the_source(made: Made, tmp_path, kind, adapter):
    source = made(kind, adapter)
    for to in ("peft", "merged"):
        exported = export(source, to, tmp_path / to)
        assert all(c.ok for c in exported.verified)
        (value,) = logits(exported.verified)
        assert value <= 1e-5
    config = json.loads((tmp_path / "peft/adapters/tiny/adapter_config.json").read_text())
    assert (config["lora_alpha"], config["use_rslora"]) == (config["r"], False)
    assert (config["rank_pattern"], config["alpha_pattern"]) == ({}, {})


@pytest.mark.parametrize("kind", ["llama", "qwen3", "gemma3"])
def test_a_gguf_file_reads_back_as_the_merged_model(made: Made, tmp_path, kind):
    exported = export(made(kind, "patterns"), "gguf", tmp_path / "out")
    found = {c.check.split(":")[0]: c.value for c in exported.verified}
    value = found.pop("logits")
    assert value <= 1e-5
    assert set(found.values()) == {0}
    assert len(found) == 3


@pytest.mark.parametrize("to", ["vllm", "sglang", "lorax"])
def test_servers_of_adapters_get_what_their_rules_ask_for(made: Made, tmp_path, to):
    exported = export(made("llama", "patterns"), to, tmp_path / "out")
    assert all(c.ok for c in exported.verified)
    manifest = verify_files(exported.folder)
    assert any("not started here" in line for line in manifest["not_checked_here"])
    assert any("base's hash" in line for line in manifest["not_checked_here"])
    readme = (exported.folder / "README.md").read_text()
    assert "not started here" in readme
    if to == "vllm":
        assert "--max-lora-rank 8 " in readme  # the smallest that a rank of 6 fits under
        assert "--served-model-name llama " in readme


def test_the_embedded_model_in_its_own_dtype_says_what_rounding_costs(tmp_path):
    adapter = make_adapter(mini.weights_dir(), tmp_path / "adapter")
    source = open_source(adapter, mini.weights_dir())
    exported = export(source, "merged", tmp_path / "out")
    measured = exported.manifest["measured"]
    # bfloat16 keeps 8 bits, so that the difference is the rounding and nothing besides.
    assert 1e-4 < measured["rounding"] < 0.1
    assert measured["difference"] == pytest.approx(measured["rounding"], rel=0.1)
    assert 0 < measured["weight_rounding"] < 0.1
    whole = export(source, "merged", tmp_path / "f32", Options(name="tiny", dtype="f32"))
    assert logits(whole.verified)[0] <= 1e-5
    assert (tmp_path / "f32/tiny/chat_template.jinja").read_bytes() == (
        mini.weights_dir() / "chat_template.jinja"
    ).read_bytes()


def test_a_fresh_process_reads_it_back_and_leaves_a_whole_folder(made: Made, tmp_path):
    exported = export_serving(made(), "ollama", tmp_path / "out", TINY)
    assert exported.files == tuple(
        sorted(["Modelfile", "README.md", "manifest.json", "smoke.py", "tiny.gguf"])
    )
    assert {p.name for p in tmp_path.iterdir()} == {"out"}
    modelfile = (tmp_path / "out/Modelfile").read_text()
    assert 'if eq .Role "user" }}<|user|>\n{{ .Content }}<|end|>\n{{ else' in modelfile
    assert modelfile.startswith("FROM ./tiny.gguf\n")
    assert all((p.stat().st_mode & 0o777) == 0o644 for p in (tmp_path / "out").iterdir())
    again = export_serving(made(), "ollama", tmp_path / "out", TINY, read=_never)
    assert again == exported


def _never(order: Order) -> Reading:
    raise AssertionError("an export that is there is not read again")


def _damage(order: Order) -> Reading:
    """Changes what was written, then reads it back as ever."""
    path = Path(order.exported)
    if order.reader == "gguf":
        content = bytearray(path.read_bytes())
        content[-3] ^= 0x40  # a bit in the last tensor
        path.write_bytes(content)
    elif order.reader == "merged":
        change(path / "model.safetensors", "q_proj.weight")
    else:
        change(path / "adapter_model.safetensors", "lora_B.weight")
    return read(order)


@pytest.mark.parametrize("to", ["peft", "merged", "gguf"])
def test_what_does_not_read_back_is_an_error_and_leaves_nothing(made: Made, tmp_path, to):
    with pytest.raises(UpturnError, match="must read back as its source"):
        export(made(), to, tmp_path / "out", read=_damage)
    assert list(tmp_path.iterdir()) == []


def test_wrongly_ordered_queries_are_seen_by_the_second_reader(made: Made, tmp_path, monkeypatch):
    # Writer and tensor check share the reordering; transformers undoes it by itself.
    for module in ("gguf_writing", "gguf_reading"):
        monkeypatch.setattr(f"upturn.export.serving.{module}.permute", lambda array, heads: array)
    with pytest.raises(UpturnError, match="logits: transformers' GGUF loader"):
        export(made(), "gguf", tmp_path / "out")


def test_a_crash_of_the_reader_is_an_error_with_its_last_line(made: Made, tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho first >&2\necho 'out of memory' >&2\nexit 9\n")
    python.chmod(0o755)
    crash = partial(read_in_fresh_process, python=str(python))
    with pytest.raises(UpturnError, match="reading it back ended with 9: out of memory"):
        export(made(), "peft", tmp_path / "out", read=crash)
    assert list(tmp_path.iterdir()) == [python]


def test_an_export_overwrites_nothing_and_notices_changes(made: Made, tmp_path):
    out = tmp_path / "out"
    exported = export(made(), "peft", out)
    with pytest.raises(StorageError, match="never overwrites"):
        export(made("llama", "rslora"), "peft", out)
    (out / "README.md").write_text("mine now")
    with pytest.raises(CorruptionError, match=r"README\.md"):
        export(made(), "peft", out)
    assert (out / "README.md").read_text() == "mine now"
    (tmp_path / "other").mkdir()
    (tmp_path / "other/mine.txt").write_text("keep me")
    with pytest.raises(StorageError, match="never overwrites"):
        export(made(), "peft", tmp_path / "other")
    assert "manifest.json" in exported.files


def test_an_update_of_a_tied_head_is_untied_when_merged_and_refused_beside(made: Made, tmp_path):
    base = made().base
    folder = make_adapter(base, tmp_path / "head", target_modules=["q_proj", "lm_head"])
    source = open_source(folder, base)
    for to in LORA_TARGETS:
        with pytest.raises(InputError, match="lm_head"):
            export(source, to, tmp_path / to)
    for to in ("merged", "gguf"):
        exported = export(source, to, tmp_path / to)
        assert logits(exported.verified)[0] <= 1e-5
    config = json.loads((tmp_path / "merged/tiny/config.json").read_text())
    assert config["tie_word_embeddings"] is False


def test_embeddings_must_stay(made: Made, tmp_path):
    folder = make_adapter(made().base, tmp_path / "a", target_modules=["q_proj", "embed_tokens"])
    with pytest.raises(ModelError, match="embeddings"):
        open_source(folder, made().base)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"use_dora": True}, "DoRA"),
        ({"bias": "all"}, "bias must be none"),
        ({"modules_to_save": ["lm_head"]}, "modules"),
    ],
)
def test_more_than_plain_lora_is_refused(made: Made, tmp_path, changes, message):
    folder = shutil.copytree(made().adapter, tmp_path / "a")
    set_config(folder, **changes)
    with pytest.raises(ModelError, match=message):
        open_source(folder, made().base)


def test_an_adapter_of_another_base_is_refused(made: Made, tmp_path):
    source = made()
    adapter = store(source.adapter, tmp_path / "adapters", base_id=source.base_id, card={})
    assert open_source(adapter, source.base).base_known
    other = make_base("llama", tmp_path / "other")
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "rms_norm_eps": 1e-3}))
    with pytest.raises(ModelError, match="trained on"):
        open_source(adapter, other)
    with pytest.raises(ModelError, match=r"every layer of an adapter|as in the base"):
        open_source(adapter.folder, mini.weights_dir())
    with pytest.raises(ModelError, match="must be a folder"):
        open_source(adapter, tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("to", "limit", "message"),
    [
        ("vllm", 5, "must be one of 8, 16"),
        ("vllm", 8, "rank must be <= 8"),
        ("sglang", 4, "rank must be <= 4"),
    ],
)
def test_a_rank_above_the_servers_limit_is_refused(made: Made, tmp_path, to, limit, message):
    folder = make_adapter(made().base, tmp_path / "a", r=12)
    options = Options(name="tiny", max_lora_rank=limit)
    with pytest.raises(InputError, match=message):
        export(open_source(folder, made().base), to, tmp_path / "out", options)


def test_there_is_no_other_target(made: Made, tmp_path):
    assert set(target_names()) == {*LORA_TARGETS, "merged", "gguf", "ollama"}
    with pytest.raises(InputError, match="did you mean vllm"):
        export(made(), "vlm", tmp_path / "out")


def test_a_newcomer_is_one_file(made: Made, tmp_path, monkeypatch):
    from upturn.export.serving import registry, targets

    text = (Path(targets.__path__[0]) / "peft.py").read_text()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/newcomer.py").write_text(text.replace('= "peft"', '= "newcomer"'))
    monkeypatch.setattr(targets, "__path__", [*targets.__path__, str(tmp_path / "mine")])
    registry.target_names.cache_clear()
    try:
        exported = export(made(), "newcomer", tmp_path / "out")
    finally:
        registry.target_names.cache_clear()
        registry.target.cache_clear()
    assert {c.target for c in exported.verified} == {"newcomer"}
