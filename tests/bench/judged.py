# SPDX-License-Identifier: MIT
"""What many estimates of one truth say about the estimator: bias, error, how often the intervals hold, and what they should."""
import dataclasses
import math
import statistics

Z95 = 1.959964
STANDARD_DEVIATIONS = 4  # that a bound leaves: seeds are fixed, but it shall hold for other seeds, too
ENOUGH_SAMPLES = 25      # expected in a set, for the interval to mean something (docs/sampling.md, 4)
SHARES = (0.4, 0.3, 0.2, 0.1)  # of the places of estimates.cc


@dataclasses.dataclass
class Judged:
    """Relative to the truth; of one set of allocations."""
    bias: float
    rms_error: float
    error_of_mean: float
    variance_ratio: float  # mean of the variances that the profiles tell, to that of the estimates; 0 if they tell none
    covered: int
    trials: int

    @property
    def coverage(self):
        return self.covered / self.trials


def judge(truth, estimates):
    """estimates: [(value, variance)]"""
    values = [value for value, _ in estimates]
    errors = [value / truth - 1 for value in values]
    spread = statistics.variance(values)
    told = statistics.fmean(max(variance, 0) for _, variance in estimates)
    return Judged(bias=statistics.fmean(errors), rms_error=math.sqrt(statistics.fmean(error * error for error in errors)),
                  error_of_mean=math.sqrt(spread / len(values)) / truth, variance_ratio=told / spread if spread > 0 else 1,
                  covered=sum(abs(value - truth) <= Z95 * math.sqrt(max(variance, 0)) + 1e-9 * truth for value, variance in estimates),
                  trials=len(values))


def judge_total(trials, name, truth_name=None):
    truth = sum(place[truth_name or name] for place in trials.truth)
    return judge(truth, [(sum(place[name].value for place in one), sum(place[name].variance for place in one)) for one in trials.rounds])


def judge_place(trials, name, place):
    return judge(trials.truth[place][name], [(one[place][name].value, one[place][name].variance) for one in trials.rounds])


def expected_samples(cell, name, place):
    return cell.expected_samples * SHARES[place] / (cell.keep_one_in if name.startswith("inuse") else 1)


@dataclasses.dataclass
class Pooled:
    """Of many cells: the mean bias, the share of intervals that hold."""
    bias: float
    error_of_mean: float
    coverage: float
    trials: int


def pool(many):
    trials = sum(one.trials for one in many)
    return Pooled(statistics.fmean(one.bias for one in many),
                  math.sqrt(sum(one.error_of_mean ** 2 for one in many)) / len(many), sum(one.covered for one in many) / trials, trials)


def margin(share, trials):
    return STANDARD_DEVIATIONS * math.sqrt(share * (1 - share) / trials)
