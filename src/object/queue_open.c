/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The layout of a queue's file, making it, opening it, letting go of it.
 *
 * Offsets follow from the attributes alone (tables_of), and the attributes are checked against what
 * this library would have chosen, so nothing in the file can move a table.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/access.h"
#include "core/file.h"
#include "core/namespace.h"
#include "object/named.h"
#include "object/queue_limit.h"
#include "object/queue_order.h"
#include "object/queue_private.h"

#define CHUNK_LEAST_BYTES 4096u
#define CHUNK_MOST_BYTES 16384u
#define TABLE_MOST (1u << 20)
/* Of address space; memory is taken as it is needed. */
#define LOG_MOST_BYTES (UINT64_C(64) << 30)
/* Slots that are used before freed ones are fetched. */
#define SPARE_SLOTS 16u
#define SPARE_BYTES 32768u
#define SLOTS_MOST_BYTES (UINT64_C(512) << 30)
/* What is short in an ordered queue, where it may be copied once more; and room for such messages. */
#define ORDERED_INLINE_BYTES 256u
#define HELD_MOST_BYTES (UINT64_C(64) << 30)

static uint64_t align_up(uint64_t value, uint64_t to)
{
	return (value + to - 1) / to * to;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t most(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* A chunk holds as many of the longest messages as the queue does, and sixteen at least, within its
 * bounds: going from one chunk to the next takes longer than a message. */
static uint32_t chunk_bytes_for(uint64_t record_bytes, uint64_t capacity)
{
	uint64_t bytes = CHUNK_LEAST_BYTES;

	while (bytes < CHUNK_MOST_BYTES && bytes < most(capacity, 16) * record_bytes)
		bytes *= 2;
	return (uint32_t)bytes;
}

static uint64_t head_bytes(const struct tni_queue_attributes *attributes)
{
	return attributes->order == TENON_QUEUE_FIFO ? 8 : 16;
}

static void derive(struct tni_queue_attributes *attributes)
{
	bool fifo = attributes->order == TENON_QUEUE_FIFO;
	uint64_t capacity = attributes->capacity, records, record_bytes;

	if (capacity == TENON_QUEUE_UNBOUNDED || capacity == TENON_QUEUE_RENDEZVOUS)
		capacity = TENON_QUEUE_MAX_CAPACITY;
	record_bytes = fifo ? attributes->max_message_bytes
			    : least(attributes->max_message_bytes, ORDERED_INLINE_BYTES);
	record_bytes = head_bytes(attributes) + align_up(record_bytes, 8);
	attributes->chunk_bytes = chunk_bytes_for(record_bytes, capacity);
	attributes->inline_max_bytes = (uint32_t)least(attributes->max_message_bytes,
						       fifo ? attributes->chunk_bytes / 4 - 32
							    : ORDERED_INLINE_BYTES);
	/* A record that names a slot has a word for it. */
	record_bytes = head_bytes(attributes) + most(8, align_up(attributes->inline_max_bytes, 8));
	records = (attributes->chunk_bytes - sizeof(struct tni_chunk) - 8) / record_bytes;
	attributes->data_bytes = align_up(most(attributes->max_message_bytes, 1), 64);
	if (attributes->data_bytes > TNI_PAGE_BYTES / 2)
		attributes->data_bytes = align_up(attributes->data_bytes, TNI_PAGE_BYTES);
	attributes->loans_max = TABLE_MOST;
	attributes->receipts_max = TABLE_MOST;
	attributes->leases_max = (uint32_t)least(capacity, TABLE_MOST);
	/* A bucket for each message, and a fork in each tree that it hangs in. */
	attributes->nodes_max = fifo ? 1
				     : (uint32_t)least(tni_order_nodes(attributes) * capacity,
						       UINT64_C(1) << 29);
	attributes->held_bytes = (uint32_t)(sizeof(struct tni_slot) +
					    align_up(most(attributes->inline_max_bytes, 1), 64));
	attributes->held_max =
		fifo ? 0 : (uint32_t)least(capacity, HELD_MOST_BYTES / attributes->held_bytes);
	/* A lease may hold a chunk each; one more is being filled, one emptied. */
	attributes->chunks_max = (uint32_t)least(capacity / records + least(capacity, TABLE_MOST) +
							 4,
						 LOG_MOST_BYTES / attributes->chunk_bytes);
	attributes->slots_max = (uint32_t)most(
		64, least(least(capacity + TNI_PARTICIPANTS_MAX, UINT32_MAX - 1),
			  SLOTS_MOST_BYTES / attributes->data_bytes));
}

static struct tni_table table(uint64_t *offset, uint64_t entry_bytes, uint32_t max)
{
	struct tni_table made = {.offset = *offset, .entry_bytes = entry_bytes, .max = max};

	*offset = align_up(*offset + entry_bytes * max, TNI_PAGE_BYTES);
	return made;
}

/* Where everything lies.  Answers the address space it takes. */
static uint64_t tables_of(const struct tni_queue_attributes *attributes, uint32_t participants,
			  uint64_t *ret_control, struct tenon_queue *queue)
{
	uint64_t offset = tni_object_own_offset(participants);

	*ret_control = offset;
	offset += 2 * TNI_PAGE_BYTES;
	queue->object.stakes_offset = offset;
	offset += tni_stakes_bytes(participants);
	queue->receipts = table(&offset, sizeof(struct tni_receipt), attributes->receipts_max);
	queue->loans = table(&offset, sizeof(struct tni_loan), attributes->loans_max);
	queue->leases = table(&offset, sizeof(struct tni_lease), attributes->leases_max);
	queue->nodes = table(&offset, sizeof(struct tni_node), attributes->nodes_max);
	queue->held = table(&offset, attributes->held_bytes, attributes->held_max);
	queue->chunks = table(&offset, attributes->chunk_bytes, attributes->chunks_max);
	queue->slots = table(&offset, sizeof(struct tni_slot), attributes->slots_max);
	queue->slots.spare = (uint32_t)least(SPARE_SLOTS, SPARE_BYTES / attributes->data_bytes);
	queue->data = table(&offset, attributes->data_bytes, attributes->slots_max);
	return offset;
}

static int attributes_from(const struct tenon_queue_options *options,
			   struct tni_queue_attributes *attributes)
{
	if (options->order > TENON_QUEUE_TYPED || options->full > TENON_QUEUE_DROP_NEWEST ||
	    options->max_message_bytes > TENON_QUEUE_MAX_MESSAGE_BYTES ||
	    (options->capacity > TENON_QUEUE_MAX_CAPACITY &&
	     options->capacity != TENON_QUEUE_UNBOUNDED))
		return -EINVAL;
	if (options->capacity == TENON_QUEUE_RENDEZVOUS &&
	    (options->full != TENON_QUEUE_WAIT || options->max_bytes != 0))
		return -EINVAL;
	memset(attributes, 0, sizeof(*attributes));
	attributes->order = options->order;
	attributes->full = options->full;
	attributes->capacity = options->capacity;
	attributes->max_message_bytes = options->max_message_bytes;
	derive(attributes);
	return 0;
}

static int options_check(const struct tenon_queue_options *options,
			 struct tenon_queue_options *checked)
{
	*checked = (struct tenon_queue_options){
		.size = sizeof(*checked),
		.capacity = TENON_QUEUE_DEFAULT_CAPACITY,
		.max_message_bytes = TENON_QUEUE_DEFAULT_MESSAGE_BYTES,
		.mode = TENON_QUEUE_DEFAULT_MODE,
	};
	if (options) {
		int result = tni_options_copy(checked, sizeof(*checked), options,
					      TENON_QUEUE_SPLIT_MODE);

		if (result != 0)
			return result;
	}
	if (checked->max_participants == 0)
		checked->max_participants = TENON_QUEUE_DEFAULT_PARTICIPANTS;
	if (checked->max_participants > TENON_QUEUE_MAX_PARTICIPANTS || checked->mode & ~0777u)
		return -EINVAL;
	return 0;
}

struct birth {
	struct tni_queue_attributes attributes;
	uint64_t control_offset, max_bytes;
	bool is_hollow;
	struct tenon_queue tables;
};

/* Memory of the first chunks, and of leases, whatever has taken it meanwhile; of a new file, whose length it is then, too. */
static int take_first(int fd, const struct tenon_queue *tables, uint64_t chunk_bytes,
		      int (*take)(int fd, uint64_t offset, uint64_t bytes))
{
	int result = take(fd, tables->chunks.offset, 2 * chunk_bytes);

	return result == 0 ? take(fd, tables->leases.offset, TNI_PAGE_BYTES) : result;
}

/* As long as with it. */
static int make_long(int fd, const struct birth *birth)
{
	uint64_t end = most(birth->tables.chunks.offset +
				    UINT64_C(2) * birth->attributes.chunk_bytes,
			    birth->tables.leases.offset + TNI_PAGE_BYTES);
	struct rlimit limit;

	/* No SIGXFSZ. */
	if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && end > limit.rlim_cur)
		return -EFBIG;
	return ftruncate(fd, (off_t)end) == 0 ? 0 : -errno;
}

/* The rest of a new file: attributes, and a log of one empty chunk.  Another chunk is there for the log to
 * go on in, and a page of leases for who takes, whatever has taken the memory meanwhile. */
static int fill(int fd, uint8_t *base, const void *context)
{
	const struct birth *birth = context;
	struct tni_queue_control *control = (struct tni_queue_control *)(base +
									 birth->control_offset);
	int result = tni_file_reserve(fd, birth->control_offset, sizeof(*control));

	if (result == 0)
		result = birth->is_hollow
				 ? make_long(fd, birth)
				 : take_first(fd, &birth->tables, birth->attributes.chunk_bytes,
					      tni_file_reserve);
	if (result != 0)
		return result;
	memcpy(base + TNI_QUEUE_ATTRIBUTES_OFFSET, &birth->attributes, sizeof(birth->attributes));
	tni_set64(&control->send.chunks.pool.top, 2);
	tni_set64(&control->send.chunks.pool.free_link, 2);
	tni_set64(&control->send.chunks.pool.used, 1);
	tni_set64(&control->send.state[0].tail, sizeof(struct tni_chunk));
	tni_set64(&control->receive.state[0].head, sizeof(struct tni_chunk));
	tni_set64(&control->max_bytes, birth->max_bytes);
	if (birth->max_bytes != 0)
		tni_set32(&control->poll_wanted, TNI_BYTES_LIMITED);
	return 0;
}

static int prepare(const struct tenon_queue_options *options, struct tni_object_header *ret_header,
		   struct birth *ret_birth)
{
	int result = attributes_from(options, &ret_birth->attributes);

	if (result != 0)
		return result;
	ret_birth->max_bytes = options->max_bytes;
	*ret_header = (struct tni_object_header){
		.kind = TENON_KIND_QUEUE,
		.participants_max = options->max_participants,
		.access = options->flags & TENON_QUEUE_SPLIT_MODE ? TNI_ACCESS_GIVEN : 0,
		.extent_bytes = tables_of(&ret_birth->attributes, options->max_participants,
					  &ret_birth->control_offset, &ret_birth->tables)};
	return 0;
}

static int create(int directory_fd, const char *file_name, const char *name,
		  const struct tenon_queue_options *options, uint64_t *ret_inode)
{
	struct tni_object_header header;
	struct birth birth = {.is_hollow = false};
	int result = prepare(options, &header, &birth);

	if (result != 0)
		return result;
	return tni_object_make(directory_fd, file_name, name, (mode_t)options->mode, &header, fill,
			       &birth, ret_inode);
}

int tni_queue_make_nameless(int directory_fd, const struct tenon_queue_options *options,
			    int *ret_fd)
{
	struct tenon_queue_options checked;
	struct tni_object_header header;
	struct birth birth = {.is_hollow = true};
	int result = options_check(options, &checked);

	if (result == 0)
		result = prepare(&checked, &header, &birth);
	if (result != 0)
		return result;
	header.hollow = 1;
	return tni_object_make_nameless(directory_fd, (mode_t)checked.mode, &header, fill, &birth,
					ret_fd);
}

/* The attributes in the file, if this library would have written them. */
static int read_attributes(const struct tni_object *object,
			   struct tni_queue_attributes *ret_attributes)
{
	struct tenon_queue_options options = {.size = sizeof(options)};
	struct tni_queue_attributes stored, derived;

	memcpy(&stored, object->base + TNI_QUEUE_ATTRIBUTES_OFFSET, sizeof(stored));
	options.order = stored.order;
	options.full = stored.full;
	options.capacity = stored.capacity;
	options.max_message_bytes = stored.max_message_bytes;
	if (attributes_from(&options, &derived) != 0 ||
	    memcmp(&stored, &derived, sizeof(stored)) != 0)
		return -EBADMSG;
	*ret_attributes = stored;
	return 0;
}

static void set_tables(struct tenon_queue *queue)
{
	struct tni_table *tables[] = {&queue->receipts, &queue->loans, &queue->leases,
				      &queue->nodes,	&queue->held,  &queue->chunks,
				      &queue->slots,	&queue->data};

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		tables[i]->base = queue->object.base;
		tables[i]->fd = &queue->object.fd;
	}
}

/* More than this is mapped: taken as it is touched, and not reserved. */
#define PAGES_MOST_BYTES 65536u

static uint64_t pages_bytes(const struct tni_table *table)
{
	return table->max * sizeof(struct tni_a32);
}

/* What this process knows of the memory of each entry; memory of its own. */
static int make_pages(struct tni_table *table)
{
	void *pages;

	if (pages_bytes(table) <= PAGES_MOST_BYTES) {
		pages = calloc(1, pages_bytes(table));
		if (!pages)
			return -ENOMEM;
	} else {
		pages = mmap(NULL, pages_bytes(table), PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (pages == MAP_FAILED)
			return -errno;
	}
	table->pages = pages;
	return 0;
}

static void free_pages(struct tni_table *table)
{
	if (pages_bytes(table) <= PAGES_MOST_BYTES)
		free(table->pages);
	else if (table->pages)
		munmap(table->pages, pages_bytes(table));
	table->pages = NULL;
}

static int make_all_pages(struct tenon_queue *queue)
{
	int result = make_pages(&queue->chunks);

	if (result == 0 && queue->data.entry_bytes >= TNI_PAGE_BYTES)
		result = make_pages(&queue->data);
	return result;
}

static void free_all_pages(struct tenon_queue *queue)
{
	free_pages(&queue->chunks);
	free_pages(&queue->data);
}

/* Of a queue whose mode says who may do what; whoever makes one may open it. */
static int check_access(const struct tenon_queue *queue)
{
	const struct tni_object *object = &queue->object;
	struct stat status;

	if (!(object->header.access & TNI_ACCESS_GIVEN) || object->inode == queue->made_inode)
		return 0;
	if (fstat(object->fd, &status) != 0)
		return -errno;
	return tni_access_is_granted(object->header.access & 0777, status.st_uid, status.st_gid,
				     queue->access)
		       ? 0
		       : -EACCES;
}

static int open_existing(int directory_fd, const char *file_name, struct tenon_queue *queue)
{
	struct tni_object *object = &queue->object;
	uint64_t control_offset;
	int result = tni_object_open(directory_fd, file_name, TENON_KIND_QUEUE, object);

	if (result != 0)
		return result;
	if (object->file_bytes < 2 * TNI_PAGE_BYTES)
		result = -EBADMSG;
	else
		result = check_access(queue);
	if (result == 0)
		result = read_attributes(object, &queue->attributes);
	if (result == 0 && tables_of(&queue->attributes, object->header.participants_max,
				     &control_offset, queue) != object->extent_bytes)
		result = -EBADMSG;
	/* Cut off: what its maker had made sure of is not there any more. */
	if (result == 0 &&
	    object->file_bytes < queue->chunks.offset + 2 * queue->attributes.chunk_bytes)
		result = -EBADMSG;
	if (result == 0)
		result = tni_file_refill(object->fd, control_offset + 2 * TNI_PAGE_BYTES);
	if (result == 0 && object->header.hollow)
		result = take_first(object->fd, queue, queue->attributes.chunk_bytes,
				    tni_file_refill_range);
	if (result == 0) {
		/* With them the participants are there; one look maps the pages around it. */
		tni_set32(&object->known, object->header.participants_max);
		(void)*(volatile const uint8_t *)object->base;
	}
	if (result != 0) {
		tni_object_close(object);
		return result;
	}
	queue->control = (struct tni_queue_control *)(object->base + control_offset);
	set_tables(queue);
	result = tni_is_destroyed(queue) ? -EIDRM : make_all_pages(queue);
	if (result != 0) {
		free_all_pages(queue);
		tni_object_close(object);
		return result;
	}
	queue->house = (struct tni_gatehouse){
		.gate = {&queue->control->send.gate, &queue->control->receive.gate},
		.gates = TNI_GATES,
		.lanes = queue->attributes.order == TENON_QUEUE_TYPED ? &queue->control->lanes
								      : NULL,
		.waitroom = &queue->control->waitroom,
		.top = object->header.participants_max,
		.is_gone = tni_object_thread_is_gone,
		.is_doubtful = tni_object_may_live,
		.is_own = tni_object_is_own,
		.object = object,
	};
	queue->short_bytes = queue->attributes.inline_max_bytes;
	queue->head_bytes = head_bytes(&queue->attributes);
	queue->chunk_shift = (uint32_t)__builtin_ctz(queue->attributes.chunk_bytes);
	object->bury = tni_queue_bury;
	object->renew = tni_queue_renew;
	object->rouse = tni_queue_rouse;
	result = tni_object_attach(object);
	if (result != 0) {
		tni_object_close(object);
		free_all_pages(queue);
		return result;
	}
	return 0;
}

/* The folder's own path, for the descriptors to poll: a relative one would change its meaning with the
 * working directory. */
static char *path_of(int directory_fd, const char *namespace_path)
{
	char link[32], path[4096];
	ssize_t bytes;

	if (namespace_path && namespace_path[0] == '/')
		return strdup(namespace_path);
	if (!namespace_path && tenon_namespace_path(path, sizeof(path)) == 0 && path[0] == '/')
		return strdup(path);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", directory_fd);
	bytes = readlink(link, path, sizeof(path) - 1);
	if (bytes < 0)
		return NULL;
	path[bytes] = '\0';
	return strdup(path);
}

static struct tni_a64 handles;

static int make_queue(int directory_fd, const char *file_name, const char *name, void *context,
		      uint64_t *ret_inode)
{
	struct tenon_queue *queue = context;
	int result = create(directory_fd, file_name, name, &queue->making, ret_inode);

	if (result == 0)
		queue->made_inode = *ret_inode;
	return result;
}

static int open_queue(int directory_fd, const char *file_name, void *context)
{
	struct tenon_queue *queue = context;

	/* Attaching may bring the dead's leases back, and tell those who poll. */
	if (!queue->directory)
		queue->directory = path_of(directory_fd, queue->namespace_path);
	return queue->directory ? open_existing(directory_fd, file_name, queue) : -ENOMEM;
}

static void close_queue(void *context)
{
	struct tenon_queue *queue = context;

	tni_object_close(&queue->object);
	free_all_pages(queue);
}

static const struct tni_kind queue_kind = {
	.kind = TENON_KIND_QUEUE, .make = make_queue, .open = open_queue, .close = close_queue};

int tenon_queue_open(const char *namespace_path, const char *name, uint32_t flags,
		     const struct tenon_queue_options *options, struct tenon_queue **ret_queue)
{
	return tni_queue_open_for(namespace_path, name, flags, TENON_READABLE | TENON_WRITABLE,
				  options, ret_queue);
}

int tni_queue_open_for(const char *namespace_path, const char *name, uint32_t flags,
		       uint32_t access, const struct tenon_queue_options *options,
		       struct tenon_queue **ret_queue)
{
	struct tenon_queue_options checked = {.size = 0};
	struct tenon_queue *queue;
	int result = ret_queue ? 0 : -EINVAL;

	if (result == 0 && (flags & TENON_QUEUE_CREATE))
		result = options_check(options, &checked);
	if (result != 0)
		return result;
	queue = calloc(1, sizeof(*queue));
	if (!queue)
		return -ENOMEM;
	queue->handle = 1 + tni_fetch_add64(&handles, 1);
	queue->making = checked;
	queue->access = access;
	queue->namespace_path = namespace_path;
	result = tni_named_open(&queue_kind, namespace_path, name, flags, queue);
	queue->namespace_path = NULL;
	if (result != 0) {
		free(queue->directory);
		free(queue);
		return result;
	}
	*ret_queue = queue;
	return 0;
}

uint64_t tni_queue_messages(const struct tenon_queue *queue)
{
	return tni_queue_available(queue);
}

void tni_queue_limits(const struct tenon_queue *queue, uint64_t *ret_capacity,
		      uint64_t *ret_message_bytes)
{
	*ret_capacity = queue->attributes.capacity;
	*ret_message_bytes = queue->attributes.max_message_bytes;
}

int tni_queue_is_free(const char *namespace_path, const char *name)
{
	return tni_named_is_free(TENON_KIND_QUEUE, namespace_path, name);
}

void tni_queue_identity(const struct tenon_queue *queue, uint64_t *ret_inode, uint64_t *ret_id)
{
	*ret_inode = queue->object.inode;
	*ret_id = queue->object.header.id;
}

struct tenon_queue *tenon_queue_close(struct tenon_queue *queue)
{
	if (!queue)
		return NULL;
	tni_notice_leave(queue);
	tni_memory_leave(queue);
	tni_fifo_remove_left(queue);
	close_queue(queue);
	tni_deathwatch_close(&queue->watch);
	for (uint32_t side = 0; side < TNI_GATES; side++)
		if (tni_get32(&queue->poll_fd[side]) != 0)
			close((int)tni_get32(&queue->poll_fd[side]) - 1);
	tni_pair_close(queue);
	free(queue->directory);
	free(queue);
	return NULL;
}

int tenon_queue_remove(const char *namespace_path, const char *name)
{
	return tni_named_remove(TENON_KIND_QUEUE, namespace_path, name, tni_fifo_remove);
}
