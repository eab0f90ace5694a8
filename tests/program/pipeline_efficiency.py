"""How much of a stage's time is lost in the pipeline: equal stages on emulated devices, enough prompts.

    /usr/bin/python3 tests/program/pipeline_efficiency.py build/src/llmpq [--step-ms 40]

Prints a Markdown table and ends with 1 if a limit is missed: over the middle half of a run every stage is idle for
at most 5 % of the time, and at most 2 % pass between the moment at which a step could begin and its beginning. A step could
begin when the stage has ended the one before and the stage in front of it has ended this one (what is lost then: the
link); on the first stage, when the last stage has ended a step (what is lost then: result, scheduler and
step on their way).
"""
import argparse
import datetime
import sys
import tempfile

from emulated_job import Run, machine, read_steps, write_model, write_profile, write_prompts

LAYERS, VOCAB = 12, 512
MOST_IDLE, MOST_WAITING = 0.05, 0.02

# ranks, lanes, mix, seconds of a full chunk (64 rows) as a multiple of a decode step's
CASES = [(2, 3, "interleaved", 1.0), (3, 4, "interleaved", 1.0), (4, 5, "interleaved", 1.0),
         (2, 3, "interleaved", 1.5), (4, 5, "interleaved", 1.5), (4, 5, "mixed", 1.5)]


def shares(steps, ranks):
    """For each rank: idle, and waiting (see above), as shares of the middle half of the run."""
    last_s = max(end for _, end, *_ in steps)
    low, high = 0.25 * last_s, 0.75 * last_s
    ends = {(rank, step): end for _, end, rank, step, _ in steps}
    results = sorted(end for _, end, rank, *_ in steps if rank == ranks - 1)
    idle, waiting = [], []
    for rank in range(ranks):
        busy = waited = 0.0
        free_s = 0.0
        for begin, end, of_rank, step, _ in steps:
            if of_rank != rank:
                continue
            if begin >= low and begin < high:
                if rank > 0:
                    there_s = ends[rank - 1, step]
                else:
                    there_s = max((r for r in results if r <= begin), default=0.0)
                waited += max(0.0, begin - max(free_s, there_s))
            busy += max(0.0, min(end, high) - max(begin, low))
            free_s = end
        idle.append(1 - busy / (high - low))
        waiting.append(waited / (high - low))
    return idle, waiting


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--step-ms", type=float, default=40, help="of a decode step on a stage")
    parser.add_argument("--prompts", type=int, default=96)
    arguments = parser.parse_args()
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        model = write_model(f"{folder}/model", 64, LAYERS, 4, 2, 128, VOCAB)
        prompts = write_prompts(f"{folder}/prompts.h5", arguments.prompts, 40, 64, VOCAB)
        print(f"{datetime.date.today()}, {machine()}, steps of {arguments.step_ms:g} ms, `{' '.join(sys.argv)}`\n")
        print("| stages | lanes | mix | chunk / decode step | idle, of each stage | link, scheduler |")
        print("|---|---|---|---|---|---|")
        for ranks, lanes, mix, chunk in CASES:
            layer_s = 1e-3 * arguments.step_ms * ranks / LAYERS
            device = write_profile(f"{folder}/device.json", "example",
                                   {"w4": [(1, layer_s), (16, layer_s), (64, chunk * layer_s)]})
            run = Run(arguments.program, ranks,
                      ["generate", "--model", model, "--load-format", "dummy", "--prompts", prompts, "--output",
                       f"{folder}/out.h5", "--overwrite", "--backend", "cpu", "--threads", "1", "--format", "w4",
                       "--max-tokens", "24", "--ignore-eos", "--max-model-len", "96", "--layers-per-stage",
                       ",".join([str(LAYERS // ranks)] * ranks), "--lanes", str(lanes), "--decode-batch", "8",
                       "--prefill-tokens", "64", "--mix", mix, "--emulate", f"profile={device}", "--timeline",
                       f"{folder}/timeline.txt", "--json"])
            if run.code != 0:
                sys.exit(run.err)
            idle, waiting = shares(read_steps(f"{folder}/timeline.txt"), ranks)
            missed += max(idle) > MOST_IDLE or max(waiting) > MOST_WAITING
            print(f"| {ranks} | {lanes} | {mix} | {chunk:g} | {', '.join(f'{100 * i:.1f}' for i in idle)} % | "
                  f"{', '.join(f'{100 * w:.1f}' for w in waiting)} % |", flush=True)
            for share in run.overran():
                print(f"computing was too slow in {share} % of a rank's steps", file=sys.stderr)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
