"""What a serving target is: adapter and base in, a folder that one server starts from out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol, cast, get_args

from upturn.errors import InputError
from upturn.events.problems import one_of
from upturn.records import Json

if TYPE_CHECKING:
    from upturn.weights.lora import Lora

#: What weights are written in; "auto" is what the base is in.
Dtype = Literal["auto", "f32", "f16", "bf16"]
#: How an export is read back in a fresh process (see ``reading``).
Reader = Literal["adapter", "merged", "gguf"]
#: Largest difference of logits in fp32, as a share of the largest logit, or of 1 below that.
TOLERANCE = 1e-5
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, kw_only=True)
class Source:
    """What is exported.

    Attributes:
        adapter: its folder, as PEFT wrote it.
        lora: its numbers, the scale folded in.
        adapter_id: of its content, or of its files where it was not made here.
        base: folder of the base model.
        base_id: name and hash of the base, such as ``upturn-mini@0123456789ab``.
        base_known: whether the adapter itself names that hash; else only names and shapes agree.
        messages: what the smoke script asks.
        card: what the adapter's card says; empty where it has none.
    """

    adapter: Path
    lora: Lora
    adapter_id: str
    base: Path
    base_id: str
    base_known: bool
    messages: Sequence[Mapping[str, str]]
    card: Mapping[str, Json] = field(default_factory=dict)

    @property
    def base_name(self) -> str:
        """What the base is called where it is served."""
        return self.base_id.split("@")[0].removeprefix("hf-")


@dataclass(frozen=True, kw_only=True)
class Options:
    """What whoever exports may choose.

    Attributes:
        name: what the server calls the adapter, or the merged model.
        dtype: of merged weights; an adapter stays in fp32.
        max_lora_rank: the limit that the server runs with; None for the smallest that fits.
    """

    name: str
    dtype: Dtype = "auto"
    max_lora_rank: int | None = None


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that was compared or read back.

    Attributes:
        target: the target's name.
        check: what was compared, with what, by which reader.
        tolerance: the largest value that passes.
        value: what was measured.
        ok: whether it passed.
    """

    target: str
    check: str
    tolerance: float
    value: float
    ok: bool

    @classmethod
    def of(cls, target: str, check: str, value: float, tolerance: float) -> Check:
        """Returns the check of a measured value; NaN does not pass."""
        return cls(
            target=target, check=check, tolerance=tolerance, value=value, ok=value <= tolerance
        )

    @classmethod
    def rule(cls, target: str, check: str, holds: bool) -> Check:
        """Returns the check of a rule that holds or does not."""
        return cls.of(target, check, 0.0 if holds else 1.0, 0.0)

    def to_json(self) -> dict[str, Json]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Start:
    """How an export is started and asked.

    Attributes:
        lines: two shell lines, run in the export's folder.
        url: where its OpenAI-compatible endpoint then is; "" where it is no server.
        model: the model's name in a request.
        notes: what else whoever runs it should know, one sentence each.
    """

    lines: tuple[str, str]
    url: str
    model: str
    notes: tuple[str, ...] = ()


class Target(Protocol):
    """Writes for one server. A file of ``targets/`` ends with ``TARGET = ItsTarget()``.

    Attributes:
        name: what ``--to`` takes: its module's name.
        title: what people call it.
        reader: how what it wrote is read back in a fresh process.
        unchecked: what cannot be checked here, one sentence each, for the manifest.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    reader: ClassVar[Reader]
    unchecked: ClassVar[tuple[str, ...]]

    def refuse(self, source: Source, options: Options) -> None:
        """Raises what says that this source cannot be served so, before anything is written.

        Raises:
            InputError: with the rule of the server, and what would work.
        """
        ...

    def write(self, source: Source, options: Options, folder: Path) -> Mapping[str, Json]:
        """Writes into a new folder, and returns what the manifest says beside the checks."""
        ...

    def rules(self, source: Source, options: Options, folder: Path) -> list[Check]:
        """Checks what was written against the server's own rules, by reading the files again."""
        ...

    def start(self, source: Source, options: Options) -> Start:
        """Returns how to start it."""
        ...


def checked_options(*, name: str, dtype: str, max_lora_rank: int | None) -> Options:
    """Returns options that came from a command line.

    Raises:
        InputError: a name that a shell or a server would not take, no such dtype, or no such rank.
    """
    if not _NAME.fullmatch(name):
        raise InputError(
            f"--name must be letters, digits, '.', '_' and '-', got {name!r}", fix="--name mine"
        )
    if dtype not in get_args(Dtype):
        raise InputError(f"--dtype {one_of(get_args(Dtype), dtype)}")
    if max_lora_rank is not None and max_lora_rank < 1:
        raise InputError(f"--max-lora-rank must be >= 1, got {max_lora_rank}")
    return Options(name=name, dtype=cast(Dtype, dtype), max_lora_rank=max_lora_rank)
