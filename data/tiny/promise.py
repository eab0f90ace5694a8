"""Whether generate --max-perplexity-increase keeps its promise on the tiny model: jobs with several bounds on an emulated device that
is faster with fewer bits; for the formats of each plan the increase of the perplexity that it promised, and the one that eval
measures on a text that the calibration has not seen. Prints a Markdown table.

usage: promise.py [LLMPQ]      LLMPQ: the program; from the PATH if left out. Needs Python 3 alone; takes some minutes.
"""

import json

from sensitivity import HERE, cut_text, increase, percent, run, windows

BOUNDS = ("0.1%", "0.3%", "1%", "3%", "10%")


def device():
    """A profile whose layers take as long as their weights are large."""
    def curve(seconds):
        return {"rows": [1, 1000], "seconds": [seconds, 2 * seconds]}
    return {"format": "llmpq-profile-1",
            "devices": [{"device": "made up", "backend": "cuda", "source": "made up", "shape": "",
                         "layer": {form: curve(bits * 1e-3) for form, bits in (("bf16", 16), ("w8", 8), ("w4", 4), ("w3", 3))},
                         "prefill_key_s": 0, "decode_key_s": 0, "embedding": curve(1e-4), "head": {"bf16": curve(1e-3)}}]}


def formats_of(plan):
    return [form for stage in plan["pipelines"][0]["stages"] for form in stage["formats"]]


def main():
    """Calibrates, generates by each bound, measures and prints."""
    with cut_text() as (folder, calibration, measured):
        (folder / "device.json").write_text(json.dumps(device()))
        run("sensitivity", "--text", calibration, "--save-sensitivity", folder / "sensitivity.h5")
        base = windows(measured, ["bf16"])
        print("| bound | formats of the layers | promised | measured | output tokens/s |\n|---|---|---|---|---|")
        for bound in BOUNDS:
            report = run("generate", "--prompts", HERE.parent / "prompts.h5", "--rows", "0:16", "--max-tokens", 16, "--ignore-eos",
                         "--output", folder / "out.h5", "--overwrite", "--backend", "cpu", "--threads", 1,
                         "--emulate", f"profile={folder / 'device.json'}", "--sensitivity", folder / "sensitivity.h5",
                         "--max-perplexity-increase", bound, "--save-plan", folder / "plan.json")
            plan = json.loads((folder / "plan.json").read_text())
            mean, error = increase(base, windows(measured, formats_of(plan)))
            print(f"| {bound} | {' '.join(formats_of(plan))} | {100 * plan['perplexity_increase']:.3f} % | {percent(mean)} ± "
                  f"{100 * error:.3f} | {report['output_tokens_per_s']:.0f} |", flush=True)


main()
