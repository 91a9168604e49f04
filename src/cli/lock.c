/* SPDX-License-Identifier: Apache-2.0 */

/*
 * tenon lock: runs a command while it holds a lock, as flock(1) does.
 *
 * A lock is its holder's own, and is handed on at the instant at which the holder dies, a little
 * before the kernel tells the holder's children of that.  So the holder is a process between the one
 * that was called and the command:
 *
 *	front	the process that was called: passes signals on, and waits
 *	holder	its child: acquires, runs the command, releases
 *	command	the holder's child
 *
 *	who dies		what becomes of the lock
 *	the command, by exit	it is released; after the death of an earlier holder it is declared
 *				repaired, if the command succeeded
 *	the command, by signal	it is let go of as by a dead holder: the next one is warned
 *	front			the holder gets SIGTERM, sees that it has another parent, kills the
 *				command, waits for its end and lets go as above; while it waits for
 *				the lock, it gets SIGKILL
 *	holder			the kernel lets go, and then kills the command
 *	all at once		as the holder
 *
 * A terminal's signals reach all three, which are of one process group; those that others send to one
 * process are passed on, down to the command.
 */

#include "child.h"
#include "kind.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OPTION_IF_DEAD = 256 };

static const char *const if_dead_words[] = {"run", "fail", NULL};
enum { IF_DEAD_RUN, IF_DEAD_FAIL };

struct lock_request {
	char name[258];
	char **arguments;
	bool nonblock, quiet;
	int64_t timeout_ns; /* -1: none */
	int conflict_status;
	uint32_t if_dead;
};

/* Passed on to the command, which decides what becomes of it. */
static const int passed_signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM};

static void fill_signals(sigset_t *signals)
{
	size_t i;

	sigemptyset(signals);
	sigaddset(signals, SIGCHLD);
	for (i = 0; i < sizeof(passed_signals) / sizeof(passed_signals[0]); ++i)
		sigaddset(signals, passed_signals[i]);
}

/* What comes from the kernel, as from a terminal, the child has got as well; but of a terminal that
 * hangs up, the leader of the session alone is told. */
static bool is_for_child(int number, const siginfo_t *information)
{
	return information->si_code <= 0 || (number == SIGHUP && getsid(0) == getpid());
}

/*
 * Waits for the child and passes signals on to it.  If this process gets another parent than
 * `parent`, which asked to be told by SIGTERM, the child is killed, and `*ret_orphaned` is true.
 * The signals are blocked.
 */
static int attend(pid_t child, pid_t parent, bool *ret_orphaned)
{
	siginfo_t information;
	sigset_t signals;
	int number, wait_status;

	fill_signals(&signals);
	*ret_orphaned = false;
	for (;;) {
		if (parent && !*ret_orphaned && getppid() != parent) {
			*ret_orphaned = true;
			kill(child, SIGKILL);
		}
		if (waitpid(child, &wait_status, WNOHANG) == child)
			return wait_status;
		number = sigwaitinfo(&signals, &information);
		if (number > 0 && number != SIGCHLD && is_for_child(number, &information))
			kill(child, number);
	}
}

static void report_owner(struct tenon_lock *lock, const char *name, const char *what)
{
	struct tenon_lock_status status = {.size = sizeof(status)};

	if (!tenon_lock_status(lock, &status) && status.owner_pid > 0)
		cli_kind_warn(&cli_kind_lock, name, "%s: process %d holds it", what,
			      status.owner_pid);
	else
		cli_kind_warn(&cli_kind_lock, name, "%s", what);
}

/* It was not had in time. */
static int report_conflict(const struct lock_request *request, struct tenon_lock *lock)
{
	char what[96] = "it is not free";

	if (request->quiet)
		return request->conflict_status;
	if (request->timeout_ns > 0)
		snprintf(what, sizeof(what), "it was not free within %s",
			 cli_format_exactly(request->timeout_ns));
	report_owner(lock, request->name, what);
	return request->conflict_status;
}

/* Says why it cannot be had, and what the exit status is, which may be 0. */
static int refuse(const struct lock_request *request, struct tenon_lock *lock, int error)
{
	const char *name = request->name;

	switch (-error) {
	case ENOTRECOVERABLE:
		cli_kind_warn(
			&cli_kind_lock, name,
			"it was given up, because what it protects is lost; mend that, remove "
			"the lock with 'tenon rm --kind lock %s', and it is made anew",
			name);
		return CLI_DAMAGED;
	case EBUSY:
	case ETIMEDOUT:
		return report_conflict(request, lock);
	case ENOTSUP:
		cli_kind_warn(&cli_kind_lock, name,
			      "the C library in use is not glibc: nobody would be told of this "
			      "process's death");
		return CLI_FAILED;
	default:
		return cli_kind_error(&cli_kind_lock, name, error);
	}
}

/* An earlier holder died.  Whether the command is to run. */
static bool dares(const struct lock_request *request)
{
	const char *name = request->name;

	if (request->if_dead == IF_DEAD_RUN)
		cli_kind_warn(&cli_kind_lock, name,
			      "who held it before died in the middle: what it protects may be half "
			      "done; the command runs nevertheless, and the next one is warned as "
			      "well unless it succeeds");
	else
		cli_kind_warn(&cli_kind_lock, name,
			      "who held it before died in the middle: what it protects may be half "
			      "done; the command was not run; look at it, and then 'tenon lock %s "
			      "-- true' says that it is sound",
			      name);
	return request->if_dead == IF_DEAD_RUN;
}

/* A signal ends the wait, and the process with it, as that of any program.  One that comes between
 * the end of the wait and the blocking of signals ends a process that holds the lock: the next one is
 * warned for nothing. */
static int acquire(const struct lock_request *request, struct tenon_lock *lock,
		   const sigset_t *old_mask)
{
	int64_t deadline_ns = TENON_NO_DEADLINE;
	sigset_t blocked;
	int error = tenon_lock_try(lock);

	if (error != -EBUSY || request->nonblock)
		return error;
	if (request->timeout_ns >= 0)
		deadline_ns = tenon_deadline_after(request->timeout_ns);
	fill_signals(&blocked);
	sigprocmask(SIG_SETMASK, old_mask, NULL);
	error = tenon_lock_acquire(lock, deadline_ns);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	return error;
}

static int report_start(const struct lock_request *request, int error, bool exec)
{
	if (!exec)
		return cli_system_error("cannot start a process", error);
	cli_warn("cannot run '%s': %s", request->arguments[0], strerror(-error));
	/* What shells and env(1) answer. */
	return error == -ENOENT ? 127 : 126;
}

/* Runs the command with the lock held, and releases it unless the command was cut off. */
static int run_command(const struct lock_request *request, struct tenon_lock *lock, bool died,
		       pid_t front, const sigset_t *old_mask)
{
	const struct cli_child child = {
		.arguments = request->arguments,
		.stdin_fd = -1,
		.death_signal = SIGKILL,
		.old_mask = old_mask,
	};
	bool exec, orphaned;
	pid_t pid;
	int error, wait_status;

	/* In case it died before: then nothing has begun. */
	if (getppid() != front) {
		tenon_lock_release(lock);
		return CLI_FAILED;
	}
	error = cli_child_start(&child, &pid, &exec);
	if (error) {
		tenon_lock_release(lock);
		return report_start(request, error, exec);
	}
	wait_status = attend(pid, front, &orphaned);
	/* Left to tenon_lock_close(), it is as if its holder had died. */
	if (orphaned || !WIFEXITED(wait_status))
		return 128 + (WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : SIGKILL);
	if (died && !WEXITSTATUS(wait_status))
		tenon_lock_repaired(lock);
	tenon_lock_release(lock);
	return WEXITSTATUS(wait_status);
}

static int hold(const struct lock_request *request, pid_t front, const sigset_t *old_mask)
{
	struct tenon_lock *lock;
	int error, status;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != front)
		return CLI_FAILED;
	error = tenon_lock_open(NULL, request->name, TENON_CREATE, NULL, &lock);
	if (error == -ENOENT) {
		cli_kind_warn(&cli_kind_lock, request->name,
			      "there is no namespace folder '%s'; %s", cli_namespace(),
			      cli_namespace_remedy());
		return CLI_MISSING;
	}
	if (error)
		return cli_kind_error(&cli_kind_lock, request->name, error);
	error = acquire(request, lock, old_mask);
	/* From now on the end of the front is one of the signals that are waited for. */
	if (prctl(PR_SET_PDEATHSIG, SIGTERM))
		return cli_system_error("prctl", -errno);
	if (error && error != -EOWNERDEAD) {
		status = refuse(request, lock, error);
	} else if (error && !dares(request)) {
		tenon_lock_release(lock);
		status = CLI_DAMAGED;
	} else {
		status = run_command(request, lock, error != 0, front, old_mask);
	}
	tenon_lock_close(lock);
	return status;
}

static int lock_run(const struct lock_request *request)
{
	sigset_t signals, old_mask;
	pid_t front = getpid(), holder;
	bool orphaned;
	int wait_status;

	signal(SIGCHLD, SIG_DFL);
	fill_signals(&signals);
	if (sigprocmask(SIG_BLOCK, &signals, &old_mask))
		return cli_system_error("sigprocmask", -errno);
	holder = fork();
	if (holder < 0)
		return cli_system_error("cannot start a process", -errno);
	if (!holder)
		return hold(request, front, &old_mask);
	wait_status = attend(holder, 0, &orphaned);
	if (WIFEXITED(wait_status))
		return WEXITSTATUS(wait_status);
	/* It waited for the lock, and whoever sent the signal sees that it was obeyed. */
	signal(WTERMSIG(wait_status), SIG_DFL);
	sigprocmask(SIG_SETMASK, &old_mask, NULL);
	if (WTERMSIG(wait_status) != SIGKILL)
		raise(WTERMSIG(wait_status));
	return 128 + WTERMSIG(wait_status);
}

static int parse_option(int option, struct lock_request *request)
{
	uint64_t number;

	switch (option) {
	case 1:
		return cli_parse_name(optarg, request->name);
	case 'n':
		request->nonblock = true;
		return CLI_OK;
	case 'w':
		return cli_option_duration("--timeout", 0, &request->timeout_ns);
	case 'E':
		if (cli_parse_number(optarg, &number) || number > 255)
			return cli_usage("-E '%s': not a number from 0 to 255", optarg);
		request->conflict_status = (int)number;
		return CLI_OK;
	case 'q':
		request->quiet = true;
		return CLI_OK;
	case OPTION_IF_DEAD:
		if (cli_parse_word(optarg, if_dead_words, &request->if_dead))
			return cli_usage("--if-dead '%s': not one of run, fail", optarg);
		return CLI_OK;
	default:
		return cli_option_status(option);
	}
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		{"nonblock", no_argument, NULL, 'n'},
		{"timeout", required_argument, NULL, 'w'},
		{"conflict-exit-code", required_argument, NULL, 'E'},
		{"if-dead", required_argument, NULL, OPTION_IF_DEAD},
		{"quiet", no_argument, NULL, 'q'},
		CLI_COMMON_OPTIONS,
		{NULL, 0, NULL, 0},
	};
	struct lock_request request = {.timeout_ns = -1, .conflict_status = CLI_NOTHING};
	int option, status, error;

	/* The second operand is the command: what follows belongs to it, "--" or not. */
	while ((option = cli_option(argc, argv, "-nw:E:q", options)) != -1) {
		if (option == 1 && request.name[0]) {
			--optind;
			break;
		}
		status = parse_option(option, &request);
		if (status || option == 'h')
			return status;
	}
	if (!request.name[0] && optind < argc && cli_parse_name(argv[optind++], request.name))
		return CLI_USAGE;
	if (!request.name[0])
		return cli_usage("the name of a lock is missing");
	if (optind == argc)
		return cli_usage("the command is missing: 'tenon lock NAME -- COMMAND'");
	if (request.nonblock && request.timeout_ns >= 0)
		return cli_usage("--nonblock and --timeout do not go together");
	request.arguments = argv + optind;
	error = cli_child_check(request.arguments[0]);
	if (error) {
		cli_warn("cannot run '%s': %s; the lock was not touched", request.arguments[0],
			 strerror(-error));
		return error == -ENOENT ? 127 : 126;
	}
	return lock_run(&request);
}

const struct cli_command cli_command_lock = {
	.name = "lock",
	.synopsis = "[OPTION…] NAME [--] COMMAND [ARGUMENT…]",
	.summary = "run a command while holding a lock",
	.help = "Acquires the lock, which is made if it is missing, runs the command, and releases "
		"it.\n"
		"Ends with the command's status, or 128 and the number of the signal that killed "
		"it.\n"
		"If 'tenon lock' is killed, the command is killed before another gets the lock.\n"
		"\n"
		"  -n, --nonblock               do not wait: status 1 if the lock is not free\n"
		"  -w, --timeout D              wait so long (2, 500ms, 1m): status 1 after that\n"
		"  -E, --conflict-exit-code N   that status instead of 1\n"
		"  -q, --quiet                  say nothing in that case\n"
		"      --if-dead WHAT           when an earlier holder died in the middle: 'run' "
		"the\n"
		"                               command with a warning (usual), or 'fail'\n",
	.run = run,
};
