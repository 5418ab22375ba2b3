"""One process, or several under torchrun: who writes, and how all learn what the first found."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import distributed

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Processes:
    """This process among those of the job.

    Attributes:
        rank: 0 writes and evaluates; the others wait for it.
        count: of all of them.
    """

    rank: int = 0
    count: int = 1

    @classmethod
    def here(cls) -> Processes:
        """Reads what torchrun and ``accelerate launch`` set."""
        rank, count = (int(os.environ.get(n, d)) for n, d in (("RANK", "0"), ("WORLD_SIZE", "1")))
        return cls(rank=rank, count=count)

    @property
    def first(self) -> bool:
        return self.rank == 0

    def highest(self, value: int, device: Any) -> int:
        """Returns the highest value of all; every process calls it at the same step."""
        if self.count == 1:
            return value
        shared = torch.tensor(value, device=device)
        distributed.all_reduce(shared, op=distributed.ReduceOp.MAX)
        return int(shared)

    def share(self, value: T) -> T:
        """Returns the first process's value everywhere."""
        if self.count == 1:
            return value
        held: list[Any] = [value]
        distributed.broadcast_object_list(held, src=0)
        return held[0]

    def gather(self, value: T) -> list[T]:
        """Returns the values of all, by rank."""
        if self.count == 1:
            return [value]
        held: list[Any] = [None] * self.count
        distributed.all_gather_object(held, value)
        return held

    def leave(self) -> None:
        """Ends the group, so that no process waits for one that is gone."""
        if distributed.is_available() and distributed.is_initialized():
            distributed.destroy_process_group()
