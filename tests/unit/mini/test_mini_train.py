"""Training: the whole curriculum on a tiny network, resumed and uninterrupted alike."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import torch

from upturn.errors import DataError
from upturn.mini import weights_dir
from upturn.mini.checkpoint import Checkpoints
from upturn.mini.curriculum import Stage
from upturn.mini.network import Network, Shape, save_pretrained
from upturn.mini.train import _parser, main, train
from upturn.mini.training import Trainer

pytestmark = [pytest.mark.local, pytest.mark.usefixtures("one_thread")]

_TINY_TEXT = (
    "--steps 50 --tokens 1024 --targets 64 --width 32 --layers 1 --feed-forward 32 "
    "--patience 10 --copy-patience 10 --first-ids 20 --save-every 15 --learning-rate 0.01"
)
_TINY = _TINY_TEXT.split()


def run(corpus: Path, out: Path, *more: str) -> Trainer:
    arguments = ["--corpus", str(corpus), "--out", str(out), "--seed", "5", *_TINY, *more]
    return train(_parser().parse_args(arguments))


@pytest.fixture(scope="module")
def whole(corpus_path: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Trainer, Path]:
    out = tmp_path_factory.mktemp("whole") / "model"
    return run(corpus_path, out), out


def test_visits_all_stages_and_learns(whole: tuple[Trainer, Path]) -> None:
    trainer, _ = whole
    assert trainer.stages == [Stage.COPY, Stage.CUES, Stage.BARE_TURNS, Stage.EPISODES]
    assert trainer.step == 50
    assert trainer.losses[1] < trainer.losses[0] - 0.5, trainer.losses


def test_resumed_equals_uninterrupted(
    whole: tuple[Trainer, Path], corpus_path: Path, tmp_path: Path
) -> None:
    first = run(corpus_path, tmp_path, "--stop-at", "37")
    assert first.step == 37
    assert not (tmp_path / "model.safetensors").exists()
    (tmp_path / "checkpoints" / "step-00000040.pt").write_bytes(b"cut off by a power failure")
    second = run(corpus_path, tmp_path)
    for name, weight in whole[0].network.state().items():
        assert torch.equal(weight, second.network.state()[name]), name
    assert (tmp_path / "model.safetensors").read_bytes() == (
        whole[1] / "model.safetensors"
    ).read_bytes()


def test_the_result_is_a_plain_model(whole: tuple[Trainer, Path]) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    trainer, out = whole
    ids = AutoTokenizer.from_pretrained(out).apply_chat_template(
        [{"role": "user", "content": "hi"}], add_generation_prompt=True, return_tensors="pt"
    )["input_ids"]
    model = AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32)
    trainer.network.load(model.state_dict())  # both in the same, rounded weights
    with torch.no_grad():
        ours = trainer.network(ids, torch.arange(ids.shape[1]), torch.float32)
        theirs = model(ids).logits[0]
    assert torch.allclose(ours, theirs, atol=1e-4)


def test_refuses_to_resume_another_question(corpus_path: Path, tmp_path: Path) -> None:
    run(corpus_path, tmp_path, "--stop-at", "1")
    with pytest.raises(DataError, match="resumed only with the settings"):
        run(corpus_path, tmp_path, "--patience", "11")


def test_refuses_banking77(
    corpus_body: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = {"desc": [], "texts": ["a"]}
    body = {**corpus_body, "tables": {"banking77": {"card_arrival": entry}}}
    path = tmp_path / "corpus.json"
    path.write_text(json.dumps(body))
    code = main(["--corpus", str(path), "--out", str(tmp_path / "m"), "--seed", "1", *_TINY])
    assert code == 2
    assert "never trained on Banking77" in capsys.readouterr().err
    assert not (tmp_path / "m").exists()


def test_keeps_two_checkpoints(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, {"seed": 1})
    assert checkpoints.latest() is None
    for step in (1, 2, 3):
        checkpoints.save(step, {"x": torch.tensor([step])})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-00000002.pt", "step-00000003.pt"]
    newest = tmp_path / "step-00000003.pt"
    newest.write_bytes(newest.read_bytes()[:-200])
    body = checkpoints.latest()
    assert body is not None
    assert body["step"] == 2
    assert body["x"].item() == 2


def test_workers_draw_batches(corpus_path: Path, tmp_path: Path) -> None:
    trainer = run(corpus_path, tmp_path, "--workers", "1", "--stop-at", "12")
    assert trainer.step == 12
    assert trainer.stages == [Stage.COPY, Stage.CUES]


def test_network_equals_transformers(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    network = Network(Shape(vocabulary=50, width=64, layers=2, feed_forward=48))
    network.load({k: v.bfloat16().float() for k, v in network.state().items()})
    save_pretrained(network, tmp_path, end=4, pad=0)
    model = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    ids = torch.tensor([[random.Random(k).randrange(50) for k in range(30)]])
    with torch.no_grad():
        ours = network(ids, torch.arange(30), torch.float32)
        assert torch.allclose(ours, model(ids).logits[0], atol=1e-5)


def test_package_tokenizer_is_the_default() -> None:
    options = _parser().parse_args(["--corpus", "c", "--out", "o", "--seed", "1"])
    assert options.tokenizer == weights_dir() / "tokenizer.json"
    assert options.workers == 0
