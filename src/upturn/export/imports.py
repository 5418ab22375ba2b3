"""What a program's file imports, and which packages must be installed for it to load elsewhere."""

from __future__ import annotations

import ast
import sys
from importlib.metadata import packages_distributions, version

from upturn.errors import ProgramError

_DSPY = "dspy"


def requirements(source: bytes, *, where: str) -> dict[str, str]:
    """Returns the packages that a program's file needs, DSPy included: name -> exact version.

    Only what the file itself names is seen, in functions too; what stands in a ``try`` counts.

    Args:
        source: the file.
        where: for errors.

    Raises:
        ProgramError: it is no Python, or it imports Upturn, a file beside it, or what no installed
            package brings: none of these is where the bundle goes.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError) as error:
        raise ProgramError(f"the program's file must be Python: {error}", where=where) from error
    named = _imported(tree) - set(sys.stdlib_module_names) - {_DSPY}
    brought = packages_distributions() if named else {}
    refused = sorted(n for n in named if n == "upturn" or n not in brought)
    if refused:
        raise ProgramError(
            "a program that leaves the house may import DSPy, the standard library and installed "
            f"packages, and this one imports {', '.join(refused)}",
            where=where,
            fix="move what it needs of them into the program's own file, then upturn run CONFIG",
        )
    packages = {_DSPY, *(min(brought[name]) for name in named)}
    return {name: version(name) for name in sorted(packages, key=str.lower)}


def _imported(tree: ast.AST) -> set[str]:
    """Returns the top-level names; a relative import by its dots, which no package has."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            dots = "." * node.level
            found.add(dots + (node.module or "") if dots else str(node.module).partition(".")[0])
    return found
