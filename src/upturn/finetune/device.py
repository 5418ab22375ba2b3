"""What there is to compute on."""

from __future__ import annotations


def has_gpu() -> bool:
    """Whether torch sees a GPU here; a job on ``device: auto`` takes it then."""
    import torch

    return torch.cuda.is_available()
