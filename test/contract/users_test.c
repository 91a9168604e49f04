/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What docs/SECURITY.md promises about users: whom a mode admits can do everything with a queue, in
 * both directions and asleep, and whom it does not admit nothing; folders that belong to somebody
 * unexpected are refused.
 */

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include "users.h"

#define ROUNDS 100u
#define LIMIT_NS (10 * SECOND_NS)
#define POLLS 20
/* The other one may have no processor for a while. */
#define POLL_MS 30000

static void make(const struct part *part)
{
	struct tenon_queue_options options = {.size = sizeof(options),
					      .capacity = 4,
					      .max_message_bytes = 64,
					      .mode = part->mode};
	struct tenon_queue *queue;

	umask(part->mask);
	queue = contract_create(part->name, &options);
	EXPECT_IS(contract_send(queue, 1, 0), 0);
	queue = tenon_queue_close(queue);
}

/* The group of a queue that is to be shared by one. */
static void share(const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/q.%s", contract_folder, name + 1);
	REQUIRE(chown(path, (uid_t)-1, GROUP) == 0);
}

/* Opens it; if that is expected, receives what lies there and sends an answer. */
static void use(const struct part *part)
{
	struct tenon_queue *queue = NULL;
	uint64_t number = 0;

	EXPECT_IS(tenon_queue_open(contract_folder, part->name, 0, NULL, &queue), part->expected);
	if (!queue)
		return;
	EXPECT_IS(contract_receive(queue, &number, 0), 0);
	EXPECT_IS((int64_t)number, 1);
	EXPECT_IS(contract_send(queue, 2, 0), 0);
	queue = tenon_queue_close(queue);
}

static void hear_answer(const struct part *part)
{
	struct tenon_queue *queue = contract_open(part->name);
	uint64_t number = 0;

	EXPECT_IS(contract_receive(queue, &number, 0), 0);
	EXPECT_IS((int64_t)number, 2);
	EXPECT_IS(contract_send(queue, 1, 0), 0);
	queue = tenon_queue_close(queue);
}

/* A queue of Ann's: what a member of its group and a stranger get. */
static void mode_admits(mode_t mode, mode_t mask, int member, int stranger)
{
	struct part ann = {.uid = ANN, .play = make, .name = "/mode", .mode = mode, .mask = mask};
	struct part bob = {.uid = BOB, .play = use, .name = "/mode"};

	users_begin();
	users_act(ann);
	share("/mode");
	ann.play = hear_answer;
	bob.in_group = true;
	bob.expected = member;
	users_act(bob);
	if (member == 0)
		users_act(ann);
	bob.in_group = false;
	bob.expected = stranger;
	users_act(bob);
	if (stranger == 0)
		users_act(ann);
}

static void test_mode_0600(void)
{
	mode_admits(0600, 0, -EACCES, -EACCES);
}

static void test_mode_0640(void)
{
	mode_admits(0640, 0, -EACCES, -EACCES);
}

static void test_mode_0660(void)
{
	mode_admits(0660, 0, 0, -EACCES);
}

static void test_mode_0666(void)
{
	mode_admits(0666, 0, 0, 0);
}

static void test_umask_takes_from_others(void)
{
	mode_admits(0666, 0007, 0, -EACCES);
}

static void test_umask_takes_writing(void)
{
	mode_admits(0666, 0022, -EACCES, -EACCES);
}

/* Two queues between two users. */
static void begin_pair(void)
{
	users_begin();
	users_act((struct part){.uid = ANN, .play = make, .name = "/there", .mode = 0666});
	users_act((struct part){.uid = BOB, .play = make, .name = "/back", .mode = 0666});
	/* Each lets the other take out what the making put in. */
	users_act((struct part){.uid = BOB, .play = use, .name = "/there"});
	users_act((struct part){.uid = ANN, .play = use, .name = "/back"});
	users_act((struct part){.uid = ANN, .play = hear_answer, .name = "/there"});
	users_act((struct part){.uid = BOB, .play = hear_answer, .name = "/back"});
}

static void empty(struct tenon_queue *queue)
{
	uint64_t number;

	while (contract_receive(queue, &number, 0) == 0)
		;
}

static void call_out(const struct part *part)
{
	struct tenon_queue *there = contract_open("/there"), *back = contract_open("/back");
	uint64_t answer = 0;

	(void)part;
	empty(back);
	for (uint64_t i = 1; i <= ROUNDS; i++) {
		contract_await_receivers(there, 1);
		EXPECT_IS(contract_send(there, i, 0), 0);
		EXPECT_IS(contract_receive(back, &answer, LIMIT_NS), 0);
		EXPECT_IS((int64_t)answer, (int64_t)i);
	}
	contract_expect_sound(there);
	contract_expect_sound(back);
	there = tenon_queue_close(there);
	back = tenon_queue_close(back);
}

static void call_back(const struct part *part)
{
	struct tenon_queue *there = contract_open("/there"), *back = contract_open("/back");
	uint64_t number = 0;

	(void)part;
	empty(there);
	for (uint64_t i = 1; i <= ROUNDS; i++) {
		EXPECT_IS(contract_receive(there, &number, LIMIT_NS), 0);
		contract_await_receivers(back, 1);
		EXPECT_IS(contract_send(back, number, 0), 0);
	}
	there = tenon_queue_close(there);
	back = tenon_queue_close(back);
}

static void test_users_wake_each_other(void)
{
	pid_t ann, bob;

	begin_pair();
	bob = users_start((struct part){.uid = BOB, .play = call_back});
	ann = users_start((struct part){.uid = ANN, .play = call_out});
	contract_await(ann);
	contract_await(bob);
}

static void fill_and_wait(const struct part *part)
{
	struct tenon_queue *queue = contract_open(part->name);

	while (contract_send(queue, 1, 0) == 0)
		;
	for (uint64_t i = 0; i < ROUNDS; i++)
		EXPECT_IS(contract_send(queue, 1, LIMIT_NS), 0);
	queue = tenon_queue_close(queue);
}

static void make_room(const struct part *part)
{
	struct tenon_queue *queue = contract_open(part->name);
	uint64_t number;

	for (uint64_t i = 0; i < ROUNDS; i++) {
		contract_await_senders(queue, 1);
		/* One that is just waking up counts as asleep: its message may not be there yet. */
		EXPECT_IS(contract_receive(queue, &number, LIMIT_NS), 0);
	}
	queue = tenon_queue_close(queue);
}

static void room_wakes(uint32_t sender, uint32_t receiver)
{
	pid_t waiting, giving;

	users_begin();
	users_act((struct part){.uid = ANN, .play = make, .name = "/room", .mode = 0666});
	waiting = users_start((struct part){.uid = sender, .play = fill_and_wait, .name = "/room"});
	giving = users_start((struct part){.uid = receiver, .play = make_room, .name = "/room"});
	contract_await(giving);
	contract_await(waiting);
}

static void test_room_wakes_owner(void)
{
	room_wakes(ANN, BOB);
}

static void test_room_wakes_other(void)
{
	room_wakes(BOB, ANN);
}

static int *polling; /* how often somebody is about to poll, shared */

static void await_polling(int times)
{
	while (__atomic_load_n(polling, __ATOMIC_SEQ_CST) < times)
		sched_yield();
}

/* Polls for messages, each sent when this one is about to sleep. */
static void poll_readable(const struct part *part)
{
	struct tenon_queue *queue = contract_open(part->name);
	struct pollfd poller = {.events = POLLIN};
	uint64_t number;

	empty(queue);
	EXPECT_IS(tenon_queue_readable_fd(queue, &poller.fd), 0);
	for (int i = 0; i < POLLS; i++) {
		/* Who sent may still have the lock, and the descriptor be as it was: until somebody looks. */
		while (poll(&poller, 1, 0) == 1)
			EXPECT_IS(contract_receive(queue, &number, 0), -ETIMEDOUT);
		__atomic_fetch_add(polling, 1, __ATOMIC_SEQ_CST);
		REQUIRE(poll(&poller, 1, POLL_MS) == 1);
		/* The descriptor tells a little early. */
		EXPECT_IS(contract_receive(queue, &number, LIMIT_NS), 0);
	}
	queue = tenon_queue_close(queue);
}

static void send_to_poller(const struct part *part)
{
	struct tenon_queue *queue = contract_open(part->name);

	for (int i = 0; i < POLLS; i++) {
		await_polling(i + 1);
		EXPECT_IS(contract_send(queue, 1, LIMIT_NS), 0);
	}
	queue = tenon_queue_close(queue);
}

static void poll_writable(const struct part *part)
{
	struct tenon_queue *queue = contract_open(part->name);
	struct pollfd poller = {.events = POLLIN};

	EXPECT_IS(tenon_queue_writable_fd(queue, &poller.fd), 0);
	while (contract_send(queue, 1, 0) == 0)
		;
	for (int i = 0; i < POLLS; i++) {
		while (poll(&poller, 1, 0) == 1)
			EXPECT_IS(contract_send(queue, 1, 0), -ETIMEDOUT);
		__atomic_fetch_add(polling, 1, __ATOMIC_SEQ_CST);
		REQUIRE(poll(&poller, 1, POLL_MS) == 1);
		EXPECT_IS(contract_send(queue, 1, LIMIT_NS), 0);
	}
	queue = tenon_queue_close(queue);
}

static void receive_for_poller(const struct part *part)
{
	struct tenon_queue *queue = contract_open(part->name);
	uint64_t number;

	for (int i = 0; i < POLLS; i++) {
		await_polling(i + 1);
		EXPECT_IS(contract_receive(queue, &number, LIMIT_NS), 0);
	}
	queue = tenon_queue_close(queue);
}

/* `poller` polls; the other user does what it waits for. */
static void polls(struct part poller, struct part doer, mode_t mode, bool for_messages)
{
	pid_t child[2];

	users_begin();
	polling = contract_share(sizeof(*polling));
	users_act((struct part){.uid = ANN, .play = make, .name = "/poll", .mode = mode});
	share("/poll");
	poller.name = doer.name = "/poll";
	poller.play = for_messages ? poll_readable : poll_writable;
	doer.play = for_messages ? send_to_poller : receive_for_poller;
	child[0] = users_start(poller);
	child[1] = users_start(doer);
	contract_await(child[0]);
	contract_kill(child[1]);
}

static void test_owner_polls_readable(void)
{
	polls((struct part){.uid = ANN}, (struct part){.uid = BOB}, 0666, true);
}

static void test_other_polls_readable(void)
{
	polls((struct part){.uid = BOB}, (struct part){.uid = ANN}, 0666, true);
}

static void test_owner_polls_writable(void)
{
	polls((struct part){.uid = ANN}, (struct part){.uid = BOB}, 0666, false);
}

static void test_other_polls_writable(void)
{
	polls((struct part){.uid = BOB}, (struct part){.uid = ANN}, 0666, false);
}

static void test_owner_polls_for_member(void)
{
	polls((struct part){.uid = ANN, .in_group = true},
	      (struct part){.uid = BOB, .in_group = true}, 0660, true);
}

static void test_member_polls_for_owner(void)
{
	polls((struct part){.uid = BOB, .in_group = true},
	      (struct part){.uid = ANN, .in_group = true}, 0660, true);
}

static void test_root_polls_for_owner(void)
{
	polls((struct part){.uid = 0}, (struct part){.uid = ANN}, 0600, true);
}

static void take_and_stay(const struct part *part)
{
	struct tenon_queue *queue = contract_open(part->name);
	struct tenon_lease lease;

	EXPECT_IS(tenon_queue_take(queue, NULL, &lease), 0);
	__atomic_fetch_add(polling, 1, __ATOMIC_SEQ_CST);
	for (;;)
		pause();
}

static void receive_one(const struct part *part)
{
	struct tenon_receive_options options = {.size = sizeof(options),
						.deadline_ns = tenon_deadline_after(LIMIT_NS)};
	struct tenon_queue *queue = contract_open(part->name);
	struct tenon_message message = {0};
	uint64_t number = 0;

	EXPECT_IS(tenon_queue_receive(queue, &number, sizeof(number), &options, &message), 0);
	EXPECT_IS(message.deliveries, part->expected);
	queue = tenon_queue_close(queue);
}

static void send_one(const struct part *part)
{
	struct tenon_queue *queue = contract_open(part->name);

	EXPECT_IS(contract_send(queue, 1, LIMIT_NS), 0);
	queue = tenon_queue_close(queue);
}

static void test_lease_of_a_dead_user(void)
{
	struct tenon_queue *queue;
	pid_t holder, sleeper;

	users_begin();
	polling = contract_share(sizeof(*polling));
	users_act((struct part){.uid = ANN, .play = make, .name = "/lease", .mode = 0666});
	queue = contract_open("/lease");
	holder = users_start((struct part){.uid = BOB, .play = take_and_stay, .name = "/lease"});
	await_polling(1);
	sleeper = users_start(
		(struct part){.uid = ANN, .play = receive_one, .name = "/lease", .expected = 1});
	contract_await_receivers(queue, 1);
	contract_kill(holder);
	contract_await(sleeper);
	contract_expect_sound(queue);
	queue = tenon_queue_close(queue);
}

static void test_sleeper_of_a_dead_user(void)
{
	struct tenon_queue *queue;
	pid_t dead, sleeper;

	users_begin();
	users_act((struct part){.uid = ANN, .play = make, .name = "/sleep", .mode = 0666});
	queue = contract_open("/sleep");
	empty(queue);
	dead = users_start((struct part){.uid = BOB, .play = receive_one, .name = "/sleep"});
	contract_await_receivers(queue, 1);
	sleeper = users_start((struct part){.uid = ANN, .play = receive_one, .name = "/sleep"});
	contract_await_receivers(queue, 2);
	contract_kill(dead);
	users_act((struct part){.uid = BOB, .play = send_one, .name = "/sleep"});
	contract_await(sleeper);
	contract_expect_sound(queue);
	queue = tenon_queue_close(queue);
}

int main(void)
{
	static const struct contract_case cases[] = {
		{"mode 0600 admits its user alone", test_mode_0600, NULL},
		{"mode 0640 admits its user alone", test_mode_0640, NULL},
		{"mode 0660 admits the group", test_mode_0660, NULL},
		{"mode 0666 admits everybody", test_mode_0666, NULL},
		{"umask 0007 leaves the group", test_umask_takes_from_others, NULL},
		{"umask 0022 leaves the user", test_umask_takes_writing, NULL},
		{"two users wake each other", test_users_wake_each_other, NULL},
		{"room made by another user wakes the owner", test_room_wakes_owner, NULL},
		{"room made by the owner wakes another user", test_room_wakes_other, NULL},
		{"the owner polls for messages", test_owner_polls_readable, NULL},
		{"another user polls for messages", test_other_polls_readable, NULL},
		{"the owner polls for room", test_owner_polls_writable, NULL},
		{"another user polls for room", test_other_polls_writable, NULL},
		{"the owner polls, a member of the group sends", test_owner_polls_for_member, NULL},
		{"a member of the group polls, the owner sends", test_member_polls_for_owner, NULL},
		{"root polls, the owner sends", test_root_polls_for_owner, NULL},
		{"a dead user's lease comes back", test_lease_of_a_dead_user, NULL},
		{"a sleeping user dies", test_sleeper_of_a_dead_user, NULL},
	};

	return contract_main(cases, sizeof(cases) / sizeof(cases[0]));
}
