/*
 * script.h - what the scripted driver does with whom, and the log of what it did.
 *
 * The script is a text: a line for each pattern, `#` begins a comment.
 *
 *   PATTERN DELAY_MS RESULT[,RESULT...]      *.slow.example 3000 deferred,deferred=4.2.2,sent
 *
 * PATTERN (* and ?) is held against the entry's host, then against the recipient's address; the first line that fits counts. An
 * attempt takes the longest delay of its recipients. The n-th RESULT is that of the n-th attempt at the entry, the last
 * one repeats: sent, deferred[=4.x.x], failed[=5.x.x], held[=4.x.x]. Who fits no line is an error of the script: deferred
 * with 4.3.5.
 *
 * The log is a line for each event, written with one write to a file that is opened for appending; fields have a blank
 * between them, the first are: microseconds since 1970, process id, number of the job in this process, name of the loop.
 *
 *   ... open CHANNEL                                  a job
 *   ... close CHANNEL
 *   ... begin QID CHANNEL HOST CLASS ATTEMPTS DUE_US ARRIVAL_US RECIPIENTS
 *   ... result QID CHANNEL HOST RECIPIENT VERDICT     one for each recipient, when the delay is over
 *   ... settled QID CHANNEL HOST ERROR                the queue has it; ERROR: OK or a name
 *
 * Threads: script and log are made before loops run; reading and logging from any thread.
 */
#ifndef TEST_SCRIPT_H
#define TEST_SCRIPT_H

#include <stdio.h>

#include "../../src/chan/chan_priv.h"

#define SCRIPT_LINES_MAX   1000
#define SCRIPT_RESULTS_MAX 32
#define SCRIPT_TEXT_MAX    128

struct script_result {
    enum chan_verdict verdict;
    char reason[SCRIPT_TEXT_MAX];
};
struct script_line {
    char pattern[SCRIPT_TEXT_MAX];
    uint64_t delay_ms;
    struct script_result results[SCRIPT_RESULTS_MAX];
    unsigned result_count;
};
struct script {
    struct script_line *lines;
    unsigned count;
};

/* MS_EINVAL: a line for each mistake, "FILE:LINE: error: text", on standard error. */
MS_MUST_USE enum ms_err script_load(const char *path, struct script *out);
void script_free(struct script *s);
/* NULL: no line fits. */
const struct script_line *script_find(const struct script *s, struct slice host, struct slice address);
/* Of the attempt behind so many. */
const struct script_result *script_result(const struct script_line *line, uint32_t attempts);

MS_MUST_USE enum ms_err script_log_open(const char *path);
void script_log(unsigned job, const struct loop *loop, const char *fmt, ...) MS_PRINTF(3, 4);

extern struct script script; /* of this program */
extern const struct channel_driver scripted_driver;

#endif
