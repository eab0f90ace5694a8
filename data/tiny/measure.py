"""What llmpq itself makes of the tiny model, by format of the weights and of the KV cache: `llmpq eval` on heldout.txt and tasks.jsonl, each
figure with its standard error. Prints a Markdown table.

usage: measure.py [LLMPQ [WORD ...]]      LLMPQ: the program; from the PATH if left out; WORDs are handed to it. Needs Python 3 alone, 600 MB in
$TMPDIR for the unquantized model's logits, and some minutes.
"""

import json
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
CASES = (("bf16", "bf16"), ("bf16", "int8"), ("w8", "bf16"), ("w4", "bf16"), ("w4", "int8"), ("w3", "bf16"), ("w3", "int8"))


def evaluate(program, words, weights, cache):
    """The JSON of llmpq eval."""
    command = [program, "eval", "--model", HERE, "--text", HERE / "heldout.txt", "--window", 512, "--stride", 256, "--tasks", HERE / "tasks.jsonl",
               "--max-tokens", 40, "--format", weights, "--kv-cache-dtype", cache, "--divergence", "--json", "--log-level", "warning", *words]
    return json.loads(subprocess.run([str(word) for word in command], check=True, stdout=subprocess.PIPE, text=True).stdout)


def row(weights, cache, found):
    """A line of the table."""
    far = found["divergence"]
    return [weights, cache, f"{found['perplexity']:.5f}",
            f"{100 * far['perplexity_increase']:+.3f} ± {100 * far['perplexity_increase_standard_error']:.3f}",
            f"{1000 * far['mean']:.3f} ± {1000 * far['standard_error']:.3f}",
            f"{100 * far['same_top']:.2f} ± {100 * far['same_top_standard_error']:.2f}",
            f"{100 * found['accuracy']['share']:.1f}", *(f"{kind['share']:.2f}" for kind in found["accuracy"]["kinds"].values())]


def main():
    """Prints the table as its lines come."""
    program, *words = sys.argv[1:] or ["llmpq"]
    for i, (weights, cache) in enumerate(CASES):
        found = evaluate(program, words, weights, cache)
        if i == 0:
            heads = ["weights", "KV cache", "perplexity", "increase, %", "divergence, millinats", "same top-1, %", "solved, %",
                     *found["accuracy"]["kinds"]]
            print("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|")
        print("| " + " | ".join(row(weights, cache, found)) + " |", flush=True)


main()
