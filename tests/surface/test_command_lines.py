"""Every ``upturn …`` line that a page or a message tells people to type is a line that parses."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.main

from upturn.cli.app import app

ROOT = Path(__file__).parents[2]
UPTURN = typer.main.get_command(app)
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
FOLDERS = ("configs", "jobs", "docs", "src/upturn/quickstart", "src/upturn/report/templates")
FILES = sorted(
    p
    for folder in FOLDERS
    for p in (ROOT / folder).rglob("*")
    if p.suffix in {".yaml", ".yml", ".j2"}
)
SOURCES = sorted((ROOT / "src" / "upturn").rglob("*.py"))
#: Text constants that begin as a command does, and are none.
NONE = {"upturn collector readiness", "use the upturn that made it"}
#: Words with which the sentence goes on behind a command.
GOES_ON = "or|and|to|with|in|again|writes|tells|lists|makes|starts|shows|says|reads|needs"
#: What stands for a value in a message that is put together.
VALUE = "7"


def problem(line: str, *, whole: bool = True) -> str | None:
    """Says why a command line does not parse; values are not converted, files not looked for.

    With ``whole`` every argument and option that the command needs must be there, or "…" for them.
    """
    plain = re.sub(r"(?<=\s)\[([^\]]*)\]", r"\1", line)  # `[--json]` may be given
    plain, rest = re.subn(r"\s(?:…|\.\.\.)(?=\s|$)", "", plain)
    try:
        words = shlex.split(plain, comments=True)[1:]
    except ValueError as error:
        return str(error)
    command: Any = UPTURN
    context = command.context_class(command, info_name="upturn")
    while hasattr(command, "commands") and words and words[0] in command.commands:
        command = command.commands[words.pop(0)]
        context = command.context_class(command, info_name=command.name, parent=context)
    if command is UPTURN and not (words and words[0].startswith("-")):
        return f"no command {words[:1]}"
    if hasattr(command, "commands") and words and not words[0].startswith("-"):
        # A config needs no word before it: `upturn snapshot CONFIG`.
        command = command.commands.get("freeze", command)
    try:
        given, left, _ = command.make_parser(context).parse_args(list(words))
    except Exception as error:  # of click, or of the copy of it that typer carries
        return str(getattr(error, "message", error))
    if left:
        return f"too many arguments: {left}"
    missing = [str(p.name) for p in command.params if p.required and not given.get(p.name)]
    return f"without {missing}" if whole and missing and not (rest or given.get("help")) else None


def page_lines(text: str) -> Iterator[tuple[str, bool]]:
    """Command lines of a page: whole in blocks of code; between backticks perhaps only named."""
    joined = re.sub(r"\\\n\s*", " ", text)
    fences = re.findall(r"^```\w*\n(.*?)^```", joined, re.MULTILINE | re.DOTALL)
    prose = re.sub(r"^```.*?^```", "", joined, flags=re.MULTILINE | re.DOTALL)
    indented = re.findall(r"^ {4}.*$", prose, re.MULTILINE)
    for line in "\n".join([*fences, *indented]).splitlines():
        yield from ((command, True) for command in shell_commands(line))
    for span in re.findall(r"`([^`]+)`", prose):
        yield from ((command, False) for command in shell_commands(" ".join(span.split())))


def shell_commands(line: str) -> Iterator[str]:
    """The commands of a shell line that are ours; comments, prompts and variables before them."""
    plain = re.sub(r"^[\s#$]*(?:- )?(?:run: )?(?:next:? )?", "", line)
    for part in re.split(r"\s(?:\||&&|;|<|>)\s", plain):
        found = re.match(r"\s*(?:\w+=\S+ )*(?:\S*/)?(upturn [a-z-].*)", part)
        if found:
            yield found[1].strip()


def constants(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Text constants of a module, no docstrings; values that are put in are a word."""
    done: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):
            done.add(id(node.value))
        elif isinstance(node, ast.JoinedStr):
            done |= {id(inner) for inner in ast.walk(node)}
            parts = (v.value if isinstance(v, ast.Constant) else VALUE for v in node.values)
            yield node.lineno, "".join(map(str, parts))
        elif isinstance(node, ast.Constant) and id(node) not in done:
            yield node.lineno, str(node.value)


@cache
def messages() -> list[tuple[str, str, bool]]:
    """Where a message of the package names a command, the command, and whether it is whole."""
    return [
        (f"{source.relative_to(ROOT)}:{number}", *command)
        for source in SOURCES
        for number, text in constants(ast.parse(source.read_text(encoding="utf-8")))
        for command in told(text)
    ]


def told(text: str) -> Iterator[tuple[str, bool]]:
    """Command lines in a message, up to where its sentence goes on; backticks name a command."""
    if "upturn " not in text or any(n in text for n in NONE):
        return
    for span in re.findall(r"`(upturn [a-z-][^`]*)`", text):
        yield span, False
    prose = re.sub(r"`[^`]*`", "", text)
    for found in re.finditer(r"(?<![\w/.-])(?<!from )upturn [a-z-][^\n;|<>]*", prose):
        end = rf"\s#|[,:)](?:\s|$)|\s\(|\.(?:\s|$)|,?\s(?:{GOES_ON})\b"
        yield re.split(end, found[0])[0].strip(), text != found[0] or " " in text[7:]


def faults(lines: Iterable[tuple[str, bool]]) -> list[str]:
    return [
        f"{line}: {why}" for line, whole in lines if (why := problem(line, whole=whole)) is not None
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_command_of_a_page_exists(page: Path):
    assert faults(page_lines(page.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("file", FILES, ids=lambda p: p.name)
def test_every_command_of_a_config_job_or_template_exists(file: Path):
    lines = file.read_text(encoding="utf-8").splitlines()
    assert faults((c, True) for line in lines for c in shell_commands(line)) == []


def test_every_command_that_a_message_names_exists():
    assert [
        f"{where}: {line}: {why}"
        for where, line, whole in messages()
        if (why := problem(line, whole=whole)) is not None
    ] == []


def test_enough_lines_are_found_for_this_to_mean_something():
    pages = [c for p in PAGES for c in page_lines(p.read_text(encoding="utf-8"))]
    assert len(pages) > 80
    assert len(messages()) > 80
    assert {c.split()[1] for c, _ in pages} >= {"run", "promote", "why", "verify", "report"}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("upturn run configs/x.yaml promotion=ask", None),
        ("upturn snapshot configs/x.yaml", None),
        ("upturn verify [--key PUBLIC.pem]… [--json]", None),
        ("upturn collect --port 9 …", None),
        ("upturn promote x 2 --because '…'", None),
        ("upturn frobnicate x", "no command ['frobnicate']"),
        ("upturn rollback x --reason 'no'", "No such option: --reason"),
        ("upturn why x 2 3", "too many arguments: ['3']"),
        ("upturn run", "without ['config']"),
        ("upturn train JOB --branch", "Option '--branch' requires an argument."),
    ],
)
def test_what_is_wrong_with_a_line_is_said(line: str, why: str | None):
    assert problem(line) == why


def test_lines_are_found_where_they_stand():
    page = "`upturn ls` and\n```sh\nA=1 upturn run x.yaml && upturn why p  # back\n```\n"
    assert list(page_lines(page)) == [
        ("upturn run x.yaml", True),
        ("upturn why p  # back", True),
        ("upturn ls", False),
    ]
    message = "restore it, or upturn run CONFIG again; see `upturn history`"
    assert list(told(message)) == [("upturn history", False), ("upturn run CONFIG", True)]
