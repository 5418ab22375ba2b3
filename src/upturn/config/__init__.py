"""Configs: YAML in, checked and frozen records out. Strings such as ``"time"`` exist only here."""

from upturn.config.data import FeedbackLogSection, FeedbackStoreSection, LabelledSection
from upturn.config.job import Job, job_schema, load_job
from upturn.config.loading import json_schema, load_config, project_root
from upturn.config.sections import Config

__all__ = [
    "Config",
    "FeedbackLogSection",
    "FeedbackStoreSection",
    "Job",
    "LabelledSection",
    "job_schema",
    "json_schema",
    "load_config",
    "load_job",
    "project_root",
]
