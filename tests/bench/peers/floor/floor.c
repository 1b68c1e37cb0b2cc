/* floor.c: the least that fetching pages can cost: libcurl, kept connections, each page into a file.
 *
 *     floor CA-FILE DIRECTORY IN-FLIGHT < LINES
 *
 * A line is a URL or, for HTTP digest, a URL, a space and USER:PASSWORD, which then gets a handle of its own. No gzip,
 * no look at what came, nothing made durable. One thread, one multi handle.
 */
#include <curl/curl.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct fetch { CURL *easy; int fd; };

static const char *ca_file;
static struct curl_slist *headers; /* the API answers no question that names no version */

static const char *directory;
static unsigned long pages, bytes, failures;

static size_t
on_body(char *data, size_t size, size_t n, void *userdata)
{
	const struct fetch *f = userdata;
	size_t len = size * n, done = 0;
	ssize_t wrote;

	while (done < len) {
		wrote = write(f->fd, data + done, len - done);
		if (wrote <= 0)
			return 0;
		done += (size_t)wrote;
	}
	bytes += len;
	return len;
}

static void
make_handle(struct fetch *f)
{
	f->easy = curl_easy_init();
	curl_easy_setopt(f->easy, CURLOPT_CAINFO, ca_file);
	curl_easy_setopt(f->easy, CURLOPT_CAPATH, NULL);
	curl_easy_setopt(f->easy, CURLOPT_FAILONERROR, 1L);
	curl_easy_setopt(f->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(f->easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(f->easy, CURLOPT_WRITEDATA, f);
	curl_easy_setopt(f->easy, CURLOPT_PRIVATE, f);
	curl_easy_setopt(f->easy, CURLOPT_HTTPHEADER, headers);
}

/* Takes the next URL of the list. 0: there is none. */
static int
begin(CURLM *multi, struct fetch *f)
{
	char url[4096], path[4096], *credential;
	int len;

	if (fgets(url, sizeof(url), stdin) == NULL)
		return 0;
	url[strcspn(url, "\n")] = '\0';
	credential = strchr(url, ' ');
	if (credential != NULL) {
		*credential++ = '\0';
		curl_easy_cleanup(f->easy);
		make_handle(f);
		curl_easy_setopt(f->easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_DIGEST);
		curl_easy_setopt(f->easy, CURLOPT_USERPWD, credential);
	}
	len = snprintf(path, sizeof(path), "%s/%08lu.json", directory, pages++);
	f->fd = len < 0 || (size_t)len >= sizeof(path) ? -1 : open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (f->fd < 0) {
		perror(path);
		exit(1);
	}
	curl_easy_setopt(f->easy, CURLOPT_URL, url);
	curl_multi_add_handle(multi, f->easy);
	return 1;
}

int
main(int argc, char **argv)
{
	int slots = argc == 4 ? atoi(argv[3]) : 0, running, left, active = 0;
	struct fetch *fetches = slots > 0 ? calloc((size_t)slots, sizeof(*fetches)) : NULL, *f;
	CURLMsg *message;
	CURLM *multi;

	if (fetches == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
		return 2;
	ca_file = argv[1];
	directory = argv[2];
	headers = curl_slist_append(NULL, "Accept: application/vnd.atlas.2023-01-01+json");
	multi = curl_multi_init();
	curl_multi_setopt(multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
	for (int i = 0; i < slots; i++) {
		f = &fetches[i];
		make_handle(f);
		active += begin(multi, f);
	}
	while (active > 0) {
		curl_multi_perform(multi, &running);
		while ((message = curl_multi_info_read(multi, &left)) != NULL) {
			if (message->msg != CURLMSG_DONE)
				continue;
			curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&f);
			if (message->data.result != CURLE_OK) {
				fprintf(stderr, "%s\n", curl_easy_strerror(message->data.result));
				failures++;
			}
			curl_multi_remove_handle(multi, f->easy);
			close(f->fd);
			active -= 1 - begin(multi, f);
		}
		if (active > 0)
			curl_multi_poll(multi, NULL, 0, 1000, NULL);
	}
	for (int i = 0; i < slots; i++)
		curl_easy_cleanup(fetches[i].easy);
	curl_multi_cleanup(multi);
	curl_slist_free_all(headers);
	curl_global_cleanup();
	free(fetches);
	printf("%lu pages, %lu bytes, %lu failed\n", pages, bytes, failures);
	return failures > 0;
}
