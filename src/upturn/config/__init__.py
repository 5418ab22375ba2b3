"""Configs: YAML in, checked and frozen records out. Strings such as ``"time"`` exist only here."""

from upturn.config.loading import json_schema, load_config, project_root
from upturn.config.sections import Config, FeedbackLogSection, LabelledSection

__all__ = [
    "Config",
    "FeedbackLogSection",
    "LabelledSection",
    "json_schema",
    "load_config",
    "project_root",
]
