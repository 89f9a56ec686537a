"""Figures of a run: a table for people, JSON for machines, cases for the test runner."""
import collections
import json
import os
import platform
import sys
import time

import script_cases


class Report:
    """Adds up rounds by the kind of failure."""

    def __init__(self, name, settings):
        self._name = name
        self._settings = settings
        self._begin = time.monotonic()
        self._rounds = collections.Counter()
        self._sums = collections.Counter()
        self._heals = collections.defaultdict(list)
        self._samples = collections.defaultdict(list)

    def add(self, kind, figures):
        self._rounds[kind] += 1
        self._heals[kind].append(figures.pop("heal_seconds"))
        for name, value in figures.items():
            if isinstance(value, list):
                self._samples[name] += value
            else:
                self._sums[name] += value

    def set(self, name, value):
        self._sums[name] = value

    @property
    def rounds(self):
        return sum(self._rounds.values())

    def figures(self):
        everything = [seconds for heals in self._heals.values() for seconds in heals]
        return {
            "name": self._name,
            "date": time.strftime("%Y-%m-%d"),
            "cores": os.cpu_count(),
            "machine": platform.machine(),
            "settings": self._settings,
            "seconds": round(time.monotonic() - self._begin, 1),
            "rounds": dict(self._rounds),
            "sums": dict(self._sums),
            "heal_seconds": _spread(everything),
            **{name: _spread(values) for name, values in self._samples.items()},
        }

    def line(self):
        """How far it is, in one line."""
        return (f"{self.rounds} rounds, {self._sums['acknowledged']} acknowledged, "
                f"{time.monotonic() - self._begin:.0f} s")

    def print(self, json_path):
        figures = self.figures()
        print(f"\n{self._name} " + " ".join(f"{k}={v}" for k, v in self._settings.items())
              + f", {figures['seconds']} s")
        for kind, count in sorted(self._rounds.items()):
            print(f"  {kind:<44}{count:>9} rounds, equal after "
                  + _words(_spread(self._heals[kind])))
        for name, value in self._sums.items():
            print(f"  {name:<44}{value:>9}")
        for name, values in self._samples.items():
            print(f"  {name:<44}{len(values):>9} times, {_words(_spread(values))}")
        if json_path:
            with open(json_path, "w", encoding="utf-8") as file:
                json.dump(figures, file, indent=2)
                file.write("\n")
        sys.stdout.flush()


def finish(suite, case, passed):
    """The report of one test case; the exit code."""
    line = f"{'ok' if passed else 'not ok'} {case}"
    print(line)
    return 0 if script_cases.report(suite, script_cases.parse(line), line) else 1


def skip(suite, case):
    """The report of a test case that cannot run here; the exit code."""
    line = f"skipped {case}"
    print(line)
    script_cases.report(suite, script_cases.parse(line), line)
    return 0


def _spread(values):
    """Median, 99th of 100 and greatest of some seconds."""
    if not values:
        return {}
    values = sorted(values)
    return {"p50": round(values[len(values) // 2], 3),
            "p99": round(values[min(len(values) - 1, len(values) * 99 // 100)], 3),
            "max": round(values[-1], 3)}


def _words(spread):
    return ", ".join(f"{name} {value:.2f} s" for name, value in spread.items())
