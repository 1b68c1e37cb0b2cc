/* The scanner once more, in plain C and under other names. */
#define JSONSCAN_PLAIN_C 1
#define event_compare plain_event_compare
#define event_fault_text plain_event_fault_text
#define event_scan plain_event_scan
#define json_next_char plain_json_next_char
#define json_same_text plain_json_same_text
#define json_skip_space plain_json_skip_space
#define json_skip_value plain_json_skip_value
#define json_space_rest plain_json_space_rest
#define json_string_rest plain_json_string_rest
#define json_strip_space plain_json_strip_space
#define json_value plain_json_value

/* NOLINTBEGIN(bugprone-suspicious-include): to compile it twice is the purpose. */
#include "lib/base/jsonscan.c"
#include "lib/base/jsonstrip.c"
#include "lib/base/event.c"
/* NOLINTEND(bugprone-suspicious-include) */
