"""Joins single spoken digits into recordings of three to five digits, for `rarefy train` with data.task = "transcription".

    python3 examples/fsdd-sequences.py RECORDINGS FOLDER

RECORDINGS holds {digit}_{speaker}_{take}.wav (https://github.com/Jakobovski/free-spoken-digit-dataset, CC BY-SA 4.0).
FOLDER gets WAV files and `sequences.csv`, a list of them with what is said in each, as in 3715. Nobody has spoken these
sequences: each is single recordings of one speaker in a row, with 20 to 120 ms of silence between them. The test part is
joined of takes 0 to 4, as in the data set's own split, the training part of the others; each take is in a few sequences of
its part. The same RECORDINGS give the same files. Python's standard library is all that is needed.
"""

import csv
import pathlib
import random
import sys
import wave

RATE = 8000
TRAIN, TEST = 3000, 300


def samples(path):
    with wave.open(str(path)) as file:
        if (file.getframerate(), file.getnchannels(), file.getsampwidth()) != (RATE, 1, 2):
            sys.exit(f"{path}: is not of {RATE} samples a second, one channel and 16 bits")
        return file.readframes(file.getnframes())


def join(takes, draw):
    """Some takes of one speaker in a row: what is said, and the samples."""
    speaker = draw.choice(sorted(takes))
    chosen = [draw.choice(takes[speaker]) for _ in range(draw.randint(3, 5))]
    silence = [bytes(2 * draw.randint(RATE * 20 // 1000, RATE * 120 // 1000)) for _ in chosen[1:]]
    sound = b"".join(part for (_, sound), gap in zip(chosen, silence + [b""]) for part in (sound, gap))
    return "".join(digit for digit, _ in chosen), sound


def main(recordings, folder):
    found = sorted(pathlib.Path(recordings).glob("*_*_*.wav"))
    if not found:
        sys.exit(f"{recordings}: holds no files like 7_theo_3.wav")
    parts = {"train": {}, "test": {}}
    for path in found:
        digit, speaker, take = path.stem.split("_")
        part = parts["test" if int(take) < 5 else "train"]
        part.setdefault(speaker, []).append((digit, samples(path)))
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    draw = random.Random(1)
    with open(folder / "sequences.csv", "w", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["path", "label", "split"])
        for part, count in (("train", TRAIN), ("test", TEST)):
            for number in range(count):
                label, sound = join(parts[part], draw)
                name = f"{part}-{number:04}.wav"
                with wave.open(str(folder / name), "wb") as recording:
                    recording.setnchannels(1)
                    recording.setsampwidth(2)
                    recording.setframerate(RATE)
                    recording.writeframes(sound)
                out.writerow([name, label, part])
    print(f"{TRAIN} sequences to train on and {TEST} to test on in {folder}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
