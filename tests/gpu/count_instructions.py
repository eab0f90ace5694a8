#!/usr/bin/env python3
"""What the machine code of the products of few rows asks of an SM, against its share of the memory.

  tests/gpu/count_instructions.py [--arch 90] [--file kernels/cuda/matmul_few_rows_bf16.cu]

Compiles the file, disassembles it, finds each kernel's loop over groups of inputs (the shortest
loop with products of tensor cores) and counts what a warp issues in it while its ring is refilled.
A line of the table: the clocks in which the SM's share of the memory brings the bytes of one round,
and how much of them the issue slots and each unit are busy. It is arithmetic, not a measurement: it
says what cannot be faster, nothing about waiting.

Wants nvcc and nvdisasm; where the toolkit has no nvdisasm, the Python package nvidia-cuda-nvdisasm
holds it, and NVDISASM names the program.
"""

import argparse
import collections
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]

# SMs, GB/s and GHz under load. Warp instructions a clock and SM of each unit: 16 lanes each of four
# partitions do logic, shifts and integer sums; as many do integer products and, counted with care,
# products of halves; f32 has twice as many on 9.0 (CUDA C++ Programming Guide, "Arithmetic
# Instructions"). mma: clocks of an SM for m16n8k16, on 9.0 at the 62 % of the peak that this
# instruction reaches there (Luo et al., arXiv 2501.12084). Shared memory moves 128 bytes a clock.
Gpu = collections.namedtuple("Gpu", "name sms gbps ghz f32 mma")
GPUS = {
    "90": Gpu("H200", 132, 4800, 1.75, 4, 1.6),
    "80": Gpu("A100 80 GB", 108, 2039, 1.41, 2, 2.0),
}
UNITS = {
    "alu": "LOP3 SHF PRMT IADD3 VIADD ISETP SEL LEA VIMNMX VIMNMX3 IMNMX VIADDMNMX PLOP3 MOV",
    "half": "HFMA2 HADD2 HMUL2 IMAD",
    "f32": "FFMA FMUL FADD",
    "mma": "HMMA",
}
UNIT_OF = {opcode: unit for unit, opcodes in UNITS.items() for opcode in opcodes.split()}

# FewRowsShape: two tiles of 16 outputs, 16 warps an SM, and the stages of a warp's ring.
Format = collections.namedtuple("Format", "name tile_bytes stages")
FORMATS = {"2": Format("w8", 2112, 2), "3": Format("w4", 1088, 3), "4": Format("w3", 832, 4)}
TILES, WARPS_PER_SM = 2, 16
KERNEL = re.compile(r"few_rows_kernel.*?FormatE(\d).*?FewRowsShape\w*?Li(\d)E\w*?BlocksE0")


def fail(sentence):
    sys.exit(f"count_instructions: {sentence}")


def disassemble(file, arch):
    nvdisasm = os.environ.get("NVDISASM") or shutil.which("nvdisasm")
    if not nvdisasm:
        fail("there is no nvdisasm: install Python's nvidia-cuda-nvdisasm, name it by NVDISASM")
    with tempfile.TemporaryDirectory() as folder:
        cubin = pathlib.Path(folder) / "kernels.cubin"
        subprocess.run(
            [os.environ.get("NVCC", "nvcc"), "-std=c++20", "-O3", "-cubin", f"-arch=sm_{arch}",
             "-I", str(ROOT), file, "-o", str(cubin)], check=True)
        return subprocess.run([nvdisasm, "-c", str(cubin)], check=True, capture_output=True,
                              text=True).stdout


def read_kernels(text):
    """Yields (name, instructions, {label: index of the instruction behind it})."""
    for section in re.split(r"\n//-+ \.text\.", text)[1:]:
        instructions, labels = [], {}
        for line in section.splitlines():
            if label := re.match(r"\s*(\.L_x_\d+):", line):
                labels[label[1]] = len(instructions)
            elif code := re.match(r"\s+/\*[0-9a-f]{4,}\*/\s+(.*?)\s*;", line):
                instructions.append(code[1])
        yield section.split()[0], instructions, labels


def target(instruction, labels):
    """Where a branch goes, or None. BRA.DIV is for warps that have come apart: never taken."""
    branch = re.search(r"\bBRA\b(?!\.DIV).*`\((\.L_x_\d+)\)", instruction)
    return labels.get(branch[1]) if branch else None


def find_loop(instructions, labels):
    loops = []
    for end, instruction in enumerate(instructions):
        begin = target(instruction, labels)
        if begin is not None and begin <= end:
            products = sum("HMMA" in i for i in instructions[begin:end + 1])
            loops.append((end - begin, begin, end) if products >= 16 else (len(instructions), 0, 0))
    if not loops or min(loops)[2] == 0:
        fail("a kernel has no loop with products")
    return min(loops)[1:]


def rounds(instructions, labels, begin, end):
    """The instructions of each way through the loop."""
    ways = [(begin, [])]
    while ways:
        at, way = ways.pop()
        while at <= end and len(way) <= end - begin:
            way.append(instructions[at])
            to = target(instructions[at], labels)
            if at == end:
                yield way
            if to is not None and begin < to <= end:
                if not instructions[at].startswith("@"):
                    at = to
                    continue
                ways.append((to, list(way)))
            at += 1


def opcode(instruction):
    return re.sub(r"^@!?U?P\w+ ", "", instruction).split()[0]


def usual_round(instructions, labels):
    """Of the rounds that refill the ring that with the fewest instructions: no new row begins."""
    ways = list(rounds(instructions, labels, *find_loop(instructions, labels)))
    return min(ways, key=lambda way: (-sum("LDGSTS" in i for i in way), len(way)))


def shared_clocks(way, stage_bytes):
    clocks = stage_bytes / 128  # the copies' bytes
    for instruction in way:
        name = opcode(instruction)
        if name.startswith("LDS") and not instruction.startswith("@!PT"):
            clocks += 4 if ".128" in name else 2 if ".64" in name else 1
    return clocks


def row_of(way, form, token_tiles, gpu):
    count = collections.Counter(UNIT_OF.get(opcode(i).split(".")[0]) for i in way)
    stage_bytes = TILES * form.tile_bytes
    clocks = stage_bytes / (gpu.gbps / gpu.sms / gpu.ghz)
    shares = [len(way) / 4, count["alu"] / 2, count["half"] / 2 + count["f32"] / gpu.f32,
              count["mma"] * gpu.mma, shared_clocks(way, stage_bytes)]
    cells = [form.name, f"to {8 * token_tiles}", len(way), stage_bytes, f"{clocks:.0f}"]
    cells += [f"{100 * share / clocks:.0f} %" for share in shares]
    return cells + [f"{stage_bytes * form.stages * WARPS_PER_SM / 1024:.0f}"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--arch", default="90", choices=GPUS)
    parser.add_argument("--file", default=str(ROOT / "kernels/cuda/matmul_few_rows_bf16.cu"))
    options = parser.parse_args()
    gpu, rows = GPUS[options.arch], []
    for name, instructions, labels in read_kernels(disassemble(options.file, options.arch)):
        if kernel := KERNEL.search(name):
            way = usual_round(instructions, labels)
            rows.append((kernel[1], row_of(way, FORMATS[kernel[1]], int(kernel[2]), gpu)))
    if not rows:
        fail(f"{options.file} has no few_rows_kernel")
    print(f"sm_{options.arch}, {gpu.name}: {gpu.sms} SMs, {gpu.gbps} GB/s, {gpu.ghz} GHz\n")
    print("| weights | rows | instructions | bytes | clocks | issue | logic, integers | halves, f32"
          " | tensor cores | shared memory | KiB under way |")
    print("|" + "---|" * 11)
    for _, cells in sorted(rows, key=lambda row: (row[0], int(row[1][1].split()[1]))):
        print("| " + " | ".join(str(cell) for cell in cells) + " |")


if __name__ == "__main__":
    main()
