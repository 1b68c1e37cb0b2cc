/* options.c: reading the command line. */
#include "cmd/atlas-sandbox/options.h"

#include "config.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ORGS_MAX 1000000
#define FOREVER_MS INT64_C(4102444800000) /* 2100-01-01 */

enum {
	OPT_ORGANIZATIONS = 256, OPT_SEED, OPT_LISTEN, OPT_PORT, OPT_PORT_FILE, OPT_TLS_CERT,
	OPT_TLS_KEY, OPT_SKEW, OPT_CAPACITY, OPT_REFILL, OPT_PERIOD, OPT_NO_LIMIT_HEADERS,
	OPT_NO_LIMITS, OPT_NO_GZIP, OPT_PREPARED, OPT_HEADER_CASE, OPT_NONCE_LIFE, OPT_TOKEN_LIFE,
	OPT_FAULT_SEED, OPT_TIME_SCALE, OPT_ORG, OPT_PRINT, OPT_SECRETS_DIR, OPT_URL,
	OPT_DIRECTORY, OPT_BACKFILL_START, OPT_API, OPT_RAW, OPT_BETWEEN, OPT_NOW, OPT_HELP,
	OPT_VERSION, OPT_SETTING
};

static const struct option long_options[] = {
	{ "organizations", required_argument, NULL, OPT_ORGANIZATIONS },
	{ "seed", required_argument, NULL, OPT_SEED },
	{ "listen", required_argument, NULL, OPT_LISTEN },
	{ "port", required_argument, NULL, OPT_PORT },
	{ "port-file", required_argument, NULL, OPT_PORT_FILE },
	{ "tls-cert", required_argument, NULL, OPT_TLS_CERT },
	{ "tls-key", required_argument, NULL, OPT_TLS_KEY },
	{ "skew", required_argument, NULL, OPT_SKEW },
	{ "capacity", required_argument, NULL, OPT_CAPACITY },
	{ "refill", required_argument, NULL, OPT_REFILL },
	{ "period", required_argument, NULL, OPT_PERIOD },
	{ "no-limit-headers", no_argument, NULL, OPT_NO_LIMIT_HEADERS },
	{ "no-limits", no_argument, NULL, OPT_NO_LIMITS },
	{ "no-gzip", no_argument, NULL, OPT_NO_GZIP },
	{ "prepared", required_argument, NULL, OPT_PREPARED },
	{ "header-case", required_argument, NULL, OPT_HEADER_CASE },
	{ "nonce-life", required_argument, NULL, OPT_NONCE_LIFE },
	{ "token-life", required_argument, NULL, OPT_TOKEN_LIFE },
	{ "fault-seed", required_argument, NULL, OPT_FAULT_SEED },
	{ "time-scale", required_argument, NULL, OPT_TIME_SCALE },
	{ "org", required_argument, NULL, OPT_ORG },
	{ "print", required_argument, NULL, OPT_PRINT },
	{ "secrets-dir", required_argument, NULL, OPT_SECRETS_DIR },
	{ "url", required_argument, NULL, OPT_URL },
	{ "directory", required_argument, NULL, OPT_DIRECTORY },
	{ "backfill-start", required_argument, NULL, OPT_BACKFILL_START },
	{ "api", required_argument, NULL, OPT_API },
	{ "raw", required_argument, NULL, OPT_RAW },
	{ "between", required_argument, NULL, OPT_BETWEEN },
	{ "now", required_argument, NULL, OPT_NOW },
	{ "help", no_argument, NULL, OPT_HELP },
	{ "version", no_argument, NULL, OPT_VERSION },
	/* These are settings of every organization, as they may stand in --org too. */
	{ "events", required_argument, NULL, OPT_SETTING },
	{ "from", required_argument, NULL, OPT_SETTING },
	{ "to", required_argument, NULL, OPT_SETTING },
	{ "live", required_argument, NULL, OPT_SETTING },
	{ "late", required_argument, NULL, OPT_SETTING },
	{ "latency", required_argument, NULL, OPT_SETTING },
	{ "event-bytes", required_argument, NULL, OPT_SETTING },
	{ "order", required_argument, NULL, OPT_SETTING },
	{ "created", required_argument, NULL, OPT_SETTING },
	{ "json", required_argument, NULL, OPT_SETTING },
	{ "silent-cap", required_argument, NULL, OPT_SETTING },
	{ "count", required_argument, NULL, OPT_SETTING },
	{ "credentials", required_argument, NULL, OPT_SETTING },
	{ "fault", required_argument, NULL, OPT_SETTING },
	{ NULL, 0, NULL, 0 }
};

static const char help_text[] =
	"Usage: atlas-sandbox --organizations N [OPTION]…\n"
	"       atlas-sandbox --organizations N [OPTION]… --print config|ids|events|poison [ORG]\n"
	"A simulated MongoDB Atlas: the organization events API, with invented organizations.\n"
	"\n"
	"  --organizations N           how many (org0001 …)\n"
	"  --seed S                    everything invented follows from it (default 1)\n"
	"  --listen ADDR --port P      default 127.0.0.1, port 0: any free one\n"
	"  --port-file FILE            the port is written there\n"
	"  --tls-cert FILE --tls-key FILE\n"
	"What every organization is like, unless --org says otherwise:\n"
	"  --events N|MIN..MAX         how many (default 1000..5000)\n"
	"  --from ISO --to ISO         and when (default 2025-01-01 to 2026-11-01)\n"
	"  --live N                    events a second from --to on\n"
	"  --late SHARE:SECONDS        that share of the events appears so much after its time\n"
	"  --created cut|round|ms|us   how `created` is shown (default cut: whole seconds)\n"
	"  --order stable|changing     inside one second (default stable)\n"
	"  --json spaced|compact       white space between tokens (default spaced)\n"
	"  --count exact|wrong         totalCount\n"
	"  --silent-cap N              never more than N rows a page\n"
	"  --latency MS                before each answer\n"
	"  --event-bytes N             each event has a field of so many bytes more\n"
	"  --credentials digest|service-account|both|mixed\n"
	"  --fault KIND:PROBABILITY    429, 500, 503, reset, truncate, malformed, stale, redirect, hang,\n"
	"                              gateway, empty; may be given several times\n"
	"  --org 'SELECTOR:KEY=VALUE[,…]'  SELECTOR: number, name, glob or every/K; KEY: any of the above, or\n"
	"                              burst=ISO/COUNT[/MS], refuse=REASON, poison=KIND@ISO, malformed=ISO\n"
	"The server:\n"
	"  --skew SECONDS              of the Date header\n"
	"  --capacity N --refill N --period SECONDS    token bucket (default 500, 250 in 60)\n"
	"  --no-limit-headers --no-limits --no-gzip\n"
	"  --prepared MIB              keeps compressed pages, and answers the same rows from them\n"
	"  --header-case recorded|lower|upper\n"
	"  --nonce-life SECONDS        default 60\n"
	"  --token-life SECONDS        default 3600\n"
	"  --fault-seed S\n"
	"  --time-scale X              one real second counts as X for limits, nonces, tokens and hangs\n"
	"  --now ISO                   the simulated time at the start\n"
	"Printing, without a server:\n"
	"  --print config [--url URL] [--secrets-dir DIR] [--directory DIR] [--api v2|v1.0|public-v1.0]\n"
	"                 [--backfill-start ISO|all|none]\n"
	"  --print ids|events|poison ORG [--raw true|false] [--between A B]\n"
	"  --help --version\n";

static int __attribute__((format(printf, 1, 2)))
usage(const char *format, ...)
{
	va_list args;

	fprintf(stderr, "atlas-sandbox: ");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\nTry 'atlas-sandbox --help'.\n");
	return 2;
}

static void
set_defaults(struct options *o)
{
	memset(o, 0, sizeof *o);
	o->seed = 1;
	o->fault_seed = 1;
	o->listen = "127.0.0.1";
	settings_default(&o->defaults);
	o->capacity = 500;
	o->refill = 250;
	o->period_s = 60;
	o->nonce_life_s = 60;
	o->token_life_s = 3600;
	o->time_scale = 1;
	o->directory = "archives";
	o->api = "v2";
	o->raw = true;
	o->between_to_ms = FOREVER_MS;
}

static int
add_rule(struct options *o, const char *text)
{
	const char *colon = strchr(text, ':');
	struct org_rule *more;
	struct settings scratch;
	char why[200];
	int bad;

	if (colon == NULL || colon == text)
		return usage("--org needs SELECTOR:KEY=VALUE: %s", text);
	settings_default(&scratch);
	bad = settings_apply(&scratch, colon + 1, why, sizeof why);
	settings_free(&scratch);
	if (bad)
		return usage("--org: %s", why);
	more = realloc(o->rules, (o->n_rules + 1) * sizeof *more);
	if (more == NULL)
		return usage("out of memory");
	o->rules = more;
	more[o->n_rules].selector = strndup(text, (size_t)(colon - text));
	more[o->n_rules].text = strdup(colon + 1);
	o->n_rules++;
	return more[o->n_rules - 1].selector == NULL || more[o->n_rules - 1].text == NULL
	           ? usage("out of memory") : -1;
}

static int
set_print(struct options *o, const char *text)
{
	if (strcmp(text, "config") == 0)
		o->print = PRINT_CONFIG;
	else if (strcmp(text, "ids") == 0)
		o->print = PRINT_IDS;
	else if (strcmp(text, "events") == 0)
		o->print = PRINT_EVENTS;
	else if (strcmp(text, "poison") == 0)
		o->print = PRINT_POISON;
	else
		return usage("--print knows config, ids, events and poison, not %s", text);
	return -1;
}

static int
set_header_case(struct options *o, const char *text)
{
	if (strcmp(text, "recorded") == 0)
		o->header_case = HEADERS_RECORDED;
	else if (strcmp(text, "lower") == 0)
		o->header_case = HEADERS_LOWER;
	else if (strcmp(text, "upper") == 0)
		o->header_case = HEADERS_UPPER;
	else
		return usage("--header-case is recorded, lower or upper");
	return -1;
}

/* "--between A B" or "--between A..B". */
static int
set_between(struct options *o, const char *first, int argc, char **argv)
{
	const char *dots = strstr(first, "..");
	char copy[64];
	const char *second;

	if (dots != NULL && (size_t)(dots - first) < sizeof copy) {
		memcpy(copy, first, (size_t)(dots - first));
		copy[dots - first] = '\0';
		first = copy;
		second = dots + 2;
	} else if (optind < argc) {
		second = argv[optind++];
	} else {
		return usage("--between needs two dates");
	}
	if (parse_iso_ms(first, &o->between_from_ms) != 0 || parse_iso_ms(second, &o->between_to_ms) != 0)
		return usage("--between: not a date: %s, %s", first, second);
	return -1;
}

static int
set_unsigned(const char *name, const char *text, unsigned min, unsigned max, unsigned *ret)
{
	uint64_t value;

	if (parse_u64(text, max, &value) != 0 || value < min)
		return usage("--%s needs a number from %u to %u, not %s", name, min, max, text);
	*ret = (unsigned)value;
	return -1;
}

static int
set_seconds(const char *name, const char *text, int64_t min, int64_t *ret)
{
	double value;

	if (parse_double(text, (double)min, 1e9, &value) != 0)
		return usage("--%s needs a number of seconds, not %s", name, text);
	*ret = (int64_t)value;
	return -1;
}

static int
set_flag(const char *name, const char *text, bool *ret)
{
	if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
		return usage("--%s needs true or false", name);
	*ret = text[0] == 't';
	return -1;
}

static int
set_setting(struct options *o, const char *name, const char *value)
{
	char why[200];

	if (settings_apply_one(&o->defaults, name, value, why, sizeof why) != 0)
		return usage("%s", why);
	return -1;
}

/* The options that are numbers. */
static int
set_number(struct options *o, int option, const char *name)
{
	switch (option) {
	case OPT_ORGANIZATIONS:
		return set_unsigned(name, optarg, 1, ORGS_MAX, &o->n_orgs);
	case OPT_PORT:
		return set_unsigned(name, optarg, 0, 65535, &o->port);
	case OPT_CAPACITY:
		return set_unsigned(name, optarg, 1, 1000000000, &o->capacity);
	case OPT_REFILL:
		return set_unsigned(name, optarg, 1, 1000000000, &o->refill);
	case OPT_PERIOD:
		return set_unsigned(name, optarg, 1, 1000000, &o->period_s);
	case OPT_SEED:
		return parse_u64(optarg, UINT64_MAX, &o->seed) == 0 ? -1 : usage("--seed needs a number");
	case OPT_FAULT_SEED:
		return parse_u64(optarg, UINT64_MAX, &o->fault_seed) == 0
		           ? -1 : usage("--fault-seed needs a number");
	case OPT_SKEW:
		return set_seconds(name, optarg, -1000000000, &o->skew_s);
	case OPT_NONCE_LIFE:
		return set_seconds(name, optarg, 0, &o->nonce_life_s);
	case OPT_TOKEN_LIFE:
		return set_seconds(name, optarg, 1, &o->token_life_s);
	default:
		return parse_double(optarg, 0.001, 1e6, &o->time_scale) == 0
		           ? -1 : usage("--time-scale needs a number above 0");
	}
}

/* The options that are texts, flags and dates. */
static int
set_text(struct options *o, int option, const char *name, int argc, char **argv)
{
	switch (option) {
	case OPT_LISTEN: o->listen = optarg; break;
	case OPT_PORT_FILE: o->port_file = optarg; break;
	case OPT_TLS_CERT: o->tls_cert = optarg; break;
	case OPT_TLS_KEY: o->tls_key = optarg; break;
	case OPT_SECRETS_DIR: o->secrets_dir = optarg; break;
	case OPT_URL: o->url = optarg; break;
	case OPT_DIRECTORY: o->directory = optarg; break;
	case OPT_BACKFILL_START: o->backfill_start = optarg; break;
	case OPT_API: o->api = optarg; break;
	case OPT_NO_LIMIT_HEADERS: o->no_limit_headers = true; break;
	case OPT_NO_LIMITS: o->no_limits = true; break;
	case OPT_NO_GZIP: o->no_gzip = true; break;
	case OPT_PREPARED: return set_unsigned(name, optarg, 1, 1u << 20, &o->prepared_mib);
	case OPT_HEADER_CASE: return set_header_case(o, optarg);
	case OPT_ORG: return add_rule(o, optarg);
	case OPT_PRINT: return set_print(o, optarg);
	case OPT_RAW: return set_flag(name, optarg, &o->raw);
	case OPT_BETWEEN: return set_between(o, optarg, argc, argv);
	case OPT_NOW:
		o->has_now = true;
		return parse_iso_ms(optarg, &o->now_ms) == 0 ? -1 : usage("--now: not a date: %s", optarg);
	case OPT_SETTING: return set_setting(o, name, optarg);
	case OPT_HELP:
		fputs(help_text, stdout);
		return 0;
	case OPT_VERSION:
		puts("atlas-sandbox (" PACKAGE_NAME ") " PACKAGE_VERSION);
		return 0;
	default:
		fprintf(stderr, "Try 'atlas-sandbox --help'.\n");
		return 2;
	}
	return -1;
}

/* What can be judged only when all options are known. */
static int
check(struct options *o, int argc, char **argv)
{
	int64_t ms;

	if (o->print >= PRINT_IDS && optind < argc)
		o->print_org = argv[optind++];
	if (optind < argc)
		return usage("what is %s?", argv[optind]);
	if (o->print >= PRINT_IDS && o->print_org == NULL)
		return usage("--print ids, events and poison need an organization");
	if (o->n_orgs == 0)
		return usage("--organizations is needed");
	if ((o->tls_cert == NULL) != (o->tls_key == NULL) && o->print == PRINT_NOTHING)
		return usage("--tls-cert and --tls-key go together");
	if (o->backfill_start != NULL && strcmp(o->backfill_start, "none") != 0 &&
	    strcmp(o->backfill_start, "all") != 0 && parse_iso_ms(o->backfill_start, &ms) != 0)
		return usage("--backfill-start needs a date, all or none");
	if (strcmp(o->api, "v2") != 0 && strcmp(o->api, "v1.0") != 0 && strcmp(o->api, "public-v1.0") != 0)
		return usage("--api is v2, v1.0 or public-v1.0");
	return -1;
}

int
options_parse(struct options *o, int argc, char **argv)
{
	int option, index = 0, result;

	set_defaults(o);
	while ((option = getopt_long(argc, argv, "", long_options, &index)) != -1) {
		const char *name = option == '?' ? "" : long_options[index].name;

		switch (option) {
		case OPT_ORGANIZATIONS: case OPT_PORT: case OPT_CAPACITY: case OPT_REFILL: case OPT_PERIOD:
		case OPT_SEED: case OPT_FAULT_SEED: case OPT_SKEW: case OPT_NONCE_LIFE: case OPT_TOKEN_LIFE:
		case OPT_TIME_SCALE:
			result = set_number(o, option, name);
			break;
		default:
			result = set_text(o, option, name, argc, argv);
		}
		if (result >= 0)
			return result;
	}
	return check(o, argc, argv);
}

void
options_free(struct options *o)
{
	for (size_t i = 0; i < o->n_rules; i++) {
		free(o->rules[i].selector);
		free(o->rules[i].text);
	}
	free(o->rules);
	o->rules = NULL;
	o->n_rules = 0;
	settings_free(&o->defaults);
}
