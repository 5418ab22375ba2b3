"""Turns a JSON line into a request or a feedback record, and says which rules it breaks."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from upturn.events.lines import Line
from upturn.events.problems import Problems, did_you_mean, found, nearest, one_of
from upturn.events.records import FORMAT, Feedback, FieldRules, Purpose, Request, Role, Signal
from upturn.events.values import broken_value_rule
from upturn.records import Json

#: How far the clock of whoever wrote the log may run ahead of ours.
CLOCK_SKEW = timedelta(hours=24)


class LineCheck:
    """The checks of one line: each returns the value, or a harmless one and adds a problem."""

    def __init__(self, line: Line, problems: Problems, now: datetime | None) -> None:
        self.line = line
        self.ok = True
        self._problems = problems
        self._now = now

    def fail(self, field: str, rule: str) -> None:
        self.ok = False
        self._problems.add(self.line.file, self.line.number, field, rule)

    def text(self, key: str) -> str:
        value = self.required(key)
        if isinstance(value, str) and value:
            return value
        self._must(key, "be a non-empty string")
        return ""

    def optional_text(self, key: str) -> str | None:
        value = self.line.value.get(key)
        if value is None or isinstance(value, str):
            return value
        self._must(key, "be a string or null")
        return None

    def optional_number(self, key: str) -> float | None:
        value = self.line.value.get(key)
        if value is None or (_is_number(value) and value >= 0):
            return value
        self._must(key, "be a number >= 0 or null")
        return None

    def mapping(self, key: str) -> dict[str, Json]:
        value = self.required(key)
        if isinstance(value, dict):
            return value
        self._must(key, "be an object")
        return {}

    def choice(self, field: str, value: Json, kind: type[StrEnum]) -> str:
        try:
            return kind(value)
        except ValueError:
            names = [str(k) for k in kind]
            self.fail(field, one_of(names, value))
            return names[0]

    def time(self, key: str) -> str:
        value = self.text(key)
        if not value:
            return ""
        try:
            moment = datetime.fromisoformat(value)
            rule = "carry a zone, such as +00:00" if moment.tzinfo is None else ""
            moment = moment.astimezone(UTC)
        except (ValueError, OverflowError):
            self._must(key, "be an ISO 8601 time with a zone")
            return ""
        if not rule and self._now is not None and moment > self._now + CLOCK_SKEW:
            rule = f"not lie in the future (now is {self._now.isoformat()})"
        if rule:
            self._must(key, rule)
        return moment.isoformat()

    def purposes(self, key: str) -> tuple[Purpose, ...] | None:
        value = self.line.value.get(key)
        if value is None:
            return None
        try:
            return tuple(sorted({Purpose(v) for v in _as_list(value)}))
        except ValueError:
            self._must(key, f"be null or a list of {', '.join(Purpose)}")
            return None

    def required(self, key: str) -> Json:
        if key not in self.line.value:
            self.fail(key, f"must be there{did_you_mean(key, self.line.value)}")
        return self.line.value.get(key)

    def _must(self, key: str, rule: str) -> None:
        if key in self.line.value:
            self.fail(key, f"must {rule}, got {found(self.line.value[key])}")


def _as_list(value: Json) -> list[Json]:
    if not isinstance(value, list):
        raise ValueError("not a list")
    return value


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def check_kind(check: LineCheck) -> str:
    """Returns ``"request"`` or ``"feedback"``, or "" where the line is of neither kind."""
    value = check.line.value
    version, kind = value.get("upturn"), value.get("kind")
    if version is True or version != FORMAT:  # true == 1 in Python
        rule = f"must be {FORMAT}, the format this version reads; got {found(version)}"
        check.fail("upturn", rule)
    if kind not in ("request", "feedback"):
        check.fail("kind", one_of(("request", "feedback"), kind))
    return str(kind) if check.ok else ""


def check_request(check: LineCheck) -> Request | None:
    """Returns the request of a line, or None where it breaks a rule."""
    # "user" may be null but not absent: without it one customer's rows could straddle two splits,
    # and whoever writes the log should have decided that nobody knows.
    check.required("user")
    error = check.optional_text("error")
    request = Request(
        id=check.text("id"),
        time=check.time("time"),
        program=check.text("program"),
        inputs=check.mapping("inputs"),
        outputs={} if error is not None else check.mapping("outputs"),
        user=check.optional_text("user"),
        version=check.optional_text("version"),
        model=check.optional_text("model"),
        session=check.optional_text("session"),
        parent=check.optional_text("parent"),
        latency_ms=check.optional_number("latency_ms"),
        usage=check.mapping("usage") if check.line.value.get("usage") is not None else None,
        cost_usd=check.optional_number("cost_usd"),
        error=error,
        slices=_slices(check),
        consent=check.purposes("consent"),
    )
    return request if check.ok else None


def _slices(check: LineCheck) -> Mapping[str, str]:
    value = check.mapping("slices") if check.line.value.get("slices") is not None else {}
    for name, text in value.items():
        if not isinstance(text, str):
            check.fail(f"slices.{name}", f"must be a string, got {found(text)}")
    return value


def check_feedback(check: LineCheck) -> Feedback | None:
    """Returns the feedback of a line, or None where it breaks a rule."""
    by = check.mapping("by")
    signal = Signal(check.choice("signal", check.line.value.get("signal"), Signal))
    feedback = Feedback(
        id=check.text("id"),
        request_id=check.text("request_id"),
        time=check.time("time"),
        signal=signal,
        value=check.line.value.get("value"),
        rater=_rater(check, by),
        role=Role(check.choice("by.role", by.get("role"), Role)),
        comment=check.optional_text("comment"),
        name=check.optional_text("name"),
        program=check.optional_text("program"),
        consent=check.purposes("consent"),
    )
    if check.ok:
        rule = broken_value_rule(feedback)
        if rule:
            check.fail("value", rule)
    return feedback if check.ok else None


def _rater(check: LineCheck, by: Mapping[str, Json]) -> str:
    value = by.get("id")
    if isinstance(value, str) and value:
        return value
    check.fail("by.id", f"must be a non-empty string, got {found(value)}")
    return ""


def check_request_fields(check: LineCheck, request: Request, fields: FieldRules) -> None:
    """Adds a problem for each field of the program that the request lacks or answers wrongly.

    Fields that the program does not have are ignored: a log may record more than a program reads.
    """
    _check_names(check, "inputs", fields.inputs, request.inputs)
    if request.error is None:
        _check_names(check, "outputs", fields.outputs, request.outputs)
        known = {k: v for k, v in request.outputs.items() if k in fields.outputs}
        check_labels(check, "outputs", known, fields)


def _check_names(
    check: LineCheck, key: str, names: Collection[str], value: Mapping[str, Json]
) -> None:
    spare = [k for k in value if k not in names]
    for name in names:
        if name not in value:
            near = nearest(name, spare)
            hint = f"; is {near!r} meant to be {name!r}?" if near else ""
            check.fail(f"{key}.{name}", f"must be there, got {found(sorted(value))}{hint}")


def check_labels(check: LineCheck, key: str, value: Mapping[str, Json], fields: FieldRules) -> None:
    """Adds a problem for each value that is no field of the program, or not among its labels."""
    for name, label in value.items():
        if name not in fields.outputs:
            check.fail(f"{key}.{name}", f"is no output field; {one_of(fields.outputs, name)}")
            continue
        allowed = fields.outputs[name]
        if label is None:
            check.fail(f"{key}.{name}", "must be a value, got None")
        elif allowed is not None and label not in allowed:
            check.fail(f"{key}.{name}", one_of(allowed, label))
