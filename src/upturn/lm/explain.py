"""What an error of a server means for whoever wrote the config."""

from __future__ import annotations

from dspy.utils.exceptions import (
    LMAuthError,
    LMBillingError,
    LMConfigurationError,
    LMInvalidRequestError,
    LMTimeoutError,
    LMTransportError,
)

from upturn.errors import ModelError
from upturn.lm.spec import ModelSpec


def explain_refusal(error: Exception, spec: ModelSpec) -> Exception:
    """Returns a ModelError where no call can succeed until somebody mends key or account.

    Every other error is returned as it is: it is the matter of one call.
    """
    if isinstance(error, LMAuthError | LMConfigurationError | LMBillingError):
        return explain(error, spec)
    return error


def explain(error: Exception, spec: ModelSpec) -> ModelError:
    """Says what must be mended before this error can go away."""
    server = spec.api_base or f"the provider of {spec.model}"
    if isinstance(error, LMTransportError | LMTimeoutError):
        return ModelError(
            f"the server must be reachable ({error})",
            where=f"model.api_base={server}",
            fix=f"start the server, or: curl {spec.api_base}/models" if spec.api_base else "",
        )
    if isinstance(error, LMAuthError | LMConfigurationError):
        name = spec.api_key_env or "the provider's key variable"
        return ModelError(
            f"the key must be accepted by {server} ({error})",
            where="model.api_key_env",
            fix=f"set {name} to a valid key, or name another variable in model.api_key_env",
        )
    if isinstance(error, LMBillingError):
        return ModelError(
            f"the account at {server} must have credit ({error})",
            where=f"model.model={spec.model}",
            fix="mend the account, then run again: what was paid for is kept",
        )
    if isinstance(error, LMInvalidRequestError):
        return ModelError(
            f"the model must be known to {server} ({error})",
            where=f"model.model={spec.model}",
            fix=f"curl {spec.api_base}/models" if spec.api_base else "correct model.model",
        )
    return ModelError(
        f"the server must answer with a completion ({error})",
        where=f"model.api_base={server}",
        fix="check that the address is that of an OpenAI-compatible API, often ending in /v1",
    )
