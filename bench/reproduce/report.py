"""What `reproduce` prints: the plan, the verdicts, the list of all presets, `REPRODUCTION.md`."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from bench.durations import duration_text
from bench.reproduce.plan import RowPlan, RunPlan, seconds_left
from bench.reproduce.presets import Number
from bench.reproduce.state import PresetState, Result, RowState
from bench.reproduce.verdict import VERDICTS

__all__ = ["as_json", "budget_line", "list_lines", "markdown", "plan_lines", "result_lines"]

_INTRODUCTION = """# Reproduction

Every published setting that the project has, what is printed for it, what was measured here, and whether the two agree.
Written by `python -m bench reproduce --list --markdown` from the records in `leaderboards/results`; not edited by hand.
A run that did not happen is listed as not run.

- **published** is the number as printed, and how far a mean may be from it (± tolerance; the preset's file says why).
- **measured** is the mean over seeds with Student's 95% interval.
- **reproduced**: the whole interval lies within the tolerance. **not reproduced**: the whole interval lies outside.
  **undecided**: it reaches over an edge, and more seeds would narrow it.
- **not comparable**: there is a reason why the two do not measure the same, which is given. Fewer than three seeds are
  such a reason.
- Files of samples and real text have one score and no seeds: within the tolerance or not.

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
        where = "; ".join(f"{label} ({', '.join(phases)})" for label, phases in unknown.items())
        yield f"expected time: {more}unknown for {where}: nobody measured it on such a device"
    elif plans:
        yield f"expected time: {duration_text(known)}{side} of training, scoring not counted"


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
            yield f"  {_what(result.number)}: {_expected(result.number)}; {_got(result)}: {_verdict(result)}"
            if result.number.problems and not state.row.reduced:
                yield f"    known problems: {result.number.problems}"


def _progress(state: RowState) -> str:
    """`seeds 0, 1 done; seed 2 at step 12,345, in adversarial`."""
    if not state.row.seeded:
        return "scored" if state.done else "not run"
    parts = []
    if state.done:
        parts.append(f"seed{'s' * (len(state.done) > 1)} {', '.join(map(str, state.done))} done")
    if state.failed:
        parts.append(f"seed{'s' * (len(state.failed) > 1)} {', '.join(map(str, state.failed))} failed")
    parts += [f"seed {seed} at {where}" for seed, where in state.begun.items()]
    return "; ".join(parts) or "not run"


def _what(number: Number) -> str:
    """`nll_oracle after phase mle, temperature 0.8`."""
    kind, _, name = number.where.partition(":")
    place = {"end": "", "best": ", best of the run", "phase": f" after phase {name}", "step": f" at step {name}"}[kind]
    return f"{number.key}{place}" + (f", temperature {number.temperature:g}" if number.temperature != 1 else "")


def _expected(number: Number) -> str:
    if number.published is None:
        return "nothing published"
    spread = f", sd {number.std:g}" if number.std is not None else ""
    return f"published {number.value:g} ({number.published.source}{spread}), tolerance {number.tolerance:g}"


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


def _verdict(result: Result) -> str:
    judgement = result.judgement
    return judgement.verdict + (f" ({judgement.reason})" if judgement.reason else "")


def _summary(state: RowState) -> str:
    """`8 reproduced`; `3 reproduced, 5 undecided`."""
    counts = Counter(result.judgement.verdict for result in state.results)
    return ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict]) or "nothing to compare"


def _in_short(state: RowState) -> str:
    """`seeds 0, 1, 2 done; 1 reproduced, 1 undecided`."""
    progress, summary = _progress(state), _summary(state)
    return progress if not state.done and not state.failed else f"{progress}; {summary}"


def list_lines(presets: Sequence[PresetState]) -> Iterator[str]:
    """A line for each row of each preset."""
    for each in presets:
        yield each.preset.name
        for state in each.rows:
            yield f"  {state.row.label}: {_in_short(state)}"


def markdown(presets: Sequence[PresetState]) -> str:
    """`REPRODUCTION.md`: all verdicts in one table, then each preset with its numbers and what is known of them."""
    counts = Counter(r.judgement.verdict for each in presets for row in each.rows for r in row.results)
    lines = [_INTRODUCTION, "| verdict | numbers |", "|---|---|"]
    lines += [f"| {verdict} | {counts[verdict]} |" for verdict in VERDICTS]
    lines += ["", "## All presets", "", "| preset | row | done | verdicts |", "|---|---|---|---|"]
    for each in presets:
        name = each.preset.name
        link = f"[{name}](#{name.lower()})"
        lines += [f"| {link} | {_cell(s.row.label)} | {_progress(s)} | {_summary(s)} |" for s in each.rows]
    for each in presets:
        lines += ["", f"## {each.preset.name}", "", each.preset.description]
        for state in each.rows:
            lines += ["", f"**{state.row.label}** ({_progress(state)})", ""]
            lines += _number_table(state)
    return "\n".join(lines) + "\n"


def _number_table(state: RowState) -> Iterator[str]:
    if not state.results:
        yield "Nobody published a number for this row, and none is shown."
        return
    yield "| score | published | measured | seeds | verdict |"
    yield "|---|---|---|---|---|"
    for result in state.results:
        number = result.number
        published = "–" if number.value is None else f"{number.value:g} ± {number.tolerance:g}"
        measured = "–" if result.measured is None else _mean(result)
        seeds = ", ".join(map(str, result.values)) if state.row.seeded else "–"
        yield f"| {_what(number)} | {published} | {measured} | {seeds or '–'} | {_cell(_verdict(result))} |"
    yield ""
    yield from dict.fromkeys(_origin(result.number) for result in state.results if result.number.published)


def _origin(number: Number) -> str:
    """`- SeqGAN paper Table 1: nats per token. Known problems: one run.`."""
    assert number.published is not None
    text = f"- {number.published.source}: {number.published.protocol}."
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
        "seeds_done": list(state.done),
        "seeds_failed": list(state.failed),
        "seeds_begun": {str(seed): where for seed, where in state.begun.items()},
        "numbers": [_result_document(result) for result in state.results],
    }


def _result_document(result: Result) -> dict[str, Any]:
    number, measured, published = result.number, result.measured, result.number.published
    origin = {}
    if published:
        origin = {
            "id": published.id,
            "source": published.source,
            "protocol": published.protocol,
            "n_seeds": published.n_seeds,
            "problems": number.problems,
            "not_comparable": number.not_comparable,
        }
    half = None if measured is None else measured.half_width
    return {
        **origin,
        "key": number.key,
        "where": number.where,
        "temperature": number.temperature,
        "published": number.value,
        "tolerance": number.tolerance,
        "published_std": number.std,
        "mean": None if measured is None else measured.mean,
        "interval": None if measured is None or half is None else [measured.mean - half, measured.mean + half],
        "values": {str(seed): value for seed, value in result.values.items()},
        "verdict": result.judgement.verdict,
        "reason": result.judgement.reason,
    }


def as_json(presets: Sequence[PresetState], **more: Any) -> str:
    """One document for one preset or for all."""
    document = {
        "presets": [
            {
                "name": each.preset.name,
                "description": each.preset.description,
                "rows": [_row_document(state) for state in each.rows],
            }
            for each in presets
        ],
        **more,
    }
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False, default=dataclasses.asdict)
