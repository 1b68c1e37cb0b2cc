/* ledger_text.h: how a ledger's text ends, for those who write and read it. Private to lib/store. */
#ifndef ORGSYNC_STORE_LEDGER_TEXT_H
#define ORGSYNC_STORE_LEDGER_TEXT_H

/* The last line: the SHA-256 of everything before it. */
#define SUM_HEAD ",\n \"sha256\": \""
#define SUM_END "\"}\n"
#define SUM_LEN (sizeof(SUM_HEAD) - 1 + 64 + sizeof(SUM_END) - 1)

#endif
