"""Turns a script's "ok NAME", "not ok NAME" and "skipped NAME" lines into a test report.

With Bazel's XML_OUTPUT_FILE set, each line becomes one test case there.
"""
import os
import xml.etree.ElementTree as ElementTree


def parse(output):
    """[(name, passed)] of a script's output; None for skipped."""
    cases = []
    for line in output.splitlines():
        if line.startswith("ok "):
            cases.append((line[3:], True))
        elif line.startswith("not ok "):
            cases.append((line[7:], False))
        elif line.startswith("skipped "):
            cases.append((line[8:], None))
    return cases


def report(suite, cases, output):
    """Writes the report where Bazel wants it; True when there are cases and none failed."""
    good = bool(cases) and all(passed is not False for _, passed in cases)
    path = os.environ.get("XML_OUTPUT_FILE")
    if path:
        failures = sum(passed is False for _, passed in cases)
        root = ElementTree.Element("testsuites")
        node = ElementTree.SubElement(root, "testsuite", name=suite, tests=str(len(cases)),
                                      failures=str(failures))
        for name, passed in cases:
            case = ElementTree.SubElement(node, "testcase", name=name, classname=suite)
            if passed is None:
                ElementTree.SubElement(case, "skipped", message="see the log")
            elif not passed:
                ElementTree.SubElement(case, "failure", message="see the log")
        printable = "".join(c for c in output if c.isprintable() or c in "\n\t")
        ElementTree.SubElement(node, "system-out").text = printable
        ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)
    return good
