"""Upturn turns production feedback into better LLM programs, gated by a sealed holdout."""

__version__ = "0.1.0"
