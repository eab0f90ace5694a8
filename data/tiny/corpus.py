#!/usr/bin/env python3
"""Writes the text that the tiny model is trained and measured on; everything follows from the seed.

    corpus.py documents --seed 7 --count 500 --output heldout.txt     documents, each followed by <|endoftext|>
    corpus.py tasks     --seed 8 --count 800 --output tasks.jsonl     {"kind", "prompt", "answer"} a line
"""

import argparse
import json
import random

from stories import story
from tasks import TASKS, task, worksheet

END_OF_TEXT = "<|endoftext|>"
STORY_SHARE = 0.5  # of the documents


def document(rng):
    """One document of the mix: a story or a worksheet."""
    return story(rng) + "\n" if rng.random() < STORY_SHARE else worksheet(rng)


def documents(seed, count):
    """Yields `count` documents."""
    rng = random.Random(seed)
    for _ in range(count):
        yield document(rng)


def task_lines(seed, count):
    """Yields `count` different tasks as JSON lines, the kinds in turn."""
    rng = random.Random(seed)
    kinds = list(TASKS)
    seen = set()
    while len(seen) < count:
        kind, prompt, answer = task(rng, kinds[len(seen) % len(kinds)])
        if prompt not in seen:
            seen.add(prompt)
            yield json.dumps({"kind": kind, "prompt": prompt, "answer": answer}) + "\n"


def main():
    """Reads the command line and writes the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["documents", "tasks"])
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--output", required=True)
    args = parser.parse_args()
    lines = task_lines(args.seed, args.count)
    if args.what == "documents":
        lines = (text + END_OF_TEXT for text in documents(args.seed, args.count))
    with open(args.output, "w", encoding="utf-8") as file:
        file.writelines(lines)


if __name__ == "__main__":
    main()
