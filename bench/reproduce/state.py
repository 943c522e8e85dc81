"""What has been measured of a preset: which records belong to which row, how far its runs are, and each verdict."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bench.record import Evaluation, RunRecord, Score, record_of
from bench.registry import meaning_of
from bench.reproduce.presets import Number, Preset, PresetRow
from bench.reproduce.verdict import Judgement, half_width_of_difference, judge, judge_difference, judge_score
from bench.run_folder import CHECKPOINT, Begun, find_begun, find_records, read_regular
from bench.seeds import MeanOverSeeds, mean_over_seeds, newest_of_each

__all__ = ["Difference", "Found", "PresetState", "Result", "RowState", "read_found", "state_of", "state_of_row"]


@dataclass(frozen=True)
class Found:
    """What lies below some folders."""

    records: tuple[RunRecord, ...]
    begun: tuple[Begun, ...]
    unreadable: tuple[str, ...]

    def __add__(self, other: Found) -> Found:
        return Found(self.records + other.records, self.begun + other.begun, self.unreadable + other.unreadable)


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A model minus its control: what is published, what was measured, and the verdict."""

    published: float
    measured: float
    half_width: float
    """Of the 95% interval, by Welch."""
    judgement: Judgement


@dataclass(frozen=True, kw_only=True)
class Result:
    """One number of one row: what is published, what was measured, and the verdict."""

    number: Number
    measured: MeanOverSeeds | None
    values: Mapping[int, float] = field(default_factory=dict)
    """By seed, those that the preset fixes; 0 for a row without seeds."""
    judgement: Judgement
    at_first: Judgement | None = None
    """What the seeds said that were fixed in advance, where others were added."""
    control: Judgement | None = None
    """What the rule says of the control in the model's place: where it is consistent too, the number tells nothing."""
    difference: Difference | None = None


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


def read_found(folders: Iterable[Path], of: Collection[tuple[str, ...]] | None = None) -> Found:
    """All records and begun runs below folders that exist.

    `of`: only records that may hold all values of one of these: `PresetRow.named`, or a hash of settings. Of hundreds,
    most are then not decoded.
    """
    wanted = None if of is None else {tuple(map(_as_written, values)) for values in of}
    records: list[RunRecord] = []
    begun: list[Begun] = []
    unreadable: list[str] = []
    for folder in folders:
        if not folder.is_dir():
            continue
        for path in find_records(folder):
            try:
                content = read_regular(path)
                if wanted is None or _may_hold(content, wanted):
                    records.append(record_of(content, path))
            except (ValueError, OSError) as error:
                unreadable.append(str(error))
        begun += find_begun(folder)
    return Found(tuple(records), tuple(begun), tuple(unreadable))


_FIRST = (b'"config_hash"', b'"model"', b'"scale"', b'"task"')
"""What is asked for stands in these fields, which a record as it is written has before its evaluations."""


def _as_written(value: str) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _may_hold(content: bytes, wanted: Collection[tuple[bytes, ...]]) -> bool:
    """Whether a record may hold all values of one of these. One that is written in another order may hold anything."""
    first = content[: content.find(b'"evaluations"')]
    if not all(field in first for field in _FIRST):
        return True
    there = {value for value in {value for values in wanted for value in values} if value in first}
    return any(there.issuperset(values) for values in wanted)


def state_of(preset: Preset, found: Found) -> PresetState:
    """What was measured of a preset, and what it says about each of its numbers."""
    return PresetState(preset, tuple(state_of_row(row, found) for row in preset.rows))


def state_of_row(row: PresetRow, found: Found) -> RowState:
    """What was measured of a row, and what it says about each of its numbers."""
    records = _records(row, found)
    done = _completed(records)
    failed = tuple(sorted(set(records) - set(done)))
    begun = {run.seed: run.folder / CHECKPOINT for run in found.begun if run.config_hash == row.config_hash}
    control = _completed(_records(row.control, found)) if row.control else {}
    return RowState(
        row=row,
        done=tuple(sorted(done)),
        failed=failed,
        begun={seed: _where(begun[seed]) for seed in sorted(set(begun) - set(records))},
        results=tuple(_result(row, number, done, failed, control) for number in row.numbers),
    )


def _records(row: PresetRow, found: Found) -> dict[int, RunRecord]:
    """By seed, the record that counts, as on the leaderboard; 0 for a row without seeds."""
    matching = (record for record in found.records if row.matches(record))
    counted, _ = newest_of_each(matching, key=lambda record: record.seed or 0, record=lambda record: record)
    return {record.seed or 0: record for record in counted}


def _completed(records: Mapping[int, RunRecord]) -> dict[int, RunRecord]:
    return {seed: record for seed, record in records.items() if record.status == "completed"}


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


@dataclass(frozen=True)
class _Measured:
    """One score of one row."""

    values: Mapping[int, float]
    """By seed, those that the preset fixes."""
    against: tuple[str, ...]
    """Why they are not what the number is of."""
    asked: bool
    """Whether the records were made when the row had the score."""

    @property
    def mean(self) -> MeanOverSeeds | None:
        """Over the seeds."""
        return mean_over_seeds(list(self.values.values()))


def _measure(row: PresetRow, number: Number, done: Mapping[int, RunRecord]) -> _Measured:
    values: dict[int, float] = {}
    scores: list[Score] = []
    absent: dict[str, list[str]] = {}
    records = {seed: done[seed] for seed in sorted(done) if seed in row.seeds}
    asked = not records
    for seed, record in records.items():
        found = _value(record, number, row.metrics)
        if isinstance(found, _Absent):
            absent.setdefault(found.reason, []).append(str(seed))
            asked = asked or found.asked
            continue
        asked = True
        if isinstance(found, Score):
            scores.append(found)
        values[seed] = found.value if isinstance(found, Score) else found
    against = [f"seed {', '.join(seeds)}: {why}" if row.seeded else why for why, seeds in absent.items()]
    against += _differences(row, number, scores, {record.data_sha256 for record in records.values()})
    return _Measured(values, tuple(against), asked)


def _result(
    row: PresetRow,
    number: Number,
    done: Mapping[int, RunRecord],
    failed: Sequence[int],
    control: Mapping[int, RunRecord],
) -> Result:
    measured = _measure(row, number, done)
    reasons = _against(row, number, sorted(set(failed) & set(row.seeds)))
    against = [*reasons, *measured.against]
    mean, reported = measured.mean, number.reported
    at_first = None
    if row.reduced or (mean is None and measured.asked and (done or failed)):  # a rehearsal decides nothing at all
        judgement = Judgement("not comparable", "; ".join(against))
    elif not row.seeded:
        judgement = judge_score(reported, number.tolerance, None if mean is None else mean.mean, against=against)
    else:
        judgement = judge(reported, mean, n_fixed=len(row.seeds), against=against, looks=row.looks)
        first = {seed: value for seed, value in measured.values.items() if seed not in row.added_seeds}
        if row.added_seeds and reported:
            n_first = len(row.seeds) - len(row.added_seeds)
            then = mean_over_seeds(list(first.values()))
            at_first = judge(reported, then, n_fixed=n_first, against=against, looks=row.looks)
    compared = row.control and not number.step_value and not reasons
    beside = _beside(row, number, measured, control, against) if compared else (None, None)
    return Result(
        number=number,
        measured=mean,
        values=measured.values,
        judgement=judgement,
        at_first=at_first,
        control=beside[0],
        difference=beside[1],
    )


def _beside(
    row: PresetRow, number: Number, ours: _Measured, done: Mapping[int, RunRecord], against: Sequence[str]
) -> tuple[Judgement | None, Difference | None]:
    """What the rule says of the control in the model's place, and of the difference to it."""
    assert row.control is not None
    theirs = _measure(row.control, replace(number, where="end", temperature=1.0), done)
    if number.reported is None or theirs.mean is None:
        return None, None
    n_control = len(row.control.seeds)
    control = judge(number.reported, theirs.mean, n_fixed=n_control, against=theirs.against, looks=row.looks)
    if number.reported_difference is None or ours.mean is None:
        return control, None
    half = half_width_of_difference(ours.mean, theirs.mean)
    if half is None:
        return control, None
    mine, other = number.reported_difference
    difference = Difference(
        published=mine.value - other.value,
        measured=ours.mean.mean - theirs.mean.mean,
        half_width=half,
        judgement=judge_difference(
            (mine, other),
            (ours.mean, theirs.mean),
            n_fixed=(len(row.seeds), n_control),
            against=[*against, *theirs.against],
            looks=row.looks,
        ),
    )
    return control, difference


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


@dataclass(frozen=True)
class _Absent:
    """Why there is no score."""

    reason: str
    asked: bool = True
    """Whether the record was made when the score was asked for."""


def _value(record: RunRecord, number: Number, metrics: Sequence[Any]) -> Score | float | _Absent:
    """The score that a number speaks of, or the mean of what steps returned, or why there is none."""
    evaluations = [each for each in record.evaluations if each.temperature == number.temperature]
    chosen = _place(record, evaluations, number)
    if isinstance(chosen, str):
        return _Absent(chosen)
    if number.step_value:
        mean = chosen.step_values.get(number.step_value)
        kept = "among what steps returned" if chosen.step_values else "kept: the record is older, or no step was taken"
        return _Absent(f"no {number.step_value} {kept}", asked=False) if mean is None else mean
    if number.key in chosen.scores:
        return chosen.scores[number.key]
    names = (number.key, *(metric.name for metric in metrics if metric.keys().get(number.key)))
    why = next((chosen.skipped[name] for name in names if name in chosen.skipped), None)
    return _Absent(f"no {number.key}: {why or 'it was not measured'}", asked=why is not None)


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
