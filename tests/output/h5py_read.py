"""Reads a result with h5py one-liners, as users do. Usage: h5py_read.py WRITE_SAMPLE_RESULT.

The content follows tests/output/rows.hpp. Exit code 77: skipped, there is no h5py.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

try:
    import h5py
    import numpy as np
except ImportError:
    print("skipped: this Python has no h5py")
    sys.exit(77)


def ragged(group, row):
    """The values of one row."""
    begin, end = group["row_splits"][row : row + 2]
    return group["values"][begin:end]


def tokens_of(row, sample):
    return [] if row % 7 == 3 else [row * 1000 + sample * 100 + i for i in range((row * 31 + sample * 17) % 300)]


def check(file, text_of):
    rows, samples = 40, 2
    assert len(file["status"]) == rows * samples
    assert file["id"].asstr()[:4].tolist() == ["id-0", "id-0", "id-1", "id-1"]
    assert file["finish_reason"].asstr()[[0, 2, 6]].tolist() == ["stop", "length", "error"]
    assert (file["status"][:] == b"failed").sum() == 6 * samples
    assert file["error"].asstr()[6] == "row 3 has no prompt"
    assert file["stop_reason"].asstr()[0] == "\n\n" and file["stop_reason"].asstr()[2] == ""
    for name in ("prompt_tokens", "completion_tokens", "plan_index"):
        assert file[name].dtype == np.int32 and file[name][6] == -1, name
        assert file[name].chunks and file[name].shuffle and file[name].compression == "gzip", name
    dtypes = {"token_ids": np.int32, "logprobs": np.float32}
    for name, dtype in dtypes.items():
        assert file[name]["values"].dtype == dtype and file[name]["row_splits"].dtype == np.int64, name
    assert file["top_logprobs/token_ids"].dtype == np.int32 and file["top_logprobs/values"].dtype == np.float32
    assert file["top_logprobs/values"].shape == (len(file["token_ids/values"]), 3)
    for row in range(rows):
        for sample in range(samples):
            at = row * samples + sample
            want = tokens_of(row, sample)
            assert ragged(file["token_ids"], at).tolist() == want, at
            assert ragged(file["logprobs"], at).tolist() == [-i / 8 for i in range(len(want))], at
            assert file["completion_tokens"][at] == (len(want) if row % 7 != 3 else -1), at
            assert text_of(at) == "".join("ż" if i % 5 == 0 else "a" for i in range(len(want))), at
    run = file["run"].attrs
    assert isinstance(run["job"], str) and json.loads(run["job"]) == {"model": "tiny"}
    assert json.loads(run["plans"]) == [{"format": "llmpq-plan-1"}]
    assert json.loads(run["times"]) == {"run_s": 1}
    assert {"profile", "versions"} <= set(run)


def main():
    with tempfile.TemporaryDirectory() as folder:
        for layout in ("strings", "bytes"):
            path = pathlib.Path(folder) / f"{layout}.h5"
            subprocess.run([sys.argv[1], path, layout], check=True)
            with h5py.File(path) as file:
                if layout == "strings":
                    check(file, lambda at: file["text"].asstr()[at])
                else:
                    check(file, lambda at: ragged(file["text"], at).tobytes().decode())
    print("h5py read both layouts")


main()
