"""Study: methods x splits x seeds with their baselines, resumable, in parallel, to one table of scores."""

from relatask.study import splits
from relatask.study.baselines import BASELINES
from relatask.study.cells import Cell, Cost
from relatask.study.comparison import Finished, compare
from relatask.study.fitting import CellError
from relatask.study.splits import Split, Splits
from relatask.study.study import Study

__all__ = ["BASELINES", "Cell", "CellError", "Cost", "Finished", "Split", "Splits", "Study", "compare", "splits"]
