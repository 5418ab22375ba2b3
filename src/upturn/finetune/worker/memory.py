"""What training takes: TRL's head made small, activations estimated, peaks read."""

from __future__ import annotations

import ctypes
import resource
import sys
from typing import Any

import torch

from upturn.errors import ModelError

#: Bytes of activations on a CPU before a batch is cut; the allocator takes about twice as much.
ACTIVATION_BYTES = 640 << 20
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _RETURNED = -1, -3, 1 << 20  # malloc.h
_TOKEN_CHUNK, _VOCABULARY_CHUNK = 512, 4096


def shrink_head(*, cpu: bool) -> None:
    """Makes TRL's fused head take little memory and, on a CPU, skip what has no loss.

    On a CPU it would score every position of every prompt, in tiles of 4,096 tokens by 32,768
    words: 5.4 GB for a model of 25 million weights. With completions only, in small tiles, it is
    tens of megabytes, and faster. These names are private to TRL 1.16, so each is checked first.

    Raises:
        ModelError: TRL has changed.
    """
    from trl.kernels import chunked_logprob
    from trl.trainer import utils

    names = (
        (chunked_logprob, "TOKEN_CHUNK_SIZE"),
        (utils, "_CHUNKED_LOGPROB_CHUNK_SIZE"),
        (utils, "_use_triton"),
    )
    for module, name in names:
        if not hasattr(module, name):
            raise ModelError(
                f"{module.__name__} of this TRL must have {name}, and has not",
                where="trl",
                fix="pip install 'upturn[train]' for the version that was tested",
            )
    if cpu:
        chunked_logprob.TOKEN_CHUNK_SIZE = _TOKEN_CHUNK
        utils._CHUNKED_LOGPROB_CHUNK_SIZE = _VOCABULARY_CHUNK  # pyright: ignore[reportPrivateUsage]
        # What it decides there is whether only positions with a loss are scored.
        setattr(utils, "_use_triton", _always)  # noqa: B010 - not exported there


def _always(device: torch.device) -> bool:
    return True


def activation_bytes(config: Any, *, tokens: int, checkpointing: bool) -> int:
    """Estimates what a forward pass in fp32 keeps for the backward pass.

    A layer keeps its input, two norms, queries, keys, values, the attention's output, the inputs
    of LoRA (which are these again) and four tensors of the feed-forward width. With checkpointing
    each layer keeps its input only, and one layer at a time has all.
    """
    text = config.get_text_config()
    hidden, layers = text.hidden_size, text.num_hidden_layers
    inner = getattr(text, "intermediate_size", None) or 4 * hidden
    layer = 4 * (12 * hidden + 4 * inner)
    return tokens * (layers * 4 * hidden + layer if checkpointing else layers * layer)


def return_memory() -> None:
    """Makes glibc give large blocks back to the system as soon as they are free.

    Else it keeps them in pieces that fit nothing: two rows of 2,000 tokens through 25 million
    weights took 1.8 GB so, and take 0.4 GB like this. Does nothing with another C library.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    for option in (_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD):
        mallopt(option, _RETURNED)


def peak_mb() -> float:
    """Returns the most memory that this process has had so far, in MB (10**6 bytes)."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def device_peak_mb(device: torch.device) -> float | None:
    """Returns the most memory that tensors have had on a GPU, in MB; None on a CPU."""
    return torch.cuda.max_memory_allocated(device) / 1e6 if device.type == "cuda" else None


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether an error, or one that caused it, says that memory is out."""
    while error is not None:
        if isinstance(error, MemoryError | torch.OutOfMemoryError):
            return True
        text = str(error)
        if isinstance(error, RuntimeError) and (
            "can't allocate memory" in text or "out of memory" in text or "ALLOC_FAILED" in text
        ):
            return True
        error = error.__cause__ or error.__context__
    return False
