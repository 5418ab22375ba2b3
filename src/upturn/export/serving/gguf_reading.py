"""Reads a GGUF file back with the ``gguf`` package, and with transformers' own GGUF loader.

The package gives tensors and metadata as they are on disk. Transformers undoes the reordering of q
and k by code of its own, so that its logits say whether ours was right.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from upturn.export.serving import logits
from upturn.export.serving.base import Check
from upturn.export.serving.gguf_shape import Shape, shape
from upturn.export.serving.gguf_vocab import vocabulary
from upturn.export.serving.gguf_writing import permute, tensor_name
from upturn.export.serving.merging import HEAD, BaseModel, base_model, merged
from upturn.export.serving.model_folder import torch_dtype
from upturn.export.serving.reading import Order, Reading
from upturn.weights.lora import Lora, read_peft

#: Field of the file behind the architecture's name -> field of the config.
_NUMBERS = {
    "vocab_size": "vocab_size",
    "context_length": "max_position_embeddings",
    "embedding_length": "hidden_size",
    "block_count": "num_hidden_layers",
    "feed_forward_length": "intermediate_size",
    "attention.head_count": "num_attention_heads",
    "attention.layer_norm_rms_epsilon": "rms_norm_eps",
}


def compare(order: Order) -> Reading:
    """Compares a GGUF file with base and adapter: tensors, metadata, vocabulary, logits."""
    import gguf

    path = Path(order.exported)
    base, lora = base_model(Path(order.base)), read_peft(order.adapter, tied=False)
    form = shape(base.config, where=order.base)
    reader = gguf.GGUFReader(path)
    checks = [
        Check.of(order.target, f"{what}: gguf.GGUFReader, against the source", wrong, 0)
        for what, wrong in {
            "tensors that differ": _wrong_tensors(reader, base, lora, form, order),
            "metadata fields that differ": _wrong_numbers(reader, form),
            "vocabulary entries that differ": _wrong_tokens(reader, base),
        }.items()
    ]
    made = logits.reference(order, vectors=False)
    model = _load(path, base, lora)
    reading = logits.compare_model(order, made, model, "transformers' GGUF loader")
    return Reading(checks=checks + reading.checks, measured=reading.measured)


def _wrong_tensors(reader: Any, base: BaseModel, lora: Lora, form: Shape, order: Order) -> int:
    """Counts tensors that are not, to the last bit, the merged ones cast; also missing ones."""
    from gguf import dequantize

    found = {t.name: t for t in reader.tensors}
    dtype = torch_dtype(order.dtype, base.config)
    wrong = 0
    for shard in base.shards:
        for name, values in merged(base, lora, shard).items():
            tensor = found.pop(tensor_name(name, form), None)
            if tensor is None:
                wrong += 1
                continue
            expected = _expected(values, name, form, dtype)
            read = dequantize(tensor.data, tensor.tensor_type).reshape(expected.shape)
            wrong += not np.array_equal(read, expected)
    return wrong + len(found)


def _expected(
    values: torch.Tensor, name: str, form: Shape, dtype: torch.dtype
) -> np.ndarray[Any, Any]:
    if values.ndim == 1:
        return (values.float() + (form.norm_shift if "norm" in name else 0.0)).numpy()
    array = values.float().to(dtype).float().numpy()
    heads = form.heads(name)
    return array if heads is None else permute(array, heads)


def _wrong_numbers(reader: Any, form: Shape) -> int:
    expected: dict[str, Any] = {
        f"{form.arch}.{name}": form.config[field] for name, field in _NUMBERS.items()
    }
    expected |= {
        "general.architecture": form.arch,
        f"{form.arch}.attention.head_count_kv": form.kv_heads,
        f"{form.arch}.attention.key_length": form.head_dim,
        f"{form.arch}.rope.freq_base": form.theta,
    }
    return sum(not _equal(_field(reader, name), value) for name, value in expected.items())


def _wrong_tokens(reader: Any, base: BaseModel) -> int:
    vocab = vocabulary(base.folder, int(base.config["vocab_size"]))
    pairs = {
        "tokenizer.ggml.tokens": list(vocab.tokens),
        "tokenizer.ggml.token_type": list(vocab.kinds),
        "tokenizer.ggml.merges": list(vocab.merges),
        "tokenizer.ggml.pre": vocab.pre,
        "tokenizer.ggml.add_bos_token": vocab.add_bos,
        "tokenizer.chat_template": vocab.template or None,
        **{_id_field(role): i for role, i in vocab.special.items()},
    }
    return sum(_field(reader, name) != value for name, value in pairs.items())


def _id_field(role: str) -> str:
    names = {"unk": "unknown", "pad": "padding"}
    return f"tokenizer.ggml.{names.get(role, role)}_token_id"


def _field(reader: Any, name: str) -> Any:
    field = reader.get_field(name)
    return None if field is None else field.contents()


def _equal(found: Any, expected: Any) -> bool:
    if isinstance(expected, float):
        return found is not None and np.float32(found) == np.float32(expected)
    return found == expected


def _load(path: Path, base: BaseModel, lora: Lora) -> Any:
    from transformers import AutoConfig, AutoModelForCausalLM

    config: Any = AutoConfig.from_pretrained(base.folder)
    # The file does not say everything that a config does; the weights are the file's.
    config.tie_word_embeddings = base.tied and HEAD not in lora.layers
    load: Any = AutoModelForCausalLM.from_pretrained
    model = load(path.parent, gguf_file=path.name, config=config, dtype=torch.float32)
    return model.eval()
