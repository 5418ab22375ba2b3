"""tokenizer.json -> the vocabulary of a GGUF file. Byte-level BPE only.

llama.cpp splits text before the merges by a named rule in its own code. The rule is recognised by
the tokenizer's pre-tokenizer, word for word; any other is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, cast

from upturn.errors import InputError

_TAIL = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_HEAD = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
#: A pre-tokenizer's steps -> llama.cpp's name (``llm_tokenizer_bpe`` has the regular expressions).
_NAMES: dict[tuple[str, ...], str] = {
    ("bytes+regex",): "gpt-2",
    ("digit", "bytes+regex"): "smollm",
    (_HEAD + _TAIL, "bytes"): "qwen2",
    (_HEAD + "{1,3}" + _TAIL, "bytes"): "llama-bpe",
}
#: Rules under which llama.cpp takes a word that is a token as it is, before any merge.
_IGNORE_MERGES = frozenset({"llama-bpe"})


class Kind(IntEnum):
    """llama.cpp's types of tokens (``llama_token_type``)."""

    NORMAL = 1
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """What a GGUF file says of the tokenizer.

    Attributes:
        tokens: by id; padded to the embeddings' rows.
        kinds: a token's type, by id.
        merges: ``left right``, in order.
        pre: llama.cpp's name of the rule that splits text.
        special: role (bos, eos, unk, pad, eot) -> id.
        add_bos: whether the tokenizer puts a bos before a text.
        template: the chat template, Jinja.
        remarks: what llama.cpp is known to do otherwise.
    """

    tokens: tuple[str, ...]
    kinds: tuple[int, ...]
    merges: tuple[str, ...]
    pre: str
    special: Mapping[str, int]
    add_bos: bool
    template: str
    remarks: tuple[str, ...]


def vocabulary(folder: Path, size: int) -> Vocabulary:
    """Reads the tokenizer of a model folder.

    Args:
        folder: the base's folder.
        size: rows of the embeddings.

    Raises:
        InputError: no byte-level BPE, or a pre-tokenizer without a name in llama.cpp.
    """
    from transformers import AutoTokenizer

    path = folder / "tokenizer.json"
    if not path.is_file():
        raise _refused(folder, "a tokenizer.json, and there is none")
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    pre = _pre_tokenizer(content, folder)
    loaded: Any = AutoTokenizer.from_pretrained(folder)
    tokens, kinds = _tokens(content, size)
    merges = content["model"]["merges"]
    ids: list[int] = loaded("a")["input_ids"]
    return Vocabulary(
        tokens=tokens,
        kinds=kinds,
        merges=tuple(m if isinstance(m, str) else " ".join(m) for m in merges),
        pre=pre,
        special=_special(loaded, folder),
        add_bos=bool(ids) and loaded.bos_token_id is not None and ids[0] == loaded.bos_token_id,
        template=str(loaded.chat_template or ""),
        remarks=_remarks(content),
    )


def _pre_tokenizer(content: Mapping[str, Any], folder: Path) -> str:
    model: Mapping[str, Any] = content["model"]
    if model.get("type") != "BPE" or model.get("byte_fallback"):
        raise _refused(folder, f"byte-level BPE, and the tokenizer is {model.get('type')}")
    steps = _steps(content.get("pre_tokenizer") or {})
    name = _NAMES.get(steps)
    if name is None:
        raise _refused(folder, f"a pre-tokenizer that llama.cpp names, got {' + '.join(steps)}")
    if bool(model.get("ignore_merges")) != (name in _IGNORE_MERGES):
        raise _refused(folder, f"ignore_merges as llama.cpp's rule {name} has it")
    return name


def _steps(pre: Mapping[str, Any]) -> tuple[str, ...]:
    kind = pre.get("type")
    if kind == "Sequence":
        parts = cast("list[Mapping[str, Any]]", pre["pretokenizers"])
        return tuple(step for part in parts for step in _steps(part))
    if kind == "ByteLevel" and not pre.get("add_prefix_space"):
        return ("bytes+regex" if pre.get("use_regex", True) else "bytes",)
    if kind == "Digits" and pre.get("individual_digits"):
        return ("digit",)
    if kind == "Split" and pre.get("behavior") == "Isolated" and not pre.get("invert"):
        return (str(pre["pattern"].get("Regex", "")),)
    return (str(kind),)


def _tokens(content: Mapping[str, Any], size: int) -> tuple[tuple[str, ...], tuple[int, ...]]:
    tokens = [f"[PAD{i}]" for i in range(size)]
    kinds = [int(Kind.UNUSED)] * size
    for text, i in content["model"]["vocab"].items():
        tokens[i], kinds[i] = text, int(Kind.NORMAL)
    for added in content.get("added_tokens", ()):
        kind = Kind.CONTROL if added["special"] else Kind.USER_DEFINED
        tokens[added["id"]], kinds[added["id"]] = added["content"], int(kind)
    return tuple(tokens), tuple(kinds)


def _special(loaded: Any, folder: Path) -> dict[str, int]:
    found = {name: getattr(loaded, f"{name}_token_id") for name in ("bos", "eos", "unk", "pad")}
    path = folder / "generation_config.json"
    ends = json.loads(path.read_text()).get("eos_token_id") if path.is_file() else None
    others: list[int] = [ends] if isinstance(ends, int) else list(ends or [])
    found["eot"] = next((i for i in others if i != found["eos"]), None)
    return {name: int(i) for name, i in found.items() if i is not None}


def _remarks(content: Mapping[str, Any]) -> tuple[str, ...]:
    if normalizer := content.get("normalizer"):
        return (f"llama.cpp does not normalise text as the tokenizer does ({normalizer['type']})",)
    return ()


def _refused(folder: Path, what: str) -> InputError:
    return InputError(
        f"GGUF needs {what}",
        where=str(folder / "tokenizer.json"),
        fix="--to merged, then llama.cpp's own convert_hf_to_gguf.py",
    )
