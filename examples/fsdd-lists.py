"""Writes lists of files for the Free Spoken Digit Dataset, for `rarefy train`.

    python3 examples/fsdd-lists.py RECORDINGS FOLDER

RECORDINGS holds {digit}_{speaker}_{take}.wav (https://github.com/Jakobovski/free-spoken-digit-dataset, CC BY-SA 4.0).
FOLDER gets `official.csv`, the data set's own split (takes 0 to 4 are the test part), and `without-SPEAKER.csv` for each
speaker, who then is the test part. Python's standard library is all that is needed.
"""

import csv
import pathlib
import sys


def write(path, recordings, is_test):
    with open(path, "w", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["path", "label", "split"])
        for recording in recordings:
            digit, speaker, take = recording.stem.split("_")
            out.writerow([recording, digit, "test" if is_test(speaker, int(take)) else "train"])


def main(recordings, folder):
    found = sorted(pathlib.Path(recordings).resolve().glob("*_*_*.wav"))
    if not found:
        sys.exit(f"{recordings}: holds no files like 7_theo_3.wav")
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / "official.csv", found, lambda speaker, take: take < 5)
    for left_out in sorted({recording.stem.split("_")[1] for recording in found}):
        write(folder / f"without-{left_out}.csv", found, lambda speaker, take: speaker == left_out)
    print(f"{len(found)} recordings listed in {folder}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
