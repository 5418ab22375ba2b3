"""A job holds what a node needs: the files' text and names, never a secret."""

from dataclasses import replace

import pytest

from upturn.errors import ConfigError, ProgramError
from upturn.lm import ModelSpec
from upturn.scaleout import Job
from upturn.scaleout.sources import Sources


def job(root, **more):
    spec = ModelSpec(model="openai/gpt", api_key_env="SOME_KEY")
    return Job.read(root, program="p.py:Echo", metric="p.py:metric", model=spec, **more)


def test_a_job_arrives_as_it_was_sent(project):
    made = job(project, models={"small": ModelSpec(model="upturn-mini")}, engine="e.py:make")
    back = Job.from_json(made.to_json())
    assert back == made
    assert back.id == made.id
    assert set(back.sources.texts) == {"p.py", "e.py"}


def test_another_text_is_another_job(project):
    before = job(project).id
    (project / "p.py").write_text((project / "p.py").read_text() + "# changed\n")
    assert job(project).id != before


def test_a_key_is_named_and_never_sent(project, monkeypatch):
    monkeypatch.setenv("SOME_KEY", "sk-secret")
    text = str(job(project).to_json())
    assert "SOME_KEY" in text
    assert "sk-secret" not in text


def test_nodes_of_another_release_are_refused(project):
    old = replace(job(project), version="0.0.1")
    with pytest.raises(ConfigError, match=r"every node must run upturn 0\.0\.1"):
        Job.from_json(old.to_json())


def test_unpacked_files_are_there_and_then_gone(project):
    sources = Sources.read(project, ["p.py:Echo", "p.py:metric"])
    with sources.unpacked() as folder:
        assert (folder / "p.py").read_text() == (project / "p.py").read_text()
    assert not folder.exists()


def test_folders_below_the_root_are_kept(tmp_path):
    (tmp_path / "programs").mkdir()
    (tmp_path / "programs" / "a.py").write_text("A = 1\n")
    with Sources.read(tmp_path, ["programs/a.py:A"]).unpacked() as folder:
        assert (folder / "programs" / "a.py").read_text() == "A = 1\n"


@pytest.mark.parametrize(
    ("ref", "problem"), [("gone.py:A", "must be readable"), ("../x.py:A", "must lie below")]
)
def test_a_file_that_cannot_be_sent_is_named(tmp_path, ref, problem):
    with pytest.raises(ProgramError, match=problem):
        Sources.read(tmp_path, [ref])
