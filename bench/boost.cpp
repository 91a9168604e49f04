// SPDX-License-Identifier: Apache-2.0
/* Boost.Interprocess behind functions of C; see boost.h. */

#include <cerrno>
#include <exception>

#include <boost/interprocess/ipc/message_queue.hpp>
#include <boost/interprocess/sync/named_mutex.hpp>

#include "boost.h"

namespace ipc = boost::interprocess;

/* Of the exception that is being handled. */
static int error_of_exception()
{
	try {
		throw;
	} catch (const ipc::interprocess_exception &exception) {
		int error = exception.get_native_error();

		return error > 0 ? -error : -EIO;
	} catch (const std::bad_alloc &) {
		return -ENOMEM;
	} catch (...) {
		return -EIO;
	}
}

int boost_queue_create(const char *name, size_t depth, size_t bytes)
try {
	ipc::message_queue queue(ipc::create_only, name, depth, bytes);

	return 0;
} catch (...) {
	return error_of_exception();
}

int boost_queue_open(const char *name, void **ret_queue)
try {
	*ret_queue = new ipc::message_queue(ipc::open_only, name);
	return 0;
} catch (...) {
	return error_of_exception();
}

int boost_queue_send(void *queue, const void *data, size_t bytes, unsigned priority, bool wait)
try {
	auto *self = static_cast<ipc::message_queue *>(queue);

	if (!wait)
		return self->try_send(data, bytes, priority) ? 0 : -EAGAIN;
	self->send(data, bytes, priority);
	return 0;
} catch (...) {
	return error_of_exception();
}

int boost_queue_receive(void *queue, void *buffer, size_t bytes, bool wait)
try {
	auto *self = static_cast<ipc::message_queue *>(queue);
	ipc::message_queue::size_type received = 0;
	unsigned priority = 0;

	if (wait)
		self->receive(buffer, bytes, received, priority);
	else if (!self->try_receive(buffer, bytes, received, priority))
		return -EAGAIN;
	return received == bytes ? 0 : -EPIPE;
} catch (...) {
	return error_of_exception();
}

void boost_queue_remove(const char *name)
{
	ipc::message_queue::remove(name);
}

int boost_mutex_create(const char *name)
try {
	ipc::named_mutex mutex(ipc::create_only, name);

	return 0;
} catch (...) {
	return error_of_exception();
}

int boost_mutex_open(const char *name, void **ret_mutex)
try {
	*ret_mutex = new ipc::named_mutex(ipc::open_only, name);
	return 0;
} catch (...) {
	return error_of_exception();
}

int boost_mutex_lock(void *mutex)
try {
	static_cast<ipc::named_mutex *>(mutex)->lock();
	return 0;
} catch (...) {
	return error_of_exception();
}

int boost_mutex_unlock(void *mutex)
try {
	static_cast<ipc::named_mutex *>(mutex)->unlock();
	return 0;
} catch (...) {
	return error_of_exception();
}

void boost_mutex_remove(const char *name)
{
	ipc::named_mutex::remove(name);
}
