"""The collector: takes events over HTTP, and acknowledges them when they are durable."""

from upturn.collector.limits import Limits
from upturn.collector.tokens import Right, Token, TokenBook

__all__ = ["Limits", "Right", "Token", "TokenBook"]
