"""Canary rows: a model that was changed under its name is noticed before a turn is named.

A few dev rows of the champion are asked again past the cache. Where their answers, or the scores of
these, differ from the earlier ones beyond what they differ by themselves, or the server names
another model, the model enters a new epoch: its older answers are used no more, the turn is another
question, and so the champion is run again.
"""

from __future__ import annotations

from collections.abc import Iterable

from upturn.config.judge import CanariesSection
from upturn.datasets import Snapshot
from upturn.errors import ConfigError
from upturn.judges.drift import Asked, drift
from upturn.lm import AnswerCache, Totals
from upturn.pipeline.canary.asking import KEPT, Answered, ask_canaries, row_name
from upturn.pipeline.canary.epochs import Epoch, read_epoch, write_epoch
from upturn.pipeline.canary.watching import Kept, Watch
from upturn.pipeline.parts import Parts
from upturn.pipeline.seams import World
from upturn.pipeline.workspace import read_json, write_json
from upturn.records import Candidate, Example, Json, content_hash


def model_now(parts: Parts, world: World, model_id: str) -> str:
    """Returns what names the models of a turn: the model's id, and its epochs where there are any.

    Args:
        parts: the config's objects.
        world: tells the ids of further models.
        model_id: of the config's model.
    """
    return _named(model_id, _epochs(parts, world))


def paid(parts: Parts, turn: str) -> tuple[int, float]:
    """Returns the calls and US dollars that earlier attempts at a turn took, canaries included."""
    with AnswerCache(parts.workspace.cache) as cache:
        calls, usd = cache.spent(turn)
    more_calls, more_usd = Watch().charge(parts.workspace.turn(turn))
    return calls + more_calls, usd + more_usd


def watch(
    parts: Parts,
    world: World,
    snapshot: Snapshot,
    champion: Candidate,
    model_id: str,
    *,
    before: tuple[int, float] = (0, 0.0),
) -> Watch:
    """Asks the canaries, where the config wants them and a model can change under its name.

    Args:
        parts: the config's objects.
        world: how the model is reached.
        snapshot: its dev rows are the canaries' source.
        champion: what runs now.
        model_id: of the config's model.
        before: calls and US dollars that count under the caps already.

    Raises:
        ConfigError: a cluster's workers would use answers of another epoch.
        ModelError: the model cannot be reached or used.
    """
    section, own, totals = parts.config.canaries, _own(parts, champion), Totals()
    if section is not None and not own.model.is_local:
        totals = _ask(section, own, world, snapshot, champion, before)
    epochs = _epochs(parts, world)
    if epochs and parts.config.executor == "ray":
        raise ConfigError(
            f"the model must be the one that gave the cached answers with executor: ray; "
            f"{epochs[0].found}",
            where="executor",
            fix=f"upturn cache clear {parts.config.workspace} --yes, then delete "
            f"{parts.workspace.folder / 'canaries'}, or executor=local",
        )
    return Watch(
        model_id=_named(model_id, epochs),
        notices=tuple(e.found for e in epochs if _is_from_before(parts, champion, e)),
        totals=totals,
    )


def _epochs(parts: Parts, world: World) -> list[Epoch]:
    """The epochs of the models that answer, where these were found to be others."""
    sections = (parts.config.models[name] for name in parts.config.search.space.model)
    used = (parts, *(parts.with_model(section) for section in sections))
    # A local model's id takes reading its weights, and names them.
    ids = sorted({world.identify(p) for p in used if not p.model.is_local})
    return [e for e in (read_epoch(parts.workspace, i) for i in ids) if e.number]


def _is_from_before(parts: Parts, champion: Candidate, epoch: Epoch) -> bool:
    """Whether what runs now was there when this program first met the epoch."""
    path = parts.workspace.folder / "canaries" / "met" / f"{parts.config.name}.json"
    met: dict[str, Json] = read_json(path) if path.exists() else {}
    if met.get(epoch.model_id, (0,))[0] != epoch.number:
        met = {**met, epoch.model_id: [epoch.number, champion.id]}
        write_json(path, met)
    return met[epoch.model_id][1] == champion.id


def _own(parts: Parts, champion: Candidate) -> Parts:
    """The parts on the model that the champion runs on."""
    section = parts.config.models.get(str(champion.settings.get("model")))
    return parts if section is None else parts.with_model(section)


def _named(model_id: str, epochs: Iterable[Epoch]) -> str:
    changed = {e.model_id: e.number for e in epochs}
    return f"{model_id}#{content_hash(changed, length=8)}" if changed else model_id


def _ask(
    section: CanariesSection,
    parts: Parts,
    world: World,
    snapshot: Snapshot,
    champion: Candidate,
    before: tuple[int, float],
) -> Totals:
    model_id = world.identify(parts)
    epoch = read_epoch(parts.workspace, model_id)
    path = parts.workspace.folder / "canaries" / "programs" / f"{parts.config.name}.json"
    kept = Kept.read(path, _subject(parts, champion, epoch), epoch)
    chosen = _chosen(snapshot.dev, section.rows)
    found = ask_canaries(parts, world, champion, chosen, kept.rows, before=before)
    change, told = _judged(found, kept, section.level)
    if change:
        epoch = Epoch(
            model_id=model_id,
            number=epoch.number + 1,
            since=world.clock().isoformat(),
            found=f"{parts.config.model.name} answers as another model since "
            f"{world.clock().date()}: {change}. Its earlier answers are not used, and what runs "
            "now, chosen before, is run again.",
        )
        write_epoch(parts.workspace, epoch)
        told = epoch.found
    pools = found.new if change else {n: (*found.old[n], *found.new[n])[:KEPT] for n in found.new}
    Kept(
        of=_subject(parts, champion, epoch),
        epoch=[epoch.model_id, epoch.number],
        rows={n: s for n, s in pools.items() if s},
        models=kept.models | found.models,
    ).write(path)
    world.progress.step("canaries", f"{told} {found.totals.calls} calls.")
    return found.totals


def _subject(parts: Parts, champion: Candidate, epoch: Epoch) -> str:
    """Answers are compared where the same is asked of what should be the same model."""
    model = parts.model
    settings = [model.temperature, model.max_tokens, model.seed]
    asked = [champion.id, parts.program.fingerprint, parts.metric.fingerprint, *settings]
    return content_hash([*asked, epoch.model_id, epoch.number])


def _chosen(dev: Iterable[Example], rows: int) -> list[Example]:
    """The rows with the smallest hashes: the same ones from night to night, while they are dev."""
    return sorted(dev, key=row_name)[:rows]


def _judged(found: Answered, kept: Kept, level: float) -> tuple[str, str]:
    """Returns what changed, or "", and what there is to tell otherwise."""
    asked = [
        Asked(
            old=tuple(s.answer for s in found.old[name]),
            new=tuple(s.answer for s in new),
            old_scores=tuple(s.score for s in found.old[name]),
            new_scores=tuple(s.score for s in new),
        )
        for name, new in found.new.items()
    ]
    finding = drift(asked, level=level)
    others = found.models - kept.models if kept.models else frozenset[str]()
    if others:
        return f"the server names {', '.join(sorted(others))}", ""
    shown = f"{finding.changed} of {finding.rows} canary rows changed, p = {finding.p_value:.4f}"
    if finding.found:
        return shown, ""
    if not finding.rows:
        return "", "Nothing to compare with yet; the answers are kept for the next turn."
    if not finding.judged:
        few = "few rows have earlier answers" if finding.rows < len(asked) else "answers vary"
        return "", f"Not judged, since {few} by themselves: {shown}."
    return "", f"The same model as before: {shown}."
