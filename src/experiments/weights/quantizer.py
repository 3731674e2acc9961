"""The program that `quantizing` runs in a process of its own: llama.cpp's quantizer.

    python quantizer.py SOURCE TARGET FTYPE KEY VALUE THREADS PARENT

KEY and VALUE are a text that is added to the metadata of TARGET. The program ends with the
process PARENT, and then leaves no TARGET. Not imported anywhere.
"""

import contextlib
import ctypes
import os
import sys
import threading
import time


def main(
    source: str, target: str, ftype: str, key: str, value: str, threads: str, parent: str
) -> int:
    """Quantize; return the exit code."""
    threading.Thread(target=_end_with, args=(int(parent), target), daemon=True).start()
    import llama_cpp

    level = getattr(llama_cpp, f"LLAMA_FTYPE_{ftype}", None)
    if level is None:
        print(f"error: this llama.cpp has no level {ftype}", file=sys.stderr)
        return 2
    # A list that ends with an empty key.
    entries = (llama_cpp.llama_model_kv_override * 2)()
    entries[0].tag = llama_cpp.LLAMA_KV_OVERRIDE_TYPE_STR
    entries[0].key = key.encode()
    entries[0].value.val_str = value.encode()
    settings = llama_cpp.llama_model_quantize_default_params()
    settings.ftype = level
    settings.nthread = int(threads)
    settings.kv_overrides = entries
    settings.allow_requantize = True  # from Q8_0; whoever calls this warns of it
    llama_cpp.llama_backend_init()
    failed = llama_cpp.llama_model_quantize(
        source.encode(), target.encode(), ctypes.byref(settings)
    )
    return 1 if failed else 0


def _end_with(parent: int, target: str) -> None:
    """Wait until the parent is gone, then remove what there is and end."""
    while os.getppid() == parent:
        time.sleep(0.2)
    with contextlib.suppress(OSError):
        os.unlink(target)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
