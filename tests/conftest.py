"""Quiet, repeatable TensorFlow for all tests, and the real recording where there is one."""

import os
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

RECORDINGS = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture
def training_seed() -> int:
    """The seed of the tests that train (marked `training`); `make margins` runs them with many."""
    return int(os.environ.get("TRAINING_SEED", "0"))


@pytest.fixture(scope="session")
def ldc93s1() -> Utterance:
    """The real recording; never downloaded by a test."""
    folder = Path(os.environ.get("CTC_TUTORIAL_DATA", RECORDINGS))
    if not (folder / "LDC93S1.wav").exists():
        pytest.skip("LDC93S1 is neither in CTC_TUTORIAL_DATA nor in ../shared/data")
    return fetch_ldc93s1(folder)


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
    folder = Path(os.environ.get("CTC_TUTORIAL_DATA", RECORDINGS))
    if not (folder / "fsdd.zip").exists():
        pytest.skip("fsdd.zip is neither in CTC_TUTORIAL_DATA nor in ../shared/data")
    return folder
