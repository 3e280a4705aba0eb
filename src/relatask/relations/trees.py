"""Trees over tasks as people give them: nested lists, dictionaries, parents, levels of clusters; and their groups."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from relatask.notices import InputError
from relatask.relations.checks import Array, like
from relatask.relations.graphs import as_positions, name_absent


class Tree(tuple[tuple[Hashable, ...], ...]):
    """One entry a task: its label, then the number of the cluster it is in on every level, from the top down.

    Level 0, all tasks, is left out, and so is the last, the tasks themselves. A task that hangs higher than others is a
    cluster of its own on the levels below.
    """


class BoundTree(tuple[tuple[int, ...], ...]):
    """The same without labels: one entry a row of W."""


@dataclass(frozen=True, eq=False)
class Levels:
    """The groups of rows of W on each level, from the top (all of them) down to the rows themselves.

    Attributes
    ----------
    order : (t,) rows, so that every group is a run of them.
    starts : per level the first place (in `order`) of each group.
    """

    order: np.ndarray
    starts: tuple[np.ndarray, ...]

    @property
    def depth(self) -> int:
        """The number of levels below the top."""
        return len(self.starts) - 1

    def sizes(self, level: int) -> np.ndarray:
        """Give the number of rows in each group."""
        return np.diff(self.starts[level], append=len(self.order))

    def members(self, level: int, groups: np.ndarray) -> np.ndarray:
        """Give the indicators of some groups as the columns of a (t, groups) array."""
        column = np.full(len(self.starts[level]), -1)
        column[groups] = np.arange(len(groups))
        place = np.repeat(column, self.sizes(level))
        found = np.zeros((len(place), len(groups)))
        found[self.order[place >= 0], place[place >= 0]] = 1.0
        return found

    def spans(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Give per level the groups that are none of the level above, and the last level on which each group is one."""
        last = [np.full(len(starts), level) for level, starts in enumerate(self.starts)]
        first = [np.arange(len(starts)) for starts in self.starts]
        for level in range(self.depth, 0, -1):
            same = self.sizes(level) == self.sizes(level - 1)[self.parents(level)]
            last[level - 1][self.parents(level)[same]] = last[level][same]
            first[level] = np.flatnonzero(~same)
        return list(zip(first, last, strict=True))

    def sums(self, W: Array, level: int) -> Array:
        """Give the sum over each group of the rows of W (t, d), in any namespace."""
        if isinstance(W, np.ndarray):
            return np.add.reduceat(W[self.order], self.starts[level], axis=0)
        every = np.arange(len(self.starts[level]))
        return like(self.members(level, every).T, W, array_namespace(W)) @ W

    def parents(self, level: int) -> np.ndarray:
        """Give for each group the place, among those of the level above, of the group that holds it."""
        return np.searchsorted(self.starts[level - 1], self.starts[level], side="right") - 1


def read_tree(owner: str, tree: Any) -> Tree | BoundTree:
    """Give a checked tree.

    Parameters
    ----------
    owner : str
        Whose error it is.
    tree : nested lists, dict, list of arrays
        Nested lists, the outermost of which is all tasks: ``[["a", "b"], ["c", ["d", "e"]]]`` (a tuple is a list, not a
        label). A nested dict of clusters by name: ``{"north": ["a", "b"], "south": ["c"]}``. Each node's parent, as a
        dict or pandas Series: ``{"a": "north", "b": "north", "north": "all"}``. Levels, as a list of arrays from the
        tasks up: ``[tasks, clusters, regions]``, each with an entry per task.

    Raises
    ------
    InputError
        For a task that stands twice, an empty node, a circle, a cluster of two parents, and what is none of these.
    """
    if isinstance(tree, Tree | BoundTree):
        return tree
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(tree, pandas.Series):
        tree = tree.to_dict()
    if isinstance(tree, Mapping) and tree and not any(_is_node(value) for value in tree.values()):
        paths = _from_parents(owner, tree)
    elif isinstance(tree, list | tuple) and len(tree) > 1 and all(_is_column(level) for level in tree):
        paths = _from_levels(owner, [_listed(level) for level in tree])
    elif _is_node(tree):
        paths = list(_walk(owner, tree, (), ()))
    else:
        raise InputError(
            f"{owner}: tree={tree!r} is not usable; expected nested lists of task labels, a dict {{cluster: [tasks]}} "
            "or {node: parent}, or a list of arrays [tasks, clusters, ...]."
        )
    seen: set[Hashable] = set()
    for label, _ in paths:
        if label in seen:
            raise InputError(f"{owner}: task {label!r} stands twice in the tree; every task is one leaf.")
        seen.add(label)
    return Tree((label, *clusters) for (label, _), clusters in zip(paths, _numbered(paths), strict=True))


def bind_tree(owner: str, tree: Tree | BoundTree, tasks: Sequence[Hashable]) -> BoundTree:
    """Give the tree over these tasks, in their order; raise InputError for a task unknown or missing, by name."""
    if isinstance(tree, BoundTree):
        _check_size(owner, tree, len(tasks))
        return tree
    clusters: dict[Hashable, tuple[Any, ...]] = {path[0]: path[1:] for path in tree}
    name_absent(owner, clusters, {task: k for k, task in enumerate(tasks)}, "leaves of the tree")
    missing = [task for task in tasks if task not in clusters]
    if missing:
        shown = ", ".join(repr(task) for task in missing[:5])
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        raise InputError(f"{owner}: the tree leaves out {shown}{more}; every task is one leaf.")
    return BoundTree(clusters[task] for task in tasks)


def kept_tree(owner: str, tree: Tree | BoundTree, kept: Sequence[int]) -> BoundTree:
    """Give a bound tree without some of its tasks; its levels stay."""
    if not isinstance(tree, BoundTree):
        raise InputError(f"{owner}: labels do not say which rows they are; call among after bind.")
    return BoundTree(tree[row] for row in kept)


def depth_of(tree: Tree | BoundTree) -> int:
    """Give the number of levels below the top: 1 where all tasks hang there."""
    return len(tree[0]) + isinstance(tree, BoundTree)


def levels_of(owner: str, tree: Tree | BoundTree, n_tasks: int) -> Levels:
    """Give the groups of each level, for a W of so many rows; labels not bound are positions if they are integers."""
    if isinstance(tree, Tree):
        _check_size(owner, tree, n_tasks)
        rows = as_positions(owner, [path[0] for path in tree], n_tasks)
        by_row = dict(zip(rows, tree, strict=True))
        tree = BoundTree(by_row[row][1:] for row in range(n_tasks))  # type: ignore[misc]
    _check_size(owner, tree, n_tasks)
    return _levels(tree)


@lru_cache(maxsize=8)
def _levels(tree: BoundTree) -> Levels:
    codes = np.array(tree, dtype=np.int64).reshape(len(tree), -1).T
    order = np.lexsort(codes[::-1]) if len(codes) else np.arange(len(tree))
    first = np.zeros(len(tree), dtype=bool)
    first[0] = True
    starts = [np.zeros(1, dtype=np.int64)]
    for level in codes[:, order]:
        first[1:] |= np.diff(level) != 0
        starts.append(np.flatnonzero(first))
    return Levels(order, (*starts, np.arange(len(tree))))


Path = tuple[Hashable, tuple[Hashable, ...]]


def _numbered(paths: Sequence[Path]) -> list[tuple[int, ...]]:
    """Give numbers to the clusters of each level, and to each task that hangs higher a cluster of its own below."""
    depth = max(len(path) for _, path in paths)
    numbers: list[dict[Hashable, int]] = [{} for _ in range(depth)]
    out = []
    for label, path in paths:
        whole = [path[: level + 1] if level < len(path) else (path, None, label) for level in range(depth)]
        out.append(tuple(numbers[level].setdefault(node, len(numbers[level])) for level, node in enumerate(whole)))
    return out


def _walk(owner: str, node: Any, path: tuple[int, ...], inside: tuple[int, ...]) -> Iterator[Path]:
    """Give (label, path of child numbers) for every leaf below a nested list or dict."""
    if id(node) in inside:
        raise InputError(f"{owner}: the tree holds itself; expected a tree, which has no circle.")
    children = list(node.values()) if isinstance(node, Mapping) else _listed(node)
    if not children:
        where = f"node {path}" if path else "the tree"
        raise InputError(f"{owner}: {where} is empty; every node holds a task or another node.")
    for number, child in enumerate(children):
        if _is_node(child):
            yield from _walk(owner, child, (*path, number), (*inside, id(node)))
        elif isinstance(node, Mapping):
            raise InputError(
                f"{owner}: cluster {list(node)[number]!r} is {child!r}; expected a list of its tasks, as others have."
            )
        else:
            yield child, path


def _from_parents(owner: str, parents: Mapping[Hashable, Hashable]) -> list[Path]:
    """Give the path of every node that is no other's parent; None, NaN or a node without an entry is at the top."""
    inner = set(parents.values())
    reached: set[Hashable] = set()
    paths: list[Path] = []
    for label in parents:
        if label in inner:
            continue
        path: list[Hashable] = []
        node = parents[label]
        while node is not None and node == node:  # NaN, as pandas writes None, is not itself
            if node in path:
                raise InputError(f"{owner}: {node!r} is among its own parents; expected a tree, which has no circle.")
            path.append(node)
            node = parents.get(node)
        reached.update((label, *path))
        paths.append((label, tuple(reversed(path))))
    for node in parents:
        if node not in reached:
            raise InputError(f"{owner}: {node!r} is among its own parents; expected a tree, which has no circle.")
    # A root that all share is the top itself.
    shared = {path[:1] for _, path in paths}
    return [(label, path[1:]) for label, path in paths] if len(shared) == 1 and shared != {()} else paths


def _from_levels(owner: str, levels: list[list[Hashable]]) -> list[Path]:
    """Give each task's clusters from the top down; raise InputError for a cluster of two parents."""
    if len({len(level) for level in levels}) > 1:
        sizes = ", ".join(str(len(level)) for level in levels)
        raise InputError(f"{owner}: the levels have {sizes} entries; expected one entry per task in each.")
    if not levels[0]:
        raise InputError(f"{owner}: the tree is empty; every node holds a task or another node.")
    for low, high in itertools.pairwise(levels[1:]):
        parent: dict[Hashable, Hashable] = {}
        for child, above in zip(low, high, strict=True):
            if parent.setdefault(child, above) != above:
                raise InputError(
                    f"{owner}: cluster {child!r} is in {parent[child]!r} and in {above!r}; in a tree it has one parent."
                )
    return [(label, tuple(reversed(path))) for label, *path in zip(*levels, strict=True)]


def _is_column(level: Any) -> bool:
    return hasattr(level, "tolist") and getattr(level, "ndim", 0) == 1


def _is_node(value: Any) -> bool:
    return isinstance(value, list | tuple | Mapping) or _is_column(value)


def _listed(node: Any) -> list[Any]:
    return node.tolist() if hasattr(node, "tolist") else list(node)


def _check_size(owner: str, tree: Tree | BoundTree, n_tasks: int) -> None:
    if len(tree) != n_tasks:
        raise InputError(f"{owner}: the tree has {len(tree)} tasks, but there are {n_tasks}; every task is one leaf.")
