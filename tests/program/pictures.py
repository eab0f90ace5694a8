"""Draws data/pictures/: a plan and a run, by the program itself.

    /usr/bin/python3 tests/program/pictures.py build/src/llmpq

plan.svg: LLM-PQ's fifth cluster (four T4 and two V100, OPT 66B), quality at a price. run.svg: the bundled model on three
emulated devices whose speeds are 4 : 2 : 1, planned by the optimizer. Needs a machine that is not too busy.
"""
import pathlib
import subprocess
import sys
import tempfile

from emulated_job import Run, write_profile

ROOT = pathlib.Path(__file__).resolve().parents[2]
PICTURES = ROOT / "data" / "pictures"
SPEEDS = (4, 2, 1)
DECODE_S, ROW_S = 30e-3, 0.6e-3  # of a layer on a device of speed 1: a decode step, a row of a prompt


def write_device(path, speed):
    """A device whose decode steps take the time of reading weights, and whose prefill takes its rows' time."""
    decode = [(1, DECODE_S / speed), (65, 2 * DECODE_S / speed)]
    prefill = [(1, DECODE_S / speed), (65, DECODE_S / speed + 64 * ROW_S / speed)]
    return write_profile(path, f"device of speed {speed}", {"bf16": decode}, prefill_layer={"bf16": prefill})


def draw_plan(program):
    """The planner's picture of a cluster that is described in a file."""
    subprocess.run([program, "plan", "--cluster", "paper-05", "--theta", "30", "--svg", str(PICTURES / "plan.svg"),
                    "--log-level", "error"], check=True, stdout=subprocess.DEVNULL)


def draw_run(program, folder):
    """A run's Gantt chart."""
    flags = ["bench", "--model", str(ROOT / "data" / "tiny"), "--format", "bf16", "--input-len", "64", "--output-len", "8",
             "--num-prompts", "24", "--prefill-tokens", "64", "--decode-batch", "4", "--lanes", "4", "--mix", "interleaved",
             "--layers-per-stage", "5,2,1", "--warmup", "0", "--repetitions", "1", "--threads", "1", "--log-level", "warning",
             "--profile-cache", folder, "--svg", str(PICTURES / "run.svg")]
    for i, speed in enumerate(SPEEDS):
        flags += ["--emulate", f"profile={write_device(f'{folder}/{i}.json', speed)}"]
    run = Run(program, len(SPEEDS), flags)
    print(run.out, run.err)
    sys.exit(run.code)


def main():
    PICTURES.mkdir(exist_ok=True)
    program = sys.argv[1]
    draw_plan(program)
    with tempfile.TemporaryDirectory() as folder:
        draw_run(program, folder)


main()
