#include "sysv/identity.h"
#include <errno.h>
#include <tenon/sysv.h>
const struct tni_sysv_kind tni_sysv_shm;
int tenon_shmget(key_t key, size_t bytes, int flags)
{
	(void)key;
	(void)bytes;
	(void)flags;
	errno = ENOSYS;
	return -1;
}
void *tenon_shmat(int id, const void *address, int flags)
{
	(void)id;
	(void)address;
	(void)flags;
	errno = ENOSYS;
	return (void *)-1;
}
int tenon_shmdt(const void *address)
{
	(void)address;
	errno = ENOSYS;
	return -1;
}
int tenon_shmctl(int id, int command, struct shmid_ds *status)
{
	(void)id;
	(void)command;
	(void)status;
	errno = ENOSYS;
	return -1;
}
