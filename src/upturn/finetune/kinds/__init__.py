"""Job kinds: one file a way to train, each with a ``KIND`` that is found by itself."""

from upturn.finetune.kinds.base import Curated, JobKind, Record
from upturn.finetune.kinds.registry import job_kind, job_kinds

__all__ = ["Curated", "JobKind", "Record", "job_kind", "job_kinds"]
