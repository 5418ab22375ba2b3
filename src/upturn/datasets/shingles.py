"""Shingles of texts, as sets of strings for one text and as arrays of numbers for many.

A shingle is a run of ``size`` characters of a normalised text; a text shorter than that is one
shingle, itself. For many texts each distinct shingle gets a number, and texts with about as many
shingles stand side by side in a matrix, so that a minimum over each text is one call of numpy.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SHINGLE = 4  # characters: one typing error in a message of 45 keeps J >= 0.8
_CHUNK = 1 << 19  # characters handled at once: temporary arrays stay at some ten MB
_WIDE = 1 << 17  # numbers of one matrix: half a MB, which stays in a core's cache
_PAD = "\0"  # no normalised text holds it
_ASCII = bytes(
    ord("0" if chr(i).isdigit() else chr(i).lower() if chr(i).isalnum() or i == 95 else " ")
    for i in range(128)
) + bytes(range(128, 256))
_Words = NDArray[np.uint64]


def normalise(text: str) -> str:
    """Returns a text without what near-duplicates differ in: case, marks, blanks, the digits."""
    if text.isascii():  # the same five times as fast, and most messages are
        clean = text.encode().translate(_ASCII).decode()
    else:
        folded = unicodedata.normalize("NFKC", text).casefold()
        clean = re.sub(r"\d", "0", re.sub(r"[^\w\s]", " ", folded))
    while "00" in clean:
        clean = clean.replace("00", "0")
    return " ".join(clean.split())


def shingles(text: str, size: int = SHINGLE) -> frozenset[str]:
    """Returns the set of character ``size``-grams of a normalised text (all of a short one)."""
    clean = normalise(text)
    return frozenset(clean[i : i + size] for i in range(max(1, len(clean) - size + 1)))


@dataclass(frozen=True, kw_only=True)
class Block:
    """Texts with about as many shingles.

    Attributes:
        texts: their positions.
        numbers: their shingles' numbers, a column per text; the last is repeated to fill up.
    """

    texts: NDArray[np.int64]
    numbers: NDArray[np.int32]


@dataclass(frozen=True, kw_only=True)
class Shingled:
    """The shingle sets of many texts.

    Attributes:
        blocks: every text is in one of them.
        sizes: how many distinct shingles each text has.
        hashes: the crc32 of each shingle's UTF-8, by its number.
    """

    blocks: tuple[Block, ...]
    sizes: NDArray[np.int32]
    hashes: NDArray[np.uint32]


def shingled(texts: Sequence[str], size: int) -> Shingled:
    """Returns the shingle sets of normalised texts; memory is about 4 bytes a character.

    Shingles are told apart by 64-bit hashes; that two of a million share one happens once in ten
    million corpora, and then costs or gains a candidate, never a wrong cluster.
    """
    known = np.zeros(0, np.uint64)
    hashes = np.zeros(0, np.uint32)
    for _, keys, where, text in _windows(texts, size):
        found, first = np.unique(keys, return_index=True)
        fresh = ~np.isin(found, known, assume_unique=True)
        starts = where[first[fresh]].tolist()
        crc = [zlib.crc32(text[s : s + size].rstrip(_PAD).encode()) for s in starts]
        known = np.concatenate([known, found[fresh]])
        hashes = np.concatenate([hashes, np.array(crc, np.uint32)])
    order = np.argsort(known)
    return _numbered(texts, size, known[order], hashes[order])


def _numbered(
    texts: Sequence[str], size: int, known: _Words, hashes: NDArray[np.uint32]
) -> Shingled:
    """Turns keys into numbers, drops repeats within a text, and lays texts side by side."""
    numbers: list[NDArray[np.int32]] = []
    sizes: list[NDArray[np.int32]] = []
    lookup = _Lookup(known)
    for owner, keys, _, _ in _windows(texts, size):
        first, last = int(owner[0]), int(owner[-1])
        pairs = (owner - first).astype(np.uint64) << np.uint64(32) | lookup(keys)
        # Sorted by hand: numpy's unique hashes, which takes ten times as long.
        pairs.sort()
        pairs = pairs[np.concatenate([[True], pairs[1:] != pairs[:-1]])]
        numbers.append((pairs & np.uint64(0xFFFFFFFF)).astype(np.int32))
        counts = np.bincount((pairs >> np.uint64(32)).astype(np.int64), minlength=last - first + 1)
        sizes.append(counts.astype(np.int32))
    sizes_T = np.concatenate(sizes) if sizes else np.zeros(0, np.int32)
    flat = np.concatenate(numbers) if numbers else np.zeros(0, np.int32)
    return Shingled(blocks=tuple(_blocks(flat, sizes_T)), sizes=sizes_T, hashes=hashes)


def _windows(
    texts: Sequence[str], size: int
) -> Iterator[tuple[NDArray[np.int64], _Words, NDArray[np.int64], str]]:
    """Yields, per chunk of texts: each window's text, key and place, and the chunk as one string.

    A key mixes ``size`` characters into 64 bits.
    """
    rng = np.random.default_rng(0)
    odd = rng.integers(0, 1 << 63, size, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    for begin, end in _chunks(texts):
        text = "".join(t + _PAD * size for t in texts[begin:end])
        codes = np.frombuffer(text.encode("utf-32-le"), np.uint32).astype(np.uint64)
        lengths = np.fromiter((len(t) for t in texts[begin:end]), np.int64, end - begin)
        counts = np.maximum(1, lengths - size + 1)
        owner = np.repeat(np.arange(begin, end), counts)
        starts = np.concatenate([[0], np.cumsum(lengths + size)[:-1]])
        inside = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
        where = np.repeat(starts, counts) + inside
        keys = np.zeros(len(where), np.uint64)
        for i in range(size):
            keys = _mixed(keys + codes[where + i] * odd[i])
        yield owner, keys, where, text


def _chunks(texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    begin = size = 0
    for end, text in enumerate(texts, start=1):
        size += len(text)
        if size >= _CHUNK or end == len(texts):
            yield begin, end
            begin, size = end, 0


def _mixed(x: _Words) -> _Words:
    """Spreads every bit over all (half of the finalizer of splitmix64)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    return x ^ (x >> np.uint64(27))


class _Lookup:
    """Key -> place among the sorted keys, by a table of their leading bits first."""

    def __init__(self, known: _Words) -> None:
        self._known = known
        bits = max(4, len(known).bit_length() + 4)
        self._shift = np.uint64(64 - bits)
        self._table = np.zeros(1 << bits, np.int64)
        self._table[self._slot(known)] = np.arange(len(known))

    def _slot(self, keys: _Words) -> NDArray[np.int64]:
        return (keys >> self._shift).astype(np.int64)

    def __call__(self, keys: _Words) -> _Words:
        found = self._table[self._slot(keys)]
        shared = self._known[found] != keys  # another key has the same leading bits
        found[shared] = np.searchsorted(self._known, keys[shared])
        return found.astype(np.uint64)


def _blocks(flat: NDArray[np.int32], sizes_T: NDArray[np.int32]) -> Iterator[Block]:
    """Yields texts of about one size together; each is filled up by at most an eighth or 7."""
    ends = np.cumsum(sizes_T, dtype=np.int64)
    order = np.argsort(sizes_T, kind="stable")
    at = 0
    while at < len(order):
        least = int(sizes_T[order[at]])
        most = max(least + 7, least + least // 8)
        stop = int(np.searchsorted(sizes_T[order], most, side="right"))
        length = int(sizes_T[order[stop - 1]])
        step = max(1, _WIDE // length)
        for i in range(at, stop, step):
            texts = order[i : min(stop, i + step)]
            start = ends[texts] - sizes_T[texts]
            rows = np.minimum(np.arange(length)[:, None], sizes_T[texts] - 1)
            yield Block(texts=texts, numbers=flat[start + rows])
        at = stop
