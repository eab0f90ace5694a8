"""How well llmpq sensitivity foresees what rounding does to the tiny model. It calibrates on the first part of heldout.txt. Measured
are: on the whole text, the perplexity with exactly one layer at w3 or w4, against each indicator (Spearman's rank correlation); and
on the second part, the perplexity with formats drawn for each layer, against the forecast. Prints Markdown tables.

usage: sensitivity.py [LLMPQ]      LLMPQ: the program; from the PATH if left out. Needs Python 3 alone; takes about ten minutes.
"""

import contextlib
import json
import math
import pathlib
import random
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
LAYERS, DRAWN, INDICATORS = 8, 10, ("relative", "variance", "hessian", "random")
CALIBRATION_BYTES = 120_000
PROGRAM = sys.argv[1] if len(sys.argv) > 1 else "llmpq"


def run(*words):
    """Runs llmpq; returns its JSON."""
    words = [PROGRAM, *map(str, words), "--model", HERE, "--json", "--log-level", "warning"]
    return json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout)


def windows(text, formats):
    """Tokens and log-likelihood of each window of a text."""
    return run("eval", "--text", text, "--window", 512, "--stride", 511, "--format", ",".join(formats))["windows"]


def increase(base, other):
    """(increase of a token's mean loss in nats, its standard error over the windows)."""
    differences, sizes = [b[1] - o[1] for b, o in zip(base, other)], [w[0] for w in base]
    mean = sum(differences) / sum(sizes)
    spread = sum((d - mean * size) ** 2 for d, size in zip(differences, sizes)) * len(sizes) / (len(sizes) - 1)
    return mean, math.sqrt(spread) / sum(sizes)


def spearman(a, b):
    """Rank correlation of two lists without ties."""
    ranks = [[sorted(values).index(value) for value in values] for values in (a, b)]
    count = len(a)
    return 1 - 6 * sum((x - y) ** 2 for x, y in zip(*ranks)) / (count * (count * count - 1))


def percent(nats):
    """A loss in nats as an increase of the perplexity."""
    return f"{100 * math.expm1(nats):.3f} %"


def print_ranking(truth, found):
    """The increase by each layer alone, each indicator's omega, and how well they agree."""
    for form in ("w3", "w4"):
        print(f"\n| layer at {form} | perplexity | " + " | ".join(INDICATORS) + " |\n|---" + "|---" * (1 + len(INDICATORS)) + "|")
        for layer in range(LAYERS):
            mean, error = truth[form, layer]
            cells = [f"{found[name]['omega'][form][layer]:.3g}" for name in INDICATORS]
            print(f"| {layer} | {percent(mean)} ± {100 * error:.3f} | " + " | ".join(cells) + " |")
        measured = [truth[form, layer][0] for layer in range(LAYERS)]
        print("| Spearman | | " + " | ".join(f"{spearman(measured, found[name]['omega'][form]):.3f}" for name in INDICATORS) + " |")


def print_forecasts(drawn, found):
    """Foreseen and measured increase of drawn assignments."""
    print("\n| formats of the layers | measured | foreseen | foreseen / measured |\n|---|---|---|---|")
    squares = []
    for formats, (mean, error) in drawn.items():
        foreseen = sum(found["loss_increase"][form][layer] for layer, form in enumerate(formats) if form != "bf16")
        told = mean > 2 * error  # else it is noise that would be divided by
        squares += [math.log(foreseen / mean) ** 2] if told else []
        print(f"| {' '.join(formats)} | {percent(mean)} ± {100 * error:.3f} | {percent(foreseen)} | "
              + (f"{foreseen / mean:.2f} |" if told else "|"))
    print(f"\nroot mean square of ln(foreseen / measured): {math.sqrt(sum(squares) / len(squares)):.3f}; "
          f"the program's own estimate: {found['relative_error']:.3f}")


@contextlib.contextmanager
def cut_text():
    """Yields a temporary folder and its two files: the part of heldout.txt to calibrate on, and the rest."""
    held_out = (HERE / "heldout.txt").read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        calibration, measured = folder / "calibration.txt", folder / "measured.txt"
        calibration.write_bytes(held_out[:CALIBRATION_BYTES])
        measured.write_bytes(held_out[CALIBRATION_BYTES:])
        yield folder, calibration, measured


def main():
    """Measures and prints."""
    with cut_text() as (folder, calibration, measured):
        found = {name: run("sensitivity", "--text", calibration, "--indicator", name, "--save-sensitivity", folder / f"{name}.h5",
                           *(() if name == "relative" else ("--calibration-runs", 0))) for name in INDICATORS}
        whole = HERE / "heldout.txt"
        base = windows(whole, ["bf16"])
        truth = {(form, layer): increase(base, windows(whole, [form if i == layer else "bf16" for i in range(LAYERS)]))
                 for form in ("w3", "w4") for layer in range(LAYERS)}
        base = windows(measured, ["bf16"])
        draw = random.Random(5)
        assignments = [tuple(draw.choice(("bf16", "w8", "w4", "w3")) for _ in range(LAYERS)) for _ in range(DRAWN)]
        drawn = {formats: increase(base, windows(measured, formats)) for formats in assignments}
    print_ranking(truth, found)
    print_forecasts(drawn, found["relative"])


if __name__ == "__main__":
    main()
