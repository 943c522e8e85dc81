"""What `reproduce` prints: the plan, the verdicts, the list of all presets, `REPRODUCTION.md`."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from bench.reproduce.changes import read_changes
from bench.reproduce.durations import duration_text
from bench.reproduce.plan import RowPlan, RunPlan, seconds_left
from bench.reproduce.presets import Number, ScoredRow
from bench.reproduce.state import Difference, PresetState, Result, RowState
from bench.reproduce.verdict import ODDS, VERDICTS, Judgement
from bench.terminal import counted

__all__ = [
    "as_json",
    "budget_line",
    "dry_lines",
    "list_lines",
    "markdown",
    "of_model",
    "plan_json",
    "plan_lines",
    "result_lines",
]

_INTRODUCTION = """# Reproduction

Every published setting that the project has, what is printed for it, what was measured here, and whether the two can
be the same. Written by `python -m bench reproduce --list --markdown` from the records in `leaderboards/results`; not
edited by hand. A run that did not happen is listed as not run.
"""

_NUMBER = re.compile(r"(\d+(?:[.,]\d+)*)")
_MOST_NAMED = 3
"""Rows whose time is not known that are named; of more, only their number is said."""

_RULE = """## How to read it

- **published** is the number as printed, **measured** the mean over those of the seeds that the preset fixes which
  are done, as the line above each table says, with Student's 95% interval. Other seeds are not counted, whatever they
  gave.
- **consistent**: the published number lies in the range that stands beside it, the 95% prediction interval of one more
  run like ours or, where the mean of several runs is published, what Welch's test lets pass. **differs**: it does not.
- **undecided**: not all of the seeds are there that the preset fixes.
- **not comparable**: the two do not measure the same, for the reason that is given.
- **control**: the same rule with the row's control in the place of the model, plain MLE as a rule. Where the control is
  consistent too, the number does not tell the model from it.
- **minus control**: the difference that the paper claims, published and measured, and whether they are consistent.
- Files of samples and real text have one score and no seeds: they are consistent within the tolerance that is given,
  which holds rounding and the sampling error of what was drawn. They check the metrics and not the models.
- On an oracle all seeds here train on one draw of its sentences, and each published run on its own. The rule does not
  know of it, and may say "differs" too often. Of MLE six draws were trained for eleven epochs: they are told neither
  from the published runs nor from our one draw (`mle-oracle20`).

Consistent is not equal. How often the rule says "consistent" if the true means differ by so many standard deviations of
one run (`bench/reproduce/verdict.py`):
"""

_AFTER_ODDS = """
Equal models are told apart in at most 5 of 100 cases. With six seeds a difference of 3 standard deviations is found in
over 90 of 100 where the mean of four or more runs is published (89 after two looks). Against one published run no 95%
rule finds it so often (in 85 of 100 if our mean and spread were known exactly); six seeds find 5 standard deviations
there. So one consistent run says little by itself: read the control and the difference beside it.

`python -m bench reproduce NAME` does what is left of a preset, and can be stopped and continued.
"""


def plan_lines(plans: Sequence[RowPlan], jobs: int) -> Iterator[str]:
    """What will be trained, and how long that takes as far as it is known."""
    for plan in plans:
        yield f"{plan.label}: {plan.model} on {plan.task}"
        for phase in plan.phases:
            time = "time unknown"
            if phase.seconds_per_step is not None:
                time = f"{duration_text(phase.steps * phase.seconds_per_step)} a seed ({phase.measured_on})"
            yield f"  {phase.name}: {phase.steps:,} steps, {time}"
        total = sum(phase.steps for phase in plan.phases)
        yield from (f"  seed {run.seed}: {_stand(run, total)}" for run in plan.runs)
    known, unknown = seconds_left(plans, jobs)
    side = f" with {jobs} jobs" if jobs > 1 else ""
    if unknown:
        more = f"at least {duration_text(known)}{side}, and " if known else ""
        where = "; ".join(f"{label} ({', '.join(dict.fromkeys(phases))})" for label, phases in unknown.items())
        where = where if len(unknown) <= _MOST_NAMED else f"{len(unknown)} rows"
        yield f"expected time: {more}unknown for {where}: nobody measured it on such a device"
    elif plans:
        yield f"expected time: {duration_text(known)}{side} of training, scoring not counted"


def dry_lines(
    plans: Sequence[RowPlan], jobs: int, executor: Mapping[str, str | int] | None, *, measured: bool
) -> Iterator[str]:
    """A plan that is only printed. `executor`: what would be submitted, as `bench.executors.start` plans it."""
    yield from plan_lines(plans, jobs)
    if executor is not None:
        to = f"{counted(int(executor['runs']), 'run')} to {executor['engine']}"
        yield f"--executor would give {to}, in {counted(int(executor['jobs']), 'job')}"
    left = sum(not run.completed for plan in plans for run in plan.runs)
    _, unknown = seconds_left(plans, 1)
    how = "; --measure tries a few steps for the time" if unknown and not measured else ""
    yield f"dry run: {left} of {sum(len(plan.runs) for plan in plans)} runs to do, nothing done or written{how}"


def plan_json(
    plans: Sequence[RowPlan],
    jobs: int,
    scored: Sequence[ScoredRow] = (),
    executor: Mapping[str, str | int] | None = None,
) -> str:
    """A plan as fields, which `PLAN_FIELDS` of `bench.launch.asked` describes."""
    known, unknown = seconds_left(plans, jobs)
    runs = [(plan, run) for plan in plans for run in plan.runs]
    document = {
        "plan": [
            dataclasses.asdict(plan) | {"runs": [dataclasses.asdict(run) | {"state": run.state} for run in plan.runs]}
            for plan in plans
        ],
        "scored": [{"label": row.label, "task": row.task_name} for row in scored],
        "jobs": jobs,
        "executor": executor,
        "runs": len(runs),
        "runs_left": sum(not run.completed for _, run in runs),
        "steps_left": sum(p.steps - run.steps_done.get(p.name, 0) for plan, run in runs for p in plan.phases),
        "seconds_left": known,
        "unknown_time": {label: sorted(set(phases)) for label, phases in unknown.items()},
    }
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)


def budget_line(plans: Sequence[RowPlan], jobs: int, left: float) -> str:
    """Whether what is to be trained fits into the time that is left of a budget, as far as that is known."""
    known, unknown = seconds_left(plans, jobs)
    room = f"budget: {duration_text(max(0.0, left))} are left"
    if known > left:
        return (
            f"{room}, and {duration_text(known)} of training are expected: it will stop, and the same command goes on"
        )
    if unknown:
        return f"{room}; whether that is enough is not known. What is done is saved, and the same command goes on"
    return f"{room}, enough for the training that is expected"


def _stand(run: RunPlan, total: int) -> str:
    done = sum(run.steps_done.values())
    if run.completed:
        return "done"
    return f"goes on at step {done:,} of {total:,}" if done else f"{total:,} steps to do"


def result_lines(preset: PresetState) -> Iterator[str]:
    """Expected, got, verdict, for every number."""
    for state in preset.rows:
        yield f"{state.row.label}: {_progress(state)}"
        for result in state.results:
            found = f"{_got(result)}: {_verdict(result.judgement)}{_beside(state, result)}"
            yield f"  {_what(result.number)}: {_expected(result.number)}; {found}"
            if result.number.problems and not state.row.reduced:
                yield f"    known problems: {result.number.problems}"


def _progress(state: RowState) -> str:
    """`seeds 0, 1 done; seed 7 not counted; seed 2 at step 12,345, in adversarial`."""
    if not state.row.seeded:
        return "scored" if state.done else "not run"
    fixed = [seed for seed in state.done if seed in state.row.seeds]
    others = [seed for seed in state.done if seed not in state.row.seeds]
    named = ((fixed, "done"), (state.failed, "failed"), (others, "not counted"))
    parts = [f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))} {what}" for seeds, what in named if seeds]
    parts += [f"seed {seed} at {where}" for seed, where in state.begun.items()]
    return "; ".join(parts) or "not run"


def _what(number: Number) -> str:
    """`nll_oracle after phase mle, temperature 0.8`; `goal_loss (manager_loss of the steps) at step 59,281`."""
    kind, _, name = number.where.partition(":")
    step = f" at step {int(name):,}" if kind == "step" else ""
    place = {"end": "", "best": ", best of the run", "phase": f" after phase {name}", "step": step}[kind]
    key = f"{number.key} ({number.step_value} of the steps)" if number.step_value else number.key
    return f"{key}{place}" + (f", temperature {number.temperature:g}" if number.temperature != 1 else "")


def _published(number: Number) -> str:
    """`6.68, sd 0.343 over 6`; `9.0911, mean of 4 runs, sd 0.0163`; `9.038`.

    `0.745, allowed ± 0.001`: of a file of samples, which has no seeds, the tolerance is the preset's.
    """
    reported = number.reported
    assert reported is not None
    if len(number.published) > 1:
        return f"{reported.value:.4f}, mean of {reported.n} runs, sd {reported.std:.4f}"
    (printed,) = number.published
    if number.tolerance is not None:
        return f"{printed.value}, allowed ± {number.tolerance:g}"
    return printed.value + (f", sd {printed.std} over {reported.n}" if printed.std else "")


def _expected(number: Number) -> str:
    if not number.published:
        return "nothing published"
    sources = dict.fromkeys(each.source for each in number.published)
    return f"published {_published(number)} ({', '.join(sources)})"


def _got(result: Result) -> str:
    if result.measured is None:
        return "nothing measured"
    seeds = f", seed{'s' * (result.measured.n > 1)} {', '.join(map(str, result.values))}"
    return f"got {_mean(result)}" + (seeds if result.measured.half_width is not None or result.measured.n > 1 else "")


def _mean(result: Result) -> str:
    """`8.7104 [8.6011, 8.8197]`."""
    assert result.measured is not None
    mean, half = result.measured.mean, result.measured.half_width
    return f"{mean:.4f}" + ("" if half is None else f" [{mean - half:.4f}, {mean + half:.4f}]")


def _verdict(judgement: Judgement) -> str:
    return judgement.verdict + (f" ({judgement.reason})" if judgement.reason else "")


def _beside(state: RowState, result: Result) -> str:
    """`; control mle: consistent too; minus control -0.302 published, -0.469 ± 0.19 here: consistent`."""
    text = ""
    if result.control and state.row.control:
        text += f"; control {state.row.control.label}: {_control(result)}"
    if result.difference:
        text += f"; minus control {_difference(result.difference)}: {_verdict(result.difference.judgement)}"
    return text


def _difference(difference: Difference) -> str:
    """`-0.302 published, -0.4690 ± 0.1920 here`."""
    return f"{difference.published:+.4g} published, {difference.measured:+.4f} ± {difference.half_width:.4f} here"


def _summary(state: RowState) -> str:
    """`8 consistent`; `3 consistent, 5 undecided`."""
    return _counted(result.judgement.verdict for result in state.results)


def _counted(verdicts: Iterable[str]) -> str:
    counts = Counter(verdicts)
    return ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict]) or "nothing to compare"


def _in_short(state: RowState) -> str:
    """`seeds 0, 1, 2 done; 1 consistent, 1 differs`."""
    progress, summary = _progress(state), _summary(state)
    return progress if not state.done and not state.failed else f"{progress}; {summary}"


def list_lines(presets: Sequence[PresetState]) -> Iterator[str]:
    """A line for each row of each preset."""
    for each in presets:
        yield each.preset.name
        for state in each.rows:
            yield f"  {state.row.label}: {_in_short(state)}"


def markdown(presets: Sequence[PresetState]) -> str:
    """`REPRODUCTION.md`: all verdicts counted, then each preset with its numbers and what is known of them."""
    lines = [_INTRODUCTION, *_counts(presets), "", *_differing(presets), _RULE, *_odds(), _AFTER_ODDS]
    lines += _changed(presets)
    lines += _added(presets)
    lines += ["## All presets", "", "| preset | row | done | verdicts |", "|---|---|---|---|"]
    for each in presets:
        name = each.preset.name
        link = f"[{name}](#{name.lower()})"
        lines += [f"| {link} | {_cell(s.row.label)} | {_progress(s)} | {_summary(s)} |" for s in each.rows]
    for each in presets:
        lines += ["", f"## {each.preset.name}", "", each.preset.description]
        lines += ["", "Settings:", "", *(f"- {line}" for line in each.preset.follows)] if each.preset.follows else []
        for state in each.rows:
            lines += ["", f"**{state.row.label}** ({_progress(state)})", ""]
            lines += _number_table(state) if state.row.seeded else _score_table(state)
    return "\n".join(lines) + "\n"


def _counts(presets: Sequence[PresetState]) -> Iterator[str]:
    """Trainings and files apart: the first say something of models, the second of metrics."""
    rows = [row for each in presets for row in each.rows]
    trained = [result for row in rows if row.row.seeded for result in row.results]
    scored = [result for row in rows if not row.row.seeded for result in row.results]
    differences = [result.difference for result in trained if result.difference]
    columns = {
        "trainings": Counter(result.judgement.verdict for result in trained),
        "minus control": Counter(each.judgement.verdict for each in differences),
        "re-scored files and real text": Counter(result.judgement.verdict for result in scored),
    }
    yield f"| numbers | {' | '.join(columns)} |"
    yield "|---|---|---|---|"
    yield from (f"| {verdict} | {' | '.join(str(c[verdict]) for c in columns.values())} |" for verdict in VERDICTS)
    consistent = [result for result in trained if result.judgement.verdict == "consistent" and result.control]
    too = sum(result.control.verdict == "consistent" for result in consistent if result.control)
    yield ""
    many = counted(len(consistent), "consistent number")
    yield f"Of {many} of models with a control, {too} would be consistent with the control too."


def _differing(presets: Sequence[PresetState]) -> Iterator[str]:
    """The numbers that are told from the published ones, by themselves or minus the control."""
    found = [
        (f"[{each.preset.name}](#{each.preset.name.lower()}) | {_cell(state.row.label)}", result)
        for each in presets
        for state in each.rows
        for result in state.results
        if "differs" in (result.judgement.verdict, result.difference and result.difference.judgement.verdict)
    ]
    if not found:
        return
    yield "What differs:"
    yield ""
    yield "| preset | row | score | published | measured | verdict | minus control |"
    yield "|---|---|---|---|---|---|---|"
    for where, result in found:
        number = f"{_what(result.number)} | {_published(result.number)} | {_mean(result)}"
        yield f"| {where} | {number} | {_cell(_verdict(result.judgement))} | {_minus_control(result)} |"
    yield ""


def _odds() -> Iterator[str]:
    """The table of `ODDS`."""
    yield f"| seeds here | runs published | of | looks | {' | '.join(map(str, range(len(ODDS[0].consistent))))} |"
    yield "|---|---|---|---|" + "---|" * len(ODDS[0].consistent)
    for odds in ODDS:
        what = f"minus a control of {odds.control}" if odds.control else "the number"
        shares = " | ".join(f"{share:.2f}" for share in odds.consistent)
        yield f"| {odds.ours} | {odds.published} | {what} | {odds.looks} | {shares} |"


def _added(presets: Sequence[PresetState]) -> Iterator[str]:
    """Rows whose seeds were not all fixed in advance, and what those said that were."""
    rows = [(each, row) for each in presets for row in each.rows if row.row.added_seeds]
    if not rows:
        return
    yield "## Seeds that were added after looking"
    yield ""
    yield "In these rows some of the seeds were run after the verdicts of the first ones had been seen. All of them are"
    yield "in the verdicts now, and the preset fixes their number from here on. Each of the two looks has half of the"
    yield "5%, so that what is consistent reaches further there (the odds of 2 looks above)."
    yield ""
    yield "| preset | row | at first | added | verdicts of the first | of all |"
    yield "|---|---|---|---|---|---|"
    for each, state in rows:
        added = state.row.added_seeds
        first = ", ".join(str(seed) for seed in state.row.seeds if seed not in added)
        found = [result for result in state.results if result.at_first]
        then = _counted(result.at_first.verdict for result in found if result.at_first)
        now = _counted(result.judgement.verdict for result in found)
        label = f"{each.preset.name} | {_cell(state.row.label)}"
        yield f"| {label} | {first} | {', '.join(map(str, added))} | {then} | {now} |"
    yield ""


def _changed(presets: Sequence[PresetState]) -> Iterator[str]:
    """Verdicts that were others under the first rule, beside those of today."""
    rows = {(each.preset.name, state.row.label): state for each in presets for state in each.rows}
    found = [(change, rows.get((change.preset, change.row))) for change in read_changes()]
    if not any(state for _, state in found):
        return
    yield "## Verdicts that changed"
    yield ""
    yield "The project's first release called a number reproduced if the whole 95% interval of the mean lay within a"
    yield "tolerance that the preset set. What was trained then, and what became of its verdicts:"
    yield ""
    yield "| preset | row | scores | at first | now | why |"
    yield "|---|---|---|---|---|---|"
    for change, state in found:
        if state is None:
            continue
        now = _counted(r.judgement.verdict for r in state.results if r.number.key in change.keys and r.number.published)
        scores = f"{', '.join(change.keys)} | {len(change.keys)} {change.was} | {now}"
        yield f"| {change.preset} | {_cell(change.row)} | {scores} | {change.why} |"
    yield ""
    yield "All other trainings of a published setting were not run then. By which commit a preset's settings are stands"
    yield "with the preset."
    yield ""


_NOTHING = "Nobody published a number for this row, and none is shown."


def _number_table(state: RowState) -> Iterator[str]:
    """Of a row that is trained."""
    if not state.results:
        yield _NOTHING
        return
    beside = state.row.control is not None and any(r.control or r.difference for r in state.results)
    more = " control | minus control |" if beside else ""
    yield f"| score | published | measured | seeds | consistent are | verdict |{more}"
    yield "|---|---|---|---|---|---|" + "---|" * 2 * beside
    for result in state.results:
        number, judgement = result.number, result.judgement
        published = _published(number) if number.published else "–"
        measured = "–" if result.measured is None else _mean(result)
        seeds = ", ".join(map(str, result.values)) or "–"
        span = "–" if judgement.low is None else f"{judgement.low:.4f} to {judgement.high:.4f}"
        line = f"| {_what(number)} | {published} | {measured} | {seeds} | {span} | {_cell(_verdict(judgement))} |"
        yield line + (f" {_control_cells(result)} |" if beside else "")
    if beside and state.row.control:
        yield ""
        yield f"Control: {state.row.control.label}."
    yield from _origins(state.results)


def _control_cells(result: Result) -> str:
    """`consistent too | -0.302 published, -0.4690 ± 0.1920 here: consistent`."""
    return f"{_control(result)} | {_minus_control(result)}"


def _minus_control(result: Result) -> str:
    """`-0.302 published, -0.4690 ± 0.1920 here: consistent`."""
    if result.difference is None:
        return "–"
    return f"{_difference(result.difference)}: {result.difference.judgement.verdict}"


def _control(result: Result) -> str:
    """`consistent too`: its verdict, where that is the model's as well."""
    if result.control is None:
        return "–"
    too = " too" if result.control.verdict == result.judgement.verdict == "consistent" else ""
    return f"{result.control.verdict}{too}"


def _score_table(state: RowState) -> Iterator[str]:
    """Of a file or of real text."""
    if not state.results:
        yield _NOTHING
        return
    yield "| score | published | measured | verdict |"
    yield "|---|---|---|---|"
    yield from map(_score_line, state.results)
    yield from _origins(state.results)


def _score_line(result: Result) -> str:
    published = _published(result.number) if result.number.published else "–"
    measured = "–" if result.measured is None else _mean(result)
    return f"| {_what(result.number)} | {published} | {measured} | {_cell(_verdict(result.judgement))} |"


def _origins(results: Iterable[Result]) -> Iterator[str]:
    yield ""
    yield from _merged(dict.fromkeys(_origin(result.number) for result in results if result.number.published))


def _merged(lines: Iterable[str]) -> Iterator[str]:
    """Lines that differ in numbers alone as one: `after 1 or 6 of 8 epochs of round 1 to 10`."""
    groups: dict[tuple[str, ...], list[list[str]]] = {}
    for line in lines:
        parts = _NUMBER.split(line)
        groups.setdefault(tuple(parts[::2]), []).append(parts[1::2])
    for words, found in groups.items():
        told = [_alternatives([*dict.fromkeys(values)]) for values in zip(*found, strict=True)]
        yield "".join(part for pair in itertools.zip_longest(words, told, fillvalue="") for part in pair)


def _alternatives(values: Sequence[str]) -> str:
    return " or ".join(values) if len(values) < 3 else f"{values[0]} to {values[-1]}"


def of_model(presets: Sequence[PresetState], model: str) -> Iterator[str]:
    """What is published of a model, what was measured, where each number is from: Markdown, what is not run last."""
    rows = [(each.preset.name, state) for each in presets for state in each.rows if state.row.model == model]
    found = [(name, state, result) for name, state in rows for result in state.results if result.number.published]
    if not found:
        return
    found.sort(key=lambda each: each[2].measured is None)
    yield "| preset | row | score | published | measured | verdict |"
    yield "|---|---|---|---|---|---|"
    yield from (f"| {name} | {_cell(state.row.label)} {_score_line(result)}" for name, state, result in found)
    yield from _origins(result for _, _, result in found)


def _origin(number: Number) -> str:
    """`- SeqGAN paper Table 1: nats per token. Known problems: one run.`."""
    sources = dict.fromkeys(each.source for each in number.published)
    text = f"- {', '.join(sources)}: {number.published[0].protocol}."
    return text + (f" Known problems: {number.problems}." if number.problems else "")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _row_document(state: RowState) -> dict[str, Any]:
    """A row as JSON values."""
    return {
        "row": state.row.label,
        "model": state.row.model,
        "task": state.row.task_name,
        "scale": state.row.scale,
        "seeds": list(state.row.seeds) if state.row.seeded else [],
        "seeds_added": list(state.row.added_seeds),
        "control": state.row.control and state.row.control.label,
        "seeds_done": list(state.done),
        "seeds_failed": list(state.failed),
        "seeds_begun": {str(seed): where for seed, where in state.begun.items()},
        "numbers": [_result_document(result) for result in state.results],
    }


def _result_document(result: Result) -> dict[str, Any]:
    number, measured, reported = result.number, result.measured, result.number.reported
    half = None if measured is None else measured.half_width
    return {
        "key": number.key,
        "where": number.where,
        "temperature": number.temperature,
        "step_value": number.step_value,
        "sources": [
            {"id": each.id, "source": each.source, "protocol": each.protocol, "n_seeds": each.n_seeds}
            for each in number.published
        ],
        "published": reported and reported.value,
        "published_std": reported and reported.std,
        "tolerance": number.tolerance,
        "problems": number.problems,
        "not_comparable": number.not_comparable,
        "mean": None if measured is None else measured.mean,
        "interval": None if measured is None or half is None else [measured.mean - half, measured.mean + half],
        "values": {str(seed): value for seed, value in result.values.items()},
        **_judgement_document(result.judgement),
        "control": result.control and _judgement_document(result.control),
        "minus_control": result.difference and _difference_document(result.difference),
    }


def _judgement_document(judgement: Judgement) -> dict[str, Any]:
    span = None if judgement.low is None else [judgement.low, judgement.high]
    return {"verdict": judgement.verdict, "reason": judgement.reason, "consistent_are": span}


def _difference_document(difference: Difference) -> dict[str, Any]:
    values = {"published": difference.published, "mean": difference.measured}
    interval = [difference.measured - difference.half_width, difference.measured + difference.half_width]
    return {**values, "interval": interval, **_judgement_document(difference.judgement)}


def as_json(presets: Sequence[PresetState], **more: Any) -> str:
    """One document for one preset or for all."""
    document = {
        "presets": [
            {
                "name": each.preset.name,
                "description": each.preset.description,
                "follows": list(each.preset.follows),
                "rows": [_row_document(state) for state in each.rows],
            }
            for each in presets
        ],
        **more,
    }
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False, default=dataclasses.asdict)
