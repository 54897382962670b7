/* SPDX-License-Identifier: MIT
 *
 * screen.c - the terminal; see screen.h.
 *
 * The alternate screen keeps what was there before. Lines are cut by the terminal
 * itself, which knows best how wide its characters are. Signals only set flags, and are
 * let in nowhere but in ppoll, so that none is missed.
 */
#include "ctl/screen.h"

#include "base/clock.h"
#include "base/strbuf.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define ENTER "\033[?1049h\033[?25l\033[?7l"
#define LEAVE "\033[?7h\033[?25h\033[?1049l"

static struct {
	bool is_open;
	struct termios before;
	sigset_t signals; /* to be let in while waiting */
	volatile sig_atomic_t resized, ended, stopped;
} screen;

static void
write_all(const char *p, size_t n)
{
	while (n) {
		ssize_t written = write(STDOUT_FILENO, p, n);

		if (written <= 0) {
			screen.ended = 1;
			return;
		}
		p += written;
		n -= (size_t)written;
	}
}

static void
enter(void)
{
	struct termios raw = screen.before;

	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw);
	write_all(ENTER, sizeof(ENTER) - 1);
	screen.is_open = true;
}

void
screen_close(void)
{
	if (!screen.is_open)
		return;
	screen.is_open = false;
	write_all(LEAVE, sizeof(LEAVE) - 1);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &screen.before);
}

static void
on_signal(int number)
{
	switch (number) {
	case SIGWINCH: screen.resized = 1; break;
	case SIGTSTP: screen.stopped = 1; break;
	default: screen.ended = 1;
	}
}

static void catch (int number, sigset_t *blocked)
{
	const struct sigaction action = {.sa_handler = on_signal};

	sigaction(number, &action, NULL);
	sigaddset(blocked, number);
}

void
screen_open(void)
{
	static const int numbers[] = {SIGWINCH, SIGTSTP, SIGINT, SIGTERM, SIGHUP};
	sigset_t blocked;
	bool is_terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) &&
			   tcgetattr(STDIN_FILENO, &screen.before) == 0;

	sigemptyset(&blocked);
	for (size_t i = 0; is_terminal && i < sizeof(numbers) / sizeof(*numbers); i++)
		catch (numbers[i], &blocked);
	signal(SIGPIPE, SIG_IGN);
	sigprocmask(SIG_BLOCK, &blocked, &screen.signals);
	if (is_terminal)
		enter();
}

/* Ctrl-Z: the shell gets its terminal as it was, until we are called back. */
static void
stop(void)
{
	screen.stopped = 0;
	screen_close();
	raise(SIGSTOP);
	enter();
	screen.resized = 1;
}

static unsigned
height(void)
{
	struct winsize size;

	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row ? size.ws_row
									   : 24;
}

void
screen_show(const struct strbuf *text)
{
	const char *p = text->data, *end = text->data + text->len, *line_end;
	struct strbuf out = STRBUF_INIT;
	unsigned rows = height();

	if (!screen.is_open) {
		write_all(text->data, text->len);
		write_all("\n", 1);
		return;
	}
	strbuf_lit(&out, "\033[H");
	for (unsigned row = 0; row < rows && p < end; row++, p = line_end + 1) {
		line_end = memchr(p, '\n', (size_t)(end - p));
		if (!line_end)
			line_end = end;
		if (row)
			strbuf_lit(&out, "\r\n");
		strbuf_append(&out, p, (size_t)(line_end - p));
		strbuf_lit(&out, "\033[K");
	}
	strbuf_lit(&out, "\033[J");
	if (!out.failed)
		write_all(out.data, out.len);
	strbuf_fini(&out);
}

/* Without a terminal nothing is read: but the end of a pipe is seen. */
static bool
somebody_quits(short events)
{
	char keys[64];
	ssize_t n;

	if (!screen.is_open)
		return (events & (POLLERR | POLLHUP)) != 0;
	if (!(events & (POLLIN | POLLHUP | POLLERR)))
		return false;
	n = read(STDIN_FILENO, keys, sizeof(keys));
	for (ssize_t i = 0; i < n; i++)
		if (keys[i] == 'q' || keys[i] == 'Q')
			return true;
	return n <= 0;
}

static void
wait_for(uint64_t ms, short *events_r)
{
	struct pollfd p = {.fd = screen.is_open ? STDIN_FILENO : STDOUT_FILENO,
	    .events = screen.is_open ? POLLIN : 0};
	const struct timespec time = {.tv_sec = (time_t)(ms / 1000),
	    .tv_nsec = (long)(ms % 1000) * 1000000};

	*events_r = ppoll(&p, 1, &time, &screen.signals) > 0 ? p.revents : 0;
}

enum screen_event
screen_wait(uint64_t ms)
{
	uint64_t until = clock_now_ms() + ms;
	short events;

	while (!screen.ended) {
		uint64_t now = clock_now_ms();

		wait_for(now < until ? until - now : 0, &events);
		if (somebody_quits(events))
			break;
		if (screen.stopped)
			stop();
		if (screen.resized) {
			screen.resized = 0;
			return SCREEN_RESIZED;
		}
		if (!events && now >= until)
			return SCREEN_TIME;
	}
	return SCREEN_QUIT;
}
