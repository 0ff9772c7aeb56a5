# CTC in Keras 0.2.0, https://github.com/owner/name, MIT licence, (c) 2026 the authors of CTC in Keras. Keep this line.
"""Number words spoken by people. Used in notebook 09_hearing_what_it_never_heard.

The Free Spoken Digit Dataset: the words "zero" to "nine", 50 times each by six men, 3,000
recordings, 8 kHz (Zohar Jackson and others, https://github.com/Jakobovski/free-spoken-digit-dataset,
tag v1.0.10). Its licence is CC BY-SA 4.0, not this file's: name its authors, and share what you
make of the recordings under the same licence. They are downloaded once and are no part of this
repository. What is composed of them is not fluent speech: each word was said alone.

Copy spoken_numbers.py with this file. It needs NumPy, SciPy and pooch.
"""

import hashlib
import io
import os
import tempfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

import numpy as np
import pooch
from scipy.io import wavfile

from .spoken_numbers import compose_numbers

SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
TAKES = 50  # of each word by each speaker; those for the test come first
TEST_TAKES = 5
ARCHIVE = "fsdd.zip"
URL = "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/tags/v1.0.10.zip"
# Of the recordings, as an archive's own bytes may change: `sha256sum *.wav | sha256sum` with
# LC_ALL=C in their folder.
SHA256 = "1801eae019c063377d98f831d3f93574f259475df7332bb0e3d1b080fb5e6959"


def fetch_people_words(
    cache_dir: str | os.PathLike | None = None,
) -> dict[str, list[list[np.ndarray]]]:
    """The single words, as recorded.

    The archive is taken from the cache folder, or downloaded into it once. A digest over its
    recordings is checked before every use; a download is moved into place only when it is whole
    and verified.

    Args:
        cache_dir: folder for the archive; by default the environment variable CTC_TUTORIAL_DATA,
            else the user's cache folder.

    Returns:
        For each speaker ten words, "zero" to "nine", with 50 takes each: float32 [N], 8 kHz, on
        the 16-bit scale. Some speakers are ten times as loud as others.

    Raises:
        OSError: the archive is not in the cache and can't be downloaded, or its content is wrong.

    Source:
        https://github.com/Jakobovski/free-spoken-digit-dataset

    >>> words = fetch_people_words()  # doctest: +SKIP
    >>> len(words), len(words["theo"]), words["theo"][7][0].shape  # doctest: +SKIP
    (6, 10, (3428,))
    """
    folder = Path(
        cache_dir or os.environ.get("CTC_TUTORIAL_DATA") or pooch.os_cache("ctc_tutorial")
    )
    files = _recordings(folder / ARCHIVE) or _download(folder)
    words: dict[str, list] = {name: [[None] * TAKES for _ in range(10)] for name in SPEAKERS}
    for name, content in files.items():
        digit, speaker, take = name.removesuffix(".wav").split("_")
        _, waveform = wavfile.read(io.BytesIO(content))  # all are 16-bit, mono, 8 kHz
        words[speaker][int(digit)][int(take)] = waveform.astype(np.float32)
    return words


def make_people_numbers(
    count: int,
    split: str,
    seed: int,
    held_out: str | None = None,
    augment: bool = False,
    cache_dir: str | os.PathLike | None = None,
) -> tuple[list[np.ndarray], list[str], np.ndarray]:
    """Compose utterances of 2 to 5 words, each by one person, as `make_spoken_numbers` does.

    Two questions, two ways to split. *New takes of people who trained* (the dataset's official
    split): "test" has the takes 0 to 4, "train" the takes 5 to 49 of all six. *A person who did
    not train* (`held_out`): "test" has all takes of this speaker, "train" all takes of the other
    five. In both, "test" has the sequences of words whose digits add up to a multiple of 4, and
    "train" the others. All words are equally loud before they are put together.

    Args:
        count: how many utterances.
        split: "train" or "test".
        seed: the same arguments give the same utterances.
        held_out: the name of a speaker.
        augment: who speaks is drawn anew for every word, and so is its speed, up to 12 % off: meant
            for training only.
        cache_dir: as for `fetch_people_words`.

    Returns:
        (waveforms, texts, speakers): sound, each float32 [N], mono, 8 kHz, on the 16-bit scale;
        what is said, such as "four one nine"; and who says it, as places in SPEAKERS, int64 [B],
        or -1 if several do.

    Raises:
        ValueError: an unknown split or speaker.
        OSError: see `fetch_people_words`.

    >>> _, texts, _ = make_people_numbers(2, "test", seed=0, held_out="theo")  # doctest: +SKIP
    >>> texts  # doctest: +SKIP
    ['six five two three zero', 'two eight one five']
    >>> make_people_numbers(2, "test", seed=0, held_out="anna")
    Traceback (most recent call last):
    ValueError: nobody is called 'anna': hold out george, jackson, lucas, nicolas, theo or yweweler
    """
    if split not in ("train", "test"):
        raise ValueError(f"there is no split {split!r}: choose train or test")
    if held_out is not None and held_out not in SPEAKERS:
        names = ", ".join(SPEAKERS[:-1])
        raise ValueError(f"nobody is called {held_out!r}: hold out {names} or {SPEAKERS[-1]}")
    words, test = fetch_people_words(cache_dir), split == "test"
    if held_out is None:
        names, takes = list(SPEAKERS), slice(TEST_TAKES) if test else slice(TEST_TAKES, None)
    else:
        names, takes = [s for s in SPEAKERS if (s == held_out) == test], slice(None)
    voices = [[[_scaled(w) for w in word[takes]] for word in words[name]] for name in names]
    remainders = (0,) if test else (1, 2, 3)
    places = [SPEAKERS.index(name) for name in names]
    if augment:
        voices = [
            [[take for takes in word for take in takes] for word in zip(*voices, strict=True)]
        ]
        places = [-1]
    waveforms, texts, speakers = compose_numbers(
        voices, remainders, count, seed, word_speeds=0.12 if augment else None
    )
    return waveforms, texts, np.array(places)[speakers]


def _recordings(archive: Path) -> dict[str, bytes] | None:
    """The wav files of the archive by their names; None if they are not all there, unchanged."""
    try:
        with zipfile.ZipFile(archive) as opened:
            paths = [PurePosixPath(name) for name in opened.namelist()]
            files = {path.name: opened.read(str(path)) for path in paths if path.suffix == ".wav"}
    except (OSError, zipfile.BadZipFile, zlib.error):
        return None
    lines = [f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files)]
    digest = hashlib.sha256("".join(lines).encode()).hexdigest()
    return files if digest == SHA256 else None


def _download(folder: Path) -> dict[str, bytes]:
    """The recordings, once their archive is in the folder."""
    pooch.get_logger().setLevel("WARNING")  # it would report the download on stderr
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as beside:
            archive = Path(pooch.retrieve(URL, known_hash=None, fname=ARCHIVE, path=beside))
            files = _recordings(archive)
            if files is None:
                raise OSError("what came is not the recordings of this version")
            archive.replace(folder / ARCHIVE)
    except Exception as error:  # requests' and pooch's errors have no common base
        raise OSError(
            f"can't get the Free Spoken Digit Dataset ({error}): download {URL} on a machine with "
            f"access and put it into {folder} as {ARCHIVE}"
        ) from error
    return files


def _scaled(waveform: np.ndarray) -> np.ndarray:
    """With its peak at half scale, as the synthetic voices have it."""
    return waveform * (16384 / np.abs(waveform).max())
