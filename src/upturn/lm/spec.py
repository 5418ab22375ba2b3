"""Which model answers, and how it is asked."""

from __future__ import annotations

from dataclasses import dataclass

from upturn.errors import ConfigError

#: The model string of the embedded model.
MINI = "upturn-mini"
#: Marks a model string as a local Hugging Face folder: ``hf:/path/to/folder``.
FOLDER_PREFIX = "hf:"

#: Longest wait between two attempts at a call, in seconds.
LONGEST_BACKOFF_S = 30.0


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """One model and its settings. Holds no secret: a key is named, never carried.

    Attributes:
        model: "upturn-mini", "hf:/path/to/folder", or a DSPy/LiteLLM string ("openai/gpt-4o-mini").
        api_base: address of an OpenAI-compatible server; None for the provider's own.
        api_key_env: name of the environment variable with the key; None for the provider's own.
        temperature: 0 for greedy decoding.
        max_tokens: most tokens of one answer.
        seed: for sampling; sent to servers that know it.
        usd_per_million_input, usd_per_million_output: prices, for cost and for the money cap.
        concurrency: most calls in flight; a server that refuses some gets fewer.
        timeout_s: longest wait for one attempt, in seconds.
        num_retries: further attempts after a transient error of a server.
        deadline_s: seconds for one call, all its attempts and backoffs included; None for what
            its attempts may take at most.
        requests_per_minute, tokens_per_minute: limits that the provider sets; None for none.
        max_outage_minutes: how long a turn waits for a server that does not answer; 0 to let the
            calls fail at once.
    """

    model: str
    api_base: str | None = None
    api_key_env: str | None = None
    temperature: float = 0.0
    max_tokens: int = 64
    seed: int | None = None
    usd_per_million_input: float = 0.0
    usd_per_million_output: float = 0.0
    concurrency: int = 32
    timeout_s: float = 60.0
    num_retries: int = 3
    deadline_s: float | None = None
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    max_outage_minutes: float = 30.0

    def __post_init__(self) -> None:
        rules = {
            "model must not be empty": bool(self.model.removeprefix(FOLDER_PREFIX)),
            f"temperature must be >= 0, got {self.temperature}": self.temperature >= 0,
            f"max_tokens must be >= 1, got {self.max_tokens}": self.max_tokens >= 1,
            f"concurrency must be >= 1, got {self.concurrency}": self.concurrency >= 1,
            f"timeout_s must be > 0, got {self.timeout_s}": self.timeout_s > 0,
            f"num_retries must be >= 0, got {self.num_retries}": self.num_retries >= 0,
            "prices must be >= 0": min(self.usd_per_million_input, self.usd_per_million_output)
            >= 0,
        }
        for name in ("deadline_s", "requests_per_minute", "tokens_per_minute"):
            value = getattr(self, name)
            rules[f"{name} must be > 0, got {value}"] = value is None or value > 0
        if self.deadline_s is not None:
            rule = f"deadline_s must be >= timeout_s={self.timeout_s:g}, got {self.deadline_s:g}"
            rules[rule] = self.deadline_s >= self.timeout_s
        outage = self.max_outage_minutes
        rules[f"max_outage_minutes must be >= 0, got {outage}"] = outage >= 0
        broken = [rule for rule, holds in rules.items() if not holds]
        if broken:
            raise ConfigError("; ".join(broken), where="model")

    @property
    def is_local(self) -> bool:
        """Whether the model runs in this process."""
        return self.model == MINI or self.model.startswith(FOLDER_PREFIX)

    @property
    def whole_call_s(self) -> float:
        """Seconds that all attempts at one call and the backoffs between them may take."""
        attempts = self.num_retries + 1
        return self.deadline_s or attempts * (self.timeout_s + LONGEST_BACKOFF_S)

    def cost_usd(self, input_tokens: int, output_tokens: int) -> float:
        """Returns the price of one call, in US dollars."""
        return (
            input_tokens * self.usd_per_million_input + output_tokens * self.usd_per_million_output
        ) / 1e6
