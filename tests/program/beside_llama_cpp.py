"""llmpq beside llama.cpp (or a program of its kind) on this machine's CPU: the same shape, about as many bits.

    python3 tests/program/beside_llama_cpp.py build/src/llmpq --model SHAPE \\
        --peer llama.cpp=DIR --gguf w4=Q4_0.gguf --gguf w8=Q8_0.gguf --gguf bf16=BF16.gguf [--flags llama.cpp='-fa off']

SHAPE is a folder with a config.json; a GGUF is a model of that shape, quantized by llama-quantize, to be measured
beside our format; DIR has llama-batched-bench, built for this machine. Several peers, and several --flags of a peer,
are measured one by one, and the fastest counts, figure by figure; so are several --flags of llmpq (llmpq='--activation-dtype
bf16'), and each of them is told. All take turns, round after round, for the machine's
speed changes; the median of the rounds is told. Decode: all sequences together, prompts of 128 tokens, 64 generated;
prefill: a prompt of 512 tokens. llmpq chooses its tokens from the logits in that time, the peer does not.
"""
import argparse
import collections
import datetime
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile

SEQUENCES = (1, 8, 32)
FIGURES = [f"decode {count}" for count in SEQUENCES] + ["prefill 512"]


def output_of(words, folder=None):
    """What the program prints, and what it prints to stderr."""
    done = subprocess.run(words, capture_output=True, text=True, cwd=folder)
    if done.returncode != 0:
        sys.exit(f"{' '.join(words)}: exit code {done.returncode}\n{done.stderr[-500:]}")
    return done.stdout, done.stderr


def of_llmpq(arguments, flags, name):
    """Tokens/s of each figure."""
    words = [arguments.program, "bench", "--model", arguments.model, "--load-format", "dummy", "--format", name,
             "--strategy", "uniform", "--mix", "separated", "--lanes", "1", "--threads", str(arguments.threads),
             "--repetitions", "1", "--json"] + ([] if name == "bf16" else ["--head-format", "w8"]) + flags
    speeds = {}
    for count in SEQUENCES:
        report = json.loads(output_of(words + ["--num-prompts", str(count), "--decode-batch", str(count),
                                               "--input-len", "128", "--output-len", "64"])[0])
        speeds[f"decode {count}"] = report["cases"][0]["decode_tokens_per_s"]
    report = json.loads(output_of(words + ["--num-prompts", "4", "--prefill-tokens", "512", "--input-len", "512",
                                           "--output-len", "1"])[0])
    speeds["prefill 512"] = report["cases"][0]["prefill_tokens_per_s"]
    return speeds


def of_peer(arguments, folder, flags, gguf):
    """Tokens/s of each figure: the columns S_PP and S_TG of llama-batched-bench, which may leave files where it runs."""
    words = [os.path.abspath(f"{folder}/llama-batched-bench"), "-m", os.path.abspath(gguf),
             "-b", "2048", "-ub", "512", "-c", "6400",
             "-t", str(arguments.threads), "-tb", str(arguments.threads), *flags]
    speeds = {}
    for prompt, generated, batches in (("512", "1", "1"), ("128", "64", ",".join(map(str, SEQUENCES)))):
        with tempfile.TemporaryDirectory() as where:
            text = "\n".join(output_of(words + ["-npp", prompt, "-ntg", generated, "-npl", batches], where))
        for row in re.findall(r"^\|([\d.| ]+)\|$", text, re.MULTILINE):
            cells = [cell.strip() for cell in row.split("|")]
            if prompt == "512":
                speeds["prefill 512"] = float(cells[5])
            else:
                speeds[f"decode {cells[2]}"] = float(cells[7])
    return speeds


def pairs(texts):
    return [tuple(text.split("=", 1)) for text in texts]


def variants(arguments, name):
    """Its --flags, one set after the other; none if it has none."""
    return [flags.split() for of, flags in pairs(arguments.flags) if of == name] or [[]]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--model", required=True)
    parser.add_argument("--peer", action="append", required=True, metavar="NAME=DIR")
    parser.add_argument("--gguf", action="append", required=True, metavar="FORMAT=FILE")
    parser.add_argument("--flags", action="append", default=[], metavar="NAME='FLAGS'")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    peers = [(name, folder, flags) for name, folder in pairs(arguments.peer)
             for flags in variants(arguments, name)]

    print(f"{datetime.date.today()}, {arguments.threads} threads, median of {arguments.rounds} rounds, tokens/s\n")
    print(f"| format | program | {' | '.join(FIGURES)} |\n|---|---|{'---|' * len(FIGURES)}", flush=True)
    for name, gguf in pairs(arguments.gguf):
        rounds = collections.defaultdict(list)
        for _ in range(arguments.rounds):
            for flags in variants(arguments, "llmpq"):
                rounds[" ".join(["llmpq", *flags])].append(of_llmpq(arguments, flags, name))
            for peer, folder, flags in peers:
                rounds[" ".join([peer, *flags])].append(of_peer(arguments, folder, flags, gguf))
        speeds = {who: {figure: statistics.median(one[figure] for one in each) for figure in FIGURES}
                  for who, each in rounds.items()}
        for who, figures in speeds.items():
            print(f"| {name} | {who} | {' | '.join(f'{figures[figure]:.1f}' for figure in FIGURES)} |")
        ours = [who for who in speeds if who.split()[0] == "llmpq"]
        best = {figure: max(figures[figure] for who, figures in speeds.items() if who not in ours)
                for figure in FIGURES}
        for who in ours:
            ratios = " | ".join(f"**{speeds[who][figure] / best[figure]:.2f}**" for figure in FIGURES)
            print(f"| {name} | {who} / the fastest peer | {ratios} |", flush=True)


if __name__ == "__main__":
    main()
