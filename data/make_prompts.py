#!/usr/bin/env python3
"""Writes prompts.h5: prompts for the tiny model with lengths spread evenly over the logarithm from 5 to 400 tokens.

Half of them are stories cut somewhere, half are tasks to be answered: one alone, or after some that are solved already. `/prompt` holds
UTF-8 strings, `/id` names such as story-0001 or sort-0012. Everything follows from --seed. Needs h5py, numpy and tokenizers.
"""

import argparse
import math
import pathlib
import random
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "tiny"))

import h5py  # noqa: E402
import numpy as np  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402

from stories import story  # noqa: E402
from tasks import TASKS, solved, task  # noqa: E402

SHORTEST, LONGEST = 5, 400  # tokens; 400 and 96 new ones stay below the context of 512
SHORTEST_TASK, LONGEST_STORY = 20, 300


def cut_story(rng, tokenizer, length):
    """The first `length` tokens of a story that is longer than that."""
    while True:
        ids = tokenizer.encode(story(rng)).ids
        if len(ids) > length:
            return tokenizer.decode(ids[:length])


def worksheet(rng, tokenizer, length):
    """Solved tasks, then one to be solved, all of one kind and at most `length` tokens; returns the kind and the text."""
    while True:
        kind, prompt, _ = task(rng)
        if len(tokenizer.encode(prompt).ids) <= length:
            break
    while True:
        longer = solved(rng, kind) + prompt
        if len(tokenizer.encode(longer).ids) > length:
            return kind, prompt
        prompt = longer


def make_prompts(seed, count, tokenizer):
    """Returns two lists: ids and prompts."""
    rng = random.Random(seed)
    counts = dict.fromkeys(["story", *TASKS], 0)
    names, prompts = [], []
    for _ in range(count):
        length = round(math.exp(rng.uniform(math.log(SHORTEST), math.log(LONGEST))))
        if length < SHORTEST_TASK or (length <= LONGEST_STORY and rng.random() < 0.4):
            kind, prompt = "story", cut_story(rng, tokenizer, length)
        else:
            kind, prompt = worksheet(rng, tokenizer, length)
        counts[kind] += 1
        names.append(f"{kind}-{counts[kind]:04d}")
        prompts.append(prompt)
    return names, prompts


def save(path, names, prompts):
    """Writes the file; the same input gives the same bytes."""
    with h5py.File(path, "w") as file:
        for name, values in (("prompt", prompts), ("id", names)):
            file.create_dataset(name, data=np.array(values, dtype=object), dtype=h5py.string_dtype("utf-8"))


def print_lengths(names, prompts, tokenizer):
    """Prints how many prompts there are of each kind and each length."""
    lengths = [len(tokenizer.encode(prompt).ids) for prompt in prompts]
    edges = [5, 10, 20, 40, 80, 160, 320, 401]
    found, _ = np.histogram(lengths, edges)
    kinds, amounts = np.unique([name.rsplit("-", 1)[0] for name in names], return_counts=True)
    print(f"{len(prompts)} prompts, {min(lengths)} to {max(lengths)} tokens, {sum(lengths)} together")
    print("kinds:", ", ".join(f"{kind} {amount}" for kind, amount in zip(kinds, amounts)))
    print("tokens:", ", ".join(f"{a}-{b - 1}: {n}" for a, b, n in zip(edges, edges[1:], found)))


def main():
    """Reads the command line, makes the prompts, writes and describes them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=2001)
    parser.add_argument("--count", type=int, default=2048)
    parser.add_argument("--output", type=pathlib.Path, default=HERE / "prompts.h5")
    args = parser.parse_args()
    tokenizer = Tokenizer.from_file(str(HERE / "tiny" / "tokenizer.json"))
    names, prompts = make_prompts(args.seed, args.count, tokenizer)
    save(args.output, names, prompts)
    print_lengths(names, prompts, tokenizer)


if __name__ == "__main__":
    main()
