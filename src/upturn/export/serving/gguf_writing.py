"""A merged model as one GGUF file: metadata, vocabulary, tensors under llama.cpp's names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from upturn.errors import InputError
from upturn.export.serving.gguf_shape import Shape
from upturn.export.serving.gguf_vocab import Vocabulary
from upturn.export.serving.merging import BaseModel, merged

if TYPE_CHECKING:
    import torch

    from upturn.weights.lora import Lora

#: Our dtype -> (llama.cpp's file type, name of the quantization type).
TYPES = {
    "float32": ("ALL_F32", "F32"),
    "float16": ("MOSTLY_F16", "F16"),
    "bfloat16": ("MOSTLY_BF16", "BF16"),
}


def write_gguf(
    path: Path,
    base: BaseModel,
    lora: Lora,
    *,
    shape: Shape,
    vocab: Vocabulary,
    dtype: torch.dtype,
    name: str,
) -> None:
    """Writes the file. Matrices are cast to ``dtype``, vectors are fp32, as llama.cpp wants them.

    Raises:
        InputError: the base has a tensor that llama.cpp's architecture has no name for.
    """
    import gguf

    writer = gguf.GGUFWriter(path, shape.arch)
    try:
        file_type, tensor_type = TYPES[str(dtype).removeprefix("torch.")]
        _describe(writer, shape, name, int(gguf.LlamaFileType[file_type]))
        _add_vocabulary(writer, vocab)
        quantized = gguf.GGMLQuantizationType[tensor_type]
        for shard in base.shards:
            for tensor, values in merged(base, lora, shard).items():
                made = tensor_name(tensor, shape)
                array = _array(values, shape, tensor)
                kind = quantized if array.ndim > 1 else gguf.GGMLQuantizationType.F32
                writer.add_tensor(made, gguf.quants.quantize(array, kind), raw_dtype=kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()


def tensor_name(name: str, shape: Shape) -> str:
    """Returns llama.cpp's name of a tensor.

    Raises:
        InputError: it has none.
    """
    import gguf

    arch = next(k for k, v in gguf.MODEL_ARCH_NAMES.items() if v == shape.arch)
    names = gguf.get_tensor_name_map(arch, int(shape.config["num_hidden_layers"]))
    found = names.get_name(name, try_suffixes=(".weight",))
    if found is None:
        raise InputError(
            f"every tensor must have a name in llama.cpp's {shape.arch}, and {name} has none",
            fix="--to merged, then llama.cpp's own convert_hf_to_gguf.py",
        )
    return found


def permute(array: np.ndarray[Any, Any], heads: int) -> np.ndarray[Any, Any]:
    """Reorders rows [heads, 2, half] to [heads, half, 2]: halves of a head become neighbours."""
    split = array.reshape(heads, 2, array.shape[0] // heads // 2, *array.shape[1:])
    return np.ascontiguousarray(split.swapaxes(1, 2).reshape(array.shape))


def _array(values: torch.Tensor, shape: Shape, name: str) -> np.ndarray[Any, Any]:
    if name.endswith("norm.weight"):
        return (values.float() + shape.norm_shift).numpy()
    heads = shape.heads(name)
    array = values.float().numpy()
    return array if heads is None else permute(array, heads)


def _describe(writer: Any, shape: Shape, name: str, file_type: int) -> None:
    config = shape.config
    writer.add_type("model")
    writer.add_name(name)
    writer.add_file_type(file_type)
    writer.add_vocab_size(config["vocab_size"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_key_length(shape.head_dim)
    writer.add_value_length(shape.head_dim)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(shape.theta)
    writer.add_rope_dimension_count(shape.head_dim)
    if shape.window is not None:
        writer.add_sliding_window(shape.window)
    if shape.softcap is not None:
        writer.add_final_logit_softcapping(shape.softcap)


def _add_vocabulary(writer: Any, vocab: Vocabulary) -> None:
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(vocab.pre)
    writer.add_token_list(list(vocab.tokens))
    writer.add_token_types(list(vocab.kinds))
    writer.add_token_merges(list(vocab.merges))
    for role, i in vocab.special.items():
        getattr(writer, f"add_{role}_token_id")(i)
    writer.add_add_bos_token(vocab.add_bos)
    if vocab.template:
        writer.add_chat_template(vocab.template)
