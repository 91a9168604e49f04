/* SPDX-License-Identifier: Apache-2.0 */

/* <sys/msg.h>: what it defines.  It is the first header here, since it has to stand alone. */

#include <sys/msg.h>

static int (*const controls)(int, int, struct msqid_ds *) = msgctl;
static int (*const gets)(key_t, int) = msgget;
static ssize_t (*const receives)(int, void *, size_t, long, int) = msgrcv;
static int (*const sends)(int, const void *, size_t, int) = msgsnd;

static struct msqid_ds status_type;
static struct ipc_perm *const perm_member = &status_type.msg_perm;
static msgqnum_t *const qnum_member = &status_type.msg_qnum;
static msglen_t *const qbytes_member = &status_type.msg_qbytes;
static pid_t *const lspid_member = &status_type.msg_lspid;
static pid_t *const lrpid_member = &status_type.msg_lrpid;
static time_t *const stime_member = &status_type.msg_stime;
static time_t *const rtime_member = &status_type.msg_rtime;
static time_t *const ctime_member = &status_type.msg_ctime;

#include "sysv_msg.h"

REQUIREMENT(header_types, "<sys/msg.h>, DESCRIPTION",
	    "it defines msgqnum_t, msglen_t, and struct msqid_ds with its members and their types")
{
	EXPECT((msgqnum_t)-1 > 0 && sizeof(msgqnum_t) >= sizeof(unsigned short));
	EXPECT((msglen_t)-1 > 0 && sizeof(msglen_t) >= sizeof(unsigned short));
	EXPECT(perm_member && qnum_member && qbytes_member && lspid_member && lrpid_member);
	EXPECT(stime_member && rtime_member && ctime_member);
	EXPECT_IS(sizeof(status_type.__msg_cbytes), sizeof(long));
}

REQUIREMENT(header_functions, "<sys/msg.h>, DESCRIPTION",
	    "it declares the four functions, and their addresses can be called")
{
	struct message message = {.type = 1};
	struct msqid_ds status;
	int id = note(MSG, gets(IPC_PRIVATE, 0600));

	EXPECT(id >= 0);
	EXPECT_IS(sends(id, &message, 1, 0), 0);
	EXPECT_IS(receives(id, &message, 1, 0, 0), 1);
	EXPECT_IS(controls(id, IPC_STAT, &status), 0);
	EXPECT_IS(controls(id, IPC_RMID, NULL), 0);
}

REQUIREMENT(header_constants, "<sys/msg.h>, DESCRIPTION; msgop(2), msgctl(2)",
	    "MSG_NOERROR and what Linux adds have the values that programs were compiled with")
{
	EXPECT_IS(MSG_NOERROR, 010000);
	EXPECT_IS(MSG_EXCEPT, 020000);
	EXPECT_IS(MSG_COPY, 040000);
	EXPECT_IS(MSG_STAT, 11);
	EXPECT_IS(MSG_INFO, 12);
	EXPECT_IS(MSG_STAT_ANY, 13);
}

REQUIREMENT(header_linux, "msgctl(2), msgop(2), DESCRIPTION",
	    "struct msgbuf and struct msginfo have their members")
{
	struct msgbuf buffer = {.mtype = 1, .mtext = {'x'}};
	struct msginfo info = {.msgpool = 1,
			       .msgmap = 2,
			       .msgmax = 3,
			       .msgmnb = 4,
			       .msgmni = 5,
			       .msgssz = 6,
			       .msgtql = 7,
			       .msgseg = 8};
	int id = make(MSG);

	EXPECT_IS(sizeof(info), 32);
	EXPECT_IS(msgsnd(id, &buffer, 1, 0), 0);
	EXPECT_IS(msgrcv(id, &buffer, 1, 0, 0), 1);
}
