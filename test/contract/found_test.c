/* SPDX-License-Identifier: Apache-2.0 */

/* What random calls and several threads at once have found, one case for each. */

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "contract.h"
#include "core/thread.h"

#define NAME "/found"
#define LONG_BYTES 20000u
#define BATCH 16u
#define LIMIT_NS (20 * SECOND_NS)

static const struct tenon_send_options at_once = {.size = sizeof(at_once), .flags = TENON_NONBLOCK};
static const struct tenon_receive_options if_any = {.size = sizeof(if_any),
						    .flags = TENON_NONBLOCK};
static bool stop;

static bool is_stopped(void)
{
	return __atomic_load_n(&stop, __ATOMIC_ACQUIRE);
}

static void start_thread(pthread_t *ret_thread, void *(*run)(void *), void *context)
{
	REQUIRE(pthread_create(ret_thread, NULL, run, context) == 0);
}

static void join_all(pthread_t *threads, uint32_t count)
{
	__atomic_store_n(&stop, true, __ATOMIC_RELEASE);
	for (uint32_t i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
}

static bool is_ready(int fd)
{
	return poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 0) == 1;
}

/* A message that does not go into a batch, being long, was given back as if it had been delivered. */
static void test_batch_and_long(void)
{
	static uint8_t bytes[LONG_BYTES], room[2 * LONG_BYTES];
	struct tenon_queue *queue = contract_make(NAME, TENON_QUEUE_WAIT, 4, LONG_BYTES);
	struct tenon_queue_status status = {.size = sizeof(status)};
	struct tenon_receive_options options = {.size = sizeof(options),
						.flags = TENON_NONBLOCK | TENON_TRUNCATE};
	struct tenon_message messages[2];
	uint32_t count = 0;

	EXPECT_IS(tenon_queue_send(queue, bytes, 1, &at_once), 0);
	EXPECT_IS(tenon_queue_send(queue, bytes, LONG_BYTES, &at_once), 0);
	EXPECT_IS(tenon_queue_receive_batch(queue, room, sizeof(room), 2, &options, messages,
					    &count),
		  0);
	if (count == 1)
		EXPECT_IS(tenon_queue_receive(queue, room, sizeof(room), &if_any, &messages[1]), 0);
	EXPECT_IS((int64_t)messages[1].bytes, LONG_BYTES);
	EXPECT_IS(messages[1].deliveries, 0);
	EXPECT_IS(tenon_queue_status(queue, &status), 0);
	EXPECT_IS((int64_t)status.redelivered, 0);
	queue = tenon_queue_close(queue);
}

static void take_and_die(void *context)
{
	struct tenon_queue *queue = contract_open(NAME);
	struct tenon_lease lease;

	(void)context;
	EXPECT_IS(tenon_queue_take(queue, &if_any, &lease), 0);
	contract_child_ends();
}

/* The descriptor did not tell of messages that came back from a dead process. */
static void test_polled_and_redelivered(void)
{
	struct tenon_queue *queue = contract_make(NAME, TENON_QUEUE_WAIT, 4, 64);
	uint32_t freed = 0;
	int fd = -1;

	EXPECT_IS(tenon_queue_readable_fd(queue, &fd), 0);
	EXPECT_IS(contract_send(queue, 1, 0), 0);
	contract_await(contract_start(take_and_die, NULL));
	EXPECT_IS(tenon_queue_recover(queue, &freed), 0);
	EXPECT_IS(freed, 1);
	EXPECT(is_ready(fd));
	queue = tenon_queue_close(queue);
}

/* A lease that is none, ended, left the descriptor telling of room. */
static void test_polled_and_no_lease(void)
{
	struct tenon_queue *queue = contract_make(NAME, TENON_QUEUE_WAIT, 1, 64);
	struct tenon_lease none = {.opaque = 1};
	int fd = -1;

	EXPECT_IS(tenon_queue_writable_fd(queue, &fd), 0);
	EXPECT_IS(contract_send(queue, 1, 0), 0);
	EXPECT(!is_ready(fd));
	EXPECT_IS(tenon_queue_done(queue, &none), -EINVAL);
	EXPECT(!is_ready(fd));
	queue = tenon_queue_close(queue);
}

/* The next read(2) kills this process. */
static void die_at_a_read(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_read, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = sizeof(filter) / sizeof(filter[0]), .filter = filter};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
		_exit(77);
}

/* The last message was received by a process that died before it could empty the descriptor: who polled
 * was told again and again of what was not there. */
static void test_polled_and_dead(void)
{
	struct tenon_queue *queue = contract_make(NAME, TENON_QUEUE_WAIT, 4, 64);
	uint64_t number;
	int fd = -1, status = 0;
	pid_t child;

	EXPECT_IS(tenon_queue_readable_fd(queue, &fd), 0);
	EXPECT_IS(contract_send(queue, 1, 0), 0);
	fflush(stdout);
	child = fork();
	REQUIRE(child >= 0);
	if (child == 0) {
		contract_child_begins();
		die_at_a_read();
		contract_receive(queue, &number, 0);
		_exit(0);
	}
	REQUIRE(waitpid(child, &status, 0) == child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		contract_skip("seccomp(2) is not allowed");
	EXPECT(WIFSIGNALED(status));
	for (uint32_t i = 0; i < 3 && is_ready(fd); i++)
		EXPECT_IS(tenon_queue_receive(queue, &number, sizeof(number), &if_any, NULL),
			  -EAGAIN);
	EXPECT(!is_ready(fd));
	queue = tenon_queue_close(queue);
}

static void *receive_all(void *context)
{
	uint64_t number;

	while (!is_stopped())
		(void)tenon_queue_receive(context, &number, sizeof(number), &if_any, NULL);
	return NULL;
}

/* What was to be dropped had been received meanwhile: the send failed, although there was room. */
static void test_dropped_or_received(void)
{
	struct tenon_queue *queue = contract_make(NAME, TENON_QUEUE_DROP_OLDEST, 1, 64);
	int64_t end_ns = tenon_deadline_after(SECOND_NS);
	uint64_t failed = 0;
	pthread_t thread;

	start_thread(&thread, receive_all, queue);
	while (tenon_deadline_after(0) < end_ns)
		for (uint32_t i = 0; i < 1000; i++)
			failed += tenon_queue_send(queue, &i, sizeof(i), NULL) != 0;
	join_all(&thread, 1);
	EXPECT_IS((int64_t)failed, 0);
	queue = tenon_queue_close(queue);
}

static void *wait_for_either(void *context)
{
	uint32_t events = 0;

	EXPECT_IS(tenon_queue_wait(context, TENON_READABLE | TENON_WRITABLE,
				   tenon_deadline_after(LIMIT_NS), &events),
		  0);
	EXPECT_IS(events, TENON_WRITABLE);
	return NULL;
}

/* Who waited for either event while the whole capacity was under lease was not told of room. */
static void test_either_beside_leases(void)
{
	struct tenon_queue *queue = contract_make(NAME, TENON_QUEUE_WAIT, 1, 64);
	struct tenon_lease lease;
	pthread_t thread;

	EXPECT_IS(contract_send(queue, 1, 0), 0);
	EXPECT_IS(tenon_queue_take(queue, &if_any, &lease), 0);
	start_thread(&thread, wait_for_either, queue);
	contract_await_receivers(queue, 1);
	EXPECT_IS(tenon_queue_done(queue, &lease), 0);
	pthread_join(thread, NULL);
	queue = tenon_queue_close(queue);
}

/* A lease that had ended was taken for the next one of the same message. */
static void test_ended_lease(void)
{
	struct tenon_queue *queue = contract_make(NAME, TENON_QUEUE_WAIT, 4, 64);
	struct tenon_lease lease, ended;

	EXPECT_IS(contract_send(queue, 1, 0), 0);
	EXPECT_IS(tenon_queue_take(queue, &if_any, &lease), 0);
	ended = lease;
	EXPECT_IS(tenon_queue_return(queue, &lease), 0);
	EXPECT_IS(tenon_queue_take(queue, &if_any, &lease), 0);
	EXPECT_IS(tenon_queue_done(queue, &ended), -EINVAL);
	EXPECT_IS(tenon_queue_done(queue, &lease), 0);
	queue = tenon_queue_close(queue);
}

/* A receipt named the process that had taken a message last, not the one that had dealt with its own. */
static void test_receipt_of_two(void)
{
	struct tenon_queue *queue = contract_make(NAME, TENON_QUEUE_WAIT, 4, 64);
	struct tenon_send_options options = {.size = sizeof(options), .flags = TENON_WANT_RECEIPT};
	struct tenon_lease lease;
	uint64_t receipt = 0;
	int32_t pid = 0;

	EXPECT_IS(tenon_queue_send(queue, "1", 1, &options), 0);
	EXPECT_IS(tenon_queue_last_receipt(queue, &receipt), 0);
	EXPECT_IS(contract_send(queue, 2, 0), 0);
	EXPECT_IS(tenon_queue_take(queue, &if_any, &lease), 0);
	contract_await(contract_start(take_and_die, NULL));
	EXPECT_IS(tenon_queue_done(queue, &lease), 0);
	EXPECT_IS(tenon_queue_receipt(queue, receipt, 0, &pid), 0);
	EXPECT_IS(pid, getpid());
	queue = tenon_queue_close(queue);
}

struct batches {
	struct tenon_queue *queue;
	uint8_t sender;
};

static void *send_batches(void *context)
{
	const struct batches *batches = context;
	uint8_t bytes[BATCH][60] = {{0}};
	struct tenon_slice slices[BATCH];
	uint32_t sent;

	for (uint8_t i = 0; i < BATCH; i++) {
		bytes[i][0] = batches->sender;
		bytes[i][1] = i;
		slices[i] = (struct tenon_slice){.data = bytes[i], .bytes = sizeof(bytes[i])};
	}
	while (!is_stopped()) {
		EXPECT_IS(tenon_queue_send_batch(batches->queue, slices, BATCH, NULL, &sent), 0);
		EXPECT_IS(sent, BATCH);
	}
	return NULL;
}

/* A batch that fitted was broken up where a chunk of the log ended. */
static void test_batch_in_one_piece(void)
{
	struct batches batches[3] = {{.sender = 0}, {.sender = 1}, {.sender = 2}};
	int64_t end_ns = tenon_deadline_after(SECOND_NS);
	struct tenon_queue *queue = contract_make(NAME, TENON_QUEUE_WAIT, TENON_QUEUE_MAX_CAPACITY,
						  64);
	uint8_t bytes[60], sender = 0, next = 0;
	uint64_t broken = 0;
	pthread_t threads[3];

	for (uint32_t i = 0; i < 3; i++) {
		batches[i].queue = queue;
		start_thread(&threads[i], send_batches, &batches[i]);
	}
	while (tenon_deadline_after(0) < end_ns) {
		if (tenon_queue_receive(queue, bytes, sizeof(bytes), NULL, NULL) != 0)
			continue;
		broken += bytes[1] != next || (next > 0 && bytes[0] != sender);
		sender = bytes[0];
		next = (uint8_t)((bytes[1] + 1) % BATCH);
	}
	join_all(threads, 3);
	EXPECT_IS((int64_t)broken, 0);
	queue = tenon_queue_close(queue);
}

/* What a queue that fails when it is full has room for was not sent to the end. */
static void test_batch_to_the_end(void)
{
	struct tenon_queue *queue = contract_make(NAME, TENON_QUEUE_FAIL, 10000, 64);
	struct tenon_slice slices[512];
	static uint8_t bytes[64];
	uint32_t sent = 0;

	for (uint32_t i = 0; i < 512; i++)
		slices[i] = (struct tenon_slice){.data = bytes, .bytes = sizeof(bytes)};
	for (uint32_t i = 0; i < 4; i++) {
		EXPECT_IS(tenon_queue_send_batch(queue, slices, 512, NULL, &sent), 0);
		EXPECT_IS(sent, 512);
	}
	queue = tenon_queue_close(queue);
}

enum asking { NOW, SHORTLY, WAITING, PEEKING, DROPPING, ASKINGS };

static int ask(struct tenon_queue *queue, enum asking how)
{
	struct tenon_receive_options shortly = {.size = sizeof(shortly),
						.deadline_ns = tenon_deadline_after(20000000)};
	uint64_t number;

	switch (how) {
	case NOW:
		return tenon_queue_receive(queue, &number, sizeof(number), &if_any, NULL);
	case SHORTLY:
		return tenon_queue_receive(queue, &number, sizeof(number), &shortly, NULL);
	case WAITING:
		return tenon_queue_wait(queue, TENON_READABLE, 0, NULL);
	case PEEKING:
		return tenon_queue_peek(queue, 0, &number, sizeof(number), NULL);
	default:
		return tenon_queue_send(queue, "new", 3, &at_once);
	}
}

/* What a dead process had taken came back only to who slept for 100 ms. */
static void test_dead_taker(void)
{
	for (uint32_t order = TENON_QUEUE_FIFO; order <= TENON_QUEUE_TYPED; order++) {
		for (enum asking how = NOW; how < ASKINGS; how++) {
			struct tenon_queue_options options = {.size = sizeof(options),
							      .order = order,
							      .full = TENON_QUEUE_DROP_OLDEST,
							      .capacity = 1,
							      .max_message_bytes = 64};
			struct tenon_queue *queue = contract_create(NAME, &options);

			EXPECT_IS(contract_send(queue, 1, 0), 0);
			contract_await(contract_start(take_and_die, NULL));
			EXPECT_IS(ask(queue, how), 0);
			queue = tenon_queue_close(queue);
			EXPECT_IS(tenon_queue_remove(contract_folder, NAME), 0);
		}
	}
}

/* A batch that went through many chunks of the log wrote more words than a journal holds. */
static void test_batch_of_many_chunks(void)
{
	static uint8_t bytes[4000], room[sizeof(bytes)];
	struct tenon_queue *queue = contract_make(NAME, TENON_QUEUE_WAIT, 400, sizeof(bytes));
	struct tenon_slice slices[400];
	uint32_t sent = 0;

	for (uint32_t i = 0; i < 400; i++)
		slices[i] = (struct tenon_slice){.data = bytes, .bytes = sizeof(bytes)};
	EXPECT_IS(tenon_queue_send_batch(queue, slices, 400, &at_once, &sent), 0);
	EXPECT_IS(sent, 400);
	for (uint32_t i = 0; i < 400; i++)
		EXPECT_IS(tenon_queue_receive(queue, room, sizeof(room), &if_any, NULL), 0);
	contract_expect_sound(queue);
	queue = tenon_queue_close(queue);
}

/* With as many types as messages the index had no room for the last, which nobody got. */
static void test_type_for_each(void)
{
	for (uint64_t count = 2; count <= 1024; count *= 4) {
		struct tenon_queue_options options = {.size = sizeof(options),
						      .order = TENON_QUEUE_TYPED,
						      .capacity = count,
						      .max_message_bytes = 64};
		struct tenon_queue *queue = contract_create(NAME, &options);
		struct tenon_send_options send = at_once;
		struct tenon_receive_options receive = if_any;
		char room[64];

		for (send.key = 0; send.key < count; send.key++)
			EXPECT_IS(tenon_queue_send(queue, "type", 4, &send), 0);
		receive.select = TENON_SELECT_EXACTLY;
		for (receive.select_key = count; receive.select_key-- > 0;)
			EXPECT_IS(tenon_queue_receive(queue, room, sizeof(room), &receive, NULL),
				  0);
		contract_expect_sound(queue);
		queue = tenon_queue_close(queue);
		EXPECT_IS(tenon_queue_remove(contract_folder, NAME), 0);
	}
}

static void receive_one_of_two(void *context)
{
	struct tenon_queue *queue = contract_open(NAME);
	uint64_t number;

	(void)context;
	EXPECT_IS(contract_receive(queue, &number, INT64_C(10000000000)), 0);
	queue = tenon_queue_close(queue);
}

/* A rendezvous gave no receipt to who wanted one, and the command took that for a failure. */
static void test_receipt_of_a_rendezvous(void)
{
	struct tenon_queue *queue = contract_make(NAME, TENON_QUEUE_WAIT, TENON_QUEUE_RENDEZVOUS,
						  64);
	struct tenon_send_options options = {.size = sizeof(options), .flags = TENON_WANT_RECEIPT};
	pid_t receiver = contract_start(receive_one_of_two, NULL);
	uint64_t receipt = 0, number = 1;
	int32_t pid = 0;

	EXPECT_IS(tenon_queue_send(queue, &number, sizeof(number), &options), 0);
	EXPECT_IS(tenon_queue_last_receipt(queue, &receipt), 0);
	EXPECT_IS(tenon_queue_receipt(queue, receipt, -1, &pid), 0);
	EXPECT_IS(pid, receiver);
	EXPECT_IS(tenon_queue_receipt(queue, receipt, -1, &pid), -EINVAL);
	contract_await(receiver);
	queue = tenon_queue_close(queue);
}

static uint32_t *may_end; /* shared */

static void take_for_long(void *context)
{
	struct tenon_queue *queue = contract_open(NAME);
	struct tenon_lease lease;

	(void)context;
	EXPECT_IS(tenon_queue_take(queue, NULL, &lease), 0);
	while (!__atomic_load_n(may_end, __ATOMIC_SEQ_CST))
		sched_yield();
	EXPECT_IS(tenon_queue_done(queue, &lease), 0);
	queue = tenon_queue_close(queue);
}

/* Taken under lease when the deadline passed: sent, but the receipt had ended, and its number could be that
 * of another one. */
static void test_receipt_of_a_long_rendezvous(void)
{
	struct tenon_queue *queue = contract_make(NAME, TENON_QUEUE_WAIT, TENON_QUEUE_RENDEZVOUS,
						  64);
	struct tenon_send_options options = {.size = sizeof(options), .flags = TENON_WANT_RECEIPT};
	uint64_t receipt = 0, number = 1;
	int result = -ETIMEDOUT;
	pid_t receiver;
	int32_t pid = 0;

	may_end = contract_share(sizeof(*may_end));
	receiver = contract_start(take_for_long, NULL);
	contract_await_receivers(queue, 1);
	/* Longer and longer, until the receiver gets a processor within that time. */
	for (int64_t time_ns = SECOND_NS / 2; result == -ETIMEDOUT && time_ns <= LIMIT_NS;
	     time_ns *= 2) {
		options.deadline_ns = tenon_deadline_after(time_ns);
		result = tenon_queue_send(queue, &number, sizeof(number), &options);
	}
	EXPECT_IS(result, 0);
	EXPECT_IS(tenon_queue_last_receipt(queue, &receipt), 0);
	EXPECT_IS(tenon_queue_receipt(queue, receipt, -1, &pid), -ETIMEDOUT);
	__atomic_store_n(may_end, 1, __ATOMIC_SEQ_CST);
	EXPECT_IS(tenon_queue_receipt(queue, receipt, 0, &pid), 0);
	EXPECT_IS(pid, receiver);
	contract_await(receiver);
	contract_expect_sound(queue);
	queue = tenon_queue_close(queue);
}

static void wait_and_look(void *context)
{
	EXPECT_IS(tenon_queue_wait(contract_open(NAME), TENON_READABLE, *(const int64_t *)context,
				   NULL),
		  -ETIMEDOUT);
	EXPECT(tni_pending_get(tni_thread_self()) == NULL);
}

/* Waits until it sleeps, and stops it; false: its time was up before. */
static bool stop_asleep(pid_t waiter, struct tenon_queue *queue, int64_t deadline_ns)
{
	struct tenon_queue_status status = {.size = sizeof(status)};
	siginfo_t info;

	while (status.receivers_waiting == 0 && tenon_deadline_after(0) < deadline_ns)
		EXPECT_IS(tenon_queue_status(queue, &status), 0);
	kill(waiter, SIGSTOP);
	REQUIRE(waitid(P_PID, (id_t)waiter, &info, WSTOPPED | WEXITED | WNOWAIT) == 0);
	return tenon_deadline_after(0) < deadline_ns;
}

/* Woken for a message that somebody else has by now, and the time is up: the thread's robust list names no
 * gate behind the call. */
static void test_woken_too_late(void)
{
	struct tenon_queue *queue = contract_make(NAME, TENON_QUEUE_WAIT, 8, 64);
	int64_t time_ns = SECOND_NS / 2, deadline_ns = tenon_deadline_after(time_ns);
	pid_t waiter = contract_start(wait_and_look, &deadline_ns);
	uint64_t number;

	/* Longer and longer, until it sleeps before its time is up. */
	while (!stop_asleep(waiter, queue, deadline_ns) && time_ns < LIMIT_NS) {
		contract_kill(waiter);
		time_ns *= 2;
		deadline_ns = tenon_deadline_after(time_ns);
		waiter = contract_start(wait_and_look, &deadline_ns);
	}
	EXPECT_IS(tenon_queue_send(queue, "message", 8, NULL), 0);
	EXPECT_IS(tenon_queue_receive(queue, &number, sizeof(number), NULL, NULL), 0);
	while (tenon_deadline_after(0) < deadline_ns)
		nanosleep(&(struct timespec){.tv_nsec = SECOND_NS / 10}, NULL);
	kill(waiter, SIGCONT);
	contract_await(waiter);
	queue = tenon_queue_close(queue);
}

static uint32_t threads_begun;

static void *ask_again_and_again(void *context)
{
	int fd;

	__atomic_fetch_add(&threads_begun, 1, __ATOMIC_SEQ_CST);
	while (!is_stopped())
		EXPECT_IS(tenon_queue_readable_fd(context, &fd), 0);
	return NULL;
}

/* A child has no thread that would end what another one was at. */
static void test_fork_beside_polling(void)
{
	struct tenon_queue *queue = contract_make(NAME, TENON_QUEUE_WAIT, 8, 64);
	pthread_t threads[2];

	for (uint32_t i = 0; i < 2; i++)
		start_thread(&threads[i], ask_again_and_again, queue);
	/* A thread that begins allocates memory; amid that, the lock of a sanitizer's allocator would stay locked in a child. */
	while (__atomic_load_n(&threads_begun, __ATOMIC_SEQ_CST) < 2)
		sched_yield();
	for (uint32_t i = 0; i < 300; i++) {
		pid_t child = fork();
		int fd;

		if (child == 0) {
			contract_child_begins();
			alarm(60);
			EXPECT_IS(tenon_queue_readable_fd(queue, &fd), 0);
			contract_child_ends();
		}
		contract_await(child);
	}
	join_all(threads, 2);
	queue = tenon_queue_close(queue);
}

int main(void)
{
	static const struct contract_case cases[] = {
		{"batch: a long message behind it", test_batch_and_long, NULL},
		{"readable: told of what the dead give back", test_polled_and_redelivered, NULL},
		{"writable: not told by a lease that is none", test_polled_and_no_lease, NULL},
		{"readable: emptied for one who died", test_polled_and_dead, NULL},
		{"drop oldest: received meanwhile", test_dropped_or_received, NULL},
		{"wait for either: all under lease", test_either_beside_leases, NULL},
		{"a lease that ended", test_ended_lease, NULL},
		{"receipt: who was done", test_receipt_of_two, NULL},
		{"batch: in one piece", test_batch_in_one_piece, NULL},
		{"batch: to the end", test_batch_to_the_end, NULL},
		{"a dead taker: found by who does not sleep", test_dead_taker, NULL},
		{"batch: through many chunks", test_batch_of_many_chunks, NULL},
		{"typed: a type for each message", test_type_for_each, NULL},
		{"rendezvous: with a receipt", test_receipt_of_a_rendezvous, NULL},
		{"rendezvous: with a receipt, under lease", test_receipt_of_a_long_rendezvous,
		 NULL},
		{"wait: woken, and too late", test_woken_too_late, NULL},
		{"readable: forked beside threads that ask for it", test_fork_beside_polling, NULL},
	};

	return contract_main(cases, sizeof(cases) / sizeof(cases[0]));
}
