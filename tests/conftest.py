"""Quiet, repeatable TensorFlow for all tests, and the real recording where there is one."""

import os
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

# Before anything imports TensorFlow; notebook kernels inherit both.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import numpy as np
import pytest

from ctc_tutorial import (
    Alphabet,
    Utterance,
    fetch_ldc93s1,
    load_sentence,
    make_lesson_pair,
    mfcc_features,
)
from ctc_tutorial.__main__ import main

SHARED = Path(__file__).parents[2] / "shared" / "data"
RECORDINGS = Path(os.environ.get("CTC_TUTORIAL_DATA", SHARED))


@pytest.fixture(autouse=True)
def same_numbers_whatever_ran_before(request):
    """A module's `RNG` starts anew in every test: which of them a process runs is chance."""
    if hasattr(request.module, "RNG"):
        request.module.RNG = np.random.default_rng(1)  # not the numbers of module-level arrays


@pytest.fixture
def training_seed() -> int:
    """The seed of the tests that train (marked `training`); `make margins` runs them with many."""
    return int(os.environ.get("TRAINING_SEED", "0"))


@pytest.fixture(scope="session")
def ldc93s1() -> Utterance:
    """The real recording; never downloaded by a test."""
    if not (RECORDINGS / "LDC93S1.wav").exists():
        pytest.skip("LDC93S1 is neither in CTC_TUTORIAL_DATA nor in ../shared/data")
    return fetch_ldc93s1(RECORDINGS)


@pytest.fixture(scope="session", params=["bundled", "ldc93s1"])
def pair(request) -> list[tuple[np.ndarray, np.ndarray]]:
    """Features [T, 13] and ids [L] of a whole recording and of four words of it."""
    whole = load_sentence() if request.param == "bundled" else request.getfixturevalue("ldc93s1")
    alphabet = Alphabet()
    return [
        (mfcc_features(u.waveform, u.sample_rate), alphabet.encode(u.text))
        for u in make_lesson_pair(whole)
    ]


@pytest.fixture(scope="session")
def people() -> Path:
    """The folder that holds the recordings of people; never downloaded by a test."""
    if not (RECORDINGS / "fsdd.zip").exists():
        pytest.skip("fsdd.zip is neither in CTC_TUTORIAL_DATA nor in ../shared/data")
    return RECORDINGS


@pytest.fixture
def command_here(monkeypatch, capsys):
    """`python -m ctc_tutorial` in this process: starting TensorFlow takes longer than most jobs."""

    def run(*arguments, cwd):
        monkeypatch.chdir(cwd)
        capsys.readouterr()
        try:
            status = main([*map(str, arguments)])
        except SystemExit as stop:  # argparse's
            status = stop.code
        return subprocess.CompletedProcess(arguments, status, *capsys.readouterr())

    return run


@pytest.fixture
def server(monkeypatch):
    """A web page on this machine: sends `server.reply(path)`, without its last `cut` bytes."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            content = served.reply(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            served.requests += 1
            self.wfile.write(content[: len(content) - served.cut])

        def log_message(self, *_):
            pass

    served = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.url, served.cut, served.requests = f"http://127.0.0.1:{served.server_port}", 0, 0
    threading.Thread(target=served.serve_forever, daemon=True).start()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    yield served
    served.shutdown()
    served.server_close()
