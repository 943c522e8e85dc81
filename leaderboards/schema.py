"""What a leaderboard is made of: plain data that tables, plots and pages read. Nothing here computes or rounds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from bench.published import Published
from bench.record import HELD_OUT_TEXT, REAL_TEXT, Alarm
from leaderboards.evidence import Outcome
from leaderboards.retrained import Method, Result
from metrics.common.base import Better, Meaning, Side

__all__ = [
    "BASELINE",
    "CONTROL",
    "END",
    "FULL_SCALE",
    "RANKED_SEEDS",
    "REFERENCES",
    "TEMPERATURE_SETTING",
    "VALIDITY_FLOOR",
    "Board",
    "Boards",
    "Curve",
    "CurvePoint",
    "LearningPoint",
    "RankedMean",
    "Row",
    "RunView",
    "SamplesView",
    "SecondParty",
    "Status",
    "Tier",
    "Trace",
]

REFERENCES = (
    REAL_TEXT,
    HELD_OUT_TEXT,
    "copy_train",
    "repeat_one",
    "uniform",
    "ngram",
    "constant_reward",
    "shuffled_labels",
    "one_label",
    "copy_input",
    "nearest_other",
)
"""Models that say what a score means, in the order in which they stand on top. They are not ranked."""
BASELINE = "mle"
"""The model to beat: it stands first below the references and is ranked like any other."""
CONTROL = "constant_reward"
"""As many steps as an adversarial phase, the reward a constant: without it a gain says nothing."""
END = ("end", "samples")
"""Values of `Evaluation.at` whose scores are a run's result."""
RANKED_SEEDS = 3
"""Fewer completed seeds are shown, marked, and not ranked."""
TEMPERATURE_SETTING = "evaluation_temperature"
"""A model's setting of this name multiplies the logits whenever samples are drawn (LeakGAN's released code does so with
1.5). Where it is not 1, what the record calls temperature 1 is another temperature, and the row stands apart."""

FULL_SCALE = "paper"
"""The scale of published settings; every other one is reduced."""
VALIDITY_FLOOR = 0.5
"""A row of which fewer sentences than these are of the grammar writes noise for the most part."""

Status = Literal["reference", "ranked", "under-trained", "incomplete", "samples", "apart"]
"""`under-trained`: at a reduced scale, on fewer real sentences than any run of the baseline read, so a comparison would
be one of budgets. `samples`: handed in, nothing says they are replicates. `apart`: drawn at another temperature than 1,
so it shares no column with the others."""
Tier = Literal["reported", "verified", "retrained"]
"""Who has seen a row's scores come out, each tier beside what the one before it says. `reported`: as its records say,
and as numbers from papers are (`Board.published`). `verified`: stored with samples from which its scores were
recomputed, but for those that are marked as recorded. `retrained`: a second party's seeds agree."""


@dataclass(kw_only=True)
class RankedMean:
    """A mean over seeds (`bench.seeds`), and its place among the rows; `tables.Cell` is where it is printed."""

    mean: float
    std: float | None
    """Sample standard deviation over seeds; None with one."""
    half_width: float | None
    """Of the 95% interval; None with one seed."""
    n: int
    """Seeds that have the score."""
    rank: int | None = None
    """1 + the ranked rows that are clearly better. Ties share a rank. None: not ranked."""
    rank_high: int | None = None
    """The last place that the row may have: all ranked rows but the clearly worse. Equal to `rank`: no tie."""
    leads: bool = False
    """By tests of each pair alone at 5% better than some ranked row, and none is better than this one, or than any with
    a better mean. Places, with Holm's correction, may overlap all the same. Rows that fail a floor take no part."""
    beyond_real: bool = False
    """The whole interval is on the far side of real text: too sharp, collapsed or too random, not better."""
    clearly_better: bool = False
    """Of a difference from the baseline: it is on the better side, by the rule of the ranks."""
    as_recorded: bool = False
    """Of a verified row: something in it was not computed again and stands as the records say."""


@dataclass(kw_only=True)
class LearningPoint:
    """One evaluation of one run at temperature 1."""

    step: int
    """Steps of all phases done."""
    phase: str
    at: str
    """cadence, phase_end, end or samples."""
    values: dict[str, float]


@dataclass(kw_only=True)
class SamplesView:
    """A file of samples that a record names; nothing says that it is still there, or that its name is harmless."""

    file: str
    """As in the record, relative to it."""
    sha256: str | None
    phase: str
    at: str
    temperature: float


@dataclass(kw_only=True)
class RunView:
    """One run of a row: one seed."""

    run_id: str
    seed: int | None
    path: str
    """Of the record, as it was found."""
    status: str
    """completed or failed."""
    error: str | None
    created_at: str
    device: str
    """Its name, or its kind; empty where nothing was trained."""
    commit: str
    """With `+` where the checkout held uncommitted changes; empty where unknown."""
    verified: bool
    trained_by: str | None
    """As it was said when the run was handed in."""
    seconds: dict[str, float]
    """Phase -> seconds of training, evaluations not counted."""
    borders: list[tuple[str, int]]
    """Each phase with its last step, counted over all phases."""
    values: dict[float, dict[str, float]]
    """Temperature -> key -> value at the end. A score whose signature is not its column's is left out."""
    standard_errors: dict[str, float]
    """Key -> standard error over the sentences, at the end, at temperature 1; of real text alone: it has no seeds."""
    gain: dict[str, float]
    """Key -> end minus end of pre-training, at temperature 1; empty where nothing follows pre-training."""
    learning: list[LearningPoint]
    """All evaluations at temperature 1, in order."""
    skipped: dict[str, str]
    """Metric -> why it is absent at the end, at temperature 1."""
    alarms: list[Alarm]
    samples: list[SamplesView]
    environment: dict[str, Any]
    checked: dict[float, dict[str, Outcome]] = field(default_factory=dict)
    """Temperature -> key -> how the score at the end was checked; empty for a run that is not verified."""
    checked_before: dict[str, Outcome] = field(default_factory=dict)
    """Key -> how the score at the end of pre-training was checked."""


@dataclass(kw_only=True)
class SecondParty:
    """What the seeds of somebody other than who trained a row say of it."""

    by: str
    date: str = ""
    """Of the comparison; empty where it is made with every table, of seeds that stand in the row."""
    machine: str = ""
    """In words."""
    seeds: list[int]
    method: Method
    result: Result
    why: str
    """What was found, in words."""


@dataclass(kw_only=True)
class Row:
    """One model in one configuration."""

    model: str
    label: str
    """The model's name, with the settings in which the board's rows of this model differ or that are not the scale's,
    and then `· custom`. Unique on a board."""
    config_hash: str
    origin: str
    status: Status
    baseline: bool = False
    """MLE, selected by validation where the board has that, whose curve others are compared with. One row at most."""
    tier: Tier = "reported"
    verified: bool = False
    """Every counted run is."""
    trained_by: list[str] = field(default_factory=list)
    """Who trained its runs, as far as it was said when they were handed in; the others: whoever keeps the records."""
    second_parties: list[SecondParty] = field(default_factory=list)
    lacks: list[str] = field(default_factory=list)
    """What a sceptic misses: seeds, temperatures."""
    n_completed: int
    n_started: int
    settings: dict[str, Any] = field(default_factory=dict)
    """The model's, resolved."""
    changed: dict[str, Any] = field(default_factory=dict)
    """Of them, those that are not the ones of the board's scale: the row is `custom` and says them in its label."""
    early: bool = False
    """Its runs end with an earlier phase than the model's last one: pre-training alone."""
    selected: bool = False
    """Its weights are those that cost the validation text least, not the last ones."""
    command: str = ""
    """What makes the row again, for a shell; empty where no command can."""
    runs: list[RunView] = field(default_factory=list)
    """By seed; failed ones too."""
    of_user: bool = False
    """The model is a file that somebody brought along, not one of the benchmark's."""
    own_count: bool = False
    """Real text alone: it has another number of sentences than the board's models drew."""
    collapsed: int = 0
    """Completed runs with an alarm (collapse) in their last phase."""
    real_sentences: float | None = None
    """Real sentences that the training of the scored weights read, one read twice counted twice; mean over completed
    runs. None: not known."""
    n_parameters: int | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    """Phase -> seconds of the completed runs by the clock, their median: of some the machine did other work as well."""
    devices: list[str] = field(default_factory=list)
    front: bool = False
    """No ranked row is as good in both scores of `statistics.front_keys` and better in one; and it fails no floor."""
    final: dict[str, RankedMean] = field(default_factory=dict)
    """Score key -> value at the end, at temperature 1."""
    gain: dict[str, RankedMean] = field(default_factory=dict)
    """Score key -> end minus end of pre-training, paired by seed."""
    sweep: dict[float, dict[str, RankedMean]] = field(default_factory=dict)
    """Temperature -> score key -> value at the end."""

    def is_called(self, word: str) -> bool:
        """Whether a user means it: by its label, its model, or at least 6 digits of its hash or of a run's.

        A model of a user's own, `my_gan.py:MyGAN`, is also called by the name of its file or of its class.
        """
        hashes = [self.config_hash, *(run.run_id for run in self.runs)]
        file, _, own = self.model.partition(".py:")
        names = (self.label, self.model, *([file, own] if own else []))
        return word in names or (len(word) >= 6 and any(h.startswith(word) for h in hashes))

    @property
    def fails_floor(self) -> bool:
        """A seed collapsed, or hardly a sentence is valid: the row is marked as the best in nothing."""
        return self.collapsed > 0 or ("validity" in self.final and self.final["validity"].mean < VALIDITY_FLOOR)


@dataclass(kw_only=True)
class CurvePoint:
    """A row at one temperature."""

    temperature: float
    x: RankedMean
    y: RankedMean
    seeds: list[tuple[int | None, float, float]]
    """(seed, x, y) of every completed run that has both."""
    front: bool = False
    """No point of a ranked row of this curve is as good in both and better in one. Only ranked rows that fail no floor
    take part."""


@dataclass(kw_only=True)
class Trace:
    """A row's points over temperature, from cold to hot."""

    label: str
    """`Row.label`."""
    model: str
    status: Status
    points: list[CurvePoint]
    matched: RankedMean | None = None
    """What is read off where x is what MLE has at temperature 1 (`leaderboards.curves`)."""
    over_baseline: RankedMean | None = None
    """`matched` minus MLE's, with Welch's interval; None for MLE itself."""
    reason: str = ""
    """Why `matched` is absent."""


@dataclass(kw_only=True)
class Curve:
    """One score against another over temperature, every row of a board that has both."""

    name: str
    """`<y>-<x>`: names a file."""
    x: str
    """Key of what is matched: as a rule a diversity."""
    y: str
    """Key of what is read off: as a rule a quality."""
    x_better: Side
    """Which end is the better one, up to real text."""
    y_better: Side
    traces: list[Trace]
    """In the order of the board's rows."""
    baseline: str | None
    """Label of the row that is the reference line; None where the board has none."""
    diversity: float | None
    """x at which the rows are compared: the baseline's mean at temperature 1."""


@dataclass(kw_only=True)
class Board:
    """One table's worth of comparable rows."""

    number: int
    task: str
    task_version: int
    task_config: dict[str, Any]
    data_sha256: str
    data_facts: dict[str, float | int | str]
    """Sizes, duplicates, overlap: what the task says about its data."""
    scale: str
    signatures: dict[str, str]
    meanings: dict[str, Meaning]
    """Score key -> what it says, by its metric."""
    metrics: dict[str, str]
    """Score key -> name of its metric."""
    rows: list[Row]
    """References, then the baseline, then the other ranked rows, then what is incomplete or handed in."""
    apart: list[Row]
    """Rows drawn at another temperature than 1 (`TEMPERATURE_SETTING`): never in a table with ranked rows."""
    curves: list[Curve]
    published: dict[str, list[Published]]
    """Source -> reported numbers of the same data."""
    notes: list[str]
    """Failures, alarms, absent scores."""

    @property
    def better(self) -> dict[str, Better]:
        """Score key -> direction."""
        return {key: meaning.better for key, meaning in self.meanings.items()}

    @property
    def elsewhere(self) -> bool:
        """Whether all of its models stand apart: its first table has them beside the references."""
        return bool(self.apart) and all(row.status == "reference" for row in self.rows)

    @property
    def first_rows(self) -> list[Row]:
        """Those of its first table."""
        return [*self.rows, *self.apart] if self.elsewhere else self.rows


@dataclass(kw_only=True)
class Boards:
    """What `leaderboards.boards.build` returns."""

    boards: list[Board]
    reasons: list[str]
    """Why there is more than one board of a task."""
    notices: list[str]
    """Records that were read but not counted."""
    problems: list[str]
    """Records that could not be read."""
