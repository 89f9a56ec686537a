"""A real cookixd in a process of its own, for scripts; see test_server.h."""
import os
import shutil
import signal
import subprocess
import tempfile
import time


class TestServer:
    """Starts the server on a free port and stops it at the end of the block."""

    def __init__(self, binary, flags=(), data_dir=None, start_timeout=60.0):
        self._run_dir = tempfile.mkdtemp(prefix="cookixd-", dir=os.environ.get("TEST_TMPDIR"))
        self.data_dir = data_dir or os.path.join(self._run_dir, "data")
        self._port_file = os.path.join(self._run_dir, "port")
        self._log = os.path.join(self._run_dir, "log")
        self._command = [binary, "--listen=127.0.0.1:0", "--metrics_listen=",
                         "--data_dir=" + self.data_dir, "--port_file=" + self._port_file, *flags]
        self._timeout = start_timeout
        self._process = None
        self.target = None

    def start(self):
        if os.path.exists(self._port_file):
            os.remove(self._port_file)
        environment = {k: v for k, v in os.environ.items() if not k.startswith("COOKIX")}
        with open(self._log, "ab") as log:
            self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=log,
                                             stderr=log, env=environment)
        deadline = time.monotonic() + self._timeout
        while True:
            try:
                with open(self._port_file, encoding="ascii") as file:
                    text = file.read()
            except FileNotFoundError:
                text = ""
            if text.endswith("\n"):
                self.target = "127.0.0.1:" + text.strip()
                return self
            if self._process.poll() is not None:
                raise RuntimeError(f"cookixd exited with {self._process.returncode}:\n"
                                   + self.output())
            if time.monotonic() > deadline:
                raise RuntimeError("cookixd does not listen in time:\n" + self.output())
            time.sleep(0.01)

    def output(self):
        with open(self._log, encoding="utf-8", errors="replace") as file:
            return file.read()

    def kill(self):
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def terminate(self, timeout=60.0):
        """SIGTERM; returns the exit code."""
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(timeout)
        self._process = None
        return code

    def __enter__(self):
        return self.start()

    def __exit__(self, *unused):
        self.kill()
        shutil.rmtree(self._run_dir, ignore_errors=True)
