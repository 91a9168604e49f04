/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Runs a command while something is held, as flock(1) does.
 *
 * What a process holds is handed on at the instant at which it dies, a little before the kernel tells
 * its children of that.  So the holder is a process between the one that was called and the command:
 *
 *	front	the process that was called: passes signals on, and waits
 *	holder	its child: takes, runs the command, gives back
 *	command	the holder's child
 *
 *	who dies		what becomes of what is held
 *	the command, by exit	it is given back, with what the exit status says about it
 *	the command, by signal	it is given back as cut off; of a lock and a once the next one is warned
 *	front			the holder gets SIGTERM, sees that it has another parent, kills the
 *				command, waits for its end and gives back as above; while it waits to
 *				take, it gets SIGKILL
 *	holder			the kernel hands it on, and then kills the command
 *	all at once		as the holder
 *
 * A terminal's signals reach all three, which are of one process group; those that others send to one
 * process are passed on, down to the command.
 */

#include "hold.h"

#include "child.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const if_dead_words[] = {
	[CLI_IF_DEAD_RUN] = "run",
	[CLI_IF_DEAD_FAIL] = "fail",
	NULL,
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

/* The parent of a process, or 0. */
static pid_t parent_of(pid_t pid)
{
	char path[32], line[512] = "", *end;
	FILE *file;
	int parent = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	/* The name of the program stands in parentheses, and may have some in it. */
	if (fgets(line, sizeof(line), file) && (end = strrchr(line, ')')))
		sscanf(end, ") %*c %d", &parent);
	fclose(file);
	return parent;
}

/* Who holds it may be waiting for this very command, and that is for ever. */
static void warn_of_waiting_for_oneself(const struct cli_hold *hold)
{
	int32_t holder = hold->calls->holder ? hold->calls->holder(hold) : 0;
	pid_t pid;

	if (holder <= 0 || hold->patience.quiet)
		return;
	for (pid = getppid(); pid > 1 && pid != holder;)
		pid = parent_of(pid);
	if (pid == holder)
		cli_kind_warn(hold->kind, hold->name,
			      "process %d has it, and waits for this command to end: this is to "
			      "wait for oneself",
			      holder);
}

/* A signal ends the wait, and the process with it, as that of any program.  One that comes between
 * the end of the wait and the blocking of signals ends a process that holds what it waited for: of a
 * lock the next one is warned for nothing. */
static int take(struct cli_hold *hold, const sigset_t *old_mask)
{
	sigset_t blocked;
	int error = hold->calls->take(hold, 0);

	if (error != -EBUSY || hold->patience.nonblock)
		return error;
	warn_of_waiting_for_oneself(hold);
	fill_signals(&blocked);
	sigprocmask(SIG_SETMASK, old_mask, NULL);
	error = hold->calls->take(hold, cli_patience_deadline(&hold->patience));
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	return error;
}

static int report_start(const struct cli_hold *hold, int error, bool exec)
{
	if (!exec)
		return cli_system_error("cannot start a process", error);
	cli_warn("cannot run '%s': %s", hold->arguments[0], strerror(-error));
	/* What shells and env(1) answer. */
	return error == -ENOENT ? 127 : 126;
}

static int run_command(struct cli_hold *hold, pid_t front, const sigset_t *old_mask)
{
	const struct cli_child child = {
		.arguments = hold->arguments,
		.stdin_fd = -1,
		.death_signal = SIGKILL,
		.old_mask = old_mask,
	};
	bool exec, orphaned;
	pid_t pid;
	int error, wait_status;

	/* In case it died before: then nothing has begun. */
	if (getppid() != front) {
		hold->calls->give(hold, CLI_HOLD_UNBEGUN);
		return CLI_FAILED;
	}
	error = cli_child_start(&child, &pid, &exec);
	if (error) {
		hold->calls->give(hold, CLI_HOLD_UNBEGUN);
		return report_start(hold, error, exec);
	}
	wait_status = attend(pid, front, &orphaned);
	if (orphaned || !WIFEXITED(wait_status)) {
		hold->calls->give(hold, CLI_HOLD_CUT_OFF);
		return 128 + (WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : SIGKILL);
	}
	hold->calls->give(hold, WEXITSTATUS(wait_status));
	return WEXITSTATUS(wait_status);
}

/* What the process between does. */
static int be_holder(struct cli_hold *hold, pid_t front, const sigset_t *old_mask)
{
	int error, status;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != front)
		return CLI_FAILED;
	status = hold->calls->open(hold);
	if (status)
		return status;
	error = take(hold, old_mask);
	/* From now on the end of the front is one of the signals that are waited for. */
	if (prctl(PR_SET_PDEATHSIG, SIGTERM))
		return cli_system_error("prctl", -errno);
	if (hold->calls->dares(hold, error, &status))
		status = run_command(hold, front, old_mask);
	hold->calls->close(hold);
	return status;
}

int cli_hold_run(struct cli_hold *hold)
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
		return be_holder(hold, front, &old_mask);
	wait_status = attend(holder, 0, &orphaned);
	if (WIFEXITED(wait_status))
		return WEXITSTATUS(wait_status);
	/* It waited, and whoever sent the signal sees that it was obeyed. */
	signal(WTERMSIG(wait_status), SIG_DFL);
	sigprocmask(SIG_SETMASK, &old_mask, NULL);
	if (WTERMSIG(wait_status) != SIGKILL)
		raise(WTERMSIG(wait_status));
	return 128 + WTERMSIG(wait_status);
}

int cli_hold_open_error(const struct cli_hold *hold, int error)
{
	if (error != -ENOENT)
		return cli_kind_error(hold->kind, hold->name, error);
	cli_kind_warn(hold->kind, hold->name, "there is no namespace folder '%s'; %s",
		      cli_namespace(), cli_namespace_remedy());
	return CLI_MISSING;
}

int cli_hold_option(void *context, int option)
{
	struct cli_hold *hold = context;

	if (option != CLI_OPTION_IF_DEAD)
		return cli_patience_option(&hold->patience, option);
	if (cli_parse_word(optarg, if_dead_words, &hold->if_dead))
		return cli_usage("--if-dead '%s': not one of run, fail", optarg);
	return CLI_OK;
}

int cli_hold_operand(void *context, const char *text, bool ended)
{
	struct cli_hold *hold = context;

	(void)ended;
	return hold->name[0] ? CLI_REST : cli_parse_name(text, hold->name);
}

int cli_hold_check(struct cli_hold *hold, char **arguments)
{
	int error;

	if (!hold->name[0])
		return cli_usage("the name of %s %s is missing", cli_article(hold->kind->name),
				 hold->kind->name);
	if (!arguments[0])
		return cli_usage("the command is missing: 'tenon %s NAME -- COMMAND'",
				 cli_current->name);
	if (cli_patience_check(&hold->patience))
		return CLI_USAGE;
	hold->arguments = arguments;
	error = cli_child_check(arguments[0]);
	if (!error)
		return CLI_OK;
	cli_warn("cannot run '%s': %s; the %s was not touched", arguments[0], strerror(-error),
		 hold->kind->name);
	return error == -ENOENT ? 127 : 126;
}
