"""Which pairs of texts are near-duplicates: a bound that costs little, then the exact check."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from upturn.datasets.shingles import Shingled

_BITS = 1024  # of a text's bitmap; 128 bytes a text
_NUMBERS = 1 << 20  # shingles compared at once
_BYTES = np.uint64(0x00FF00FF00FF00FF)  # every other byte of a word
_ADD = np.uint64(0x0001000100010001)  # adds four numbers of 16 bits, in the upper ones
_EPS = 1e-9  # 0.8 * 5 must count as 4, whatever the floats say


class Likeness:
    """Compares shingle sets by their Jaccard similarity.

    Each text has a bitmap of hashed shingles. A bit that one text has and another lacks is a
    shingle that only the first has, so bitmaps bound the shingles in common from above. Pairs
    that fail the bound are no near-duplicates; the others are compared shingle by shingle.

    Args:
        sets: the shingles of all texts.
        threshold: Jaccard similarity in (0, 1] from which a pair is alike.
    """

    def __init__(self, sets: Shingled, threshold: float) -> None:
        self._sets = sets
        self._threshold = threshold
        self._bits_TW = _bitmaps(sets)
        self._block_T = np.zeros(len(sets.sizes), np.int32)
        self._column_T = np.zeros(len(sets.sizes), np.int32)
        for number, block in enumerate(sets.blocks):
            self._block_T[block.texts] = number
            self._column_T[block.texts] = np.arange(len(block.texts))

    def alike(self, i: NDArray[np.int64], j: NDArray[np.int64]) -> list[tuple[int, int]]:
        """Returns those of the pairs whose similarity reaches the threshold."""
        possible = self._possible(i, j)
        i, j = i[possible], j[possible]
        found: list[tuple[int, int]] = []
        step = max(1, _NUMBERS // (2 * int(self._sets.sizes.max())))
        for at in range(0, len(i), step):
            some_i, some_j = i[at : at + step], j[at : at + step]
            alike = self._reaches(some_i, some_j, self._shared(some_i, some_j))
            found += zip(some_i[alike].tolist(), some_j[alike].tolist(), strict=True)
        return found

    def _possible(self, i: NDArray[np.int64], j: NDArray[np.int64]) -> NDArray[np.bool_]:
        size_i, size_j = self._sets.sizes[i], self._sets.sizes[j]
        bits_i, bits_j = self._bits_TW[i], self._bits_TW[j]
        only_i = _ones(bits_i & ~bits_j)
        only_j = _ones(bits_j & ~bits_i)
        return self._reaches(i, j, np.minimum(size_i - only_i, size_j - only_j))

    def _reaches(
        self, i: NDArray[np.int64], j: NDArray[np.int64], shared: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Returns for which pairs so many shingles in common reach the threshold."""
        either = self._sets.sizes[i] + self._sets.sizes[j] - shared
        return shared >= self._threshold * either - _EPS

    def _shared(self, i: NDArray[np.int64], j: NDArray[np.int64]) -> NDArray[np.int64]:
        """Returns how many shingles each pair has in common: equal neighbours once sorted."""
        both = np.concatenate([self._numbers(i, -1), self._numbers(j, -2)], axis=1)
        both.sort(axis=1)
        return (both[:, 1:] == both[:, :-1]).sum(axis=1)

    def _numbers(self, texts: NDArray[np.int64], filler: int) -> NDArray[np.int32]:
        """Returns a row of shingles per text, filled up with negative numbers that are unique.

        Fillers are odd for -1 and even for -2, so that those of two texts never meet.
        """
        sizes = self._sets.sizes[texts]
        length = int(sizes.max())
        rows = np.empty((len(texts), length), np.int32)
        of_block = self._block_T[texts]
        for number in np.unique(of_block):
            here = np.flatnonzero(of_block == number)
            numbers_LT = self._sets.blocks[number].numbers[:length]
            rows[here, : len(numbers_LT)] = numbers_LT[:, self._column_T[texts[here]]].T
        places = np.arange(length, dtype=np.int32)
        return np.where(places < sizes[:, None], rows, filler - 2 * places)


def _ones(bits_PW: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Returns how many bits of each row are set, at most 2 ** 16 - 1.

    A word of eight counts is added up by shifts: numpy is slow at sums over short rows.
    """
    counts = np.bitwise_count(bits_PW).view(np.uint64)
    pairs = (counts & _BYTES) + (counts >> np.uint64(8) & _BYTES)
    return ((pairs[:, 0] + pairs[:, 1]) * _ADD >> np.uint64(48)).astype(np.int64)


def _bitmaps(sets: Shingled) -> NDArray[np.uint64]:
    """Returns a row of words per text with the bit of each of its shingles set."""
    bit_S = (sets.hashes * np.uint32(0x9E3779B1) >> np.uint32(22)).astype(np.int32)
    bits_TW = np.empty((len(sets.sizes), _BITS // 64), np.uint64)
    for block in sets.blocks:
        flags = np.zeros((len(block.texts), _BITS), np.bool_)
        flags[np.arange(len(block.texts)), bit_S[block.numbers]] = True
        bits_TW[block.texts] = np.packbits(flags, axis=1).view(np.uint64)
    return bits_TW
