"""Records -> rows: who stands in one, under which label, with which runs. Means are made in `statistics.py`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bench.record import CUSTOM, HELD_OUT_TEXT, REAL_TEXT, Evaluation, RunRecord, Score, with_settings
from leaderboards.command import reproduce
from leaderboards.evidence import Outcome, outcomes
from leaderboards.headline import REWRITING
from leaderboards.records import Entry
from leaderboards.retrained import Retraining, machine_text
from leaderboards.schema import (
    BASELINE,
    END,
    FULL_SCALE,
    RANKED_SEEDS,
    REFERENCES,
    TEMPERATURE_SETTING,
    Board,
    LearningPoint,
    Row,
    RunView,
    SamplesView,
    SecondParty,
    Status,
)

__all__ = [
    "ANSWERS",
    "best_known",
    "choose_baseline",
    "labels",
    "mark_as_recorded",
    "mark_under_trained",
    "members",
    "notes",
    "once",
    "order",
    "row",
    "shortcomings",
    "with_count",
]

PRETRAINING = ("mle", "pretraining")
"""Names of the phase that ends pre-training of the generator; leakgan's trains its discriminator in turn with it."""
ANSWERS = "answers of the task"
"""What the row of real text is called where sentences are rewritten."""
_NAMES = {REAL_TEXT: "real_text (train)", HELD_OUT_TEXT: "real_text (test)"}
"""How the rows of real text are called: by whose sentences they hold."""


def once(entries: Iterable[Entry]) -> tuple[list[Entry], list[str]]:
    """Without samples whose every score stands, equal, in another record of the same samples; and a line on each."""
    shown: dict[tuple[str, str], list[RunRecord]] = {}
    kept_entries, lines = [], []
    for entry in sorted(entries, key=lambda e: -len(_last_scores(e.record))):
        record = entry.record
        sha256 = record.evaluations[-1].samples_sha256 if record.evaluations else None
        if record.origin == "samples" and sha256 is not None:
            same = shown.setdefault((record.model, sha256), [])
            mine = _last_scores(record).items()
            if (host := next((other for other in same if mine <= _last_scores(other).items()), None)) is not None:
                ids = record.run_id[:6], host.run_id[:6]
                lines.append(f"{record.model} #{ids[0]}: left out, #{ids[1]} has all its scores, of the same samples")
                continue
            same.append(record)
        kept_entries.append(entry)
    return kept_entries, lines


def _last_scores(record: RunRecord) -> Mapping[str, Score]:
    return record.evaluations[-1].scores if record.evaluations else {}


def members(entries: Iterable[Entry]) -> list[list[Entry]]:
    """Entries of one row together. Samples without a seed are rows of their own: nothing says they are replicates."""
    rows: dict[tuple[str, ...], list[Entry]] = {}
    for entry in entries:
        record = entry.record
        key = (record.model_identity, record.origin, record.config_hash, record.run_id if record.seed is None else "")
        rows.setdefault(key, []).append(entry)
    return [sorted(rows[key], key=lambda e: e.record.seed or 0) for key in sorted(rows)]


def best_known(entries: Sequence[Entry]) -> RunRecord:
    """A row's record to speak for it: one that knows what was changed, if any does. Their settings are the same."""
    return next((e.record for e in entries if e.record.changed is not None), entries[0].record)


def labels(records: Sequence[RunRecord]) -> list[str]:
    """The model's name, the settings that differ where a board has several rows of one model, and a precision.

    Settings that are not those of the scale are always said, and the row is `custom`: it never stands as the scale's.
    """
    of_model: dict[str, list[RunRecord]] = {}
    for record in records:
        of_model.setdefault(record.model, []).append(record)
    told_of = {model: _told([r for r in same if not r.changed]) for model, same in of_model.items()}
    sources = {model: {r.model_code for r in same} for model, same in of_model.items()}
    found = []
    for record in records:
        config = record.model_config
        changed = record.changed or {}
        source = record.model_code if len(sources[record.model]) > 1 else None
        settings = {"source": source[:6]} if source else {}
        settings |= dict(changed) | {key: config[key] for key in told_of[record.model] if key in config}
        label = with_settings(_name(record), settings | record.variant)
        found.append(f"{label} · {CUSTOM}" if changed else label)
    ids = [r.run_id if r.seed is None else r.config_hash for r in records]
    count = Counter(found)
    return [f"{a} #{i[:6]}" if count[a] > 1 else a for a, i in zip(found, ids, strict=True)]


def with_count(label: str, record: RunRecord) -> str:
    """The label of a row of real text that has its own number of sentences: `real_text (train, samples=600)`."""
    scores = (score for e in record.evaluations for score in e.scores.values())
    count = next((s.settings["samples"] for s in scores if "samples" in s.settings), None)
    if count is None:
        return label
    return f"{label[:-1]}, samples={count})" if label.endswith(")") else f"{label} (samples={count})"


def _told(same: Sequence[RunRecord]) -> list[str]:
    """Settings that differ between the records of one model, or that change what a temperature means.

    A record that is older than a setting says nothing of it, and differs in nothing.
    """
    values: dict[str, list[Any]] = {}
    for record in same:
        for key, value in record.model_config.items():
            values.setdefault(key, []).append(value)
    return [
        key
        for key, (first, *others) in sorted(values.items())
        if any(value != first for value in others) or (key == TEMPERATURE_SETTING and first != 1)
    ]


def row(entries: Sequence[Entry], label: str, unfinished: Mapping[str, int], signatures: Mapping[str, str]) -> Row:
    """A row with its runs, without means."""
    record = best_known(entries)
    completed = sum(e.record.status == "completed" for e in entries)
    status = _status(record, completed)
    temperatures = {e.temperature for entry in entries for e in entry.record.evaluations if e.at in END}
    verified = completed > 0 and all(e.verified for e in entries if e.record.status == "completed")
    lacks = []
    if record.origin == "run" and record.model not in REFERENCES:
        if completed < RANKED_SEEDS:
            lacks.append(f"{RANKED_SEEDS - completed} more completed seed(s) to be ranked")
        if len(temperatures) < 2:
            lacks.append("other temperatures than 1, so no curve and no quality at matched diversity")
    if len(commits := sorted({commit for e in entries if (commit := _commit(e.record))})) > 1:
        told = (commit[:12] + commit[40:] for commit in commits)
        lacks.append(f"one state of the code: its runs are of commits {', '.join(told)}")
    if len(sources := sorted({s for e in entries if (s := (e.record.sources or {}).get("model"))})) > 1:
        lacks.append(f"one state of the model's code: its runs are of sources {', '.join(s[:6] for s in sources)}")
    if diverged := [str(e.record.seed) for e in entries if any(a.kind == "non_finite" for a in e.record.alarms)]:
        lacks.append(f"finite losses (alarm non_finite): seed {', '.join(diverged)}")
    if any(commit.endswith("+") for commit in commits):
        lacks.append("a clean checkout (+): there were changes that no commit holds")
    return Row(
        model=record.model,
        label=label,
        config_hash=record.config_hash,
        origin=record.origin,
        status=status,
        tier="verified" if verified else "reported",
        verified=verified,
        trained_by=sorted({e.trained_by for e in entries if e.trained_by is not None}),
        second_parties=_second_parties(entries),
        lacks=lacks,
        n_completed=completed,
        n_started=len(entries) + unfinished.get(record.config_hash, 0),
        settings=dict(sorted(record.model_config.items())),
        changed=dict(record.changed or {}),
        early=record.run is not None and bool(record.run.last_phase),
        selected=record.run is not None and record.run.selection == "validation",
        of_user=record.model_code is not None,
        command=reproduce([e.record for e in entries], entries[0].path),
        runs=[_run(entry, signatures) for entry in entries],
        collapsed=sum(_collapsed(e.record) for e in entries if e.record.status == "completed"),
        real_sentences=_real_sentences(entries),
        n_parameters=next((e.record.n_parameters for e in entries if e.record.n_parameters is not None), None),
        devices=sorted({device for e in entries if (device := _device(e.record))}),
    )


def _second_parties(entries: Sequence[Entry]) -> list[SecondParty]:
    """Who trained seeds of the row again: what was kept of it, where every record that was compared is still there."""
    found: list[Retraining] = []
    for one in (one for entry in entries for one in entry.retrainings):
        having = [entry for entry in entries if one in entry.retrainings]
        if one not in found and len(having) == len(one.records) and all(e.trained_by != one.by for e in having):
            found.append(one)
    return [
        SecondParty(
            by=one.by,
            date=one.date,
            machine=machine_text(one.machine),
            seeds=list(one.seeds),
            method=one.method,
            result=one.result,
            why=one.why,
        )
        for one in found
    ]


def _collapsed(record: RunRecord) -> bool:
    """Whether samples of the last phase raised the alarm."""
    return any(a.kind == "collapse" and a.phase == record.phases[-1].name for a in record.alarms if record.phases)


def _real_sentences(entries: Sequence[Entry]) -> float | None:
    """What the weights that were scored had taken from the stream of real sentences, on average over completed runs."""
    found = _read_by_each(entries)
    return sum(found) / len(found) if found else None


def _read_by_each(entries: Sequence[Entry]) -> list[float]:
    return [_read_by_the_scored(e.record) for e in entries if e.record.status == "completed" and e.record.phases]


def _read_by_the_scored(record: RunRecord) -> float:
    """In all phases, or up to the step that was selected; a step of a phase takes what its others take."""
    final, done, read = record.final(), 0, 0.0
    last = final.step if final is not None else sum(phase.steps for phase in record.phases)
    for phase in record.phases:
        if phase.steps:
            read += phase.real_sentences * min(1.0, max(0, last - done) / phase.steps)
        done += phase.steps
    return read


def mark_under_trained(rows: Iterable[Row], baseline: Sequence[Entry], scale: str) -> None:
    """At a reduced scale, take rows that read fewer real sentences than any run of the baseline out of the ranked ones.

    Where validation stopped the baseline, its runs end at different steps; what was enough for one of them is enough.
    """
    read = _read_by_each(baseline)
    if scale == FULL_SCALE or not read:
        return
    for row in rows:
        if row.status == "ranked" and row.real_sentences is not None and row.real_sentences < min(read):
            row.status = "under-trained"
            row.lacks.append(
                f"the baseline's real sentences: it read {row.real_sentences:,.0f}, and each run of the baseline "
                f"{min(read):,.0f} or more"
            )


def _status(record: RunRecord, completed: int) -> Status:
    if record.model_config.get(TEMPERATURE_SETTING, 1) != 1:
        return "apart"
    if record.model in REFERENCES:
        return "reference"
    if record.origin == "samples":
        return "samples"
    return "ranked" if completed >= RANKED_SEEDS else "incomplete"


def order(row: Row) -> tuple[int, int, bool, str]:
    """Sort key: references in their order, then the ranked rows with the baseline first, then the others."""
    place = REFERENCES.index(row.model) if row.status == "reference" else 0
    kinds = ("reference", "ranked", "under-trained", "incomplete", "samples", "apart")
    return kinds.index(row.status), place, not row.baseline, row.label


def choose_baseline(rows: Iterable[Row]) -> Row | None:
    """MLE's row: before changed ones that of the scale, before the last weights those that validation selected, if as
    many seeds have them; then by completed seeds, by temperatures, by label. None where sentences are rewritten: there
    MLE is a control that does not read its input.
    """
    found = [
        row
        for row in rows
        if row.model == BASELINE and row.status in ("ranked", "incomplete") and row.final and REWRITING not in row.final
    ]

    def place(row: Row) -> tuple[bool, bool, bool, int, int, str]:
        few = row.n_completed < RANKED_SEEDS
        return bool(row.changed), few, not row.selected, -row.n_completed, -len(row.sweep), row.label

    return min(found, key=place, default=None)


def _run(entry: Entry, signatures: Mapping[str, str]) -> RunView:
    record = entry.record
    last = {e.temperature: e for e in record.evaluations if e.at in END}
    values = {t: comparable_values(e, signatures) for t, e in sorted(last.items())}
    before = _pretrained(record)
    first = comparable_values(before, signatures) if before is not None else {}
    steps, borders, seconds = 0, [], dict[str, float]()
    for phase in record.phases:
        steps += phase.steps
        borders.append((phase.name, steps))
        seconds[phase.name] = seconds.get(phase.name, 0.0) + phase.seconds
    return RunView(
        run_id=record.run_id,
        seed=record.seed,
        path=str(entry.path),
        status=record.status,
        error=record.error,
        created_at=record.created_at,
        device=_device(record),
        commit=_commit(record),
        verified=entry.verified,
        trained_by=entry.trained_by,
        seconds=seconds,
        borders=borders,
        values=values,
        standard_errors=_standard_errors(last.get(1.0), signatures) if _has_errors(record, last.get(1.0)) else {},
        gain={key: value - first[key] for key, value in values.get(1.0, {}).items() if key in first},
        learning=[
            LearningPoint(step=e.step, phase=e.phase, at=e.at, values=comparable_values(e, signatures))
            for e in record.evaluations
            if e.temperature == 1.0
        ],
        skipped=dict(last[1.0].skipped) if 1.0 in last else {},
        alarms=list(record.alarms),
        samples=[
            SamplesView(file=e.samples_file, sha256=e.samples_sha256, phase=e.phase, at=e.at, temperature=e.temperature)
            for e in record.evaluations
            if e.samples_file is not None
        ],
        environment=dict(record.environment),
        checked={t: _checked(entry, e) for t, e in sorted(last.items())} if entry.verified else {},
        checked_before=_checked(entry, before) if before is not None else {},
    )


def _checked(entry: Entry, evaluation: Evaluation) -> dict[str, Outcome]:
    """Key -> how a score of an evaluation was checked; empty where nothing was."""
    if entry.verification is None:
        return {}
    (place,) = (i for i, e in enumerate(entry.record.evaluations) if e is evaluation)
    found = outcomes(entry.verification.checks)
    return {key: found[place, key] for key in evaluation.scores}


def mark_as_recorded(board: Board) -> None:
    """Mark, in verified rows, what was not computed again: means, gains, and what is read off a curve of such."""
    for row in (row for row in (*board.rows, *board.apart) if row.verified):
        runs = [run for run in row.runs if run.status == "completed"]
        for temperature, means in row.sweep.items():
            found = [run.checked.get(temperature, {}) for run in runs]
            for key, mean in means.items():
                mean.as_recorded = any(key in keys and keys[key][0] == "recorded" for keys in found)
        for key, mean in row.final.items():
            mean.as_recorded = row.sweep[1.0][key].as_recorded
        for key, mean in row.gain.items():
            before = any(key in run.checked_before and run.checked_before[key][0] == "recorded" for run in runs)
            mean.as_recorded = before or (key in row.final and row.final[key].as_recorded)
    rows = {row.label: row for row in (*board.rows, *board.apart)}
    for curve in board.curves:
        read_off = {trace.label: _any_recorded(rows[trace.label], (curve.x, curve.y)) for trace in curve.traces}
        for trace in curve.traces:
            if trace.matched is not None:
                trace.matched.as_recorded = read_off[trace.label]
            if trace.over_baseline is not None:
                trace.over_baseline.as_recorded = read_off[trace.label] or read_off.get(curve.baseline or "", False)


def _any_recorded(row: Row, keys: Iterable[str]) -> bool:
    return any(key in means and means[key].as_recorded for means in row.sweep.values() for key in keys)


def _name(record: RunRecord) -> str:
    """The model's name, or what real text is: sentences of the task, or the answers of people to its inputs."""
    if record.model == REAL_TEXT and any(REWRITING in e.scores for e in record.evaluations):
        return ANSWERS
    return _NAMES.get(record.model, record.model)


def _has_errors(record: RunRecord, evaluation: Evaluation | None) -> bool:
    """Whether errors over sentences are kept: of real text, and of a file that answers the inputs of a task."""
    answers = evaluation is not None and REWRITING in evaluation.scores
    return record.model in _NAMES or (record.origin == "samples" and answers)


def _standard_errors(evaluation: Evaluation | None, signatures: Mapping[str, str]) -> dict[str, float]:
    scores = evaluation.scores if evaluation is not None else {}
    found = {key: s.standard_error for key, s in sorted(scores.items()) if s.signature == signatures.get(key)}
    return {key: error for key, error in found.items() if error is not None}


def comparable_values(evaluation: Evaluation, signatures: Mapping[str, str]) -> dict[str, float]:
    """Key -> value of the scores that are comparable with their column."""
    return {key: s.value for key, s in sorted(evaluation.scores.items()) if s.signature == signatures.get(key)}


def _pretrained(record: RunRecord) -> Evaluation | None:
    """The evaluation at the end of pre-training; None where nothing follows it."""
    if not record.phases or record.phases[-1].name in PRETRAINING:
        return None
    found = [e for e in record.evaluations if e.at == "phase_end" and e.phase in PRETRAINING and e.temperature == 1.0]
    return found[-1] if found else None


def _device(record: RunRecord) -> str:
    return str(record.environment.get("device_name") or record.environment.get("device") or "")


def _commit(record: RunRecord) -> str:
    sha = str(record.environment.get("git.sha") or "")
    return sha + "+" if sha and record.environment.get("git.dirty") else sha


def notes(entries: Sequence[Entry], signatures: Mapping[str, str]) -> list[str]:
    """Failures, alarms and absent scores of a row, seeds with the same message together."""
    seeds: dict[str, list[str]] = {}
    for entry in entries:
        seed = "" if entry.record.seed is None else str(entry.record.seed)
        for text in dict.fromkeys([*_said(entry.record), *_left_out(entry.record, signatures)]):
            seeds.setdefault(text, []).append(seed)
    return [f"seed {', '.join(s)}: {text}" if s[0] else text for text, s in seeds.items()]


def shortcomings(rows: Sequence[Row]) -> list[str]:
    """What rows lack, those with the same lack together, and whether the ranked ones differ in their seeds."""
    labels_of: dict[str, list[str]] = {}
    for row in rows:
        for lack in row.lacks:
            labels_of.setdefault(lack, []).append(row.label)
    lines = [f"{', '.join(who)}: lacks {lack}" for lack, who in labels_of.items()]
    seeds: dict[int, list[str]] = {}
    for row in rows:
        if row.status == "ranked":
            seeds.setdefault(row.n_completed, []).append(row.label)
    if len(seeds) > 1:
        told = "; ".join(f"{n} for {', '.join(who)}" for n, who in sorted(seeds.items()))
        lines.append(f"the ranked rows differ in their numbers of seeds: {told}")
    return lines


def _said(record: RunRecord) -> list[str]:
    final = record.final()
    said = [f"alarm ({a.kind}) in phase {a.phase}, step {a.step}: {a.message}" for a in record.alarms]
    if record.status == "failed":
        return [*said, f"failed: {record.error or 'no reason was recorded'}"]
    if final is None:
        return [*said, "no evaluation at the end at temperature 1"]
    absent = sorted(final.absent().items())
    return said + [f"{names} {'are' if ', ' in names else 'is'} absent: {reason}" for names, reason in absent]


def _left_out(record: RunRecord, signatures: Mapping[str, str]) -> list[str]:
    """Scores with another signature than their column's, by signature: nothing is left out without a word."""
    if record.status == "failed":
        return []
    keys: dict[tuple[str, str], list[str]] = {}
    for e in record.evaluations:
        when = f"temperature {e.temperature:g}" if e.at in END else f"step {e.step}"
        for key, score in sorted(e.scores.items()):
            if score.signature != signatures.get(key):
                keys.setdefault((when, score.signature), []).append(key)
    return [f"{', '.join(names)} at {when} left out: {signature}" for (when, signature), names in keys.items()]
