"""Ollama: the merged GGUF and a Modelfile with the chat template in Go. It takes no LoRA here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from upturn.errors import InputError
from upturn.export.serving.base import Check, Options, Reader, Source, Start
from upturn.export.serving.chat_pieces import Message, Pieces, go_template, pieces
from upturn.export.serving.go_text import modelfile_template, render
from upturn.export.serving.targets import gguf
from upturn.records import Json

_MODELFILE = '''\
FROM ./{name}.gguf
TEMPLATE """{template}"""
PARAMETER temperature 0
PARAMETER num_ctx {context}
'''
_LONGEST_CONTEXT = 8192  # Ollama reserves memory for all of it
_CHATS: tuple[tuple[str, ...], ...] = (
    *(("user",), ("system", "user"), ("system", "user", "assistant", "user")),
)


class OllamaTarget:
    """Implements ``Target``."""

    name: ClassVar[str] = "ollama"
    title: ClassVar[str] = "Ollama"
    reader: ClassVar[Reader] = "gguf"
    unchecked: ClassVar[tuple[str, ...]] = (
        "Ollama was not started here: the Go template is read back by a small renderer of ours "
        "and compared with the chat template",
        *gguf.UNCHECKED,
    )

    def refuse(self, source: Source, options: Options) -> None:
        gguf.check_base(source)
        _template(source)

    def write(self, source: Source, options: Options, folder: Path) -> Mapping[str, Json]:
        notes = gguf.write_file(source, options, folder)
        context = int(gguf.check_base(source).config["max_position_embeddings"])
        text = _MODELFILE.format(
            name=options.name,
            template=go_template(_template(source)),
            context=min(context, _LONGEST_CONTEXT),
        )
        (folder / "Modelfile").write_text(text, encoding="utf-8")
        return notes

    def rules(self, source: Source, options: Options, folder: Path) -> list[Check]:
        template = modelfile_template((folder / "Modelfile").read_text(encoding="utf-8"))
        renders = _renderer(source)
        chats = [[{"role": r, "content": f"a {r}\n speaks "} for r in roles] for roles in _CHATS]
        chats.append([dict(m) for m in source.messages])
        wrong = sum(render(template, chat) != renders(chat, True) for chat in chats)
        what = "chats that the Modelfile's template renders otherwise than the chat template"
        return [Check.of(self.name, what, wrong, 0)]

    def start(self, source: Source, options: Options) -> Start:
        return Start(
            lines=(f"ollama create {options.name} -f Modelfile", f"ollama run {options.name}"),
            url="http://127.0.0.1:11434/v1",
            model=options.name,
        )


def _template(source: Source) -> Pieces:
    found, reason = pieces(_renderer(source))
    try:
        if found is not None and go_template(found):
            return found
    except ValueError as error:
        reason = str(error)
    raise InputError(
        f"Ollama needs the chat template in Go, and this one cannot be said so exactly: {reason}",
        where=str(source.base),
        fix="--to gguf, and write the Modelfile's TEMPLATE yourself",
    )


def _renderer(source: Source) -> Any:
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(source.base)

    def renders(messages: Sequence[Message], prompt: bool) -> str:
        return tokenizer.apply_chat_template(
            list(messages), tokenize=False, add_generation_prompt=prompt
        )

    return renders


TARGET = OllamaTarget()
