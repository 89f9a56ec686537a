#!/usr/bin/python3
"""Counts the test cases of one `bazel test` run.

usage: count_tests.py EVENTS STATUS

Reads Bazel's build events, sums the cases of every test's XML report and prints
`passed failed`. A target that did not build, timed out or died without a failing
case of its own counts as one failure; so does a run that failed for no reason
that the events show.
"""
import json
import sys
import urllib.parse
import xml.etree.ElementTree as ElementTree

NOTHING_TO_TEST = 4


def cases(path):
    """(passed, failed, skipped) of one XML report."""
    passed = failed = skipped = 0
    for case in ElementTree.parse(path).iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
        elif case.find("skipped") is not None:
            skipped += 1
        elif case.get("status") != "notrun":
            passed += 1
    return passed, failed, skipped


def main():
    events_path, status = sys.argv[1], int(sys.argv[2])
    passed = failed = 0
    bad_targets = set()
    try:
        lines = open(events_path, encoding="utf-8").read().splitlines()
    except OSError:
        lines = []
    for line in lines:
        event = json.loads(line)
        identity = event.get("id", {})
        if "testResult" in identity and "testResult" in event:
            result = event["testResult"]
            good = result.get("status") == "PASSED"
            p = f = s = 0
            for output in result.get("testActionOutput", []):
                if output.get("name") == "test.xml":
                    path = urllib.parse.unquote(urllib.parse.urlparse(output["uri"]).path)
                    try:
                        p, f, s = cases(path)
                    except (OSError, ElementTree.ParseError):
                        p = f = s = 0
            if s > 0:
                print(f"{s} skipped: {identity['testResult']['label']}", file=sys.stderr)
            if good and p + f + s == 0:
                p = 1
            if not good and f == 0:
                f = 1
            passed += p
            failed += f
        elif "targetCompleted" in identity and not event.get("completed", {}).get("success"):
            bad_targets.add(identity["targetCompleted"]["label"])
    # Test targets that ran but failed are `completed` with success; what is left
    # did not build.
    for label in sorted(bad_targets):
        print(f"did not build: {label}", file=sys.stderr)
    failed += len(bad_targets)
    if status not in (0, NOTHING_TO_TEST) and failed == 0:
        failed = 1
    if status == 0 and passed == 0:
        failed += 1
    print(passed, failed)


if __name__ == "__main__":
    main()
