# CTC in Keras 0.2.0, https://github.com/owner/name, MIT licence, (c) 2026 the authors of CTC in Keras. Keep this line.
"""`python -m ctc_tutorial read model.keras new.wav ...`; step by step in 10_your_own_data."""

import argparse
import sys
import zipfile
from pathlib import Path


def read(arguments: list[str]) -> int:
    """Read new recordings with a saved model, a line for each: its name, the text, confidence.

    Returns the exit status: 0 if all went well, 1 if some files were bad and the others were read,
    2 if it can't be done.
    """
    parser = argparse.ArgumentParser(
        prog="python -m ctc_tutorial read",
        description="Read recordings with a model that `learn` saved. A line for each: its name, "
        "the text, and the confidence, 0 to 1, between tabs.",
    )
    parser.add_argument("model", help="what `learn` saved")
    parser.add_argument(
        "recordings", nargs="+", metavar="FILE", help="wav; flac, ogg or mp3 by soundfile"
    )
    options = parser.parse_args(arguments)
    from .reader import characters_and_rate

    try:
        model = _load_model(options.model)
    except ValueError as error:
        complain(error)
        return 2
    try:
        characters, sample_rate = characters_and_rate(model)
    except ValueError as error:
        complain(f"{options.model} is no model that `learn` saved: {error}")
        return 2
    status = 0
    for path in options.recordings:
        try:
            reading = _read(model, path, characters, sample_rate)
        except (ValueError, OSError) as error:
            complain(error)
            status = 1
        else:
            print(f"{path}\t{reading.text}\t{reading.confidence:.2f}", flush=True)
            if not reading.text:
                complain(f"nothing was read in {path}, with the confidence that it holds nothing")
    return status


def complain(problem: object) -> None:
    """One line on stderr."""
    print(f"ctc_tutorial: {' '.join(str(problem).split())}", file=sys.stderr, flush=True)


def _load_model(path: str):
    import keras

    if not path.endswith(".keras"):
        raise ValueError(f"{path} is no saved model, a .keras file: it comes before the recordings")
    if not Path(path).is_file():
        raise ValueError(f"there is no file {path}")
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path} is no saved model, or only half of one: copy it once more")
    try:
        return keras.saving.load_model(path)
    except Exception as error:  # whatever Keras meets in a file of something else
        reason = f"{type(error).__name__}: {error}".split(". ")[0][:200]
        raise ValueError(f"{path} is no saved model that can be loaded ({reason})") from error


def _read(model, path: str, characters: str, sample_rate: int):
    from .batches import pad_batch
    from .reader import read_best_path
    from .recordings import read_recording, resample
    from .speech import mfcc_features

    if Path(path).is_dir():
        raise ValueError(f"{path} is a folder: name the recordings in it")
    features = mfcc_features(resample(*read_recording(path), sample_rate), sample_rate)
    outputs = model.predict_on_batch(pad_batch([features]))
    length = int(outputs["logit_length"][0])
    if not length:
        raise ValueError(f"{path} is too short to be read: its {len(features)} frames leave none")
    seconds = len(features) * 0.01 / length
    return read_best_path(outputs["logits"][0, :length], characters, seconds)
