"""Sampling is tested as statistics: what is drawn follows the distribution that was asked for."""

from __future__ import annotations

import pytest
from scipy.stats import chisquare

torch = pytest.importorskip("torch")

from upturn.lm.decode import sampler  # noqa: E402 (torch is optional)

LOGITS = torch.tensor([2.0, 1.0, 1.0, 0.0, -1.0, -3.0])


@pytest.mark.parametrize(
    ("temperature", "top_p", "top_k", "kept"),
    [
        (1.0, None, None, 6),
        (2.0, None, None, 6),
        (0.5, None, 3, 3),
        (1.0, 0.6, None, 2),
        (1.0, 0.5, None, 1),
        (1.0, 0.9, 2, 2),
    ],
)
def test_frequencies_are_those_of_the_cut_softmax(temperature, top_p, top_k, kept):
    choose = sampler(temperature, top_p, top_k, seed=3)
    n = 20_000
    counts = torch.bincount(torch.tensor([choose(LOGITS) for _ in range(n)]), minlength=6)
    expected = torch.softmax(LOGITS[:kept].double() / temperature, -1) * n
    assert counts[kept:].sum() == 0
    if kept > 1:
        assert chisquare(counts[:kept].numpy(), expected.numpy()).pvalue > 1e-4


def test_the_same_seed_draws_the_same_and_another_does_not():
    draws = [[sampler(1.0, None, None, seed)(LOGITS) for _ in range(1)] for seed in range(200)]
    assert draws == [[sampler(1.0, None, None, seed)(LOGITS)] for seed in range(200)]
    assert len({d[0] for d in draws}) > 3


def test_the_last_digits_of_the_logits_change_almost_no_draw():
    """A flat tail of many tokens, as at temperature 2: batches differ by 1e-5, draws must not."""
    world = torch.Generator().manual_seed(0)
    changed = 0
    for seed in range(2000):
        logits = torch.randn(4000, generator=world)
        noisy = logits + 1e-5 * torch.randn(4000, generator=world)
        changed += sampler(2.0, None, None, seed)(logits) != sampler(2.0, None, None, seed)(noisy)
    assert changed <= 2
