"""Make ctc_tutorial/data/sentence.wav: the sentence of LDC93S1, spoken by espeak-ng.

Needs the `espeak-ng` program (version 1.51 made the committed file). The silence in front and the
speaking rate put "dark suit in greasy" at 0.8-2.0 s, as in the real recording, so that one pair of
times cuts the lesson's second utterance out of either.

    python scripts/make_recording.py
"""

import subprocess
import tempfile
from pathlib import Path

import numpy as np
from scipy.io import wavfile
from scipy.signal import resample_poly

TEXT = "she had your dark suit in greasy wash water all year"
TARGET = Path(__file__).parent.parent / "ctc_tutorial" / "data" / "sentence.wav"
SILENCE_SECONDS = 0.2


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        spoken = Path(folder) / "spoken.wav"
        subprocess.run(["espeak-ng", "-v", "en-us", "-s", "150", "-w", spoken, TEXT], check=True)
        rate, samples = wavfile.read(spoken)
    assert rate == 22050, rate
    speech = resample_poly(samples.astype(np.float64), 320, 441)  # 22,050 Hz to 16,000 Hz
    speech = speech[: np.flatnonzero(np.abs(speech) > 30)[-1]]  # without the silence at the end
    silence = np.zeros(int(SILENCE_SECONDS * 16000))
    speech = np.concatenate([silence, speech, silence])
    # A faint noise floor: the log energy of digital silence would dwarf all other features.
    noise = np.random.default_rng(0).normal(0, 3, len(speech))
    speech = np.clip(np.round(speech + noise), -32768, 32767)
    wavfile.write(TARGET, 16000, speech.astype(np.int16))


if __name__ == "__main__":
    main()
