"""Samplers: which combination enters a study next. One file each."""

from upturn.search.samplers.base import History, Sampler, Tried
from upturn.search.samplers.space_filling import SpaceFillingSampler
from upturn.search.samplers.tpe import TpeSampler
from upturn.search.samplers.uniform import UniformSampler

#: Name in a config -> sampler.
SAMPLERS: dict[str, type[SpaceFillingSampler | TpeSampler | UniformSampler]] = {
    "space_filling": SpaceFillingSampler,
    "tpe": TpeSampler,
    "random": UniformSampler,
}

__all__ = [
    "SAMPLERS",
    "History",
    "Sampler",
    "SpaceFillingSampler",
    "TpeSampler",
    "Tried",
    "UniformSampler",
]
