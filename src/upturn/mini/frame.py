"""What an episode is, and the fixed text that ``dspy.ChatAdapter`` puts around it.

The model is trained on the very characters that DSPy sends: a contract test holds the two together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_INDENT = "\n        "
_STRUCTURE = (
    "\nAll interactions will be structured in the following way, "
    "with the appropriate values filled in.\n\n"
)
_NOTE = "        # note: the value you produce must exactly match (no extra characters) one of: "


@dataclass(frozen=True, kw_only=True)
class Field:
    """An output field.

    Attributes:
        name: as in the signature.
        options: the values of its ``Literal``; empty for a field of type ``str``.
        description: the field's ``desc``, or "".
    """

    name: str
    options: tuple[str, ...] = ()
    description: str = ""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One field's value in one turn.

    Attributes:
        field: the field's name.
        value: the text that belongs there.
        learnable: whether anything before it in the prompt can tell the value. Only such values
            enter the loss: punishing a model for what it cannot know teaches it to guess.
    """

    field: str
    value: str
    learnable: bool = True


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One input text with its answers, in the order of the fields."""

    text: str
    answers: tuple[Answer, ...]


@dataclass(frozen=True, kw_only=True)
class Episode:
    """A prompt with demos and the turn that is asked.

    Attributes:
        kind: which skill it trains, for the accuracies that the curriculum watches.
        input_name: name of the only input field.
        system: the system message.
        request: what the last user message says after its text.
        turns: demos, then the asked turn.
    """

    kind: str
    input_name: str
    system: str
    request: str
    turns: tuple[Turn, ...]


def framed(
    *, kind: str, input_name: str, fields: Sequence[Field], goal: str, turns: Sequence[Turn]
) -> Episode:
    """Puts DSPy's fixed text around an instruction (``goal``), fields and turns."""
    return Episode(
        kind=kind,
        input_name=input_name,
        system=system_message(input_name, fields, goal),
        request=request(fields),
        turns=tuple(turns),
    )


def system_message(input_name: str, fields: Sequence[Field], goal: str) -> str:
    """Returns ChatAdapter's system message for one input field of type ``str``."""
    outputs = "\n".join(_declaration(k, f, len(fields)) for k, f in enumerate(fields, 1))
    slots = "".join(_slot(f) for f in fields)
    return (
        f"Your input fields are:\n1. `{input_name}` (str):\n"
        f"Your output fields are:\n{outputs}{_STRUCTURE}"
        f"{header(input_name)}{{{input_name}}}\n\n{slots}"
        f"[[ ## completed ## ]]\nIn adhering to this structure, your objective is: {_INDENT}"
        + goal.replace("\n", _INDENT)
    )


def request(fields: Sequence[Field]) -> str:
    """Returns what ChatAdapter appends to the last user message."""
    parts = [f"[[ ## {f.name} ## ]]`{_must_be(f)}" for f in fields]
    return (
        "\n\nRespond with the corresponding output fields, starting with the field `"
        + ", then `".join(parts)
        + ", and then ending with the marker for `[[ ## completed ## ]]`."
    )


def header(name: str) -> str:
    """Returns the line that opens a field's value."""
    return f"[[ ## {name} ## ]]\n"


def _declaration(position: int, field: Field, count: int) -> str:
    type_name = f"Literal[{_quoted(field.options)}]" if field.options else "str"
    # ChatAdapter strips the block as a whole: only the last field loses the blank after its colon.
    end = f" {field.description}" if field.description else " " if position < count else ""
    return f"{position}. `{field.name}` ({type_name}):{end}"


def _slot(field: Field) -> str:
    note = _NOTE + "; ".join(field.options) if field.options else ""
    return f"{header(field.name)}{{{field.name}}}{note}\n\n"


def _must_be(field: Field) -> str:
    literal = f"Literal[{_quoted(field.options)}]"
    return f" (must be formatted as a valid Python {literal})" if field.options else ""


def _quoted(options: Sequence[str]) -> str:
    return "'" + "', '".join(options) + "'"
