"""What a program's file imports decides what must be installed where its bundle goes."""

from __future__ import annotations

from importlib.metadata import version

import pytest

from upturn.errors import ProgramError
from upturn.export.imports import requirements


def test_the_standard_library_needs_nothing_but_dspy():
    source = b"from __future__ import annotations\nimport re, os.path\nfrom typing import Any\n"
    assert requirements(source, where="p.py:X") == {"dspy": version("dspy")}


def test_installed_packages_are_listed_with_the_version_that_is_here():
    source = b"import dspy.signatures\ndef f():\n    import yaml\nfrom pydantic import fields\n"
    needed = requirements(source, where="p.py:X")
    assert needed == {name: version(name) for name in ("dspy", "pydantic", "PyYAML")}
    assert list(needed) == ["dspy", "pydantic", "PyYAML"]


@pytest.mark.parametrize(
    ("source", "named"),
    [
        ("import upturn.metrics", "upturn"),
        ("from helpers import rules\nimport dspy", "helpers"),
        ("from .rules import x", r"\.rules"),
        ("from . import x", r"\."),
        ("try:\n    import nobody_has_this\nexcept ImportError:\n    pass", "nobody_has_this"),
    ],
)
def test_what_is_not_where_the_bundle_goes_is_refused(source: str, named: str):
    with pytest.raises(ProgramError, match=f"this one imports {named}\n") as caught:
        requirements(source.encode(), where="p.py:X")
    assert caught.value.where == "p.py:X"


def test_what_is_no_python_is_refused():
    with pytest.raises(ProgramError, match="must be Python"):
        requirements(b"class", where="p.py:X")
