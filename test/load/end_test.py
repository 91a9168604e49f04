#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whatever ends the mixed load amid its run, nothing of it stays: no process, and no file unless it was killed.

    end_test.py LOAD_TEST COMMAND LOAD LOAD_CLASSIC
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

PATIENCE_S = 30
KILLS = 12


def processes_in(scratch):
    """Of a run, by the folder for temporary files that it was given."""
    found = []
    for name in os.listdir('/proc'):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            with open(f'/proc/{name}/environ', 'rb') as file:
                if f'TMPDIR={scratch}'.encode() in file.read().split(b'\0'):
                    found.append(int(name))
        except OSError:
            pass  # ended meanwhile
    return found


def wait_until(condition, what):
    deadline = time.monotonic() + PATIENCE_S
    while not (answer := condition()):
        assert time.monotonic() < deadline, f'{what}: not within {PATIENCE_S} s'
        time.sleep(0.001)
    return answer


def folder_of(process):
    """The namespace of a run."""
    with open(f'/proc/{process}/environ', encoding='utf-8') as file:
        return next((word.partition('=')[2] for word in file.read().split('\0') if word.startswith('TENON_NAMESPACE=')), None)


def end(number, scratch, after_s):
    """Ends a run by a signal; says what is wrong."""
    environment = {name: value for name, value in os.environ.items() if name != 'TENON_NAMESPACE'}
    run = subprocess.Popen([sys.executable, '-B', sys.argv[1], '--seconds', '60', *sys.argv[2:]], text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**environment, 'TMPDIR': scratch})
    folder = None

    def has_folder():
        nonlocal folder
        for process in processes_in(scratch):
            try:
                folder = folder or folder_of(process)
            except OSError:
                pass
        return folder

    try:
        wait_until(has_folder, 'a process with a namespace')
        time.sleep(after_s)
        run.send_signal(number)
        said, _ = run.communicate(timeout=PATIENCE_S)
        deadline = time.monotonic() + 2
        while (left := processes_in(scratch)) and time.monotonic() < deadline:
            time.sleep(0.01)
        if left:
            return f'{len(left)} processes go on'
        if number == signal.SIGKILL:
            return None
        if run.returncode != 128 + number or 'Traceback' in said:
            return f'status {run.returncode}, {said!r}'
        if os.path.exists(folder) or os.listdir(scratch):
            return f'{folder}, {os.listdir(scratch)}: left behind'
        return None
    finally:
        for process in processes_in(scratch):
            os.kill(process, signal.SIGKILL)
        run.kill()
        run.wait()
        if folder:
            shutil.rmtree(folder, ignore_errors=True)


def main():
    numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP] + KILLS * [signal.SIGKILL]
    failed = 0
    print(f'1..{len(numbers)}')
    for count, number in enumerate(numbers, 1):
        with tempfile.TemporaryDirectory(prefix='tenon-load-end.') as scratch:
            fault = end(number, scratch, 0.5 if number != signal.SIGKILL else 0.01 * (count - 3))
        failed += fault is not None
        print(f'{"not ok" if fault else "ok"} {count} - {number.name}{": " if fault else ""}{fault or ""}', flush=True)
    return failed > 0


# Ignored where this runs in the background of a script.
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(main())
