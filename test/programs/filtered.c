/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A program that, with a queue open, allows itself the system calls of which tenon-run(1) says that they are needed, and those of
 * the kernel's own queues: prints what it received.  alike_test.py runs it with the kernel's queues and with Tenon's.
 *
 *	filtered NAME
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MESSAGES 500

static mqd_t queue;

/* Those of the manual, and then what this program does itself. */
static const unsigned allowed[] = {
	SYS_fallocate,
	SYS_fcntl,
	SYS_fstat,
	SYS_futex,
#ifdef SYS_futex_waitv
	SYS_futex_waitv,
#endif
	SYS_getpid,
	SYS_get_robust_list,
	SYS_gettid,
	SYS_ioctl,
	SYS_madvise,
	SYS_mmap,
	SYS_munmap,
#ifdef SYS_newfstatat
	SYS_newfstatat,
#endif
	SYS_prlimit64,
	SYS_read,
	SYS_rt_sigprocmask,
	SYS_rt_sigqueueinfo,
	SYS_rt_sigreturn,
	SYS_rt_tgsigqueueinfo,
	SYS_write,
	SYS_clock_gettime,
	SYS_close,
	SYS_exit,
	SYS_exit_group,
	SYS_mprotect,
	SYS_mq_getsetattr,
	SYS_mq_timedreceive,
	SYS_mq_timedsend,
#ifdef SYS_poll
	SYS_poll,
#endif
	SYS_ppoll,
	SYS_rseq,
	SYS_set_robust_list,
};

#define ALLOWED (sizeof(allowed) / sizeof(allowed[0]))

static int allow(void)
{
	struct sock_filter filter[2 * ALLOWED + 2];
	struct sock_fprog program = {.filter = filter};

	filter[program.len++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
							     offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < ALLOWED; i++) {
		filter[program.len++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
								     allowed[i], 0, 1);
		filter[program.len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
								     SECCOMP_RET_ALLOW);
	}
	filter[program.len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
							     SECCOMP_RET_KILL_PROCESS);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return -1;
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC,
			    &program);
}

static void *send_all(void *context)
{
	for (int i = 0; i < MESSAGES; i++)
		if (mq_send(queue, (char *)&i, sizeof(i), (unsigned)i % 3) != 0)
			perror("mq_send");
	return context;
}

int main(int count, char **arguments)
{
	struct mq_attr attributes = {.mq_maxmsg = 4, .mq_msgsize = 64};
	const char *name = count > 1 ? arguments[1] : "/filtered";
	struct pollfd entry = {.events = POLLIN | POLLOUT};
	struct timespec deadline;
	char buffer[64], text[100];
	struct stat status;
	pthread_t thread;
	int value, sum = 0;
	ssize_t bytes;

	queue = mq_open(name, O_CREAT | O_RDWR, 0600, &attributes);
	if (queue < 0) {
		perror("mq_open");
		return 1;
	}
	mq_unlink(name);
	/* Whatever the C library does once, for threads and streams. */
	puts("begins");
	fflush(stdout);
	if (pthread_create(&thread, NULL, send_all, NULL) != 0 || allow() != 0) {
		puts("no filter");
		return 0;
	}
	for (int i = 0; i < MESSAGES; i++) {
		if (mq_receive(queue, buffer, sizeof(buffer), NULL) != sizeof(value))
			perror("mq_receive");
		memcpy(&value, buffer, sizeof(value));
		sum += value;
	}
	pthread_join(thread, NULL);
	printf("sum %d\n", sum);
	entry.fd = queue;
	printf("poll %d", poll(&entry, 1, 0));
	printf(" %d\n", entry.revents);
	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec -= 1;
	errno = 0;
	bytes = mq_timedreceive(queue, buffer, sizeof(buffer), NULL, &deadline);
	printf("timed %zd %s\n", bytes, strerrorname_np(errno));
	bytes = read(queue, text, sizeof(text));
	printf("read %.*s", (int)bytes, text);
	printf("fstat %d\n", fstat(queue, &status) == 0 && S_ISREG(status.st_mode));
	printf("close %d\n", mq_close(queue));
	fflush(stdout);
	return 0;
}
