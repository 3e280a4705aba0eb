"""The record of a run: everything that the report shows, as one frozen value with a JSON form."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from relatask.files import write_text
from relatask.measure.checks import Check
from relatask.measure.differences import Differences
from relatask.notices import InputError
from relatask.report.codec import decode, encode
from relatask.report.course import Training
from relatask.report.parts import (
    Coefficients,
    Cost,
    DataFacts,
    Method,
    Overall,
    Strength,
    TaskCertainty,
    TaskRelation,
    TaskSupport,
    Teaching,
)

FORMAT = "relatask.record"
VERSION = 1


@dataclass(frozen=True)
class RunRecord:
    """Everything that a report shows; the report computes no scores.

    Parameters
    ----------
    title : str
    made : str
        When, as text (for example ISO 8601): the only time that the report shows.
    version : str
        The version of relatask that made the run.
    data : DataFacts
    methods : tuple of Method
        In the order of the tables; exactly one has ``role="main"``.
    unit : str
        The target's unit, shown with the metrics that have it; empty if not known.
    support : tuple of TaskSupport
        In the order of the tasks.
    differences : tuple of relatask.measure.Differences
        Of the main method against every baseline: scores, differences and verdicts, per task and over all.
    overall : tuple of Overall
        Over all tasks, per method and metric: `overall_rows` takes them from the Scores.
    verdict : tuple of str
        Paragraphs that answer "did sharing help?", already in words.
    baseline : str
        The method that "single-task" columns are about; empty means the first method of role baseline.
    coefficients : Coefficients or None
    relation : TaskRelation or None
    strengths : tuple of Strength
    costs : tuple of Cost
    checks : tuple of Check
    splits : str
        In words, how rows were divided, for example ``"10 random splits, 25% for testing, drawn within each school"``.
    configuration : str
        The text of the resolved configuration.
    environment : dict of str to str
        Versions and machine.
    kind : str
        Of the tasks: ``"regression"``, ``"binary"``, ``"count"``, ``"multiclass"``, or ``"mixed"``.
    transfer, removal : Teaching or None
        Whose labels make whose fitted values; what removing a task's labels does to the others' errors.
    certainty : tuple of TaskCertainty
        Degrees of freedom, noise and intervals of each task.
    training : Training or None
        How the training of a network went.

    Raises
    ------
    InputError
        Without exactly one main method, or where a row names a method that is not there.

    Examples
    --------
    >>> methods = (Method("shared", role="main"), Method("single", role="baseline"))
    >>> record = RunRecord("A run", "2026-01-01", "0.1.0", DataFacts("a.csv", rows=10, features=2), methods)
    >>> RunRecord.from_json(record.to_json()) == record
    True
    """

    title: str
    made: str
    version: str
    data: DataFacts
    methods: tuple[Method, ...]
    unit: str = ""
    support: tuple[TaskSupport, ...] = ()
    differences: tuple[Differences, ...] = ()
    overall: tuple[Overall, ...] = ()
    verdict: tuple[str, ...] = ()
    baseline: str = ""
    coefficients: Coefficients | None = None
    relation: TaskRelation | None = None
    strengths: tuple[Strength, ...] = ()
    costs: tuple[Cost, ...] = ()
    checks: tuple[Check, ...] = ()
    splits: str = ""
    configuration: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    kind: str = "regression"
    transfer: Teaching | None = None
    removal: Teaching | None = None
    certainty: tuple[TaskCertainty, ...] = ()
    training: Training | None = None

    def __post_init__(self) -> None:
        mains = [method.name for method in self.methods if method.role == "main"]
        if len(mains) != 1:
            raise InputError(f"a record needs exactly one method of role 'main'; given {mains or 'none'}.")
        known = {method.name for method in self.methods}
        named = {row.method for rows in (self.differences, self.overall, self.costs) for row in rows}
        if absent := sorted((named | {row.baseline for row in self.differences}) - known):
            raise InputError(f"the record's rows name the method {absent[0]!r}; its methods are {sorted(known)}.")

    @property
    def main(self) -> Method:
        """The method that the report is about."""
        return next(method for method in self.methods if method.role == "main")

    @property
    def comparison(self) -> Differences | None:
        """The main method against `baseline` (or the first baseline there is): what figures and verdicts show."""
        own = [found for found in self.differences if found.method == self.main.name]
        return next((found for found in own if found.baseline == self.baseline), own[0] if own else None)

    @property
    def tasks(self) -> tuple[str, ...]:
        """Every task that the record names, in the order of first mention."""
        named = [row.task for row in self.support]
        named += [row.task for found in self.differences for row in found.tasks]
        named += list(self.coefficients.tasks if self.coefficients else ())
        for matrix in (self.relation, self.transfer, self.removal):
            named += list(matrix.tasks if matrix else ())
        named += [row.task for row in self.certainty]
        named += self.training.tasks if self.training else ()
        return tuple(dict.fromkeys(named))

    def titled(self, method: str) -> str:
        """What tables call a method."""
        return next((known.title for known in self.methods if known.name == method), method)

    def to_json(self) -> str:
        """Strict JSON text: no NaN, keys in a fixed order, a format name and version."""
        body = {"format": FORMAT, "version": VERSION, "record": encode(self)}
        return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> RunRecord:
        """Read `to_json`'s text.

        Raises
        ------
        InputError
            Where the text is not JSON, of another format or newer version, or cut short.
        """
        try:
            body: Any = json.loads(text)
        except json.JSONDecodeError as error:
            raise InputError(f"not a record: the text is not JSON ({error}); was the file cut short?") from error
        if not isinstance(body, dict) or body.get("format") != FORMAT:
            raise InputError(f"not a record: expected a JSON object with format {FORMAT!r} (a run's record.json).")
        if body.get("version") != VERSION:
            raise InputError(
                f"the record has version {body.get('version')!r}, this relatask reads {VERSION}; "
                "use the relatask that made it."
            )
        record: RunRecord = decode(cls, body.get("record"))
        return record

    def settled(self) -> RunRecord:
        """The record as it is read back from its JSON: what is not finite is absent."""
        record: RunRecord = decode(type(self), encode(self))
        return record

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the JSON form to `path`; a reader never sees half a file."""
        write_text(Path(path), self.to_json())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> RunRecord:
        """Read what `save` wrote.

        Raises
        ------
        InputError
            As `from_json`; OSError where the file cannot be read.
        """
        return cls.from_json(Path(path).read_text(encoding="utf-8"))
