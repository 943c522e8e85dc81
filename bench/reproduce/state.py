"""What has been measured of a preset: which records belong to which row, how far its runs are, and each verdict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.record import Evaluation, RunRecord, Score, read_record
from bench.registry import meaning_of
from bench.reproduce.presets import Number, Preset, PresetRow
from bench.reproduce.verdict import Judgement, judge
from bench.run_folder import CHECKPOINT, Begun, find_begun, find_records
from bench.seeds import MeanOverSeeds, mean_over_seeds, newest_of_each

__all__ = ["Found", "PresetState", "Result", "RowState", "read_found", "state_of", "state_of_row"]


@dataclass(frozen=True)
class Found:
    """What lies below some folders."""

    records: tuple[RunRecord, ...]
    begun: tuple[Begun, ...]
    unreadable: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Result:
    """One number of one row: what is published, what was measured, and the verdict."""

    number: Number
    measured: MeanOverSeeds | None
    values: Mapping[int, float] = field(default_factory=dict)
    """By seed; 0 for a row without seeds."""
    judgement: Judgement


@dataclass(frozen=True, kw_only=True)
class RowState:
    """How far a row is."""

    row: PresetRow
    done: tuple[int, ...]
    """Seeds whose run is completed; (0,) for a row without seeds that is scored."""
    failed: tuple[int, ...]
    begun: Mapping[int, str]
    """Seed -> where it stands: `step 12,345, in adversarial`."""
    results: tuple[Result, ...]


@dataclass(frozen=True)
class PresetState:
    """How far a preset is."""

    preset: Preset
    rows: tuple[RowState, ...]


def read_found(folders: Iterable[Path]) -> Found:
    """All records and begun runs below folders that exist."""
    records: list[RunRecord] = []
    begun: list[Begun] = []
    unreadable: list[str] = []
    for folder in folders:
        if not folder.is_dir():
            continue
        for path in find_records(folder):
            try:
                records.append(read_record(path))
            except (ValueError, OSError) as error:
                unreadable.append(str(error))
        begun += find_begun(folder)
    return Found(tuple(records), tuple(begun), tuple(unreadable))


def state_of(preset: Preset, found: Found) -> PresetState:
    """What was measured of a preset, and what it says about each of its numbers."""
    return PresetState(preset, tuple(state_of_row(row, found) for row in preset.rows))


def state_of_row(row: PresetRow, found: Found) -> RowState:
    """What was measured of a row, and what it says about each of its numbers."""
    records = _by_seed(record for record in found.records if row.matches(record))
    done = {seed: record for seed, record in records.items() if record.status == "completed"}
    failed = tuple(sorted(set(records) - set(done)))
    begun = {run.seed: run.folder / CHECKPOINT for run in found.begun if run.config_hash == row.config_hash}
    return RowState(
        row=row,
        done=tuple(sorted(done)),
        failed=failed,
        begun={seed: _where(begun[seed]) for seed in sorted(set(begun) - set(records))},
        results=tuple(_result(row, number, done, failed) for number in row.numbers),
    )


def _where(checkpoint: Path) -> str:
    if not checkpoint.is_file():
        return "begun, nothing saved"
    from bench.run.checkpoint import read_state  # torch, only where a run is under way

    try:
        progress = read_state(checkpoint)
    except ValueError:
        return "its checkpoint cannot be read"
    phase = progress.phases[min(progress.phase, len(progress.phases) - 1)].name
    return f"step {progress.step:,}, in {phase}"


def _by_seed(records: Iterable[RunRecord]) -> dict[int, RunRecord]:
    """The record of each seed that counts, as on the leaderboard; 0 for a row without seeds."""
    counted, _ = newest_of_each(records, key=lambda record: record.seed or 0, record=lambda record: record)
    return {record.seed or 0: record for record in counted}


def _result(row: PresetRow, number: Number, done: Mapping[int, RunRecord], failed: Sequence[int]) -> Result:
    against = _against(row, number, failed)
    scores: dict[int, Score] = {}
    for seed, record in done.items():
        score = _score(record, number)
        if isinstance(score, Score):
            scores[seed] = score
        else:
            against.append(f"seed {seed}: {score}" if row.seeded else score)
    against += _differences(row, number, scores.values(), {record.data_sha256 for record in done.values()})
    values = {seed: scores[seed].value for seed in sorted(scores)}
    measured = mean_over_seeds(list(values.values()))
    if row.reduced or (measured is None and (done or failed)):  # a rehearsal decides nothing at all
        judgement = Judgement("not comparable", "; ".join(against))
    else:
        judgement = judge(number.value, number.tolerance, measured, seeded=row.seeded, against=against)
    return Result(number=number, measured=measured, values=values, judgement=judgement)


def _against(row: PresetRow, number: Number, failed: Sequence[int]) -> list[str]:
    """Reasons that need no score."""
    reasons = [*row.departures]
    if number.not_comparable:
        reasons.append(number.not_comparable)
    if failed:
        reasons.append(f"failed: seed {', '.join(map(str, failed))}")
    return reasons


def _differences(row: PresetRow, number: Number, scores: Iterable[Score], data: set[str]) -> list[str]:
    """Reasons why scores are not of one kind, or not of the kind that is asked for."""
    reasons = []
    kinds = {score.signature: score for score in scores}
    if len(kinds) > 1:
        reasons.append(f"seeds are scored in different ways: {', '.join(sorted(kinds))}")
    if len(data) > 1:
        reasons.append("seeds have different data")
    for _, score in sorted(kinds.items()):
        metric = next(m for m in row.metrics if m.name == score.metric)
        if (version := score.settings.get("v")) != metric.version:
            reasons.append(f"{metric.name} is now of version {metric.version}, the record's of {version}")
        if row.n_samples is not None and (n := score.settings.get("samples", row.n_samples)) != row.n_samples:
            reasons.append(f"{number.key} of {n} samples, asked for are {row.n_samples}")
    return reasons


def _score(record: RunRecord, number: Number) -> Score | str:
    """The score that a number speaks of, or why there is none."""
    evaluations = [each for each in record.evaluations if each.temperature == number.temperature]
    chosen = _place(record, evaluations, number)
    if isinstance(chosen, str):
        return chosen
    if number.key in chosen.scores:
        return chosen.scores[number.key]
    why = next((text for name, text in chosen.skipped.items() if number.key.startswith(name)), "it was not measured")
    return f"no {number.key}: {why}"


def _place(record: RunRecord, evaluations: Sequence[Evaluation], number: Number) -> Evaluation | str:
    kind, _, name = number.where.partition(":")
    if kind == "end":
        return record.final(number.temperature) or f"no evaluation at temperature {number.temperature:g}"
    if kind == "best":
        scored = [each for each in evaluations if number.key in each.scores]
        if not any(each.at == "cadence" for each in scored):
            return "no evaluation on the way, from which the best could be taken"
        score = scored[0].scores[number.key]
        sign = -1 if meaning_of(score.metric, number.key, score.better).side == "lower" else 1
        return max(scored, key=lambda each: sign * each.scores[number.key].value)
    if kind == "phase":
        last = record.phases[-1].name if record.phases else ""
        at = "end" if name == last else "phase_end"
        found = [each for each in evaluations if each.phase == name and each.at == at]
    else:
        found = [each for each in evaluations if each.step == int(name)]
    return found[-1] if found else f"no evaluation {'after phase' if kind == 'phase' else 'at step'} {name}"
