"""What PEFT writes is read as PEFT means it, and written so that every server takes it."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
from safetensors.torch import load_file, save_file  # noqa: E402

from tests.contracts.tiny_models import tiny_llama, tiny_qwen3  # noqa: E402
from upturn.errors import ModelError  # noqa: E402
from upturn.testing.adapters import random_adapter  # noqa: E402
from upturn.weights.adapter import CONFIG, WEIGHTS  # noqa: E402
from upturn.weights.base import base_shapes, ties_embeddings  # noqa: E402
from upturn.weights.lora import check_fits, plain, read_peft, write_peft  # noqa: E402

pytestmark = pytest.mark.local

PREFIX = "base_model.model."
Q0 = "model.layers.0.self_attn.q_proj"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_llama(tmp_path_factory.mktemp("base") / "llama")


@pytest.fixture
def adapter(base: Path, tmp_path: Path) -> Path:
    return random_adapter(base, tmp_path / "adapter", seed=3, r=4)


def change(folder: Path, **values: Any) -> Path:
    path = folder / CONFIG
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
    return folder


def retensor(folder: Path, edit: Any) -> Path:
    tensors = load_file(folder / WEIGHTS)
    edit(tensors)
    save_file(tensors, folder / WEIGHTS)
    return folder


PATTERNS: dict[str, dict[str, Any]] = {
    "plain": {"r": 4, "lora_alpha": 16},
    "rslora": {"r": 4, "lora_alpha": 10, "use_rslora": True},
    "rank_pattern": {
        "r": 4,
        "lora_alpha": 8,
        "rank_pattern": {"q_proj": 2, r"layers\.1\.mlp\.down_proj": 6, "layers.0.self_attn": 3},
        "alpha_pattern": {"v_proj": 3, "^model.layers.1.self_attn.q_proj": 20},
    },
    "both": {
        "r": 4,
        "lora_alpha": 8,
        "use_rslora": True,
        "rank_pattern": {"k_proj": 8, "_proj": 5},
        "alpha_pattern": {"o_proj": 1},
    },
}


def peft_logits(base: Path, folder: Path, ids: Any) -> Any:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    with torch.inference_mode():
        return PeftModel.from_pretrained(model, folder).eval()(ids).logits


@pytest.mark.parametrize("name", PATTERNS)
@pytest.mark.parametrize("make", [tiny_llama, tiny_qwen3])
@pytest.mark.filterwarnings("ignore")  # PEFT warns of patterns that match nothing; two are meant to
def test_the_plain_adapter_has_the_logits_of_what_peft_trained(
    name: str, make: Any, tmp_path: Path
) -> None:
    peft = pytest.importorskip("peft")
    from transformers import AutoModelForCausalLM

    base = make(tmp_path / "base")
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    config = peft.LoraConfig(task_type="CAUSAL_LM", target_modules="all-linear", **PATTERNS[name])
    trained = peft.get_peft_model(model, config)
    torch.manual_seed(1)
    for key, value in trained.named_parameters():
        if "lora_" in key:
            torch.nn.init.normal_(value, std=0.3)
    trained.save_pretrained(tmp_path / "trained")
    ids = torch.arange(1, 30)[None]
    with torch.inference_mode():
        expected = trained.eval()(ids).logits

    lora = read_peft(tmp_path / "trained")
    write_peft(lora, tmp_path / "plain", base_name="base")
    written = json.loads((tmp_path / "plain" / CONFIG).read_text())
    found = peft_logits(base, tmp_path / "plain", ids)

    assert float((found - expected).abs().max()) < 1e-5
    untouched = peft_logits(base, random_adapter(base, tmp_path / "zero", scale=0.0), ids)
    assert float((untouched - expected).abs().max()) > 1e-2, "the adapter must do something"
    assert written["lora_alpha"] == written["r"] == lora.rank
    assert not written["use_rslora"]
    assert not written["rank_pattern"]
    assert not written["alpha_pattern"]
    check_fits(lora, base_shapes(base), where="adapter")


def test_written_files_are_readable_and_the_same_bytes(adapter: Path, tmp_path: Path) -> None:
    lora = read_peft(adapter)
    for name in ("one", "two"):
        write_peft(lora, tmp_path / name, base_name="base")
    for file in (WEIGHTS, CONFIG):
        one, two = (tmp_path / name / file for name in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()
        assert stat.S_IMODE(one.stat().st_mode) == 0o644
    config = json.loads((tmp_path / "one" / CONFIG).read_text())
    assert list(config) == sorted(config)
    assert config["target_modules"] == sorted({m.rsplit(".", 1)[-1] for m in lora.layers})
    again = read_peft(tmp_path / "one")
    for module, (a, b) in plain(lora).layers.items():
        assert torch.equal(a, again.layers[module].a)
        assert torch.equal(b, again.layers[module].b)


def test_layers_that_are_left_out_are_named_by_whole_paths(base: Path, tmp_path: Path) -> None:
    folder = random_adapter(base, tmp_path / "a", targets=["q_proj", "v_proj"])
    retensor(folder, lambda t: [t.pop(k) for k in list(t) if "layers.0.self_attn.v_proj" in k])
    write_peft(read_peft(folder), tmp_path / "plain", base_name="base")
    targets = json.loads((tmp_path / "plain" / CONFIG).read_text())["target_modules"]
    assert Q0 in targets
    assert "model.layers.0.self_attn.v_proj" not in targets
    assert len(targets) == 3


def test_ranks_are_filled_with_zeros_up_to_the_one_asked_for(adapter: Path) -> None:
    lora = read_peft(adapter)
    wide = plain(lora, rank=16)
    assert wide.rank == 16
    a, b = wide.layers[Q0]
    assert torch.equal(b @ a, lora.layers[Q0].b @ lora.layers[Q0].a)


def test_names_with_the_adapters_name_and_without_the_prefix_are_read(adapter: Path) -> None:
    expected = read_peft(adapter)

    def rename(tensors: Any) -> None:
        for key in list(tensors):
            new = key.removeprefix(PREFIX).replace(".weight", ".default.weight")
            tensors[new] = tensors.pop(key)

    found = read_peft(retensor(adapter, rename))
    assert list(found.layers) == list(expected.layers)
    assert torch.equal(found.layers[Q0].b, expected.layers[Q0].b)


def test_half_precision_is_read_as_float32(adapter: Path) -> None:
    retensor(adapter, lambda t: t.update({k: v.bfloat16() for k, v in t.items()}))
    assert read_peft(adapter).layers[Q0].a.dtype == torch.float32


def test_the_reference_that_dpo_leaves_is_no_part_of_the_adapter(base: Path, adapter: Path) -> None:
    before = read_peft(adapter)
    random_adapter(base, adapter / "ref", seed=9)
    (adapter / "training_args.bin").write_bytes(b"x")
    assert torch.equal(read_peft(adapter).layers[Q0].b, before.layers[Q0].b)


A0 = f"{PREFIX}{Q0}.lora_A.weight"
B0 = f"{PREFIX}{Q0}.lora_B.weight"


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda t: t.pop(B0), "both halves, lora_B is missing"),
        (lambda t: t[B0].fill_(float("nan")), f"finite numbers, {Q0} has NaN"),
        (lambda t: t[A0][0].fill_(float("inf")), "finite numbers"),
        (lambda t: t.update({A0: torch.zeros(5, 32)}), "must have rank 4 .* A 5 x 32"),
        (lambda t: t.update({B0: torch.zeros(32)}), "must have rank 4 .* B 32"),
        (lambda t: t.update({f"{PREFIX}{Q0}.extra": torch.zeros(1)}), "extra is neither"),
        (lambda t: t.update({f"{PREFIX}{Q0}.lora_magnitude_vector": torch.ones(2)}), "DoRA magn"),
        (lambda t: t.update({f"{PREFIX}{Q0}.bias": torch.ones(2)}), "is a trained bias"),
        (lambda t: t.update({f"{PREFIX}{Q0}.lora_B.bias": torch.ones(2)}), "a bias of the upd"),
        (
            lambda t: t.update({f"{PREFIX}model.embed_tokens.lora_embedding_A": torch.ones(2)}),
            "update of the embeddings",
        ),
        (
            lambda t: t.update({f"{PREFIX}lm_head.modules_to_save.weight": torch.ones(2)}),
            "whole trained module",
        ),
        (lambda t: t.update({f"{PREFIX}lm_head.weight": torch.ones(2)}), "lm_head.weight is nei"),
        (
            lambda t: t.update({A0.replace(".weight", ".default.weight"): torch.ones(4, 32)}),
            "is there twice",
        ),
        (lambda t: t.clear(), "at least one layer"),
    ],
)
def test_tensors_that_are_not_plain_lora_are_refused(
    adapter: Path, edit: Any, message: str
) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        read_peft(retensor(adapter, edit))
    assert str(adapter) in caught.value.where


def test_an_update_of_the_head_is_refused_where_it_is_tied(base: Path, adapter: Path) -> None:
    head = {"lora_A": torch.ones(4, 32), "lora_B": torch.ones(8000, 4)}
    retensor(
        adapter,
        lambda t: t.update({f"{PREFIX}lm_head.{k}.weight": v for k, v in head.items()}),
    )
    assert ties_embeddings(base)
    with pytest.raises(ModelError, match="tied to the embeddings"):
        read_peft(adapter)
    assert "lm_head" in read_peft(adapter, tied=False).layers


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"use_dora": True}, "use_dora asks for DoRA"),
        ({"bias": "lora_only"}, "bias must be none, got 'lora_only'"),
        ({"modules_to_save": ["lm_head"]}, "whole trained modules"),
        ({"trainable_token_indices": [1]}, "trained token embeddings"),
        ({"init_lora_weights": "pissa"}, "leaves the base as it is, got 'pissa'"),
        ({"peft_type": "IA3"}, "peft_type must be LORA, got 'IA3'"),
        ({"r": 0}, "r must be a whole number >= 1, got 0"),
        ({"lora_alpha": "x"}, "lora_alpha must be a number > 0"),
        ({"rank_pattern": {"(": 2}}, "rank_pattern must map names to numbers"),
        ({"alpha_pattern": [1]}, "alpha_pattern must map names to numbers"),
        ({"r": 8}, "must have rank 8 as adapter_config.json says"),
    ],
)
def test_configs_that_ask_for_more_are_refused(
    adapter: Path, values: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        read_peft(change(adapter, **values))


@pytest.mark.parametrize("name", [WEIGHTS, CONFIG])
def test_files_that_are_missing_or_none_are_named(adapter: Path, name: str) -> None:
    (adapter / name).write_bytes(b"garbage")
    with pytest.raises(ModelError, match="must be a") as caught:
        read_peft(adapter)
    assert caught.value.where == str(adapter / name)
    (adapter / name).unlink()
    with pytest.raises(ModelError, match=f"{name}"):
        read_peft(adapter)


def test_layers_of_another_architecture_or_shape_are_refused(base: Path, adapter: Path) -> None:
    lora, shapes = read_peft(adapter), base_shapes(base)
    check_fits(lora, shapes, where="a")
    with pytest.raises(ModelError, match=r"which has no model\.layers\.0"):
        check_fits(lora, {}, where="a")
    with pytest.raises(ModelError, match=f"{Q0} must be 64 x 32 as in the base, .* is 32 x 32"):
        check_fits(lora, {**shapes, Q0: (64, 32)}, where="a")


def test_a_folder_without_weights_is_no_base(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"weights as \*.safetensors"):
        base_shapes(tmp_path)
    (tmp_path / "x.safetensors").write_bytes(b"no")
    with pytest.raises(ModelError, match="must be a safetensors file"):
        base_shapes(tmp_path)
    with pytest.raises(ModelError, match="JSON object"):
        ties_embeddings(tmp_path)
