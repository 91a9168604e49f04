/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Scribbles over each word of the memory of a set of semaphores, as it lies there and as if somebody had died in the
 * midst of something, and lets a victim call everything: it must end in time, with answers that the header names, and
 * alive.  A victim to a word and state, which has twenty seconds for all values.
 *
 * A gate that a thread seems to hold is waited for, a second each time: unless --all is asked for, each state gets one
 * such value, another one each.
 *
 * With --placed the set is in a region, of which each handle has one of its own, which ends with it; then the region's
 * words are scribbled over, too, and what its table says lies where.
 */

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <tenon/region.h>
#include <tenon/semaphore_set.h>

#include "../crash/folder.h"
#include "abi/semaphore_set.h"
#include "object/region_private.h"
#include "object/semaphore_set.h"
#include "patience.h"

#define NAME "/attacked"
#define WAIT_NS 20000
#define PATIENCE_S 60u
#define PARTICIPANTS 4u
#define COUNT 3u
#define REGION_BYTES (UINT64_C(1) << 20)
#define UNDO TENON_SEMAPHORE_SET_UNDO
#define NOWAIT TENON_SEMAPHORE_SET_NOWAIT

static const uint64_t values[] = {
	0,
	1,
	UINT64_MAX,
	UINT32_MAX,
	UINT64_C(1) << 31,
	UINT64_C(1) << 63,
	/* Of a cell: more semaphores than have room. */
	UINT64_C(30000) << 32,
	/* Of a region's table: a larger set at its beginning. */
	TENON_KIND_SEMAPHORE_SET | UINT64_C(30000) << TNI_REGION_PLACE_LIMIT_SHIFT,
	UINT64_C(0x0001000100010001),
	UINT64_C(0x2000000200000001),
	UINT64_C(0x300003ff00000002),
	UINT64_C(0x123456789abcdef0),
};
#define VALUES (sizeof(values) / sizeof(values[0]))

/* What somebody died in. */
enum state { WHOLE, IN_LIST, IN_SETTING_ONE, IN_SETTING_ALL, STATES };

static bool all, is_placed;

static void told(int result)
{
	static const int documented[] = {0,	  -EBADMSG, -ENOSPC,	-ENOMEM, -EUSERS,
					 -EINVAL, -ERANGE,  -ETIMEDOUT, -EIDRM,	 -EAGAIN,
					 -EPROTO, -EMFILE,  -ENFILE,	-EEXIST};

	static const int of_region[] = {-ENOENT, -EIO, -EPERM};

	for (size_t i = 0; i < sizeof(documented) / sizeof(documented[0]); i++)
		if (result == documented[i])
			return;
	for (size_t i = 0; i < sizeof(of_region) / sizeof(of_region[0]); i++)
		if (is_placed && result == of_region[i])
			return;
	fprintf(stderr, "an answer that the header does not name: %d\n", result);
	_exit(3);
}

static int visit(const struct tenon_semaphore_set_user *user, void *context)
{
	(void)user;
	(void)context;
	return 0;
}

static int visit_place(uint32_t kind, uint64_t offset, void *context)
{
	(void)kind;
	(void)offset;
	(void)context;
	return 0;
}

static int open_placed(uint32_t flags, const struct tenon_semaphore_set_options *options,
		       struct tenon_semaphore_set **ret_set)
{
	struct tenon_region_options space = {
		.size = sizeof(space), .max_participants = PARTICIPANTS, .bytes = REGION_BYTES};
	struct tenon_region *region;
	int result = tenon_region_open(NULL, NAME, flags, &space, &region);

	if (result != 0)
		return result;
	told(tenon_region_placed(region, visit_place, NULL));
	result = tenon_semaphore_set_open_at(region, 0, flags, options, ret_set);
	region = tenon_region_close(region);
	return result;
}

/* By name, or where it lies in the region. */
static int open_set(uint32_t flags, struct tenon_semaphore_set **ret_set)
{
	struct tenon_semaphore_set_options options = {
		.size = sizeof(options), .count = COUNT, .value = 1};

	if (is_placed)
		return open_placed(flags, &options, ret_set);
	options.max_participants = PARTICIPANTS;
	return tenon_semaphore_set_open(NULL, NAME, flags, &options, ret_set);
}

static void remove_set(void)
{
	if (is_placed)
		tenon_region_remove(NULL, NAME);
	else
		tenon_semaphore_set_remove(NULL, NAME);
}

static void operate(struct tenon_semaphore_set *set)
{
	struct tenon_semaphore_operation lists[][2] = {
		{{0, 1, 0}, {1, -1, NOWAIT}},	 {{0, -1, UNDO | NOWAIT}, {2, 1, UNDO}},
		{{1, 0, 0}, {1, 1, 0}},		 {{2, -9, 0}, {0, 0, 0}},
		{{0, 1, UNDO}, {2, -1, NOWAIT}}, {{1, -1, NOWAIT}, {0, 0, NOWAIT}}};

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		told(tenon_semaphore_set_operate(set, lists[i], 2, tenon_deadline_after(WAIT_NS)));
		told(tenon_semaphore_set_operate(set, lists[i], 1, tenon_deadline_after(WAIT_NS)));
	}
}

static void do_all(struct tenon_semaphore_set *set)
{
	struct tenon_semaphore_set_status status = {.size = sizeof(status)};
	struct tenon_semaphore_set_member member;
	struct tenon_semaphore_set *other;
	uint32_t all[COUNT];
	int result;

	told(tenon_semaphore_set_status(set, &status));
	told(tenon_semaphore_set_users(set, visit, NULL));
	told(tenon_semaphore_set_read(set, 1, &member));
	operate(set);
	told(tenon_semaphore_set_get(set, 1, all));
	told(tenon_semaphore_set_get_all(set, all, COUNT));
	for (uint32_t i = 0; i < COUNT; i++)
		all[i] = i;
	told(tenon_semaphore_set_set(set, 2, 5));
	result = open_set(0, &other);
	told(result);
	if (result == 0) {
		operate(other);
		other = tenon_semaphore_set_close(other);
	}
	told(tenon_semaphore_set_set_all(set, all, COUNT));
	operate(set);
	told(tenon_semaphore_set_destroy(set));
}

static void write_word(uint64_t offset, const void *value, size_t bytes)
{
	char path[FOLDER_BYTES + 16];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", getenv("TENON_NAMESPACE"),
		 is_placed ? "r.attacked" : "a.attacked");
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || pwrite(fd, value, bytes, (off_t)offset) != (ssize_t)bytes)
		_exit(4);
	close(fd);
}

struct attack {
	uint64_t offset;
	enum state state;
};

static uint64_t extra_offset(void)
{
	if (is_placed)
		return tni_region_data_offset(PARTICIPANTS) + TENON_PLACE_BYTES(PARTICIPANTS);
	return TNI_PARTICIPANTS_OFFSET + TNI_PAGE_BYTES + tni_stakes_bytes(PARTICIPANTS) +
	       TNI_PAGE_BYTES;
}

static uint64_t cell_offset(void)
{
	if (is_placed)
		return tni_region_data_offset(PARTICIPANTS);
	return extra_offset() + tni_set_extra_bytes(PARTICIPANTS, COUNT);
}

/* The last values are such, as many as there are states. */
static bool is_left_out(const struct attack *attack, uint32_t which)
{
	uint64_t gate = cell_offset() + offsetof(struct tni_cell, gate);
	bool is_gate = attack->offset == gate;

	if (is_placed && attack->offset == tni_region_control_offset(PARTICIPANTS) +
						   offsetof(struct tni_region_control, gate))
		is_gate = true;
	_Static_assert(VALUES > STATES, "one for each state");

	return !all && is_gate && (values[which] & TNI_GATE_OWNER) != 0 &&
	       which != VALUES - STATES + attack->state;
}

/* As somebody leaves it who dies there. */
static void leave_in(enum state state)
{
	/* Of a participant that nobody is. */
	uint64_t died = TNI_GATE_OWNER_DIED | UINT64_C(3) << TNI_GATE_HOLDER_SHIFT, open = 3;
	uint32_t note = state == IN_SETTING_ONE ? TNI_SET_NOTE_ONE : TNI_SET_NOTE_ALL;

	if (state == WHOLE)
		return;
	if (state == IN_LIST)
		write_word(extra_offset() + offsetof(struct tni_set_head, open), &open,
			   sizeof(open));
	else
		write_word(extra_offset() + offsetof(struct tni_set_head, note), &note,
			   sizeof(note));
	write_word(cell_offset() + offsetof(struct tni_cell, gate), &died, sizeof(died));
}

/* The victim's part. */
static void suffer(const void *context)
{
	const struct attack *attack = context;
	struct tenon_semaphore_operation list[] = {{0, -1, UNDO}, {1, 1, UNDO}};

	for (uint32_t i = 0; i < VALUES; i++) {
		struct tenon_semaphore_set *set;

		if (is_left_out(attack, i))
			continue;
		remove_set();
		if (open_set(TENON_CREATE, &set) != 0 ||
		    tenon_semaphore_set_operate(set, list, 2, 0) != 0)
			_exit(4);
		leave_in(attack->state);
		write_word(attack->offset, &values[i], sizeof(values[i]));
		do_all(set);
		set = tenon_semaphore_set_close(set);
	}
}

static bool survives(uint64_t offset, enum state state)
{
	struct attack attack = {offset, state};
	int status = patience_run(suffer, &attack, PATIENCE_S);

	if (status != 0)
		printf("# offset %llu, state %d: status %x\n", (unsigned long long)offset, state,
		       (unsigned)status);
	return status == 0;
}

struct range {
	uint64_t from, bytes;
};

/* Who died setting values is looked after as by name, and costs its time once. */
static uint32_t states(void)
{
	return is_placed && !all ? IN_LIST + 1 : STATES;
}

/* Answers how many victims had no good end. */
static uint32_t attack_all(const struct range *ranges, size_t count, uint32_t *words)
{
	uint32_t failed = 0;

	for (size_t i = 0; i < count; i++) {
		for (uint64_t j = 0; j < ranges[i].bytes; j += sizeof(uint64_t)) {
			++*words;
			for (uint32_t state = WHOLE; state < states(); state++)
				failed += !survives(ranges[i].from + j, (enum state)state);
		}
	}
	return failed;
}

/* Those that every set has, wherever it lies. */
static uint32_t attack_set(uint32_t *words)
{
	uint64_t extra = extra_offset(), cell = cell_offset();
	uint64_t second = extra + 4 * TNI_PAGE_BYTES; /* the values, behind the journal */
	uint64_t undo = extra + tni_set_extra_bytes(PARTICIPANTS, COUNT) - TNI_PAGE_BYTES;
	const struct range ranges[] = {
		{0, sizeof(struct tni_object_header)},
		{TNI_PARTICIPANTS_OFFSET, sizeof(struct tni_participant)},
		{extra - TNI_PAGE_BYTES, 2 * sizeof(struct tni_row)},
		{extra, sizeof(struct tni_set_head) + 6 * sizeof(struct tni_set_entry)},
		{second, COUNT * sizeof(struct tni_a64)},
		{second + TNI_PAGE_BYTES, COUNT * sizeof(struct tni_a64)},
		{second + 2 * TNI_PAGE_BYTES, 2 * sizeof(struct tni_set_waiter)},
		{undo, 2 * sizeof(uint64_t)},
		{cell, 192},
		{cell + offsetof(struct tni_cell, turnstile), sizeof(struct tni_turnstile)},
		{cell + offsetof(struct tni_cell, gate), sizeof(struct tni_gate)},
	};

	return attack_all(ranges, sizeof(ranges) / sizeof(ranges[0]), words);
}

static uint32_t attack_region(uint32_t *words)
{
	uint64_t control = tni_region_control_offset(PARTICIPANTS);
	const struct range ranges[] = {
		{control, sizeof(uint64_t)},
		{control + offsetof(struct tni_region_control, gate), 5 * sizeof(uint64_t)},
		{control + offsetof(struct tni_region_control, writers), sizeof(uint64_t)},
		/* Of the table. */
		{control + sizeof(struct tni_region_control), 2 * sizeof(uint64_t)},
	};

	return attack_all(ranges, sizeof(ranges) / sizeof(ranges[0]), words);
}

int main(int argc, char **argv)
{
	uint32_t words = 0, failed;
	char folder[FOLDER_BYTES];

	for (int i = 1; i < argc; i++) {
		all |= strcmp(argv[i], "--all") == 0;
		is_placed |= strcmp(argv[i], "--placed") == 0;
	}
	if (folder_make(folder) != 0)
		return 2;
	failed = attack_set(&words);
	if (is_placed)
		failed += attack_region(&words);
	printf("semset_scribble: %u words, %u values each, %u states: %u failed\n", words,
	       (unsigned)VALUES, states(), failed);
	folder_remove(folder);
	return failed > 0;
}
