"""What would go wrong, before it does: a job's rows, its base and its cost, looked at once.

Nothing is trained and no weights are loaded. Problems stop a job, all of them told at once;
warnings do not. The holdout is not opened: its hashes are compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from upturn.errors import ModelError, UpturnError
from upturn.finetune.balance import Balance, balance
from upturn.finetune.defaults import Defaults, with_defaults
from upturn.finetune.encode import Encoded, RowEncoder, encode_rows, end_tokens
from upturn.finetune.estimate import Estimate, estimate
from upturn.finetune.findings import Finding, as_error
from upturn.finetune.leaks import Leaks, find_leaks
from upturn.finetune.preflight_base import Base, base_findings
from upturn.finetune.preflight_rows import Sample, Tokens, row_findings, samples, tokens_of
from upturn.finetune.rows import Material
from upturn.finetune.spec import JobSpec
from upturn.records import Example, Json


@dataclass(frozen=True, kw_only=True)
class Preflight:
    """What was found.

    Attributes:
        name: of the job.
        problems, warnings: in the order of the flow.
        counts: rows that came in, are kept, were cut (always 0), merged, and dropped by reason.
        tokens: what there is to learn from.
        samples: the shortest, the middle and the longest row: prompt and answer as text.
        balance, leaks, estimate, defaults: see there; None where a problem came before.
        encoded: the rows as tokens, for the job; None where a problem came before.
        tokenizer: of the base; None where it could not be read.
    """

    name: str
    problems: tuple[Finding, ...]
    warnings: tuple[Finding, ...]
    counts: Mapping[str, Json]
    tokens: Tokens | None = None
    samples: tuple[Sample, ...] = ()
    balance: Balance | None = None
    leaks: Leaks | None = None
    estimate: Estimate | None = None
    defaults: Defaults | None = None
    encoded: Encoded | None = field(default=None, repr=False)
    tokenizer: Any = field(default=None, repr=False)

    def check(self) -> Encoded:
        """Returns the rows as tokens.

        Raises:
            InputError: there are problems; it tells them all.
        """
        if self.problems or self.encoded is None:
            raise as_error(self.problems, where=self.name)
        return self.encoded

    def to_json(self) -> dict[str, Json]:
        """Returns all but the rows."""
        parts = {
            n: getattr(self, n) for n in ("tokens", "balance", "leaks", "estimate", "defaults")
        }
        return {
            "name": self.name,
            "problems": [f.to_json() for f in self.problems],
            "warnings": [f.to_json() for f in self.warnings],
            "counts": dict(self.counts),
            "samples": [s.to_json() for s in self.samples],
            **{name: None if part is None else part.to_json() for name, part in parts.items()},
        }

    @property
    def text(self) -> str:
        """All of it, for a terminal."""
        from upturn.finetune.preflight_text import text

        return text(self)


def preflight(
    spec: JobSpec,
    material: Material,
    *,
    base: Path,
    base_id: str,
    dev: Sequence[Example] = (),
    manifest: Mapping[str, Json] | None = None,
    serving: Sequence[str] = (),
    on_cpu: bool = True,
) -> Preflight:
    """Looks at a job before it starts.

    Args:
        spec: the job.
        material: its rows as text, see ``rows.material``.
        base: folder of the base model.
        base_id: its name and the hash of its content.
        dev: the rows of dev, for leaks and the cost of evaluations.
        manifest: of the snapshot, for leaks into the holdout; None where it is not frozen yet.
        serving: the targets that the adapter will be exported to.
        on_cpu: where it will run.
    """
    leaks, found = find_leaks(material.rows, dev, manifest), balance(material)
    problems, warnings = found.findings()
    problems, warnings = [*problems, *leaks.problems], [*warnings, *leaks.warnings]
    parts: dict[str, Any] = {"leaks": leaks, "balance": found}
    counts: dict[str, Json] = {"came_in": len(material.rows) + sum(material.dropped.values())}
    try:
        model = Base.read(base)
        ours, minor = base_findings(model, base_id, spec, serving=serving)
        problems, warnings = [*ours, *problems], [*minor, *warnings]
        if spec.trust_remote_code or not model.brings_code:
            encoder = _encoder(base, trust_remote_code=spec.trust_remote_code)
            encoded = encode_rows(material, encoder, max_length=spec.optim.max_length)
            ours, minor = row_findings(spec, material, encoded, encoder, context=model.context)
            problems, warnings = [*problems, *ours], [*warnings, *minor]
            counts |= _counts(encoded)
            parts |= {
                "tokens": tokens_of(encoded, encoder),
                "samples": samples(encoded, encoder),
                "estimate": estimate(encoded.rows, spec, model, on_cpu=on_cpu, dev_rows=len(dev)),
                "defaults": with_defaults(spec, material, encoded, on_cpu=on_cpu),
                "encoded": encoded,
                "tokenizer": encoder.tokenizer,
            }
    except UpturnError as error:
        problems.append(Finding.of(error))
    return Preflight(
        name=spec.name,
        problems=tuple(problems),
        warnings=tuple(warnings),
        counts=counts,
        **parts,
    )


def _encoder(base: Path, *, trust_remote_code: bool) -> RowEncoder:
    tokenizer = load_tokenizer(base, trust_remote_code=trust_remote_code)
    return RowEncoder(tokenizer, end_tokens=end_tokens(base, tokenizer), where=str(base))


def load_tokenizer(folder: Path, *, trust_remote_code: bool = False) -> Any:
    """Returns a folder's tokenizer; of none of its code, unless that is trusted.

    Raises:
        ModelError: transformers cannot read it.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=trust_remote_code
        )
    except Exception as error:
        # transformers raises dozens of types for a folder it cannot read; all mean the same here.
        raise ModelError(
            f"transformers must be able to read the tokenizer ({type(error).__name__}: {error})",
            where=str(folder),
        ) from error
    return tokenizer


def _counts(encoded: Encoded) -> dict[str, Json]:
    return {
        "kept": len(encoded.rows),
        "cut": 0,
        "merged": encoded.merged,
        "dropped": dict(encoded.dropped),
        "conflicting": encoded.conflicting,
        "longest": encoded.longest,
    }
