"""Opens what is to be exported: adapter and base, checked against each other before any work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from upturn.errors import ModelError
from upturn.export.serving.base import Source
from upturn.lm.folder import check_folder, folder_hash, require_local_extra
from upturn.lm.spec import MINI
from upturn.weights.adapter import Adapter, check_base, content_id

#: What the smoke script asks where nobody says otherwise.
QUESTION = ({"role": "user", "content": "Say ok."},)


def open_source(
    adapter: Adapter | Path,
    base: Path,
    *,
    messages: Sequence[Mapping[str, str]] = QUESTION,
) -> Source:
    """Opens an adapter and its base.

    Args:
        adapter: one of the workspace, or a folder as PEFT writes it, which names no base's hash.
        base: the base model's folder.
        messages: what the smoke script asks.

    Raises:
        ModelError: a file is missing; the adapter is more than plain LoRA (DoRA, bias, whole
            modules); it is another base's, or a layer does not fit the base.
    """
    require_local_extra("exporting weights")
    from upturn.export.serving.merging import EMBEDDINGS, base_model, layer_shapes
    from upturn.weights.lora import check_fits, read_peft

    check_folder(base)
    base_id = identify_base(base)
    known = adapter if isinstance(adapter, Adapter) else None
    folder = known.folder if known else Path(str(adapter))
    if known:
        check_base(known, base_id)
    lora = read_peft(folder, tied=False)
    if EMBEDDINGS in lora.layers:
        what = "the embeddings must stay as they are, and the adapter changes them"
        raise ModelError(what, where=str(folder), fix="train with target_modules: all-linear")
    check_fits(lora, layer_shapes(base_model(base)), where=str(folder))
    return Source(
        adapter=folder,
        lora=lora,
        adapter_id=known.id if known else content_id(lora, base_id),
        base=base,
        base_id=base_id,
        base_known=known is not None,
        messages=tuple(messages),
        card=known.card if known else {},
    )


def identify_base(base: Path) -> str:
    """Returns name and hash of a base model's folder, as ``upturn.lm.connect.locate`` does."""
    from upturn import mini

    if base.resolve() == mini.weights_dir().resolve():
        return f"{MINI}@{mini.content_hash()}"
    return f"hf-{base.resolve().name}@{folder_hash(base)}"
