"""The verdict in words: what sharing did, task by task and overall, and how much of it a simpler model explains."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from relatask.measure.catalogue import WORDS, known_metric, metric_named
from relatask.measure.differences import BOOTSTRAP, HELPED, HURT, NEUTRAL, Difference, Differences
from relatask.measure.scores import ALL, Scores
from relatask.notices import InputError


def best_single(scores: Scores, names: Sequence[str], metric: str = "explained_variance_within") -> str:
    """Name the strongest of several single-task baselines: to beat a weak one proves little.

    Parameters
    ----------
    scores : Scores
        With these methods.
    names : sequence of str
        The baselines; those without scores are passed over.
    metric : str
        The metric over all tasks that decides.

    Raises
    ------
    InputError
        Where none of them has this score.

    Examples
    --------
    >>> row = {"task": ALL, "metric": "rmse", "better": "lower", "split": "0"}
    >>> best_single(Scores.of([row | {"method": "raw", "value": 1.0}, row | {"method": "scaled", "value": 2.0}]),
    ...             ["scaled", "raw"], "rmse")
    'raw'
    """
    sign = metric_named(known_metric(metric)).sign
    found = {}
    for name in names:
        values = scores.where(method=name, task=ALL, metric=metric).value
        if values.size and not np.isnan(values).all():
            found[name] = sign * float(np.nanmean(values))
    if not found:
        raise InputError(
            f"none of {list(names)} has a score {metric!r} over all tasks; the table has {scores.methods}."
        )
    return max(found, key=lambda name: found[name])


def verdict_words(
    found: Differences,
    *,
    singles: Sequence[str] = (),
    slopes: Differences | None = None,
    beyond: Differences | None = None,
    pooled: Differences | None = None,
    linear: Differences | None = None,
) -> str:
    """Say in a few plain sentences what a comparison showed, good or bad.

    Parameters
    ----------
    found : Differences
        The method against the single-task baseline.
    singles : sequence of str
        All single-task baselines that ran; with two or more the words say that the better one was taken.
    slopes : Differences, optional
        Pooled slopes with own intercepts against the same baseline: the part of the gain that is already there.
    beyond : Differences, optional
        The method against pooled slopes with own intercepts: what the relation adds.
    pooled : Differences, optional
        The method against one pooled model.
    linear : Differences, optional
        The method, a network, against linear models.

    Returns
    -------
    str
        Paragraphs, separated by an empty line.
    """
    first = f"{_tasks(found)} {_overall(found)}"
    if found.overall.verdict != NEUTRAL:  # what is shown comes first
        first = f"{_overall(found)} {_tasks(found)}"
    second = [*_decomposed(found, slopes, beyond), *_against_pooled(pooled), *_against_linear(linear)]
    third = []
    if len(singles) > 1:
        third.append(
            f"{len(singles)} single-task baselines ran; the better one overall, {found.baseline}, is used here."
        )
    if found.how == BOOTSTRAP:
        third.append("One split only: the intervals cover the noise of its test rows, not that of the training rows.")
    return "\n\n".join(" ".join(part) for part in ([first], second, third) if part)


def _tasks(found: Differences) -> str:
    total = len(found.tasks)
    helped, hurt, neutral = (found.count(verdict) for verdict in (HELPED, HURT, NEUTRAL))  # type: ignore[arg-type]
    if not total:
        return "No task could be scored."
    if not helped and not hurt:
        better, worse = (sum(sign * row.difference > 0 for row in found.tasks) for sign in (1, -1))
        said = f"For none of the {_many(total)} by itself could a difference be shown"
        said += f" between {found.method} and {found.baseline}: {better} scored better and {worse} worse, within noise"
        return f"{said} ({_basis(found)})."
    hurting = f"hurt {_list(found, HURT)}" if hurt else "hurt none"
    said = f"Sharing ({found.method}) helped {helped} of {_many(total)} and {hurting}"
    rest = f"; for {neutral} no difference could be shown" if neutral else ""
    return f"{said}, compared with each task alone ({found.baseline}){rest} ({_basis(found)})."


def _many(count: int) -> str:
    return f"{count} task{'s' if count != 1 else ''}"


def _list(found: Differences, verdict: str) -> str:
    names = [row.task for row in sorted(found.tasks, key=lambda row: row.difference) if row.verdict == verdict]
    shown = ", ".join(names[:3])
    return f"{len(names)} ({shown}{', ...' if len(names) > 3 else ''})"


def _basis(found: Differences) -> str:
    over = f"{found.overall.n} splits" if found.how != BOOTSTRAP else f"{found.overall.n} test labels"
    return f"by {WORDS[found.metric]} over {over}, corrected for {_many(len(found.tasks))}"


def _number(metric: str, value: float) -> str:
    return f"{100 * value:.1f}%" if metric_named(metric).share else f"{value:.3g}"


def _step(metric: str, value: float) -> str:
    text = f"{100 * value:.1f}" if metric_named(metric).share else f"{value:.3g}"
    return text.removeprefix("-") if float(text) == 0 else text


def _interval(row: Difference, level: float) -> str:
    unit = " points" if metric_named(row.metric).share else ""
    if np.isnan(row.low):
        return f"{_step(row.metric, row.difference)}{unit}, without an interval"
    ends = f"{_step(row.metric, row.low)} to {_step(row.metric, row.high)}"
    return f"{_step(row.metric, row.difference)}{unit}, {1 - level:.0%} interval {ends}"


def _overall(found: Differences) -> str:
    row = found.overall
    if np.isnan(row.difference):
        return "Over all tasks there is no number to compare."
    both = _both_bad(row)
    if row.difference == 0:
        return f"Over all tasks {WORDS[row.metric]} stayed at {_number(row.metric, row.value)}.{both}"
    before, after = _number(row.metric, row.baseline_value), _number(row.metric, row.value)
    verb = "rose" if row.value > row.baseline_value else "fell"
    moved = f"{verb} from {before} to {after}" if before != after else f"stayed at {after}"
    lead = {HELPED: " sharing helped:", HURT: " sharing hurt:", NEUTRAL: ""}[row.verdict]
    gap = f"{'better' if row.difference > 0 else 'worse'} by {_gap(row, found.level)}"
    if float(_step(row.metric, row.difference)) == 0:  # no direction is left after rounding
        gap = f"difference {_interval(row, found.level)}"
    said = f"Over all tasks{lead} {WORDS[row.metric]} {moved} ({gap})"
    if np.isnan(row.p):
        return f"{said}: that alone shows nothing.{both}"
    return said + ("." if row.verdict != NEUTRAL else ": no more than noise can make.") + both


def _both_bad(row: Difference) -> str:
    """A clause where neither method is of use: explained variance below 0."""
    if not metric_named(row.metric).share or not max(row.value, row.baseline_value) < 0:
        return ""
    what = {
        "explained_variance_global": "the mean of all test rows",
        "r2_mean_of_tasks": "each task's own test mean, in the mean of the tasks",
    }.get(row.metric, "each task's own test mean")
    return f" Below 0% both are worse than predicting {what}."


def _gap(row: Difference, level: float) -> str:
    """The size of a difference in the direction it has, so that 'worse by' is followed by a positive number."""
    if row.difference >= 0:
        return _interval(row, level)
    flipped = {"difference": -row.difference, "low": -row.high, "high": -row.low}
    return _interval(Difference(**(row.__dict__ | flipped)), level)


def _decomposed(found: Differences, slopes: Differences | None, beyond: Differences | None) -> list[str]:
    """How much of the gain common slopes with own intercepts have already."""
    if slopes is None or beyond is None or np.isnan(beyond.overall.difference):
        return []
    gain, part, rest = found.overall.difference, slopes.overall.difference, beyond.overall
    name = f"common slopes with own intercepts ({slopes.method}, {_number(rest.metric, rest.baseline_value)})"
    if rest.verdict == HURT:
        return [
            f"{_upper(name)} do better than {found.method} by {_gap(rest, found.level)}: "
            "the relation costs more than it gives."
        ]
    if gain <= 0:
        return []
    if found.overall.verdict == NEUTRAL:  # a gain that noise can make is not worth taking apart
        if rest.verdict == HELPED:
            return [f"It does better than {name} by {_gap(rest, found.level)}."]
        return [f"No difference to {name} could be shown either ({_interval(rest, found.level)})."]
    if part <= 0:
        said = f"None of that gain is there with {name}"
    else:
        share = part / gain
        how = "All" if share >= 1 else "Most" if share > 0.5 else "Part"
        said = f"{how} of that gain{f' ({share:.0%})' if share < 1 else ''} is already there with {name}"
    if rest.verdict == HELPED:
        return [f"{said}; what {found.method} adds to them is {_gap(rest, found.level)}."]
    return [f"{said}; that {found.method} adds anything to them could not be shown ({_interval(rest, found.level)})."]


def _against_pooled(pooled: Differences | None) -> list[str]:
    if pooled is None or pooled.overall.verdict != HURT:
        return []
    row = pooled.overall
    score = _number(row.metric, row.baseline_value)
    return [f"One pooled model ({pooled.baseline}, {score}) does better by {_gap(row, pooled.level)}."]


def _against_linear(linear: Differences | None) -> list[str]:
    """What a network has over linear models, which is often nothing."""
    if linear is None or np.isnan(linear.overall.difference):
        return []
    row = linear.overall
    name = f"Linear models ({linear.baseline}, {_number(row.metric, row.baseline_value)})"
    if row.verdict == HURT:
        return [f"{name} do better than {linear.method} by {_gap(row, linear.level)}: these data need no network."]
    if row.verdict == HELPED:
        return [f"{name} do worse by {_gap(row, linear.level)}: the network sees what they do not."]
    return [f"No difference to linear models could be shown ({linear.baseline}: {_interval(row, linear.level)})."]


def _upper(text: str) -> str:
    return text[0].upper() + text[1:]
