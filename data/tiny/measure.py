"""What llmpq itself makes of the tiny model, format by format: perplexity on heldout.txt with the paired standard error of its
increase over bf16, and the share of tasks.jsonl solved by greedy decoding. Prints a Markdown table.

usage: measure.py [LLMPQ]      LLMPQ: the program; from the PATH if left out. Needs Python 3 alone; takes about ten seconds.
"""

import collections
import json
import math
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
FORMATS = ("bf16", "w8", "w4", "w3")


def run(program, *words):
    """Runs llmpq; returns what it printed."""
    words = [program, *map(str, words), "--log-level", "warning"]
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout


def evaluate(program, form):
    """The JSON of llmpq eval: perplexity and each window's tokens and log-likelihood."""
    return json.loads(run(program, "eval", "--model", HERE, "--text", HERE / "heldout.txt", "--window", 512, "--stride", 256,
                          "--format", form, "--json"))


def paired_increase(base, other):
    """(increase of the mean loss of a token, its standard error over windows), in nats: relative increases of the perplexity."""
    differences = [b[1] - o[1] for b, o in zip(base["windows"], other["windows"])]
    sizes, count = [w[0] for w in base["windows"]], len(differences)
    mean = sum(differences) / sum(sizes)
    spread = sum((d - mean * size) ** 2 for d, size in zip(differences, sizes)) * count / (count - 1)
    return mean, math.sqrt(spread) / sum(sizes)


def solved(program, form, folder):
    """Share of solved tasks by kind."""
    tasks = [json.loads(line) for line in (HERE / "tasks.jsonl").read_text(encoding="utf-8").splitlines()]
    prompts, output, answers = (folder / f"{form}-{name}" for name in ("prompts.h5", "output.h5", "answers.jsonl"))
    prompts_text = folder / f"{form}-prompts.jsonl"
    prompts_text.write_text("".join(json.dumps({"prompt": task["prompt"]}) + "\n" for task in tasks), encoding="utf-8")
    run(program, "convert", "--input", prompts_text, "--output", prompts)
    run(program, "generate", "--model", HERE, "--prompts", prompts, "--output", output, "--format", form, "--temperature", 0,
        "--max-tokens", 40, "--stop", "\n")
    run(program, "convert", "--input", output, "--output", answers)
    right, total = collections.Counter(), collections.Counter()
    for task, line in zip(tasks, answers.read_text(encoding="utf-8").splitlines()):
        total[task["kind"]] += 1
        right[task["kind"]] += json.loads(line)["text"].strip() == task["answer"].strip()
    return {kind: right[kind] / total[kind] for kind in total}


def main():
    """Prints the table."""
    program = sys.argv[1] if len(sys.argv) > 1 else "llmpq"
    scores = {form: evaluate(program, form) for form in FORMATS}
    with tempfile.TemporaryDirectory() as folder:
        accuracy = {form: solved(program, form, pathlib.Path(folder)) for form in FORMATS}
    kinds = list(accuracy[FORMATS[0]])
    print("| format | perplexity | increase over bf16 | " + " | ".join(kinds) + " |")
    print("|---" * (3 + len(kinds)) + "|")
    for form in FORMATS:
        mean, error = paired_increase(scores["bf16"], scores[form])
        increase = "" if form == "bf16" else f"{100 * mean:+.3f} % ± {100 * error:.3f}"
        cells = [form, f"{scores[form]['perplexity']:.5f}", increase, *(f"{accuracy[form][kind]:.2f}" for kind in kinds)]
        print("| " + " | ".join(cells) + " |")


main()
