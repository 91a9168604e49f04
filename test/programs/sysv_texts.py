# SPDX-License-Identifier: Apache-2.0
"""What the interpreters and the shell are given in sysv_test.py, and what they have to say."""

PERL = r'''
use strict; use IPC::SysV qw(:all); use IPC::Msg; use IPC::Semaphore; use IPC::SharedMem; $| = 1;
my $key = ftok($0 eq "-e" ? "." : $0, 7);
my $queue = IPC::Msg->new($key, S_IRUSR | S_IWUSR | IPC_CREAT | IPC_EXCL) or die "msgget: $!";
print defined IPC::Msg->new($key, IPC_CREAT | IPC_EXCL | 0600) ? "twice" : $!{EEXIST} ? "once" : "$!", "\n";
my ($text, $memory);
$queue->snd(3, "three"); $queue->snd(1, "one"); $queue->snd(2, "two");
print $queue->rcv($text, 256, -2, IPC_NOWAIT), " $text\n", $queue->rcv($text, 256, 3), " $text\n";
print defined $queue->rcv($text, 2, 0, IPC_NOWAIT) ? "whole" : $!{E2BIG} ? "too long" : "$!", "\n";
print $queue->rcv($text, 2, 0, MSG_NOERROR), " $text\n";
print defined $queue->rcv($text, 256, 0, IPC_NOWAIT) ? "more" : $!{ENOMSG} ? "empty" : "$!", "\n";
my $status = $queue->stat;
printf "%d %o %d %d %d\n", $status->qnum, $status->mode & 0777, $status->lspid == $$, $status->lrpid == $$, $status->uid == $>;
$queue->set(mode => 0640, qbytes => 1000);
printf "%d %o\n", $queue->stat->qbytes, $queue->stat->mode & 0777;

# Ten children answer, each by a type of its own.
for my $child (1..10) {
	next if fork;
	$queue->rcv($text, 256, $child); $queue->snd(100 + $child, "$child heard $text"); exit;
}
$queue->snd($_, "number $_") for reverse 1..10;
for (1..10) { $queue->rcv($text, 256, 100 + $_); print "$text\n" }
1 while wait > 0;

my $set = IPC::Semaphore->new(IPC_PRIVATE, 5, S_IRUSR | S_IWUSR | IPC_CREAT) or die "semget: $!";
$set->setall(0..4); $set->setval(2, 7); $set->op(2, -3, IPC_NOWAIT, 1, -1, 0);
print join(",", $set->getall), " ", $set->stat->nsems, " ", $set->getncnt(0), $set->getzcnt(0), " ", $set->getpid(2) == $$, "\n";
print $set->op(0, -1, IPC_NOWAIT) ? "taken" : $!{EAGAIN} ? "would wait" : "$!", "\n";
my $child = fork // die;
if (!$child) { $set->op(3, -1, SEM_UNDO); $set->op(4, 1, 0); sleep 100; exit }
$set->op(4, -5, 0); print $set->getval(3), "\n"; kill KILL => $child; waitpid $child, 0; print $set->getval(3), "\n";

my $shared = IPC::SharedMem->new(IPC_PRIVATE, 8, S_IRWXU) or die "shmget: $!";
$shared->write(pack("A4", "test"), 2, 4); print $shared->read(2, 4), "\n";
$shared->attach; print $shared->stat->nattch, " ", $shared->stat->segsz, "\n";
$child = fork // die; if (!$child) { print $shared->stat->nattch, "\n"; exit } waitpid $child, 0;
print $shared->stat->nattch, "\n"; $shared->detach; print $shared->stat->nattch, "\n";
my $id = shmget(IPC_PRIVATE, 100, 0600) // die "shmget: $!";
shmwrite($id, "hello", 10, 5); shmread($id, $memory, 10, 5); print "$memory\n";

# Whoever waits is told of the end.
$child = fork // die;
if (!$child) { exit(defined $queue->rcv($text, 256, 9) ? 1 : $!{EIDRM} ? 42 : 2) }
$child = [$child, fork // die];
if (!$child->[1]) { exit($set->op(0, -1, 0) ? 1 : $!{EIDRM} ? 43 : 2) }
select undef, undef, undef, 0.01 until $set->getncnt(0) == 1 && `cat /proc/$child->[0]/stat` =~ /\) S/;
print "removed\n" if $set->remove && $queue->remove && $shared->remove && shmctl($id, IPC_RMID, 0);
for (@$child) { waitpid $_, 0; print $? >> 8, "\n" }
print defined $queue->stat ? "there" : $!{EINVAL} || $!{EIDRM} ? "gone" : "$!", "\n";
'''
PERL_SAYS = ('once\n1 one\n3 three\ntoo long\n2 tw\nempty\n0 600 1 1 1\n1000 640\n' +
             ''.join(f'{i} heard number {i}\n' for i in range(1, 11)) +
             '0,0,4,3,4 5 00 1\nwould wait\n2\n3\ntest\n1 8\n2\n1\n0\nhello\nremoved\n42\n43\ngone\n')

PYTHON = r'''
import os, signal, sysv_ipc as ipc, time
def refused(what, error, *arguments, **named):
    try: what(*arguments, **named)
    except error: return True
    return False
queue = ipc.MessageQueue(None, ipc.IPC_CREX, 0o600, 2048)
again = ipc.MessageQueue(queue.key)
queue.send(b"second", type=2); queue.send(b"first", type=1); again.send("third", type=3)
print(again.current_messages, queue.receive(type=-2), queue.receive(type=3), queue.receive())
print(refused(queue.receive, ipc.BusyError, block=False), refused(ipc.MessageQueue, ipc.ExistentialError, queue.key, ipc.IPC_CREX))
print(oct(queue.mode), queue.uid == os.geteuid(), queue.last_send_pid == os.getpid(), queue.max_size)
queue.max_size = 100; queue.mode = 0o640; print(again.max_size, oct(again.mode))
queue.send(b"x" * 80); print(refused(queue.send, ipc.BusyError, b"y" * 80, block=False), len(queue.receive()[0]))

count = ipc.Semaphore(None, ipc.IPC_CREX, 0o600, 1)
memory = ipc.SharedMemory(None, ipc.IPC_CREX, 0o600, 5000, b'\0')
print(memory.size, memory.number_attached, memory.attached, memory.creator_pid == os.getpid())
def add(times, kill=False):
    count.undo = True
    for i in range(times):
        with count:
            memory.write((int.from_bytes(memory.read(4, 16), "little") + 1).to_bytes(4, "little"), 16)
            if kill: os.kill(os.getpid(), signal.SIGKILL)
def start(work, *arguments):
    child = os.fork()
    if not child:
        try: work(*arguments)
        finally: os._exit(0)
    return child
children = [start(add, 500) for i in range(4)] + [start(add, 500, True) for i in range(8)]
print(sorted(os.WTERMSIG(os.waitpid(child, 0)[1]) for child in children))
print(int.from_bytes(memory.read(4, 16), "little"), count.value, memory.number_attached)

count.undo = False; count.acquire()
began = time.monotonic(); print(refused(count.acquire, ipc.BusyError, 0.05), time.monotonic() - began >= 0.05)
print(refused(count.acquire, ipc.BusyError, 0), count.value, count.waiting_for_nonzero)
child = start(lambda: (count.acquire(), queue.send(b"woken")))
while count.waiting_for_nonzero != 1: time.sleep(0.001)
count.release(); print(queue.receive()[0], count.value); os.waitpid(child, 0)
count.Z(); count.V(); child = start(lambda: (count.Z(), queue.send(b"zero")))
while count.waiting_for_zero != 1: time.sleep(0.001)
count.P(); print(queue.receive()[0], count.last_pid in (os.getpid(), child)); os.waitpid(child, 0)

# Removed while it is attached: its key is free at once, and the memory is there until the last one leaves it.
gone = (ipc.Error, ValueError) # EIDRM, EINVAL
key = memory.key; memory.remove(); memory.write(b"still here")
print(memory.read(10), refused(ipc.SharedMemory, ipc.ExistentialError, key))
other = ipc.SharedMemory(key, ipc.IPC_CREX, 0o600, 100, b'\0'); print(other.id != memory.id, other.read(4)); other.detach(); other.remove()
memory.detach(); print(refused(memory.attach, gone))
count.remove(); queue.remove(); print(refused(count.release, gone), refused(again.receive, gone))
'''
PYTHON_SAYS = ("3 (b'first', 1) (b'third', 3) (b'second', 2)\nTrue True\n0o600 True True 16384\n100 0o640\nTrue 80\n"
               "5000 1 True True\n[0, 0, 0, 0, 9, 9, 9, 9, 9, 9, 9, 9]\n2008 1 1\nTrue True\nTrue 0 0\nb'woken' 0\n"
               "b'zero' True\nb'still here' True\nTrue b'\\x00\\x00\\x00\\x00'\nTrue\nTrue True\n")

PHP = r'''<?php
$key = ftok(__FILE__, 't');
$queue = msg_get_queue($key, 0600);
msg_send($queue, 7, ["a" => 1, "b" => [2, 3]]); msg_send($queue, 3, "plain", false);
msg_receive($queue, -5, $type, 100, $text, false); echo "$type $text\n";
msg_receive($queue, 0, $type, 1000, $value); echo $type, json_encode($value), "\n";
$status = msg_stat_queue($queue); echo $status['msg_qnum'], " ", $status['msg_lspid'] == getmypid(), "\n";
var_dump(msg_receive($queue, 0, $type, 10, $text, true, MSG_IPC_NOWAIT, $error), $error == MSG_ENOMSG);
var_dump(msg_set_queue($queue, ['msg_qbytes' => 1000]), msg_queue_exists($key));

$lock = sem_get($key, 1); $memory = shm_attach($key, 10000, 0600); shm_put_var($memory, 1, 0);
function add() {
	global $lock, $memory, $queue;
	for ($i = 0; $i < 200; $i++) {
		sem_acquire($lock); shm_put_var($memory, 1, shm_get_var($memory, 1) + 1); sem_release($lock);
	}
	msg_send($queue, 1, "done");
}
for ($i = 0; $i < 3; $i++)
	if (!pcntl_fork()) { add(); posix_kill(getmypid(), SIGKILL); }
add();
for ($i = 0; $i < 4; $i++) { msg_receive($queue, 1, $type, 100, $text); echo $text, " "; }
for ($i = 0; $i < 3; $i++) pcntl_wait($status);
echo shm_get_var($memory, 1), "\n";
sem_acquire($lock); var_dump(sem_acquire($lock, true)); sem_release($lock);
shm_put_var($memory, 2, ["x" => "y"]); echo json_encode(shm_get_var($memory, 2));
shm_remove_var($memory, 2); var_dump(shm_has_var($memory, 2), shm_remove($memory), sem_remove($lock), msg_remove_queue($queue));
var_dump(msg_queue_exists($key));
'''
PHP_SAYS = ('3 plain\n7{"a":1,"b":[2,3]}\n0 1\nbool(false)\nbool(true)\nbool(true)\nbool(true)\n'
            'done done done done 800\nbool(false)\n{"x":"y"}bool(false)\nbool(true)\nbool(true)\nbool(true)\nbool(false)\n')

# A package is made of files that belong to many, by many processes at once; it is unpacked eight times at once.
FAKEROOT_MAKE = r'''
all: $(foreach i,1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20,tree/usr/lib/f$(i))
tree/usr/lib/f%:
	echo $* > $@
	chown $*:1$* $@
	chmod 4750 $@
copies: $(foreach i,1 2 3 4 5 6 7 8,copy$(i))
copy%:
	dpkg-deb -x package.deb $@
	find $@ -printf '%P %y %U:%G %m\n' | sort > list$*
'''
FAKEROOT_BUILD = r'''
set -e
umask 022
mkdir -p tree/DEBIAN tree/usr/lib tree/dev
printf 'Package: x\nVersion: 1\nArchitecture: all\nMaintainer: n <n@example.org>\nDescription: x\n' > tree/DEBIAN/control
make -s -j8 all
mknod tree/dev/null c 1 3
mknod -m 640 tree/dev/disk b 8 1
chown 0:6 tree/dev/disk
ln -s null tree/dev/zero
chown -h 5:5 tree/dev/zero
dpkg-deb -Zgzip --build tree package.deb > /dev/null
stat -c '%n %u:%g' tree/dev/disk tree/usr/lib/f7
'''
FAKEROOT_UNPACK = r'''
set -e
make -s -j8 copies
for i in 2 3 4 5 6 7 8; do cmp list1 list$i; done
cat list1
'''
FAKEROOT_BUILT = 'tree/dev/disk 0:6\ntree/usr/lib/f7 7:17\n'
FAKEROOT_UNPACKED = ''.join(sorted(
    [' d 0:0 755\n', 'dev d 0:0 755\n', 'dev/disk b 0:6 640\n', 'dev/null c 0:0 644\n', 'dev/zero l 5:5 777\n',
     'usr d 0:0 755\n', 'usr/lib d 0:0 755\n'] + [f'usr/lib/f{i} f {i}:1{i} 4750\n' for i in range(1, 21)]))
