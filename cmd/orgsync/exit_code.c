#include "cmd/orgsync/exit_code.h"

int
exit_code(const struct exit_facts *f)
{
	if (f->cannot_go_on)
		return EXIT_CANNOT_GO_ON;
	if (f->signal != 0)
		return EXIT_SIGNAL + f->signal;
	if (f->failed > 0 && f->failed == f->selected)
		return f->credentials == f->failed ? EXIT_CREDENTIALS : EXIT_ALL_FAILED;
	if (f->failed > 0 || f->reported > 0)
		return EXIT_SOME_FAILED;
	if (f->deadline > 0)
		return EXIT_DEADLINE;
	if (f->locked > 0)
		return EXIT_LOCKED;
	return EXIT_UP_TO_DATE;
}
