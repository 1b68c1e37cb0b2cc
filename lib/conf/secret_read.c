#include "lib/conf/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FAIL(e, ...) err_set(e, ERR_SECRET, ERR_SCOPE_ORGANIZATION, ERR_RETRY_OPERATOR, __VA_ARGS__)

static int
check_file(int fd, const char *path, bool credential, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return FAIL(e, "secret file %s: %s", path, strerrordesc_np(errno));
	if (!S_ISREG(st.st_mode))
		return FAIL(e, "secret file %s is not a regular file", path);
	if (st.st_uid != geteuid() && st.st_uid != 0) {
		FAIL(e, "secret file %s belongs to user %u, not to this one (%u)", path, (unsigned)st.st_uid,
		     (unsigned)geteuid());
		err_hint(e, "chown it, or run as that user");
		return -1;
	}
	if (!credential && (st.st_mode & 077) != 0) {
		FAIL(e, "secret file %s can be reached by others than its owner (mode %04o)", path,
		     (unsigned)st.st_mode & 07777);
		err_hint(e, "chmod 600 %s", path);
		return -1;
	}
	return 0;
}

int
secret_open(const char *path, bool credential, struct err *e)
{
	/* O_NONBLOCK: a FIFO must not hold us up; it is refused below. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0)
		return FAIL(e, "secret file %s cannot be read: %s", path, strerrordesc_np(errno));
	if (check_file(fd, path, credential, e) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

int
secret_open_credential(const char *name, struct err *e)
{
	const char *directory = getenv("CREDENTIALS_DIRECTORY");
	char *path = NULL;
	int fd;

	if (directory == NULL || directory[0] == '\0') {
		FAIL(e, "systemd credential %s: $CREDENTIALS_DIRECTORY is not set", name);
		err_hint(e, "it is set in a service whose unit says LoadCredential=%s:PATH", name);
		return -1;
	}
	if (asprintf(&path, "%s/%s", directory, name) < 0)
		return err_set_errno(e, ENOMEM, "systemd credential %s", name);
	fd = secret_open(path, true, e);
	free(path);
	return fd;
}

const char *
secret_get_env(const char *name, struct err *e)
{
	const char *value = getenv(name);

	if (value == NULL)
		FAIL(e, "environment variable %s is not set", name);
	else if (value[0] == '\0')
		FAIL(e, "environment variable %s is empty", name);
	return value == NULL || value[0] == '\0' ? NULL : value;
}

static int
read_fd(int fd, struct buf *b, struct err *e)
{
	char more;
	ssize_t n;

	/* All room at once: growth would leave copies of the secret in freed memory. */
	if (buf_reserve(b, b->cap_bytes - b->len) != 0)
		return err_set_errno(e, ENOMEM, "secret");
	for (;;) {
		n = b->len < b->cap_bytes ? read(fd, b->data + b->len, b->cap_bytes - b->len) :
		    read(fd, &more, 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return FAIL(e, "secret file cannot be read: %s", strerrordesc_np(errno));
		if (n == 0)
			return 0;
		if (b->len == b->cap_bytes)
			return FAIL(e, "the secret is longer than %zu bytes", b->cap_bytes);
		b->len += (size_t)n;
	}
}

static int
append_text(const char *text, struct buf *b, struct err *e)
{
	size_t len = strlen(text);

	if (len > b->cap_bytes - b->len)
		return FAIL(e, "the secret is longer than %zu bytes", b->cap_bytes);
	/* With room for the NUL of buf_str(), which would otherwise leave a copy behind. */
	if (buf_reserve(b, len < b->cap_bytes - b->len ? len + 1 : len) != 0 || buf_append(b, text, len) != 0)
		return err_set_errno(e, ENOMEM, "secret");
	return 0;
}

/* What a file or a command gave: one newline is an editor's, anything else that is no printable
 * character is no part of a credential and would only fail later, at the server. */
static int
finish(struct buf *b, struct err *e)
{
	if (b->len > 0 && b->data[b->len - 1] == '\n') {
		b->len--;
		if (b->len > 0 && b->data[b->len - 1] == '\r')
			b->len--;
	}
	if (b->len == 0)
		return FAIL(e, "the secret is empty");
	for (size_t i = 0; i < b->len; i++) {
		unsigned char c = (unsigned char)b->data[i];

		if (c == '\n')
			return FAIL(e, "the secret has more than one line");
		if (c < 0x20 || c == 0x7f)
			return FAIL(e, "the secret holds a control character");
	}
	return 0;
}

int
conf_secret_read(const struct conf_secret *secret, struct buf *b, struct err *e)
{
	struct command command = { secret->argv, secret->hidden, CONF_SECRET_TIMEOUT_MS };
	struct err own;
	const char *value;
	int fd = -1, result = -1;

	err_clear(&own);
	switch (secret->kind) {
	case CONF_SECRET_PLAIN:
		result = append_text(secret->value, b, &own);
		break;
	case CONF_SECRET_ENV:
		value = secret_get_env(secret->value, &own);
		result = value == NULL ? -1 : append_text(value, b, &own);
		break;
	case CONF_SECRET_FILE:
		fd = secret_open(secret->value, false, &own);
		result = fd < 0 ? -1 : read_fd(fd, b, &own);
		break;
	case CONF_SECRET_SYSTEMD:
		fd = secret_open_credential(secret->value, &own);
		result = fd < 0 ? -1 : read_fd(fd, b, &own);
		break;
	case CONF_SECRET_COMMAND:
		result = command_read(&command, b, &own);
		break;
	case CONF_SECRET_NONE:
		FAIL(&own, "there is no secret");
		break;
	}
	if (fd >= 0)
		close(fd);
	if (result == 0)
		result = finish(b, &own);
	if (result == 0)
		return 0;
	wipe(b->data, b->size);
	buf_reset(b);
	if (own.code == ERR_NOMEM)
		return err_set_errno(e, ENOMEM, "secret");
	err_set(e, ERR_SECRET, ERR_SCOPE_ORGANIZATION, ERR_RETRY_OPERATOR, "%s", own.text);
	err_hint(e, "%s", own.hint[0] != '\0' ? own.hint : "see client_secret and private_key in orgsync.yaml(5)");
	return -1;
}
