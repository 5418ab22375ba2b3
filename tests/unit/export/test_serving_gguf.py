"""What a GGUF file can say of a model, and what it is refused for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("transformers", reason="exports of weights need upturn[local]")

from upturn import mini
from upturn.errors import InputError
from upturn.export.serving.gguf_shape import shape
from upturn.export.serving.gguf_vocab import Kind, vocabulary
from upturn.export.serving.gguf_writing import permute

LLAMA: dict[str, Any] = {
    "model_type": "llama",
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "hidden_size": 32,
    "num_hidden_layers": 2,
}
GEMMA: dict[str, Any] = {
    **LLAMA,
    "model_type": "gemma3_text",
    "head_dim": 8,
    "query_pre_attn_scalar": 8,
    "layer_types": ["sliding_attention"] * 2,
    "sliding_window": 16,
}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"model_type": "mamba"}, "llama, qwen3, gemma3_text, and the base is mamba"),
        ({**LLAMA, "attention_bias": True}, "biases must be off"),
        ({**LLAMA, "hidden_act": "gelu"}, "activation must be silu"),
        ({**LLAMA, "rope_parameters": {"rope_type": "llama3"}}, "rope must not be scaled"),
        ({**LLAMA, "model_type": "qwen3", "use_sliding_window": True}, "use_sliding_window"),
        ({**GEMMA, "layer_types": ["sliding_attention", "full_attention"]}, "every 6th layer"),
        ({**GEMMA, "query_pre_attn_scalar": 256}, "query_pre_attn_scalar"),
        ({**GEMMA, "rope_local_base_freq": 5000.0}, "local rope_theta must be 10000, not 5000"),
    ],
)
def test_what_llama_cpp_would_compute_otherwise_is_refused(config, message):
    with pytest.raises(InputError, match=message):
        shape(config, where="base")


def test_defaults_that_a_config_leaves_out():
    llama = shape(LLAMA, where="base")
    assert (llama.head_dim, llama.kv_heads, llama.theta) == (8, 2, 10_000.0)
    assert llama.heads("model.layers.0.self_attn.q_proj.weight") == 4
    assert llama.heads("model.layers.0.self_attn.k_proj.weight") == 2
    assert llama.heads("model.layers.0.self_attn.v_proj.weight") is None
    gemma = shape(GEMMA, where="base")
    assert (gemma.norm_shift, gemma.window, gemma.theta) == (1.0, 16, 1_000_000.0)


def test_halves_of_a_head_become_neighbours():
    rows = np.arange(8).reshape(8, 1)  # two heads of four: 0 1 | 2 3 and 4 5 | 6 7
    assert permute(rows, 2).ravel().tolist() == [0, 2, 1, 3, 4, 6, 5, 7]


def test_the_embedded_vocabulary():
    vocab = vocabulary(mini.weights_dir(), 8000)
    assert (len(vocab.tokens), len(vocab.kinds)) == (8000, 8000)
    assert vocab.pre == "smollm"
    assert vocab.special == {"eos": 4, "pad": 0}
    assert not vocab.add_bos
    assert vocab.kinds[4] == Kind.CONTROL
    assert vocab.tokens[4] == "<|end|>\n"
    assert vocab.kinds[7989] == Kind.USER_DEFINED
    assert vocab.merges[0] == "Ġ t"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pre_tokenizer": {"type": "Whitespace"}}, "a pre-tokenizer that llama.cpp names"),
        ({"model.byte_fallback": True}, "byte-level BPE"),
        ({"model.ignore_merges": True}, "ignore_merges"),
    ],
)
def test_other_tokenizers_are_refused(tmp_path: Path, changes, message):
    content = json.loads((mini.weights_dir() / "tokenizer.json").read_text())
    for name, value in changes.items():
        where, _, key = name.rpartition(".")
        (content[where] if where else content)[key] = value
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=message):
        vocabulary(tmp_path, 8000)
