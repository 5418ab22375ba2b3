"""Packed linear layers give what plain ones give, or are not used."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from upturn.lm.local_linear import PackedLinear, pack_linears  # noqa: E402

pytestmark = pytest.mark.local


class Tiny(torch.nn.Module):
    """Token ids -> logits, like a causal model; ``looks`` reads its layer's weight."""

    def __init__(self, *, looks: bool = False) -> None:
        super().__init__()
        self.config = SimpleNamespace(vocab_size=11)
        self.embed = torch.nn.Embedding(11, 8)
        self.head = torch.nn.Linear(8, 11)
        self.looks = looks

    def forward(self, input_ids: Any) -> Any:
        hidden = self.embed(input_ids)
        if self.looks:
            hidden = hidden.to(self.head.weight.dtype)
        return SimpleNamespace(logits=self.head(hidden))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(5, 12), (1, 12), (2, 3, 12), (0, 12)])
def test_a_packed_layer_is_a_linear_layer(bias: bool, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    linear = torch.nn.Linear(12, 7, bias=bias)
    inputs = torch.randn(shape)
    with torch.inference_mode():
        torch.testing.assert_close(PackedLinear(linear)(inputs), linear(inputs))


def test_a_model_is_packed_and_answers_as_before() -> None:
    torch.manual_seed(0)
    model, ids = Tiny(), torch.arange(11).unsqueeze(0)
    with torch.inference_mode():
        before = model(input_ids=ids).logits
        assert pack_linears(model)
        assert isinstance(model.head, PackedLinear)
        torch.testing.assert_close(model(input_ids=ids).logits, before)


def test_a_model_that_reads_its_weights_is_left_as_it_was() -> None:
    model = Tiny(looks=True)
    head = model.head
    assert not pack_linears(model)
    assert model.head is head
