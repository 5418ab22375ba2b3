"""Reads Parquet by batches of rows: a row is a record of plain JSON values."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import IO

from upturn.errors import DataError
from upturn.ingest.limits import Limits
from upturn.ingest.tabular import Row
from upturn.records import Json

_ROWS = 500  # rows turned into Python values at a time


class _UnfitError(ValueError):
    """A value that JSON cannot hold."""


def parquet_rows(file: IO[bytes], name: str, limits: Limits, size: int) -> Iterator[Row]:
    """Yields the rows; ``size`` is that of the file, against which its content is held.

    Raises:
        DataError: the file is damaged, or holds more than the limits allow.
    """
    import pyarrow as pa
    from pyarrow import parquet as pq

    try:
        table = pq.ParquetFile(file, pre_buffer=False)
        _check_size(table, name, limits, size)
        number = 0
        for batch in table.iter_batches(batch_size=_ROWS):
            about = batch.nbytes // max(batch.num_rows, 1)
            for row in batch.to_pylist():
                number += 1
                yield _checked(row, number, about)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        first = str(error).splitlines()[0]
        raise DataError(
            f"a Parquet file must be whole, got: {first}", where=name, fix="export it again"
        ) from None


def _check_size(table: Json, name: str, limits: Limits, size: int) -> None:
    meta = table.metadata
    holds = sum(meta.row_group(i).total_byte_size for i in range(meta.num_row_groups))
    allowed = min(limits.output_bytes, max(limits.ratio_after_bytes, size * limits.ratio))
    if holds > allowed:
        raise DataError(
            f"a Parquet file must not unfold to more than {limits.ratio} times its size or "
            f"{limits.output_bytes} bytes, this one holds {holds} bytes in {size}",
            where=name,
        )


def _checked(row: dict[str, Json], number: int, size: int) -> Row:
    try:
        return number, {name: _plain(value) for name, value in row.items()}, "", size
    except _UnfitError as error:
        return number, None, str(error), size


def _plain(value: Json) -> Json:
    """Returns a value as JSON has it: times as ISO 8601, decimals as numbers, bytes as text."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise _UnfitError(f"must have finite numbers, got {value}")
        return value
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return _plain_list(value)
    return _plain_scalar(value)


def _plain_list(value: list[Json]) -> Json:
    if value and all(isinstance(v, tuple) for v in value):  # so the library writes a map
        return {str(k): _plain(v) for k, v in value}
    return [_plain(v) for v in value]


def _plain_scalar(value: Json) -> Json:
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal):
        return _plain(int(value) if value == value.to_integral_value() else float(value))
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise _UnfitError("must have text or numbers, got bytes that are no UTF-8") from None
    return str(value)
