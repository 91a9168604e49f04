/* SPDX-License-Identifier: Apache-2.0 */

#include "sysv_shm.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "contract.h"

struct shmid_ds shm_status(int id)
{
	struct shmid_ds status;

	memset(&status, 0xff, sizeof(status));
	EXPECT_IS(tenon_shmctl(id, IPC_STAT, &status), 0);
	return status;
}

uint64_t shm_count(int id)
{
	return shm_status(id).shm_nattch;
}

int shm_make(void)
{
	int id = tenon_shmget(IPC_PRIVATE, BYTES, IPC_CREAT | 0600);

	REQUIRE(id >= 0);
	return id;
}

char *shm_attach(int id)
{
	char *bytes = tenon_shmat(id, NULL, 0);

	REQUIRE(bytes != (char *)-1);
	return bytes;
}

/* Files of segments in the namespace. */
uint32_t shm_files(void)
{
	DIR *folder = opendir(contract_folder);
	const struct dirent *entry;
	uint32_t count = 0;

	REQUIRE(folder);
	while ((entry = readdir(folder)))
		count += entry->d_name[0] == 'g';
	closedir(folder);
	return count;
}

/* Removed, without a trace. */
void shm_expect_gone(int id)
{
	struct shmid_ds status;

	EXPECT_IS(tenon_shmctl(id, IPC_STAT, &status), -1);
	EXPECT_IS(errno, EINVAL);
	EXPECT_IS(shm_files(), 0);
}

void shm_remove(int id)
{
	EXPECT_IS(tenon_shmctl(id, IPC_RMID, NULL), 0);
}

int64_t child_hear(const struct child *child)
{
	int64_t number = -1;

	EXPECT_IS(read(child->from, &number, sizeof(number)), sizeof(number));
	return number;
}

void child_tell(const struct child *self, int64_t number)
{
	EXPECT_IS(write(self->to, &number, sizeof(number)), sizeof(number));
}

/* 0 in the child. */
pid_t child_start(struct child *ret_child, bool is_raw)
{
	int up[2], down[2];
	pid_t pid;

	REQUIRE(pipe2(up, O_CLOEXEC) == 0 && pipe2(down, O_CLOEXEC) == 0);
	pid = is_raw ? (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) : fork();
	REQUIRE(pid >= 0);
	if (pid == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	*ret_child = (struct child){pid, pid ? up[0] : down[0], pid ? down[1] : up[1]};
	close(pid ? up[1] : up[0]);
	close(pid ? down[0] : down[1]);
	return pid;
}

void child_finish(const struct child *child, bool kills)
{
	int status;

	if (kills)
		kill(child->pid, SIGKILL);
	EXPECT_IS(waitpid(child->pid, &status, 0), child->pid);
	if (!kills)
		EXPECT_IS(status, 0);
	close(child->from);
	close(child->to);
}
