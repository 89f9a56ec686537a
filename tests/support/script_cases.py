"""Turns a script's "ok NAME" and "not ok NAME" lines into a test report.

With Bazel's XML_OUTPUT_FILE set, each line becomes one test case there.
"""
import os
import xml.etree.ElementTree as ElementTree


def parse(output):
    """[(name, passed)] of a script's output."""
    cases = []
    for line in output.splitlines():
        if line.startswith("ok "):
            cases.append((line[3:], True))
        elif line.startswith("not ok "):
            cases.append((line[7:], False))
    return cases


def report(suite, cases, output):
    """Writes the report where Bazel wants it; True when there are cases and all passed."""
    good = bool(cases) and all(passed for _, passed in cases)
    path = os.environ.get("XML_OUTPUT_FILE")
    if path:
        failures = sum(not passed for _, passed in cases)
        root = ElementTree.Element("testsuites")
        node = ElementTree.SubElement(root, "testsuite", name=suite, tests=str(len(cases)),
                                      failures=str(failures))
        for name, passed in cases:
            case = ElementTree.SubElement(node, "testcase", name=name, classname=suite)
            if not passed:
                ElementTree.SubElement(case, "failure", message="see the log")
        printable = "".join(c for c in output if c.isprintable() or c in "\n\t")
        ElementTree.SubElement(node, "system-out").text = printable
        ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)
    return good
