/* lib/http over TLS: who is believed, and what a connection costs. Certificates are made on the spot. */
#include <check.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/http_world.h"

#define OK_REPLY "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
#define LAST_REPLY "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"
#define DAY_S 86400L
#define BUNDLE "/etc/ssl/certs/ca-certificates.crt"

static char dir[] = "/tmp/orgsync-tls-XXXXXX";
static char ca_path[64], other_ca_path[64];

struct identity {
	EVP_PKEY *key;
	X509 *cert;
};

static void
add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *extension;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	ck_assert_ptr_nonnull(extension);
	ck_assert_int_eq(X509_add_ext(cert, extension, -1), 1);
	X509_EXTENSION_free(extension);
}

/* issuer NULL: signs itself. names: a subjectAltName, or NULL for an authority. */
static struct identity
make_identity(const struct identity *issuer, const char *common_name, const char *names, long from_s,
              long to_s)
{
	static long serial = 1;
	struct identity id = { EVP_EC_gen("P-256"), X509_new() };
	X509_NAME *name = X509_get_subject_name(id.cert);

	ck_assert(id.key != NULL && id.cert != NULL);
	X509_set_version(id.cert, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(id.cert), serial++);
	X509_gmtime_adj(X509_getm_notBefore(id.cert), from_s);
	X509_gmtime_adj(X509_getm_notAfter(id.cert), to_s);
	X509_set_pubkey(id.cert, id.key);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)common_name, -1, -1, 0);
	X509_set_issuer_name(id.cert, issuer == NULL ? name : X509_get_subject_name(issuer->cert));
	if (names != NULL)
		add_extension(id.cert, id.cert, NID_subject_alt_name, names);
	else
		add_extension(id.cert, id.cert, NID_basic_constraints, "critical,CA:TRUE");
	ck_assert_int_gt(X509_sign(id.cert, issuer == NULL ? id.key : issuer->key, EVP_sha256()), 0);
	return id;
}

static void
free_identity(struct identity *id)
{
	EVP_PKEY_free(id->key);
	X509_free(id->cert);
}

static SSL_CTX *
server_context(const struct identity *id)
{
	SSL_CTX *tls = SSL_CTX_new(TLS_server_method());

	ck_assert_ptr_nonnull(tls);
	ck_assert_int_eq(SSL_CTX_use_certificate(tls, id->cert), 1);
	ck_assert_int_eq(SSL_CTX_use_PrivateKey(tls, id->key), 1);
	return tls;
}

/* Writes the certificate, after whatever file `before` holds (or NULL). */
static void
write_ca(const char *path, const struct identity *id, const char *before)
{
	FILE *out = fopen(path, "w"), *in = before == NULL ? NULL : fopen(before, "r");
	char block[4096];
	size_t n;

	ck_assert_ptr_nonnull(out);
	while (in != NULL && (n = fread(block, 1, sizeof(block), in)) > 0)
		ck_assert_uint_eq(fwrite(block, 1, n, out), n);
	if (in != NULL)
		fclose(in);
	ck_assert_int_eq(PEM_write_X509(out, id->cert), 1);
	fclose(out);
}

static struct identity ca, other_ca;

static void
setup(void)
{
	ca = make_identity(NULL, "orgsync test authority", NULL, -DAY_S, DAY_S);
	other_ca = make_identity(NULL, "another authority", NULL, -DAY_S, DAY_S);
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(ca_path, sizeof(ca_path), "%s/ca.pem", dir);
	snprintf(other_ca_path, sizeof(other_ca_path), "%s/other.pem", dir);
	write_ca(ca_path, &ca, NULL);
	write_ca(other_ca_path, &other_ca, NULL);
}

static void
teardown(void)
{
	unlink(ca_path);
	unlink(other_ca_path);
	rmdir(dir);
	free_identity(&ca);
	free_identity(&other_ca);
}

static void
assert_200(const struct http_answer *a)
{
	ck_assert_msg(a->status == 200, "%d %s", a->status, a->err.text);
}

enum server_kind { RIGHT, WRONG_HOST, EXPIRED, NOT_YET, SELF_SIGNED };

static const struct {
	const char *what;
	enum server_kind server;
	bool other_ca;          /* the client trusts another authority than the one that signed */
	bool believed;
	const char *words;
} cases[] = {
	{ "the right authority and address", RIGHT, false, true, NULL },
	{ "an authority nobody trusts", RIGHT, true, false, "certificate" },
	{ "a certificate for another host", WRONG_HOST, false, false, "127.0.0.1" },
	{ "an expired certificate", EXPIRED, false, false, "expired" },
	{ "a certificate of tomorrow", NOT_YET, false, false, "not yet valid" },
	{ "a self-signed certificate", SELF_SIGNED, false, false, "self" },
};

static struct identity
make_server(enum server_kind kind)
{
	switch (kind) {
	case WRONG_HOST:
		return make_identity(&ca, "127.0.0.1", "DNS:elsewhere.example", -DAY_S, DAY_S);
	case EXPIRED:
		return make_identity(&ca, "127.0.0.1", "IP:127.0.0.1", -2 * DAY_S, -DAY_S);
	case NOT_YET:
		return make_identity(&ca, "127.0.0.1", "IP:127.0.0.1", DAY_S / 2, DAY_S);
	case SELF_SIGNED:
		return make_identity(NULL, "127.0.0.1", "IP:127.0.0.1", -DAY_S, DAY_S);
	case RIGHT:
		break;
	}
	return make_identity(&ca, "127.0.0.1", "IP:127.0.0.1", -DAY_S, DAY_S);
}

START_TEST(who_is_believed)
{
	SCRIPT(w, { .bytes = OK_REPLY });
	struct identity id = make_server(cases[_i].server);
	SSL_CTX *tls = server_context(&id);
	struct http_options o = world_options();
	struct http_answer *a;

	o.ca_file = cases[_i].other_ca ? other_ca_path : ca_path;
	world_open(&w, &o, tls, NULL);
	a = world_ask(&w, (struct http_request){ .auth = HTTP_AUTH_BASIC, .user = "u", .secret = "s3cr3t" });
	if (cases[_i].believed) {
		ck_assert_msg(a->status == 200, "%s: %s", cases[_i].what, a->err.text);
	} else {
		ck_assert_msg(a->err.code == ERR_TLS, "%s: %s", cases[_i].what, a->err.text);
		ck_assert_int_eq(a->err.retry, ERR_RETRY_OPERATOR);
		ck_assert_int_eq(a->err.scope, ERR_SCOPE_ORGANIZATION);
		ck_assert_msg(strstr(a->err.text, cases[_i].words) != NULL, "%s: %s", cases[_i].what,
		              a->err.text);
		ck_assert_ptr_null(strstr(a->err.text, "s3cr3t"));
		ck_assert_uint_eq(a->exchanges, 0);
		ck_assert_uint_eq(scripted_server_requests(w.server), 0); /* the secret stayed here */
	}
	world_close(&w);
	SSL_CTX_free(tls);
	free_identity(&id);
}
END_TEST

/* The session that was made for one engine's authorities follows those of the next. */
START_TEST(trust_is_the_engines)
{
	SCRIPT(w, { .bytes = LAST_REPLY, .end = CLOSE });
	struct identity id = make_server(RIGHT);
	SSL_CTX *tls = server_context(&id);
	struct http_options o = world_options();
	struct http_engine *first;
	struct err e = { 0 };

	o.ca_file = ca_path;
	world_open(&w, &o, tls, NULL);
	assert_200(world_get(&w));
	first = w.engine;
	o.ca_file = other_ca_path;
	w.engine = http_engine_new(&o, &e);
	ck_assert_int_eq(world_get(&w)->err.code, ERR_TLS);
	http_engine_free(w.engine);
	w.engine = first;
	assert_200(world_get(&w));
	world_close(&w);
	SSL_CTX_free(tls);
	free_identity(&id);
}
END_TEST

START_TEST(ca_file_from_the_environment)
{
	static const char *const variables[] = { "CURL_CA_BUNDLE", "SSL_CERT_FILE" };
	SCRIPT(w, { .bytes = OK_REPLY });
	struct identity id = make_server(RIGHT);
	SSL_CTX *tls = server_context(&id);

	setenv(variables[_i], ca_path, 1);
	world_open(&w, NULL, tls, NULL);
	unsetenv(variables[_i]);
	assert_200(world_get(&w));
	world_close(&w);
	SSL_CTX_free(tls);
	free_identity(&id);
}
END_TEST

START_TEST(ca_file_without_certificates)
{
	SCRIPT(w, { .bytes = OK_REPLY });
	struct identity id = make_server(RIGHT);
	SSL_CTX *tls = server_context(&id);
	struct http_options o = world_options();
	FILE *out = fopen(ca_path, "w");

	fputs("nothing\n", out);
	fclose(out);
	o.ca_file = ca_path;
	world_open(&w, &o, tls, NULL);
	ck_assert_int_eq(world_get(&w)->err.code, ERR_TLS);
	world_close(&w);
	SSL_CTX_free(tls);
	free_identity(&id);
}
END_TEST

/* A server that accepts and then says nothing: the handshake is part of connecting. */
START_TEST(handshake_that_hangs)
{
	SCRIPT(w, { .bytes = NULL, .end = HANG });
	struct http_options o = world_options();
	struct http_answer *a;
	char url[60];

	o.connect_timeout_ms = 200;
	world_open(&w, &o, NULL, NULL); /* speaks plain: it waits for the end of a request */
	snprintf(url, sizeof(url), "https://127.0.0.1:%d/", scripted_server_port(w.server));
	a = world_ask(&w, (struct http_request){ .url = url });
	ck_assert_msg(a->err.code == ERR_TIMEOUT, "%s", a->err.text);
	ck_assert_ptr_nonnull(strstr(a->err.text, "no connection within 200 ms"));
	ck_assert_int_ge(a->elapsed_ms, 199); /* beginning and end are cut to whole milliseconds */
	ck_assert_int_lt(a->elapsed_ms, 20000);
	world_close(&w);
}
END_TEST

static int64_t
thread_cpu_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* The system's bundle is parsed once an engine, not once a connection. */
START_TEST(bundle_is_parsed_once)
{
	enum { LATER = 20 };
	SCRIPT(w, { .bytes = LAST_REPLY, .end = CLOSE });
	struct identity id = make_server(RIGHT);
	SSL_CTX *tls = server_context(&id);
	struct http_options o = world_options();
	struct stat st;
	int64_t begin_us, first_us, later_us;

	if (stat(BUNDLE, &st) != 0 || st.st_size < 50000) {
		printf("bundle_is_parsed_once: not run, no bundle of a useful size\n");
		SSL_CTX_free(tls);
		free_identity(&id);
		return;
	}
	write_ca(ca_path, &ca, BUNDLE);
	o.ca_file = ca_path;
	world_open(&w, &o, tls, NULL);
	begin_us = thread_cpu_us();
	assert_200(world_get(&w));
	first_us = thread_cpu_us() - begin_us;
	begin_us = thread_cpu_us();
	for (int i = 0; i < LATER; i++)
		assert_200(world_get(&w));
	later_us = (thread_cpu_us() - begin_us) / LATER;
	ck_assert_uint_eq(scripted_server_connections(w.server), LATER + 1);
	printf("CPU of a TLS connection: first %.1f ms, later %.1f ms\n", (double)first_us / 1000,
	       (double)later_us / 1000);
	ck_assert_msg(later_us * 3 < first_us, "first %lld us, later %lld us: the bundle is parsed anew",
	              (long long)first_us, (long long)later_us);
	world_close(&w);
	SSL_CTX_free(tls);
	free_identity(&id);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("http_tls");
	TCase *t = tcase_create("tls");
	SRunner *runner = srunner_create(suite);
	int failed;

	unsetenv("https_proxy");
	unsetenv("all_proxy");
	unsetenv("HTTPS_PROXY");
	unsetenv("ALL_PROXY");
	unsetenv("CURL_CA_BUNDLE");
	unsetenv("SSL_CERT_FILE");
	suite_add_tcase(suite, t);
	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, who_is_believed, 0, (int)(sizeof(cases) / sizeof(*cases)));
	tcase_add_test(t, trust_is_the_engines);
	tcase_add_loop_test(t, ca_file_from_the_environment, 0, 2);
	tcase_add_test(t, ca_file_without_certificates);
	tcase_add_test(t, handshake_that_hangs);
	tcase_add_test(t, bundle_is_parsed_once);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
