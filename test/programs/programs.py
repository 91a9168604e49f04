# SPDX-License-Identifier: Apache-2.0
"""Programs that nobody here wrote are run in namespaces of their own, where the kernel's own queues can be switched
off, with 64 MiB of /dev/shm, and what became of them is said in TAP."""

import os
import re
import shutil
import subprocess
import sys
import tempfile

# Nothing that passes comes near it.
WATCHDOG_S = 120
NOBODY = 65534
SHM_MIB = 64
# The kernel's queues: after this every mq_open, msgget, shmget and semget of its own fails.
OFF = (('fs/mqueue/queues_max', '0'), ('kernel/msgmni', '0'), ('kernel/shmmni', '0'),
       ('kernel/sem', '32000 1024000000 500 0'))


class Programs:
    """What is run inside the namespaces, as one user, in a folder that everybody may write to."""

    def __init__(self, tenon, user):
        self.tenon, self.user = tenon, user
        self.folder = tempfile.mkdtemp(prefix='tenon-test-programs.', dir='/tmp')
        os.chmod(self.folder, 0o777)

    def become(self):
        if self.user:
            os.setgroups([])
            os.setresgid(self.user, self.user, self.user)
            os.setresuid(self.user, self.user, self.user)

    def variables(self, environment=None):
        kept = {name: value for name, value in os.environ.items() if not name.startswith('TENON_')}
        return {**kept, **(environment or {})}

    def run(self, *command, environment=None, text=None):
        try:
            return subprocess.run(command, text=True, check=False, input=text, env=self.variables(environment),
                                  cwd=self.folder, preexec_fn=self.become, capture_output=True,
                                  timeout=WATCHDOG_S)
        except subprocess.TimeoutExpired as late:
            return subprocess.CompletedProcess(command, 'not done', late.stdout or '', late.stderr or '')

    def case(self, name, fault):
        who = 'root' if not self.user else 'an ordinary user'
        print(f'{"not ok" if fault else "ok"} - {name}, as {who}', flush=True)
        if fault:
            print('\n'.join(f'# {line}' for line in str(fault).splitlines()[-20:]), flush=True)

    def skip(self, name, why):
        print(f'ok - {name} # SKIP {why}', flush=True)

    def python(self, *modules):
        """One that this user may run and that has the modules."""
        for path in (sys.executable, '/usr/bin/python3'):
            try:
                if self.run(path, '-c', 'import ' + ', '.join(('ctypes',) + modules)).returncode == 0:
                    return path
            except OSError:
                pass
        return None

    def end(self):
        shutil.rmtree(self.folder, ignore_errors=True)


def operations_of(done, names):
    """What stress-ng says that it has done, or a sentence."""
    said = str(done.stdout) + str(done.stderr)
    operations = re.search(rf'metrc:.*? (?:{names}) +(\d+) ', said)
    if done.returncode != 0 or not operations or int(operations.group(1)) == 0 or 'skipp' in said:
        return f'status {done.returncode}: {said}'
    return int(operations.group(1))


def switch_kernel_off():
    for path, value in OFF:
        with open(f'/proc/sys/{path}', 'w', encoding='ascii') as file:
            file.write(value)


def mount_memory():
    subprocess.run(['mount', '-t', 'tmpfs', '-o', f'size={SHM_MIB}m,mode=1777', 'tmpfs', '/dev/shm'], check=True)


def main(script, inside):
    """Runs the script once more inside the namespaces, as SCRIPT --inside …, where `inside` gets the words."""
    if sys.argv[1] == '--inside':
        inside(*sys.argv[2:])
        return
    words = [word if word.startswith('--') else os.path.abspath(word) for word in sys.argv[1:]]
    command = ['unshare', '--ipc', '--mount', '--fork', '--kill-child', sys.executable, script, '--inside', *words]
    probe = subprocess.run(['unshare', '--ipc', '--mount', 'true'], capture_output=True, check=False)
    if os.geteuid() != 0 or probe.returncode != 0:
        print('1..0 # SKIP it takes root to have an ipc and a mount namespace')
        return
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    lines = done.stdout.splitlines()
    number, failed = 0, done.returncode != 0
    for line in lines:
        match = re.match(r'(not ok|ok) - ', line)
        if match:
            number += 1
            failed = failed or match.group(1) == 'not ok'
            line = f'{match.group(1)} {number} - {line[match.end():]}'
        print(line)
    print(f'1..{number}')
    sys.exit(failed)
