# SPDX-License-Identifier: MIT
"""tests/system/clock.py: the clock jumps forth and back within a minute: nothing is removed early, and what ends,
ends in time. In builds without sanitizers only: libfaketime and their runtime cannot be loaded together.

promises = 14
"""
import glob, pathlib, shutil, sys, tempfile, time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import *


def main():
    need_fuse()
    library = [path for place in ("lib/*", "lib64", "lib") for path in glob.glob(f"/usr/{place}/faketime/libfaketime.so.1")]
    if not library:
        skip("libfaketime is not there")
    if b"__asan_init" in pathlib.Path(ODCSFS).read_bytes() or b"__tsan_init" in pathlib.Path(ODCSFS).read_bytes():
        skip("libfaketime and a sanitizer cannot be loaded together; runs in the release build")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="odcsfs-clock-"))
    clock = folder / "clock"
    clock.write_text("+0\n")
    environment = {"LD_PRELOAD": library[0], "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1",
                   "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}
    with Service(f"repo.allowed={UNIVERSE}", environment=environment) as service:
        long = service.compose("clock-long", repo_spec(BASE, packages=["openssl"], seconds_to_live=3600))
        clock.write_text("+7200\n")
        time.sleep(7)  # longer than the expiry thread sleeps
        same(service.record(long)["state_name"], "done", "two hours ahead for some seconds")
        clock.write_text("+0\n")
        time.sleep(6)
        same(service.record(long)["state_name"], "done", "after the clock came back")
        clock.write_text("-86400\n")
        back = service.compose("clock-back", repo_spec(BASE, packages=["openssl"], seconds_to_live=600))
        time.sleep(6)
        same(service.record(back)["state_name"], "done", "made while the clock is a day behind")
        clock.write_text("+0\n")
        time.sleep(1)
        check("the clock jumped" in service.log_text(), "the jump was seen")
        short = service.compose("clock-short", repo_spec(BASE, packages=["nginx"], seconds_to_live=2))
        check(wait_for(lambda: service.record(short)["state_name"] == "removed", 8), "expiry goes on after the jump")
        clock.write_text("+7200\n")  # and stays so: believed after a minute
        check(wait_for(lambda: service.record(long)["state_name"] == "removed", 80), "a jump that stays is believed")
    shutil.rmtree(folder, ignore_errors=True)
    end()


main()
