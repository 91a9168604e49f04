#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Programs that nobody here wrote, and that use no queue, do the same under `tenon run` as without it: they
fork, close descriptors, handle signals and start others.  And a few that do use one.

    preload_test.py TENON
"""

import os
import shutil
import subprocess
import sys
import tempfile

# Nothing that passes comes near it.
WATCHDOG_S = 100

PYTHON = r'''
import concurrent.futures, multiprocessing, os, select, signal, subprocess, sys, tempfile, threading, time
print(subprocess.check_output(["echo", "from a child"], close_fds=True))
print(subprocess.run("exit 3", shell=True).returncode)
pipe = os.pipe()
os.write(pipe[1], b"x")
poll = select.poll(); poll.register(pipe[0], select.POLLIN)
print(poll.poll(0) == [(pipe[0], select.POLLIN)], os.read(pipe[0], 1))
print(select.select([pipe[0]], [pipe[1]], [], 0) == ([], [pipe[1]], []))
epoll = select.epoll(); epoll.register(pipe[1], select.EPOLLOUT); print(len(epoll.poll(0)))
got = []
for number in (signal.SIGUSR1, signal.SIGALRM):
    signal.signal(number, lambda number, frame: got.append(number))
    os.kill(os.getpid(), number)
# Again and again: the first may come before the pause.
signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01); signal.pause(); signal.setitimer(signal.ITIMER_REAL, 0)
print(got[:3], signal.getsignal(signal.SIGPIPE), signal.getsignal(signal.SIGINT) is signal.default_int_handler)
threads = [threading.Thread(target=time.sleep, args=(0.01,)) for i in range(20)]
[t.start() for t in threads]; [t.join() for t in threads]
with concurrent.futures.ThreadPoolExecutor(8) as pool:
    print(sum(pool.map(lambda x: x * x, range(1000))))
def square(x):
    return x * x
if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(4) as pool:
        print(sum(pool.map(square, range(100))))
with tempfile.TemporaryFile() as file:
    file.write(b"0123456789"); file.flush(); file.seek(3); print(file.read(2), os.fstat(file.fileno()).st_size)
    copy = os.dup(file.fileno()); os.lseek(copy, 1, 0); print(file.read(1), os.pread(copy, 2, 5))
os.closerange(3, 256)
print(os.spawnlp(os.P_WAIT, "true", "true"), os.system("exit 4") >> 8)
'''

PERL = r'''
$| = 1; $SIG{USR1} = sub { print "got it\n" }; kill "USR1", $$;
for my $i (1..20) { my $pid = fork; if (!$pid) { close STDIN; exit $i } waitpid $pid, 0; print $? >> 8, " " }
open my $f, "-|", "echo piped" or die; print <$f>; close $f;
eval { local $SIG{ALRM} = sub { die "late\n" }; alarm 1; select undef, undef, undef, 20; }; print $@;
print `sh -c 'echo out; echo err >&2' 2>&1`; print "$SIG{USR1}" =~ /CODE/ ? "kept\n" : "lost\n";
'''

BASH = r'''
trap 'echo trapped' USR1; kill -USR1 $$
for i in $(seq 30); do (exit $i) & done; wait; echo done
cat <(echo substituted) <<< here; echo "$(for i in 1 2 3; do echo $i; done | sort -r | tr '\n' ' ')"
exec 9> /dev/null; echo x >&9; exec 9>&-; coproc cat; echo through >&"${COPROC[1]}"; read -r line <&"${COPROC[0]}"
echo "$line"; trap -p USR1; ulimit -n; read -t 0.01 -r line < <(exec sleep 50); echo $?; kill $!
'''

GIT = r'''
set -e; export HOME=$PWD GIT_AUTHOR_DATE='1 +0000' GIT_COMMITTER_DATE='1 +0000'
git init -q repository; cd repository; git config user.email e@example.org; git config user.name n
for i in 1 2 3 4 5; do echo $i > file$i; git add .; git commit -qm "number $i"; done
git log --oneline; git gc -q; git fsck; git clone -q . ../clone; cd ../clone; git status -sb; git log --stat | cat
'''

MAKE = r'''
mkdir make; cd make
printf 'all: %s\n\t@cat $^ | sort\n%%.o:\n\t@echo $@ | (read x; echo made $$x > $@)\n' \
	"$(seq -f '%g.o' 40 | tr '\n' ' ')" > Makefile
make -j8; make -j8; make -n -B 5.o; make nothing; echo $?
'''

FORKS = r'''
f() { [ "$1" -gt 0 ] && { f $(($1 - 1)) & f $(($1 - 1)) & wait; } ; echo -n .; }
f 6; echo; sh -c 'exec env -i /bin/sh -c "echo nothing left"'; echo 1 2 3 | xargs -n1 -P3 echo | sort
( ulimit -n 20; cat /dev/null && echo few ); timeout 50 sh -c 'kill -TERM $$'; echo $?; nice sh -c 'echo nice'
'''

# A name, what has to be there, and the words.
CASES = (
    ('python', 'python3', ['python3', '-c', PYTHON]),
    ('perl', 'perl', ['perl', '-e', PERL]),
    ('bash', 'bash', ['bash', '-c', BASH]),
    ('dash', 'dash', ['dash', '-c', FORKS]),
    ('git', 'git', ['sh', '-c', GIT]),
    ('make', 'make', ['sh', '-c', MAKE]),
    ('tar', 'tar', ['sh', '-c', 'cd /usr/include && tar -cf - linux | tar -tf - | sort | md5sum']),
    ('find', 'find', ['sh', '-c', 'find /etc -maxdepth 2 -name "h*" 2>/dev/null | sort | xargs ls -d']),
    ('sleepers', 'timeout', ['sh', '-c', 'timeout 0.05 sleep 100; echo $?; timeout -s KILL 0.05 sleep 100; echo $?']),
    ('strace', 'strace', ['strace', '-f', '-o', '/dev/null', 'sh', '-c', 'echo traced; (exit 3); echo $?']),
)


def outcome(words, environment):
    with tempfile.TemporaryDirectory(prefix='tenon-test-preload.') as folder:
        done = subprocess.run(words, env=environment, cwd=folder, text=True, capture_output=True,
                              timeout=WATCHDOG_S, check=False, stdin=subprocess.DEVNULL)
    return (done.returncode, done.stdout.replace(folder, 'FOLDER'),
            done.stderr.replace(folder, 'FOLDER'))


def main():
    tenon = os.path.abspath(sys.argv[1])
    namespace = tempfile.mkdtemp(prefix='tenon-test-preload.', dir='/dev/shm')
    environment = {**os.environ, 'TENON_NAMESPACE': namespace, 'LC_ALL': 'C.UTF-8'}
    environment.pop('LD_PRELOAD', None)
    print(f'1..{len(CASES)}')
    failures = 0
    try:
        for number, (name, needed, words) in enumerate(CASES, 1):
            if not shutil.which(needed):
                print(f'ok {number} - {name} # SKIP no {needed} here')
                continue
            bare = outcome(words, environment)
            ours = outcome([tenon, 'run', '--only', 'mq', '--', *words], environment)
            same = bare == ours
            print(f'{"ok" if same else "not ok"} {number} - {name}')
            failures += not same
            if not same:
                for which, answer in (('without', bare), ('with', ours)):
                    print(f'# {which}: {answer!r:.3000}')
        left = os.listdir(namespace)
        if left:
            print(f'# left behind: {left}')
            failures += 1
    finally:
        shutil.rmtree(namespace)
    sys.exit(failures > 0)


main()
