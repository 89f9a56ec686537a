#!/usr/bin/python3
"""Runs a client's test against a server of its own.

    run_client_test.py SUITE COOKIXD COMMAND...

In COMMAND, {target} stands for the server's address.
"""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import script_cases  # noqa: E402
from test_server import TestServer  # noqa: E402


def main():
    suite, binary, *command = sys.argv[1:]
    with TestServer(binary) as server:
        command = [argument.replace("{target}", server.target) for argument in command]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=240, check=False)
        output = done.stdout.decode("utf-8", "replace")
        print(output)
        code = server.terminate()
        cases = script_cases.parse(output)
        cases.append(("the client exits with success", done.returncode == 0))
        cases.append(("the server ends with success", code == 0))
    return 0 if script_cases.report(suite, cases, output) else 1


if __name__ == "__main__":
    sys.exit(main())
