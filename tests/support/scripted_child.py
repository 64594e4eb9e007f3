"""A child that misbehaves on order: `RIVET_CHILD_COMMAND` puts it in the place of Rivet.

Run as `python -S -E scripted_child.py <behaviours.json> run --config C --export NAME ...`: the file
says what the child of each export does. Imports little, so that forty of them start quickly.
"""

import array
import fcntl
import json
import os
import signal
import sys
import termios
import time

_MEGABYTE = 1024 * 1024


def main():
    with open(sys.argv[1], encoding="utf-8") as file:  # noqa: PTH123 - starts quicker
        behaviours = json.load(file)
    arguments = sys.argv[2:]
    name = arguments[arguments.index("--export") + 1]
    behaviour, *details = behaviours[name].split(":")
    BEHAVIOURS[behaviour](name, arguments, *details)


def say(kind, name, **fields):
    sys.stdout.write(json.dumps({"type": kind, "export_name": name, **fields}) + "\n")
    sys.stdout.flush()


def started(name):
    say(
        "started",
        name,
        run_id="r",
        mode="full",
        tuning_profile="balanced",
        batch_size=10,
        estimated_rows=None,
    )


def finished(name, status="success", **fields):
    body = {
        "run_id": "r",
        "status": status,
        "total_rows": 7,
        "files_produced": 1,
        "bytes_written": 70,
        "duration_ms": 5,
        "peak_rss_mb": 9,
    }
    say("finished", name, **{**body, **fields})


def good(name, _arguments):
    started(name)
    say("progress", name, chunks_done=0, rows=3)
    finished(name)


def slow(name, _arguments):
    started(name)
    for rows in range(10):
        time.sleep(0.1)
        say("progress", name, chunks_done=0, rows=rows)
    finished(name)


def chatty(name, _arguments):
    """Write 50 MB to standard error between two events; must never wait for the parent long."""
    started(name)
    line = b"chatter " * 12 + b"\n"
    block = line * (_MEGABYTE // len(line))
    for _ in range(50):
        os.write(2, block)
    finished(name)


def noisy(name, _arguments, count):
    """Write numbered lines to standard error, then succeed."""
    started(name)
    sys.stderr.write("".join(f"noise {number}\n" for number in range(1, int(count) + 1)))
    sys.stderr.flush()
    finished(name)


def junk(name, _arguments):
    """Write what no reader expects around good events."""
    os.write(1, b"\xff\xfe\x00 not text \x1b[2J\n\n\r\n")
    os.write(2, b"\xff\xfe \x1b[31m red \xc3\x28\n")
    os.write(1, b'{"type": "progress", "export_name": 5, "rows": "many"}\n[]\n"started"\n')
    os.write(1, b'{"type": "progress", "export_name": "' + name.encode() + b'", "rows": 1e999}\n')
    started(name)
    os.write(1, b"x" * (5 * _MEGABYTE) + b"\n")
    finished("somebody else", "failed", error_message="not mine")
    os.write(1, b'{"type": "prog')
    time.sleep(0.05)
    os.write(1, b'ress", "export_name": "' + name.encode() + b'", "chunks_done": 0, "rows": 2}\n')
    finished(name)
    os.write(1, b'{"type": "progress", "export')


def crash_early(_name, _arguments):
    raise RuntimeError("no such thing")


def refuse_early(_name, _arguments, code):
    sys.stderr.write("Error: [RIVET_TEST_REFUSED] the scripted reason\nHint: do this\n")
    os._exit(int(code))


def crash_midway(name, _arguments):
    started(name)
    raise RuntimeError("in the middle")


def killed(name, _arguments, number):
    started(name)
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.kill(os.getpid(), int(number))


def failed(name, _arguments, code):
    started(name)
    finished(name, "failed", error_message="it said so", error_code="RIVET_SAID")
    os._exit(int(code))


def lying(name, _arguments, code):
    """Report success, then end with another code."""
    started(name)
    finished(name)
    os._exit(int(code))


def mute(_name, _arguments):
    os._exit(0)


def deaf(name, _arguments):
    """Close standard output early."""
    started(name)
    os.close(1)
    time.sleep(0.2)
    os._exit(0)


def succeeding_deaf(name, _arguments):
    """Tell all, close standard output, and end well much later."""
    started(name)
    finished(name)
    os.close(1)
    time.sleep(0.5)
    os._exit(0)


def began(name):
    """Leave the file of `scripted.has_begun` once the parent has taken all that was said."""
    waiting = array.array("i", [1])
    while waiting[0]:
        time.sleep(0.005)
        fcntl.ioctl(1, termios.FIONREAD, waiting)
    os.close(os.open(f"{sys.argv[1]}.{name}", os.O_CREAT | os.O_WRONLY))


def hang(name, _arguments):
    """Hang until TERM comes."""
    started(name)
    sys.stderr.write("hanging\n")
    sys.stderr.flush()
    began(name)
    while True:
        time.sleep(60)


def stubborn(name, _arguments):
    """Hang and ignore TERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    started(name)
    began(name)
    while True:
        time.sleep(60)


def parent_of_a_holder(name, _arguments):
    """End while a grandchild holds the pipes open."""
    started(name)
    if os.fork() == 0:
        time.sleep(30)
        os._exit(0)
    finished(name)


def late(name, arguments, path):
    """Change a file, then become Rivet: what was read before is no longer so."""
    with open(path, "a", encoding="utf-8") as file:  # noqa: PTH123
        file.write("\n")
    real(name, arguments)


def lines(name, _arguments, count):
    """Write so many lines to standard error."""
    started(name)
    os.write(2, b"".join(b"line %d\n" % number for number in range(int(count))))
    finished(name)


def real(_name, arguments, fault=""):
    """Become Rivet itself, with a fault of its own."""
    environment = {**os.environ}
    if fault:
        environment["RIVET_FAULT"] = fault.replace(";", ":")
    command = [sys.executable, "-P", "-m", "rivet", *arguments]
    os.execve(command[0], command, environment)


BEHAVIOURS = {
    "good": good,
    "slow": slow,
    "chatty": chatty,
    "noisy": noisy,
    "junk": junk,
    "crash_early": crash_early,
    "refuse_early": refuse_early,
    "crash_midway": crash_midway,
    "killed": killed,
    "failed": failed,
    "lying": lying,
    "mute": mute,
    "deaf": deaf,
    "succeeding_deaf": succeeding_deaf,
    "hang": hang,
    "stubborn": stubborn,
    "holder": parent_of_a_holder,
    "late": late,
    "lines": lines,
    "real": real,
}

if __name__ == "__main__":
    main()
