/* print.c: the configuration for orgsync, ids and events. */
#include "cmd/atlas-sandbox/print.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/atlas-sandbox/listing.h"
#include "cmd/atlas-sandbox/reply.h"
#include "lib/base/isotime.h"

#define BLOCK 65536

static int
print_listing(struct sandbox *sb, enum listing_kind kind)
{
	const struct options *o = &sb->options;
	int index = sandbox_find(sb, o->print_org), more, result = 1;
	struct listing l;
	struct buf block;

	if (index < 0) {
		fprintf(stderr, "atlas-sandbox: no organization %s\n", o->print_org);
		return 2;
	}
	listing_init(&l, &sb->orgs[index], kind, o->raw, sandbox_now_ms(sb), o->between_from_ms,
	             o->between_to_ms);
	buf_init(&block, REPLY_BODY_MAX);
	do {
		buf_reset(&block);
		more = listing_some(&l, &block, BLOCK);
		if (more < 0 || (block.len > 0 && fwrite(block.data, 1, block.len, stdout) != block.len))
			break;
	} while (more > 0);
	if (more == 0 && fflush(stdout) == 0)
		result = 0;
	else
		fprintf(stderr, "atlas-sandbox: writing failed: %s\n", strerror(errno));
	listing_free(&l);
	buf_free(&block);
	return result;
}

/* A YAML double-quoted text. */
static void
print_quoted(const char *text)
{
	putchar('"');
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			putchar('\\');
		putchar(*text);
	}
	putchar('"');
}

/* Writes a secret file, mode 0600, and prints the reference to it; without a directory the secret. */
static int
print_secret(const struct options *o, const char *key, const char *name, const char *secret)
{
	char path[PATH_MAX], whole[PATH_MAX];
	size_t len = strlen(secret);
	int fd;

	printf("    %s: ", key);
	if (o->secrets_dir == NULL) {
		print_quoted(secret);
		putchar('\n');
		return 0;
	}
	snprintf(path, sizeof path, "%s/%s.%s", o->secrets_dir, name, key);
	if (unlink(path) != 0 && errno != ENOENT)
		goto fail;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		goto fail;
	if (write(fd, secret, len) != (ssize_t)len || write(fd, "\n", 1) != 1) {
		close(fd);
		goto fail;
	}
	if (close(fd) != 0 || realpath(path, whole) == NULL)
		goto fail;
	printf("{ file: ");
	print_quoted(whole);
	printf(" }\n");
	return 0;
fail:
	fprintf(stderr, "atlas-sandbox: %s: %s\n", path, strerror(errno));
	return -1;
}

static int
print_org(const struct options *o, const struct org *org)
{
	unsigned kinds = sandbox_credentials(org);
	char start[ISOTIME_LEN + 1];

	printf("  - name: %s\n    org_id: \"%s\"\n", org->name, org->org_id);
	if (kinds & CREDENTIAL_SERVICE_ACCOUNT) {
		printf("    client_id: %s\n", org->client_id);
		if (print_secret(o, "client_secret", org->name, org->client_secret) != 0)
			return -1;
	}
	if (kinds & CREDENTIAL_DIGEST) {
		printf("    public_key: %s\n", org->public_key);
		if (print_secret(o, "private_key", org->name, org->private_key) != 0)
			return -1;
	}
	if (o->backfill_start == NULL)
		printf("    backfill_start_time: %s\n", isotime_format_s(org->set.from_ms / 1000, start));
	else if (strcmp(o->backfill_start, "none") != 0)
		printf("    backfill_start_time: %s\n", o->backfill_start);
	return 0;
}

static int
print_config(struct sandbox *sb)
{
	const struct options *o = &sb->options;
	char cert[PATH_MAX];

	if (o->url == NULL && o->port == 0) {
		fprintf(stderr, "atlas-sandbox: --print config needs --url or --port\n");
		return 2;
	}
	if (o->secrets_dir != NULL && mkdir(o->secrets_dir, 0700) != 0 && errno != EEXIST) {
		fprintf(stderr, "atlas-sandbox: %s: %s\n", o->secrets_dir, strerror(errno));
		return 1;
	}
	printf("# Made by atlas-sandbox: %zu simulated organizations, seed %llu.\nversion: 1\natlas:\n",
	       sb->n_orgs, (unsigned long long)o->seed);
	printf("  base_url: ");
	if (o->url != NULL)
		print_quoted(o->url);
	else
		printf(strchr(o->listen, ':') != NULL ? "\"%s://[%s]:%u\"" : "\"%s://%s:%u\"",
		       o->tls_cert != NULL ? "https" : "http", o->listen, o->port);
	printf("\n  api: %s\n", o->api);
	if (o->tls_cert != NULL && realpath(o->tls_cert, cert) != NULL) {
		printf("  ca_file: ");
		print_quoted(cert);
		putchar('\n');
	}
	printf("output:\n  directory: ");
	print_quoted(o->directory);
	printf("\norganizations:\n");
	for (size_t i = 0; i < sb->n_orgs; i++)
		if (print_org(o, &sb->orgs[i]) != 0)
			return 1;
	if (fflush(stdout) != 0 || ferror(stdout)) {
		fprintf(stderr, "atlas-sandbox: writing failed: %s\n", strerror(errno));
		return 1;
	}
	return 0;
}

int
print_run(struct sandbox *sb)
{
	switch (sb->options.print) {
	case PRINT_CONFIG:
		return print_config(sb);
	case PRINT_IDS:
		return print_listing(sb, LISTING_IDS);
	case PRINT_EVENTS:
		return print_listing(sb, LISTING_EVENTS);
	default:
		return print_listing(sb, LISTING_POISON);
	}
}
